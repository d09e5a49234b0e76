"""The default of `m3la.cost.cost_weights`, F1, compiled row by row."""

from __future__ import annotations

import torch
from torch import Tensor

from m3la.fast import label_kernels


def f1_weights(labels: Tensor, predictions: Tensor) -> Tensor:
    """Return (18) with F1, single or double precision.

    Parameters
    ----------
    labels : ([n,] 1, B, q) in {0, 1}.
    predictions : ([n,] steps, B, q) in [0, 1].
    """
    weights = torch.empty_like(predictions, memory_format=torch.contiguous_format)
    arrays = (x.reshape(-1, *x.shape[-3:]).contiguous().numpy() for x in (labels, predictions, weights))
    label_kernels.f1_weights(*arrays)
    return weights
