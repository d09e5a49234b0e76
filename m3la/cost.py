"""Cost-sensitive weights of equation (18): how much each label matters given the previous prediction.

`w[k] = |K(y, yh with label k set to 0) - K(y, yh with label k set to 1)|`. K is "a cost function" in the
paper; the functions here are those of Li and Lin (ICML 2014) and Yang et al. (RethinkNet, ACML 2019), in
closed form. Score or loss makes no difference, since only the absolute difference is used; 0/0 counts 1.
"""

from __future__ import annotations

import torch
from torch import Tensor


def binarise(scores: Tensor, rule: str, cardinality: float | Tensor) -> Tensor:
    """Turn scores p (.., q), or (n, .., q) with cardinalities (n,), into the prediction that K judges.

    `0.5` and `1/q` are thresholds, `top_lcard` takes the round(cardinality) highest labels (at least one),
    `soft` keeps the scores (soft F1).
    """
    q = scores.shape[-1]
    match rule:
        case "soft":
            return scores
        case "top_lcard":
            count = torch.as_tensor(cardinality, device=scores.device).round().clamp(1, q)
            count = count.reshape(count.shape + (1,) * (scores.dim() - count.dim()))
            rank = scores.argsort(-1, descending=True).argsort(-1)
            return (rank < count).to(scores.dtype)
        case "1/q":
            return (scores >= 1 / q).to(scores.dtype)
        case _:
            return (scores > 0.5).to(scores.dtype)


def cost_weights(labels: Tensor, predictions: Tensor, cost: str) -> Tensor:
    """Return the weights w (.., q) of equation (18).

    Parameters
    ----------
    labels : (.., q) in {0, 1}.
    predictions : (.., q) in {0, 1}, or in [0, 1] for the soft form of F1 and accuracy.
    cost : `f1`, `hamming`, `accuracy`, `rank`, or `none`: ones, no cost weighting.
    """
    y, yh = torch.broadcast_tensors(labels, predictions)
    q = y.shape[-1]
    if cost == "none":
        return torch.ones_like(y)
    if cost == "hamming":
        return torch.full_like(y, 1 / q)
    n_true = y.sum(-1, keepdim=True)  # a = |y|
    if cost == "rank":  # flipping a label changes its own pairs only, whatever the others are
        return 0.5 * torch.where(y > 0, q - n_true, n_true)
    hits = y * yh
    u = hits.sum(-1, keepdim=True) - hits  # among the other labels
    if cost == "f1":
        v = yh.sum(-1, keepdim=True) - yh  # predicted among the other labels
        without, with_ = _ratio(2 * u, n_true + v), 2 * (u + y) / (n_true + v + 1)
    else:  # accuracy (Jaccard)
        either = y + yh - y * yh
        union = either.sum(-1, keepdim=True) - either
        without, with_ = _ratio(u, union + y), (u + y) / (union + 1)
    return (without - with_).abs()


def _ratio(numerator: Tensor, denominator: Tensor) -> Tensor:
    """0/0 counts 1: nothing to find and nothing predicted."""
    return torch.where(denominator > 0, numerator / denominator.clamp_min(1e-12), 1.0)


def normalise(weights: Tensor, rule: str, floor: float) -> Tensor:
    """Floor the weights (.., B, q), then scale them to mean one over each batch (`mean_one`) or leave them.

    A batch whose weights are all zero gets ones, as there is nothing to scale.
    """
    weights = weights.clamp_min(floor) if floor > 0 else weights
    if rule == "none":
        return weights
    mean = weights.mean((-2, -1), keepdim=True)
    return torch.where(mean > 0, weights / mean.clamp_min(1e-12), torch.ones_like(weights))
