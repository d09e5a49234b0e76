"""Duplicates: planted ones are found with their counts and test rows, even data have none."""

from __future__ import annotations

import numpy as np
import pytest
from clean import clean_arrays

from benchmark.contracts import Split
from benchmark.data.checks.duplicates import (
    correlated_pairs,
    duplicate_rows,
    near_pairs,
    same_as_first,
    standardised,
)
from benchmark.run.split import split


def found(modalities, labels, splits=None):
    splits = splits or {seed: split("mine", len(labels), seed) for seed in range(10)}
    return {finding.kind: finding for finding in duplicate_rows(modalities, labels, splits)}


def test_equal_rows_are_counted_in_pairs_with_their_labels_and_test_rows():
    modalities, labels = clean_arrays()
    labels[:] = labels[0]
    for row in (50, 60):
        for x in modalities:
            x[row] = x[10]
    for x in modalities:
        x[299] = x[0]
    labels[299] ^= 1
    part = Split(train=np.arange(50), test=np.arange(50, 300))
    everything = found(modalities, labels, {0: part, 1: Split(train=part.test, test=part.train)})
    assert [*everything] == ["duplicate_rows"]
    finding = everything["duplicate_rows"]
    assert finding.count == 4  # three of the rows 10, 50 and 60, one of 0 and 299
    assert finding.more["rows"] == 5
    assert finding.more["same_labels"] == 3
    assert finding.more["with_one_in_training"] == (3 + 2) / 2
    assert [pair["rows"] for pair in finding.first] == [[10, 50], [10, 60], [0, 299]]


def test_rows_equal_in_one_modality_alone_are_no_duplicates():
    modalities, labels = clean_arrays()
    modalities[0][20] = modalities[0][30]
    assert found(modalities, labels) == {}


def test_minus_zero_is_zero():
    modalities, labels = clean_arrays()
    for x in modalities:
        x[1], x[:2, 0] = x[0], 0.0
    modalities[0][1, 0] = -0.0
    assert found(modalities, labels)["duplicate_rows"].count == 1


@pytest.mark.parametrize("scale", [1e-30, 1.0, 1e200])
def test_rows_with_a_little_noise_are_near(scale):
    modalities, labels = clean_arrays()
    rng = np.random.default_rng(1)
    pairs = [[5, 100], [6, 101], [7, 102]]
    for first, second in pairs:
        for x in modalities:
            x[second] = x[first] + 0.05 * rng.normal(size=x.shape[1])
    everything = found([scale * x for x in modalities], labels)
    assert [*everything] == ["near_duplicate_rows"]
    assert [pair["rows"] for pair in everything["near_duplicate_rows"].first] == pairs
    crossing = [
        np.isin(first, part.train) != np.isin(second, part.train)
        for part in (split("mine", 300, seed) for seed in range(10))
        for first, second in pairs
    ]
    assert everything["near_duplicate_rows"].more["with_one_in_training"] == sum(crossing) / 10


def test_a_copy_of_a_near_duplicate_has_it_in_training_too():
    modalities, labels = clean_arrays()
    for x in modalities:
        x[1] = x[0] + 1e-3
        x[2] = x[1]
    part = Split(train=np.array([0, *range(3, 300)]), test=np.array([1, 2]))
    everything = found(modalities, labels, {0: part})
    assert everything["near_duplicate_rows"].more["with_one_in_training"] == 2
    assert everything["duplicate_rows"].more["with_one_in_training"] == 0
    part = Split(train=np.arange(2, 300), test=np.array([0, 1]))
    everything = found(modalities, labels, {0: part})
    assert everything["near_duplicate_rows"].more["with_one_in_training"] == 1
    assert everything["duplicate_rows"].more["with_one_in_training"] == 1


def test_several_near_copies_of_one_row_hide_none():
    modalities, labels = clean_arrays()
    for row in range(1, 5):
        for x in modalities:
            x[row] = x[0] + 1e-3 * row
    assert found(modalities, labels)["near_duplicate_rows"].count == 10


EVEN = {
    "one column": lambda rng: rng.normal(size=(300, 1)),
    "two columns": lambda rng: rng.random((300, 2)),
    "many columns": lambda rng: rng.normal(size=(300, 400)),
    "few dimensions in many columns": lambda rng: rng.normal(size=(300, 4)) @ rng.normal(size=(4, 60)),
    "clusters": lambda rng: (
        5 * rng.normal(size=(15, 10))[rng.integers(15, size=300)] + rng.normal(size=(300, 10))
    ),
    "heavy tails": lambda rng: rng.standard_cauchy((300, 10)),
    "counts": lambda rng: np.unique(rng.poisson(1.0, (300, 20)), axis=0),
    "rare bits": lambda rng: np.unique(rng.random((300, 100)) < 0.08, axis=0),
    "few rows": lambda rng: rng.normal(size=(12, 5)),
}


@pytest.mark.parametrize("shape", EVEN)
def test_random_rows_are_near_one_another_in_at_most_a_few_of_a_hundred_data_sets(shape):
    """The chance is meant to be .0001 where rows lie evenly; tails, clusters and bits do not quite."""
    alarms = 0
    for seed in range(100):
        points = EVEN[shape](np.random.default_rng(seed)).astype(float)
        alarms += len(near_pairs(standardised([points], np.arange(len(points))))) > 0
    assert alarms <= (3 if shape == "rare bits" else 0)


def test_a_larger_allowed_chance_is_what_is_seen():
    alarms = [
        len(near_pairs(np.random.default_rng(seed).random((100, 3)), false_alarms=0.5)) > 0
        for seed in range(100)
    ]
    assert 5 <= sum(alarms) <= 55


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_very_few_rows_are_no_trouble(n):
    assert near_pairs(np.eye(n)).shape == (0, 2)


def test_rows_all_equally_far_are_not_near():
    assert len(near_pairs(np.eye(50))) == 0


def test_correlated_rows_are_paired_across_blocks_and_flat_ones_left_out():
    rng = np.random.default_rng(0)
    points = rng.random((1300, 64)).astype(np.float32)
    points[1200] = 3 * points[7] + 1
    points[600] = points[7] + 0.001 * rng.random(64)
    points[[20, 21]] = 0.5
    assert correlated_pairs(points, 0.99).tolist() == [[7, 600], [7, 1200], [600, 1200]]


def test_keys_lead_to_their_first_row():
    assert same_as_first([b"x", b"y", b"x", b"x"]).tolist() == [0, 1, 0, 0]
