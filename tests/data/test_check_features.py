"""Features without, with repeated and with too much to say: planted ones are found, random ones are not."""

from __future__ import annotations

import math

import numpy as np
import pytest
from clean import clean_arrays
from scipy.stats import mannwhitneyu, rankdata
from sklearn.metrics import roc_auc_score

from benchmark.data.checks.features import feature_faults
from benchmark.data.checks.finding import aucs, chance


def found(modalities, labels):
    label_names = [f"label{j}" for j in range(labels.shape[1])]
    return {f.kind: f for f in feature_faults(modalities, ["a", "b"], labels, label_names)}


def test_constant_features_are_named():
    modalities, labels = clean_arrays()
    modalities[0][:, 3], modalities[1][:, [0, 4]] = 7.0, -1e9
    everything = found(modalities, labels)
    assert [*everything] == ["constant_features"]
    assert everything["constant_features"].count == 3
    assert [x["feature"] for x in everything["constant_features"].first] == ["a/3", "b/0", "b/4"]


def test_copies_are_found_across_modalities_scaled_reversed_and_monotone():
    modalities, labels = clean_arrays()
    modalities[0][:, 1] = -2.54 * modalities[0][:, 0]
    modalities[1][:, 0] = np.exp(modalities[0][:, 0])
    modalities[1][:, 2] = modalities[1][:, 1]
    everything = found(modalities, labels)
    assert [*everything] == ["duplicate_features"]
    assert list(everything["duplicate_features"].first) == [
        {"feature": "a/1", "like": "a/0"},
        {"feature": "b/0", "like": "a/0"},
        {"feature": "b/2", "like": "b/1"},
    ]


def test_a_feature_that_counts_rows_is_found_either_way():
    modalities, labels = clean_arrays()
    modalities[0][:, 2], modalities[1][:, 1] = np.arange(300) ** 2, -np.arange(300.0)
    everything = found(modalities, labels)
    assert everything["features_that_count_rows"].count == 2


@pytest.mark.parametrize("turn", [1, -1])
def test_a_label_in_a_column_is_found_whole_shifted_or_nearly(turn):
    modalities, labels = clean_arrays()
    rng = np.random.default_rng(0)
    modalities[0][:, 5] = turn * labels[:, 2].astype(float)
    modalities[1][:, 0] = turn * (10.0 * labels[:, 4] + rng.random(300))
    wrong = labels[:, 1].copy()
    wrong[[0]] ^= 1
    modalities[1][:, 3] = turn * wrong.astype(float)
    everything = found(modalities, labels)
    assert [*everything] == ["features_that_copy_a_label"]
    instances = everything["features_that_copy_a_label"].first
    assert [(x["feature"], x["label"]) for x in instances] == [
        ("b/3", "label1"),
        ("a/5", "label2"),
        ("b/0", "label4"),
    ]
    assert all(x["auc"] > 0.995 if turn == 1 else x["auc"] < 0.005 for x in instances)


def test_a_rare_label_needs_more_than_a_lucky_column():
    """Of 17 columns one puts two rows first more often than one in a thousand times, and five rows never."""
    modalities, labels = clean_arrays(n=60)
    labels[:, 0] = 0
    labels[[3, 9], 0] = 1
    modalities[0][:, 0] = labels[:, 0] + 0.1 * np.random.default_rng(0).random(60)
    assert found(modalities, labels) == {}
    labels[:, 0] = 0
    labels[[3, 9, 12, 30, 44], 0] = 1
    modalities[0][:, 0] = labels[:, 0] + 0.1 * np.random.default_rng(0).random(60)
    assert found(modalities, labels)["features_that_copy_a_label"].count == 1


def test_random_columns_copy_no_label_however_rare():
    alarms = 0
    for seed in range(100):
        rng = np.random.default_rng(seed)
        labels = (rng.random((100, 8)) < [0.01, 0.02, 0.03, 0.05, 0.1, 0.3, 0.5, 0.97]).astype(np.uint8)
        alarms += bool(
            found([rng.normal(size=(100, 150)), rng.poisson(0.1, (100, 50))], labels).keys() & COPIES
        )
    assert alarms <= 1


COPIES = {"features_that_copy_a_label"}


def test_auc_is_that_of_scikit_learn_and_nan_for_one_class():
    modalities, labels = clean_arrays()
    x = np.round(modalities[0], 1)
    labels[:, 5] = 1
    ours = aucs(rankdata(x, axis=0), labels)
    theirs = [[roc_auc_score(labels[:, j], x[:, k]) for k in range(12)] for j in range(5)]
    np.testing.assert_allclose(ours[:5], theirs, rtol=1e-12)
    assert np.isnan(ours[5]).all()


@pytest.mark.parametrize(("n", "positives"), [(10, 2), (12, 6), (20, 3), (30, 28), (40, 5)])
def test_the_chance_is_at_least_that_of_the_exact_test(n, positives):
    for wrong in range(0, positives * (n - positives) // 4):
        # Scores of the negatives lie at whole numbers; the lowest positive stands above some of them.
        below, rest = divmod(wrong, positives)
        negatives = np.arange(n - positives, dtype=float)
        scores = np.full(positives, n - positives - below - 0.5)
        scores[:rest] -= 1
        scores += np.arange(positives) * 1e-3
        exact = mannwhitneyu(scores, negatives, method="exact").pvalue
        auc = 1 - wrong / (positives * (n - positives))
        ours = float(chance(np.array(auc), np.array(positives), n))
        assert ours >= exact * 0.98 or exact > 0.01
        assert ours == pytest.approx(float(chance(np.array(1 - auc), np.array(positives), n)))


def test_the_chance_for_a_frequent_label_is_that_of_the_normal_test():
    """AUC .55 of 1000 positives among 2000 rows is 3.87 deviations from .5."""
    assert float(chance(np.array(0.55), np.array(1000), 2000)) == pytest.approx(1.08e-4, rel=0.01)


def test_a_perfect_rare_label_has_the_chance_of_counting():
    assert float(chance(np.array(1.0), np.array(3), 50)) == pytest.approx(2 / math.comb(50, 3))
