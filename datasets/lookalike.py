"""Makes synthetic data of a published shape; it must not know any method or printed result.

The generator, with n, m, q, d_k of Table I, the label cardinality, and the constants below:

1. Labels. Label frequencies follow a Zipf law (`ZIPF`), label order shuffled. One label per row, or
   1 + (multinomial extras) labels per row, so that the cardinality is exact. Which ones: those of
   highest utility = log frequency + `THEME` x the row's liking of the label's theme (standard normal;
   each label has one of `THEMES` themes) + Gumbel noise. So labels of a theme go together. No label
   has fewer than `MIN_POSITIVES` rows.
2. Usefulness by label. Each label's separability `SEPARATION`, the distance in units of the latent
   noise that its presence shifts a row by, all modalities together, is divided among the modalities
   by a Dirichlet(`CONCENTRATION`) draw: most labels show mainly in one or two modalities.
3. Usefulness by instance. Each modality of each row is dimmed with probability `DIMMED`: its signal
   is multiplied by `DIMNESS`.
4. Features. Modality k has min(d_k, `LATENT`) latent factors: the sum of the row's labels' shifts (a
   random direction each) plus standard normal noise; a random linear map takes them to d_k features,
   to which independent noise of relative size `FEATURE_NOISE` is added.

The constants were set before any method of the paper had run on the result, and are the same for
every data set. They are not to be changed towards a printed number.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from benchmark.contracts import Array, Dataset, Provenance, Shape, Streams, cache_directory
from datasets.cache import cached_arrays
from datasets.user_first import UserFirst

ZIPF = 0.8
THEMES = 6
THEME = 2.0
MIN_POSITIVES = 20
SEPARATION = 3.0
CONCENTRATION = 0.5
DIMMED = 0.3
DIMNESS = 0.25
LATENT = 16
FEATURE_NOISE = 1.0
GRID = 2.0**10
"""Features are rounded to 1/GRID, far above float64's last bits, so that machines agree on every bit."""

NOTE = (
    "Synthetic look-alike: Table I's shape and the label cardinality inferred from the paper "
    "({cardinality:.2f}), nothing else in common with the real data."
)


def make_look_alike(id: str, shape: Shape, cardinality: float, exclusive: bool) -> dict[str, Array]:
    """Make labels and modalities, a function of the arguments alone.

    Parameters
    ----------
    id : str
        The data set's id; its `data` stream (seed 0) is the only source of randomness.
    cardinality : float
        Mean number of labels per row, met to within 1 / (2 n).
    exclusive : bool
        Exactly one label per row; `cardinality` must then be 1.

    Returns
    -------
    dict
        `labels` uint8 (n, q), then `modality0` ... float32 (n, d_k).
    """
    random = Streams(id, 0).generator("data")
    counts = positive_counts(shape, cardinality, random)
    labels = exclusive_labels(counts, random) if exclusive else correlated_labels(shape.n, counts, random)
    arrays = {"labels": labels}
    shares = random.dirichlet(np.full(shape.m, CONCENTRATION), size=shape.q)
    for k, d in enumerate(shape.dims):
        arrays[f"modality{k}"] = features(labels, d, SEPARATION * np.sqrt(shares[:, k]), random)
    return arrays


def positive_counts(shape: Shape, cardinality: float, random: np.random.Generator) -> Array:
    """Return how many rows each label should have, (q,), by a Zipf law; the sum is round(n * cardinality)."""
    weights = np.arange(1, shape.q + 1, dtype=np.float64) ** -ZIPF
    total = round(shape.n * cardinality)
    if total < shape.q * MIN_POSITIVES:
        raise ValueError(
            f"{total} label assignments are too few for {shape.q} labels with {MIN_POSITIVES} rows each"
        )
    spare = total - shape.q * MIN_POSITIVES
    exact = spare * weights / weights.sum()
    counts = MIN_POSITIVES + np.floor(exact).astype(np.int64)
    counts[: total - int(counts.sum())] += 1
    return random.permutation(counts)


