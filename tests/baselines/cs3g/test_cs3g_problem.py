"""CS3G's objective, its proximal operator and its solvers against a conic solver and finite differences."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.optimize import check_grad
from scipy.stats import chi2_contingency
from sklearn.preprocessing import StandardScaler

from baselines.cs3g.interactions import InteractionProblem
from baselines.cs3g.problem import (
    Design,
    Strengths,
    balanced_costs,
    label_relations,
    problem_of,
    raw_decision,
    shrink_norm,
    signed_laplacian,
)
from baselines.cs3g.solver import accelerated_proximal_gradient, lbfgs, solve

CONIC = {"tol_gap_abs": 1e-9, "tol_gap_rel": 1e-9, "tol_feas": 1e-9}


def small_problem(n=40, dims=(5, 3, 2), q=4, seed=0):
    """Standardised modalities and labels that depend on the first two of them and on one another."""
    rng = np.random.default_rng(seed)
    modalities = [StandardScaler().fit_transform(rng.normal(size=(n, d))) for d in dims]
    z = modalities[0] @ rng.normal(size=(dims[0], q)) + modalities[1] @ rng.normal(size=(dims[1], q))
    labels = (z + rng.normal(size=(n, q)) > 0.3).astype(np.uint8)
    labels[:, 1] |= labels[:, 0]
    labels[:, 2] &= 1 - labels[:, 0]
    return modalities, labels


def conic_optimum(modalities, labels, strengths, relations, costs=1.0, mixing=None):
    """The objective as METHODS writes it, in the features' and labels' own bases, by Clarabel."""
    n, q = labels.shape
    weights = [cp.Variable((x.shape[1], q)) for x in modalities]
    intercepts = cp.Variable((1, q))
    z = sum(x @ w for x, w in zip(modalities, weights, strict=True)) + np.ones((n, 1)) @ intercepts
    if mixing is not None:
        z = z @ mixing
    signs = 2.0 * labels - 1.0
    objective = cp.sum(cp.multiply(np.broadcast_to(costs, (n, q)), cp.logistic(-cp.multiply(signs, z)))) / n
    for x, w in zip(modalities, weights, strict=True):
        objective += strengths.ridge / 2 * cp.sum_squares(w)
        for j in range(q):
            for k in range(j):
                pull = w[:, j] - np.sign(relations[j, k]) * w[:, k]
                objective += strengths.laplacian / 2 * abs(relations[j, k]) * cp.sum_squares(pull)
        objective += strengths.lasso * np.sqrt(x.shape[1]) * cp.norm(w, "fro")
    problem = cp.Problem(cp.Minimize(objective))
    problem.solve(solver=cp.CLARABEL, **CONIC)
    assert problem.status == cp.OPTIMAL
    return problem.value, [w.value for w in weights], intercepts.value[0]


EVERY_TERM = Strengths(0.05, 0.3, 0.02)


class TestAgainstAConicSolver:
    @pytest.mark.parametrize(
        "strengths",
        [Strengths(0.05, 0, 0), Strengths(0.05, 0.3, 0), Strengths(0.01, 0, 0.03), EVERY_TERM],
        ids=["ridge", "laplacian", "lasso", "every-term"],
    )
    @pytest.mark.parametrize("balanced", [False, True])
    def test_value_and_minimiser(self, strengths: Strengths, balanced: bool) -> None:
        modalities, labels = small_problem()
        relations = label_relations(labels, 0.05, 0.05)
        assert (relations > 0).any()
        assert (relations < 0).any()
        costs = balanced_costs(labels) if balanced else 1.0
        value, weights, intercepts = conic_optimum(modalities, labels, strengths, relations, costs)
        problem = problem_of(modalities, labels, strengths, relations, costs)
        found = solve(problem, problem.null_point(), tol=1e-8, max_iter=5000)
        assert found.converged
        assert found.objective == pytest.approx(value, abs=1e-8)
        for ours, theirs in zip(problem.weights(found.point), weights, strict=True):
            np.testing.assert_allclose(ours, theirs, atol=1e-4)
        np.testing.assert_allclose(found.point[-1], intercepts, atol=1e-4)

    def test_given_interactions(self) -> None:
        modalities, labels = small_problem()
        mixing = np.eye(4) + 0.5 * np.random.default_rng(1).normal(size=(4, 4)) * (1 - np.eye(4))
        strengths = Strengths(0.05, 0, 0.02)
        value, *_ = conic_optimum(modalities, labels, strengths, np.zeros((4, 4)), mixing=mixing)
        problem = problem_of(modalities, labels, strengths, np.zeros((4, 4)), mixing=mixing)
        found = solve(problem, problem.null_point(), tol=1e-8, max_iter=5000)
        assert found.objective == pytest.approx(value, abs=1e-8)

    def test_interactions_given_scores(self) -> None:
        rng = np.random.default_rng(2)
        z, (_, labels) = rng.normal(size=(40, 4)), small_problem()
        signs, free = 2.0 * labels - 1.0, 1 - np.eye(4)
        s = cp.Variable((4, 4))
        loss = cp.sum(cp.logistic(-cp.multiply(signs, z + z @ s))) / 40 + 0.05 * cp.sum(cp.abs(s))
        conic = cp.Problem(cp.Minimize(loss), [cp.multiply(1 - free, s) == 0])
        conic.solve(solver=cp.CLARABEL, **CONIC)
        found = accelerated_proximal_gradient(
            InteractionProblem(z, signs, np.asarray(1.0), 0.05), np.zeros((4, 4)), 1e-8, 5000
        )
        assert found.converged
        assert found.objective == pytest.approx(conic.value, abs=1e-8)
        np.testing.assert_allclose(found.point, s.value, atol=1e-4)
        assert (np.diag(found.point) == 0).all()
        assert 0 < np.count_nonzero(found.point) < 12, (
            "the penalty should keep some interactions and drop some"
        )


@pytest.mark.parametrize("costs", ["one", "balanced"])
@pytest.mark.parametrize("mixed", [False, True])
def test_the_gradient_is_that_of_finite_differences(costs: str, mixed: bool) -> None:
    modalities, labels = small_problem(n=15)
    rng = np.random.default_rng(3)
    mixing = np.eye(4) + rng.normal(size=(4, 4)) if mixed else None
    weights = balanced_costs(labels) if costs == "balanced" else 1.0
    relations = label_relations(labels, 0.0, 1.0)
    problem = problem_of(modalities, labels, Strengths(0.1, 0.7, 0.0), relations, weights, mixing)
    shape = problem.null_point().shape

    def value(x):
        return problem.smooth(x.reshape(shape), problem.decision(x.reshape(shape)))

    def gradient(x):
        return problem.gradient(x.reshape(shape), problem.decision(x.reshape(shape))).ravel()

    for _ in range(3):
        point = rng.normal(size=shape).ravel()
        assert check_grad(value, gradient, point) < 1e-6 * np.linalg.norm(gradient(point))


def test_the_gradient_of_interactions_is_that_of_finite_differences() -> None:
    rng = np.random.default_rng(4)
    _, labels = small_problem(n=15)
    problem = InteractionProblem(rng.normal(size=(15, 4)), 2.0 * labels - 1, np.asarray(1.0), 0.1)

    def off_diagonal(x):
        s = np.zeros((4, 4))
        s[~np.eye(4, dtype=bool)] = x
        return s

    def value(x):
        return problem.smooth(off_diagonal(x), problem.decision(off_diagonal(x)))

    def gradient(x):
        s = off_diagonal(x)
        return problem.gradient(s, problem.decision(s))[~np.eye(4, dtype=bool)]

    assert check_grad(value, gradient, rng.normal(size=12)) < 1e-6


class TestProximalOperator:
    def test_by_hand_with_a_constant_metric(self) -> None:
        # ||(3, 4)|| = 5 and weight / h = 2: the norm shrinks from 5 to 3, and to 0 where it is at most 2.
        point = np.array([[3.0], [4.0]])
        np.testing.assert_allclose(shrink_norm(point, np.full((2, 1), 0.5), 1.0), [[1.8], [2.4]])
        np.testing.assert_array_equal(shrink_norm(point, np.full((2, 1), 0.5), 2.5), np.zeros((2, 1)))

    def test_by_hand_with_two_curvatures(self) -> None:
        # U = h p / (h + w / r) with r = 5: h = (1, 2), w = 5 give U = (p_1 / 2, 2 p_2 / 3) = (3, 4).
        point = np.array([6.0, 6.0])
        np.testing.assert_allclose(shrink_norm(point, np.array([1.0, 2.0]), 5.0), [3.0, 4.0])

    @settings(max_examples=30)
    @given(
        hnp.arrays(float, (3, 2), elements=st.floats(-5, 5)),
        hnp.arrays(float, (3, 2), elements=st.floats(0.01, 10)),
        st.floats(0, 10),
    )
    def test_no_small_step_is_better(self, point: np.ndarray, metric: np.ndarray, weight: float) -> None:
        def value(u: np.ndarray) -> float:
            return 0.5 * np.sum(metric * (u - point) ** 2) + weight * np.linalg.norm(u)

        found = shrink_norm(point, metric, weight)
        rng = np.random.default_rng(0)
        for size in (1e-3, 1e-1, 1.0):
            for direction in rng.normal(size=(10, 3, 2)):
                assert value(found) <= value(found + size * direction) + 1e-12

    @pytest.mark.parametrize("weight", [0.3, 2.0, 50.0])
    def test_against_the_conic_solver(self, weight: float) -> None:
        rng = np.random.default_rng(5)
        point, metric = rng.normal(size=(4, 3)), rng.uniform(0.1, 5, (4, 3))
        u = cp.Variable((4, 3))
        value = 0.5 * cp.sum(cp.multiply(metric, cp.square(u - point))) + weight * cp.norm(u, "fro")
        cp.Problem(cp.Minimize(value)).solve(solver=cp.CLARABEL, **CONIC)
        # An interior-point solver's gap of 1e-9 leaves its minimiser within sqrt(2e-9 / 0.1).
        np.testing.assert_allclose(shrink_norm(point, metric, weight), u.value, atol=2e-4)

    def test_each_modality_shrinks_by_the_root_of_its_size_and_intercepts_do_not(self) -> None:
        modalities, labels = small_problem()
        problem = problem_of(modalities, labels, Strengths(0.1, 0, 0.5), np.zeros((4, 4)))
        point = np.random.default_rng(6).normal(size=problem.null_point().shape)
        shrunk = problem.proximal(point, np.ones_like(point))
        for x, block in zip(modalities, problem.design.blocks, strict=True):
            norm = np.linalg.norm(point[block])
            factor = max(0.0, 1 - 0.5 * np.sqrt(x.shape[1]) / norm)
            np.testing.assert_allclose(shrunk[block], factor * point[block], atol=1e-10)
        np.testing.assert_array_equal(shrunk[-1], point[-1])


class TestSolvers:
    def test_both_find_the_same_minimum(self) -> None:
        modalities, labels = small_problem()
        problem = problem_of(modalities, labels, Strengths(0.01, 0.1, 0), label_relations(labels, 0, 1))
        one = lbfgs(problem, problem.null_point(), 1e-8, 2000)
        other = accelerated_proximal_gradient(problem, problem.null_point(), 1e-8, 5000)
        assert one.converged
        assert other.converged
        np.testing.assert_allclose(one.point, other.point, atol=1e-6)

    @pytest.mark.parametrize("lasso", [0.0, 0.02])
    def test_stopping_early_is_said(self, lasso: float) -> None:
        modalities, labels = small_problem()
        problem = problem_of(modalities, labels, Strengths(0.01, 0, lasso), np.zeros((4, 4)))
        stopped = solve(problem, problem.null_point(), 1e-9, 3)
        assert stopped.n_iterations == 3
        assert not stopped.converged
        assert stopped.residual > 1e-9

    def test_an_objective_that_no_step_lowers_ends_with_an_error(self) -> None:
        class Rising(InteractionProblem):
            calls = 0

            def smooth(self, *_: np.ndarray) -> float:
                self.__class__.calls += 1
                return float(self.calls)

        rising = Rising(np.ones((3, 2)), np.ones((3, 2)), np.asarray(1.0), 0.01)
        with pytest.raises(ValueError, match="no step lowers the objective of 1"):
            accelerated_proximal_gradient(rising, np.zeros((2, 2)), 1e-6, 10)

    @pytest.mark.parametrize("strengths", [EVERY_TERM, Strengths(0.05, 0.3, 0)])
    def test_the_residual_bounds_the_distance_to_the_minimum(self, strengths: Strengths) -> None:
        """The ridge makes the objective strongly convex: gap <= ||subgradient||^2 / (2 ridge).

        The intercepts have no ridge, so they are put to their best first, where their gradient is zero.
        """
        modalities, labels = small_problem()
        problem = problem_of(modalities, labels, strengths, label_relations(labels, 0.05, 0.05))
        best = solve(problem, problem.null_point(), 1e-10, 5000)
        for n_iterations in (2, 5, 10):
            rough = solve(problem, problem.null_point(), 0.0, n_iterations).point
            for _ in range(200):
                gradient = problem.gradient(rough, problem.decision(rough))
                rough[-1] -= gradient[-1] / problem.metric[-1] / 2
            decision = problem.decision(rough)
            value = problem.smooth(rough, decision) + problem.penalty(rough)
            norm = problem.residual(rough, problem.gradient(rough, decision)) * problem.scale
            assert 0 <= value - best.objective <= norm**2 / (2 * strengths.ridge) + 1e-12

    def test_the_residual_by_hand(self) -> None:
        """Blocks: dropped with a gradient within its weight, dropped with one beyond it, kept."""
        modalities, labels = small_problem(dims=(4, 4, 4))
        problem = problem_of(modalities, labels, Strengths(0.01, 0, 0.5), np.zeros((4, 4)))
        assert list(problem.lasso_weights) == [1.0, 1.0, 1.0]
        point, gradient = (np.zeros_like(problem.null_point()) for _ in range(2))
        gradient[0, 0], gradient[4, 0] = 0.9, 4.0
        point[8, 0], gradient[8, 0] = 2.0, 3.0
        gradient[-1, 0] = 12.0
        # (0, 4 - 1, 3 + 1, 12) has norm 13.
        assert problem.residual(point, gradient) * problem.scale == pytest.approx(13.0)

    def test_the_residual_is_zero_at_the_null_model_under_a_large_lasso_and_only_there(self) -> None:
        modalities, labels = small_problem()
        free = problem_of(modalities, labels, Strengths(0.01, 0, 0), np.zeros((4, 4)))
        gradient = free.gradient(free.null_point(), free.decision(free.null_point()))
        norms = [np.linalg.norm(gradient[b]) / np.sqrt(len(gradient[b])) for b in free.design.blocks]
        for factor, at_rest in ((1.001, True), (0.9, False)):
            problem = replace(free, strengths=Strengths(0.01, 0, factor * max(norms)))
            residual = problem.residual(problem.null_point(), gradient)
            assert (residual < 1e-12) == at_rest


class TestRelations:
    def test_by_hand(self) -> None:
        # Labels 0 and 1 agree on 6 of 8 rows in balance: phi = 0.5. Label 2 is the opposite of label 0.
        first = np.array([1, 1, 1, 1, 0, 0, 0, 0])
        second = np.array([1, 1, 1, 0, 1, 0, 0, 0])
        labels = np.column_stack([first, second, 1 - first, np.ones(8, dtype=int)])
        expected = np.array([[0, 0.5, -1, 0], [0.5, 0, -0.5, 0], [-1, -0.5, 0, 0], [0, 0, 0, 0]])
        np.testing.assert_allclose(label_relations(labels, 0.05, 1.0), expected, atol=1e-12)
        # n phi^2 = 2 is not significant at 5 %, 8 is.
        related = np.where(np.abs(expected) == 1, expected, 0)
        np.testing.assert_allclose(label_relations(labels, 0.05, 0.05), related, atol=1e-12)
        np.testing.assert_allclose(label_relations(labels, 0.6, 1.0), related, atol=1e-12)

    def test_significance_is_the_chi_square_test_of_independence(self) -> None:
        rng = np.random.default_rng(0)
        labels = rng.integers(0, 2, (60, 12))
        relations = label_relations(labels, 0.0, 0.2)
        for j in range(12):
            for k in range(j):
                table = [[np.sum((labels[:, j] == a) & (labels[:, k] == b)) for b in (0, 1)] for a in (0, 1)]
                independent = chi2_contingency(table, correction=False).pvalue > 0.2
                assert (relations[j, k] == 0) == independent

    @settings(max_examples=30)
    @given(st.integers(1, 6), st.integers(1, 5), st.integers(0, 10_000))
    def test_the_laplacian_is_the_sum_of_signed_differences(self, q: int, d: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        labels = rng.integers(0, 2, (12, q))
        relations = label_relations(labels, 0.1, 0.5)
        laplacian, w = signed_laplacian(relations), rng.normal(size=(d, q))
        pairs = [(j, k) for j in range(q) for k in range(j)]
        differences = sum(
            abs(relations[j, k]) * np.sum((w[:, j] - np.sign(relations[j, k]) * w[:, k]) ** 2)
            for j, k in pairs
        )
        assert np.trace(w @ laplacian @ w.T) == pytest.approx(differences, abs=1e-10)
        assert np.linalg.eigvalsh(laplacian).min() >= -1e-12


class TestDesign:
    @pytest.mark.parametrize("n", [6, 40], ids=["fewer-rows-than-features", "more"])
    def test_rotation_keeps_scores_norms_and_the_laplacian_term(self, n: int) -> None:
        modalities, labels = small_problem(n=40)
        modalities, labels = [x[:n] for x in modalities], labels[:n]
        relations = label_relations(small_problem()[1], 0.05, 0.05)
        design = Design.of([np.hstack([x, x]) for x in modalities])  # half of the directions are empty
        problem = problem_of(design, labels, Strengths(0.1, 0.7, 0.1), relations)
        point = np.random.default_rng(0).normal(size=problem.null_point().shape)
        weights = problem.weights(point)
        decision = raw_decision([np.hstack([x, x]) for x in modalities], weights, point[-1])
        np.testing.assert_allclose(problem.decision(point), decision, atol=1e-10)
        for w, block in zip(weights, design.blocks, strict=True):
            assert np.linalg.norm(w) == pytest.approx(np.linalg.norm(point[block]))
        quadratic = sum(
            0.05 * np.sum(w**2) + 0.35 * np.trace(w @ signed_laplacian(relations) @ w.T) for w in weights
        )
        loss = np.mean(np.sum(np.logaddexp(0, -(2.0 * labels - 1) * decision), axis=1))
        assert problem.smooth(point, decision) == pytest.approx(loss + quadratic)
        natural = problem.natural(point)
        np.testing.assert_allclose(natural[:-1] @ problem.eigenvectors, point[:-1], atol=1e-12)
        np.testing.assert_array_equal(natural[-1], point[-1])

    def test_a_modality_that_does_not_vary_has_no_direction(self) -> None:
        design = Design.of([np.zeros((5, 3)), np.eye(5)])
        assert [block.stop - block.start for block in design.blocks] == [0, 5]
        assert design.bases[0].shape == (3, 0)


def test_balanced_costs_by_hand() -> None:
    costs = balanced_costs(np.array([[1, 1], [0, 1], [0, 1], [0, 0]]))
    np.testing.assert_allclose(costs, [[2, 2 / 3], [2 / 3, 2 / 3], [2 / 3, 2 / 3], [2 / 3, 2]])
