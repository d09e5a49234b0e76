"""The fast form of `m3la.reference.network`: encoder, decoder and labels as three operations put together."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from m3la.fast.choice import ModalityChoice
from m3la.fast.decoder import decode
from m3la.fast.encoder import encode
from m3la.fast.labels import label_steps
from m3la.fast.workspace import Workspace
from m3la.reference import ModelOptions, Steps, Weights


def runs_on(tensor: Tensor) -> bool:
    """Whether the fast form runs on tensors like this one: on a CPU, in single and double precision."""
    return tensor.is_cpu and tensor.dtype in (torch.float32, torch.float64)


def network(
    x: Sequence[Tensor],
    w: Weights,
    options: ModelOptions,
    noise: Tensor | None,
    dropout_mask: Tensor | None,
    workspace: Workspace,
) -> Steps:
    """Compute what `m3la.reference.network` computes.

    Parameters
    ----------
    x, w, options, noise, dropout_mask : as there.
    workspace : of the network that the weights belong to.
    """
    order = options.encoder_order or tuple(range(len(x)))
    states, last, products = encode(x, w.W_in, w.b_in, w.U_enc, w.b_enc, order, workspace)  # (1)-(3)
    s_0 = _initial_state(states, last, w, options)  # (4)
    choose = ModalityChoice(len(x), options)
    decoded = decode(s_0, states, products, w, choose, workspace, noise)  # (5)-(10)
    s = decoded.states
    if dropout_mask is not None:
        s = s * dropout_mask / (1 - options.dropout)
    log_p, log_complement = label_steps(
        _own_logits(s, w, options), _label_correlation(w, options), options.label_activation, options.feedback
    )  # (11)
    return Steps(log_p, log_complement, decoded.orders, decoded.attention, decoded.log_probability)


def _initial_state(states: Tensor, last: Tensor, w: Weights, options: ModelOptions) -> Tensor:
    """(4) from h_1..h_m ([n,] B, m, 2h) and h_m ([n,] B, 2h)."""
    h = w.U_dec.shape[-2]
    match options.s0_source:
        case "h_m":
            source = last
        case "final_states":
            source = torch.cat((last[..., :h], states[..., 0, h:]), dim=-1)
        case _:
            source = states.mean(-2)
    s_0 = _affine(source, w.W_init, w.b_init)
    return torch.tanh(s_0) if options.s0_activation == "tanh" else s_0


def _own_logits(s: Tensor, w: Weights, options: ModelOptions) -> Tensor:
    """s_t W_label^T + b_label of all steps, for s ([n,] m, B, h)."""
    if options.label_head == "shared":
        flat = s.flatten(-3, -2)
        return _affine(flat, w.W_label[0].mT, w.b_label[0]).unflatten(-2, s.shape[-3:-1])
    W, b = torch.stack(list(w.W_label), -3), torch.stack(list(w.b_label), -2)
    return s @ W.mT + b.unsqueeze(-2)


def _label_correlation(w: Weights, options: ModelOptions) -> Tensor | None:
    if w.W_co is None or options.w_co_diagonal == "free":
        return w.W_co
    return w.W_co - torch.diag_embed(torch.diagonal(w.W_co, dim1=-2, dim2=-1))


def _affine(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """x W + b for x ([n,] B, i), W ([n,] i, o) and b ([n,] o)."""
    if W.dim() == 2:
        return torch.addmm(b, x, W)
    return torch.baddbmm(b.unsqueeze(1), x, W)
