"""M3LA's loss, equation (20) without its L2 term, which the optimiser applies as weight decay.

Knows the network only through `Steps`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from m3la import fast
from m3la.cost import binarise, cost_weights, normalise
from m3la.reference import Steps


@dataclass(frozen=True)
class LossOptions:
    """Answers to what the paper leaves open about the loss; meaning and source in `M3LA.FACTORS`."""

    cost: str
    cost_prediction: str
    weight_normalisation: str
    weight_floor: float
    reduction: str
    steps: str
    reinforce: bool
    form: str = "fast"
    """As of `M3LANet`."""


def m3la_loss(
    steps: Steps,
    labels: Tensor,
    cardinality: float | Tensor,
    options: LossOptions,
    earlier_scores: Tensor | None = None,
) -> Tensor:
    """Return the batch mean of (20): sum over steps t and labels j of w_t[j] BCE(y[j], p_t[j]).

    A number, or one for each of n networks side by side, written [n,] below.

    Parameters
    ----------
    steps : the network's m predictions for B rows.
    labels : ([n,] B, q) in {0, 1}, floating point.
    cardinality : mean number of labels of a training row, one or (n,).
    options : see `LossOptions`.
    earlier_scores : ([n,] B, m, q) scores that (18) judges in place of this pass's own: stale on purpose.
    """
    y = labels.unsqueeze(-3)  # ([n,] 1, B, q)
    m, q = steps.log_scores.shape[-3], steps.log_scores.shape[-1]
    weights = torch.ones_like(steps.log_scores)  # ([n,] m, B, q); w_1 = 1
    if m > 1:
        previous = steps.log_scores[..., :-1, :, :].detach().exp()
        if earlier_scores is not None:
            previous = earlier_scores[..., :-1, :].transpose(-3, -2)
        weights[..., 1:, :, :] = _weights(y, previous, cardinality, options)
    losses: Tensor = _CrossEntropy.apply(steps.log_scores, steps.log_complements, y, weights)
    if options.reduction == "mean":
        losses = losses / (m * q)  # ([n,] m, B)
    used = losses if options.steps == "all" else losses[..., -1:, :]
    total = used.sum(-2).mean(-1)
    return total + _score_function(steps, losses) if options.reinforce else total


class _CrossEntropy(torch.autograd.Function):
    """(19), weighted and summed over labels: -sum_j w_j (y_j log p_j + (1 - y_j) log(1 - p_j))."""

    @staticmethod
    def forward(ctx: Any, log_p: Tensor, log_complement: Tensor, y: Tensor, weights: Tensor) -> Tensor:
        ctx.save_for_backward(y, weights)
        return torch.where(y > 0, log_p, log_complement).mul_(weights).sum(-1).neg_()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        y, weights = ctx.saved_tensors
        both = weights * -grad.unsqueeze(-1)
        of_log_p = both * y
        return of_log_p, both.sub_(of_log_p), None, None


@torch.no_grad()
def _weights(labels: Tensor, previous: Tensor, cardinality: float | Tensor, options: LossOptions) -> Tensor:
    """Equation (18) at steps t > 1, ([n,] m - 1, B, q); constants in the loss, as in RethinkNet."""
    predictions = binarise(previous, options.cost_prediction, cardinality)
    if options.cost == "f1" and options.form == "fast" and fast.runs_on(predictions):
        weights = fast.f1_weights(labels, predictions)
    else:
        weights = cost_weights(labels, predictions, options.cost)
    return normalise(weights, options.weight_normalisation, options.weight_floor)


def _score_function(steps: Steps, losses: Tensor) -> Tensor:
    """REINFORCE: a choice is judged by the loss ([n,] m, B) of the step that reads it, minus its mean."""
    advantage = (losses - losses.mean(-1, keepdim=True)).detach()
    return (advantage * steps.order_log_probability).mean(-1).sum(-1)
