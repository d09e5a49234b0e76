"""Runs every check on a data set and what is known of its files; it reads nothing and makes no words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.contracts import Array, Dataset
from benchmark.data.checks.duplicates import alike, correlated_pairs, duplicate_rows, repeated, same_as_first
from benchmark.data.checks.features import feature_faults
from benchmark.data.checks.finding import Finding
from benchmark.data.checks.labels import label_faults
from benchmark.data.checks.leaks import file_leaks, order_leaks
from benchmark.run.split import split

SEEDS = range(10)
"""Those of the paper, by whose splits rows are training or test rows."""
SAME_IMAGE = 0.99
"""Correlation of two thumbnails from which on their images count as nearly the same."""


@dataclass(frozen=True)
class Files:
    """What is known of the files that the rows were made of."""

    names: tuple[str, ...]
    """One for each row; empty where a table alone was given."""
    measures: Mapping[str, Array]
    """Arrays (n,) by name."""
    digests: tuple[str, ...] = ()
    """Of each file's content."""
    thumbnails: Array | None = None
    """Small grey images (n, pixels); None where files are no images."""


def check(dataset: Dataset, files: Files | None = None) -> list[Finding]:
    """Return what was found, an empty list where nothing was."""
    labels, label_names = dataset.labels, dataset.label_names
    splits = {seed: split(dataset.rows_id, len(labels), seed) for seed in SEEDS}
    findings = [
        *duplicate_rows(dataset.modalities, labels, splits),
        *feature_faults(dataset.modalities, dataset.modality_names, labels, label_names),
        *order_leaks(labels, label_names),
        *label_faults(labels, label_names, splits),
    ]
    if files is None:
        return findings
    if files.digests:
        findings += repeated("identical_files", same_as_first(files.digests), labels, splits)
    if files.thumbnails is not None:
        pairs = correlated_pairs(files.thumbnails, SAME_IMAGE)
        findings += alike("near_duplicate_images", pairs, np.arange(len(labels)), labels, splits)
    return findings + file_leaks(files.measures, labels, label_names)
