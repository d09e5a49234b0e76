"""Says what was understood of a user's files, before it is written; it reads and prints nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from tabulate import tabulate

from benchmark.contracts import Array
from datasets.formats.importing import Imported

MOST_LABELS = 20
"""Labels that are listed in full; of more the most and the least frequent."""
ENDS = 6


def describe_import(id: str, imported: Imported) -> str:
    """Return rows, modalities, labels, what was converted and what was left out."""
    n, q = imported.labels.shape
    width = sum(x.shape[1] for x in imported.modalities.values())
    parts = [
        f"{id}: rows {n}, modalities {len(imported.modalities)}, features {width}, labels {q}",
        _modalities(imported),
        _labels(imported),
        *_lines("how it was read", imported.notes),
        *_lines("left out", imported.left_out),
    ]
    return "\n\n".join(parts)


def _modalities(imported: Imported) -> str:
    rows = [
        (name, imported.origins[name], x.shape[1], f"{x.min():.6g}", f"{x.max():.6g}", _constant(x), x.dtype)
        for name, x in imported.modalities.items()
    ]
    return _table(rows, ("modality", "from", "features", "least", "greatest", "constant", "stored as"), 2, 6)


def _constant(features: Array) -> int:
    """Return how many columns hold one value alone."""
    return int((features.min(axis=0) == features.max(axis=0)).sum())


def _labels(imported: Imported) -> str:
    n, q = imported.labels.shape
    names = imported.label_names or tuple(f"label{j}" for j in range(q))
    counts = imported.labels.sum(axis=0, dtype=np.int64)
    rows = [(names[j], counts[j], f"{counts[j] / n:.1%}") for j in range(q)]
    note = ""
    if q > MOST_LABELS:
        order = np.argsort(-counts, kind="stable")
        rows = [rows[j] for j in (*order[:ENDS], *order[-ENDS:])]
        rows.insert(ENDS, ("...", f"{q - 2 * ENDS} more", ""))
        note = ", most frequent first"
    per_row = imported.labels.sum(axis=1)
    summary = (
        f"labels per row: {per_row.mean():.3f} (cardinality), from {per_row.min()} to {per_row.max()}; "
        f"{int((per_row == 0).sum())} rows have none"
    )
    return _table(rows, (f"label{note}", "rows with it", ""), 1, 3) + "\n\n" + summary


def _lines(title: str, lines: Sequence[str]) -> list[str]:
    return ["\n".join([f"{title}:", *(f"- {line}" for line in lines)])] if lines else []


def _table(rows: Iterable[Sequence[object]], headers: Sequence[str], first: int, end: int) -> str:
    """Return a plain table whose columns from `first` to before `end` hold numbers."""
    align = ["right" if first <= k < end else "left" for k in range(len(headers))]
    return tabulate(list(rows), headers, tablefmt="simple", disable_numparse=True, colalign=align)
