"""Minimises smooth + simple convex objectives to a checked first-order residual; it knows no data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from scipy.optimize import OptimizeResult, minimize

from benchmark.contracts import Array

CHECK_EVERY = 5
"""Accelerated steps between two checks of the residual, each of which costs one more gradient."""

LARGEST_CURVATURE = 1e30
"""Multiple of the metric beyond which a step is lost in rounding; halving it further would never end."""


class Composite(Protocol):
    """smooth(x) + penalty(x), where smooth sees x through an affine `decision`."""

    @property
    def metric(self) -> Array:
        """Diagonal estimate of the curvature of `smooth`, in the shape of a point; positive."""
        ...

    def decision(self, point: Array) -> Array: ...
    def smooth(self, point: Array, decision: Array) -> float: ...
    def gradient(self, point: Array, decision: Array) -> Array: ...
    def penalty(self, point: Array) -> float: ...
    def proximal(self, point: Array, metric: Array) -> Array: ...
    def residual(self, point: Array, gradient: Array) -> float: ...


@dataclass(frozen=True)
class Solution:
    """Where a solver stopped."""

    point: Array
    objective: float
    residual: float
    """Relative norm of the smallest subgradient at `point`, computed afresh."""
    n_iterations: int
    converged: bool
    """Whether the residual is within the tolerance."""


def solve(problem: Composite, start: Array, tol: float, max_iter: int) -> Solution:
    """Minimise by L-BFGS where the penalty is zero everywhere, else by accelerated proximal gradient."""
    smooth = problem.penalty(np.ones_like(start)) == 0
    solver = lbfgs if smooth else accelerated_proximal_gradient
    return solver(problem, start, tol, max_iter)


def lbfgs(problem: Composite, start: Array, tol: float, max_iter: int) -> Solution:
    """Minimise by SciPy's L-BFGS-B in coordinates scaled by the metric; only without a penalty.

    Parameters
    ----------
    problem : Composite
        Its penalty must be zero.
    start : ndarray
    tol : float
        Bound on the residual; SciPy's own stopping rules are switched off.
    max_iter : int
    """
    shape, root = start.shape, np.sqrt(problem.metric)
    latest: dict[str, Array] = {}

    def value_and_gradient(scaled: Array) -> tuple[float, Array]:
        point = scaled.reshape(shape) / root
        decision = problem.decision(point)
        gradient = problem.gradient(point, decision)
        latest.update(scaled=scaled.copy(), gradient=gradient)
        return problem.smooth(point, decision), (gradient / root).ravel()

    def stop_within_tolerance(intermediate_result: OptimizeResult) -> None:
        # SciPy reports an accepted point right after evaluating it; a search that ended elsewhere goes on.
        if np.array_equal(intermediate_result.x, latest["scaled"]):
            point = intermediate_result.x.reshape(shape) / root
            if problem.residual(point, latest["gradient"]) <= tol:
                raise StopIteration

    found = minimize(
        value_and_gradient,
        (start * root).ravel(),
        jac=True,
        method="L-BFGS-B",
        callback=stop_within_tolerance,
        options={"maxiter": max_iter, "maxfun": 2 * max_iter + 20, "maxcor": 20, "ftol": 0.0, "gtol": 0.0},
    )
    return checked(problem, found.x.reshape(shape) / root, tol, int(found.nit))


def accelerated_proximal_gradient(problem: Composite, start: Array, tol: float, max_iter: int) -> Solution:
    """Minimise by FISTA [1]_ in the problem's metric, with backtracking and adaptive restart [2]_.

    Parameters are those of `lbfgs`; any penalty is allowed.

    References
    ----------
    .. [1] A. Beck, M. Teboulle, A fast iterative shrinkage-thresholding algorithm for linear inverse
       problems, SIAM J. Imaging Sci. 2(1), 2009.
    .. [2] B. O'Donoghue, E. Candes, Adaptive restart for accelerated gradient schemes, Found. Comput.
       Math. 15, 2015 (the gradient scheme).
    """
    point, decision = start, problem.decision(start)
    ahead, ahead_decision = point, decision
    momentum, curvature = 1.0, 1.0
    for iteration in range(1, max_iter + 1):
        before = curvature
        new, new_decision, curvature = _step(problem, ahead, ahead_decision, curvature)
        turned = np.sum(problem.metric * (ahead - new) * (new - point)) > 0
        following = 0.5 * (1 + np.sqrt(1 + 4 * momentum**2 * curvature / before))
        push = 0.0 if turned else (momentum - 1) / following
        momentum = 1.0 if turned else following
        # Both decisions are at hand, so the one at the extrapolated point costs no product with the data.
        ahead = new + push * (new - point)
        ahead_decision = new_decision + push * (new_decision - decision)
        point, decision = new, new_decision
        if iteration % CHECK_EVERY == 0 and problem.residual(point, problem.gradient(point, decision)) <= tol:
            break
        curvature *= 0.9
    return checked(problem, point, tol, iteration if max_iter > 0 else 0)


def _step(problem: Composite, at: Array, decision: Array, curvature: float) -> tuple[Array, Array, float]:
    """Return the proximal step from `at`, its decision, and a multiple of the metric that majorises."""
    value, gradient = problem.smooth(at, decision), problem.gradient(at, decision)
    while True:
        metric = curvature * problem.metric
        new = problem.proximal(at - gradient / metric, metric)
        new_decision = problem.decision(new)
        change = new - at
        bound = value + np.sum(gradient * change) + 0.5 * np.sum(metric * change**2)
        # Close to the optimum both sides differ by less than the sums are rounded.
        if problem.smooth(new, new_decision) <= bound + 1e-13 * abs(value):
            return new, new_decision, curvature
        curvature *= 2.0
        if not np.isfinite(value) or curvature > LARGEST_CURVATURE:
            raise ValueError(
                f"no step lowers the objective of {value:g}: it is not convex, or its numbers overflow; "
                "standardise the features"
            )


def checked(problem: Composite, point: Array, tol: float, n_iterations: int) -> Solution:
    """Return what a solver found, its residual computed afresh."""
    decision = problem.decision(point)
    objective = problem.smooth(point, decision) + problem.penalty(point)
    residual = problem.residual(point, problem.gradient(point, decision))
    return Solution(point, objective, residual, n_iterations, residual <= tol)
