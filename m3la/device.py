"""`m3la.reference` for networks side by side on an accelerator: the same numbers by fewer kernels.

There a step costs what its kernels cost to begin, so that few of them run: both directions of the encoder are
one recurrence with twice the networks, whose gradients by U are one product over all steps; the decoder's
products with W_att are made once for all steps, and what it reads and attends to is one product a step; label
heads and log-probabilities of all steps are computed at once. All else is the reference's own. Every tensor
has a leading axis of n networks.

One step of a GRU, with blocks of 4h columns [g_n | r | z | n] and their gradients, is that of `m3la.fast`,
which says how it is derived.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from m3la.reference import (
    DECODER,
    Choice,
    ModelOptions,
    Steps,
    Weights,
    attention_scores,
    choose,
    feedback,
    initial_state,
    log_probabilities,
)


def network(
    x: Sequence[Tensor],
    w: Weights,
    options: ModelOptions,
    noise: Tensor | None = None,
    dropout_mask: Tensor | None = None,
) -> Steps:
    """Compute what `m3la.reference.network` computes, for tensors with the leading axis."""
    products = torch.stack([_of_three(x_k, W) for x_k, W in zip(x, w.W_in, strict=True)], 2)
    states = encode(products[:, :DECODER], w, options)  # (1)-(3)
    s = initial_state(states, w, options)  # (4)
    n, B, m, _ = states.shape
    flat = states.flatten(1, 2)
    keys = None if w.W_key is None else torch.bmm(flat, w.W_key).view(n, B, m, -1)
    # alpha sums to 1, so that the bias of (8) may stand in each of what it weighs.
    attended = torch.baddbmm(w.b_x.unsqueeze(1), flat, w.W_att).view(n, B, m, -1)
    offered = torch.cat((products[:, DECODER].transpose(1, 2), attended), 2)
    chooser = _Choices(states, w, options)
    of_state, own_query = _state_products(w, chooser.is_printed), replace(w, W_query=None)
    choices: list[Choice] = []
    alphas: list[Tensor] = []
    decoded: list[Tensor] = []
    for t in range(m):
        recurrent, query, u = of_state(s)
        choice = chooser.at(t, s, u, None if noise is None else noise[..., t, :])  # (9)
        alpha = torch.softmax(attention_scores(query, keys, own_query, options), dim=-1)  # (6), (7)
        taken = torch.cat((choice.coefficients, alpha), -1).unsqueeze(-2)
        inputs = torch.matmul(taken, offered).squeeze(-2)  # (5), (10)
        s = _Gru.apply(inputs, recurrent, s)  # (8)
        choices.append(choice)
        alphas.append(alpha)
        decoded.append(s)
    features = torch.stack(decoded, 1)
    if dropout_mask is not None:
        features = features * dropout_mask / (1 - options.dropout)
    log_scores, log_complements = predict(features, w, options)
    return Steps(
        log_scores,
        log_complements,
        torch.stack([choice.index for choice in choices], -1),
        torch.stack(alphas, -2),
        torch.stack([choice.log_probability for choice in choices], -2),
    )


class _Choices:
    """(9) at one step after another: the printed choice by fewer operations, others as the reference does."""

    def __init__(self, states: Tensor, w: Weights, options: ModelOptions) -> None:
        self.w, self.options = w, options
        kind = (options.order, options.order_gradient, options.first_input, options.allow_repeats)
        self.is_printed = kind == ("learned", "straight_through", "s0", False)
        self.available = torch.ones_like(states[..., 0], dtype=torch.bool)
        self.blocked = torch.zeros_like(states[..., 0])  # or minus infinity, once read
        self.columns = torch.arange(self.available.shape[-1], device=states.device)
        self.nothing = torch.zeros_like(self.blocked[..., 0])

    def at(self, t: int, s: Tensor, u: Tensor, noise: Tensor | None) -> Choice:
        """Choose at step t from s_{t-1}, or from its logits."""
        if not self.is_printed:
            choice = choose(t, s, self.available, self.w, self.options, noise)
            self.available = self.available & ~choice.one_hot
            return choice
        index = (u.detach() + self.blocked).argmax(-1)
        one_hot = index.unsqueeze(-1) == self.columns
        coefficients = _StraightThrough.apply(u, self.blocked, one_hot)
        self.blocked = self.blocked.masked_fill(one_hot, -torch.inf)
        return Choice(index, one_hot, coefficients, self.nothing)


class _StraightThrough(torch.autograd.Function):
    """A one-hot choice as numbers; backwards it is pi, the softmax of logits less what is blocked."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, blocked: Tensor, one_hot: Tensor) -> Tensor:
        ctx.save_for_backward(u, blocked)
        return one_hot.to(u)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        u, blocked = ctx.saved_tensors
        pi = torch.softmax(u + blocked, -1)
        return torch.ops.aten._softmax_backward_data(grad, pi, -1, u.dtype), None, None


