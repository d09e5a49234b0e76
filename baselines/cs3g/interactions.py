"""CS3G's learned interactions: predictors and a sparse label matrix in turn; it knows no grid and no file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.special import expit, log_expit

from baselines.cs3g.problem import Design, Problem, raw_decision
from baselines.cs3g.solver import Solution, accelerated_proximal_gradient, solve
from benchmark.contracts import Array


@dataclass(frozen=True)
class InteractionProblem:
    """min over S, diag(S) = 0: (1/n) sum c_ij log(1 + exp(-y~_ij (Z + Z S)_ij)) + penalty ||S||_1.

    Its columns are q independent l1-penalised logistic regressions with offset z_j.
    """

    offsets: Array
    """Z, (n, q)."""
    signs: Array
    costs: Array
    penalty_weight: float

    @property
    def metric(self) -> Array:
        """Diagonal of the Hessian where S = 0, as if no score were certain."""
        p = expit(self.offsets)
        by_label = np.mean(self.costs * p * (1 - p), axis=0)
        return np.maximum(np.outer(np.mean(self.offsets**2, axis=0), by_label), 1e-8)

    def decision(self, point: Array) -> Array:
        """Return Z (I + S)."""
        return self.offsets + self.offsets @ point

    def smooth(self, point: Array, decision: Array) -> float:  # noqa: ARG002 (the solver's protocol)
        """Return the loss."""
        return float(-np.mean(np.sum(self.costs * log_expit(self.signs * decision), axis=1)))

    def gradient(self, point: Array, decision: Array) -> Array:  # noqa: ARG002 (the solver's protocol)
        """Return the gradient of the loss, 0 on the diagonal, which is not free."""
        slope = -self.costs * self.signs * expit(-self.signs * decision) / len(self.signs)
        gradient = self.offsets.T @ slope
        np.fill_diagonal(gradient, 0.0)
        return gradient

    def penalty(self, point: Array) -> float:
        """Return the weighted sum of absolute interactions."""
        return float(self.penalty_weight * np.abs(point).sum())

    def proximal(self, point: Array, metric: Array) -> Array:
        """Soft-threshold each entry."""
        return np.sign(point) * np.maximum(np.abs(point) - self.penalty_weight / metric, 0.0)

    def residual(self, point: Array, gradient: Array) -> float:
        """Return the norm of the smallest subgradient, relative to the gradient of scores that are all 0."""
        inactive = np.maximum(np.abs(gradient) - self.penalty_weight, 0.0)
        smallest = np.where(point == 0, inactive, gradient + self.penalty_weight * np.sign(point))
        unknowing = float(np.linalg.norm(self.gradient(point, np.zeros_like(self.offsets))))
        return float(np.linalg.norm(smallest)) / max(unknowing, 1e-8)


@dataclass(frozen=True)
class Alternation:
    """The last predictors and interactions, and how the objectives went."""

    solution: Solution
    interactions: Array
    """S, (q, q)."""
    objectives: Array
    """The joint objective on all rows: after the first predictors, then after each half of each round."""
    interaction_objectives: Array
    """(rounds, 2): the objective of S on its own scores Z, before and after its step."""
    n_iterations: int
    n_not_converged: int


class _Member:
    """Predictors fitted on some rows, scored on others."""

    def __init__(self, problem: Problem, scored: Sequence[Array] | None) -> None:
        self.problem = problem
        self.scored = scored
        self.solution: Solution | None = None

    def update(self, interactions: Array, tol: float, max_iter: int) -> Solution:
        """Fit the predictors given S, from where they were."""
        problem = replace(self.problem, mixing=np.eye(len(interactions)) + interactions)
        start = problem.null_point() if self.solution is None else self.solution.point
        self.solution = solve(problem, start, tol, max_iter)
        return self.solution

    def scores(self) -> Array:
        """Return Z of the rows to score, without interactions."""
        assert self.solution is not None
        point = self.solution.point
        if self.scored is None:
            return self.problem.decision(point)
        return raw_decision(self.scored, self.problem.weights(point), point[-1])


def alternate(
    modalities: Sequence[Array],
    problem: Problem,
    *,
    penalty: float,
    rounds: int,
    n_folds: int,
    tol: float,
    max_iter: int,
) -> Alternation:
    """Fit predictors given S and S given cross-fitted scores, in turn, from S = 0.

    Parameters
    ----------
    modalities : sequence of ndarray of shape (n, d_k)
        The standardised rows of `problem`.
    problem : Problem
        Without Laplacian and mixing.
    penalty : float
        Weight of ||S||_1.
    rounds : int
        Times that S is learned; the predictors are fitted once more often.
    n_folds : int
        Row i is scored by predictors fitted on the rows whose index differs from i modulo n_folds.
        1: S is learned on the scores of rows that the predictors were fitted on.
    tol, max_iter : float, int
        Of every convex problem inside.

    Notes
    -----
    With one fold each step lowers one joint objective. With more, the step of S lowers its own objective
    on cross-fitted scores, and the joint one may rise: in-sample scores are too sure of themselves, and
    what S gains on them does not last.
    """
    n, q = problem.signs.shape
    folds = np.arange(n) % min(n_folds, n)
    whole = _Member(problem, None)
    members = []
    if n_folds > 1:
        members = [_fold(modalities, problem, folds != k, folds == k) for k in range(folds.max() + 1)]
    interactions = np.zeros((q, q))
    solutions = [member.update(interactions, tol, max_iter) for member in (whole, *members)]
    objectives, steps = [solutions[0].objective], []
    for _ in range(rounds):
        scores = whole.scores()
        for k, member in enumerate(members):
            scores[folds == k] = member.scores()
        inner = InteractionProblem(scores, problem.signs, problem.costs, penalty)
        before = inner.smooth(interactions, inner.decision(interactions)) + inner.penalty(interactions)
        found = accelerated_proximal_gradient(inner, interactions, tol, max_iter)
        interactions = found.point
        steps.append((before, found.objective))
        objectives.append(_joint(whole, interactions, inner.penalty(interactions)))
        solutions += [found, *(member.update(interactions, tol, max_iter) for member in (whole, *members))]
        assert whole.solution is not None
        objectives.append(whole.solution.objective + inner.penalty(interactions))
    assert whole.solution is not None
    return Alternation(
        whole.solution,
        interactions,
        np.array(objectives),
        np.array(steps).reshape(-1, 2),
        sum(solution.n_iterations for solution in solutions),
        sum(not solution.converged for solution in solutions),
    )


def _fold(modalities: Sequence[Array], problem: Problem, fitted: Array, scored: Array) -> _Member:
    costs = problem.costs[fitted] if problem.costs.ndim else problem.costs
    design = Design.of([x[fitted] for x in modalities])
    part = replace(problem, design=design, signs=problem.signs[fitted], costs=costs)
    return _Member(part, [x[scored] for x in modalities])


def _joint(whole: _Member, interactions: Array, penalty: float) -> float:
    """Return the joint objective after S changed and the predictors did not."""
    assert whole.solution is not None
    problem = replace(whole.problem, mixing=np.eye(len(interactions)) + interactions)
    point = whole.solution.point
    return problem.smooth(point, problem.decision(point)) + problem.penalty(point) + penalty
