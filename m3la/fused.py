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

from m3la.buffers import Pool
from m3la.choice import ModalityChoice, Picked
from m3la.factored import FactoredGradients
from m3la.gru import Block, Spare, gru_backward, gru_forward, tanh_backward
from m3la.products import Matrices, add_product, product


@dataclass(frozen=True)
class Training:
    """What passes through the network leave for each other and for the optimiser."""

    factored: FactoredGradients
    pool: Pool


def _key(kind: str, like: Tensor, *sizes: int) -> tuple[object, ...]:
    return kind, like.dtype, like.device, *sizes


def _without_axis(n_axes: int, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    """Drop the leading axis that `_Encoder` or `_Decoder` gave to a single network."""
    return grads if n_axes else tuple(None if g is None else g.squeeze(0) for g in grads)


class _EncoderBuffers:
    """Working memory of n encoders: what a forward pass leaves for its backward pass, and views of it."""

    def __init__(self, like: Tensor, n: int, m: int, B: int, h: int) -> None:
        new = like.new_empty
        blocks, hidden = new(n, 2, m, B, 4 * h), new(n, 2, m + 1, B, h)
        hidden[:, :, 0] = 0
        self.all_blocks = blocks
        self.blocks = [Block(blocks[:, :, t]) for t in range(m)]
        # What place t of the reading order enters: step t of one direction, step m - 1 - t of the other.
        self.entries = [(blocks[:, 0, t, :, h:], blocks[:, 1, m - 1 - t, :, h:]) for t in range(m)]
        self.inputs = [[Matrices(blocks[:, way, t, :, h:]) for way in (0, 1)] for t in range(m)]
        self.hidden = hidden.unbind(2)
        self.hidden_matrices = [Matrices(x) for x in self.hidden]
        self.all_hidden = hidden
        # Rows of all steps that have a state before them, (2n, (m - 1) B, ..).
        self.before = Matrices(hidden[:, :, 1:-1].flatten(2, 3))
        self.recurrent = Matrices(blocks[:, :, 1:, :, : 3 * h].flatten(2, 3))
        self.products = new(n, B, m, 3 * h)
        self.product_of = [Matrices(self.products[:, :, k]) for k in range(m)]
        self.grad, self.carry = new(n, 2, B, h), new(n, 2, B, h)
        self.carry_matrices = Matrices(self.carry)
        self.spare = Spare(new(n, 2, B, 2 * h))
        self.grad_products = [new(n, B, 9 * h) for _ in range(m)]
        self.grad_columns = [g.split(3 * h, -1) for g in self.grad_products]
        self.grad_matrices = [Matrices(g) for g in self.grad_products]


class _Encoder(torch.autograd.Function):
    """See the module's docstring for the derivation."""

    @staticmethod
    def forward(
        ctx: Any,
        order: tuple[int, ...],
        training: Training,
        reuse: bool,
        U: Tensor,
        b: Tensor,
        b_in: Tensor,
        *xs_and_Ws: Tensor,
    ) -> tuple[Tensor, Tensor, Tensor]:
        m, h = len(order), U.shape[-2]
        ctx.n_axes = U.dim() - 3
        U, b, b_in = (v if ctx.n_axes else v[None] for v in (U, b, b_in))
        xs = [Matrices(x if ctx.n_axes else x[None]) for x in xs_and_Ws[:m]]
        Ws = [W if ctx.n_axes else W[None] for W in xs_and_Ws[m:]]
        n, B, _ = xs[0].batched.shape
        key = _key("encoder", U, n, m, B, h)
        buffers = (
            _EncoderBuffers(U, n, m, B, h)
            if not reuse
            else training.pool.take(key, lambda: _EncoderBuffers(U, n, m, B, h))
        )
        bias = _block_bias(b_in.view(n, 2, 1, 3 * h), b)
        parts = [[Matrices(part) for part in W.split(3 * h, -1)] for W in Ws]
        all_U = Matrices(U)
        for t, block in enumerate(buffers.blocks):
            block.all.copy_(bias)
            for way, k in enumerate((order[t], order[-1 - t])):
                add_product(buffers.inputs[t][way], xs[k], parts[k][way])
            if t:  # h_0 = 0 needs no product
                add_product(block.g, buffers.hidden_matrices[t], all_U)
            gru_forward(block, buffers.hidden[t], buffers.hidden[t + 1])
        for k in range(m):
            product(xs[k], parts[k][2], out=buffers.product_of[k])
        states = U.new_empty(n, B, m, 2 * h)
        states[..., :h] = buffers.all_hidden[:, 0, 1:].transpose(1, 2)
        states[..., h:] = buffers.all_hidden[:, 1, 1:].flip(1).transpose(1, 2)
        ctx.save_for_backward(U)
        ctx.xs, ctx.order, ctx.training, ctx.key, ctx.buffers = xs, order, training, key, buffers
        outputs = states, states[:, :, -1].clone(), buffers.products.detach()
        # mypy does not count what a generator yields.
        return outputs if ctx.n_axes else tuple(out[0] for out in outputs)  # type: ignore[return-value]

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_states: Tensor, grad_last: Tensor | None, grad_products: Tensor
    ) -> tuple[Tensor | None, ...]:
        (U,) = ctx.saved_tensors
        buffers: _EncoderBuffers = _take(ctx)
        m, (n, B, _) = len(ctx.order), ctx.xs[0].batched.shape
        h = U.shape[-2]
        U_t = Matrices(U.mT)
        grad, carry = buffers.grad, buffers.carry
        ways = (
            (grad[:, 0], carry[:, 0], grad_states.reshape(n, B, m, 2 * h)[..., :h].unbind(2)),
            (
                grad[:, 1],
                carry[:, 1],
                grad_states.reshape(n, B, m, 2 * h)[..., h:].unbind(2)[::-1],
            ),
        )
        carry.zero_()
        if grad_last is not None:
            carry[:, 0] = grad_last.reshape(n, B, 2 * h)[..., :h]
        for t in reversed(range(m)):
            for into, carried, of_states in ways:
                torch.add(carried, of_states[t], out=into)
            if t == 0 and grad_last is not None:  # the backward direction reads h_m first
                grad[:, 1] += grad_last.reshape(n, B, 2 * h)[..., h:]
            gru_backward(grad, buffers.blocks[t], buffers.hidden[t], buffers.spare, carry)
            if t:
                add_product(buffers.carry_matrices, buffers.blocks[t].g, U_t)
        grad_U = ctx.training.factored.give("U_enc", buffers.before, buffers.recurrent)
        grad_bias = buffers.all_blocks.sum((2, 3))  # (n, 2, 4h)
        grad_products = grad_products.reshape(n, B, m, 3 * h)
        grad_Ws: list[Tensor | None] = [None] * m
        for t, k in enumerate(ctx.order):
            parts = (*buffers.entries[t], grad_products[:, :, k])
            for columns, part in zip(buffers.grad_columns[k], parts, strict=True):
                columns.copy_(part)
            grad_Ws[k] = ctx.training.factored.give(f"W_in.{k}", ctx.xs[k], buffers.grad_matrices[k])
        shared = _without_axis(
            ctx.n_axes,
            None if grad_U is None else grad_U.view(U.shape),
            grad_bias[..., : 3 * h].unsqueeze(2).clone(),  # an optimiser may scale gradients in place
            grad_bias[..., h:].reshape(n, 6 * h).clone(),
            *grad_Ws,
        )
        ctx.training.pool.give(ctx.key, buffers)
        return None, None, None, *shared[:3], *([None] * m), *shared[3:]


