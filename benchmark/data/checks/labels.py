"""Labels too rare to be learned or tested, copies of labels, rows without any; it knows labels alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.contracts import Array, Split
from benchmark.data.checks.finding import Finding

FEWEST = 2
"""Rows with a label, and rows without it, that are needed."""


def label_faults(labels: Array, label_names: Sequence[str], splits: Mapping[int, Split]) -> list[Finding]:
    """Find labels of one class or nearly so, overall or in a part, copies of labels, rows of none or all.

    Parameters
    ----------
    labels : (n, q) in {0, 1}.
    label_names : q.
    splits : by seed.
    """
    counts = labels.sum(axis=0, dtype=np.int64)
    rare = np.minimum(counts, len(labels) - counts) < FEWEST
    return [
        *Finding.of(
            "labels_with_one_class",
            [{"label": label_names[j], "positives": int(counts[j])} for j in np.flatnonzero(rare).tolist()],
            of=len(counts),
        ),
        *_rare_in_parts(labels, label_names, splits, ~rare),
        *_copies(labels, label_names),
        *_rows("rows_without_labels", labels.sum(axis=1) == 0),
        *_rows("rows_with_every_label", labels.min(axis=1) == 1),
    ]


def _rare_in_parts(
    labels: Array, label_names: Sequence[str], splits: Mapping[int, Split], looked_at: Array
) -> list[Finding]:
    """Find labels that a training or a test part has fewer than `FEWEST` rows with, or without."""
    found = {}
    for part in ("train", "test"):
        rows = [getattr(split, part) for split in splits.values()]
        positives = np.array([labels[some].sum(axis=0, dtype=np.int64) for some in rows])
        sizes = np.array([len(some) for some in rows])[:, None]
        found[part] = np.minimum(positives, sizes - positives) < FEWEST
    affected = {part: some.sum(axis=0) for part, some in found.items()}
    chosen = np.flatnonzero(looked_at & (affected["train"] + affected["test"] > 0)).tolist()
    instances = [
        {
            "label": label_names[j],
            "positives": int(labels[:, j].sum()),
            "seeds_in_training": int(affected["train"][j]),
            "seeds_in_test": int(affected["test"][j]),
        }
        for j in chosen
    ]
    return Finding.of("labels_rare_in_a_part", instances, seeds=len(splits), of=labels.shape[1])


def _copies(labels: Array, label_names: Sequence[str]) -> list[Finding]:
    """Find labels that equal an earlier one or its complement; those of one class are not looked at."""
    first: dict[bytes, int] = {}
    instances = []
    for j, column in enumerate(labels.T):
        if column.min() < column.max():
            earlier = first.setdefault((column ^ column[0]).tobytes(), j)
            if earlier != j:
                complement = bool(column[0] != labels[0, earlier])
                names = {"label": label_names[j], "like": label_names[earlier]}
                instances.append({**names, "complement": complement})
    return Finding.of("duplicate_labels", instances, of=labels.shape[1])


def _rows(kind: str, chosen: Array) -> list[Finding]:
    return Finding.of(kind, [{"row": int(row)} for row in np.flatnonzero(chosen)], of=len(chosen))
