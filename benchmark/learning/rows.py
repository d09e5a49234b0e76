"""What is passed to a fit or a prediction, checked and as arrays; it knows no method."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.contracts import Array, Holdout
from benchmark.inputs import (
    as_features,
    as_labels,
    as_modalities,
    check_same_rows,
    column_names,
    other_columns,
    quoted,
)

Columns = tuple[tuple[str, ...] | None, ...]
"""Names of the columns of each modality, where it has such."""


def checked_modalities(modalities: Any, others: Mapping[str, Any]) -> tuple[list[Array], Columns]:
    """Return modalities as arrays, and their column names.

    Parameters
    ----------
    modalities : m array-likes (n, d_k).
    others : arrays or DataFrames by name, whose rows must be the same.

    Raises
    ------
    ValueError
        For other rows, and as `as_modalities` and `as_features` do.
    """
    raw = as_modalities(modalities)
    names = [f"modality {k}" for k in range(len(raw))]
    given = [as_features(x, name) for name, x in zip(names, raw, strict=True)]
    indexed = [with_index(x, array) for x, array in zip(raw, given, strict=True)]
    check_same_rows({**dict(zip(names, indexed, strict=True)), **others})
    return given, tuple(column_names(x) for x in raw)


def checked_holdout(
    holdout: Any,
    fitted: Sequence[Array],
    columns: Columns,
    labels: Array,
    label_names: tuple[str, ...] | None = None,
) -> Holdout:
    """Return a hold-out as arrays.

    Parameters
    ----------
    holdout : a `Holdout`, or its modalities and labels as a pair.
    fitted, columns, labels, label_names : the checked training rows that it goes with.

    Raises
    ------
    ValueError
        If it is none, or has other modalities, columns or labels than the training rows.
    """
    if isinstance(holdout, tuple) and len(holdout) == 2:
        holdout = Holdout(*holdout)
    if not isinstance(holdout, Holdout):
        of = f" of {len(holdout)}" if isinstance(holdout, tuple | list) else ""
        raise ValueError(
            f"holdout is a {type(holdout).__name__}{of}; give a pair (modalities, labels), a tuple"
        )
    name = "the hold-out's labels"
    y = as_labels(holdout.labels, name)
    try:
        given, found = checked_modalities(holdout.modalities, {name: with_index(holdout.labels, y)})
        check_same_columns(given, found, tuple(x.shape[1] for x in fitted), columns)
    except ValueError as error:
        raise ValueError(f"hold-out: {error}") from error
    if y.shape[1] != labels.shape[1]:
        raise ValueError(
            f"{name} have {y.shape[1]} columns and labels have {labels.shape[1]}; give the same labels"
        )
    named = column_names(holdout.labels)
    if other_columns(named, label_names):
        raise ValueError(
            f"{name} are {quoted(named)} and labels are {quoted(label_names)}; "
            "give the same labels in one order"
        )
    return Holdout(tuple(given), y)


def check_same_columns(
    given: Sequence[Array], columns: Columns, dims: tuple[int, ...], fitted: Columns
) -> None:
    """Refuse modalities (n, d_k) with other numbers or names of columns than those of a fit."""
    if len(given) != len(dims):
        raise ValueError(f"fitted on {len(dims)} modalities, got {len(given)}; pass the same ones")
    found = tuple(x.shape[1] for x in given)
    if found != dims:
        raise ValueError(
            f"modalities have {quoted(found)} features where the fit had {quoted(dims)}; "
            "pass the same ones, in their order"
        )
    for k, (now, before) in enumerate(zip(columns, fitted, strict=True)):
        if now is not None and before is not None and other_columns(now, before):
            first = next(j for j in range(len(now)) if now[j] != before[j])
            raise ValueError(
                f"modality {k} has the column {quoted(now[first])} where the fit had "
                f"{quoted(before[first])}; give the columns in the order of the fit"
            )


def with_index(values: Any, array: Array) -> Any:
    """Return the DataFrame that an array was made of, whose index tells rows apart, else the array."""
    return values if hasattr(values, "iloc") else array
