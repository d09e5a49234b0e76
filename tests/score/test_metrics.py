"""The ten metrics against hand-worked cases and scikit-learn, ties and degenerate rows included."""

import time
import warnings

import numpy as np
import pytest
import sklearn
from hypothesis import given, settings
from hypothesis import strategies as st
from problems import problems
from sklearn import metrics as sk

from benchmark.score.metrics import METRICS, compute_metrics, ranks

ORDER = [
    "macro_auc",
    "micro_auc",
    "example_auc",
    "macro_f1",
    "micro_f1",
    "example_f1",
    "ranking_loss",
    "hamming_loss",
    "coverage",
    "subset_accuracy",
]


def test_order_and_directions_are_the_papers():
    assert [metric.id for metric in METRICS] == ORDER
    down = {metric.id for metric in METRICS if metric.direction == "down"}
    assert down == {"ranking_loss", "hamming_loss", "coverage"}


def test_a_case_worked_by_hand():
    labels = np.array([[1, 0, 0], [1, 1, 0]])
    scores = np.array([[0.9, 0.2, 0.4], [0.3, 0.8, 0.6]])
    predictions = np.array([[1, 0, 0], [0, 1, 1]])
    found = compute_metrics(labels, scores, predictions)
    expected = {
        # Label 0 is always relevant: skipped. Label 1: .8 > .2, area 1. Label 2 has no positive: skipped.
        "macro_auc": 1.0,
        # Positives .9 .3 .8 against negatives .2 .4 .6: 3 + 1 + 3 of 9 pairs.
        "micro_auc": 7 / 9,
        # Row 0: 1. Row 1: .8 > .6 but .3 < .6: 1/2.
        "example_auc": 0.75,
        # Label 0: TP 1, FN 1: 2/3. Label 1: 1. Label 2: TP 0, FP 1: 0.
        "macro_f1": (2 / 3 + 1 + 0) / 3,
        # TP 2, FP 1, FN 1.
        "micro_f1": 4 / 6,
        # Row 0: 1. Row 1: TP 1, FP 1, FN 1: 1/2.
        "example_f1": 0.75,
        "ranking_loss": 0.25,
        "hamming_loss": 2 / 6,
        # Row 0: 1. Row 1: its worst relevant label is last of three.
        "coverage": 2.0,
        "subset_accuracy": 0.5,
    }
    assert found == pytest.approx(expected)
    assert list(found) == ORDER


def test_hard_scores_give_the_papers_reading_of_br():
    """One label missed by 0/1 scores ties with all others: full ranking loss, last rank."""
    labels = np.array([[0, 1, 0, 0]])
    zeros = np.zeros((1, 4))
    found = compute_metrics(labels, zeros, zeros)
    assert (found["ranking_loss"], found["coverage"], found["example_auc"]) == (1.0, 4.0, 0.5)


def test_rows_without_labels_count_zero_in_loss_and_coverage_and_are_skipped_in_auc():
    labels = np.array([[0, 0], [1, 1], [1, 0]])
    scores = np.array([[0.1, 0.2], [0.6, 0.7], [0.3, 0.4]])
    found = compute_metrics(labels, scores, np.zeros((3, 2)))
    assert found["ranking_loss"] == pytest.approx(1 / 3)
    assert found["coverage"] == pytest.approx((0 + 2 + 2) / 3)
    assert found["example_auc"] == 0.0


def test_auc_is_nan_where_no_cell_defines_it():
    labels = np.ones((2, 3), np.uint8)
    found = compute_metrics(labels, np.full((2, 3), 0.5), labels)
    assert np.isnan([found["macro_auc"], found["micro_auc"], found["example_auc"]]).all()
    assert found["macro_f1"] == 1.0


def test_empty_prediction_of_an_empty_row_scores_zero_f1():
    labels = np.array([[0, 0], [1, 0]])
    found = compute_metrics(labels, labels.astype(float), labels)
    assert found["example_f1"] == 0.5
    assert found["macro_f1"] == 0.5


