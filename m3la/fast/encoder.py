"""M3LA's encoder, (1) to (3), as one operation with a hand-written backward pass; see `m3la.fast`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from m3la.fast import row_kernels
from m3la.fast.products import Matrices, add_product, parts, product, stacked
from m3la.fast.workspace import Workspace, take_buffers, without_axis

WIDTH = 5
"""Columns of memory for a block's 4h, in h: rows 4h apart share cache sets where h is a power of two."""
WAYS = 0, 1
"""The encoder's directions."""


def encode(
    x: Sequence[Tensor],
    W_in: Sequence[Tensor],
    b_in: Tensor,
    U: Tensor,
    b: Tensor,
    order: tuple[int, ...],
    workspace: Workspace,
) -> tuple[Tensor, Tensor, Tensor]:
    """Apply the input matrices and run the bidirectional encoder.

    Parameters
    ----------
    x : m tensors ([n,] B, d_k)
        They get no gradient.
    W_in, b_in, U, b
        As `m3la.reference.Weights` says; U and b are U_enc and b_enc.
    order : m indices
        The order in which the encoder reads the modalities.
    workspace
        Names among its factored gradients: `W_in.k`, `U_enc`.

    Returns
    -------
    states, last, products
        h_1..h_m in reading order ([n,] B, m, 2h); h_m once more ([n,] B, 2h), since a gradient through a part
        of `states` would be padded with zeros; and the decoder's x^k W_k ([n,] m, B, 3h) in the data set's
        order. The first and the last are in working memory: they hold until the next forward pass after this
        one's backward pass.
    """
    return _Encoder.apply(order, workspace, workspace.can_reuse(), U, b, b_in, *x, *W_in)


class _EncoderBuffers:
    """Working memory of n encoders: what a forward pass leaves for its backward pass, and views of it."""

    def __init__(self, like: Tensor, n: int, m: int, B: int, h: int) -> None:
        new = like.new_empty
        self.inputs, self.products = new(n, B, 3 * h), new(n, m, B, 3 * h)
        self.blocks, self.hidden = new(n, 2, m, B, WIDTH * h), new(n, 2, m + 1, B, h)
        self.states, self.carry = new(n, B, m, 2 * h), new(n, 2, B, h)
        self.grad_bias = new(n, 2, 4 * h)
        self.hidden[:, :, 0] = 0
        self.of_step = [x.numpy() for x in (self.inputs, self.blocks, self.hidden, self.states)]
        self.of_step_backward = [x.numpy() for x in (self.carry, self.blocks, self.hidden, self.grad_bias)]
        self.input_matrices = Matrices(self.inputs)
        self.product_of = [Matrices(self.products[:, k]) for k in range(m)]
        self.hidden_of = [[Matrices(self.hidden[:, way, t]) for t in range(m)] for way in WAYS]
        self.g_of = [[Matrices(self.blocks[:, way, t, :, : 3 * h]) for t in range(m)] for way in WAYS]
        self.i_of = [[Matrices(self.blocks[:, way, t, :, h : 4 * h]) for t in range(m)] for way in WAYS]
        self.carry_of = [Matrices(self.carry[:, way]) for way in WAYS]
        # Rows of all steps that have a state before them, (2n, (m - 1) B, ..).
        self.before = Matrices(self.hidden[:, :, 1:-1].flatten(2, 3))
        self.recurrent = Matrices(self.blocks[:, :, 1:, :, : 3 * h].flatten(2, 3))