def exclusive_labels(counts: Array, random: np.random.Generator) -> Array:
    """Return labels (n, q) with exactly one per row and exactly `counts` rows per label."""
    owner = random.permutation(np.repeat(np.arange(len(counts)), counts))
    return np.eye(len(counts), dtype=np.uint8)[owner]


def correlated_labels(n: int, counts: Array, random: np.random.Generator) -> Array:
    """Return labels (n, q) with at least one per row, sum(counts) in all, and labels of a theme together."""
    q = len(counts)
    extras = random.multinomial(int(counts.sum()) - n, np.full(n, 1 / n))
    sizes = np.minimum(1 + extras, q)
    liking = THEME * random.normal(size=(n, THEMES))[:, random.permutation(q) % THEMES]
    utility = np.log(counts / counts.sum()) + liking + random.gumbel(size=(n, q))
    ranks = np.argsort(np.argsort(-utility, axis=1), axis=1)
    labels = (ranks < sizes[:, None]).astype(np.uint8)
    raise_rare_labels(labels, utility)
    return labels


def raise_rare_labels(labels: Array, utility: Array) -> None:
    """Give each label `MIN_POSITIVES` rows, in place: its likeliest rows swap their commonest one."""
    for j in range(labels.shape[1]):
        absent = np.flatnonzero(labels[:, j] == 0)
        for i in absent[np.argsort(-utility[absent, j])]:
            rows = labels.sum(axis=0, dtype=np.int64)
            commonest = int(np.argmax(labels[i] * rows))
            if rows[j] >= MIN_POSITIVES:
                break
            if rows[commonest] > MIN_POSITIVES:
                labels[i, commonest], labels[i, j] = 0, 1


def features(labels: Array, d: int, strengths: Array, random: np.random.Generator) -> Array:
    """Return one modality, float32 (n, d); label j shifts a row's latent factors by `strengths[j]`."""
    n, q = labels.shape
    rank = min(d, LATENT)
    directions = random.normal(size=(q, rank))
    directions *= (strengths / np.linalg.norm(directions, axis=1))[:, None]
    gain = np.where(random.random(n) < DIMMED, DIMNESS, 1.0)
    latent = gain[:, None] * (labels @ directions) + random.normal(size=(n, rank))
    observed = latent @ (random.normal(size=(rank, d)) / np.sqrt(rank))
    observed += FEATURE_NOISE * random.normal(size=(n, d))
    return (np.round(observed * GRID) / GRID).astype("<f4")


@dataclass(frozen=True)
class LookAlikeBacked(UserFirst):
    """A data set that is not freely available: the user's own features, else a look-alike."""

    own_provenance: ClassVar[Provenance] = Provenance.LOOK_ALIKE

    cardinality: float = 1.0
    """Labels per row, inferred from the paper's printed BR and CC rows."""
    exclusive: bool = False
    """Exactly one label per row."""

    def load_own(self) -> Dataset:
        """Load the look-alike from the cache; made first where it is missing, outdated or damaged."""
        arrays = cached_arrays(
            self.cache_folder(),
            lambda: make_look_alike(self.id, self.expected, self.cardinality, self.exclusive),
        )
        labels = arrays.pop("labels")
        note = NOTE.format(cardinality=self.cardinality)
        own = replace(self, citation="")  # what nobody measured is credited to nobody
        return own.dataset(arrays, labels, self.own_provenance, note)

    def cache_folder(self) -> Path:
        """Name the cache folder by all that determines its content: this file, numpy's version, the shape."""
        digest = hashlib.sha256(Path(__file__).read_bytes())
        digest.update(repr((np.__version__, self.expected, self.cardinality, self.exclusive)).encode())
        return cache_directory() / "look-alikes" / f"{self.id}-{digest.hexdigest()[:16]}"
