"""Each library's rules: scikit-learn itself, worked cases and plain loops for the others, what they share."""

import warnings

import numpy as np
import pytest
import sklearn
from hypothesis import assume, given, settings
from problems import problems
from sklearn import metrics as sk

from benchmark.score.conventions import (
    CONVENTIONS,
    LAMDA,
    LIBMULTILABEL,
    MULAN,
    SKLEARN,
    SUITE,
    TORCHMETRICS,
    metrics_under,
)
from benchmark.score.metrics import compute_metrics


def untied(scores):
    """Keep the order of scores and part the ties."""
    return scores.ravel().argsort(kind="stable").argsort().reshape(scores.shape) / scores.size


@settings(max_examples=100)
@given(problems)
def test_the_suites_convention_is_that_of_the_tables(problem):
    assert metrics_under(SUITE, *problem) == pytest.approx(compute_metrics(*problem), nan_ok=True)


@settings(max_examples=100)
@given(problems)
def test_scikit_learn_agrees_with_scikit_learn(problem):
    labels, scores, _ = problem

    def auc(average):
        try:
            with warnings.catch_warnings(), sklearn.config_context(skip_parameter_validation=True):
                warnings.simplefilter("ignore")
                return sk.roc_auc_score(labels, scores, average=average)
        except ValueError:  # what versions before 1.8 say instead of nan
            return np.nan

    # All others are the suite's, which tests of the metrics hold against scikit-learn.
    expected = compute_metrics(*problem) | {
        "macro_auc": auc("macro"),
        "micro_auc": auc("micro"),
        "example_auc": auc("samples"),
    }
    assert metrics_under(SKLEARN, *problem) == pytest.approx(expected, nan_ok=True)


TIED = np.array([[0.5, 0.5, 0.5, 0.1]])
"""Ascending with ties in their order: label 3, then 0, 1, 2; label 2 stands first."""


@pytest.mark.parametrize(
    ("labels", "loss", "depth"),
    [
        # Relevant in second place from the bottom: two irrelevant ones above it, one below.
        ([1, 0, 0, 0], 2 / 3, 2),
        ([0, 1, 0, 0], 1 / 3, 1),
        ([0, 0, 1, 0], 0, 0),
        ([1, 0, 1, 0], 1 / 4, 2),
    ],
)
@pytest.mark.parametrize("convention", [MULAN, LAMDA])
def test_tied_labels_stand_in_their_order_the_later_one_higher(convention, labels, loss, depth):
    found = metrics_under(convention, np.array([labels]), TIED, np.array([labels]))
    assert found["ranking_loss"] == pytest.approx(loss)
    assert found["coverage"] == depth
    assert metrics_under(SKLEARN, np.array([labels]), TIED, np.array([labels]))["coverage"] == 3


def test_auc_counts_ties_half_but_by_position_with_lamda():
    labels = np.array([[1, 0, 0, 0]])
    suite, lamda = (metrics_under(c, labels, TIED, labels)["example_auc"] for c in (SUITE, LAMDA))
    assert (suite, lamda) == pytest.approx((2 / 3, 1 / 3))
    # Down the column: of three equal scores the last row stands highest.
    column = np.array([[1, 0], [0, 1], [1, 0]])
    equal = np.full((3, 2), 0.5)
    assert metrics_under(LAMDA, column, equal, column)["macro_auc"] == pytest.approx((1 / 2 + 1 / 2) / 2)
    # Over the whole table, read row by row: 1 0 0 1 1 0 ascending; positives stand above 0, 2 and 2 of three.
    assert metrics_under(LAMDA, column, equal, column)["micro_auc"] == pytest.approx(4 / 9)
    assert metrics_under(MULAN, column, equal, column)["micro_auc"] == 0.5


def test_rows_without_and_with_all_labels():
    labels = np.array([[0, 0, 0], [1, 1, 1], [1, 0, 0]])
    scores = np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3], [0.3, 0.2, 0.4]])
    predictions = np.ones_like(labels)
    suite, sklearn, mulan, lamda = (
        metrics_under(c, labels, scores, predictions) for c in (SUITE, SKLEARN, MULAN, LAMDA)
    )
    # Third row: one of two irrelevant labels stands higher; its relevant label is in second place.
    assert [m["ranking_loss"] for m in (suite, sklearn, mulan, lamda)] == pytest.approx(
        [1 / 6, 1 / 6, 1 / 6, 1 / 2]
    )
    assert suite["coverage"] == sklearn["coverage"] == pytest.approx((0 + 3 + 2) / 3)
    assert mulan["coverage"] == pytest.approx((0 + 2 + 1) / 3)
    # LAMDA's loop never finds a relevant label in the first row and stays at the last place.
    assert lamda["coverage"] == pytest.approx((2 + 2 + 1) / 3)
    assert (suite["example_auc"], lamda["example_auc"]) == (0.5, 0.5)
    assert np.isnan([sklearn["example_auc"], mulan["example_auc"]]).all()