class _Encoder(torch.autograd.Function):
    """See the docstring of `m3la.fast` for the derivation."""

    @staticmethod
    def forward(
        ctx: Any,
        order: tuple[int, ...],
        workspace: Workspace,
        reuse: bool,
        U: Tensor,
        b: Tensor,
        b_in: Tensor,
        *x_and_W: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        m, h = len(order), U.shape[-2]
        ctx.has_axis = U.dim() > 3
        x = [Matrices(stacked(x_k, 2)) for x_k in x_and_W[:m]]
        view = workspace.views.of
        W_in = [view(("W_in", k), W, parts) for k, W in enumerate(x_and_W[m:])]
        U_of = view("U_enc", U, parts)
        n, B, _ = x[0].batched.shape
        key = "encoder", U.dtype, n, m, B, h
        buffers = workspace.pool.take(key, lambda: _EncoderBuffers(U, n, m, B, h), reuse)
        biases = b_in.view(n, 2, 3 * h).numpy(), b.view(n, 2, 3 * h).numpy()
        for way in WAYS:  # one after the other, so that one matrix U stays in the cache
            for t, (k, place) in enumerate(_reading(order, way)):
                product(x[k], W_in[k][way], out=buffers.input_matrices)
                if t:  # h_0 = 0 needs no product
                    product(buffers.hidden_of[way][t], U_of[way], out=buffers.g_of[way][t])
                row_kernels.encoder_step(*biases, *buffers.of_step, way, t, place)
        for k in range(m):  # last, as the decoder comes next
            product(x[k], W_in[k][2], out=buffers.product_of[k])
        ctx.save_for_backward(U)
        ctx.x, ctx.order, ctx.workspace, ctx.key, ctx.buffers = x, order, workspace, key, buffers
        outputs = buffers.states.detach(), buffers.states[:, :, -1].clone(), buffers.products.detach()
        # mypy does not count what a generator yields.
        return outputs if ctx.has_axis else tuple(out[0] for out in outputs)  # type: ignore[return-value]

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_states: Tensor, grad_last: Tensor, grad_products: Tensor
    ) -> tuple[Tensor | None, ...]:
        (U,) = ctx.saved_tensors
        buffers: _EncoderBuffers = take_buffers(ctx)
        (n, _, m, B, _), h = buffers.blocks.shape, U.shape[-2]
        carry, factored, view = buffers.carry, ctx.workspace.factored, ctx.workspace.views.of
        of_states = grad_states.reshape(n, B, m, 2 * h).contiguous().numpy()
        grad_last = grad_last.reshape(n, B, 2 * h)
        buffers.grad_bias.zero_()
        carry[:, 0] = grad_last[..., :h]
        carry[:, 1] = 0
        U_t = view("U_enc^T", U, lambda U: [Matrices(way.mT) for way in stacked(U, 3).unbind(1)])
        for way in WAYS:
            for t, (_, place) in reversed(list(enumerate(_reading(ctx.order, way)))):
                if way == 1 and t == 0:  # the backward direction reads h_m first
                    carry[:, 1] += grad_last[..., h:]
                row_kernels.encoder_step_backward(of_states, *buffers.of_step_backward, way, t, place)
                if t:
                    add_product(buffers.carry_of[way], buffers.g_of[way][t], U_t[way])
        grad_U = factored.give("U_enc", buffers.before, buffers.recurrent)
        # The decoder's working memory, so that its views are there.
        of_products = view("grad", grad_products, parts)
        grad_W_in: list[Tensor | None] = [None] * m
        for place, k in enumerate(ctx.order):
            ways = buffers.i_of[0][place], buffers.i_of[1][m - 1 - place]
            grad_W_in[k] = factored.give(f"W_in.{k}", ctx.x[k], *ways, of_products[k])
        grads = without_axis(
            ctx.has_axis,
            None if grad_U is None else grad_U.view(n, *U.shape[-3:]),
            buffers.grad_bias[..., : 3 * h].unsqueeze(2).clone(),  # an optimiser may scale gradients in place
            buffers.grad_bias[..., h:].reshape(n, 6 * h).clone(),
            *grad_W_in,
        )
        ctx.workspace.pool.give(ctx.key, buffers)
        return None, None, None, *grads[:3], *([None] * m), *grads[3:]


def _reading(order: tuple[int, ...], way: int) -> list[tuple[int, int]]:
    """Return, for each step of one way, the modality read and its place in the reading order."""
    places = range(len(order)) if way == 0 else reversed(range(len(order)))
    return [(order[place], place) for place in places]
