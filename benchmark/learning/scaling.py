"""Feature scaling fitted on training rows, modality by modality; it knows no method."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, Normalizer, StandardScaler

from benchmark.contracts import Array, Modalities
from benchmark.inputs import SHOWN, single_precision_suffices
from benchmark.learning.saving import fitted_attributes, set_fitted_attributes

SCALINGS: Mapping[str, Any] = {
    "zscore": StandardScaler,
    "standard": StandardScaler,
    "minmax": lambda: MinMaxScaler(clip=True),
    "l2": Normalizer,
    "none": FunctionTransformer,
}
BY_COLUMN = ("zscore", "standard", "minmax")
"""Scalings that give the same numbers whatever offset and unit a column is given in."""


class LostDigitsWarning(UserWarning):
    """Columns that vary in the training rows no longer do after scaling."""


class Scaler:
    """One of scikit-learn's transformers on one modality, in the precision that the modality's digits need.

    Where single precision would lose digits of the rows that it is fitted on, all is computed in double
    precision, and a scaling `BY_COLUMN` sees each column less its first value, in a unit that is a power of
    two: so neither a large offset nor a tiny unit makes a column look constant.

    Parameters
    ----------
    scaling : one of `SCALINGS`.
    precision : float32 or float64, the type of scaled features.

    Raises
    ------
    ValueError
        For an unknown scaling.
    """

    def __init__(self, scaling: str, precision: Any = np.float32) -> None:
        if scaling not in SCALINGS:
            raise ValueError(f"unknown scaling {scaling!r}; choose one of {', '.join(SCALINGS)}")
        self.scaling, self.precision = scaling, np.dtype(precision)
        self.transformer = SCALINGS[scaling]()
        self.working = self.precision
        self.offset: Array | None = None
        self.exponent: Array | None = None

    def fit(self, features: Array, name: str) -> Self:
        """Fit on features (n, d), which messages call `name`; constant columns stay finite."""
        if not single_precision_suffices(features):
            self.working = np.dtype(np.float64)
            if self.scaling in BY_COLUMN:
                self.offset = features[0].astype(np.float64)
                self.exponent = np.zeros(features.shape[1], dtype=np.int64)
                largest = np.abs(self._moved(features)).max(axis=0)
                self.exponent = np.frexp(largest)[1].astype(np.int64)
        self.transformer.fit(self._moved(features))
        self._warn_of_lost_columns(features, name)
        return self

    def transform(self, features: Array, name: str) -> Array:
        """Return scaled features (n, d) of type `precision`.

        Raises
        ------
        ValueError
            For a value that is too large for it.
        """
        with np.errstate(over="ignore"):  # what becomes infinite is refused
            moved = self._moved(features)
            self._refuse_infinite(moved, features, name)
            scaled = np.ascontiguousarray(self.transformer.transform(moved), self.precision)
        self._refuse_infinite(scaled, features, name)
        return scaled

    def _refuse_infinite(self, scaled: Array, features: Array, name: str) -> None:
        finite = np.isfinite(scaled)
        if not finite.all():
            row, column = map(int, np.argwhere(~finite)[0])
            raise ValueError(
                f"{name} holds {features[row, column]:g} in row {row}, column {column}, infinite after "
                f"scaling={self.scaling!r} in {self.precision}; correct it, or use a smaller unit"
            )

    def state(self) -> dict[str, Any]:
        """Return what `restored` needs beside the parameters."""
        return {
            "working": self.working.name,
            "offset": self.offset,
            "exponent": self.exponent,
            "transformer": fitted_attributes(self.transformer),
        }

    def restored(self, state: Mapping[str, Any]) -> Self:
        """Become as fitted as the scaler whose state it is."""
        if state["working"] not in ("float32", "float64"):
            raise ValueError(
                f"scaling works in {state['working']!r}, which is no floating-point type of ours"
            )
        self.working = np.dtype(state["working"])
        self.offset, self.exponent = state["offset"], state["exponent"]
        set_fitted_attributes(self.transformer, state["transformer"])
        return self

    def _moved(self, features: Array) -> Array:
        moved = np.asarray(features, dtype=self.working)
        if self.offset is None or self.exponent is None:
            return moved
        # Halves, as the difference of two values may be twice as large as there are numbers.
        return np.ldexp(moved / 2 - self.offset / 2, -self.exponent)

    def _warn_of_lost_columns(self, features: Array, name: str) -> None:
        scaled = self.transform(features, name)
        varied = features.max(axis=0) > features.min(axis=0)
        lost = np.flatnonzero(varied & (scaled.max(axis=0) == scaled.min(axis=0)))
        if len(lost):
            columns = ", ".join(map(str, lost[:SHOWN])) + (", ..." if len(lost) > SHOWN else "")
            warnings.warn(
                f"{name}: {len(lost)} columns vary in the training rows and are constant after "
                f"scaling={self.scaling!r} in {self.precision} (columns {columns}); "
                "subtract an offset, use another unit, or scale by column",
                LostDigitsWarning,
                stacklevel=2,
            )


def fit_scalers(modalities: Modalities, scaling: str, precision: Any = np.float32) -> list[Scaler]:
    """Fit one scaler per modality (n, d_k)."""
    return [Scaler(scaling, precision).fit(x, f"modality {k}") for k, x in enumerate(modalities)]


def scale(scalers: Sequence[Scaler], modalities: Modalities) -> list[Array]:
    """Return the scaled modalities."""
    return [
        scaler.transform(x, f"modality {k}")
        for k, (scaler, x) in enumerate(zip(scalers, modalities, strict=True))
    ]


def restore_scalers(
    states: Sequence[Mapping[str, Any]], scaling: str, precision: Any = np.float32
) -> list[Scaler]:
    """Return the scalers whose states these are."""
    return [Scaler(scaling, precision).restored(state) for state in states]
