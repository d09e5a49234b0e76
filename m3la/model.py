"""M3LA as a torch module: the paper's equations (1) to (12) and nothing of training or thresholds.

Row-vector convention; B rows of a batch, m modalities, q labels, hidden size h. The paper feeds x~^k, the
example with every block but the k-th zeroed. x~^k times a matrix uses that matrix's k-th block of rows
only, so each modality owns one matrix (d_k, 9h), applied once per batch for the encoder's two directions
and the decoder together; a decoder step then picks one of the m products for each row. How the recurrences
are computed and differentiated is in `m3la.fused`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from m3la.choice import ModalityChoice
from m3la.fused import Decoded, DecoderWeights, decode, encode


@dataclass(frozen=True)
class ModelOptions:
    """Answers to what the paper leaves open about the network; meaning and source in `M3LA.FACTORS`."""

    first_input: str = "s0"
    order: str = "learned"
    order_gradient: str = "straight_through"
    allow_repeats: bool = False
    label_activation: str = "softmax"
    feedback: str = "probabilities"
    label_correlation: bool = True
    w_co_init: str = "zeros"
    w_co_diagonal: str = "free"
    label_head: str = "shared"
    attention: str = "additive"
    s0_source: str = "h_m"
    s0_activation: str = "none"
    encoder_order: tuple[int, ...] | None = None
    dropout: float = 0.0
    initialisation: str = "uniform"


@dataclass(frozen=True)
class Steps:
    """What the decoder did in its m steps."""

    log_scores: Tensor  # (m, B, q)  log p_t
    log_complements: Tensor  # (m, B, q)  log(1 - p_t)
    orders: Tensor  # (B, m)  index of the modality read at each step; -1 for a start token
    attention: Tensor  # (B, m, m)  alpha_tj
    order_log_probability: Tensor  # (m, B)  log pi of each choice, where its gradient is `reinforce`

    def scores(self) -> Tensor:
        """Return p_t of shape (B, m, q)."""
        return self.log_scores.exp().transpose(0, 1)


class M3LANet(nn.Module):
    """Bidirectional GRU encoder, attention, and a GRU decoder that chooses what it reads next.

    Parameters
    ----------
    dims : d_1..d_m.
    n_labels : q.
    hidden : h.
    options : answers to the paper's silences.
    generator : source of the initial weights, on the CPU.
    """

    def __init__(
        self,
        dims: Sequence[int],
        n_labels: int,
        hidden: int = 256,
        options: ModelOptions | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.options = options or ModelOptions()
        self.dims, self.m, self.q, self.h = tuple(dims), len(dims), n_labels, hidden
        m, q, h = self.m, self.q, self.h
        self.choose = ModalityChoice(
            m,
            self.options.first_input,
            self.options.order,
            self.options.order_gradient,
            self.options.allow_repeats,
        )

        def uniform(*shape: int, fan: int) -> nn.Parameter:
            # torch's own default for GRU and Linear: U(-1/sqrt(fan), 1/sqrt(fan)); the paper is silent.
            bound = 1 / math.sqrt(fan)
            return nn.Parameter(torch.empty(shape).uniform_(-bound, bound, generator=generator))

        self.W_in = nn.ParameterList(
            [uniform(d, 9 * h, fan=h) for d in dims]
        )  # encoder ->, encoder <-, decoder
        self.b_in = uniform(6 * h, fan=h)
        self.b_x = uniform(3 * h, fan=h)
        self.U_enc = uniform(2, h, 3 * h, fan=h)
        self.b_enc = uniform(2, 1, 3 * h, fan=h)
        self.U_dec = uniform(h, 3 * h, fan=h)
        self.b_dec = uniform(3 * h, fan=h)
        self.W_att = uniform(2 * h, 3 * h, fan=h)  # the decoder's rows for a_t
        self.W_init = uniform(2 * h, h, fan=2 * h)
        self.b_init = uniform(h, fan=2 * h)
        if self.options.attention != "mean":
            self.W_key = uniform(2 * h, h, fan=2 * h)
        if self.options.attention in ("additive", "dot"):
            self.W_query = uniform(h, h, fan=h)
        if self.options.attention == "additive":
            self.v_score = uniform(h, fan=h)
        self.W_modal = uniform(m, h, fan=h)
        self.b_modal = uniform(m, fan=h)
        heads = 1 if self.options.label_head == "shared" else m
        self.W_label = nn.ParameterList([uniform(q, h, fan=h) for _ in range(heads)])
        self.b_label = nn.ParameterList([uniform(q, fan=h) for _ in range(heads)])
        if self.options.label_correlation:
            self.W_co = nn.Parameter(_initial_w_co(self.options.w_co_init, q, generator))
        if self.options.initialisation == "orthogonal":
            self._orthogonal(generator)

    def forward(
        self,
        modalities: Sequence[Tensor],
        choice_noise: Tensor | None = None,
        dropout_generator: torch.Generator | None = None,
    ) -> Steps:
        """Read m modalities (B, d_k) and predict the labels m times.

        Parameters
        ----------
        modalities : m tensors (B, d_k).
        choice_noise : (B, m, m) uniform numbers in (0, 1), for random orders and stochastic choices.
        dropout_generator : source of dropout masks; None (prediction) switches dropout off.
        """
        order = self.options.encoder_order or tuple(range(self.m))
        states, blocks = encode(modalities, list(self.W_in), self.b_in, self.U_enc, self.b_enc, order)
        decoded = self._decode(self._initial_state(states), states, blocks, choice_noise)
        z = self._label_logits(decoded.states, dropout_generator)  # (m, B, q)     (11)
        log_p, log_complement = label_log_scores(z, self.options.label_activation)
        return Steps(
            log_p,
            log_complement,
            decoded.orders.T,
            decoded.attention.transpose(0, 1),
            decoded.log_probability,
        )

    def _initial_state(self, states: Tensor) -> Tensor:
        """s_0 = g(h_1..h_m) W_init + b_init from h_1..h_m (m, B, 2h): (4)."""
        h = self.h
        match self.options.s0_source:
            case "h_m":
                source = states[-1]
            case "final_states":
                source = torch.cat((states[-1, :, :h], states[0, :, h:]), dim=1)
            case _:
                source = states.mean(0)
        s_0 = torch.addmm(self.b_init, source, self.W_init)
        return torch.tanh(s_0) if self.options.s0_activation == "tanh" else s_0

    def _decode(self, s_0: Tensor, states: Tensor, blocks: Tensor, noise: Tensor | None) -> Decoded:
        """s_1..s_m (m, B, h), and what was read and attended to: (5) to (10)."""
        weights = DecoderWeights(
            U=self.U_dec,
            b=self.b_dec,
            b_x=self.b_x,
            W_att=self.W_att,
            W_modal=self.W_modal,
            b_modal=self.b_modal,
            W_key=getattr(self, "W_key", None),
            W_query=getattr(self, "W_query", None),
            v=getattr(self, "v_score", None),
        )
        return decode(s_0, states, blocks, weights, self.choose, self.options.attention, noise)

    def _label_logits(self, s: Tensor, dropout_generator: torch.Generator | None) -> Tensor:
        """z_t = s_t W_label^T + b_label + [t > 1] p_{t-1} W_co of shape (m, B, q), from s (m, B, h): (11)."""
        s = self._dropout(s, dropout_generator)
        if self.options.label_head == "shared":
            own = F.linear(s, self.W_label[0], self.b_label[0])
        else:
            heads = torch.stack(list(self.W_label)).transpose(1, 2)
            own = torch.baddbmm(torch.stack(list(self.b_label)).unsqueeze(1), s, heads)
        if not self.options.label_correlation:
            return own
        W_co: Tensor = self.W_co
        if self.options.w_co_diagonal == "zero":
            W_co = W_co - torch.diag(torch.diagonal(W_co))
        z = list(own.unbind(0))
        for t in range(1, self.m):
            z[t] = torch.addmm(z[t], self._fed_back(z[t - 1]), W_co)
        return torch.stack(z)

    def _fed_back(self, z: Tensor) -> Tensor:
        """What of step t-1 enters step t, from its logits (B, q): 'the prediction of the previous step'."""
        softmax = self.options.label_activation == "softmax"
        match self.options.feedback:
            case "logits":
                log_p, log_complement = label_log_scores(z, self.options.label_activation)
                return log_p - log_complement
            case "hard":
                return ((torch.softmax(z, 1) if softmax else torch.sigmoid(z)) >= 0.5).to(z.dtype)
            case "detach":
                z = z.detach()
        return torch.softmax(z, 1) if softmax else torch.sigmoid(z)

    def _dropout(self, s: Tensor, generator: torch.Generator | None) -> Tensor:
        keep = 1 - self.options.dropout
        if generator is None or keep == 1:
            return s
        mask = torch.empty(s.shape).bernoulli_(keep, generator=generator).to(s)
        return s * mask / keep

    @torch.no_grad()
    def _orthogonal(self, generator: torch.Generator | None) -> None:
        """Orthogonal recurrent blocks, Xavier input blocks, zero biases."""
        h = self.h
        for U in (self.U_enc[0], self.U_enc[1], self.U_dec):
            for block in U.split(h, dim=1):
                block.copy_(nn.init.orthogonal_(torch.empty(h, h), generator=generator))
        for name, parameter in self.named_parameters():
            if name.startswith("b_"):
                parameter.zero_()
            elif name.startswith("W_in") or name == "W_att":
                for block in parameter.split(h, dim=1):
                    block.copy_(nn.init.xavier_uniform_(torch.empty_like(block), generator=generator))

    def label_correlation(self) -> Tensor | None:
        """W_co (q, q), or None where the model has none."""
        return self.W_co.detach() if self.options.label_correlation else None


def label_log_scores(z: Tensor, activation: str) -> tuple[Tensor, Tensor]:
    """Return log p and log(1 - p) of logits (.., q), finite where float arithmetic of 1 - p would be 0.

    Only the largest entry of a softmax can exceed 1/2; its complement is the sum of the others.
    """
    if activation == "sigmoid":
        return F.logsigmoid(z), F.logsigmoid(-z)
    if z.shape[-1] == 1:
        raise ValueError(
            "label_activation='softmax' needs at least two labels; use label_activation='sigmoid'"
        )
    log_p = F.log_softmax(z, dim=-1)
    p = log_p.exp()
    largest = torch.zeros_like(p, dtype=torch.bool).scatter_(-1, p.argmax(-1, keepdim=True), True)
    others = p.masked_fill(largest, 0).sum(-1, keepdim=True)
    complement = torch.where(largest, others, 1 - p)
    return log_p, complement.clamp_min(torch.finfo(p.dtype).tiny).log()


def _initial_w_co(init: str, q: int, generator: torch.Generator | None) -> Tensor:
    match init:
        case "zeros":
            return torch.zeros(q, q)
        case "identity":
            return torch.eye(q)
        case "small_normal":
            return torch.empty(q, q).normal_(0, 0.01, generator=generator)
        case _:
            return nn.init.xavier_uniform_(torch.empty(q, q), generator=generator)
