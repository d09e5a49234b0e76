"""M3LA's encoder and decoder as two differentiable operations with hand-written backward passes.

It knows the equations (1) to (10) and no label, loss or training. Left to autograd, each of the m steps adds
into every shared weight's gradient and keeps some forty small nodes; here a step is two products of matrices
and a few kernels that take each row through all the rest (`m3la.kernels`), a step of the backward pass
leaves the gradients of its affine maps in place of their values, and each weight's gradient is one product
over all steps. A step's affine maps meet in one block of `m3la.gru`, whose windows i and g are meant
below:

encoder (two cells, step t)
    g_t = H_{t-1} U + b            dH_{t-1} = dH_t * z + dg_t U^T        dU = sum_t H_{t-1}^T dg_t
    i_t = x^k W_k + b              dW_k = x^k^T dP_k, where dP_k gathers both directions and the decoder

decoder (S_0 = s_0, states h_1..h_m, keys K_j = h_j W_key, products P_k = x^k W_k; in (8) the sum over j and
the matrix are swapped, so that the product is made once for all steps: F_j = h_j W_att)
    o_t, w_t from u_t = S_{t-1} W_modal^T + b_modal             (9), see `m3la.choice`
    e_tj = tanh(S_{t-1} W_query + K_j),  r_tj = e_tj . v        (7), and its two other forms
    alpha_t = softmax(r_t)                                      (6)
    i_t = w_t P_{o_t} + sum_j alpha_tj F_j + b                  (5)(8)(10), [x^t; a_t] W
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

from m3la.buffers import Pool, Views
from m3la.choice import ChoiceMemory, ModalityChoice, Picked
from m3la.factored import FactoredGradients
from m3la.kernels import Kernels
from m3la.products import Matrices, add_product, product
from m3la.tensor_kernels import softmax_gradient

WIDTH = 5
"""Columns of memory for a block's 4h, in h: rows 4h apart share cache sets where h is a power of two."""
WAYS = 0, 1
"""The encoder's directions."""


@dataclass(frozen=True)
class Training:
    """What passes through the network leave for each other and for the optimiser."""

    factored: FactoredGradients
    pool: Pool
    views: Views

    def can_reuse(self) -> bool:
        """Whether a pass may take working memory of an earlier one.

        Without gradients nothing gives it back, and while factors wait for the optimiser they are in it.
        """
        return torch.is_grad_enabled() and not self.factored.pending


def _key(kind: str, like: Tensor, *sizes: int) -> tuple[object, ...]:
    return kind, like.dtype, like.device, *sizes


