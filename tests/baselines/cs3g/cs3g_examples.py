"""Constructed data and a CS3G with one candidate, for its tests."""

from __future__ import annotations

import numpy as np

from baselines.cs3g.estimator import CS3G
from benchmark.contracts import Holdout


def problem(n=160, dims=(6, 4, 3), q=4, seed=0):
    """Modalities of very different scale; every label has both classes and depends on the first two."""
    rng = np.random.default_rng(seed)
    hidden = [rng.normal(size=(n, d)) for d in dims]
    z = sum(x @ rng.normal(size=(x.shape[1], q)) for x in hidden[:2])
    labels = (z + rng.normal(size=(n, q)) > 0.5).astype(np.uint8)
    labels[:, 1] |= labels[:, 0]
    return [(7.0 + 100.0 ** (k - 1) * x).astype(np.float32) for k, x in enumerate(hidden)], labels


def one(ridge=0.01, laplacian=0.0, lasso=0.0, **options):
    return CS3G(ridge_grid=(ridge,), laplacian_grid=(laplacian,), lasso_grid=(lasso,), **options)


def rows(modalities, index):
    return [x[index] for x in modalities]


def holdout_of(modalities, labels, index):
    return Holdout(tuple(rows(modalities, index)), labels[index])


FIT, HELD, TRAIN, TEST = slice(0, 90), slice(90, 120), slice(0, 120), slice(120, 160)
