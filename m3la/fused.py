"""M3LA's encoder and decoder as two differentiable operations with hand-written backward passes.

It knows the equations (1) to (10) and no label, loss or training. Left to autograd, each of the m steps adds
into every shared weight's gradient and keeps some forty small nodes; here a step of the backward pass only
leaves the gradients of its affine maps in place of their values, and each weight's gradient is one product
over all steps. A step's affine maps add into one block of `m3la.gru`, whose windows i and g are meant below:

encoder (two cells side by side, step t)
    g_t = H_{t-1} U + b            dH_{t-1} = dH_t * z + dg_t U^T        dU = sum_t H_{t-1}^T dg_t
    i_t = x^k W_k + b              dW_k = x^k^T dP_k, where dP_k gathers both directions and the decoder

decoder (S_0 = s_0, states h_1..h_m, keys K_j = h_j W_key, products P_k = x^k W_k; in (8) the sum over j and
the matrix are swapped, so that the product is made once for all steps: F_j = h_j W_att + b, as
sum_j alpha_tj = 1)
    o_t, w_t from u_t = S_{t-1} W_modal^T + b_modal             (9), see `m3la.choice`
    e_tj = tanh(S_{t-1} W_query + K_j),  r_tj = e_tj . v        (7), and its two other forms
    alpha_t = softmax(r_t)                                      (6)
    i_t = w_t P_{o_t} + sum_j alpha_tj F_j                      (5)(8)(10), [x^t; a_t] W
    g_t = S_{t-1} U + b
  backward, from dS_t = (label head) + (step t + 1):
    dalpha_tj = <di_t, F_j>        dr_t = alpha_t (dalpha_t - <alpha_t, dalpha_t>)
    credit_tk = <di_t, P_k>        c_tj = dr_tj (1 - e_tj^2),  dK_j = v sum_t c_tj,  dv = sum_tj dr_tj e_tj
    dF_j = sum_t alpha_tj di_t     dP_{o_t} += w_t di_t                  dh_j = dF_j W_att^T + dK_j W_key^T
    dS_{t-1} = dS_t * z + dg_t U^T + (v sum_j c_tj) W_query^T + du_t W_modal

Every tensor may carry a leading axis of n networks that train side by side, each on its own rows; inside,
there always is one. What a recurrence walks through is time-major, (n, m, B, ..), so that a step is a block;
what attention looks at is batch-major, (n, B, m, ..), so that a row's m entries are one.
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
from m3la.factored import FactoredGradients
from m3la.gru import WIDTH, gru_backward, gru_forward, input_window, recurrent_window


def _without_axis(n_axes: int, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    """Drop the leading axis that `_Encoder` or `_Decoder` gave to a single network."""
    return grads if n_axes else tuple(None if g is None else g.squeeze(0) for g in grads)


class _Encoder(torch.autograd.Function):
    """See the module's docstring for the derivation."""

    @staticmethod
    def forward(
        ctx: Any,
        order: tuple[int, ...],
        factored: FactoredGradients,
        U: Tensor,
        b: Tensor,
        b_in: Tensor,
        *xs_and_Ws: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        m, h = len(order), U.shape[-2]
        ctx.n_axes = U.dim() - 3
        U, b, b_in = (v if ctx.n_axes else v[None] for v in (U, b, b_in))
        xs = [x if ctx.n_axes else x[None] for x in xs_and_Ws[:m]]
        Ws = [W if ctx.n_axes else W[None] for W in xs_and_Ws[m:]]
        n, B = xs[0].shape[:2]
        blocks = U.new_empty(n, 2, m, B, WIDTH * h)
        blocks.copy_(_block_bias(b_in.view(n, 2, 1, 1, 3 * h), b.unsqueeze(2)))
        products = U.new_empty(n, B, m, 3 * h)  # the decoder adds its bias after the choice
        for t, k in enumerate(order):
            for inputs, W in zip(_inputs_of(blocks, t), Ws[k].split(3 * h, -1), strict=False):
                inputs.baddbmm_(xs[k], W)
            torch.bmm(xs[k], Ws[k][..., 6 * h :], out=products[:, :, k])
        hidden = U.new_empty(n, 2, m + 1, B, h)
        hidden[:, :, 0] = 0
        for t in range(m):
            if t:  # h_0 = 0 needs no product
                _add_product(recurrent_window(blocks[:, :, t]), hidden[:, :, t], U)
            gru_forward(blocks[:, :, t], hidden[:, :, t], hidden[:, :, t + 1])
        states = U.new_empty(n, B, m, 2 * h)
        states[..., :h] = hidden[:, 0, 1:].transpose(1, 2)
        states[..., h:] = hidden[:, 1, 1:].flip(1).transpose(1, 2)
        ctx.save_for_backward(U, *xs)
        ctx.order, ctx.factored, ctx.blocks, ctx.hidden = order, factored, blocks, hidden
        outputs = states, states[:, :, -1].clone(), products
        return outputs if ctx.n_axes else tuple(out[0] for out in outputs)  # type: ignore[return-value]

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_states: Tensor, grad_last: Tensor | None, grad_products: Tensor
    ) -> tuple[Tensor | None, ...]:
        U, *xs = ctx.saved_tensors
        blocks, hidden, m = _take_blocks(ctx), ctx.hidden, len(ctx.order)
        h = hidden.shape[-1]
        n, B = xs[0].shape[:2]
        grad_states = grad_states.view(n, B, m, 2 * h)
        carry = hidden.new_zeros(n, 2, B, h)
        if grad_last is not None:
            carry[:, 0] = grad_last.view(n, B, 2 * h)[..., :h]
        grad = torch.empty_like(carry)
        for t in reversed(range(m)):
            torch.add(carry[:, 0], grad_states[:, :, t, :h], out=grad[:, 0])
            torch.add(carry[:, 1], grad_states[:, :, m - 1 - t, h:], out=grad[:, 1])
            if t == 0 and grad_last is not None:  # the backward direction reads h_m first
                grad[:, 1] += grad_last.view(n, B, 2 * h)[..., h:]
            carry = gru_backward(grad, blocks[:, :, t], hidden[:, :, t])
            if t:
                _add_product(carry, recurrent_window(blocks[:, :, t]), U.mT)
        before, after = hidden[:, :, 1:-1], recurrent_window(blocks[:, :, 1:])
        grad_U = torch.bmm(_rows_of_all_steps(before).mT, _rows_of_all_steps(after)).view(U.shape)
        grad_bias = blocks.sum((2, 3))  # (n, 2, 4h)
        grad_products = grad_products.view(n, B, m, 3 * h)
        grad_Ws: list[Tensor | None] = [None] * m
        for t, k in enumerate(ctx.order):
            grad_P = torch.cat((*_inputs_of(blocks, t), grad_products[:, :, k]), dim=-1)  # (n, B, 9h)
            x, grad_P = (xs[k], grad_P) if ctx.n_axes else (xs[k][0], grad_P[0])
            grad_Ws[k] = ctx.factored.give(k, x, grad_P)
        shared = _without_axis(
            ctx.n_axes,
            grad_U,
            recurrent_window(grad_bias).unsqueeze(2),
            input_window(grad_bias).reshape(n, 6 * h),
        )
        return None, None, *shared, *([None] * m), *grad_Ws