def _without_axis(n_axes: int, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    """Drop the leading axis that `_Encoder` or `_Decoder` gave to a single network."""
    return grads if n_axes else tuple(None if g is None else g.squeeze(0) for g in grads)


class _EncoderBuffers:
    """Working memory of n encoders: what a forward pass leaves for its backward pass, and views of it."""

    def __init__(self, like: Tensor, n: int, m: int, B: int, h: int) -> None:
        new, self.kernels = like.new_empty, Kernels(like)
        self.inputs, self.products = new(n, B, 3 * h), new(n, m, B, 3 * h)
        self.blocks, self.hidden = new(n, 2, m, B, WIDTH * h), new(n, 2, m + 1, B, h)
        self.states, self.carry = new(n, B, m, 2 * h), new(n, 2, B, h)
        self.grad_bias = new(n, 2, 4 * h)
        self.hidden[:, :, 0] = 0
        array = self.kernels.array
        self.of_step = [array(x) for x in (self.inputs, self.blocks, self.hidden, self.states)]
        self.of_step_backward = [array(x) for x in (self.carry, self.blocks, self.hidden, self.grad_bias)]
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
        xs = [Matrices(x if ctx.n_axes else x[None]) for x in xs_and_Ws[:m]]
        of = training.views.of
        parts = [of(("W_in", k), W, _parts) for k, W in enumerate(xs_and_Ws[m:])]
        own_U = of("U_enc", U, _parts)
        n, B, _ = xs[0].batched.shape
        key = _key("encoder", U, n, m, B, h)
        buffers = training.pool.take(key, lambda: _EncoderBuffers(U, n, m, B, h), reuse)
        array = buffers.kernels.array
        biases = array(b_in.view(n, 2, 3 * h)), array(b.view(n, 2, 3 * h))
        for way in WAYS:  # one after the other, so that one matrix U stays in the cache
            for t, (k, place) in enumerate(_reading(order, way)):
                product(xs[k], parts[k][way], out=buffers.input_matrices)
                if t:  # h_0 = 0 needs no product
                    product(buffers.hidden_of[way][t], own_U[way], out=buffers.g_of[way][t])
                buffers.kernels.run.encoder_step(*biases, *buffers.of_step, way, t, place)
        for k in range(m):  # last, as the decoder comes next
            product(xs[k], parts[k][2], out=buffers.product_of[k])
        ctx.save_for_backward(U)
        ctx.xs, ctx.order, ctx.training, ctx.key, ctx.buffers = xs, order, training, key, buffers
        outputs = buffers.states.detach(), buffers.states[:, :, -1].clone(), buffers.products.detach()
        # mypy does not count what a generator yields.
        return outputs if ctx.n_axes else tuple(out[0] for out in outputs)  # type: ignore[return-value]

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_states: Tensor, grad_last: Tensor, grad_products: Tensor
    ) -> tuple[Tensor | None, ...]:
        (U,) = ctx.saved_tensors
        buffers: _EncoderBuffers = _take(ctx)
        (n, _, m, B, _), h = buffers.blocks.shape, U.shape[-2]
        carry, factored = buffers.carry, ctx.training.factored
        of_states = buffers.kernels.array(grad_states.reshape(n, B, m, 2 * h).contiguous())
        grad_last = grad_last.reshape(n, B, 2 * h)
        buffers.grad_bias.zero_()
        carry[:, 0] = grad_last[..., :h]
        carry[:, 1] = 0
        of = ctx.training.views.of
        own_U_t = of("U_enc^T", U, lambda U: [Matrices(way.mT) for way in _stacked(U, 3).unbind(1)])
        for way in WAYS:
            for t, (_, place) in reversed(list(enumerate(_reading(ctx.order, way)))):
                if way == 1 and t == 0:  # the backward direction reads h_m first
                    carry[:, 1] += grad_last[..., h:]
                buffers.kernels.run.encoder_step_backward(of_states, *buffers.of_step_backward, way, t, place)
                if t:
                    add_product(buffers.carry_of[way], buffers.g_of[way][t], own_U_t[way])
        grad_U = factored.give("U_enc", buffers.before, buffers.recurrent)
        # The decoder's working memory, so that its views are there.
        of_products = of("grad", grad_products, _parts)
        grad_Ws: list[Tensor | None] = [None] * m
        for place, k in enumerate(ctx.order):
            ways = buffers.i_of[0][place], buffers.i_of[1][m - 1 - place]
            grad_Ws[k] = factored.give(f"W_in.{k}", ctx.xs[k], *ways, of_products[k])
        shared = _without_axis(
            ctx.n_axes,
            None if grad_U is None else grad_U.view(U.shape),
            buffers.grad_bias[..., : 3 * h].unsqueeze(2).clone(),  # an optimiser may scale gradients in place
            buffers.grad_bias[..., h:].reshape(n, 6 * h).clone(),
            *grad_Ws,
        )
        ctx.training.pool.give(ctx.key, buffers)
        return None, None, None, *shared[:3], *([None] * m), *shared[3:]


def _reading(order: tuple[int, ...], way: int) -> list[tuple[int, int]]:
    """Return, for each step of one way, the modality read and its place in the reading order."""
    places = range(len(order)) if way == 0 else reversed(range(len(order)))
    return [(order[place], place) for place in places]


def _stacked(W: Tensor, n_axes: int) -> Tensor:
    """Give a tensor without it the leading axis of networks, before `n_axes` others."""
    return W if W.dim() > n_axes else W[None]


def _matrix(W: Tensor) -> Matrices:
    return Matrices(_stacked(W, 2))


def _transposed(W: Tensor) -> Matrices:
    return Matrices(_stacked(W, 2).mT)


