"""Every method of the registry in a form that fits in milliseconds, and rows for it."""

from __future__ import annotations

from typing import Any

import numpy as np

from benchmark.learning.estimator import MultiModalEstimator
from benchmark.registry import discover

SMALL: dict[str, Any] = {
    "epochs": 1,
    "hidden": 4,
    "batch_size": 16,
    "selection": "last",
    "ridge_grid": (0.1,),
    "laplacian_grid": (0.0,),
    "lasso_grid": (0.0,),
}
METHODS = sorted({spec.estimator for spec in discover().methods.values()}, key=lambda method: method.__name__)
N, DIMS, Q = 30, (3, 2), 3


def small(method: type, **options: Any) -> MultiModalEstimator:
    """Return an estimator of the class with those of `SMALL` that it takes."""
    taken = method().get_params(deep=False)
    return method(**{name: value for name, value in {**SMALL, **options}.items() if name in taken})


def rows(n: int = N, dims: tuple[int, ...] = DIMS, q: int = Q, seed: int = 0):
    """Return modalities (n, d_k) and labels (n, q); no label is constant in more than a few rows."""
    generator = np.random.default_rng(seed)
    modalities = [np.round(generator.normal(size=(n, d)) * 2**10) / 2**10 for d in dims]
    return modalities, ((np.arange(n)[:, None] + np.arange(q)) % 3 == 0).astype(np.uint8)