def _block_bias(b_in: Tensor, b: Tensor) -> Tensor:
    """Both biases of a block (.., 4h): b_in (.., 3h) of r | z | n and b (.., 3h) of n | r | z."""
    h = b.shape[-1] // 3
    return torch.cat((b[..., :h], b[..., h:] + b_in[..., : 2 * h], b_in[..., 2 * h :]), dim=-1)


def _inputs_of(blocks: Tensor, t: int) -> tuple[Tensor, Tensor]:
    """Where what is read at place t of m enters the two directions, (n, B, 3h) each."""
    return input_window(blocks[:, 0, t]), input_window(blocks[:, 1, -1 - t])


def _rows_of_all_steps(x: Tensor) -> Tensor:
    """Return (n 2, m B, ..) of (n, 2, m, B, ..)."""
    return x.flatten(2, 3).flatten(0, 1)


def _add_product(out: Tensor, left: Tensor, right: Tensor) -> None:
    """Add left @ right to `out` for tensors (n, 2, .., ..)."""
    out.flatten(0, 1).baddbmm_(left.flatten(0, 1), right.flatten(0, 1))


def _take_blocks(ctx: Any) -> Tensor:
    """Return the blocks, which the backward pass overwrites."""
    blocks: Tensor | None = ctx.blocks
    if blocks is None:
        raise RuntimeError("a second backward pass through one forward pass; run the network again")
    ctx.blocks = None
    return blocks