def _parts(W: Tensor) -> list[Matrices]:
    """Return the parts of a matrix that is kept in parts, ([n,] parts, d, c)."""
    return [Matrices(part) for part in _stacked(W, 3).unbind(1)]


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
    Ws : m tensors ([n,] 3, d_k, 3h)
        For the encoder forwards, the encoder backwards and the decoder; columns reset | update | candidate.
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
        of `states` would be padded with zeros; and the decoder's x^k W_k ([n,] m, B, 3h) in the data set's
        order. The first and the last are in working memory: they hold until the next forward pass after this
        one's backward pass.
    """
    return _Encoder.apply(order, training, training.can_reuse(), U, b, b_in, *xs, *Ws)


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

    states: (
        Tensor  # ([n,] m, B, h)  s_1..s_m, in working memory: until the next pass after this one's backward
    )
    log_probability: Tensor  # ([n,] m, B)     log pi of each choice
    attention: Tensor  # ([n,] B, m, m)  alpha_tj
    orders: Tensor  # ([n,] B, m)     index of the modality read; -1 for a start token


class _DecoderBuffers:
    """Working memory of n decoders: what a forward pass leaves for its backward pass, and views of it."""

    def __init__(self, like: Tensor, n: int, m: int, B: int, h: int) -> None:
        new, self.kernels = like.new_empty, Kernels(like)
        self.blocks, self.s = new(n, m, B, WIDTH * h), new(n, m + 1, B, h)
        self.F = new(n, B, m, 3 * h)  # in the end, dL/dF
        self.keys, self.grad_keys = new(n, B, m, h), new(n, B, m, h)
        self.queries, self.grad_queries = new(n, m, B, h), new(n, m, B, h)
        self.alphas, self.grad_alpha = new(n, B, m, m), new(n, B, m)
        self.grad_products, self.carry = new(n, m, B, 3 * h), new(n, B, h)
        self.grad_bias, self.grad_v = new(n, 4 * h), new(n, h)
        self.ones = like.new_ones(n, B)
        array = self.kernels.array
        self.of_step = [array(x) for x in (self.blocks, self.s, self.F)]
        self.attended = array(self.alphas)
        self.gathering = [array(x) for x in (self.alphas, self.blocks, self.F)]
        self.of_step_backward = [array(x) for x in (self.carry, self.blocks, self.s, self.F)]
        self.choices = ChoiceMemory(like, n * B, m)
        self.u, self.pi, index = (
            x.view(m, n, B, -1) for x in (self.choices.u, self.choices.pi, self.choices.index)
        )
        self.grad_u = self.choices.grad_u.view(m, n, B, m)
        self.read = [(array(index[t, :, :, 0]), array(self.ones)) for t in range(m)]
        self.pi_of = [array(pi) for pi in self.pi]
        self.gradients = [
            array(x)
            for x in (
                self.grad_alpha,
                self.choices.credit.view(n, B, m),
                self.grad_products,
                self.grad_bias,
            )
        ]
        self.s_of = [Matrices(s) for s in self.s.unbind(1)]
        self.query_of = [Matrices(query) for query in self.queries.unbind(1)]
        self.grad_query_of = [Matrices(query) for query in self.grad_queries.unbind(1)]
        self.g_of = [Matrices(self.blocks[:, t, :, : 3 * h]) for t in range(m)]
        self.carry_matrices = Matrices(self.carry)
        self.before = Matrices(self.s[:, :-1].flatten(1, 2))  # s_0..s_{m-1} (n, m B, h)
        self.recurrent = Matrices(self.blocks[..., : 3 * h].flatten(1, 2))
        self.asked = Matrices(self.grad_queries.flatten(1, 2))
        self.key_matrices = Matrices(self.keys.flatten(1, 2))
        self.grad_key_matrices = Matrices(self.grad_keys.flatten(1, 2))
        self.F_matrices = Matrices(self.F.flatten(1, 2))


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
        buffers = training.pool.take(key, lambda: _DecoderBuffers(s_0, n, m, B, h), reuse)
        array = buffers.kernels.array
        of, memory, run = training.views.of, buffers.choices, buffers.kernels.run
        attention = _Attention(kind, states, w, buffers, training.views)
        buffers.s[:, 0] = s_0
        product(attention.states, of("W_att", w.W_att, _matrix), out=buffers.F_matrices)
        P, U, biases = array(products.contiguous()), of("U_dec", w.U, _matrix), (array(w.b_x), array(w.b))
        of_logits = [array(x) for x in (buffers.s, w.W_modal, w.b_modal, buffers.u)]
        memory.available.fill_(True)
        steps: list[Picked] = []
        reads: list[tuple[Any, Any]] = []
        for t in range(m):
            run.modality_logits(*of_logits, t)
            picked = choose(t, memory, None if noise is None else noise.flatten(0, -3)[:, t])  # (9)
            attention.weigh(t)  # (6)(7)
            product(buffers.s_of[t], U, out=buffers.g_of[t])
            weight, (index, ones) = choose.weight(picked), buffers.read[t]
            reads.append((index, ones if weight is None else array(weight.view(n, B))))
            run.decoder_step(*biases, *buffers.of_step, P, buffers.attended, *reads[t], t)  # (5)(8)(10)
            steps.append(picked)
        orders = memory.index.view(m, n, B).permute(1, 2, 0).clone(memory_format=torch.contiguous_format)
        log_pi = choose.log_probabilities(steps, s_0.view(n * B, h)).view(m, n, B).transpose(0, 1)
        ctx.save_for_backward(*parameters)
        ctx.choose, ctx.attention, ctx.steps, ctx.reads, ctx.P = choose, attention, steps, reads, P
        ctx.training, ctx.key, ctx.buffers = training, key, buffers
        outputs = buffers.s[:, 1:].detach(), log_pi, buffers.alphas.clone(), orders
        if not ctx.n_axes:
            # mypy does not count what a generator yields.
            outputs = tuple(out[0] for out in outputs)  # type: ignore[assignment]
        ctx.mark_non_differentiable(*outputs[2:])
        ctx.set_materialize_grads(False)
        return outputs

    @staticmethod
    @once_differentiable
    def backward(
        ctx: Any, grad_s: Tensor | None, grad_log_pi: Tensor | None, *_: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        w = DecoderWeights(*ctx.saved_tensors)
        buffers: _DecoderBuffers = _take(ctx)
        choose, attention, carry = ctx.choose, ctx.attention, buffers.carry
        n, m, B, h = buffers.queries.shape
        if grad_s is None:  # only log pi was used
            grad_s = carry.new_zeros(n, m, B, h)
        of_s = buffers.kernels.array(grad_s.reshape(n, m, B, h).contiguous())
        of, memory = ctx.training.views.of, buffers.choices
        U_t = of("U_dec^T", w.U, _transposed)
        for zeroed in (carry, buffers.grad_bias, memory.grad_u):
            zeroed.zero_()
        if not choose.reads_each_once:
            buffers.grad_products.zero_()
        of_logits = [buffers.kernels.array(x) for x in (buffers.grad_u, w.W_modal, carry)]
        for t in reversed(range(m)):
            picked = ctx.steps[t]
            credits = choose.needs_credit(t) and picked.pi is not None
            buffers.kernels.run.decoder_step_backward(
                of_s,
                *buffers.of_step_backward,
                ctx.P,
                *ctx.reads[t],
                buffers.pi_of[t],
                *buffers.gradients,
                t,
                credits,
                choose.reads_each_once,
            )
            add_product(buffers.carry_matrices, buffers.g_of[t], U_t)
            attention.backward(t)
            of_choice = None if grad_log_pi is None else grad_log_pi.reshape(n, m, B)[:, t].reshape(n * B)
            if choose.logit_gradient(t, picked, memory, of_choice):
                buffers.kernels.run.modality_logits_backward(*of_logits, t)
        buffers.kernels.run.attended_backward(*buffers.gathering)
        grad_states = product(buffers.F_matrices, of("W_att^T", w.W_att, _transposed))
        trains = any(choose.trains(step) for step in ctx.steps)
        flat_u = memory.grad_u.view(m, n, B, m).transpose(0, 1).reshape(n, m * B, m)
        give = ctx.training.factored.give
        grads = (
            carry.clone(),
            attention.grad_states(grad_states).view(n, B, m, 2 * h),
            buffers.grad_products,
            give("U_dec", buffers.before, buffers.recurrent),
            buffers.grad_bias[:, : 3 * h].clone(),
            buffers.grad_bias[:, h:].clone(),
            give("W_att", attention.states, buffers.F_matrices),
            torch.bmm(flat_u.mT, buffers.before.batched) if trains else None,
            flat_u.sum(1) if trains else None,
            *attention.grad_weights(give),
        )
        ctx.training.pool.give(ctx.key, buffers)
        return (None,) * 5 + _without_axis(ctx.n_axes, *grads)


class _Attention:
    """The score function a(s, h_j) of (7) in one of four forms, with what its backward pass collects."""

    def __init__(
        self, kind: str, states: Tensor, w: DecoderWeights, buffers: _DecoderBuffers, views: Views
    ) -> None:
        """Make what all steps share from the states (n, B, m, 2h)."""
        self.w, self.buffers = w, buffers
        self.states = Matrices(states.flatten(1, 2))  # (n, B m, 2h)
        self.scale = 1 / math.sqrt(buffers.keys.shape[-1]) if kind == "dot" else 1.0
        if w.W_key is not None:
            product(self.states, views.of("W_key", w.W_key, _matrix), out=buffers.key_matrices)
            self.W_key_t = views.of("W_key^T", w.W_key, _transposed)
        if w.W_query is not None:
            self.W_query = views.of("W_query", w.W_query, _matrix)
            self.W_query_t = views.of("W_query^T", w.W_query, _transposed)
        if w.v is not None:
            array = buffers.kernels.array
            self.of_step = [array(x) for x in (buffers.keys, buffers.queries, w.v, buffers.alphas)]
            self.gradients = [
                array(x)
                for x in (buffers.grad_alpha, buffers.grad_keys, buffers.grad_queries, buffers.grad_v)
            ]

    def weigh(self, t: int) -> None:
        """Write alpha_t (n, B, m) for s_{t-1} to the buffers."""
        w, buffers = self.w, self.buffers
        if w.W_key is None:  # "mean"
            buffers.alphas[:, :, t] = 1 / buffers.alphas.shape[-1]
            return
        if w.W_query is None:
            buffers.queries[:, t] = buffers.s[:, t]
        else:
            product(buffers.s_of[t], self.W_query, out=buffers.query_of[t])
        if w.v is not None:
            buffers.kernels.run.attend(*self.of_step, t)
        else:
            scores = (buffers.keys * buffers.queries[:, t].unsqueeze(2)).sum(3) * self.scale
            buffers.alphas[:, :, t] = torch.softmax(scores, dim=2)

    def backward(self, t: int) -> None:
        """Add this step's dL/ds_{t-1} to the carry, and collect what the weights' gradients need."""
        w, buffers = self.w, self.buffers
        if w.W_key is None:
            return
        first = t == buffers.alphas.shape[-1] - 1
        if w.v is not None:
            if first:
                buffers.grad_v.zero_()
            buffers.kernels.run.attend_backward(*self.of_step, *self.gradients, t, first)
        else:
            grad_r = softmax_gradient(buffers.alphas[:, :, t], buffers.grad_alpha).unsqueeze(3) * self.scale
            if first:
                buffers.grad_keys.zero_()
            buffers.grad_keys += grad_r * buffers.queries[:, t].unsqueeze(2)
            torch.sum(buffers.keys * grad_r, 2, out=buffers.grad_queries[:, t])
        if w.W_query is None:
            buffers.carry += buffers.grad_queries[:, t]
        else:
            add_product(buffers.carry_matrices, buffers.grad_query_of[t], self.W_query_t)

    def grad_states(self, grad: Tensor) -> Tensor:
        """Add dK_j W_key^T to dF_j W_att^T (n, B m, 2h)."""
        if self.w.W_key is not None:
            add_product(Matrices(grad), self.buffers.grad_key_matrices, self.W_key_t)
        return grad

    def grad_weights(self, give: Any) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
        """dW_key, dW_query and dv, after `grad_states`; `give` may keep their factors instead."""
        if self.w.W_key is None:
            return None, None, None
        grad_query = None
        if self.w.W_query is not None:
            grad_query = give("W_query", self.buffers.before, self.buffers.asked)
        grad_v = None if self.w.v is None else self.buffers.grad_v.clone()
        return give("W_key", self.states, self.buffers.grad_key_matrices), grad_query, grad_v


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
    products : ([n,] m, B, 3h)
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
    reuse = training.can_reuse()
    return Decoded(
        *_Decoder.apply(choose, attention, noise, training, reuse, s_0, states, products, *parameters)
    )
