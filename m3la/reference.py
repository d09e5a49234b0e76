"""M3LA's network as the paper writes it: equations (1) to (12), with every option, under autograd.

Start here. It knows no loss, no training and no other form of itself; `m3la.fast` is held to it. It runs on
any device and in any precision.

Rows are vectors: B rows of a batch, m modalities, q labels, hidden size h. The paper feeds x~^k, the example
with every block but the k-th zeroed; x~^k W is x^k W_k, with W's k-th block of rows, so each modality owns a
matrix. Every tensor may have a leading axis of n networks that know nothing of each other, written [n,].
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

FORWARDS, BACKWARDS, DECODER = range(3)
"""The three GRUs that read modalities: the encoder's two directions, and the decoder."""


@dataclass(frozen=True)
class ModelOptions:
    """Answers to what the paper leaves open about the network; meaning and source in `M3LA.FACTORS`."""

    first_input: str
    order: str
    order_gradient: str
    allow_repeats: bool
    label_activation: str
    feedback: str
    label_correlation: bool
    w_co_init: str
    w_co_diagonal: str
    label_head: str
    attention: str
    s0_source: str
    s0_activation: str
    encoder_order: tuple[int, ...] | None  # None: the data set's
    dropout: float
    initialisation: str


@dataclass(frozen=True)
class Weights:
    """What is trained; None where the options leave a matrix out.

    A GRU's input weights have columns reset | update | candidate, its recurrent ones candidate | reset |
    update (`m3la.fast` says why).
    """

    W_in: Sequence[Tensor]  # m of ([n,] 3, d_k, 3h): FORWARDS, BACKWARDS, DECODER
    b_in: Tensor  # ([n,] 6h): of the encoder's inputs, forwards | backwards
    U_enc: Tensor  # ([n,] 2, h, 3h): FORWARDS, BACKWARDS
    b_enc: Tensor  # ([n,] 2, 1, 3h)
    W_init: Tensor  # ([n,] 2h, h)
    b_init: Tensor  # ([n,] h)
    W_key: Tensor | None  # ([n,] 2h, h)
    W_query: Tensor | None  # ([n,] h, h)
    v_score: Tensor | None  # ([n,] h)
    W_modal: Tensor  # ([n,] m, h)
    b_modal: Tensor  # ([n,] m)
    W_att: Tensor  # ([n,] 2h, 3h): the decoder's input rows for a_t
    b_x: Tensor  # ([n,] 3h): of the decoder's inputs
    U_dec: Tensor  # ([n,] h, 3h)
    b_dec: Tensor  # ([n,] 3h)
    W_label: Sequence[Tensor]  # one or m of ([n,] q, h)
    b_label: Sequence[Tensor]  # as many of ([n,] q)
    W_co: Tensor | None  # ([n,] q, q)


@dataclass(frozen=True)
class Steps:
    """What the decoder did in its m steps."""

    log_scores: Tensor  # ([n,] m, B, q)  log p_t
    log_complements: Tensor  # ([n,] m, B, q)  log(1 - p_t)
    orders: Tensor  # ([n,] B, m)  index of the modality read at each step; -1 for a start token
    attention: Tensor  # ([n,] B, m, m)  alpha_tj
    order_log_probability: Tensor  # ([n,] m, B)  log pi of each choice under `reinforce`, else 0

    def scores(self) -> Tensor:
        """Return p_t of shape ([n,] B, m, q)."""
        return self.log_scores.exp().transpose(-3, -2)


