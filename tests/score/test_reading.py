"""Reading a record: the same stored scores under several rules and scorings."""

import numpy as np
import pytest

from benchmark.score.metrics import compute_metrics
from benchmark.score.reading import read_scores, read_steps


@pytest.fixture
def record_arrays():
    rng = np.random.default_rng(0)
    labels = (rng.random((40, 4)) < 0.3).astype(np.uint8)
    step_scores = (0.5 * rng.random((40, 3, 4)) + 0.15 * np.arange(3)[:, None] * labels[:, None, :]).astype(
        "f4"
    )
    return {
        "scores": step_scores[:, -1],
        "labels": labels,
        "train_label_frequencies": np.full(4, 0.3),
        "holdout_scores": rng.random((15, 4)).astype("f4"),
        "step_scores": step_scores,
    }


def test_soft_reading_keeps_the_scores_and_thresholds_at_the_rule(record_arrays):
    found = read_scores(record_arrays, "soft", "fixed")
    predictions = record_arrays["scores"] >= 0.5
    assert found.metrics == compute_metrics(record_arrays["labels"], record_arrays["scores"], predictions)
    np.testing.assert_array_equal(found.predictions, predictions)


def test_hard_reading_scores_the_predictions_of_its_own_rule(record_arrays):
    for rule in ("fixed", "eq13", "eq16a"):
        soft = read_scores(record_arrays, "soft", rule)
        hard = read_scores(record_arrays, "hard", rule)
        as_scores = hard.predictions.astype(float)
        assert hard.metrics == compute_metrics(record_arrays["labels"], as_scores, hard.predictions)
        assert hard.metrics["micro_f1"] == soft.metrics["micro_f1"]
        assert hard.metrics["ranking_loss"] > soft.metrics["ranking_loss"]


def test_calibration_brings_the_number_of_predicted_labels_to_the_training_cardinality(record_arrays):
    found = read_scores(record_arrays, "soft", "eq13")
    assert found.predictions.sum() / 40 == pytest.approx(1.2, abs=1 / 40)


def test_reading_does_not_depend_on_the_precision_in_which_scores_arrive(record_arrays):
    in_memory = {**record_arrays, "scores": record_arrays["scores"].astype(np.float64) + 1e-12}
    assert (
        read_scores(in_memory, "soft", "eq16a").metrics == read_scores(record_arrays, "soft", "eq16a").metrics
    )


def test_the_last_step_is_the_prediction(record_arrays):
    for rule in ("fixed", "eq13", "eq16b", "eq13@holdout"):
        steps = read_steps(record_arrays, "soft", rule)
        assert len(steps) == 3
        assert steps[-1] == read_scores(record_arrays, "soft", rule).metrics


def test_steps_are_read_one_by_one_with_their_own_thresholds(record_arrays):
    first = {**record_arrays, "scores": record_arrays["step_scores"][:, 0]}
    steps = read_steps(record_arrays, "soft", "eq13")
    assert steps[0] == read_scores(first, "soft", "eq13").metrics
    assert steps[0]["macro_auc"] < steps[1]["macro_auc"] < steps[2]["macro_auc"]


def test_records_without_steps_have_none(record_arrays):
    del record_arrays["step_scores"]
    assert read_steps(record_arrays, "soft", "fixed") == ()
