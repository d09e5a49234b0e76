"""M3LA's encoder and decoder as two differentiable operations with hand-written backward passes.

It knows the equations (1) to (10) and no label, loss or training. Left to autograd, each of the m steps adds
into every shared weight's gradient and keeps some forty small nodes; here a step of the backward pass only
stores the gradients of its affine maps, and each weight's gradient is one product over all steps:

encoder (two cells side by side, step t, gates as in `m3la.gru`)
    g_t = H_{t-1} U + b            dH_{t-1} = dH_t * z + dg_t U^T        dU = sum_t H_{t-1}^T dg_t
    i_t from P_k = x^k W_k + b     dW_k = x^k^T dP_k, where dP_k gathers both directions and the decoder

decoder (S_0 = s_0, states h_1..h_m, keys K_j = h_j W_key, products P_k; in (8) the sum over j and the matrix
are swapped, so that the product is made once for all steps: F_j = h_j W_att + b_x, as sum_j alpha_tj = 1)
    o_t, w_t from u_t = S_{t-1} W_modal^T + b_modal             (9), see `m3la.choice`
    e_tj = tanh(S_{t-1} W_query + K_j),  r_tj = e_tj . v        (7), and its two other forms
    alpha_t = softmax(r_t)                                      (6)
    i_t = w_t P_{o_t} + sum_j alpha_tj F_j                      (5)(8)(10), [x^t; a_t] W
    g_t = S_{t-1} U + b
  backward, from dS_t = (label head) + (step t + 1):
    dalpha_tj = <di_t, F_j>        dr_t = alpha_t (dalpha_t - <alpha_t, dalpha_t>)
    credit_tk = <di_t, P_k>        de_tj = dr_tj v (1 - e_tj^2)          dK_j = sum_t de_tj
    dF_j = sum_t alpha_tj di_t     dP_{o_t} += w_t di_t                  dh_j = dF_j W_att^T + dK_j W_key^T
    dS_{t-1} = dS_t * z + dg_t U^T + (sum_j de_tj) W_query^T + du_t W_modal

Tensors are time-major, (m, B, ..), so that a step is a contiguous block.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from m3la.choice import ModalityChoice, Picked
from m3la.gru import Gates, gru_backward, gru_forward, tanh_


class _Encoder(torch.autograd.Function):
    """See the module's docstring for the derivation."""

    @staticmethod
    def forward(
        ctx: Any, order: tuple[int, ...], U: Tensor, b: Tensor, b_in: Tensor, *xs_and_Ws: Tensor
    ) -> tuple[Tensor, Tensor]:
        m, h = len(order), U.shape[1]
        xs, Ws = xs_and_Ws[:m], xs_and_Ws[m:]
        B = len(xs[0])
        bias = torch.cat((b_in, b_in.new_zeros(3 * h)))  # the decoder adds its own after the choice
        products = U.new_empty(m, B, 9 * h)
        for x, W, out in zip(xs, Ws, products, strict=True):
            torch.addmm(bias, x, W, out=out)
        hidden = U.new_empty(2, m, B, h)
        gates = []
        for t in range(m):
            inputs = (products[order[t], :, : 3 * h], products[order[-1 - t], :, 3 * h : 6 * h])
            before = hidden[:, t - 1] if t else hidden.new_zeros(1, 1, 1)  # h_0 = 0 needs no product
            recurrent = torch.baddbmm(b, before, U) if t else b.expand(2, B, 3 * h)
            gates.append(gru_forward(inputs, recurrent, before, hidden[:, t]))
        states = torch.cat((hidden[0], hidden[1].flip(0)), dim=2)
        ctx.save_for_backward(U, *xs)
        ctx.order, ctx.gates, ctx.hidden = order, gates, hidden
        return states, products[..., 6 * h :]

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_states: Tensor, grad_blocks: Tensor) -> tuple[Tensor | None, ...]:
        U, *xs = ctx.saved_tensors
        order, m, h = ctx.order, len(ctx.order), U.shape[1]
        B = grad_states.shape[1]
        grad_products = U.new_empty(m, B, 9 * h)
        grad_products[..., 6 * h :] = grad_blocks
        grad_recurrent = U.new_empty(2, m, B, 3 * h)
        grad = U.new_empty(2, B, h)
        carry = grad.new_zeros(2, 1, 1)
        for t in reversed(range(m)):
            torch.add(grad_states[t, :, :h], carry[0], out=grad[0])
            torch.add(grad_states[m - 1 - t, :, h:], carry[1], out=grad[1])
            into = (grad_products[order[t], :, : 3 * h], grad_products[order[-1 - t], :, 3 * h : 6 * h])
            carry = gru_backward(grad, ctx.gates[t], into, grad_recurrent[:, t])
            if t:
                carry = carry.baddbmm_(grad_recurrent[:, t], U.transpose(1, 2))
        rows = (m - 1) * B
        before = ctx.hidden[:, :-1].reshape(2, rows, h)
        grad_U = torch.bmm(before.transpose(1, 2), grad_recurrent[:, 1:].reshape(2, rows, 3 * h))
        grad_b = grad_recurrent.sum((1, 2)).unsqueeze(1)
        grad_b_in = grad_products[..., : 6 * h].sum((0, 1))
        grad_Ws = [x.T @ g for x, g in zip(xs, grad_products, strict=True)]
        return None, grad_U, grad_b, grad_b_in, *([None] * m), *grad_Ws