def network(
    x: Sequence[Tensor],
    w: Weights,
    options: ModelOptions,
    noise: Tensor | None = None,
    dropout_mask: Tensor | None = None,
) -> Steps:
    """Read m modalities and predict the labels m times; the last prediction counts: (12).

    Parameters
    ----------
    x : m tensors ([n,] B, d_k).
    w, options : see there.
    noise : ([n,] B, m, m) uniform numbers in (0, 1), for random orders and stochastic choices.
    dropout_mask : ([n,] m, B, h) zeros and ones; None switches dropout off.
    """
    m = len(x)
    states = encode(x, w, options)  # h_1..h_m ([n,] B, m, 2h): (1)-(3)
    s = initial_state(states, w, options)  # s_0 ([n,] B, h): (4)
    keys = None if w.W_key is None else torch.einsum("...bjc,...ch->...bjh", states, w.W_key)
    # x^k W_k ([n,] B, m, 3h): what the decoder would read of each modality.
    products = torch.stack([x_k @ W[..., DECODER, :, :] for x_k, W in zip(x, w.W_in, strict=True)], dim=-2)
    available = torch.ones_like(states[..., 0], dtype=torch.bool)
    choices: list[Choice] = []
    alphas: list[Tensor] = []
    predictions: list[tuple[Tensor, Tensor]] = []
    for t in range(m):
        choice = choose(t, s, available, w, options, None if noise is None else noise[..., t, :])  # (9)
        available = available & ~choice.one_hot
        x_t_W = torch.einsum("...bk,...bkc->...bc", choice.coefficients, products)  # (10), x^t W of (8)
        alpha = torch.softmax(attention_scores(s, keys, w, options), dim=-1)  # (6), (7)
        a_t = torch.einsum("...bj,...bjc->...bc", alpha, states)  # (5)
        s = gru(x_t_W + affine(a_t, w.W_att, w.b_x), s, w.U_dec, w.b_dec.unsqueeze(-2))  # (8)
        features = s if dropout_mask is None else s * dropout_mask[..., t, :, :] / (1 - options.dropout)
        predictions.append(predict(t, features, predictions, w, options))  # (11)
        choices.append(choice)
        alphas.append(alpha)
    log_scores, log_complements = (torch.stack(each, -3) for each in zip(*predictions, strict=True))
    return Steps(
        log_scores,
        log_complements,
        torch.stack([choice.index for choice in choices], -1),
        torch.stack(alphas, -2),
        torch.stack([choice.log_probability for choice in choices], -2),
    )


def encode(x: Sequence[Tensor], w: Weights, options: ModelOptions) -> Tensor:
    """(1) to (3): h_1..h_m ([n,] B, m, 2h), in the order in which the modalities are read."""
    h = w.U_enc.shape[-2]
    order = options.encoder_order or tuple(range(len(x)))

    def read(direction: int, order: Iterable[int]) -> list[Tensor]:
        state, found = x[0].new_zeros(*x[0].shape[:-1], h), []
        U, b = w.U_enc[..., direction, :, :], w.b_enc[..., direction, :, :]
        b_in = w.b_in[..., 3 * h * direction : 3 * h * (direction + 1)]
        for k in order:
            state = gru(affine(x[k], w.W_in[k][..., direction, :, :], b_in), state, U, b)
            found.append(state)
        return found

    forwards = read(FORWARDS, order)  # (1)
    backwards = read(BACKWARDS, reversed(order))[::-1]  # (2); it prints h_{t-1}, the other direction's
    return torch.cat((torch.stack(forwards, -2), torch.stack(backwards, -2)), dim=-1)  # (3)


def gru(inputs: Tensor, state: Tensor, U: Tensor, b: Tensor) -> Tensor:
    """The next state of a GRU (Cho et al., 2014; reset after the product, as `torch.nn.GRUCell`)."""
    in_r, in_z, in_n = inputs.chunk(3, dim=-1)
    of_n, of_r, of_z = (state @ U + b).chunk(3, dim=-1)
    r, z = torch.sigmoid(in_r + of_r), torch.sigmoid(in_z + of_z)
    return (1 - z) * torch.tanh(in_n + r * of_n) + z * state


def initial_state(states: Tensor, w: Weights, options: ModelOptions) -> Tensor:
    """(4): s_0 = g(h_1..h_m) W_init + b_init."""
    h = states.shape[-1] // 2
    g = {
        "h_m": states[..., -1, :],
        "final_states": torch.cat((states[..., -1, :h], states[..., 0, h:]), dim=-1),
        "mean": states.mean(-2),
    }[options.s0_source]
    s_0 = affine(g, w.W_init, w.b_init)
    return torch.tanh(s_0) if options.s0_activation == "tanh" else s_0


def attention_scores(s: Tensor, keys: Tensor | None, w: Weights, options: ModelOptions) -> Tensor:
    """(7): r_tj = a(s_{t-1}, h_j), ([n,] B, m), from keys h_j W_key ([n,] B, m, h)."""
    if keys is None:  # "mean": all the same
        return torch.zeros_like(s[..., :1]).expand(*s.shape[:-1], len(w.W_in))
    query = s if w.W_query is None else s @ w.W_query
    if w.v_score is not None:  # "additive": Bahdanau et al.
        return torch.einsum("...bjh,...h->...bj", torch.tanh(query.unsqueeze(-2) + keys), w.v_score)
    r = torch.einsum("...bh,...bjh->...bj", query, keys)
    return r / math.sqrt(s.shape[-1]) if options.attention == "dot" else r


@dataclass(frozen=True)
class Choice:
    """o^t, the modality that each row reads at step t, and how gradients reach what chose it."""

    index: Tensor  # ([n,] B)     o^t; -1 for a start token, which reads nothing
    one_hot: Tensor  # ([n,] B, m)  boolean
    coefficients: Tensor  # ([n,] B, m)  of the m modalities in x^t, (10): `one_hot` with a gradient
    log_probability: Tensor  # ([n,] B)


