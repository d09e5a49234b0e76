"""`baselines.cs3g.candidates` on an accelerator: all labels and candidates at once, in double precision.

The steps are those of `_Descent` there, which says why each is taken; here every number of a candidate has a
leading axis of K candidates, and what one of them does alone is chosen by a mask. It knows no hold-out and no
rule of choice.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.cs3g.candidates import DEPTH, FIRST_CURVATURE, GROWTH, SLACK
from baselines.cs3g.problem import MAX_NEWTON_STEPS, Problem, Strengths
from benchmark.contracts import Array

BYTES = 2**32
"""What the arrays of candidates that stand side by side may take together."""
WIDEST = torch.finfo(torch.float64).eps ** -0.5
"""Curvature beyond which a step loses its digits in those of the point."""


class DeviceCandidates:
    """What `Candidates` promises, solved on a device.

    Parameters
    ----------
    problem, strengths : as of `Candidates`.
    device : name of a torch device.
    """

    def __init__(self, problem: Problem, strengths: Sequence[Strengths], device: str) -> None:
        self._problem, self._strengths = problem, list(strengths)
        self._shared = _Shared.of(problem, device)
        null = np.ascontiguousarray(problem.null_point().T)
        self._points = torch.from_numpy(null).to(device).repeat(len(strengths), 1, 1)
        self._norms = [math.inf] * len(strengths)
        self.n_iterations = 0
        """Of all candidates so far."""

    def rotated_point(self, which: int) -> Array:
        """Return where a candidate is, (r + 1, q), in the basis of its problem."""
        return self._points[which].T.cpu().numpy()

    def point(self, which: int) -> Array:
        """Return where a candidate is: weights in the labels' own basis, then intercepts; (r + 1, q)."""
        return self._problem.natural(self.rotated_point(which))

    def step(self, which: int) -> float:
        """Return the norm of a candidate's last metric * step, relative to the gradient at the null model."""
        return self._norms[which] / self._problem.scale

    def residual(self, which: int) -> float:
        """Return the relative norm of the smallest subgradient where a candidate is, computed afresh."""
        problem = replace(self._problem, strengths=self._strengths[which])
        point = self.rotated_point(which)
        return problem.residual(point, problem.gradient(point, problem.decision(point)))

    def put(self, which: int, where: int) -> None:
        """Let a candidate go on from where another one is."""
        self._points[which] = self._points[where]
        self._norms[which] = math.inf

    def advance(self, which: Sequence[int], tol: float, max_iter: int) -> None:
        """Solve candidates from where they are until their steps are within the tolerance."""
        norm = tol * self._problem.scale
        which = [i for i in which if not self._norms[i] <= norm]
        (n, q), r = self._problem.signs.shape, self._problem.design.rows.shape[1]
        width = max(1, BYTES // ((4 * n + (2 * DEPTH + 12) * r) * q * 8))
        for first in range(0, len(which), width):
            self._advance(which[first : first + width], norm, max_iter)

    def _advance(self, which: Sequence[int], norm: float, max_iter: int) -> None:
        shared = self._shared
        points = self._points[list(which)]
        strengths = [self._strengths[i] for i in which]
        going = _Descents.of(strengths, points, shared)
        places = torch.tensor(list(which), device=points.device)
        for _ in range(max_iter):
            going.step(shared.gradients(shared.decisions(going.ahead)))
            self.n_iterations += len(places)
            goes_on = going.norm > norm  # a NaN does not go on
            if bool(goes_on.all()):
                continue
            self._keep(places[~goes_on], going.among(~goes_on))
            places, going = places[goes_on], going.among(goes_on)
            if not len(places):
                break
        self._keep(places, going)

    def _keep(self, places: Tensor, descents: _Descents) -> None:
        self._points[places] = descents.point
        for i, norm in zip(places.tolist(), descents.norm.tolist(), strict=True):
            self._norms[i] = norm


@dataclass(frozen=True)
class _Shared:
    """What candidates have in common: points (K, q, r + 1), decisions (K, q, n)."""

    rows: Tensor  # (n, r)
    vectors: Tensor  # (q, q)
    labels: Tensor  # (q, n) in {0, 1}
    costs: Tensor  # (q, n) or a number, over n
    curvature: Tensor  # (r,)
    eigenvalues: Tensor  # (q,)
    block: Tensor  # (r,)  the modality of each column
    root_sizes: Tensor  # (m,)  sqrt(d_k)

    @classmethod
    def of(cls, problem: Problem, device: str) -> _Shared:
        def there(x: Any) -> Tensor:
            return torch.from_numpy(np.ascontiguousarray(x, dtype=np.float64)).to(device)

        design, n = problem.design, len(problem.signs)
        sizes = [block.stop - block.start for block in design.blocks]
        return cls(
            there(design.rows),
            there(problem.eigenvectors),
            there(problem.signs.T > 0),
            there(problem.costs.T / n),
            there(design.curvature),
            there(problem.eigenvalues),
            torch.repeat_interleave(torch.arange(len(sizes)), torch.tensor(sizes)).to(device),
            there(np.sqrt([len(basis) for basis in design.bases])),
        )

    def decisions(self, points: Tensor) -> Tensor:
        """Return each point's decision."""
        return (self.vectors @ points[..., :-1]) @ self.rows.T + points[..., -1:]

    def gradients(self, decisions: Tensor) -> Tensor:
        """Return the loss's gradient (K, q, r + 1) at each decision."""
        slopes = (torch.sigmoid(decisions) - self.labels) * self.costs
        return torch.cat((self.vectors.T @ (slopes @ self.rows), slopes.sum(2, keepdim=True)), 2)

    def of_blocks(self, squares: Tensor) -> Tensor:
        """Sum (K, q, r) over labels and the columns of each modality: (K, m)."""
        by_column = squares.sum(1)
        found = by_column.new_zeros(len(by_column), len(self.root_sizes))
        return found.index_add(1, self.block, by_column)

    def metrics(self, decisions: Tensor, quadratic: Tensor) -> Tensor:
        """Return `Problem.metric_at` of each candidate, (K, q, r + 1)."""
        p = torch.sigmoid(decisions)
        weighed = p * (1 - p) * self.costs * self.labels.shape[1]
        by_label = weighed.mean(2).clamp_min(1e-8)
        rotated = by_label @ self.vectors.square()
        weights = rotated.unsqueeze(2) * self.curvature + quadratic.unsqueeze(2)
        return torch.cat((weights, by_label.unsqueeze(2)), 2)


@dataclass
class _Descents:
    """Proximal gradient with Anderson's acceleration for K candidates; see `candidates._Descent`."""

    quadratic: Tensor  # (K, q)
    lasso: Tensor  # (K, m)
    metric: Tensor  # (K, q, r + 1)
    point: Tensor
    norm: Tensor  # (K,)
    ahead: Tensor
    accelerated: Tensor  # (K,) bool
    curvature: Tensor  # (K,)
    shortest: Tensor  # (K,)
    origin: Tensor
    gradient: Tensor
    ends: Tensor  # (K, DEPTH, q (r + 1))  differences of ends
    steps: Tensor
    n_steps: Tensor  # (K,)
    latest_end: Tensor
    latest_step: Tensor
    has_latest: Tensor  # (K,) bool
    shared: _Shared

    @classmethod
    def of(cls, strengths: Sequence[Strengths], points: Tensor, shared: _Shared) -> _Descents:
        K, new = len(points), points.new_zeros
        device = points.device
        quadratic = torch.stack([s.ridge + s.laplacian * shared.eigenvalues for s in strengths])
        lasso = torch.tensor([s.lasso for s in strengths], device=device, dtype=torch.float64)
        history = new(K, DEPTH, points[0].numel())
        no = torch.zeros(K, dtype=torch.bool, device=device)
        infinite = torch.full((K,), torch.inf, device=device, dtype=torch.float64)
        return cls(
            quadratic,
            lasso.unsqueeze(1) * shared.root_sizes,
            shared.metrics(shared.decisions(points), quadratic),
            points,
            infinite,
            points,
            no,
            torch.full_like(infinite, FIRST_CURVATURE),
            infinite,
            points,
            torch.zeros_like(points),
            history,
            torch.zeros_like(history),
            torch.zeros(K, dtype=torch.int64, device=device),
            torch.zeros_like(points),
            torch.zeros_like(points),
            no,
            shared,
        )

    def among(self, mask: Tensor) -> _Descents:
        """Return some of the candidates."""
        own = {f.name: getattr(self, f.name) for f in fields(self) if f.name != "shared"}
        return _Descents(**{name: x[mask] for name, x in own.items()}, shared=self.shared)

    def step(self, gradient: Tensor) -> None:
        """Take a step from `ahead`, given the loss's gradient there, and set where the next one begins."""
        gradient[..., :-1] += self.quadratic.unsqueeze(2) * self.ahead[..., :-1]
        end = self._end(self.ahead, gradient)
        root = self.metric.sqrt()
        weighed = root * (end - self.ahead)
        length = self.curvature * _norms(weighed)
        good = length <= torch.where(self.accelerated, GROWTH, SLACK) * self.shortest
        better = good & (length < self.shortest)
        self.point = _where(good, end, self.point)
        self.norm = torch.where(good, self.curvature * _norms(root * weighed), torch.inf)
        self.shortest = torch.where(better, length, self.shortest)
        self.origin = _where(better, self.ahead, self.origin)
        self.gradient = _where(better, gradient, self.gradient)
        mixture, mixed = self._mixture(end, weighed, good)
        if not bool(good.all()):
            mixture = self._undone(good, root, mixture)
        self.ahead, self.accelerated = mixture, good & mixed

    def _undone(self, good: Tensor, root: Tensor, ahead: Tensor) -> Tensor:
        """Go back where a step was too long; return where next steps begin."""
        raised = ~(good | self.accelerated)
        self.curvature = torch.where(raised, self.curvature * GROWTH, self.curvature)
        self.norm = torch.where(~good & (self.curvature > WIDEST), torch.nan, self.norm)
        again = self._end(self.origin, self.gradient)
        length = self.curvature * _norms(root * (again - self.origin))
        self.shortest = torch.where(good, self.shortest, length)
        self.ends[~good] = 0.0
        self.steps[~good] = 0.0
        self.n_steps = torch.where(good, self.n_steps, 0)
        self.has_latest = self.has_latest & good
        return _where(good, ahead, again)

    def _mixture(self, end: Tensor, step: Tensor, good: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mixtures of all ends whose steps would be the shortest if steps were linear."""
        at = (good & self.has_latest).nonzero().squeeze(1)
        slot = self.n_steps[at] % DEPTH
        self.ends[at, slot] = (end - self.latest_end)[at].flatten(1)
        self.steps[at, slot] = (step - self.latest_step)[at].flatten(1)
        self.n_steps = self.n_steps.index_add(0, at, torch.ones_like(at))
        self.latest_end, self.latest_step = (
            _where(good, end, self.latest_end),
            _where(good, step, self.latest_step),
        )
        self.has_latest = self.has_latest | good
        steps = self.steps * good.view(-1, 1, 1)
        products = steps @ steps.mT
        against = (steps @ torch.where(good.view(-1, 1, 1), step, 0.0).flatten(1).unsqueeze(2)).squeeze(2)
        # Directions that rounding has drowned are left out.
        values, vectors = torch.linalg.eigh(products)
        kept = values > 8 * torch.finfo(values.dtype).eps * values[:, -1:]
        inverse = torch.where(kept, 1 / values.where(kept, 1.0), 0.0)
        shares = vectors @ (inverse * (vectors.mT @ against.unsqueeze(2)).squeeze(2)).unsqueeze(2)
        mixed = end - (shares.mT @ self.ends).view_as(end)
        return mixed, self.n_steps > 0

    def _end(self, origin: Tensor, gradient: Tensor) -> Tensor:
        """Return the ends of steps from points."""
        metric = self.metric * self.curvature.view(-1, 1, 1)
        end = origin - gradient / metric
        if bool((self.lasso > 0).any()):
            end[..., :-1] = shrink_norms(end[..., :-1], metric[..., :-1], self.lasso, self.shared)
        return end


def shrink_norms(point: Tensor, metric: Tensor, weights: Tensor, shared: _Shared) -> Tensor:
    """`problem.shrink_norm` of each candidate and modality: points and metrics (K, q, r), weights (K, m)."""
    pull = metric * point
    left = shared.of_blocks(pull.square()).sqrt() - weights
    active = (left > 0) & (weights > 0)
    largest = torch.stack([metric[..., shared.block == k].amax((1, 2)) for k in range(weights.shape[1])], 1)
    radius = torch.where(active, left / largest, 1.0)
    own_weights = weights[:, shared.block].unsqueeze(1)
    for _ in range(MAX_NEWTON_STEPS):
        denominator = metric * radius[:, shared.block].unsqueeze(1) + own_weights
        squares = (pull / denominator).square()
        norm = shared.of_blocks(squares).sqrt()
        slope = shared.of_blocks(squares * metric / denominator)
        step = torch.where(active, (norm - 1) * norm.square() / slope.where(active, 1.0), 0.0)
        radius = radius + step.clamp_min(0.0)
        if bool((step <= 1e-14 * radius).all()):
            break
    spread = radius[:, shared.block].unsqueeze(1)
    shrunk = pull * spread / (metric * spread + own_weights)
    keeps, drops = weights == 0, (weights > 0) & ~active
    shrunk = torch.where(drops[:, shared.block].unsqueeze(1), 0.0, shrunk)
    return torch.where(keeps[:, shared.block].unsqueeze(1), point, shrunk)


def _norms(x: Tensor) -> Tensor:
    return torch.linalg.vector_norm(x.flatten(1), dim=1)


def _where(mask: Tensor, one: Tensor, other: Tensor) -> Tensor:
    """Choose whole candidates."""
    return torch.where(mask.view(-1, 1, 1), one, other)