def encode(
    xs: Sequence[Tensor],
    Ws: Sequence[Tensor],
    b_in: Tensor,
    U: Tensor,
    b: Tensor,
    order: tuple[int, ...],
    factored: FactoredGradients | None = None,
) -> tuple[Tensor, Tensor, Tensor]:
    """Apply the input matrices and run the bidirectional encoder: (1) to (3).

    Parameters
    ----------
    xs : m tensors ([n,] B, d_k)
        They get no gradient.
    Ws : m tensors ([n,] d_k, 9h)
        Columns: encoder forwards, encoder backwards, decoder; each reset | update | candidate.
    b_in : ([n,] 6h)
        Bias of the encoder's inputs.
    U, b : ([n,] 2, h, 3h), ([n,] 2, 1, 3h)
        Recurrent weights and biases of both directions, columns candidate | reset | update.
    order : m indices
        The order in which the encoder reads the modalities.
    factored
        Where the gradients of the input matrices go; by default they are formed.

    Returns
    -------
    states, last, products
        h_1..h_m in reading order ([n,] B, m, 2h); h_m once more ([n,] B, 2h), since a gradient through a part of
        `states` would be padded with zeros; and the decoder's x^k W_k ([n,] B, m, 3h) in the data set's order.
    """
    return _Encoder.apply(order, factored or FactoredGradients(()), U, b, b_in, *xs, *Ws)


@dataclass(frozen=True)
class DecoderWeights:
    """Parameters of (5) to (10), each with a leading axis or none; attention's are None where a(.) has none."""

    U: Tensor  # (h, 3h)  candidate | reset | update
    b: Tensor  # (3h,)    the same
    b_x: Tensor  # (3h,)  reset | update | candidate
    W_att: Tensor  # (2h, 3h)  the decoder's rows for a_t
    W_modal: Tensor  # (m, h)
    b_modal: Tensor  # (m,)
    W_key: Tensor | None = None  # (2h, h)
    W_query: Tensor | None = None  # (h, h)
    v: Tensor | None = None  # (h,)


@dataclass(frozen=True)
class Decoded:
    """What the decoder did."""

    states: Tensor  # ([n,] m, B, h)  s_1..s_m
    log_probability: Tensor  # ([n,] m, B)     log pi of each choice
    attention: Tensor  # ([n,] B, m, m)  alpha_tj
    orders: Tensor  # ([n,] B, m)     index of the modality read; -1 for a start token


