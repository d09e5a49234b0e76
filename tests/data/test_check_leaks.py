"""Leaks by row order and by files: planted ones are found, shuffled labels give none."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from clean import clean_arrays

from benchmark.data.checks.leaks import _few_runs, file_leaks, order_leaks

NAMES = [f"label{j}" for j in range(6)]


def found(findings):
    return {finding.kind: finding for finding in findings}


def test_sorted_labels_are_found_by_number_and_by_neighbours():
    _, labels = clean_arrays()
    labels[:, 2] = np.arange(300) >= 200
    everything = found(order_leaks(labels, NAMES))
    assert list(everything["row_number_predicts_label"].first) == [{"label": "label2", "auc": 1.0}]
    (instance,) = everything["neighbouring_rows_share_label"].first
    assert instance["runs"] == 1
    assert instance["share"] == round(298 / 299, 3)
    assert instance["expected_share"] == round(1 - 2 * 200 * 100 / (300 * 299), 3)


def test_blocks_that_come_again_are_found_by_neighbours_alone():
    _, labels = clean_arrays()
    labels[:, 4] = np.arange(300) // 6 % 2
    everything = found(order_leaks(labels, NAMES))
    assert [*everything] == ["neighbouring_rows_share_label"]
    assert everything["neighbouring_rows_share_label"].first[0]["runs"] == 25


def test_the_chance_of_few_runs_is_that_of_all_orders():
    """Of the 56 ways to place three positives among eight rows six make one run."""
    runs = []
    for rows in combinations(range(8), 3):
        label = np.zeros(8, dtype=np.uint8)
        label[list(rows)] = 1
        runs.append(_few_runs(label, 6 / 56 + 1e-9).get("runs"))
    assert runs.count(1) == 6
    assert runs.count(None) == 50
    assert _few_runs(np.array([1, 1, 1, 0, 0, 0, 0, 0], dtype=np.uint8), 6 / 56 - 1e-9) == {}


@pytest.mark.parametrize("value", [0, 1])
def test_labels_of_one_class_have_no_order(value):
    assert order_leaks(np.full((50, 6), value, dtype=np.uint8), NAMES) == []


def test_two_rows_that_happen_to_stand_together_are_no_finding():
    labels = np.zeros((2000, 1), dtype=np.uint8)
    labels[[30, 31, 1500]] = 1
    assert order_leaks(labels, ["rare"]) == []


def test_a_measure_that_predicts_a_label_is_found_with_its_auc():
    _, labels = clean_arrays()
    rng = np.random.default_rng(0)
    measures = {"width": rng.random(300), "bytes": labels[:, 3] + rng.normal(size=300)}
    (finding,) = file_leaks(measures, labels, NAMES)
    (instance,) = [x for x in finding.first if x["label"] == "label3"]
    assert finding.count == 1
    assert instance["auc"].keys() == {"bytes", "together"}
    assert 0.7 < instance["auc"]["bytes"] < 0.85


def test_measures_that_predict_only_together_are_found():
    _, labels = clean_arrays(n=600)
    rng = np.random.default_rng(0)
    width, height = rng.random(600), rng.random(600)
    labels[:, 0] = (width > 0.5) ^ (height > 0.5)
    (finding,) = file_leaks({"width": width, "height": height}, labels, NAMES)
    assert [*finding.first[0]["auc"]] == ["together"]
    assert finding.first[0]["auc"]["together"] > 0.9


def test_one_measure_that_is_the_same_for_all_predicts_nothing():
    assert file_leaks({"width": np.full(300, 256.0)}, clean_arrays()[1], NAMES) == []


def test_many_labels_are_many_chances():
    """Without allowing for that, one in a thousand of these 4000 would be found."""
    for seed in range(20):
        labels = (np.random.default_rng(seed).random((300, 200)) < 0.2).astype(np.uint8)
        assert order_leaks(labels, [str(j) for j in range(200)]) == []


def test_shuffled_labels_are_not_predicted():
    alarms = 0
    for seed in range(100):
        _, labels = clean_arrays(seed)
        alarms += bool(order_leaks(labels, NAMES))
    assert alarms <= 1
    for seed in range(5):
        _, labels = clean_arrays(seed)
        rng = np.random.default_rng(seed)
        assert file_leaks({"width": rng.random(300), "bytes": rng.random(300)}, labels, NAMES) == []
