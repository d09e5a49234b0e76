"""What features and labels must be, whoever gives them; it knows no method, no data set and no file.

Estimators, readers of files and `Dataset` all check here, so that what one of them refuses, all refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from numbers import Rational, Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmark.words import one_line

Array = NDArray[Any]

KEPT = 1e-5
"""Largest rounding error, in parts of a column's range, with which single precision is good enough."""
LARGEST_INTEGER = 2**53
"""Whole numbers beyond it are not all told apart in double precision."""
TOO_LARGE = "neighbours would become equal in double precision: subtract an offset"
LABEL_REMEDY = "map absent to 0 and present to 1"
SHOWN = 5
"""Values that a message quotes at most."""
QUOTED = 60
"""Characters of a value that it quotes at most."""


def as_modalities(values: Any) -> list[Any]:
    """Return the modalities as a list, unread.

    Raises
    ------
    ValueError
        For anything but a sequence of matrices: a single matrix would be taken for its rows.
    """
    remedy = "give a list with one matrix (n, d_k) for each modality"
    if isinstance(values, Mapping):
        raise ValueError(f"modalities are a mapping of {quoted(list(values))}; {remedy}, in order")
    if isinstance(values, str | bytes) or not isinstance(values, Iterable):
        raise ValueError(f"modalities are a {type(values).__name__}; {remedy}")
    if _is_sparse(values) or hasattr(values, "iloc") or getattr(values, "ndim", 3) != 3:
        shape = getattr(values, "shape", "unknown")
        raise ValueError(f"modalities are one {type(values).__name__} of shape {shape}; {remedy}")
    modalities = list(values)
    if not modalities:
        raise ValueError(f"there are no modalities; {remedy}")
    return modalities


def as_features(values: Any, name: str) -> Array:
    """Return a modality (n, d) as finite float32 or float64, whichever holds every value as it is given.

    Parameters
    ----------
    values : an array, or what numpy makes one of: nested lists, a DataFrame, a tensor in main memory.
    name : what messages call it.

    Raises
    ------
    ValueError
        Unless it is a dense matrix of finite real numbers with rows and columns; the message names it, and
        the row and column of the first value that is wrong.
    """
    array = _matrix_of_numbers(values, name, "features, (n, d)", "give real numbers")
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        large = (array > LARGEST_INTEGER) | (array < -LARGEST_INTEGER)
        if large.any():
            raise ValueError(
                f"{name} holds {np.count_nonzero(large)} integers beyond 2**53, the first in "
                f"{_place(_first(large), values)}; {TOO_LARGE}"
            )
    exact_in_single = np.can_cast(array.dtype, np.float32)
    with np.errstate(over="ignore"):  # of longer types than double precision
        array = array.astype(np.float32 if exact_in_single else np.float64, copy=False)
    wrong = ~np.isfinite(array)
    if wrong.any():
        raise ValueError(
            f"{name} holds {np.count_nonzero(wrong)} NaN or infinite values, the first in "
            f"{_place(_first(wrong), values)}: {array[tuple(_first(wrong))]}; fill or drop them"
        )
    return np.ascontiguousarray(array)  # sums depend on the order in memory in their last bit


def as_labels(values: Any, name: str = "labels") -> Array:
    """Return labels (n, q) as uint8 in {0, 1}.

    Parameters
    ----------
    values : as of `as_features`; booleans, 0 and 1, 0.0 and 1.0.
    name : what messages call it.

    Raises
    ------
    ValueError
        For any other value, with the values found, their number and the place of the first.
    """
    array = _matrix_of_numbers(values, name, "labels, (n, q)", LABEL_REMEDY)
    wrong = (array != 0) & (array != 1)
    if wrong.any():
        place = _first(wrong)
        found = np.unique(array)
        listed = ", ".join(map(str, found[:SHOWN])) + (", ..." if len(found) > SHOWN else "")
        raise ValueError(
            f"{name} must be 0 or 1; {np.count_nonzero(wrong)} are not, the first is {array[place]} in "
            f"{_place(place, values)} (values: {listed}); {LABEL_REMEDY}"
        )
    return array.astype(np.uint8)


def check_same_rows(given: Mapping[str, Any]) -> None:
    """Refuse arrays that cannot belong together.

    Parameters
    ----------
    given : array or DataFrame by name.

    Raises
    ------
    ValueError
        If one has another number of rows than the first, or two are pandas objects whose indices differ.
    """
    (first, reference), *others = given.items()
    for name, values in others:
        if len(values) != len(reference):
            raise ValueError(
                f"{name} has {len(values)} rows and {first} has {len(reference)}; give the same rows to both"
            )
    frames = {name: values for name, values in given.items() if hasattr(values, "iloc")}
    for name, frame in frames.items():
        top, topmost = next(iter(frames.items()))
        if not frame.index.equals(topmost.index):
            raise ValueError(
                f"{name} and {top} have equally many rows and other indices; bring the rows into one order "
                "with .loc, or pass .to_numpy() if they are"
            )


