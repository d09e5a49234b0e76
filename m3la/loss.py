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
    cardinality: float,
    options: LossOptions,
    earlier_scores: Tensor | None = None,
) -> Tensor:
    """Return the batch mean of (20): sum over steps t and labels j of w_t[j] BCE(y[j], p_t[j]).

    Parameters
    ----------
    steps : the network's m predictions for B rows.
    labels : (B, q) in {0, 1}, floating point.
    cardinality : mean number of labels of a training row.
    options : see `LossOptions`.
    earlier_scores : (B, m, q) scores that (18) judges in place of this pass's own: stale on purpose.
    """
    bce = -(labels * steps.log_scores + (1 - labels) * steps.log_complements)  # (m, B, q)  (19)
    m = len(bce)
    if m > 1:
        previous = steps.log_scores[:-1].detach().exp()
        if earlier_scores is not None:
            previous = earlier_scores[:, :-1].transpose(0, 1)
        weights = torch.ones_like(bce)  # w_1 = 1
        weights[1:] = _weights(labels, previous, cardinality, options)
        bce = bce * weights
    losses = bce.sum(2) if options.reduction == "sum" else bce.mean(2) / m  # (m, B)
    used = losses if options.steps == "all" else losses[-1:]
    total = used.sum(0).mean()
    return total + _score_function(steps, losses) if options.reinforce else total


@torch.no_grad()
def _weights(labels: Tensor, previous: Tensor, cardinality: float, options: LossOptions) -> Tensor:
    """Equation (18) at steps t > 1, (m - 1, B, q); constants in the loss, as in RethinkNet."""
    predictions = binarise(previous, options.cost_prediction, cardinality)
    weights = cost_weights(labels, predictions, options.cost)
    return normalise(weights, options.weight_normalisation, options.weight_floor)


def _score_function(steps: Steps, losses: Tensor) -> Tensor:
    """REINFORCE: each choice is judged by the loss (m, B) of the step that reads it, minus its batch mean."""
    advantage = (losses - losses.mean(1, keepdim=True)).detach()
    return (advantage * steps.order_log_probability).mean(1).sum()