def test_a_label_with_one_class():
    labels = np.array([[1, 0], [1, 1]])
    scores = np.array([[0.1, 0.2], [0.2, 0.3]])
    found = {name: metrics_under(c, labels, scores, labels)["macro_auc"] for name, c in CONVENTIONS.items()}
    undefined = dict.fromkeys(("sklearn", "mulan", "libmultilabel"), np.nan)
    assert found == pytest.approx({"suite": 1, "lamda": 1, "torchmetrics": 1 / 2, **undefined}, nan_ok=True)


def test_where_every_label_has_one_class_torchmetrics_alone_gives_an_area():
    labels = np.array([[1, 1], [1, 1]])
    scores = np.array([[0.1, 0.2], [0.2, 0.3]])
    for name in ("macro_auc", "micro_auc"):
        assert metrics_under(TORCHMETRICS, labels, scores, labels)[name] == 0
        assert np.isnan(metrics_under(SUITE, labels, scores, labels)[name])


def test_f1_of_what_is_neither_there_nor_predicted():
    labels = np.array([[0, 0, 1], [0, 1, 1]])
    predictions = np.array([[0, 1, 1], [0, 0, 1]])
    scores = predictions + 0.1 * labels
    suite, mulan, lamda = (metrics_under(c, labels, scores, predictions) for c in (SUITE, MULAN, LAMDA))
    # Label 0: nothing. Label 1: one missed, one wrong. Label 2: right twice.
    assert suite["macro_f1"] == pytest.approx((0 + 0 + 1) / 3)
    assert mulan["macro_f1"] == pytest.approx((1 + 0 + 1) / 3)
    assert np.isnan(lamda["macro_f1"])
    # Every row has a true and a predicted label: TP 1 and one error each.
    assert suite["example_f1"] == mulan["example_f1"] == lamda["example_f1"] == pytest.approx(2 / 3)
    assert suite["micro_f1"] == lamda["micro_f1"] == pytest.approx(4 / 6)


def test_lamda_fails_where_a_row_predicts_nothing():
    labels = np.array([[1, 0], [1, 0]])
    predictions = np.array([[0, 0], [1, 0]])
    assert np.isnan(metrics_under(LAMDA, labels, labels * 0.5, predictions)["example_f1"])
    assert metrics_under(MULAN, labels, labels * 0.5, predictions)["example_f1"] == 0.5


def test_only_equal_scores_tie_with_mulan_on_current_weka():
    """Old sources of Weka tie scores within 1e-6, and would put label 0 behind all others (coverage 3)."""
    assert "Weka 3.9.3 to 3.9.7" in MULAN.heading
    scores = np.array([[9e-7, 6e-7, 0.0, 12e-7], [0.5, 0.5 + 9e-7, 0.5, 0.5]])
    labels = np.array([[1, 0, 0, 0], [0, 1, 0, 0]])
    found = metrics_under(MULAN, labels, scores, labels)
    # First row: only label 3 stands above label 0. Second row: label 1 stands above the three that tie.
    assert found["coverage"] == (1 + 0) / 2
    assert found["ranking_loss"] == pytest.approx((1 / 3 + 0) / 2)


def test_torchmetrics_breaks_ties_by_position_in_ranking_loss_alone():
    labels = np.array([[0, 1, 0, 0]])
    found, suite = (metrics_under(c, labels, TIED, labels) for c in (TORCHMETRICS, SUITE))
    # Labels 0, 1 and 2 tie: label 2 stands above label 1, label 0 below it.
    assert (found["ranking_loss"], suite["ranking_loss"]) == pytest.approx((1 / 3, 2 / 3))
    assert found["coverage"] == suite["coverage"] == 3