def _block_bias(b_in: Tensor, b: Tensor) -> Tensor:
    """Both biases of a block (.., 4h): b_in (.., 3h) of r | z | n and b (.., 3h) of n | r | z."""
    h = b.shape[-1] // 3
    return torch.cat((b[..., :h], b[..., h:] + b_in[..., : 2 * h], b_in[..., 2 * h :]), dim=-1)


def _take(ctx: Any) -> Any:
    """Return the buffers of the forward pass, which the backward pass overwrites."""
    buffers = ctx.buffers
    if buffers is None:
        raise RuntimeError("a second backward pass through one forward pass; run the network again")
    ctx.buffers = None
    return buffers


def encode(
    xs: Sequence[Tensor],
    Ws: Sequence[Tensor],
    b_in: Tensor,
    U: Tensor,
    b: Tensor,
    order: tuple[int, ...],
    training: Training,
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
    training
        Working memory, and where gradients may stay factors; names there: `W_in.k`, `U_enc`.

    Returns
    -------
    states, last, products
        h_1..h_m in reading order ([n,] B, m, 2h); h_m once more ([n,] B, 2h), since a gradient through a part
        of `states` would be padded with zeros; and the decoder's x^k W_k ([n,] B, m, 3h) in the data set's
        order, in working memory: it holds until the next forward pass after this one's backward pass.
    """
    return _Encoder.apply(order, training, torch.is_grad_enabled(), U, b, b_in, *xs, *Ws)


@dataclass(frozen=True)
class DecoderWeights:
    """Parameters of (5) to (10), all with a leading axis or none; attention's may be None."""

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


class _DecoderBuffers:
    """Working memory of n decoders: what a forward pass leaves for its backward pass, and views of it."""

    def __init__(self, like: Tensor, n: int, m: int, B: int, h: int) -> None:
        new = like.new_empty
        blocks, s = new(n, m, B, 4 * h), new(n, m + 1, B, h)
        self.all_blocks, self.all_s = blocks, s
        self.blocks = [Block(blocks[:, t]) for t in range(m)]
        self.s = s.unbind(1)
        self.s_matrices = [Matrices(x) for x in self.s]
        self.before = Matrices(s[:, :-1].flatten(1, 2))  # s_0..s_{m-1} (n, m B, h)
        self.recurrent = Matrices(blocks[..., : 3 * h].flatten(1, 2))
        self.grad_inputs = blocks[..., h:].transpose(1, 2)  # (n, B, m, 3h)
        self.F, self.grad_F = new(n, B * m, 3 * h), new(n, B * m, 3 * h)
        self.F_matrices, self.grad_F_matrices = Matrices(self.F), Matrices(self.grad_F)
        self.inputs = new(n * B, 1, 3 * h)
        self.grad, self.carry = new(n, B, h), new(n, B, h)
        self.carry_matrices = Matrices(self.carry)
        self.spare = Spare(new(n, B, 2 * h))
        self.energy, self.keys, self.grad_keys = new(m, n, B, m, h), new(n, B, m, h), new(n, B, m, h)
        self.query, self.grad_query = new(n, B, h), new(n, m, B, h)
        self.starts = torch.arange(0, n * B * m, m, device=like.device)


class _Decoder(torch.autograd.Function):
    """See the module's docstring for the derivation."""

    @staticmethod
    def forward(
        ctx: Any,
        choose: ModalityChoice,
        kind: str,
        noise: Tensor | None,
        training: Training,
        reuse: bool,
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
        (n, B, m, _), h = states.shape, s_0.shape[-1]
        key = _key("decoder", s_0, n, m, B, h)
        buffers = (
            _DecoderBuffers(s_0, n, m, B, h)
            if not reuse
            else training.pool.take(key, lambda: _DecoderBuffers(s_0, n, m, B, h))
        )
        attention = _Attention(kind, states, w, buffers)
        buffers.s[0].copy_(s_0)
        product(attention.states, Matrices(w.W_att), out=buffers.F_matrices)
        bias = torch.cat((w.b_x[:, : 2 * h] + w.b[:, h:], w.b_x[:, 2 * h :]), dim=1)
        F = buffers.F.add_(bias.unsqueeze(1)).view(n * B, m, 3 * h)
        P = products.reshape(n * B, m, 3 * h)
        U, b_n, W_modal, b_modal = Matrices(w.U), w.b[:, None, :h], w.W_modal.mT, w.b_modal.unsqueeze(1)
        available = torch.ones(n * B, m, dtype=torch.bool, device=s_0.device)
        steps: list[Picked] = []
        for t, block in enumerate(buffers.blocks):
            u = torch.baddbmm(b_modal, buffers.s[t], W_modal).view(n * B, m)  # (9)
            picked = choose(t, u, available, None if noise is None else noise.flatten(0, -3)[:, t])
            available = picked.available
            alpha = attention.weights(t)  # (6)(7)
            inputs = torch.bmm(alpha.view(n * B, 1, m), F, out=buffers.inputs)  # (5)
            chosen = choose.read(picked, P.flatten(0, 1), buffers.starts)  # (10)
            block.g_n.copy_(b_n)
            if chosen is None:
                block.i.copy_(inputs.view(n, B, 3 * h))
            else:
                torch.add(inputs.view(n, B, 3 * h), chosen.view(n, B, 3 * h), out=block.i)
            add_product(block.g, buffers.s_matrices[t], U)
            gru_forward(block, buffers.s[t], buffers.s[t + 1])  # (8)
            steps.append(picked)
        orders = torch.stack([step.index for step in steps], dim=1).view(n, B, m)
        log_pi = choose.log_probabilities(steps, s_0.view(n * B, h)).view(m, n, B).transpose(0, 1)
        ctx.alphas = torch.stack(attention.alphas, dim=2)
        ctx.save_for_backward(*parameters)
        ctx.choose, ctx.attention, ctx.steps, ctx.F, ctx.P = choose, attention, steps, F, P
        ctx.training, ctx.key, ctx.buffers = training, key, buffers
        outputs = buffers.all_s[:, 1:].detach(), log_pi, ctx.alphas.clone(), orders
        if not ctx.n_axes:
            # mypy does not count what a generator yields.
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
        buffers: _DecoderBuffers = _take(ctx)
        choose, attention, F_t, P_t = ctx.choose, ctx.attention, ctx.F.mT, ctx.P.mT
        (n, B, h), m = buffers.s[0].shape, len(buffers.blocks)
        of_step = grad_s.reshape(n, m, B, h).unbind(1)
        grad_u = grad_s.new_zeros(n, m, B, m)
        U_t, grad, carry = Matrices(w.U.mT), buffers.grad, buffers.carry
        carry.zero_()
        for t in reversed(range(m)):
            block = buffers.blocks[t]
            torch.add(carry, of_step[t], out=grad)
            gru_backward(grad, block, buffers.s[t], buffers.spare, carry)
            add_product(buffers.carry_matrices, block.g, U_t)
            grad_inputs = block.i.reshape(n * B, 1, 3 * h)
            attention.backward(t, torch.bmm(grad_inputs, F_t).view(n, B, m), carry)
            credit = torch.bmm(grad_inputs, P_t).squeeze(1) if choose.needs_credit(t) else None
            of_choice = None if grad_log_pi is None else grad_log_pi.reshape(n, m, B)[:, t].reshape(n * B)
            du = choose.logit_gradient(ctx.steps[t], credit, of_choice)
            if du is not None:
                grad_u[:, t] = du.view(n, B, m)
                carry.baddbmm_(grad_u[:, t], w.W_modal)
        grad_inputs = buffers.grad_inputs.reshape(n * B, m, 3 * h)
        alphas = ctx.alphas.view(n * B, m, m)  # (.., t, j)
        torch.bmm(alphas.mT, grad_inputs, out=buffers.grad_F.view(n * B, m, 3 * h))
        grad_P = torch.bmm(choose.shares(ctx.steps, alphas).mT, grad_inputs).view(n, B, m, 3 * h)
        grad_states = product(buffers.grad_F_matrices, Matrices(w.W_att.mT))
        grad_bias = buffers.all_blocks.sum((1, 2))  # (n, 4h)
        trains = any(choose.trains(step) for step in ctx.steps)
        flat_u = grad_u.flatten(1, 2)
        give = ctx.training.factored.give
        grads = (
            carry.clone(),
            attention.grad_states(grad_states).view(n, B, m, 2 * h),
            grad_P,
            give("U_dec", buffers.before, buffers.recurrent),
            grad_bias[:, : 3 * h].clone(),
            grad_bias[:, h:].clone(),
            give("W_att", attention.states, buffers.grad_F_matrices),
            torch.bmm(flat_u.mT, buffers.before.batched) if trains else None,
            flat_u.sum(1) if trains else None,
            *attention.grad_weights(give),
        )
        ctx.training.pool.give(ctx.key, buffers)
        return (None,) * 5 + _without_axis(ctx.n_axes, *grads)


class _Attention:
    """The score function a(s, h_j) of (7) in one of four forms, with what its backward pass collects."""

    def __init__(self, kind: str, states: Tensor, w: DecoderWeights, buffers: _DecoderBuffers) -> None:
        """Make what all steps share from the states (n, B, m, 2h)."""
        self.kind, self.w, self.buffers = kind, w, buffers
        self.shape = states.shape[:3]
        self.states = Matrices(states.flatten(1, 2))  # (n, B m, 2h)
        self.alphas: list[Tensor] = []
        if w.W_key is not None:
            product(self.states, Matrices(w.W_key), out=Matrices(buffers.keys.flatten(1, 2)))
            self.scale = 1 / math.sqrt(buffers.keys.shape[-1]) if kind == "dot" else 1.0
        if w.W_query is not None:
            self.W_query, self.W_query_t = Matrices(w.W_query), Matrices(w.W_query.mT)
            self.query, self.carry = Matrices(buffers.query), buffers.carry_matrices
        if w.v is not None:
            self.v, self.grad_v = w.v.unsqueeze(2), torch.zeros_like(w.v).unsqueeze(2)

    def weights(self, t: int) -> Tensor:
        """Return alpha_t (n, B, m) for s_{t-1} (n, B, h)."""
        self.alphas.append(self._weights(t))
        return self.alphas[t]

    def _weights(self, t: int) -> Tensor:
        s, w, buffers = self.buffers.s[t], self.w, self.buffers
        if w.W_key is None:  # "mean"
            return s.new_full(self.shape, 1 / self.shape[2])
        if w.W_query is not None:
            product(buffers.s_matrices[t], self.W_query, out=self.query)
        query = (s if w.W_query is None else buffers.query).unsqueeze(2)
        if w.v is not None:
            energy = torch.add(buffers.keys, query, out=buffers.energy[t]).tanh_()
            scores = torch.matmul(energy.flatten(1, 2), self.v).view(self.shape)
        else:
            buffers.energy[t, :, :, :1] = query
            scores = (buffers.keys * query).sum(3) * self.scale
        return torch.softmax(scores, dim=2)

    def backward(self, t: int, grad_alpha: Tensor, carry: Tensor) -> None:
        """Add this step's dL/ds_{t-1} (n, B, h) to `carry`, and collect what the weights' gradients need."""
        w, buffers = self.w, self.buffers
        if w.W_key is None:
            return
        alpha, energy = self.alphas[t], buffers.energy[t]
        grad_r = (alpha * (grad_alpha - (alpha * grad_alpha).sum(2, keepdim=True))).unsqueeze(
            3
        )  # (n, B, m, 1)
        grad_query = buffers.grad_query[:, t]
        if w.v is not None:
            self.grad_v += torch.matmul(energy.flatten(1, 2).mT, grad_r.flatten(1, 2))
            grad_keys = tanh_backward(grad_r, energy, grad_input=energy)  # c_t; v waits for the sums
            torch.sum(grad_keys, 2, out=grad_query).mul_(w.v.unsqueeze(1))
        else:
            scaled = grad_r * self.scale
            grad_keys = energy[:, :, :1] * scaled
            torch.sum(buffers.keys * scaled, 2, out=grad_query)
        if t == len(self.alphas) - 1:
            buffers.grad_keys.copy_(grad_keys)
        else:
            buffers.grad_keys.add_(grad_keys)
        if w.W_query is None:
            carry.add_(grad_query)
        else:
            add_product(self.carry, Matrices(grad_query), self.W_query_t)

    def grad_states(self, grad: Tensor) -> Tensor:
        """Add dK_j W_key^T to dF_j W_att^T (n, B m, 2h)."""
        if self.w.W_key is not None:
            grad_keys = self.buffers.grad_keys
            if self.w.v is not None:
                grad_keys.mul_(self.w.v[:, None, None])
            self.grad_keys = Matrices(grad_keys.flatten(1, 2))
            add_product(Matrices(grad), self.grad_keys, Matrices(self.w.W_key.mT))
        return grad

    def grad_weights(self, give: Any) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """dW_key, dW_query and dv, after `grad_states`; `give` may keep their factors instead."""
        if self.w.W_key is None:
            return None, None, None
        grad_query = None
        if self.w.W_query is not None:
            queries = Matrices(self.buffers.grad_query.flatten(1, 2))
            grad_query = give("W_query", self.buffers.before, queries)
        grad_v = None if self.w.v is None else self.grad_v.squeeze(2)
        return give("W_key", self.states, self.grad_keys), grad_query, grad_v


def decode(
    s_0: Tensor,
    states: Tensor,
    products: Tensor,
    weights: DecoderWeights,
    choose: ModalityChoice,
    training: Training,
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
    training
        Working memory, and where gradients may stay factors; names there: `U_dec`, `W_att`, `W_key`,
        `W_query`.
    attention
        Form of a(.): `additive`, `general`, `dot` or `mean`.
    noise : ([n,] B, m, m), optional
        Uniform numbers in (0, 1) for random orders and stochastic choices.
    """
    w = weights
    parameters = (w.U, w.b, w.b_x, w.W_att, w.W_modal, w.b_modal, w.W_key, w.W_query, w.v)
    reuse = torch.is_grad_enabled()
    return Decoded(
        *_Decoder.apply(choose, attention, noise, training, reuse, s_0, states, products, *parameters)
    )
