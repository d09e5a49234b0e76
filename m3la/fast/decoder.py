"""M3LA's decoder, (5) to (10), as one operation with a hand-written backward pass; see `m3la.fast`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from m3la.fast import row_kernels
from m3la.fast.attention import Attention
from m3la.fast.choice import ModalityChoice, Picked
from m3la.fast.decoder_buffers import DecoderBuffers
from m3la.fast.products import add_product, matrix, product, transposed
from m3la.fast.workspace import Workspace, take_buffers, without_axis
from m3la.reference import Weights


@dataclass(frozen=True)
class Decoded:
    """What the decoder did."""

    states: Tensor  # ([n,] m, B, h)  s_1..s_m, in working memory: until the next pass after its backward pass
    log_probability: Tensor  # ([n,] m, B)     log pi of each choice
    attention: Tensor  # ([n,] B, m, m)  alpha_tj
    orders: Tensor  # ([n,] B, m)     index of the modality read; -1 for a start token


def decode(
    s_0: Tensor,
    states: Tensor,
    products: Tensor,
    w: Weights,
    choose: ModalityChoice,
    workspace: Workspace,
    noise: Tensor | None,
) -> Decoded:
    """Run the attentive decoder over m steps.

    Parameters
    ----------
    s_0 : ([n,] B, h)
    states : ([n,] B, m, 2h)
        The encoder's h_1..h_m.
    products : ([n,] m, B, 3h)
        Products x^k W_k of the decoder's part of the input matrices, without bias.
    choose
        Which modality is read next.
    workspace
        Names among its factored gradients: `U_dec`, `W_att`, `W_key`, `W_query`.
    noise : ([n,] B, m, m), optional
        Uniform numbers in (0, 1) for random orders and stochastic choices.
    """
    parameters = (w.U_dec, w.b_dec, w.b_x, w.W_att, w.W_modal, w.b_modal, w.W_key, w.W_query, w.v_score)
    return Decoded(
        *_Decoder.apply(choose, noise, workspace, workspace.can_reuse(), s_0, states, products, *parameters)
    )


@dataclass(frozen=True)
class _DecoderWeights:
    """Parameters of (5) to (10), all with a leading axis; those of attention may be None."""

    U: Tensor
    b: Tensor
    b_x: Tensor
    W_att: Tensor
    W_modal: Tensor
    b_modal: Tensor
    W_key: Tensor | None
    W_query: Tensor | None
    v: Tensor | None


class _Decoder(torch.autograd.Function):
    """See the docstring of `m3la.fast` for the derivation."""

    @staticmethod
    def forward(
        ctx: Any,
        choose: ModalityChoice,
        noise: Tensor | None,
        workspace: Workspace,
        reuse: bool,
        s_0: Tensor,
        states: Tensor,
        products: Tensor,
        *parameters: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        ctx.has_axis = s_0.dim() > 2
        if not ctx.has_axis:
            s_0, states, products = s_0[None], states[None], products[None]
            parameters = tuple(None if p is None else p[None] for p in parameters)
        # Autograd hands a flat tuple in which only attention's three may be None.
        w = _DecoderWeights(*parameters)  # type: ignore[arg-type]
        (n, B, m, _), h = states.shape, s_0.shape[-1]
        key = "decoder", s_0.dtype, n, m, B, h
        buffers = workspace.pool.take(key, lambda: DecoderBuffers(s_0, n, m, B, h), reuse)
        view, memory = workspace.views.of, buffers.choices
        attention = Attention(states, w.W_key, w.W_query, w.v, buffers, workspace.views)
        buffers.s[:, 0] = s_0
        product(attention.states, view("W_att", w.W_att, matrix), out=buffers.F_matrices)
        P, U, biases = products.contiguous().numpy(), view("U_dec", w.U, matrix), (w.b_x.numpy(), w.b.numpy())
        of_logits = [x.numpy() for x in (buffers.s, w.W_modal, w.b_modal, buffers.u)]
        memory.available.fill_(True)
        steps: list[Picked] = []
        reads: list[tuple[Any, Any]] = []
        for t in range(m):
            row_kernels.modality_logits(*of_logits, t)
            picked = choose(t, memory, None if noise is None else noise.flatten(0, -3)[:, t])  # (9)
            attention.weigh(t)  # (6)(7)
            product(buffers.s_of[t], U, out=buffers.g_of[t])
            weight, (index, ones) = choose.weight(picked), buffers.read[t]
            reads.append((index, ones if weight is None else weight.view(n, B).numpy()))
            row_kernels.decoder_step(
                *biases, *buffers.of_step, P, buffers.alpha_array, *reads[t], t
            )  # (5)(8)(10)
            steps.append(picked)
        orders = memory.index.view(m, n, B).permute(1, 2, 0).clone(memory_format=torch.contiguous_format)
        log_pi = choose.log_probabilities(steps, s_0.view(n * B, h)).view(m, n, B).transpose(0, 1)
        ctx.save_for_backward(*parameters)
        ctx.choose, ctx.attention, ctx.steps, ctx.reads, ctx.P = choose, attention, steps, reads, P
        ctx.workspace, ctx.key, ctx.buffers = workspace, key, buffers
        outputs = buffers.s[:, 1:].detach(), log_pi, buffers.alphas.clone(), orders
        if not ctx.has_axis:
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
        w = _DecoderWeights(*ctx.saved_tensors)
        buffers: DecoderBuffers = take_buffers(ctx)
        _decoder_steps_backward(ctx, w, buffers, grad_s, grad_log_pi)
        row_kernels.attended_backward(*buffers.gathering)
        attention, view, give = ctx.attention, ctx.workspace.views.of, ctx.workspace.factored.give
        n, m, B, h = buffers.queries.shape
        grad_states = product(buffers.F_matrices, view("W_att^T", w.W_att, transposed))
        trains = any(ctx.choose.trains(step) for step in ctx.steps)
        flat_u = buffers.grad_u.transpose(0, 1).reshape(n, m * B, m)
        grads = (
            buffers.carry.clone(),
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
        ctx.workspace.pool.give(ctx.key, buffers)
        return None, None, None, None, *without_axis(ctx.has_axis, *grads)


def _decoder_steps_backward(
    ctx: Any, w: _DecoderWeights, buffers: DecoderBuffers, grad_s: Tensor | None, grad_log_pi: Tensor | None
) -> None:
    """Go back through all steps, from dL/ds_t and dL/dlog pi; leaves dL/ds_0 in the carry."""
    choose, memory, carry = ctx.choose, buffers.choices, buffers.carry
    n, m, B, h = buffers.queries.shape
    if grad_s is None:  # only log pi was used
        grad_s = carry.new_zeros(n, m, B, h)
    of_s = grad_s.reshape(n, m, B, h).contiguous().numpy()
    U_t = ctx.workspace.views.of("U_dec^T", w.U, transposed)
    for zeroed in (carry, buffers.grad_bias, memory.grad_u):
        zeroed.zero_()
    if not choose.reads_each_once:
        buffers.grad_products.zero_()
    of_logits = [x.numpy() for x in (buffers.grad_u, w.W_modal, carry)]
    for t in reversed(range(m)):
        picked = ctx.steps[t]
        row_kernels.decoder_step_backward(
            of_s,
            *buffers.of_step_backward,
            ctx.P,
            *ctx.reads[t],
            buffers.pi_of[t],
            *buffers.gradients,
            t,
            choose.needs_credit(t) and picked.pi is not None,
            choose.reads_each_once,
        )
        add_product(buffers.carry_matrices, buffers.g_of[t], U_t)
        ctx.attention.backward(t)
        of_choice = None if grad_log_pi is None else grad_log_pi.reshape(n, m, B)[:, t].reshape(n * B)
        if choose.logit_gradient(t, picked, memory, of_choice):
            row_kernels.modality_logits_backward(*of_logits, t)
