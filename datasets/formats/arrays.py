"""What arrays of a data set must be, whatever file they come from; it must not know any data set by name."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmark import inputs
from benchmark.contracts import Array
from datasets.formats.files import refusal

COLUMNS = 16
"""How many are looked at together."""


def data_hash(modalities: Sequence[Array], labels: Array) -> str:
    """Return the SHA-256 over shapes, dtypes and bytes (C order) of modalities and labels."""
    digest = hashlib.sha256()
    for array in (*modalities, labels):
        digest.update(f"{array.dtype.str}{array.shape};".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def as_features(stored: Array, origin: Path) -> Array:
    """Return one modality as read-only float32 `(N, d_k)`, or float64 where float32 would lose its digits.

    Raises
    ------
    DataError
        For what `benchmark.inputs.as_features` refuses, such as a value that is not finite.
    """
    try:
        features = inputs.as_features(stored, origin.name)
    except ValueError as error:
        found, _, remedy = str(error).rpartition("; ")
        raise refusal(origin, "finite real numbers", found, remedy) from error
    # Block by block, so that memory for the comparison stays small.
    blocks = (features[:, j : j + COLUMNS] for j in range(0, features.shape[1], COLUMNS))
    single = all(map(inputs.single_precision_suffices, blocks))
    features = np.ascontiguousarray(features, dtype="<f4" if single else "<f8")
    features.setflags(write=False)
    return features


def as_labels(stored: Array, origin: Path) -> Array:
    """Return labels as read-only uint8 `(N, q)`; a value other than 0 and 1 raises DataError."""
    try:
        labels = inputs.as_labels(stored, origin.name)
    except ValueError as error:
        found, _, remedy = str(error).rpartition("; ")
        raise refusal(origin, "labels 0 and 1 only", found, remedy) from error
    labels = np.ascontiguousarray(labels)
    labels.setflags(write=False)
    return labels