def oracle(labels, scores, predictions):
    """AUC by comparing all pairs (see also tests of conventions), the rest by scikit-learn."""

    def mean_auc(pairs):
        areas = [
            ((s[y == 1, None] > s[y == 0]) + 0.5 * (s[y == 1, None] == s[y == 0])).mean()
            for y, s in pairs
            if 0 < y.sum() < len(y)
        ]
        return np.mean(areas) if areas else np.nan

    def f1(average):
        return sk.f1_score(labels, predictions, average=average, zero_division=0)

    return {
        "macro_auc": mean_auc(zip(labels.T, scores.T, strict=True)),
        "micro_auc": mean_auc([(labels.ravel(), scores.ravel())]),
        "example_auc": mean_auc(zip(labels, scores, strict=True)),
        "macro_f1": f1("macro"),
        "micro_f1": f1("micro"),
        "example_f1": f1("samples"),
        "ranking_loss": sk.label_ranking_loss(labels, scores),
        "hamming_loss": sk.hamming_loss(labels, predictions),
        "coverage": sk.coverage_error(labels, scores),
        "subset_accuracy": sk.accuracy_score(labels, predictions),
    }


@settings(max_examples=150)
@given(problems)
def test_all_ten_agree_with_the_oracle_and_warn_of_nothing(problem):
    with warnings.catch_warnings(), sklearn.config_context(skip_parameter_validation=True):
        warnings.simplefilter("error")
        found = compute_metrics(*problem)
        assert found == pytest.approx(oracle(*problem), nan_ok=True)


def test_tied_scores_share_their_places():
    lowest, highest = ranks(np.array([[0.5, 0.1, 0.5, 0.9], [0.2, 0.2, 0.2, 0.1]]))
    assert lowest.tolist() == [[2, 1, 2, 4], [2, 2, 2, 1]]
    assert highest.tolist() == [[3, 1, 3, 4], [4, 4, 4, 1]]


@settings(max_examples=50)
@given(problems, st.randoms(use_true_random=False))
def test_order_of_rows_and_of_labels_does_not_matter(problem, random):
    n, q = problem[0].shape
    rows, columns = random.sample(range(n), n), random.sample(range(q), q)
    shuffled = [array[rows][:, columns] for array in problem]
    assert compute_metrics(*shuffled) == pytest.approx(compute_metrics(*problem), nan_ok=True)


@settings(max_examples=50)
@given(problems)
def test_example_auc_and_ranking_loss_add_to_one_without_ties(problem):
    """The identity that the audit of Table II rests on."""
    labels, scores, _ = problem
    labels[:, 0], labels[:, 1] = 1, 0
    untied = scores.argsort(axis=1).argsort(axis=1).astype(float)
    found = compute_metrics(labels, untied, labels)
    assert found["example_auc"] + found["ranking_loss"] == pytest.approx(1)


@pytest.mark.parametrize(
    ("labels", "scores", "predictions", "message"),
    [
        (np.eye(3), np.eye(2), np.eye(3), "share one shape"),
        (np.ones((3, 1)), np.ones((3, 1)), np.ones((3, 1)), "two labels"),
        (np.ones((0, 2)), np.ones((0, 2)), np.ones((0, 2)), "at least one row"),
        (np.eye(2), np.array([[np.nan, 0], [0, np.inf]]), np.eye(2), "2 scores are not finite"),
        (np.eye(2), np.eye(2), 2 * np.eye(2), "predictions must be 0 or 1"),
    ],
)
def test_unusable_input_is_named(labels, scores, predictions, message):
    with pytest.raises(ValueError, match=message):
        compute_metrics(labels, scores, predictions)


def test_the_largest_test_set_takes_well_under_half_a_second():
    rng = np.random.default_rng(0)
    labels = (rng.random((1500, 50)) < 0.05).astype(np.uint8)
    scores = rng.random((1500, 50)).astype(np.float32)
    seconds = []
    for _ in range(3):
        start = time.process_time()
        compute_metrics(labels, scores, labels)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.25
