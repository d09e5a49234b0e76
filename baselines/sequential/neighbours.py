"""Nearest training rows and how far the classes lie apart, for the modality terms of DMP and MCC; it knows no
network, no chain and no cost.

Searches are exact and scikit-learn's: brute force, since trees gain nothing at tens to hundreds of features.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from sklearn.neighbors import NearestNeighbors
from threadpoolctl import ThreadpoolController

from benchmark.contracts import Array

LISTED = 60
"""Neighbours that `class_margins` looks up once for all labels.

Enough for the common class of every label; a rare class is searched among its own rows alone, which is cheap
because it is rare. The result does not depend on it.
"""


def nearest(rows: Array, k: int) -> Array:
    """List the nearest other rows of each row.

    Parameters
    ----------
    rows : (n, D) array
    k : int
        Neighbours per row, at least 1.

    Returns
    -------
    (n, min(k, n - 1)) int array
        By Euclidean distance, nearest first; a row never lists itself, a duplicate of it is another row.
        Which of equally distant rows comes first is the library's choice, but always the same one.

    Raises
    ------
    ValueError
        If k is below 1, or rows are not a finite matrix.
    """
    _require_positive(k)
    return _nearest_others(_centred(rows), k)[1]


def class_margins(modality: Array, labels: Array, k: int, *, n_listed: int = LISTED) -> Array:
    """Measure per row and label how much nearer the same class lies than the other one.

    Parameters
    ----------
    modality : (n, d) array
        Features of one modality.
    labels : (n, q) array in {0, 1}
    k : int
        Neighbours per class, at least 1; a class with fewer gives all that it has.
    n_listed : int
        See `LISTED`; changes time and memory, not the result.

    Returns
    -------
    (n, q) float32 array
        Mean distance to the k nearest rows with the other value of the label, minus mean distance to the k
        nearest other rows with the same value; 0 where either class is empty. Distances are taken from the
        squared norms, so they are exact up to about 1e-8 of a row's distance to the mean row.

    Raises
    ------
    ValueError
        If k or n_listed is below 1, labels do not fit the modality, or the modality is not a finite matrix.
    """
    _require_positive(k)
    _require_positive(n_listed, "n_listed")
    if labels.ndim != 2 or len(labels) != len(modality):
        raise ValueError(
            f"labels of shape {labels.shape} do not fit a modality of shape {modality.shape}; "
            "give one row of labels per row of the modality"
        )
    rows = _centred(modality)
    distances, neighbours = _nearest_others(rows, max(k, n_listed))
    margins = np.zeros(labels.shape, np.float32)
    for j in range(labels.shape[1]):
        positive = labels[:, j].astype(bool)
        to_positive = _mean_distance(rows, positive, distances, neighbours, k)
        to_negative = _mean_distance(rows, ~positive, distances, neighbours, k)
        margin = np.where(positive, to_negative - to_positive, to_positive - to_negative)
        margins[:, j] = np.nan_to_num(margin, nan=0.0)
    return margins


def _require_positive(number: int, name: str = "k") -> None:
    if number < 1:
        raise ValueError(f"{name} is {number}; it must be at least 1")


def _centred(rows: Array) -> Array:
    """Rows about their mean, in double precision: distances from squared norms lose digits far from zero."""
    if rows.ndim != 2:
        raise ValueError(f"rows of shape {rows.shape}; give a matrix with one row per instance")
    exact = np.asarray(rows, np.float64)
    return np.ascontiguousarray(exact - exact.mean(axis=0)) if len(exact) else exact


def _search(candidates: Array, rows: Array | None, k: int) -> tuple[Array, Array]:
    """Return distances and positions (n, k) of the candidates next to each row; None: to each other."""
    # One thread: scikit-learn chunks its work by the number of threads, and ties then fall out differently.
    with _thread_pools().limit(limits=1):
        return NearestNeighbors(n_neighbors=k, algorithm="brute").fit(candidates).kneighbors(rows)


@cache
def _thread_pools() -> ThreadpoolController:
    # Looks through all loaded libraries, which takes longer than a small search: once is enough.
    return ThreadpoolController()


def _nearest_others(rows: Array, k: int) -> tuple[Array, Array]:
    """Return distances and indices (n, min(k, n - 1)) of the nearest other rows."""
    k = min(k, len(rows) - 1)
    if k < 1:
        return np.empty((len(rows), 0)), np.empty((len(rows), 0), np.int64)
    return _search(rows, None, k)


def _mean_distance(rows: Array, members: Array, distances: Array, neighbours: Array, k: int) -> Array:
    """Mean distance (n,) of each row to its k nearest other rows among `members` (n,) bool; nan for none."""
    wanted = members[neighbours]  # (n, n_listed)
    means = _mean_of_first(distances, wanted, k)
    n_others = np.count_nonzero(members) - members
    short = np.flatnonzero(np.count_nonzero(wanted, axis=1) < np.minimum(k, n_others))
    if len(short):
        index = np.flatnonzero(members)
        # One more than k, since a member's own row is among the candidates.
        found, positions = _search(rows[index], rows[short], min(k + 1, len(index)))
        means[short] = _mean_of_first(found, index[positions] != short[:, None], k)
    return means


def _mean_of_first(distances: Array, wanted: Array, k: int) -> Array:
    """Mean (n,) of the first k wanted entries of each row; nan where a row has none."""
    taken = wanted & (np.cumsum(wanted, axis=1, dtype=np.int32) <= k)
    count = np.count_nonzero(taken, axis=1)
    total = np.sum(distances, axis=1, where=taken)
    return np.divide(total, count, out=np.full(len(distances), np.nan), where=count > 0)
