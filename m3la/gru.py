"""One step of GRU cells side by side, forward and backward, in place; it knows of no encoder, decoder or graph.

A GRU step of Cho et al. (2014), in the variant of cuDNN and `torch.nn.GRUCell` (reset after the product)::

    r  = sigmoid(i_r + g_r)          i = x W + b_i   (.., 3h), columns r | z | n
    z  = sigmoid(i_z + g_z)          g = h U + b_h   (.., 3h), columns n | r | z
    n  = tanh(i_n + r * g_n)
    h' = (1 - z) * n + z * h

Only sums of i and g enter the gates r and z, so both maps add into one block of 4h columns, in which the
columns of i and of g are two overlapping windows; the step then replaces what it read::

    before      g_n | i_r + g_r | i_z + g_z | i_n        window of g: the first 3h columns
    after       g_n |     r     |     z     |  n         window of i: the last 3h
    backward   dg_n |    dr     |    dz     | dn

With e = dL/dh'::

    dn = e (1 - z) (1 - n^2)         dz = e (h - n) z (1 - z)        dr = dn g_n r (1 - r)
    dg_n = dn r                      dL/dh = e z, and what comes through g

Written in place and without a graph, because at (64, 256) a step is bound by memory and by calls, not by
arithmetic.
"""

from __future__ import annotations

import torch
from torch import Tensor

WIDTH = 4
"""Columns of a block, in multiples of h."""


def recurrent_window(block: Tensor) -> Tensor:
    """Return the columns (.., 3h) of a block (.., 4h) into which h U adds: n | r | z."""
    return block[..., : block.shape[-1] // WIDTH * 3]


def input_window(block: Tensor) -> Tensor:
    """Return the columns (.., 3h) of a block (.., 4h) into which x W adds: r | z | n."""
    return block[..., block.shape[-1] // WIDTH :]


def gru_forward(block: Tensor, hidden: Tensor, out: Tensor) -> None:
    """Write the next hidden states to `out`, and leave in the block what the backward pass needs.

    Parameters
    ----------
    block : (.., B, 4h)
        Sums of both affine maps, see the module's docstring.
    hidden, out : (.., B, h)
    """
    h = out.shape[-1]
    gates = block[..., h : 3 * h]
    gates.sigmoid_()
    candidate = block[..., 3 * h :]
    candidate.addcmul_(gates[..., :h], block[..., :h]).tanh_()
    torch.lerp(candidate, hidden, gates[..., h:], out=out)


def gru_backward(grad: Tensor, block: Tensor, hidden: Tensor) -> Tensor:
    """Return dL/dh (.., B, h) without its part through g, and turn the block into its gradient.

    Parameters
    ----------
    grad : (.., B, h)
        e = dL/dh'.
    block : (.., B, 4h)
        As `gru_forward` left it.
    hidden : (.., B, h)
        What the step started from.
    """
    h = grad.shape[-1]
    g_n, gates, candidate = block[..., :h], block[..., h : 3 * h], block[..., 3 * h :]
    grad_gates = grad.new_empty(*grad.shape[:-1], 2 * h)  # dL/dr | dL/dz
    grad_hidden = grad * gates[..., h:]
    torch.sub(hidden, candidate, out=grad_gates[..., h:]).mul_(grad)
    tanh_backward(grad - grad_hidden, candidate, grad_input=candidate)  # dn
    torch.mul(candidate, g_n, out=grad_gates[..., :h])
    torch.mul(candidate, gates[..., :h], out=g_n)  # dg_n
    sigmoid_backward(grad_gates, gates, grad_input=gates)  # dr | dz
    return grad_hidden


# grad (1 - out^2) and grad out (1 - out) in one pass each; torch names them in its operator library only.
tanh_backward = torch.ops.aten.tanh_backward.grad_input
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
