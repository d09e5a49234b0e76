"""Solves candidates side by side as far as a choice needs; it knows no hold-out and no rule of choice.

With few labels, a product of the rows with one candidate's weights takes no longer than reading the rows.
So candidates share their products with the rows; everything else each does for itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import DTypeLike

from baselines.cs3g.problem import Problem, Strengths, shrink_norm
from baselines.cs3g.solver import LARGEST_CURVATURE
from benchmark.contracts import Array

CELLS = 10_000_000
"""Rows times labels of all candidates side by side; five arrays of that size are held."""
SLACK = 1e-4
"""By how much a step may fall short of its curvature, relative to it: more than sums are rounded."""


class Screening:
    """Candidates' problems over the same rows, and how far each has been solved.

    Parameters
    ----------
    problem : Problem
        That of a candidate with the largest Laplacian: all are solved in its labels' basis.
    candidates : sequence of Strengths
    dtype : numpy dtype
        Of all arithmetic.
    """

    def __init__(self, problem: Problem, candidates: Sequence[Strengths], dtype: DTypeLike) -> None:
        self._problem = problem
        self._rows = problem.design.rows.astype(dtype)
        self._vectors = problem.eigenvectors.astype(dtype)
        labels = np.ascontiguousarray(problem.signs.T > 0, dtype=dtype)
        costs = np.ascontiguousarray(problem.costs.T, dtype=dtype)
        self._solvers = [_Solver(problem, strengths, labels, costs) for strengths in candidates]

    @property
    def n_iterations(self) -> int:
        """Return the iterations of all candidates so far."""
        return sum(solver.n_iterations for solver in self._solvers)

    def natural(self, candidate: int) -> Array:
        """Return where a candidate is: weights in the labels' own basis, then intercepts; (r + 1, q)."""
        return self._problem.natural(self._solvers[candidate].point.T.astype(np.float64))

    def put(self, candidate: int, where: int) -> None:
        """Let a candidate go on from where another one is."""
        self._solvers[candidate].point = self._solvers[where].point

    def residual(self, candidate: int) -> float:
        """Return the norm of a candidate's last metric * step, relative to the gradient at the null model.

        It is about that of the smallest subgradient after the step, and at most twice as large.
        """
        return self._solvers[candidate].norm / self._problem.scale

    def advance(self, which: Sequence[int], tol: float, max_iter: int) -> None:
        """Solve candidates from where they are until their residual is within the tolerance.

        Parameters
        ----------
        which : sequence of int
        tol : float
        max_iter : int
            Of each candidate.
        """
        width = max(1, CELLS // self._problem.signs.size)
        with np.errstate(over="ignore"):  # exp(-z) may be infinite: the probability is then 0
            for first in range(0, len(which), width):
                self._advance([self._solvers[i] for i in which[first : first + width]], tol, max_iter)

    def _advance(self, solvers: Sequence[_Solver], tol: float, max_iter: int) -> None:
        for solver, decision in zip(solvers, self._decisions([s.point for s in solvers]), strict=True):
            solver.start(decision)
        for _ in range(max_iter):
            gradients = _side_by_side([solver.slope for solver in solvers], self._rows)
            points = [
                solver.propose(self._vectors.T @ gradient)
                for solver, gradient in zip(solvers, gradients, strict=True)
            ]
            for solver, decision in zip(solvers, self._decisions(points), strict=True):
                solver.judge(decision)
            # A NaN does not go on.
            solvers = [solver for solver in solvers if solver.norm > tol * self._problem.scale]
            if not solvers:
                break

    def _decisions(self, points: Sequence[Array]) -> list[Array]:
        """Return each point's decision, (q, n)."""
        decisions = _side_by_side([self._vectors @ point[:, :-1] for point in points], self._rows.T)
        for decision, point in zip(decisions, points, strict=True):
            decision += point[:, -1:]
        return decisions


def _side_by_side(parts: Sequence[Array], matrix: Array) -> list[Array]:
    """Return the product of each part with the matrix."""
    return np.split(np.concatenate(parts) @ matrix, len(parts))


class _Solver:
    """Accelerated proximal gradient of `solver`, of one candidate, between the products that it shares.

    Points (q, r + 1), decisions (q, n) and labels (q, n) have the labels first, so that candidates stand
    below one another in a product. A step is short enough if the gradient does not change by more along it
    than the metric says; values of the objective would be rounded too coarsely in single precision.
    """

    def __init__(self, problem: Problem, strengths: Strengths, labels: Array, costs: Array) -> None:
        self._labels, self._costs = labels, costs / labels.dtype.type(labels.shape[1])
        self._blocks = problem.design.blocks
        self._lasso_weights = strengths.lasso_weights(problem.design)
        self._quadratic = strengths.quadratic(problem.eigenvalues).astype(labels.dtype)[:, None]
        self._metric = np.ascontiguousarray(problem.metric_with(strengths).T, dtype=labels.dtype)
        self.point = np.ascontiguousarray(problem.null_point().T, dtype=labels.dtype)
        self.norm = math.inf
        """Of metric * step, at the last step; infinite if that was too long."""
        self.n_iterations = 0

    def start(self, decision: Array) -> None:
        """Begin at `point`, whose decision is given, without momentum."""
        self._decision = self._ahead_decision = decision
        self._ahead = self.point
        self._momentum, self._curvature = 1.0, 1.0
        self.slope = self._slope_at(decision)

    def propose(self, gradient: Array) -> Array:
        """Return where a step goes, given the loss's gradient by the weights, (q, r)."""
        step = np.concatenate([gradient, self.slope.sum(axis=1, keepdims=True)], axis=1)
        step[:, :-1] += self._quadratic * self._ahead[:, :-1]
        self._step_metric = self._metric * self._metric.dtype.type(self._curvature)
        step /= self._step_metric
        new = np.subtract(self._ahead, step, out=step)
        for block, weight in zip(self._blocks, self._lasso_weights, strict=True):
            new[:, block] = shrink_norm(new[:, block], self._step_metric[:, block], weight)
        self._new = new
        return new

    def judge(self, decision: Array) -> None:
        """Take the proposed step, whose decision is given, or find it too long."""
        self.n_iterations += 1
        change = self._new - self._ahead
        pull = self._step_metric * change
        bend = float(np.vdot(self._slope_at(decision) - self.slope, decision - self._ahead_decision))
        bend += float(np.sum(self._quadratic * change[:, :-1] ** 2))
        if not bend <= (1 + SLACK) * float(np.vdot(pull, change)):
            self.norm = math.inf if self._curvature < LARGEST_CURVATURE else math.nan
            self._curvature *= 2.0
            return
        self.norm = math.sqrt(np.vdot(pull, pull))
        self._curvature *= 0.9
        turned = np.vdot(pull, self._new - self.point) < 0
        following = 0.5 * (1 + math.sqrt(1 + 4 * self._momentum**2))
        push = change.dtype.type(0.0 if turned else (self._momentum - 1) / following)
        self._momentum = 1.0 if turned else following
        self._ahead = self._new + push * (self._new - self.point)
        self._ahead_decision = decision + push * (decision - self._decision)
        self.point, self._decision = self._new, decision
        self.slope = self._slope_at(self._ahead_decision)

    def _slope_at(self, decision: Array) -> Array:
        """Return the derivative of the loss by the decision."""
        slope = np.negative(decision)
        np.exp(slope, out=slope)
        slope += 1
        np.reciprocal(slope, out=slope)
        slope -= self._labels
        slope *= self._costs
        return slope
