"""M3LA's loss, equation (20) without its L2 term, which the optimiser applies as weight decay.

Knows the network only through `Steps`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from m3la.cost import binarise, cost_weights, normalise
from m3la.model import Steps


@dataclass(frozen=True)
class LossOptions:
    """Answers to what the paper leaves open about the loss; meaning and source in `M3LA.FACTORS`."""

    cost: str = "f1"
    cost_prediction: str = "0.5"
    weight_normalisation: str = "none"
    weight_floor: float = 0.0
    reduction: str = "sum"
    steps: str = "all"
    reinforce: bool = False


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
    bce = -(y * steps.log_scores + (1 - y) * steps.log_complements)  # ([n,] m, B, q)  (19)
    m = bce.shape[-3]
    if m > 1:
        previous = steps.log_scores[..., :-1, :, :].detach().exp()
        if earlier_scores is not None:
            previous = earlier_scores[..., :-1, :].transpose(-3, -2)
        weights = torch.ones_like(bce)  # w_1 = 1
        weights[..., 1:, :, :] = _weights(y, previous, cardinality, options)
        bce = bce * weights
    losses = bce.sum(-1) if options.reduction == "sum" else bce.mean(-1) / m  # ([n,] m, B)
    used = losses if options.steps == "all" else losses[..., -1:, :]
    total = used.sum(-2).mean(-1)
    return total + _score_function(steps, losses) if options.reinforce else total


@torch.no_grad()
def _weights(labels: Tensor, previous: Tensor, cardinality: float | Tensor, options: LossOptions) -> Tensor:
    """Equation (18) at steps t > 1, ([n,] m - 1, B, q); constants in the loss, as in RethinkNet."""
    predictions = binarise(previous, options.cost_prediction, cardinality)
    weights = cost_weights(labels, predictions, options.cost)
    return normalise(weights, options.weight_normalisation, options.weight_floor)


def _score_function(steps: Steps, losses: Tensor) -> Tensor:
    """REINFORCE: a choice is judged by the loss ([n,] m, B) of the step that reads it, minus its mean."""
    advantage = (losses - losses.mean(-1, keepdim=True)).detach()
    return (advantage * steps.order_log_probability).mean(-1).sum(-1)
