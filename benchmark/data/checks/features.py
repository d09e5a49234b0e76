"""Features that say nothing, say it twice, or say a label; it knows columns alone."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.stats import rankdata

from benchmark.contracts import Array
from benchmark.data.checks.finding import FALSE_ALARMS, Finding, aucs, chance

COPY = 0.995
"""AUC of one column from which on it counts as a copy of a label."""
BLOCK = 64
"""Columns that are looked at together."""
ENOUGH = 8
"""Rows from which on chance sorts no column: 2 of 8! orders."""


@dataclass(frozen=True)
class _Columns:
    """What one pass over the columns finds."""

    names: list[str]
    constant: Array
    sorted: Array
    aucs: Array
    """(q, d)"""
    orders: list[bytes]
    """Digest of how a column orders rows, the same in reverse."""


def feature_faults(
    modalities: Sequence[Array], modality_names: Sequence[str], labels: Array, label_names: Sequence[str]
) -> list[Finding]:
    """Find constant features, such as order rows like an earlier one, count rows, or copy a label.

    Parameters
    ----------
    modalities : arrays (n, d_k).
    modality_names : one for each; features are called NAME/COLUMN, columns counted from 0.
    labels : (n, q) in {0, 1}.
    label_names : q.
    """
    columns = _pass(modalities, modality_names, labels)
    return [
        *_constant(columns),
        *_repeated(columns),
        *(_counting(columns) if len(labels) >= ENOUGH else []),
        *_copying(columns, labels, label_names),
    ]


def _pass(modalities: Sequence[Array], modality_names: Sequence[str], labels: Array) -> _Columns:
    n = len(labels)
    names, constant, sorted_, found, orders = [], [], [], [], []
    for name, x in zip(modality_names, modalities, strict=True):
        for j in range(0, x.shape[1], BLOCK):
            ranks = rankdata(x[:, j : j + BLOCK], axis=0)
            names += [f"{name}/{j + k}" for k in range(ranks.shape[1])]
            constant.append(ranks.min(axis=0) == ranks.max(axis=0))
            steps = np.diff(ranks, axis=0)
            sorted_.append((steps > 0).all(axis=0) | (steps < 0).all(axis=0))
            found.append(aucs(ranks, labels))
            twice = (2 * ranks - (n + 1)).T.astype(np.int64)  # whole numbers; turning the order round negates
            orders += [_either_way(column) for column in twice]
    return _Columns(names, np.concatenate(constant), np.concatenate(sorted_), np.hstack(found), orders)


def _either_way(order: Array) -> bytes:
    turns = np.flatnonzero(order)
    turned = -order if len(turns) and order[turns[0]] < 0 else order
    return hashlib.blake2b(turned.tobytes(), digest_size=16).digest()


def _constant(columns: _Columns) -> list[Finding]:
    names = [columns.names[j] for j in np.flatnonzero(columns.constant)]
    return Finding.of("constant_features", [{"feature": name} for name in names], of=len(columns.names))


def _repeated(columns: _Columns) -> list[Finding]:
    first: dict[bytes, str] = {}
    copies: list[dict[str, Any]] = []
    for name, order, constant in zip(columns.names, columns.orders, columns.constant, strict=True):
        if not constant and (earlier := first.setdefault(order, name)) != name:
            copies.append({"feature": name, "like": earlier})
    return Finding.of("duplicate_features", copies, of=len(columns.names))


def _counting(columns: _Columns) -> list[Finding]:
    names = [columns.names[j] for j in np.flatnonzero(columns.sorted)]
    return Finding.of("features_that_count_rows", [{"feature": name} for name in names])


def _copying(columns: _Columns, labels: Array, label_names: Sequence[str]) -> list[Finding]:
    n, q = labels.shape
    positives = labels.sum(axis=0, dtype=np.int64)
    good = np.maximum(columns.aucs, 1 - columns.aucs)
    instances = []
    for j, k in np.argwhere(good >= COPY):
        p = chance(columns.aucs[j, k], positives[j], n)
        if p * q * len(columns.names) <= FALSE_ALARMS:
            auc = float(columns.aucs[j, k])
            instances.append({"feature": columns.names[k], "label": label_names[j], "auc": round(auc, 4)})
    return Finding.of("features_that_copy_a_label", instances)
