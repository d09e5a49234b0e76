"""Rows that are there twice or nearly so, and how many cross the split; it knows features, files alike.

When is a row near another? Where rows lie evenly, the nearest of k neighbours is closer than a share c of the
distance to the k-th with chance at most (k - 1) c^d, d being how many dimensions the data really fill. Half
of the rows say what d is; c follows from the chance that is allowed. A pair must also lie within `CLOSE` of
the median distance to a nearest neighbour: far away from all others, rows are seldom as close as that.
No data lie quite evenly. Seen in 100 random sets each: no alarm for normal, uniform, clustered, heavy-tailed
and counted values of 1 to 400 dimensions, 3 alarms for 100 bits of which 8 are set.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

import numpy as np

from benchmark.contracts import Array, Split
from benchmark.data.checks.finding import FALSE_ALARMS, SHOWN, Finding

NEIGHBOURS = 10
CLOSE = 0.5
NEAR_BY_CHANCE = FALSE_ALARMS / 10
"""Chance of a near pair where rows lie evenly; smaller than elsewhere, as they do not quite."""
BLOCK = 512
"""Rows or columns that are looked at together."""


def duplicate_rows(modalities: Sequence[Array], labels: Array, splits: Mapping[int, Split]) -> list[Finding]:
    """Find rows whose features are equal, and distinct ones whose features are nearly so.

    Parameters
    ----------
    modalities : arrays (n, d_k), all of which are compared together, each with the same weight.
    labels : (n, q) in {0, 1}.
    splits : by seed.
    """
    digests = [_digest(row) for row in _rows(modalities)]
    groups = same_as_first(digests)
    distinct = np.flatnonzero(groups == np.arange(len(groups)))
    near = distinct[near_pairs(standardised(modalities, distinct))]
    return [
        *repeated("duplicate_rows", groups, labels, splits),
        *alike("near_duplicate_rows", near, groups, labels, splits),
    ]


def same_as_first(keys: Sequence[Hashable]) -> Array:
    """Return for each row the first row of the same key."""
    first: dict[Hashable, int] = {}
    return np.array([first.setdefault(key, row) for row, key in enumerate(keys)], dtype=np.intp)


def repeated(kind: str, groups: Array, labels: Array, splits: Mapping[int, Split]) -> list[Finding]:
    """Return the finding of rows of which others are copies; `groups` is of `same_as_first`."""
    copies = np.flatnonzero(groups != np.arange(len(groups)))
    if not len(copies):
        return []
    keys = [(group, row.tobytes()) for group, row in zip(groups, labels, strict=True)]
    return [
        Finding(
            kind,
            _pairs(groups),
            tuple({"rows": [int(groups[row]), int(row)]} for row in copies[:SHOWN]),
            {
                "rows": len(copies) + len(np.unique(groups[copies])),
                "same_labels": _pairs(same_as_first(keys)),
                **_crossing(splits, lambda train, test: np.isin(groups[test], groups[train])),
            },
        )
    ]


def alike(
    kind: str, pairs: Array, groups: Array, labels: Array, splits: Mapping[int, Split]
) -> list[Finding]:
    """Return the finding of pairs (p, 2) of distinct rows, the first of their `groups`, that are near."""
    same = (labels[pairs[:, 0]] == labels[pairs[:, 1]]).all(axis=1)
    both_ways = np.concatenate([pairs, pairs[:, ::-1]])

    def crosses(train: Array, test: Array) -> Array:
        reached = both_ways[np.isin(both_ways[:, 1], groups[train]), 0]
        return np.isin(groups[test], reached)

    return Finding.of(
        kind,
        [{"rows": [int(a), int(b)]} for a, b in pairs],
        rows=len(np.unique(pairs)),
        same_labels=int(same.sum()),
        **_crossing(splits, crosses),
    )


def standardised(modalities: Sequence[Array], rows: Array) -> Array:
    """Return the chosen rows (n, d) in single precision, columns standardised, modalities weighed alike."""
    points = np.zeros((len(rows), sum(x.shape[1] for x in modalities)), dtype=np.float32)
    start = 0
    for x in modalities:
        for j in range(0, x.shape[1], BLOCK):
            block = x[rows, j : j + BLOCK].astype(float)
            block /= np.maximum(np.abs(block).max(axis=0), np.finfo(float).tiny)  # squares stay finite
            varies = block.min(axis=0) < block.max(axis=0)
            block -= block.mean(axis=0)
            scale = np.where(varies, block.std(axis=0), np.inf) * np.sqrt(x.shape[1])
            points[:, start + j : start + j + block.shape[1]] = block / scale
        start += x.shape[1]
    return points


def near_pairs(points: Array, false_alarms: float = NEAR_BY_CHANCE) -> Array:
    """Return pairs of rows (p, 2) that are nearer than chance brings them; see the head of this module.

    Parameters
    ----------
    points : (n, d), no two equal.
    false_alarms : chance of one pair or more where rows lie evenly.
    """
    from sklearn.neighbors import NearestNeighbors  # slow to import

    n = len(points)
    k = min(NEIGHBOURS, n - 1)
    if k < 2:
        return np.empty((0, 2), dtype=np.intp)
    distances, neighbours = NearestNeighbors(n_neighbors=k, algorithm="brute").fit(points).kneighbors()
    reach = np.maximum(distances[:, -1:], np.finfo(float).tiny)
    # The share c of which chance is false_alarms / n, given the share of which it is one half.
    typical = np.median(distances[:, 0] / reach[:, 0])
    with np.errstate(divide="ignore"):
        dimensions = np.log(1 - 2 ** (-1 / (k - 1))) / np.log(typical)
    share = (false_alarms / (n * (k - 1))) ** (1 / dimensions)
    near = (distances <= share * reach) & (distances <= CLOSE * np.median(distances[:, 0]))
    rows, columns = np.nonzero(near)
    return np.unique(np.sort(np.stack([rows, neighbours[rows, columns]], axis=1)), axis=0)


def correlated_pairs(points: Array, least: float) -> Array:
    """Return pairs of rows (p, 2) whose correlation is above `least`; rows without variance have none."""
    centred = points - points.mean(axis=1, keepdims=True)
    centred /= np.maximum(np.linalg.norm(centred, axis=1, keepdims=True), 1e-6)
    found = []
    for start in range(0, len(points), BLOCK):
        rows, others = np.nonzero(centred[start : start + BLOCK] @ centred.T > least)
        found.append(np.stack([rows + start, others], axis=1)[rows + start < others])
    return np.concatenate(found)


def _rows(modalities: Sequence[Array]) -> Iterator[Array]:
    for start in range(0, len(modalities[0]), BLOCK):
        blocks = [x[start : start + BLOCK].astype(float) + 0.0 for x in modalities]  # -0 becomes 0
        yield from np.concatenate(blocks, axis=1)


def _digest(row: Array) -> bytes:
    return hashlib.blake2b(row.tobytes(), digest_size=16).digest()


def _pairs(groups: Array) -> int:
    sizes = np.unique(groups, return_counts=True)[1]
    return int((sizes * (sizes - 1) // 2).sum())


def _crossing(
    splits: Mapping[int, Split], crosses: Callable[[Array, Array], Array]
) -> dict[str, int | float]:
    """Return how many test rows of how many, on average over seeds, have one of theirs in training."""
    counts = [int(crosses(split.train, split.test).sum()) for split in splits.values()]
    tested = len(next(iter(splits.values())).test)
    return {"test_rows": tested, "with_one_in_training": float(np.mean(counts))}
