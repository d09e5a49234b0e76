"""Whether chance alone moves any of many cells, at one error rate for all; it knows no method or metric.

It answers for all cells together: if nothing has changed, the chance that any cell at all is called moved is
at most `ALPHA`.

References
----------
.. [1] Westfall, P. H. and Young, S. S. (1993). Resampling-Based Multiple Testing. Wiley. (single-step max T)
.. [2] Phipson, B. and Smyth, G. K. (2010). Permutation p-values should never be zero. Stat. Appl. Genet.
       Mol. Biol. 9, article 39.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, prod, sqrt

import numpy as np

from benchmark.contracts import Array

ALPHA = 0.01
"""Family-wise false-alarm rate."""
ENUMERATED = 20_000
"""Up to so many assignments of one data set all are looked at; beyond, `SAMPLED` random ones."""
SAMPLED = 19_999
_CHUNK = 2_000_000
_TIE = 1e-9

Draws = Sequence[Array]
"""One (K_b, C) array per split: the current value of each cell, then the reference's and its refits'."""


@dataclass(frozen=True)
class PairedBand:
    """How far a data set's C cells lie from their refits, and how often chance takes any cell as far."""

    shift: Array
    """(C,) mean over splits of (current - mean of the other draws)."""
    noise: Array
    """(C,) standard deviation of `shift` under chance, from the other draws; nan if they are too few."""
    p_values: Array
    """(C,) adjusted for all cells of all data sets [1]_."""
    smallest_p: float
    """What a shift by any amount, the same on every split, would get at best; above `ALPHA` the band can find
    nothing. Few draws are one reason; another is a cell of which one draw stands out on every split, which is
    as far from chance as any shift can be."""
    refits_needed: int
    """Refits of every split that would let it find a shift."""


def paired_bands(datasets: Sequence[Draws]) -> list[PairedBand]:
    """Compare the current draw of every split with the reference's draws of the same split.

    Without a change, the current fit, the reference and its refits are draws of one method on one split that
    differ in the method's seed alone, so which of them is called current is arbitrary: all K_1 x ... x K_B
    choices of one draw per split are equally likely. The statistic of a cell is the sum over splits of the
    chosen draw's deviation from its split's mean, over the standard deviation of that sum under all choices;
    the largest of all cells decides. A cell's p-value is the share of choices whose largest statistic reaches
    the cell's own: exact for any distribution, any dependence between cells, and any number of cells [1]_.
    Data sets draw independently of each other, so their largest statistics join as 1 - prod(1 - share).
    A current fit that repeats the reference bit by bit ties with the choice of the reference, which only
    makes an alarm rarer.

    Parameters
    ----------
    datasets : sequence of `Draws`
        The rows of one split must be joint draws: row k of every cell comes from the same seed.

    Raises
    ------
    ValueError
        If a data set has no split, a split has one draw only, or a value is not finite.
    """
    for draws in datasets:
        if not draws or any(len(block) < 2 for block in draws):
            raise ValueError("a paired band needs at least one split, and two draws on every split")
        if not all(np.isfinite(block).all() for block in draws):
            raise ValueError("a paired band takes finite values only")
    standardised = [_standardised(draws) for draws in datasets]
    observed = [np.abs(sum(block[0] for block in blocks)) for blocks in standardised]
    largest = [_largest(blocks) for blocks in standardised]
    bands = []
    for place, (draws, statistics) in enumerate(zip(datasets, observed, strict=True)):
        below = np.prod([1 - _fraction_reaching(part, statistics) for part in largest], axis=0)
        # A cell that does not vary at all has the statistic 0, which every choice reaches.
        p_values = np.where(statistics > _TIE, 1 - below, 1.0)
        sizes = [len(block) for block in draws]
        smallest = max(smallest_p(sizes), _p_of_the_farthest(_farthest(sizes), statistics, place, largest))
        needed = refits_needed(len(draws), smallest * prod(sizes))
        bands.append(PairedBand(_shift(draws), _noise(draws), p_values, smallest, needed))
    return bands


