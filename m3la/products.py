"""Products of n pairs of matrices side by side, on the road that is fast on the device at hand.

On a CPU each pair gets a product of its own: a batched product of few large matrices reaches half to nine
tenths of that rate. On an accelerator one batched product saves n launches.
"""

from __future__ import annotations

import torch
from torch import Tensor


class Matrices:
    """n matrices side by side, with a view of each, made once.

    Parameters
    ----------
    tensor : (.., i, j); all leading axes count as one of length n.
    """

    __slots__ = ("batched", "each", "on_cpu")

    def __init__(self, tensor: Tensor) -> None:
        self.batched = tensor if tensor.dim() == 3 else tensor.flatten(0, -3)  # (n, i, j)
        self.each = self.batched.unbind(0)
        self.on_cpu = tensor.is_cpu


def product(left: Matrices, right: Matrices, out: Matrices | None = None) -> Tensor:
    """Return left @ right (n, i, j) for (n, i, k) and (n, k, j), written to `out` where it is given."""
    if not left.on_cpu:
        return torch.bmm(left.batched, right.batched, out=None if out is None else out.batched)
    if out is None:
        n, i, _ = left.batched.shape
        out = Matrices(left.batched.new_empty(n, i, right.batched.shape[2]))
    for k, o in enumerate(out.each):
        torch.mm(left.each[k], right.each[k], out=o)
    return out.batched


def add_product(
    out: Matrices, left: Matrices, right: Matrices, beta: float = 1.0, alpha: float = 1.0
) -> None:
    """Replace `out` (n, i, j) by beta out + alpha left @ right."""
    if not left.on_cpu:
        out.batched.baddbmm_(left.batched, right.batched, beta=beta, alpha=alpha)
        return
    for k, o in enumerate(out.each):
        o.addmm_(left.each[k], right.each[k], beta=beta, alpha=alpha)