def encode(
    xs: Sequence[Tensor], Ws: Sequence[Tensor], b_in: Tensor, U: Tensor, b: Tensor, order: tuple[int, ...]
) -> tuple[Tensor, Tensor]:
    """Apply the input matrices and run the bidirectional encoder: (1) to (3).

    Parameters
    ----------
    xs : m tensors (B, d_k)
        They get no gradient.
    Ws : m tensors (d_k, 9h)
        Columns: encoder forwards, encoder backwards, decoder; each reset | update | candidate.
    b_in : (6h,)
        Bias of the encoder's inputs.
    U, b : (2, h, 3h), (2, 1, 3h)
        Recurrent weights and biases of both directions.
    order : m indices
        The order in which the encoder reads the modalities.

    Returns
    -------
    states, blocks
        (m, B, 2h) in reading order, and the decoder's products x^k W_k (m, B, 3h) in the data set's order.
    """
    return _Encoder.apply(order, U, b, b_in, *xs, *Ws)


@dataclass(frozen=True)
class DecoderWeights:
    """Parameters of (5) to (10); attention's are None where the form of a(.) has none."""

    U: Tensor  # (h, 3h)
    b: Tensor  # (3h,)
    b_x: Tensor  # (3h,)
    W_att: Tensor  # (2h, 3h)  the decoder's rows for a_t
    W_modal: Tensor  # (m, h)
    b_modal: Tensor  # (m,)
    W_key: Tensor | None = None  # (2h, h)
    W_query: Tensor | None = None  # (h, h)
    v: Tensor | None = None  # (h,)


@dataclass(frozen=True)
class Decoded:
    """What the decoder did."""

    states: Tensor  # (m, B, h)  s_1..s_m
    log_probability: Tensor  # (m, B)     log pi of each choice
    attention: Tensor  # (m, B, m)  alpha_tj
    orders: Tensor  # (m, B)     index of the modality read; -1 for a start token


@dataclass(frozen=True)
class _Step:
    """What one decoder step leaves for its backward pass."""

    picked: Picked
    gates: Gates