class _Decoder(torch.autograd.Function):
    """See the module's docstring for the derivation."""

    @staticmethod
    def forward(
        ctx: Any,
        choose: ModalityChoice,
        kind: str,
        noise: Tensor | None,
        s_0: Tensor,
        states: Tensor,
        products: Tensor,
        *parameters: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        ctx.n_axes = s_0.dim() - 2
        if not ctx.n_axes:
            s_0, states, products = s_0[None], states[None], products[None]
            parameters = tuple(None if p is None else p[None] for p in parameters)
        # Autograd hands a flat tuple in which only attention's three may be None.
        w = DecoderWeights(*parameters)  # type: ignore[arg-type]
        n, B, m, _ = states.shape
        h = s_0.shape[-1]
        attention = _Attention(kind, states, w)
        s = s_0.new_empty(n, m + 1, B, h)
        s[:, 0] = s_0
        blocks = s_0.new_empty(n, m, B, WIDTH * h)
        blocks[..., :h] = w.b[:, None, None, :h]
        bias = torch.cat((w.b_x[:, : 2 * h] + w.b[:, h:], w.b_x[:, 2 * h :]), dim=1)
        F = torch.baddbmm(bias.unsqueeze(1), states.flatten(1, 2), w.W_att).view(n * B, m, 3 * h)
        P = products.reshape(n * B, m, 3 * h)
        available = torch.ones(n * B, m, dtype=torch.bool, device=s_0.device)
        steps: list[Picked] = []
        for t in range(m):
            u = torch.baddbmm(w.b_modal.unsqueeze(1), s[:, t], w.W_modal.mT).view(n * B, m)  # (9)
            picked = choose(t, u, available, None if noise is None else noise.flatten(0, -3)[:, t])
            available = picked.available
            alpha = attention.weights(t, s[:, t])  # (6)(7)
            inputs = torch.bmm(alpha.view(n * B, 1, m), F).squeeze(1)  # (5)
            chosen = choose.read(picked, P)  # (10)
            if chosen is not None:
                inputs += chosen
            input_window(blocks[:, t]).copy_(inputs.view(n, B, 3 * h))
            recurrent_window(blocks[:, t]).baddbmm_(s[:, t], w.U)
            gru_forward(blocks[:, t], s[:, t], s[:, t + 1])  # (8)
            steps.append(picked)
        orders = torch.stack([step.index for step in steps], dim=1).view(n, B, m)
        log_pi = choose.log_probabilities(steps, s_0.view(n * B, h)).view(m, n, B).transpose(0, 1)
        alphas = torch.stack(attention.alphas, dim=2)
        ctx.save_for_backward(*parameters)
        ctx.choose, ctx.attention, ctx.steps = choose, attention, steps
        ctx.s, ctx.F, ctx.P, ctx.blocks = s, F, P, blocks
        outputs = s[:, 1:], log_pi, alphas, orders
        if not ctx.n_axes:
            outputs = tuple(out[0] for out in outputs)  # type: ignore[assignment]
        ctx.mark_non_differentiable(*outputs[2:])
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_s: Tensor, grad_log_pi: Tensor | None, *_: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        w = DecoderWeights(*ctx.saved_tensors)
        choose, attention, s, blocks = ctx.choose, ctx.attention, ctx.s, _take_blocks(ctx)
        n, m, B, h = s.shape[0], s.shape[1] - 1, *s.shape[2:]
        grad_s = grad_s.view(n, m, B, h)
        grad_u = s.new_zeros(n, m, B, m)
        carry = s.new_zeros(n, B, h)
        for t in reversed(range(m)):
            carry = gru_backward(carry + grad_s[:, t], blocks[:, t], s[:, t])
            carry.baddbmm_(recurrent_window(blocks[:, t]), w.U.mT)
            grad_inputs = input_window(blocks[:, t]).reshape(n * B, 1, 3 * h)
            attention.backward(t, torch.bmm(grad_inputs, ctx.F.mT).view(n, B, m), carry)
            credit = torch.bmm(grad_inputs, ctx.P.mT).squeeze(1) if choose.needs_credit(t) else None
            of_step = None if grad_log_pi is None else grad_log_pi.view(n, m, B)[:, t].reshape(n * B)
            du = choose.logit_gradient(ctx.steps[t], credit, of_step)
            if du is not None:
                grad_u[:, t] = du.view(n, B, m)
                carry.baddbmm_(grad_u[:, t], w.W_modal)
        grad_inputs = input_window(blocks).transpose(1, 2).reshape(n * B, m, 3 * h)
        alphas = torch.stack(attention.alphas, dim=2).view(n * B, m, m)  # (.., t, j)
        grad_F = torch.bmm(alphas.mT, grad_inputs).view(n, B * m, 3 * h)
        grad_P = torch.bmm(choose.shares(ctx.steps, alphas).mT, grad_inputs).view(n, B, m, 3 * h)
        before = s[:, :-1].flatten(1, 2)
        grad_bias = blocks.sum((1, 2))  # (n, 4h)
        flat_u = grad_u.flatten(1, 2) if any(choose.trains(step) for step in ctx.steps) else None
        grads = (
            carry,
            attention.grad_states(torch.bmm(grad_F, w.W_att.mT)).view(n, B, m, 2 * h),
            grad_P,
            torch.bmm(before.mT, recurrent_window(blocks).flatten(1, 2)),
            recurrent_window(grad_bias),
            input_window(grad_bias),
            torch.bmm(attention.states.mT, grad_F),
            None if flat_u is None else torch.bmm(flat_u.mT, before),
            None if flat_u is None else flat_u.sum(1),
            *attention.grad_weights(before),
        )
        return None, None, None, *_without_axis(ctx.n_axes, *grads)


class _Attention:
    """The score function a(s, h_j) of (7) in one of four forms, with what its backward pass collects."""

    def __init__(self, kind: str, states: Tensor, w: DecoderWeights) -> None:
        """Make what all steps share from the states (n, B, m, 2h)."""
        n, B, m, _ = states.shape
        self.kind, self.w, self.shape = kind, w, (n, B, m)
        self.states = states.flatten(1, 2)  # (n, B m, 2h)
        self.alphas: list[Tensor] = []
        self.kept: list[Tensor] = []  # e_t (n, B, m, h) of additive attention; else queries (n, B, 1, h)
        self.queries: list[Tensor] = []  # dL/d(query) (n, B, h), last step first
        if w.W_key is not None:
            self.keys = torch.bmm(self.states, w.W_key).view(n, B, m, -1)
            self.scale = 1 / math.sqrt(self.keys.shape[-1]) if kind == "dot" else 1.0
            self.grad_keys: Tensor | None = None
            self.grad_v = None if w.v is None else torch.zeros_like(w.v).unsqueeze(2)

    def weights(self, t: int, s: Tensor) -> Tensor:
        """Return alpha_t (n, B, m) for s_{t-1} (n, B, h)."""
        self.alphas.append(self._weights(s))
        return self.alphas[t]

    def _weights(self, s: Tensor) -> Tensor:
        if self.w.W_key is None:  # "mean"
            return s.new_full(self.shape, 1 / self.shape[2])
        query = (s if self.w.W_query is None else torch.bmm(s, self.w.W_query)).unsqueeze(2)
        if self.w.v is not None:
            energy = torch.add(self.keys, query).tanh_()
            self.kept.append(energy)
            scores = torch.bmm(energy.flatten(1, 2), self.w.v.unsqueeze(2)).view(self.shape)
        else:
            self.kept.append(query)
            scores = (self.keys * query).sum(3) * self.scale
        return torch.softmax(scores, dim=2)

    def backward(self, t: int, grad_alpha: Tensor, carry: Tensor) -> None:
        """Add this step's dL/ds_{t-1} (n, B, h) to `carry`, and collect what the weights' gradients need."""
        if self.w.W_key is None:
            return
        alpha = self.alphas[t]
        grad_r = (alpha * (grad_alpha - (alpha * grad_alpha).sum(2, keepdim=True))).unsqueeze(3)  # (n, B, m, 1)
        if self.w.v is not None:
            energy = self.kept[t]
            self.grad_v.baddbmm_(energy.flatten(1, 2).mT, grad_r.flatten(1, 2))
            grad_keys = torch.ops.aten.tanh_backward(grad_r, energy)  # c_t; v waits for the sums
            grad_query = grad_keys.sum(2).mul_(self.w.v.unsqueeze(1))
        else:
            scaled = grad_r * self.scale
            grad_keys = self.kept[t] * scaled
            grad_query = (self.keys * scaled).sum(2)
        self.grad_keys = grad_keys if self.grad_keys is None else self.grad_keys.add_(grad_keys)
        self.queries.append(grad_query)
        if self.w.W_query is None:
            carry.add_(grad_query)
        else:
            carry.baddbmm_(grad_query, self.w.W_query.mT)

    def grad_states(self, grad: Tensor) -> Tensor:
        """Add dK_j W_key^T to dF_j W_att^T (n, B m, 2h)."""
        if self.w.W_key is not None:
            if self.w.v is not None:
                self.grad_keys.mul_(self.w.v[:, None, None])
            grad.baddbmm_(self.grad_keys.flatten(1, 2), self.w.W_key.mT)
        return grad

    def grad_weights(self, before: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """dW_key, dW_query and dv, from s_0..s_{m-1} (n, m B, h), after `grad_states`."""
        if self.w.W_key is None:
            return None, None, None
        grad_key = torch.bmm(self.states.mT, self.grad_keys.flatten(1, 2))
        grad_query = None
        if self.w.W_query is not None:
            grad_query = torch.bmm(before.mT, torch.stack(self.queries[::-1], 1).flatten(1, 2))
        return grad_key, grad_query, None if self.grad_v is None else self.grad_v.squeeze(2)


def decode(
    s_0: Tensor,
    states: Tensor,
    products: Tensor,
    weights: DecoderWeights,
    choose: ModalityChoice,
    attention: str = "additive",
    noise: Tensor | None = None,
) -> Decoded:
    """Run the attentive decoder over m steps: (5) to (10).

    Parameters
    ----------
    s_0 : ([n,] B, h)
    states : ([n,] B, m, 2h)
        The encoder's h_1..h_m.
    products : ([n,] B, m, 3h)
        Products x^k W_k of the decoder's part of the input matrices, without bias.
    choose
        Which modality is read next.
    attention
        Form of a(.): `additive`, `general`, `dot` or `mean`.
    noise : ([n,] B, m, m), optional
        Uniform numbers in (0, 1) for random orders and stochastic choices.
    """
    w = weights
    parameters = (w.U, w.b, w.b_x, w.W_att, w.W_modal, w.b_modal, w.W_key, w.W_query, w.v)
    return Decoded(*_Decoder.apply(choose, attention, noise, s_0, states, products, *parameters))