def choose(
    t: int, s: Tensor, available: Tensor, w: Weights, options: ModelOptions, noise: Tensor | None
) -> Choice:
    """(9): choose among the modalities not read yet, from s_{t-1} and noise ([n,] B, m)."""
    m, nothing = available.shape[-1], s.new_zeros(s.shape[:-1])
    if options.order == "learned" and (t > 0 or options.first_input == "s0"):
        return learned_choice(s, available, w, options, noise)
    if options.order == "random":
        if noise is None:
            raise ValueError("order='random' draws orders from noise; pass choice_noise to the network")
        index = noise.masked_fill(~available, -1).argmax(-1)
    elif options.order == "fixed":
        index = torch.full_like(nothing, t, dtype=torch.long)
    else:
        first = 0 if options.first_input == "first" else -1
        index = torch.full_like(nothing, first, dtype=torch.long)
    one_hot = index.unsqueeze(-1) == torch.arange(m, device=s.device)
    return Choice(index, one_hot, one_hot.to(s), nothing)


def learned_choice(
    s: Tensor, available: Tensor, w: Weights, options: ModelOptions, noise: Tensor | None
) -> Choice:
    """(9) with one of six gradients; as printed, `argmax` lets none through."""
    u = affine(s, w.W_modal.mT, w.b_modal)
    logits = u if options.allow_repeats else u.masked_fill(~available, -torch.inf)
    kind, sampled = options.order_gradient, logits
    if noise is not None and kind in ("gumbel", "reinforce"):
        sampled = logits - torch.log(-torch.log(noise))
    index = sampled.argmax(-1)  # of pi = softmax(u), which is in the same order
    pi = torch.softmax(sampled if kind == "gumbel" else logits, dim=-1)
    one_hot = index.unsqueeze(-1) == torch.arange(u.shape[-1], device=u.device)
    pi_o, coefficients = (pi * one_hot).sum(-1, keepdim=True), one_hot.to(u)
    match kind:
        case "straight_through" | "gumbel":
            coefficients = coefficients + (pi - pi.detach())
        case "prob_ratio":
            coefficients = coefficients * (pi_o / pi_o.detach())
        case "prob_scale":
            coefficients = coefficients * pi_o
    log_pi = pi_o.squeeze(-1).log()
    return Choice(index, one_hot, coefficients, log_pi if kind == "reinforce" else torch.zeros_like(log_pi))


def predict(
    t: int, s: Tensor, earlier: Sequence[tuple[Tensor, Tensor]], w: Weights, options: ModelOptions
) -> tuple[Tensor, Tensor]:
    """(11): log p_t and log(1 - p_t), ([n,] B, q) each, from s_t and the predictions before it."""
    head = t if options.label_head == "per_step" else 0
    z = affine(s, w.W_label[head].mT, w.b_label[head])
    if earlier and w.W_co is not None:
        W_co = w.W_co
        if options.w_co_diagonal == "zero":
            W_co = W_co - torch.diag_embed(torch.diagonal(W_co, dim1=-2, dim2=-1))
        z = z + feedback(*earlier[-1], options.feedback) @ W_co
    return log_probabilities(z, options.label_activation)


def feedback(log_p: Tensor, log_complement: Tensor, kind: str) -> Tensor:
    """Return what of p_{t-1} enters (11), 'the prediction of the previous step'."""
    match kind:
        case "logits":
            return log_p - log_complement
        case "hard":
            return (log_p.detach().exp() >= 0.5).to(log_p)
        case "detach":
            return log_p.detach().exp()
        case _:
            return log_p.exp()


def log_probabilities(z: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    """Return log p and log(1 - p) of logits (.., q), finite where float arithmetic of 1 - p would be 0.

    Only one entry of a softmax can exceed 1/2, also in floating point, as exp(-log 2) is rounded to 1/2 at
    most; its complement is the sum of the others.
    """
    if activation == "sigmoid":
        return F.logsigmoid(z), F.logsigmoid(-z)
    log_p = F.log_softmax(z, dim=-1)
    p = log_p.exp()
    likely = p > 0.5
    others = p.masked_fill(likely, 0).sum(-1, keepdim=True)
    complement = torch.where(likely, others, 1 - p)
    return log_p, complement.clamp_min(torch.finfo(p.dtype).tiny).log()


def affine(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """X W + b for rows x ([n,] B, i), W ([n,] i, o) and b ([n,] o)."""
    return x @ W + b.unsqueeze(-2)
