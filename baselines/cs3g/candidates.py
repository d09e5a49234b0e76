"""Solves the problems of many candidates side by side; it knows no hold-out and no rule of choice.

With few labels, a product of the rows with one candidate's weights takes no longer than reading the rows.
So candidates share their products with the rows; everything else each does for itself.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import DTypeLike

from baselines.cs3g.problem import Problem, Strengths, shrink_norm
from benchmark.contracts import Array

SINGLE = 1e-5
"""Residual that single precision reaches on standardised rows with some to spare; its floor is near 1e-6."""
BYTES = 2**28
"""What the arrays of candidates that stand side by side may take together."""
DEPTH = 12
"""Differences of steps that an accelerated one is made of."""
FIRST_CURVATURE = 3.0
"""Multiple of the metric to begin with, as the metric leaves out how modalities go together."""
GROWTH = 2.0
"""By how much an accelerated step may be longer than the shortest one, and the curvature is raised."""
SLACK = 1.1
"""The same for a step that is not accelerated: one that the metric majorises is no longer, up to rounding."""


@dataclass
class _Candidate:
    """How far one candidate has been solved."""

    strengths: Strengths
    point: Array
    """(q, r + 1): the end of the last step that was not undone."""
    norm: float = math.inf
    """Of metric * step, at the last step; infinite if that was undone, NaN if no step can be taken."""
    n_iterations: int = 0


class Candidates:
    """Problems over the same rows that differ in their penalties, and how far each has been solved.

    Parameters
    ----------
    problem : Problem
        That of a candidate with the largest Laplacian: all are solved in its labels' basis.
    strengths : sequence of Strengths
    single : float
        Smallest tolerance to which they are solved in single precision.
    """

    def __init__(self, problem: Problem, strengths: Sequence[Strengths], single: float = SINGLE) -> None:
        self._problem, self._single = problem, single
        null = np.ascontiguousarray(problem.null_point().T)
        self._candidates = [_Candidate(each, null) for each in strengths]

    @property
    def n_iterations(self) -> int:
        """Return the iterations of all so far."""
        return sum(candidate.n_iterations for candidate in self._candidates)

    def point(self, which: int) -> Array:
        """Return where a candidate is: weights in the labels' own basis, then intercepts; (r + 1, q)."""
        return self._problem.natural(self._candidates[which].point.T.astype(np.float64))

    def step(self, which: int) -> float:
        """Return the norm of a candidate's last metric * step, relative to the gradient at the null model."""
        return self._candidates[which].norm / self._problem.scale

    def residual(self, which: int) -> float:
        """Return the relative norm of the smallest subgradient where a candidate is, computed afresh."""
        problem = replace(self._problem, strengths=self._candidates[which].strengths)
        point = self._candidates[which].point.T.astype(np.float64)
        return problem.residual(point, problem.gradient(point, problem.decision(point)))

    def put(self, which: int, where: int) -> None:
        """Let a candidate go on from where another one is."""
        self._candidates[which].point = self._candidates[where].point
        self._candidates[which].norm = math.inf

    def advance(self, which: Sequence[int], tol: float, max_iter: int) -> None:
        """Solve candidates from where they are until their steps are within the tolerance.

        Parameters
        ----------
        which : sequence of int
        tol : float
        max_iter : int
            Of each candidate.
        """
        dtype = np.dtype(np.float32 if tol >= self._single else np.float64)
        products = _Products(self._problem, dtype)
        (n, q), r = self._problem.signs.shape, self._problem.design.rows.shape[1]
        norm = tol * self._problem.scale
        which = [i for i in which if not self._candidates[i].norm <= norm]
        width = max(1, BYTES // ((4 * n + 2 * DEPTH * r) * q * dtype.itemsize))
        with np.errstate(over="ignore"):  # exp(-z) may be infinite: the probability is then 0
            for first in range(0, len(which), width):
                together = [self._candidates[i] for i in which[first : first + width]]
                self._advance(together, products, norm, max_iter)

    def _advance(
        self, together: Sequence[_Candidate], products: _Products, norm: float, max_iter: int
    ) -> None:
        decisions = products.decisions([candidate.point for candidate in together])
        going = [
            _Descent(self._problem, candidate, decision)
            for candidate, decision in zip(together, decisions, strict=True)
        ]
        for _ in range(max_iter):
            for descent, gradient in zip(going, products.gradients(decisions), strict=True):
                descent.step(gradient)
            # A NaN does not go on.
            going = [descent for descent in going if descent.candidate.norm > norm]
            if not going:
                break
            decisions = products.decisions([descent.ahead for descent in going])


class _Products:
    """The products that candidates share, labels first: points (q, r + 1), decisions (q, n).

    So candidates stand below one another in a product, and the part of each lies in one piece.
    """

    def __init__(self, problem: Problem, dtype: DTypeLike) -> None:
        self._rows = problem.design.rows.astype(dtype, copy=False)
        self._vectors = problem.eigenvectors.astype(dtype)
        self._labels = np.ascontiguousarray(problem.signs.T > 0, dtype=dtype)
        self._costs = np.ascontiguousarray(problem.costs.T / len(problem.signs), dtype=dtype)

    def decisions(self, points: Sequence[Array]) -> list[Array]:
        """Return each point's decision."""
        points = [point.astype(self._rows.dtype, copy=False) for point in points]
        weights = np.concatenate([self._vectors @ point[:, :-1] for point in points])
        decisions = np.split(weights @ self._rows.T, len(points))
        for decision, point in zip(decisions, points, strict=True):
            decision += point[:, -1:]
        return decisions

    def gradients(self, decisions: Sequence[Array]) -> list[Array]:
        """Return the loss's gradient (q, r + 1) at each decision; the decisions are overwritten."""
        slopes = np.concatenate([self._slope(decision) for decision in decisions])
        natural = np.split(slopes @ self._rows, len(decisions))
        intercepts = np.split(slopes.sum(axis=1, keepdims=True), len(decisions))
        pairs = zip(natural, intercepts, strict=True)
        return [np.hstack([self._vectors.T @ weights, intercept]) for weights, intercept in pairs]

    def _slope(self, decision: Array) -> Array:
        """Return the derivative of the loss by the decision, in its place."""
        np.negative(decision, out=decision)
        np.exp(decision, out=decision)
        decision += 1
        np.reciprocal(decision, out=decision)
        decision -= self._labels
        decision *= self._costs
        return decision


class _Descent:
    """Proximal gradient with Anderson's acceleration [1]_ [2]_ for one candidate, between shared products.

    The metric is that of the decision where it begins. A step much longer than the shortest one is undone:
    it goes on from where that one began, without acceleration, and if that fails with a larger curvature.

    References
    ----------
    .. [1] H. F. Walker, P. Ni, Anderson acceleration for fixed-point iterations, SIAM J. Numer. Anal.
       49(4), 2011.
    .. [2] V. V. Mai, M. Johansson, Anderson acceleration of proximal gradient methods, ICML 2020.
    """

    def __init__(self, problem: Problem, candidate: _Candidate, decision: Array) -> None:
        dtype, strengths = decision.dtype, candidate.strengths
        self.candidate = candidate
        self._quadratic = strengths.quadratic(problem.eigenvalues).astype(dtype)[:, None]
        self._lasso = list(zip(problem.design.blocks, strengths.lasso_weights(problem.design), strict=True))
        metric = problem.metric_at(decision.T, strengths)
        self._metric = np.ascontiguousarray(metric.T, dtype=dtype)
        self._root = np.sqrt(self._metric)
        candidate.point = candidate.point.astype(dtype)
        self.ahead = candidate.point
        """Where the next step begins."""
        self._accelerated, self._curvature = False, FIRST_CURVATURE
        self._shortest, self._origin, self._gradient = math.inf, self.ahead, np.zeros_like(self.ahead)
        self._history = _History(self.ahead)

    def step(self, gradient: Array) -> None:
        """Take a step from `ahead`, given the loss's gradient there, and set where the next one begins."""
        candidate, ahead = self.candidate, self.ahead
        candidate.n_iterations += 1
        gradient[:, :-1] += self._quadratic * ahead[:, :-1]
        end = self._end(ahead, gradient)
        weighed = self._root * (end - ahead)
        length = self._curvature * float(np.linalg.norm(weighed))
        if not length <= (GROWTH if self._accelerated else SLACK) * self._shortest:
            self._undo()
            return
        candidate.point = end
        candidate.norm = self._curvature * float(np.linalg.norm(self._root * weighed))
        if length < self._shortest:
            self._shortest, self._origin, self._gradient = length, ahead, gradient
        self.ahead = self._history.mixture(end, weighed)
        self._accelerated = self.ahead is not end

    def _undo(self) -> None:
        if not self._accelerated:
            self._curvature *= GROWTH
        # Beyond this a step loses its digits in those of the point.
        lost = self._curvature > np.finfo(self.ahead.dtype).eps ** -0.5
        self.candidate.norm = math.nan if lost else math.inf
        self.ahead, self._accelerated = self._end(self._origin, self._gradient), False
        # With the lasso, even curvature * step depends on the curvature.
        self._shortest = self._curvature * float(np.linalg.norm(self._root * (self.ahead - self._origin)))
        self._history.forget()

    def _end(self, origin: Array, gradient: Array) -> Array:
        """Return the end of the step from a point."""
        metric = self._metric * self._metric.dtype.type(self._curvature)
        end = origin - gradient / metric
        for block, weight in self._lasso:
            end[:, block] = shrink_norm(end[:, block], metric[:, block], weight)
        return end


class _History:
    """The latest steps and their ends, as differences of each to the one before."""

    def __init__(self, point: Array) -> None:
        self._ends = np.empty((DEPTH, *point.shape), dtype=point.dtype)
        self._steps = np.empty_like(self._ends)
        self.forget()

    def forget(self) -> None:
        """Leave out all that was."""
        self._n = 0
        self._latest: tuple[Array, Array] | None = None

    def mixture(self, end: Array, step: Array) -> Array:
        """Return the mixture of all ends whose step would be the shortest if steps were linear."""
        if self._latest is not None:
            oldest = self._n % DEPTH
            np.subtract(end, self._latest[0], out=self._ends[oldest])
            np.subtract(step, self._latest[1], out=self._steps[oldest])
            self._n += 1
        self._latest = end, step
        known = min(self._n, DEPTH)
        if not known:
            return end
        ends, steps = self._ends[:known].reshape(known, -1), self._steps[:known].reshape(known, -1)
        products, against = (steps @ steps.T).astype(float), (steps @ step.ravel()).astype(float)
        # Directions that rounding has drowned are left out.
        shares, *_ = np.linalg.lstsq(products, against, rcond=8 * np.finfo(step.dtype).eps)
        return end - (shares.astype(step.dtype) @ ends).reshape(end.shape)
