"""The gates of a GRU as one differentiable operation; it knows nothing of encoder, decoder or attention.

A GRU step of Cho et al. (2014), in the variant of cuDNN and `torch.nn.GRUCell` (reset after the product)::

    r  = sigmoid(i_r + g_r)          i = x W + b_i   (.., 3h), columns r | z | n
    z  = sigmoid(i_z + g_z)          g = h U + b_h   (.., 3h)
    n  = tanh(i_n + r * g_n)
    h' = (1 - z) * n + z * h

Left to autograd this is a dozen small tensors a step; written out it is two calls. With e = dL/dh'::

    dn = e (1 - z) (1 - n^2)         dz = e (h - n) z (1 - z)        dr = dn g_n r (1 - r)
    dL/di = [dr, dz, dn]             dL/dg = [dr, dz, dn * r]        dL/dh = e z
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable


class _GRUGates(torch.autograd.Function):
    """See the module's docstring for the derivation."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, recurrent: Tensor, hidden: Tensor) -> Tensor:
        h = hidden.shape[-1]
        gates = torch.sigmoid_(inputs[..., : 2 * h] + recurrent[..., : 2 * h])  # (.., 2h)
        reset, update = gates[..., :h], gates[..., h:]
        recurrent_n = recurrent[..., 2 * h :]
        candidate = torch.addcmul(inputs[..., 2 * h :], reset, recurrent_n).tanh_()
        ctx.save_for_backward(gates, candidate, recurrent, hidden)
        return torch.lerp(candidate, hidden, update)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        gates, candidate, recurrent, hidden = ctx.saved_tensors
        h = hidden.shape[-1]
        reset, update = gates[..., :h], gates[..., h:]
        grad_inputs = torch.empty_like(recurrent)
        grad_hidden = grad * update
        grad_n = grad_inputs[..., 2 * h :]
        torch.mul(grad - grad_hidden, 1 - candidate.square(), out=grad_n)
        grad_inputs[..., :h] = grad_n * recurrent[..., 2 * h :]
        grad_inputs[..., h : 2 * h] = grad * (hidden - candidate)
        grad_inputs[..., : 2 * h] *= gates - gates.square()
        grad_recurrent = grad_inputs.clone()
        grad_recurrent[..., 2 * h :] *= reset
        return grad_inputs, grad_recurrent, grad_hidden


def gru_gates(inputs: Tensor, recurrent: Tensor, hidden: Tensor) -> Tensor:
    """Return the next hidden state from both affine maps of a GRU step.

    Parameters
    ----------
    inputs : Tensor of shape (.., 3h)
        `x W + b_i`, columns reset | update | candidate.
    recurrent : Tensor of shape (.., 3h)
        `h U + b_h`, same columns.
    hidden : Tensor of shape (.., h)

    Returns
    -------
    Tensor of shape (.., h)
    """
    return _GRUGates.apply(inputs, recurrent, hidden)
