"""Each library's rules against the library itself, on random and hand-made test sets, if it is installed."""

import warnings

import numpy as np
import pytest
from hypothesis import assume, given, settings
from problems import problems

from benchmark.score.conventions import LIBMULTILABEL, TORCHMETRICS, metrics_under

NOT_INSTALLED = "is not among the project's requirements; install it beside them to compare with it"
HAND_MADE = {
    "one-class labels": ([[1, 0, 1], [1, 0, 0]], [[0.1, 0.2, 0.3], [0.3, 0.2, 0.1]]),
    "all labels have one class": ([[1, 0], [1, 0]], [[0.1, 0.2], [0.3, 0.4]]),
    "nothing is true": ([[0, 0], [0, 0]], [[0.1, 0.2], [0.3, 0.4]]),
    "everything is true": ([[1, 1], [1, 1]], [[0.0, 0.2], [0.3, 0.4]]),
    "rows without and with all labels": ([[0, 0, 0], [1, 1, 1], [1, 0, 0]], [[0.1, 0.2, 0.3]] * 3),
    "all scores tie": ([[1, 0, 1], [0, 1, 0]], [[0.5] * 3] * 2),
    "hard scores": ([[1, 0, 1], [0, 1, 0]], [[1.0, 0.0, 0.0], [1.0, 1.0, 0.0]]),
    "almost a tie": ([[1, 0], [0, 1]], [[0.5, 0.5 + 2**-20], [0.5, 0.5 - 2**-20]]),
}


def by_hand(name):
    """Return one of `HAND_MADE` as labels, scores and predictions."""
    labels, scores = map(np.array, HAND_MADE[name])
    return labels, scores.astype(np.float32), (scores > 0.25).astype(np.uint8)


def large(seed, q=16, levels=8):
    """Return a test set of 60 rows, with many ties in rows and columns if there are few levels of scores."""
    rng = np.random.default_rng(seed)
    labels = (rng.random((60, q)) < rng.random(q) ** 3).astype(np.uint8)
    scores = (rng.integers(0, levels, labels.shape) / levels).astype(np.float32)
    return labels, scores, (scores > 0.5).astype(np.uint8)


def agrees(convention, found, *problem):
    """Assert that the library's numbers are those of its column, which has no others."""
    expected = metrics_under(convention, *problem)
    assert {name for name in expected if name not in convention.lacks} == set(found)
    # torchmetrics computes in single precision
    assert found == pytest.approx({name: expected[name] for name in found}, rel=1e-5, abs=1e-6)
    assert all(np.isnan(expected[name]) for name in convention.lacks)


def by_torchmetrics(labels, scores, predictions, batches=1):
    """Compute what torchmetrics has, in so many batches."""
    library = pytest.importorskip("torchmetrics.classification", reason=f"torchmetrics {NOT_INSTALLED}")
    torch = pytest.importorskip("torch")
    q = labels.shape[1]
    of_scores = {
        "macro_auc": library.MultilabelAUROC(q),
        "micro_auc": library.MultilabelAUROC(q, average="micro"),
        "ranking_loss": library.MultilabelRankingLoss(q),
        "coverage": library.MultilabelCoverageError(q),
    }
    of_predictions = {
        "macro_f1": library.MultilabelF1Score(q),
        "micro_f1": library.MultilabelF1Score(q, average="micro"),
        "hamming_loss": library.MultilabelHammingDistance(q),
        "subset_accuracy": library.MultilabelExactMatch(q),
    }
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of labels with one class
        for rows in np.array_split(np.arange(len(labels)), batches):
            target = torch.from_numpy(labels[rows].astype(np.int64))
            for measures, given_ in ((of_scores, scores), (of_predictions, predictions.astype(np.int64))):
                for measure in measures.values():
                    measure.update(torch.from_numpy(given_[rows]), target)
        return {name: float(m.compute()) for name, m in (of_scores | of_predictions).items()}


@settings(max_examples=100)
@given(problems)
def test_torchmetrics_agrees_with_torchmetrics(problem):
    agrees(TORCHMETRICS, by_torchmetrics(*problem), *problem)


@pytest.mark.parametrize("problem", [*map(by_hand, HAND_MADE), *map(large, range(3)), large(3, 40, 2**24)])
def test_torchmetrics_agrees_with_torchmetrics_on_chosen_test_sets(problem):
    agrees(TORCHMETRICS, by_torchmetrics(*problem), *problem)


@settings(max_examples=30)
@given(problems)
def test_torchmetrics_in_batches_agrees_where_each_has_a_row_that_ranks(problem):
    labels = problem[0]
    labels[:, 0], labels[:, 1] = 0, 1
    batches = min(3, len(labels))
    agrees(TORCHMETRICS, by_torchmetrics(*problem, batches=batches), *problem)


def test_torchmetrics_counts_a_batch_without_such_a_row_as_one_row():
    labels = np.array([[1, 0], [1, 0], [0, 0], [0, 0]])
    scores = np.tile(np.float32([0.1, 0.2]), (4, 1))
    by_batches = by_torchmetrics(labels, scores, labels, batches=2)["ranking_loss"]
    assert metrics_under(TORCHMETRICS, labels, scores, labels)["ranking_loss"] == 2 / 4
    assert by_batches == pytest.approx(2 / 3)


def by_libmultilabel(labels, scores, _predictions, batches=1):
    """Compute what libmultilabel has, in so many batches."""
    library = pytest.importorskip("libmultilabel.linear", reason=f"libmultilabel {NOT_INSTALLED}")
    names = {"macro_f1": "Macro-F1", "micro_f1": "Micro-F1"}
    metrics = library.get_metrics(list(names.values()), labels.shape[1])
    for rows in np.array_split(np.arange(len(labels)), batches):
        metrics.update(scores[rows], labels[rows])
    found = metrics.compute()
    return {ours: float(found[theirs]) for ours, theirs in names.items()}


@settings(max_examples=100)
@given(problems)
def test_libmultilabel_agrees_with_libmultilabel(problem):
    for batches in (1, min(3, len(problem[0]))):
        agrees(LIBMULTILABEL, by_libmultilabel(*problem, batches=batches), *problem)


@pytest.mark.parametrize("problem", [*map(by_hand, HAND_MADE), *map(large, range(3)), large(3, 40, 2**24)])
def test_libmultilabel_agrees_with_libmultilabel_on_chosen_test_sets(problem):
    agrees(LIBMULTILABEL, by_libmultilabel(*problem), *problem)


@settings(max_examples=20)
@given(problems)
def test_probabilities_predict_everything_with_libmultilabel(problem):
    labels, scores, predictions = problem
    assume(scores.all())
    everything = np.ones_like(labels)
    found = metrics_under(LIBMULTILABEL, labels, scores, predictions)
    assert found == pytest.approx(metrics_under(LIBMULTILABEL, labels, everything, everything), nan_ok=True)
