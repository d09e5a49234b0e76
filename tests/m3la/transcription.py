"""Equations (18) and (20) word for word, the oracle for `m3la.loss`; slow, as each label is flipped in turn.

The oracle for `m3la.model` is `benchmark.studies.plain.m3la`.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F


def f1(y: Tensor, yh: Tensor) -> Tensor:
    """F1 of label vectors (.., q); 1 where both are empty."""
    total = y.sum(-1) + yh.sum(-1)
    return torch.where(total > 0, 2 * (y * yh).sum(-1) / total.clamp_min(1), torch.ones_like(total))


def literal_weights(y: Tensor, previous: Tensor) -> Tensor:
    """Equation (18) by flipping each label in turn, K = F1 of predictions at 0.5."""
    yh = (previous > 0.5).to(y)
    columns = []
    for k in range(y.shape[1]):
        off, on = yh.clone(), yh.clone()
        off[:, k], on[:, k] = 0, 1
        columns.append((f1(y, off) - f1(y, on)).abs())
    return torch.stack(columns, dim=1)


def literal_loss(predictions: list[Tensor], y: Tensor) -> Tensor:
    """Equation (20) without its L2 term, mean over the batch."""
    total = y.new_zeros(())
    for t, p in enumerate(predictions):
        weights = torch.ones_like(y) if t == 0 else literal_weights(y, predictions[t - 1].detach())
        total = total + F.binary_cross_entropy(p, y, weight=weights, reduction="none").sum(1).mean()
    return total