def _farthest(sizes: Sequence[int]) -> float:
    """Return the statistic of a shift that is the same on every split and far beyond all other variation."""
    return sum((k - 1) / k for k in sizes) / sqrt(sum((k - 1) / k**2 for k in sizes))


def _p_of_the_farthest(statistic: float, observed: Array, place: int, largest: Sequence[_Largest]) -> float:
    """Return the p-value of a statistic that stood for the observed ones of the data set at `place`."""
    fractions = [float(_fraction_reaching(part, np.array([statistic]))[0]) for part in largest]
    own = largest[place]
    if not own.sampled and observed.max(initial=0) < statistic - _TIE:
        fractions[place] += 1 / len(own.values)  # its own choice, which the observed ones left below
    return 1 - float(np.prod([1 - fraction for fraction in fractions]))


def smallest_p(sizes: Sequence[int]) -> float:
    """Return the smallest p-value that splits with so many draws each can give."""
    # With two draws on every split, exchanging all of them only turns the sign.
    as_far = 2 if all(size == 2 for size in sizes) else 1
    return max(as_far / prod(sizes), 1 / (SAMPLED + 1) if prod(sizes) > ENUMERATED else 0.0)


def refits_needed(n_splits: int, n_choices: float = 1.0) -> int:
    """Return how many refits per split let a band over so many splits find a shift of one data set.

    The smallest p-value is then at most three quarters of `ALPHA`: the rest is for other data sets' cells.

    Parameters
    ----------
    n_splits : int
    n_choices : float
        How many choices of current draws are as far out as the shift, its own among them.
    """
    draws = ceil(round((0.75 * ALPHA / n_choices) ** (-1 / n_splits), 9))
    return max(3, draws) - 2


def _standardised(draws: Draws) -> list[Array]:
    """Return deviations from each split's mean, over the deviation of their sum under all choices."""
    centred = [block - block.mean(axis=0) for block in draws]
    scale = np.sqrt(sum((block**2).mean(axis=0) for block in centred))
    return [np.divide(block, scale, out=np.zeros_like(block), where=scale > _TIE) for block in centred]


@dataclass(frozen=True)
class _Largest:
    """Sorted largest statistics under the choices of 'current', and whether these are a sample."""

    values: Array
    sampled: bool


def _largest(standardised: Draws) -> _Largest:
    sizes = [len(block) for block in standardised]
    sampled = prod(sizes) > ENUMERATED
    if sampled:
        generator = np.random.default_rng(0)  # the same answer for the same numbers
        chosen = np.stack([generator.integers(size, size=SAMPLED) for size in sizes], axis=1)
    else:
        chosen = np.stack(np.unravel_index(np.arange(prod(sizes)), sizes), axis=1)
    rows = max(1, _CHUNK // max(standardised[0].shape[1], 1))
    parts = []
    for start in range(0, len(chosen), rows):
        part = chosen[start : start + rows]
        total = np.abs(sum(block[part[:, b]] for b, block in enumerate(standardised)))
        parts.append(total.max(axis=1, initial=0))
    return _Largest(np.sort(np.concatenate(parts)), sampled)


def _fraction_reaching(largest: _Largest, statistics: Array) -> Array:
    """Return the share of choices whose largest statistic reaches each of `statistics`."""
    n = len(largest.values)
    reached = n - np.searchsorted(largest.values, statistics - _TIE)
    # The choice that was seen counts among random ones, or a p-value could be 0 [2]_.
    return (reached + 1) / (n + 1) if largest.sampled else reached / n


def _shift(draws: Draws) -> Array:
    return np.mean([block[0] - block[1:].mean(axis=0) for block in draws], axis=0)


def _noise(draws: Draws) -> Array:
    """Return the standard deviation of `PairedBand.shift` under chance, pooled over splits."""
    others = [block[1:] for block in draws]
    df = sum(len(block) - 1 for block in others)
    if df == 0:
        return np.full(draws[0].shape[1], np.nan)
    squares: Array = np.sum([((block - block.mean(axis=0)) ** 2).sum(axis=0) for block in others], axis=0)
    inflation = np.mean([1 + 1 / len(block) for block in others]) / len(others)
    return np.sqrt(squares / df * inflation)
