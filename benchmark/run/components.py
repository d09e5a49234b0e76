"""Wide modalities become principal components of the training rows; it knows no method and no profile.

Its syntax tree is part of the hash of every record that it makes, and of no other.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from benchmark.contracts import Array, Dataset
from benchmark.run.split import split

WIDE = 1000
"""A modality of more features is cut."""


def is_wide(dims: Iterable[int]) -> bool:
    """Return whether any modality is cut."""
    return any(d > WIDE for d in dims)


def with_components(
    dataset: Dataset, seed: int, components: int, max_train_rows: int | None = None
) -> Dataset:
    """Return the data set with its wide modalities cut to principal components of one split's training rows.

    Parameters
    ----------
    dataset
        n rows, m modalities.
    seed
        The repetition, as of `run_trial`; it also starts the randomised SVD.
    components
        How many to keep; half the number of training rows, if that is less. With as many components as rows,
        scaled to one variance, all training rows are equally far from one another.
    max_train_rows
        A profile's cap.
    """
    train = split(dataset.rows_id, len(dataset.labels), seed).train[:max_train_rows]
    kept = min(components, len(train) // 2)
    return replace(
        dataset,
        modalities=tuple(
            _components(x, train, kept, seed) if x.shape[1] > WIDE else x for x in dataset.modalities
        ),
    )


def _components(features: Array, train: Array, kept: int, seed: int) -> Array:
    from sklearn.decomposition import PCA  # heavy, and this module is asked about plans too

    fitted = PCA(kept, svd_solver="randomized", random_state=seed).fit(np.asarray(features[train]))
    return np.ascontiguousarray(fitted.transform(np.asarray(features)), features.dtype)