def _state_products(w: Weights, with_logits: bool) -> Callable[[Tensor], tuple[Tensor, Tensor, Tensor]]:
    """Return what gives of s_{t-1} the recurrent part of (8), the query of (7) and, if told to, (9)'s logits.

    They are one product. Where there is no query the state itself is it.
    """
    own = [(w.U_dec, w.b_dec)]
    if w.W_query is not None:
        own.append((w.W_query, torch.zeros_like(w.b_init)))
    if with_logits:
        own.append((w.W_modal.mT, w.b_modal))
    W, b = (torch.cat(each, -1) for each in zip(*own, strict=True))
    widths = [each.shape[-1] for each, _ in own]

    def of_state(s: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        recurrent, *more = torch.baddbmm(b.unsqueeze(1), s, W).split(widths, -1)
        query = s if w.W_query is None else more.pop(0)
        return recurrent, query, more[0] if with_logits else s

    return of_state


def _of_three(x: Tensor, W: Tensor) -> Tensor:
    """x W of all three GRUs, (n, 3, B, 3h), for rows x (n, B, d)."""
    n, B, d = x.shape
    rows = x.unsqueeze(1).expand(n, 3, B, d).reshape(3 * n, B, d)
    return torch.bmm(rows, W.flatten(0, 1)).view(n, 3, B, -1)


def encode(products: Tensor, w: Weights, options: ModelOptions) -> Tensor:
    """(1) to (3): h_1..h_m (n, B, m, 2h) in reading order, from x^k W (n, 2, m, B, 3h)."""
    n, _, m, B, width = products.shape
    if options.encoder_order is not None:
        products = torch.stack([products[:, :, k] for k in options.encoder_order], 2)
    inputs = torch.stack((products[:, 0], products[:, 1].flip(1)), 1)
    inputs = inputs + w.b_in.view(n, 2, 1, 1, width)
    hidden = _Recurrence.apply(inputs.flatten(0, 1), w.U_enc.flatten(0, 1), w.b_enc.flatten(0, 1))
    hidden = hidden.view(n, 2, m, B, -1)
    both = torch.cat((hidden[:, 0], hidden[:, 1].flip(1)), -1)
    return both.transpose(1, 2).contiguous()


def predict(s: Tensor, w: Weights, options: ModelOptions) -> tuple[Tensor, Tensor]:
    """(11): log p_t and log(1 - p_t) of all steps, (n, m, B, q), from s (n, m, B, h)."""
    n, m, B, _ = s.shape
    if options.label_head == "per_step":
        own = s @ torch.stack(list(w.W_label), 1).mT + torch.stack(list(w.b_label), 1).unsqueeze(2)
    else:
        own = torch.baddbmm(w.b_label[0].unsqueeze(1), s.flatten(1, 2), w.W_label[0].mT).view(n, m, B, -1)
    if w.W_co is None:
        return log_probabilities(own, options.label_activation)
    W_co = w.W_co
    if options.w_co_diagonal == "zero":
        W_co = W_co - torch.diag_embed(torch.diagonal(W_co, dim1=-2, dim2=-1))
    logits = [own[:, 0]]
    for t in range(1, m):
        logits.append(torch.baddbmm(own[:, t], _fed_back(logits[-1], options), W_co))
    return log_probabilities(torch.stack(logits, 1), options.label_activation)


def _fed_back(z: Tensor, options: ModelOptions) -> Tensor:
    """What of p_{t-1} enters (11), from its logits."""
    if options.feedback == "logits":
        return feedback(*log_probabilities(z, options.label_activation), "logits")
    p = torch.softmax(z, -1) if options.label_activation == "softmax" else torch.sigmoid(z)
    if options.feedback == "hard":
        return (p.detach() >= 0.5).to(p)
    return p.detach() if options.feedback == "detach" else p


def _gates(block: Tensor, inputs: Tensor, state: Tensor, out: Tensor | None = None) -> Tensor:
    """One GRU step: from g in the first 3h columns of `block` to gates there; returns the next state."""
    h = state.shape[-1]
    block[..., h : 3 * h].add_(inputs[..., : 2 * h]).sigmoid_()
    n = block[..., 3 * h :]
    torch.addcmul(inputs[..., 2 * h :], block[..., h : 2 * h], block[..., :h], out=n).tanh_()
    return torch.lerp(n, state, block[..., 2 * h : 3 * h], out=out)


def _gates_backward(block: Tensor, state: Tensor, e: Tensor, found: Tensor) -> Tensor:
    """Write the step's gradients [dg_n | dr | dz | dn]; return dL/dstate without its part through g."""
    h = state.shape[-1]
    g_n, r, z, n = block.split(h, -1)
    dg_n, dr, dz, dn = found.split(h, -1)
    carry = e * z
    aten = torch.ops.aten
    aten.tanh_backward.grad_input(e - carry, n, grad_input=dn)
    aten.sigmoid_backward.grad_input(dn * g_n, r, grad_input=dr)
    aten.sigmoid_backward.grad_input(e * (state - n), z, grad_input=dz)
    torch.mul(dn, r, out=dg_n)
    return carry


class _Gru(torch.autograd.Function):
    """The next state of GRUs, (.., h), from i and g (.., 3h) and the state."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, recurrent: Tensor, state: Tensor) -> Tensor:
        h = state.shape[-1]
        block = state.new_empty(*state.shape[:-1], 4 * h)
        block[..., : 3 * h].copy_(recurrent)
        ctx.save_for_backward(block, state)
        return _gates(block, inputs, state)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, e: Tensor) -> tuple[Tensor, ...]:
        block, state = ctx.saved_tensors
        h = state.shape[-1]
        found = torch.empty_like(block)
        carry = _gates_backward(block, state, e, found)
        return found[..., h:], found[..., : 3 * h], carry


class _Recurrence(torch.autograd.Function):
    """All states (N, m, B, h) of N GRUs that begin at zero, from inputs (N, m, B, 3h), U and b (N, 1, 3h)."""

    @staticmethod
    def forward(ctx: Any, inputs: Tensor, U: Tensor, b: Tensor) -> Tensor:
        N, m, B, _ = inputs.shape
        h = U.shape[1]
        hidden = inputs.new_zeros(N, m + 1, B, h)
        blocks = inputs.new_empty(N, m, B, 4 * h)
        blocks[:, 0, :, : 3 * h] = b
        for t in range(m):
            if t:
                torch.baddbmm(b, hidden[:, t], U, out=blocks[:, t, :, : 3 * h])
            _gates(blocks[:, t], inputs[:, t], hidden[:, t], hidden[:, t + 1])
        ctx.save_for_backward(hidden, blocks, U)
        return hidden[:, 1:].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, ...]:
        hidden, blocks, U = ctx.saved_tensors
        h, m = U.shape[1], blocks.shape[1]
        found, e = torch.empty_like(blocks), grad[:, m - 1]
        for t in reversed(range(m)):
            carry = _gates_backward(blocks[:, t], hidden[:, t], e, found[:, t])
            if t:
                e = torch.baddbmm(carry.add_(grad[:, t - 1]), found[:, t, :, : 3 * h], U.mT)
        recurrent = found[..., : 3 * h].flatten(1, 2)
        dU = torch.bmm(hidden[:, :m].flatten(1, 2).mT, recurrent)
        return found[..., h:], dU, recurrent.sum(1, keepdim=True)