def test_libmultilabel_has_two_metrics_of_scores_above_0():
    labels = np.array([[1, 0, 0], [1, 1, 0]])
    scores = np.array([[0.9, 0.2, 0.0], [0.4, 0.0, 0.0]])
    predictions = (scores > 0.5).astype(int)
    found = metrics_under(LIBMULTILABEL, labels, scores, predictions)
    # Label 0: right twice. Label 1: one wrong, one missed. Label 2: nothing, which counts 0.
    assert found.pop("macro_f1") == pytest.approx((1 + 0 + 0) / 3)
    assert found.pop("micro_f1") == pytest.approx(2 * 2 / (2 * 2 + 1 + 1))
    assert np.isnan(list(found.values())).all()
    hard = metrics_under(LIBMULTILABEL, labels, predictions, predictions)
    assert hard["macro_f1"] == metrics_under(SUITE, labels, scores, predictions)["macro_f1"]


def loops(labels, scores, skip, last):
    """Ranking loss and zero-based coverage, ties by position, as loops over rows and pairs."""
    losses, depths = [], []
    for y, s in zip(labels, scores, strict=True):
        ascending = sorted(range(len(s)), key=lambda j: (s[j], j))
        place = {label: len(s) - k for k, label in enumerate(ascending)}
        relevant = [j for j in range(len(s)) if y[j]]
        others = [j for j in range(len(s)) if not y[j]]
        wrong = sum(place[i] > place[j] for i in relevant for j in others)
        if relevant and others:
            losses.append(wrong / (len(relevant) * len(others)))
        elif not skip:
            losses.append(0)
        depths.append(max((place[j] for j in relevant), default=len(s) if last else 1) - 1)
    return {"ranking_loss": np.mean(losses) if losses else np.nan, "coverage": np.mean(depths)}


@settings(max_examples=100)
@given(problems)
def test_losses_by_position_agree_with_loops(problem):
    labels, scores, _ = problem
    for convention, skip, last in ((MULAN, False, False), (LAMDA, True, True)):
        found = metrics_under(convention, *problem)
        expected = loops(labels, scores, skip, last)
        assert {name: found[name] for name in expected} == pytest.approx(expected, nan_ok=True)


@settings(max_examples=100)
@given(problems)
def test_without_ties_and_one_class_units_conventions_differ_in_coverages_start_alone(problem):
    labels, scores, _ = problem
    n = len(labels)
    assume(n > 1)
    labels[:, 0], labels[:, 1] = np.arange(n) % 2, (np.arange(n) + 1) % 2
    labels[:, 2:] = labels[:, :1]  # no row and no label has one class
    predictions = labels.copy()
    scores = untied(scores)
    suite = metrics_under(SUITE, labels, scores, predictions)
    for convention in (SKLEARN, MULAN, LAMDA, TORCHMETRICS):
        found = metrics_under(convention, labels, scores, predictions)
        expected = {**suite, "coverage": suite["coverage"] - (1 - convention.coverage_start)}
        assert found == pytest.approx(expected | dict.fromkeys(convention.lacks, np.nan), nan_ok=True)


@settings(max_examples=50)
@given(problems)
def test_ties_broken_by_position_never_cost_more_than_full_errors(problem):
    suite, mulan = (metrics_under(c, *problem) for c in (SUITE, MULAN))
    assert mulan["ranking_loss"] <= suite["ranking_loss"] + 1e-12
    labelled = problem[0].any(axis=1).mean()
    assert mulan["coverage"] <= suite["coverage"] - labelled + 1e-12


@settings(max_examples=50)
@given(problems)
def test_lamdas_auc_and_ranking_loss_always_sum_to_one(problem):
    found = metrics_under(LAMDA, *problem)
    assume(not np.isnan(found["example_auc"]))
    assert found["example_auc"] + found["ranking_loss"] == pytest.approx(1)


@settings(max_examples=50)
@given(problems)
def test_nothing_warns_and_two_metrics_are_the_same_everywhere(problem):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = {c: metrics_under(c, *problem) for c in CONVENTIONS.values()}
    for name in ("hamming_loss", "subset_accuracy"):
        assert len({values[name] for c, values in found.items() if name not in c.lacks}) == 1


@pytest.mark.parametrize("convention", CONVENTIONS.values(), ids=CONVENTIONS)
def test_unusable_input_is_refused(convention):
    with pytest.raises(ValueError, match="scores are not finite"):
        metrics_under(convention, np.eye(2), np.full((2, 2), np.nan), np.eye(2))
    with pytest.raises(ValueError, match="share one shape"):
        metrics_under(convention, np.eye(2), np.eye(3), np.eye(2))
