"""Feature scaling fitted on training rows, modality by modality; it knows no method."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sklearn.preprocessing import FunctionTransformer, MinMaxScaler, Normalizer, StandardScaler

from benchmark.contracts import Array, Modalities

SCALINGS = {
    "zscore": StandardScaler,
    "minmax": lambda: MinMaxScaler(clip=True),
    "l2": Normalizer,
    "none": FunctionTransformer,
}


def fit_scalers(modalities: Modalities, scaling: str) -> list[Any]:
    """Fit one scikit-learn transformer per modality (n, d_k); constant features stay finite."""
    if scaling not in SCALINGS:
        raise ValueError(f"unknown scaling {scaling!r}; choose one of {', '.join(SCALINGS)}")
    return [SCALINGS[scaling]().fit(np.asarray(x, dtype=np.float32)) for x in modalities]


def scale(scalers: Sequence[Any], modalities: Modalities) -> list[Array]:
    """Return the scaled modalities as float32."""
    if len(scalers) != len(modalities):
        raise ValueError(f"fitted on {len(scalers)} modalities, got {len(modalities)}; pass the same ones")
    return [
        np.ascontiguousarray(scaler.transform(np.asarray(x, dtype=np.float32)), dtype=np.float32)
        for scaler, x in zip(scalers, modalities, strict=True)
    ]
