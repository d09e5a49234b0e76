"""M3LA as a torch module: the paper's equations (1) to (12) and nothing of training or thresholds.

Row-vector convention; B rows of a batch, m modalities, q labels, hidden size h. The paper feeds x~^k, the
example with every block but the k-th zeroed. x~^k times a matrix uses that matrix's k-th block of rows
only, so each modality owns one matrix (d_k, 9h), applied once per batch for the encoder's two directions
and the decoder together; a decoder step then weighs the m products with a one-hot choice.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from m3la.choice import ModalityChoice
from m3la.gru import gru_gates


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

    log_scores: list[Tensor]  # m x (B, q)   log p_t
    log_complements: list[Tensor]  # m x (B, q)   log(1 - p_t)
    orders: Tensor  # (B, m)  index of the modality read at each step; -1 for a start token
    attention: Tensor  # (B, m, m)  alpha_tj
    order_log_probability: list[Tensor]  # m x (B,)  log pi of each choice

    def scores(self) -> Tensor:
        """Return p_t of shape (B, m, q)."""
        return torch.stack(self.log_scores, dim=1).exp()


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
        self.b_in = uniform(9 * h, fan=h)
        self.U_enc = uniform(2, h, 3 * h, fan=h)
        self.b_enc = uniform(2, 1, 3 * h, fan=h)
        self.U_dec = uniform(h, 3 * h, fan=h)
        self.b_dec = uniform(3 * h, fan=h)
        self.W_att = uniform(2 * h, 3 * h, fan=h)  # the decoder's rows for a_t
        self.W_init = uniform(2 * h, h, fan=2 * h)
        self.b_init = uniform(h, fan=2 * h)
        self.W_query = uniform(h, h, fan=h)
        self.W_key = uniform(2 * h, h, fan=2 * h)
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
        h = self.h
        products = [x @ W for x, W in zip(modalities, self.W_in, strict=True)]  # m x (B, 9h)
        products = [torch.add(P, self.b_in) for P in products]
        forward_in, backward_in, decoder_in = zip(*(P.split(3 * h, dim=1) for P in products), strict=True)
        states = self._encode(forward_in, backward_in)  # (B, m, 2h)   (1)-(3)
        s = self._initial_state(states)  # (B, h)         (4)
        score = self._attention_scores(states)
        blocks = torch.stack(decoder_in, dim=1)  # (B, m, 3h)     W x~^k for every k
        available = torch.ones(len(s), self.m, dtype=torch.bool, device=s.device)
        log_scores: list[Tensor] = []
        log_complements: list[Tensor] = []
        orders, attention, log_choice = [], [], []
        for t in range(self.m):
            u = torch.addmm(self.b_modal, s, self.W_modal.T)  # (B, m)         (9)
            noise = None if choice_noise is None else choice_noise[:, t]
            picked = self.choose(t, u, available, noise)  # weights (B, m), one-hot in value
            x_t = torch.bmm(picked.weights.unsqueeze(1), blocks).squeeze(1)  # (B, 3h)       (10)
            alpha = torch.softmax(score(s), dim=1)  # (B, m)         (6)(7)
            a_t = torch.bmm(alpha.unsqueeze(1), states).squeeze(1)  # (B, 2h)        (5)
            inputs = torch.addmm(x_t, a_t, self.W_att)  # (B, 3h)        [x^t; a_t] W
            s = gru_gates(inputs, torch.addmm(self.b_dec, s, self.U_dec), s)  # (B, h)         (8)
            z = self._label_logits(t, s, log_scores, log_complements, dropout_generator)  # (11)
            log_p, log_complement = label_log_scores(z, self.options.label_activation)
            available = picked.available
            log_scores.append(log_p)
            log_complements.append(log_complement)
            orders.append(picked.index)
            attention.append(alpha)
            log_choice.append(picked.log_probability)
        return Steps(
            log_scores, log_complements, torch.stack(orders, 1), torch.stack(attention, 1), log_choice
        )

    def _encode(self, forward_in: Sequence[Tensor], backward_in: Sequence[Tensor]) -> Tensor:
        """Run both directions side by side, as one batched product a step: (1) to (3)."""
        order = self.options.encoder_order or tuple(range(self.m))
        both: list[Tensor] = []
        hidden = forward_in[0].new_zeros(2, len(forward_in[0]), self.h)
        for t in range(self.m):
            inputs = torch.stack((forward_in[order[t]], backward_in[order[-1 - t]]))  # (2, B, 3h)
            # h_0 = 0: the first step has no product to make.
            recurrent = (
                torch.baddbmm(self.b_enc, hidden, self.U_enc)
                if t
                else self.b_enc.expand(2, hidden.shape[1], 3 * self.h)
            )
            hidden = gru_gates(inputs, recurrent, hidden)
            both.append(hidden)
        return torch.stack(
            [torch.cat((both[t][0], both[self.m - 1 - t][1]), dim=1) for t in range(self.m)], dim=1
        )

    def _initial_state(self, states: Tensor) -> Tensor:
        """s_0 = g(h_1..h_m) W_init + b_init: (4)."""
        h = self.h
        source = {
            "h_m": lambda: states[:, -1],
            "final_states": lambda: torch.cat((states[:, -1, :h], states[:, 0, h:]), dim=1),
            "mean": lambda: states.mean(1),
        }[self.options.s0_source]()
        s0 = torch.addmm(self.b_init, source, self.W_init)
        return torch.tanh(s0) if self.options.s0_activation == "tanh" else s0

    def _attention_scores(self, states: Tensor) -> Callable[[Tensor], Tensor]:
        """Return s -> r_t. of shape (B, m): the score function a(s_{t-1}, h_j) of (7)."""
        kind = self.options.attention
        if kind == "mean":
            return lambda s: s.new_zeros(len(s), self.m)
        keys = states @ self.W_key  # (B, m, h), once per batch
        if kind == "additive":
            return lambda s: torch.tanh((s @ self.W_query).unsqueeze(1) + keys) @ self.v_score
        if kind == "general":
            return lambda s: torch.bmm(keys, s.unsqueeze(2)).squeeze(2)
        scale = 1 / math.sqrt(self.h)  # "dot": both projected, as in scaled dot-product attention
        return lambda s: torch.bmm(keys, (s @ self.W_query).unsqueeze(2)).squeeze(2) * scale

    def _label_logits(
        self,
        t: int,
        s: Tensor,
        log_scores: list[Tensor],
        log_complements: list[Tensor],
        dropout_generator: torch.Generator | None,
    ) -> Tensor:
        """z_t = s_t W_label^T + b_label + [t > 1] p_{t-1} W_co: (11)."""
        head = min(t, len(self.W_label) - 1)
        z = torch.addmm(self.b_label[head], self._dropout(s, dropout_generator), self.W_label[head].T)
        if t == 0 or not self.options.label_correlation:
            return z
        W_co: Tensor = self.W_co
        if self.options.w_co_diagonal == "zero":
            W_co = W_co - torch.diag(torch.diagonal(W_co))
        return z + self._fed_back(log_scores[-1], log_complements[-1]) @ W_co

    def _fed_back(self, log_p: Tensor, log_complement: Tensor) -> Tensor:
        """What of step t-1 enters step t: 'the prediction of the previous step'."""
        match self.options.feedback:
            case "detach":
                return log_p.detach().exp()
            case "logits":
                return log_p - log_complement
            case "hard":
                return (log_p.detach() >= math.log(0.5)).to(log_p.dtype)
            case _:
                return log_p.exp()

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
    """Return log p and log(1 - p) of shape (B, q), finite where float arithmetic of 1 - p would be 0.

    Only the largest entry of a softmax can exceed 1/2; its complement is the sum of the others.
    """
    if activation == "sigmoid":
        return F.logsigmoid(z), F.logsigmoid(-z)
    log_p = F.log_softmax(z, dim=1)
    if z.shape[1] == 1:
        raise ValueError(
            "label_activation='softmax' needs at least two labels; use label_activation='sigmoid'"
        )
    p = log_p.exp()
    largest = torch.zeros_like(p, dtype=torch.bool).scatter_(1, p.argmax(1, keepdim=True), True)
    others = p.masked_fill(largest, 0).sum(1, keepdim=True)
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
