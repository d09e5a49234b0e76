"""What decoding looked like, small enough to be kept: orders, attention, W_co, losses; it knows arrays alone.

Records hold it by instance; a reference and a page need averages. `LOSS_POINTS` and half precision keep the
file of a data set with 50 labels below 200 KB.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from benchmark.contracts import Array
from benchmark.files import write_bytes

LOSS_POINTS = 60
"""Epochs of which the training loss is kept: the first, the last, and others evenly between them."""
STORED = np.float16
"""Three digits, enough for a picture; nothing is computed from it."""

NEEDED = frozenset(("orders", "attention", "loss_history", "labels", "train_phi"))
"""Arrays of a record that decodes step by step."""

Pair = tuple[str, str]
"""Data set and method."""


@dataclass(frozen=True)
class Traces:
    """Of one method on one data set: s seeds, m modalities and steps, q labels; nan: there is nothing."""

    seeds: Array
    """(s,)."""
    reading: Array
    """(m, m): share of test rows that read modality k (second axis) at step t (first), mean over seeds."""
    reading_by_label: Array
    """(q, m, m): the same of the rows that have label j."""
    attention: Array
    """(m, m): weight alpha_tk of (6) at step t on modality k, mean over rows and seeds."""
    attention_by_label: Array
    """(q, m, m)."""
    w_co: Array
    """(s, q, q): entry (i, j) is the effect of label i on label j, (11). Empty where the method has none."""
    phi: Array
    """(q, q): phi coefficients of the training labels, mean over seeds."""
    loss: Array
    """(s, points): training loss; nan where a seed had stopped."""
    epochs: Array
    """(points,): the epochs, from 1, of `loss`."""


def trace_of(arrays: Mapping[str, Array], seed: int) -> Traces | None:
    """Average the decoding of one record's test rows; None where a method's trace lacks one of `NEEDED`."""
    if not NEEDED.issubset(arrays):
        return None
    orders, labels, attention = arrays["orders"], arrays["labels"], arrays["attention"]
    n, m = orders.shape
    read = np.zeros((n, m, m))  # instance, step, modality
    np.put_along_axis(read, orders[:, :, None].astype(np.int64), 1.0, axis=2)
    loss = arrays["loss_history"]
    epochs = np.unique(np.linspace(1, len(loss), min(LOSS_POINTS, len(loss))).round().astype(int))
    q = labels.shape[1]
    return Traces(
        seeds=np.array([seed]),
        reading=read.mean(axis=0),
        reading_by_label=_by_label(read, labels),
        attention=attention.mean(axis=0),
        attention_by_label=_by_label(attention, labels),
        w_co=arrays["w_co"][None] if "w_co" in arrays else np.empty((0, q, q)),
        phi=arrays["train_phi"],
        loss=loss[epochs - 1][None],
        epochs=epochs,
    )


def _by_label(of_rows: Array, labels: Array) -> Array:
    """Average (n, m, m) over the rows that have each label; nan for a label of no row."""
    count = labels.sum(axis=0, dtype=np.float64)
    total = np.einsum("nq,ntk->qtk", labels.astype(np.float64), of_rows)
    return np.divide(
        total, count[:, None, None], out=np.full(total.shape, np.nan), where=count[:, None, None] > 0
    )


def joined(traces: Sequence[Traces]) -> Traces:
    """Join the traces of several seeds: one entry a seed of W_co and losses, means of all else."""
    epochs = np.unique(np.concatenate([one.epochs for one in traces]))
    loss = np.full((len(traces), len(epochs)), np.nan)
    for row, one in zip(loss, traces, strict=True):
        row[np.searchsorted(epochs, one.epochs)] = one.loss[0]
    if len(epochs) > LOSS_POINTS:
        kept = np.unique(np.linspace(0, len(epochs) - 1, LOSS_POINTS).round().astype(int))
        epochs, loss = epochs[kept], loss[:, kept]
    means = {
        name: _mean([getattr(one, name) for one in traces])
        for name in ("reading", "reading_by_label", "attention", "attention_by_label", "phi")
    }
    return Traces(
        seeds=np.concatenate([one.seeds for one in traces]),
        w_co=np.concatenate([one.w_co for one in traces]),
        loss=loss,
        epochs=epochs,
        **means,
    )


def _mean(arrays: Sequence[Array]) -> Array:
    """Average over seeds what is defined; nan where it is for none."""
    stacked = np.stack(arrays)
    defined = np.isfinite(stacked)
    count = defined.sum(axis=0)
    total = np.where(defined, stacked, 0.0).sum(axis=0)
    return np.divide(total, count, out=np.full(count.shape, np.nan), where=count > 0)


def write_traces(path: Path, traces: Mapping[Pair, Traces]) -> None:
    """Write traces of one data set; the same traces give the same bytes."""
    arrays = {
        f"{method}/{field.name}": getattr(one, field.name)
        for (_, method), one in traces.items()
        for field in fields(Traces)
    }
    content = io.BytesIO()
    np.savez_compressed(
        content, allow_pickle=False, **{name: _stored(name, array) for name, array in arrays.items()}
    )
    write_bytes(path, content.getvalue())


def _stored(name: str, array: Array) -> Array:
    """Round to what is kept; a sum of losses can be beyond half precision."""
    if array.dtype.kind in "iu":
        return array
    return array.astype(np.float32 if name.endswith("/loss") else STORED)


def read_traces(path: Path, dataset: str) -> dict[Pair, Traces]:
    """Read what `write_traces` wrote.

    Raises
    ------
    OSError, ValueError, KeyError
        If it cannot be read or lacks an array.
    """
    with np.load(path, allow_pickle=False) as archive:
        methods = dict.fromkeys(name.rpartition("/")[0] for name in archive.files)
        return {
            (dataset, method): Traces(
                **{field.name: archive[f"{method}/{field.name}"] for field in fields(Traces)}
            )
            for method in methods
        }


def by_pair(found: Iterable[tuple[Pair, Traces | None]]) -> dict[Pair, Traces]:
    """Join the traces of each data set and method, in the order in which these come."""
    groups: dict[Pair, list[Traces]] = {}
    for pair, one in found:
        if one is not None:
            groups.setdefault(pair, []).append(one)
    return {pair: joined(group) for pair, group in groups.items()}
