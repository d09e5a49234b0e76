"""Candidates side by side: each reaches the minimum of its own problem, whoever stands beside it."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from cs3g_examples import problem as example
from sklearn.preprocessing import StandardScaler

from baselines.cs3g import candidates as module
from baselines.cs3g.candidates import Candidates
from baselines.cs3g.problem import (
    Design,
    Problem,
    Strengths,
    balanced_costs,
    label_relations,
    problem_of,
)
from baselines.cs3g.solver import solve

GRID = [
    Strengths(*s) for s in product((0.1, 1e-3), (0.3, 0.0), (0.05, 0.005, 0.0))
]  # the Laplacian of the first is the largest


def problems(balanced: bool = False) -> list[Problem]:
    modalities, labels = example()
    design = Design.of([StandardScaler().fit_transform(x.astype(float)) for x in modalities])
    relations = label_relations(labels, 0.05, 0.05)
    costs = balanced_costs(labels) if balanced else 1.0
    return [problem_of(design, labels, strengths, relations, costs) for strengths in GRID]


def side_by_side(each: list[Problem], single: float = np.inf) -> Candidates:
    return Candidates(each[0], GRID, single)


@pytest.mark.parametrize("balanced", [False, True])
def test_each_reaches_the_minimum_of_its_own_problem(balanced: bool) -> None:
    each = problems(balanced)
    together = side_by_side(each)
    together.advance(range(len(GRID)), 1e-8, 2000)
    for i, problem in enumerate(each):
        alone = solve(problem, problem.null_point(), 1e-8, 5000)
        assert alone.converged
        np.testing.assert_allclose(together.point(i), problem.natural(alone.point), atol=1e-5)


@pytest.mark.parametrize(("tol", "single"), [(1e-6, np.inf), (1e-4, 1e-5), (1e-5, 1e-5)])
def test_the_smallest_subgradient_is_within_the_tolerance(tol: float, single: float) -> None:
    each = problems()
    together = side_by_side(each, single)
    together.advance(range(len(GRID)), tol, 2000)
    for i, problem in enumerate(each):
        assert together.step(i) <= tol
        assert together.residual(i) <= tol
        point = np.vstack([together.point(i)[:-1] @ problem.eigenvectors, together.point(i)[-1]])
        expected = problem.residual(point, problem.gradient(point, problem.decision(point)))
        assert together.residual(i) == pytest.approx(expected, rel=1e-3)


def test_a_modality_that_the_lasso_drops_has_weights_of_exactly_zero() -> None:
    each = problems()
    dropped = Strengths(0.1, 0.3, 0.2)
    together = Candidates(each[0], [dropped], np.inf)
    together.advance([0], 1e-7, 2000)
    alone = solve(replace(each[0], strengths=dropped), each[0].null_point(), 1e-8, 5000)
    zero = [not together.point(0)[block].any() for block in each[0].design.blocks]
    assert zero == [not alone.point[block].any() for block in each[0].design.blocks]
    assert any(zero)


@pytest.mark.parametrize("single", [1e-5, np.inf])
def test_neighbours_change_nothing_but_rounding(single: float, monkeypatch: pytest.MonkeyPatch) -> None:
    together, alone = side_by_side(problems(), single), side_by_side(problems(), single)
    together.advance(range(len(GRID)), 1e-4, 2000)
    monkeypatch.setattr(module, "BYTES", 1)
    alone.advance(range(len(GRID)), 1e-4, 2000)
    for i in range(len(GRID)):
        # Rounding may end a candidate one step earlier, which the residual bounds.
        atol = 1e-9 if single > 1 else 1e-2
        np.testing.assert_allclose(together.point(i), alone.point(i), atol=atol)


def test_going_on_tightens_what_was_reached_and_leaves_the_others() -> None:
    together = side_by_side(problems())
    together.advance(range(len(GRID)), 1e-2, 2000)
    before = [together.point(i) for i in range(len(GRID))]
    spent = together.n_iterations
    together.advance([3], 1e-6, 2000)
    assert together.step(3) <= 1e-6
    assert together.n_iterations > spent
    for i in (0, 1, 2, 4):
        np.testing.assert_array_equal(together.point(i), before[i])


def test_a_candidate_can_go_on_from_anothers_point() -> None:
    warm, cold = side_by_side(problems()), side_by_side(problems())
    warm.advance([1], 1e-8, 2000)
    warm.put(2, 1)
    np.testing.assert_array_equal(warm.point(2), warm.point(1))
    warm.advance([2], 1e-8, 2000)
    cold.advance([2], 1e-8, 2000)
    np.testing.assert_allclose(warm.point(2), cold.point(2), atol=1e-5)


def test_the_limit_of_iterations_is_each_candidates_own() -> None:
    together = side_by_side(problems())
    together.advance(range(len(GRID)), 1e-9, 3)
    assert together.n_iterations == 3 * len(GRID)
    assert all(together.step(i) > 1e-9 for i in range(len(GRID)))


@pytest.mark.parametrize("curvature", [0.03, 0.1, 0.3])
@pytest.mark.parametrize("single", [1e-5, np.inf])
def test_steps_that_are_too_long_are_undone_and_shortened(
    single: float, curvature: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "FIRST_CURVATURE", curvature)
    tol = 1e-4 if single < 1 else 1e-8
    together = side_by_side(problems(), single)
    together.advance(range(len(GRID)), 1e-1, 2000)
    for i in range(1, len(GRID)):
        together.put(i, i - 1)
    together.advance(range(len(GRID)), tol, 2000)
    for i in range(len(GRID)):
        assert together.step(i) <= tol
        assert together.residual(i) <= 20 * tol


def test_a_step_is_held_against_the_shortest_one_at_the_same_curvature() -> None:
    """A modality that the lasso drops at once takes a step whose product with the curvature grows with it."""
    (first, *_), dropping = problems(), Strengths(0.1, 0.3, 10.0)
    start = np.zeros((first.signs.shape[1], first.design.rows.shape[1] + 1))
    start[:, first.design.blocks[0]] = 1.0
    candidate = module._Candidate(dropping, start)
    descent = module._Descent(first, candidate, first.decision(start.T).T)
    root = np.sqrt(first.metric_at(first.decision(start.T), dropping)).T

    def intercept_gradient(length: float) -> np.ndarray:
        gradient = np.zeros_like(start)
        gradient[0, -1] = length * root[0, -1]
        return gradient

    length = 3.0 * float(np.linalg.norm(root * start))  # at the first curvature, all of the modality goes
    descent.step(-dropping.quadratic(first.eigenvalues)[:, None] * start)  # the loss against the ridge
    assert candidate.norm < np.inf
    descent.step(intercept_gradient(1.5 * length))
    assert candidate.norm == np.inf  # undone, and the curvature doubled
    descent.step(intercept_gradient(1.5 * length))
    assert candidate.norm < np.inf


def test_a_step_that_rounding_swallows_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shortened again and again, a step ends where it began; that must not look like a minimum."""
    monkeypatch.setattr(module, "SLACK", 0.0)
    together = side_by_side(problems(), 1e-5)
    together.advance(range(len(GRID)), 1e-4, 2000)
    for i in range(len(GRID)):
        assert not together.step(i) <= 1e-4
        assert together.residual(i) > 1e-4


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_numbers_that_overflow_end_a_candidate_unsolved() -> None:
    together = side_by_side(problems())
    together._candidates[0].point = np.full_like(together._candidates[0].point, np.nan)
    together.advance([0, 1], 1e-6, 100_000)
    assert not together.step(0) <= 1e-6
    assert together.step(1) <= 1e-6
    assert together.n_iterations < 1000
