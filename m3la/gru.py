"""One step of GRU cells side by side, forward and backward, in place; it knows no encoder, decoder or graph.

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
"""

from __future__ import annotations

import torch
from torch import Tensor


class Block:
    """Views of one step's block (.., B, 4h).

    Attributes
    ----------
    all : (.., B, 4h)
    i, g : (.., B, 3h)
        The two windows.
    g_n, r, z, n : (.., B, h)
    gates : (.., B, 2h)
        r | z.
    """

    __slots__ = ("all", "g", "g_n", "gates", "i", "n", "r", "z")

    def __init__(self, block: Tensor) -> None:
        h = block.shape[-1] // 4
        self.all = block
        self.i, self.g = block[..., h:], block[..., : 3 * h]
        self.gates = block[..., h : 3 * h]
        self.g_n, self.r, self.z, self.n = block.split(h, -1)


def gru_forward(block: Block, hidden: Tensor, out: Tensor) -> None:
    """Write the next hidden states to `out`, and leave in the block what the backward pass needs.

    Parameters
    ----------
    block
        Holds the sums of both affine maps, see the module's docstring.
    hidden, out : (.., B, h)
    """
    block.gates.sigmoid_()
    block.n.addcmul_(block.r, block.g_n).tanh_()
    torch.lerp(block.n, hidden, block.z, out=out)


def gru_backward(grad: Tensor, block: Block, hidden: Tensor, grad_hidden: Tensor) -> None:
    """Write dL/dh without its part through g to `grad_hidden`, and turn the block into its gradient.

    Parameters
    ----------
    grad : (.., B, h)
        e = dL/dh'.
    block
        As `gru_forward` left it.
    hidden : (.., B, h)
        What the step started from.
    grad_hidden : (.., B, h)
        Not the memory of `grad`.
    """
    torch.mul(grad, block.z, out=grad_hidden)
    grad_z = grad_hidden * (hidden - block.n) * (1 - block.z)
    block.n.copy_((grad - grad_hidden) * (1 - block.n * block.n))
    grad_r = block.n * block.g_n * block.r * (1 - block.r)
    torch.mul(block.n, block.r, out=block.g_n)
    block.r.copy_(grad_r)
    block.z.copy_(grad_z)