def single_precision_suffices(features: Array) -> bool:
    """Return whether float32 tells the values of each column (n, d) apart about as well as they are given.

    It does not where the largest rounding error is more than `KEPT` of the column's range: large values with
    small differences, and values that float32 cannot hold at all.
    """
    if np.can_cast(features.dtype, np.float32):
        return True
    with np.errstate(all="ignore"):
        error = np.abs(features - features.astype(np.float32)).max(axis=0, initial=0.0)
        spread = features.max(axis=0, initial=-np.inf) - features.min(axis=0, initial=np.inf)
        kept = (spread == 0) | (error <= KEPT * spread)
    return bool(np.all(kept & np.isfinite(error)))


def column_names(values: Any) -> tuple[str, ...] | None:
    """Return the names of a DataFrame's columns as text, else None."""
    if not hasattr(values, "iloc") or not hasattr(values, "columns"):
        return None
    return tuple(map(str, values.columns))


def other_columns(now: tuple[str, ...] | None, before: tuple[str, ...] | None) -> bool:
    """Return whether columns are named otherwise than before; pandas' own numbers are no names."""
    if now is None or before is None or now == before:
        return False
    numbers = tuple(map(str, range(len(before))))
    return sorted(now) == sorted(before) or numbers not in (now, before)


def quoted(value: Any) -> str:
    """Return a value as messages show it: in one line, and not whole where it is long."""
    text = one_line(repr(value)[: 10 * QUOTED])
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}..."


def _matrix_of_numbers(values: Any, name: str, what: str, remedy: str) -> Array:
    if _is_sparse(values):
        raise ValueError(f"{name} is a sparse matrix; give a dense one, as .toarray() returns")
    # Records have a mask for each field, and are refused further on.
    is_masked = np.ma.isMaskedArray(values) and values.dtype.names is None
    if is_masked and np.ma.getmaskarray(values).any():
        raise ValueError(f"{name} is a masked array with masked values; fill or drop them")
    try:
        array = np.asarray(values)
    except Exception as error:
        raise ValueError(f"{name} is no matrix of numbers ({one_line(error)}); give one") from error
    if array.ndim != 2:
        raise ValueError(f"{name} has shape {array.shape}; give a matrix of rows and {what}")
    if 0 in array.shape:
        raise ValueError(f"{name} is empty, of shape {array.shape}; give rows and columns, or leave it out")
    if array.dtype == object:
        array = _from_objects(array, name, values, remedy)
    if array.dtype.kind not in "biuf":
        raise ValueError(
            f"{name} holds values of type {array.dtype}, the first is {quoted(str(array[0, 0]))}; {remedy}"
        )
    return array.astype(array.dtype.newbyteorder("="), copy=False)


def _from_objects(array: Array, name: str, values: Any, remedy: str) -> Array:
    """Return float64 of numbers that numpy holds as objects, as DataFrames of several types give them."""
    numbers = np.empty(array.shape)
    for place, value in np.ndenumerate(array):
        is_exact = isinstance(value, Rational)  # an integer, or a fraction of such
        if is_exact and abs(value) > LARGEST_INTEGER:
            raise ValueError(
                f"{name} holds {quoted(value)}, beyond 2**53, in {_place(place, values)}; {TOO_LARGE}"
            )
        if isinstance(value, Real | np.bool_):
            numbers[place] = value
        elif value is None or type(value).__name__ in ("NAType", "NaTType"):
            numbers[place] = np.nan
        else:
            raise ValueError(
                f"{name} holds {quoted(value)}, a {type(value).__name__}, in {_place(place, values)}; "
                f"{remedy}"
            )
    return numbers


def _is_sparse(values: Any) -> bool:
    return hasattr(values, "tocsr") or getattr(values, "is_sparse", False)


def _place(place: Iterable[int], values: Any) -> str:
    row, column = map(int, place)
    names = column_names(values)
    return f"row {row}, column {column}" + (f" ({quoted(names[column])})" if names else "")


def _first(wrong: Array) -> tuple[int, ...]:
    """Return where a mask is first true; a list of all places may be larger than the array."""
    return tuple(map(int, np.unravel_index(int(wrong.argmax()), wrong.shape)))
