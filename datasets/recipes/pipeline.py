"""Images to features in two passes, sample-and-fit then encode, on several processes; it writes no file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from benchmark.contracts import Array
from datasets.recipes import hog
from datasets.recipes.descriptors import PATCHES, LocalDescriptors, describe, grid
from datasets.recipes.encode import BOW_DIM, FISHER_DIM, bag_of_words, fisher
from datasets.recipes.images import SIDE, read_image
from datasets.recipes.parts import Parts, fit_parts
from datasets.recipes.store import to_half

DIMS = {"bow": BOW_DIM, "fv": FISHER_DIM, "hog": hog.DIM}
"""Modalities in the paper's order, and Table I's dimensions."""

SAMPLED_ROWS = 60
"""Descriptors that each image gives to the fit."""

Report = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Passes items on and shows how far it is: (items, how many there will be, what is being done)."""


def silent(items: Iterable[Any], total: int, label: str) -> Iterable[Any]:  # noqa: ARG001 - same signature as a progress bar
    """Report nothing."""
    return items


def learn_parts(paths: Sequence[Path], jobs: int = 1, report: Report = silent) -> Parts:
    """Fit the unsupervised parts on `SAMPLED_ROWS` descriptors of each of the images `paths`.

    Which rows an image gives depends on its place in `paths` alone, so `jobs` cannot change the result.
    """
    found = _over(_sample, list(enumerate(paths)), jobs, report, "describe (pass 1 of 2)")
    sample = LocalDescriptors(
        np.concatenate([local.sift for local in found]), np.concatenate([local.colour for local in found])
    )
    (parts,) = report(_fitted(sample), 1, "fit PCA, k-means, mixture")
    return parts


def encode_images(
    paths: Sequence[Path], parts: Parts, jobs: int = 1, report: Report = silent
) -> dict[str, Array]:
    """Return `bow` (n, 500), `fv` (n, 1040) and `hog` (n, 576) of the images, float16."""
    rows = _over(_encode, [(path, parts) for path in paths], jobs, report, "encode (pass 2 of 2)")
    return {name: to_half(np.stack([row[name] for row in rows])) for name in DIMS}


def _fitted(sample: LocalDescriptors) -> Iterator[Parts]:
    with _one_thread():
        yield fit_parts(sample)


def _sample(item: tuple[int, Path]) -> LocalDescriptors:
    place, path = item
    rows = len(PATCHES) * len(grid(SIDE))
    chosen = np.random.default_rng(place).choice(rows, SAMPLED_ROWS, replace=False)
    return describe(read_image(path), chosen)


def _encode(item: tuple[Path, Parts]) -> dict[str, Array]:
    path, parts = item
    image = read_image(path)
    local = parts.project(describe(image))
    return {"bow": bag_of_words(local, parts), "fv": fisher(local, parts), "hog": hog.hog_features(image)}


def _over(
    work: Callable[[Any], Any], items: Sequence[Any], jobs: int, report: Report, label: str
) -> list[Any]:
    calls = (joblib.delayed(_alone)(work, item) for item in items)
    results = joblib.Parallel(n_jobs=jobs, return_as="generator", batch_size=8)(calls)
    return list(report(results, len(items), label))


def _alone(work: Callable[[Any], Any], item: Any) -> Any:
    with _one_thread():
        return work(item)


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep every library on one thread: one process per core, and the same bits whatever `jobs` is."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        cv2.setNumThreads(before)