class _Decoder(torch.autograd.Function):
    """See the module's docstring for the derivation."""

    @staticmethod
    def forward(
        ctx: Any,
        choose: ModalityChoice,
        attention: _Attention,
        noise: Tensor | None,
        s_0: Tensor,
        states: Tensor,
        blocks: Tensor,
        *parameters: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        # Autograd hands a flat tuple in which only attention's three may be None.
        w = DecoderWeights(*parameters)  # type: ignore[arg-type]
        m, (B, h) = len(states), s_0.shape
        attention.start(states, w)
        s = s_0.new_empty(m + 1, B, h)
        s[0] = s_0
        read = s_0.new_empty(2 * m, B, 3 * h)  # F_1..F_m, P_1..P_m
        torch.addmm(w.b_x, states.flatten(0, 1), w.W_att, out=read[:m].flatten(0, 1))
        read[m:] = blocks
        shares = s_0.new_zeros(m, B, 2 * m)  # alpha_t, w_t
        available = torch.ones(B, m, dtype=torch.bool, device=s_0.device)
        steps = []
        for t in range(m):
            u = torch.addmm(w.b_modal, s[t], w.W_modal.T)  # (9)
            picked = choose(t, u, available, None if noise is None else noise[:, t])
            available = picked.available
            choose.write_weights(picked, out=shares[t, :, m:])
            shares[t, :, :m] = attention.weights(t, s[t])  # (6)(7)
            inputs = torch.bmm(shares[t].unsqueeze(1), read.transpose(0, 1))  # (5)(10)
            recurrent = torch.addmm(w.b, s[t], w.U)
            gates = gru_forward((inputs[:, 0],), recurrent[None], s[None, t], s[None, t + 1])  # (8)
            steps.append(_Step(picked, gates))
        orders = torch.stack([step.picked.index for step in steps])
        alphas = shares[..., :m].clone()
        ctx.save_for_backward(*parameters)
        ctx.choose, ctx.attention, ctx.steps = choose, attention, steps
        ctx.s, ctx.read, ctx.shares = s, read, shares
        ctx.mark_non_differentiable(alphas, orders)
        ctx.set_materialize_grads(False)
        return s[1:], choose.log_probabilities([step.picked for step in steps], s_0), alphas, orders

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_s: Tensor, grad_log_pi: Tensor | None, *_: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        w = DecoderWeights(*ctx.saved_tensors)
        choose, attention, s, read = ctx.choose, ctx.attention, ctx.s, ctx.read
        m, B, h = grad_s.shape
        grad_inputs, grad_recurrent = s.new_empty(m, B, 3 * h), s.new_empty(m, B, 3 * h)
        grad_u = s.new_zeros(m, B, m)
        carry = torch.zeros_like(grad_s[0])
        attention.start_backward()
        for t in reversed(range(m)):
            step: _Step = ctx.steps[t]
            grad = (carry + grad_s[t])[None]
            carry = gru_backward(grad, step.gates, grad_inputs[None, t], grad_recurrent[None, t])[0]
            carry.addmm_(grad_recurrent[t], w.U.T)
            credited = read if choose.needs_credit(t) else read[:m]
            # As rows times columns: batched matrix-vector products are far slower.
            dots = torch.bmm(grad_inputs[t].unsqueeze(1), credited.permute(1, 2, 0)).squeeze(
                1
            )  # (B, 2m or m)
            attention.backward(t, ctx.shares[t, :, :m], dots[:, :m], carry)
            of_step = None if grad_log_pi is None else grad_log_pi[t]
            du = choose.logit_gradient(step.picked, dots[:, m:] if len(credited) > m else None, of_step)
            if du is not None:
                grad_u[t] = du
                carry.addmm_(du, w.W_modal)
        grad_read = torch.bmm(ctx.shares.permute(1, 2, 0), grad_inputs.transpose(0, 1)).transpose(0, 1)
        grad_f = grad_read[:m].reshape(m * B, 3 * h)
        before, flat_recurrent = s[:-1].flatten(0, 1), grad_recurrent.flatten(0, 1)
        flat_u = grad_u.flatten(0, 1) if any(choose.trains(step.picked) for step in ctx.steps) else None
        return (
            None,
            None,
            None,
            carry,
            attention.grad_states(torch.mm(grad_f, w.W_att.T)).view(m, B, 2 * h),
            grad_read[m:],
            before.T @ flat_recurrent,
            flat_recurrent.sum(0),
            grad_f.sum(0),
            attention.states.flatten(0, 1).T @ grad_f,
            None if flat_u is None else flat_u.T @ before,
            None if flat_u is None else flat_u.sum(0),
            *attention.grad_weights(before),
        )


class _Attention:
    """The score function a(s, h_j) of (7) in one of four forms, with what its backward pass collects."""

    def __init__(self, kind: str) -> None:
        self.kind = kind

    def start(self, states: Tensor, w: DecoderWeights) -> None:
        """Make what all steps share from the states (m, B, 2h)."""
        self.states, self.w = states, w
        self.m, self.B, _ = states.shape
        if w.W_key is None:  # "mean"
            return
        m, B, h = self.m, self.B, w.W_key.shape[1]
        self.keys = (states.flatten(0, 1) @ w.W_key).view(m, B, h)
        self.scale = 1 / math.sqrt(h) if self.kind == "dot" else 1.0
        # e_tj of additive attention; queries of the other forms
        self.kept = states.new_empty((m, m, B, h) if self.kind == "additive" else (m, B, h))

    def weights(self, t: int, s: Tensor) -> Tensor:
        """Return alpha_t (B, m) for s_{t-1} (B, h)."""
        if self.w.W_key is None:
            return s.new_full((self.B, self.m), 1 / self.m)
        query = s if self.w.W_query is None else s @ self.w.W_query
        if self.w.v is not None:
            energy = tanh_(torch.add(self.keys, query, out=self.kept[t]))
            scores = energy @ self.w.v  # (m, B)
        else:
            self.kept[t] = query
            scores = (self.keys * query).sum(2) * self.scale
        return torch.softmax(scores.T, dim=1)

    def start_backward(self) -> None:
        """Make room for what the weights' gradients need."""
        if self.w.W_key is not None:
            self.grad_keys = torch.zeros_like(self.keys)
            self.grad_r = self.states.new_empty(self.m, self.m, self.B)
            self.grad_query = self.states.new_empty(self.m, *self.keys.shape[1:])

    def backward(self, t: int, alpha: Tensor, grad_alpha: Tensor, carry: Tensor) -> None:
        """Add this step's dL/ds_{t-1} (B, h) to `carry`, and collect what the weights' gradients need."""
        if self.w.W_key is None:
            return
        grad_r = self.grad_r[t]  # (m, B)
        grad_r.T.copy_(alpha * (grad_alpha - (alpha * grad_alpha).sum(1, keepdim=True)))
        if self.w.v is not None:
            energy = self.kept[t]
            grad_keys = torch.addcmul(self.w.v, energy, energy * self.w.v, value=-1)  # v (1 - e^2)
            grad_keys.mul_(grad_r.unsqueeze(2))
            torch.sum(grad_keys, 0, out=self.grad_query[t])
        else:
            scaled = (grad_r * self.scale).unsqueeze(2)
            grad_keys = self.kept[t] * scaled
            torch.sum(self.keys * scaled, 0, out=self.grad_query[t])
        self.grad_keys.add_(grad_keys)
        if self.w.W_query is None:
            carry.add_(self.grad_query[t])
        else:
            carry.addmm_(self.grad_query[t], self.w.W_query.T)

    def grad_states(self, grad: Tensor) -> Tensor:
        """Add dK_j W_key^T to dF_j W_att^T (m B, 2h)."""
        if self.w.W_key is not None:
            grad.addmm_(self.grad_keys.flatten(0, 1), self.w.W_key.T)
        return grad

    def grad_weights(self, before: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """dW_key, dW_query and dv, from s_0..s_{m-1} (m B, h)."""
        if self.w.W_key is None:
            return None, None, None
        grad_key = self.states.flatten(0, 1).T @ self.grad_keys.flatten(0, 1)
        grad_query = None if self.w.W_query is None else before.T @ self.grad_query.flatten(0, 1)
        grad_v = None if self.w.v is None else self.kept.flatten(0, 2).T @ self.grad_r.flatten()
        return grad_key, grad_query, grad_v


def decode(
    s_0: Tensor,
    states: Tensor,
    blocks: Tensor,
    weights: DecoderWeights,
    choose: ModalityChoice,
    attention: str = "additive",
    noise: Tensor | None = None,
) -> Decoded:
    """Run the attentive decoder over m steps: (5) to (10).

    Parameters
    ----------
    s_0 : (B, h)
    states : (m, B, 2h)
        The encoder's h_1..h_m.
    blocks : (m, B, 3h)
        Products x^k W_k of the decoder's part of the input matrices, without bias.
    choose
        Which modality is read next.
    attention
        Form of a(.): `additive`, `general`, `dot` or `mean`.
    noise : (B, m, m), optional
        Uniform numbers in (0, 1) for random orders and stochastic choices.
    """
    w = weights
    parameters = (w.U, w.b, w.b_x, w.W_att, w.W_modal, w.b_modal, w.W_key, w.W_query, w.v)
    out = _Decoder.apply(choose, _Attention(attention), noise, s_0, states, blocks, *parameters)
    return Decoded(*out)
