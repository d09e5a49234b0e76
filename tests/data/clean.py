"""Random data in which there is nothing to find, for the tests that plant faults in them."""

from __future__ import annotations

import numpy as np

from benchmark.contracts import Dataset, Provenance
from datasets.formats.arrays import data_hash


def clean_arrays(seed=0, n=300, q=6):
    """Return two modalities and labels of which each row has one to three."""
    rng = np.random.default_rng(seed)
    modalities = [rng.normal(size=(n, 12)), rng.exponential(size=(n, 5))]
    order = rng.random((n, q)).argsort(axis=1)
    labels = (order < rng.integers(1, 4, size=(n, 1))).astype(np.uint8)
    return modalities, labels


def as_dataset(modalities, labels, id="mine"):
    names = tuple("ab"[: len(modalities)])
    label_names = tuple(f"label{j}" for j in range(labels.shape[1]))
    digest = data_hash(modalities, labels)
    return Dataset(id, tuple(modalities), labels, names, label_names, Provenance.REAL, digest)
