"""Threshold rules against hand-worked cases and plain loops over the printed equations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.score.thresholds import (
    RULES,
    Thresholds,
    apply_thresholds,
    choose_thresholds,
    harden,
    predicted_frequencies,
)


def nearest_half(grid, objective):
    """Plain tie rule: smallest |t - 0.5|, then the lower t."""
    best = min(objective)
    tied = [t for t, value in zip(grid, objective, strict=True) if value <= best + 1e-10]
    return min(tied, key=lambda t: (round(abs(t - 0.5), 6), t))


def plain_eq13(scores, frequencies):
    grid = [k / 1000 for k in range(1001)]
    cardinality = sum(frequencies)
    gaps = [abs(cardinality - (scores >= np.float32(t)).sum() / len(scores)) for t in grid]
    return nearest_half(grid, gaps)


def plain_eq16a(scores, frequencies, l1, l2):
    grid = [k / 100 for k in range(101)]
    thresholds = []
    for i in range(scores.shape[1]):
        objective = []
        for t in grid:
            predicted = scores >= np.float32(t)
            total = abs(sum(frequencies) - predicted.sum() / len(scores))
            own = abs(frequencies[i] - predicted[:, i].sum() / len(scores))
            objective.append(l1 * total + l2 * own)
        thresholds.append(nearest_half(grid, objective))
    return thresholds


def objective_b(scores, frequencies, thresholds, i, l1=0.5, l2=0.5):
    predicted = scores >= np.asarray(thresholds, np.float32)
    total = abs(sum(frequencies) - predicted.sum() / len(scores))
    own = abs(frequencies[i] - predicted[:, i].sum() / len(scores))
    return l1 * total + l2 * own


@st.composite
def problems(draw):
    shape = draw(st.tuples(st.integers(1, 6), st.integers(1, 4)))
    scores = draw(arrays(np.int64, shape, elements=st.integers(0, 20))) / 20
    frequencies = draw(arrays(np.int64, shape[1], elements=st.integers(0, 10))) / 10
    return scores.astype(np.float32), frequencies


@settings(max_examples=40)
@given(problems())
def test_eq13_agrees_with_a_plain_loop(problem):
    scores, frequencies = problem
    found = choose_thresholds("eq13", scores, frequencies)
    np.testing.assert_allclose(found.values, plain_eq13(scores, frequencies), atol=1e-6)
    assert found.transductive


@settings(max_examples=30)
@given(problems(), st.sampled_from([(0.5, 0.5), (1.0, 0.0), (0.0, 1.0), (0.2, 0.8)]))
def test_eq16a_agrees_with_a_plain_loop(problem, weights):
    scores, frequencies = problem
    found = choose_thresholds("eq16a", scores, frequencies, l1=weights[0], l2=weights[1])
    np.testing.assert_allclose(found.values, plain_eq16a(scores, frequencies, *weights), atol=1e-6)


@settings(max_examples=30)
@given(problems())
def test_eq16b_ends_where_no_single_label_can_do_better(problem):
    scores, frequencies = problem
    values = choose_thresholds("eq16b", scores, frequencies).values
    for i in range(len(values)):
        here = objective_b(scores, frequencies, values, i)
        for t in np.arange(101) / 100:
            moved = values.copy()
            moved[i] = t
            assert here <= objective_b(scores, frequencies, moved, i) + 1e-9


def test_eq16b_worked_by_hand():
    """Label 0 reaches its frequency at once; label 1 then compensates the cardinality by its own."""
    scores = np.array([[0.9, 0.45], [0.2, 0.35], [0.1, 0.05], [0.1, 0.05]], np.float32)
    # Training labels: 1/4 of rows carry label 0, 1/2 carry label 1. At 0.5: 1/4 and 0 are predicted.
    found = choose_thresholds("eq16b", scores, np.array([0.25, 0.5]))
    # Sweep 1, label 0: cardinality gap 1/2 at t in (.2, .9], 1/4 at (.1, .2] with own gap 1/4: both sum
    # to 1/2, the tie goes to 0.5. Label 1: t in (.05, .35] gives both gaps 0; 0.35 is closest to 0.5.
    np.testing.assert_allclose(found.values, [0.5, 0.35])


def test_literal_reading_of_eq16_nearly_collapses_to_one_threshold_and_the_other_does_not():
    rng = np.random.default_rng(5)
    scores = (rng.random((300, 20)) ** rng.uniform(1, 6, 20)).astype(np.float32)
    frequencies = rng.uniform(0.02, 0.4, 20)
    distinct = [len(np.unique(choose_thresholds(r, scores, frequencies).values)) for r in ("eq16a", "eq16b")]
    assert distinct[0] <= 4 < distinct[1]


def test_a_score_equal_to_a_grid_point_is_predicted():
    """0.7 in float32 lies below 0.7 in float64; eq. (17) wants >=."""
    scores = np.array([[0.7], [0.1]], np.float32)
    found = choose_thresholds("eq13", scores, np.array([0.5]))
    assert found.values[0] == np.float32(0.5)
    at_the_point = apply_thresholds(scores, np.array([0.7]))
    np.testing.assert_array_equal(at_the_point, [[1], [0]])
    np.testing.assert_allclose(predicted_frequencies(scores, np.array([0.7, 0.701])), [[0.5], [0.0]])


def test_double_precision_scores_give_the_predictions_of_their_stored_float32():
    grid = np.arange(101)[:, None] / 100
    values = np.arange(101) / 100
    np.testing.assert_array_equal(apply_thresholds(grid, values), apply_thresholds(grid.astype("f4"), values))
    assert np.diag(apply_thresholds(grid + 0 * values, values)).all()


def test_fixed_rule_is_one_half_and_looks_at_nothing():
    found = choose_thresholds("fixed", np.zeros((3, 2)), np.array([1.0, 1.0]))
    np.testing.assert_array_equal(found.values, [0.5, 0.5])
    assert not found.transductive


@pytest.mark.parametrize("name", ["eq13", "eq16a", "eq16b"])
def test_holdout_rules_see_the_holdout_scores_only(name):
    rng = np.random.default_rng(1)
    holdout, frequencies = rng.random((30, 3)), np.array([0.1, 0.3, 0.6])
    found = choose_thresholds(f"{name}@holdout", rng.random((20, 3)), frequencies, holdout_scores=holdout)
    on_holdout = choose_thresholds(name, holdout, frequencies)
    np.testing.assert_array_equal(found.values, on_holdout.values)
    assert (found.transductive, on_holdout.transductive) == (False, True)


def test_rules_that_cannot_be_applied_are_refused():
    scores, frequencies = np.full((4, 2), 0.5), np.array([0.5, 0.5])
    with pytest.raises(ValueError, match=r"unknown threshold rule 'eq14'; choose one of fixed, eq13"):
        choose_thresholds("eq14", scores, frequencies)
    with pytest.raises(ValueError, match="needs scores of held-out rows"):
        choose_thresholds("eq13@holdout", scores, frequencies)
    with pytest.raises(ValueError, match="do not fit 2 labels"):
        choose_thresholds("eq13", scores, np.array([0.5]))


def test_every_rule_keeps_shape_and_range():
    rng = np.random.default_rng(2)
    scores = rng.random((40, 5))
    for rule in RULES:
        values = choose_thresholds(rule, scores, rng.random(5), holdout_scores=scores[:9]).values
        assert values.shape == (5,)
        assert ((values >= 0) & (values <= 1)).all()


def test_hardened_scores_are_the_predictions():
    scores = np.array([[0.2, 0.8], [0.5, 0.4]])
    hard = harden(scores, Thresholds(np.array([0.5, 0.4], np.float32), "fixed", transductive=False))
    np.testing.assert_array_equal(hard, [[0, 1], [1, 1]])
    assert hard.dtype == np.float32
