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

Written in place and without a graph, because at (64, 256) a step is bound by memory and by calls, not by
arithmetic.
"""

from __future__ import annotations

import torch
from torch import Tensor

from m3la.products import Matrices


class Block:
    """One step's block (.., B, 4h) and its views, which are made once and used on every step.

    Attributes
    ----------
    all : (.., B, 4h)
    i, g : (.., B, 3h)
        The two windows; g also as matrices.
    g_n, r, z, n : (.., B, h)
    gates : (.., B, 2h)
        r | z.
    """

    __slots__ = ("all", "g", "g_n", "gates", "i", "n", "r", "z")

    def __init__(self, block: Tensor) -> None:
        h = block.shape[-1] // 4
        self.all = block
        self.i = block[..., h:]
        self.g = Matrices(block[..., : 3 * h])
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


def gru_backward(grad: Tensor, block: Block, hidden: Tensor, spare: Spare, grad_hidden: Tensor) -> None:
    """Write dL/dh without its part through g to `grad_hidden`, and turn the block into its gradient.

    Parameters
    ----------
    grad : (.., B, h)
        e = dL/dh'.
    block
        As `gru_forward` left it.
    hidden : (.., B, h)
        What the step started from.
    spare
        Overwritten.
    grad_hidden : (.., B, h)
        Not the memory of `grad`.
    """
    torch.mul(grad, block.z, out=grad_hidden)
    torch.sub(hidden, block.n, out=spare.z).mul_(grad)
    torch.sub(grad, grad_hidden, out=spare.r)  # e (1 - z)
    tanh_backward(spare.r, block.n, grad_input=block.n)  # dn
    torch.mul(block.n, block.g_n, out=spare.r)
    torch.mul(block.n, block.r, out=block.g_n)  # dg_n
    sigmoid_backward(spare.gates, block.gates, grad_input=block.gates)  # dr | dz


class Spare:
    """Room for a step's backward pass: gates (.., B, 2h) and its halves r and z."""

    __slots__ = ("gates", "r", "z")

    def __init__(self, gates: Tensor) -> None:
        self.gates = gates
        self.r, self.z = gates.chunk(2, -1)


# grad (1 - out^2) and grad out (1 - out) in one pass each; torch names them in its operator library only.
tanh_backward = torch.ops.aten.tanh_backward.grad_input
sigmoid_backward = torch.ops.aten.sigmoid_backward.grad_input
