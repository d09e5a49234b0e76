"""M3LA as a torch module: the paper's equations (1) to (12) and nothing of training or thresholds.

Row-vector convention; B rows of a batch, m modalities, q labels, hidden size h. The paper feeds x~^k, the
example with every block but the k-th zeroed. x~^k times a matrix uses that matrix's k-th block of rows
only, so each modality owns a matrix for each direction of the encoder and for the decoder, (3, d_k, 3h),
applied once per batch; a decoder step then picks one of the m products for each row. How the recurrences
are computed and differentiated is in `m3la.fused`.

One module can hold several networks that train side by side, each on its own rows: every tensor then has a
leading axis, written [n,] below.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from m3la.buffers import Pool, Views
from m3la.choice import ModalityChoice
from m3la.factored import FactoredGradients
from m3la.fused import Decoded, DecoderWeights, Training, decode, encode
from m3la.labels import label_steps

FACTORED = ("W_in", "U_enc", "U_dec", "W_att", "W_key", "W_query")
"""Matrices whose gradients can stay factors."""


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

    log_scores: Tensor  # ([n,] m, B, q)  log p_t
    log_complements: Tensor  # ([n,] m, B, q)  log(1 - p_t)
    orders: Tensor  # ([n,] B, m)  index of the modality read at each step; -1 for a start token
    attention: Tensor  # ([n,] B, m, m)  alpha_tj
    order_log_probability: Tensor  # ([n,] m, B)  log pi of each choice, where its gradient is `reinforce`

    def scores(self) -> Tensor:
        """Return p_t of shape ([n,] B, m, q)."""
        return self.log_scores.exp().transpose(-3, -2)


class M3LANet(nn.Module):
    """Bidirectional GRU encoder, attention, and a GRU decoder that chooses what it reads next.

    Parameters
    ----------
    dims : d_1..d_m.
    n_labels : q.
    hidden : h.
    options : answers to the paper's silences.
    generator : source of the initial weights, on the CPU; a sequence of n makes n networks side by side, each
        with the weights that it would have alone.
    """

    def __init__(
        self,
        dims: Sequence[int],
        n_labels: int,
        hidden: int = 256,
        options: ModelOptions | None = None,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
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

        self.n = len(generator) if isinstance(generator, Sequence) else None
        generators = list(generator) if isinstance(generator, Sequence) else [generator]

        def uniform(*shape: int, fan: int) -> Tensor:
            # torch's own default for GRU and Linear: U(-1/sqrt(fan), 1/sqrt(fan)); the paper is silent.
            bound = 1 / math.sqrt(fan)
            return stacked([torch.empty(shape).uniform_(-bound, bound, generator=g) for g in generators])

        def stacked(drawn: list[Tensor]) -> Tensor:
            return drawn[0] if self.n is None else torch.stack(drawn)

        def recurrent(*shape: int) -> nn.Parameter:
            # Drawn as reset | update | candidate, kept as candidate | reset | update: see `m3la.gru`.
            return nn.Parameter(uniform(*shape, fan=h).roll(h, -1))

        def apart(W: Tensor) -> nn.Parameter:
            return nn.Parameter(W.unflatten(-1, (3, 3 * h)).transpose(-3, -2).contiguous())

        def given(*shape: int, fan: int) -> nn.Parameter:
            return nn.Parameter(uniform(*shape, fan=fan))

        # Encoder forwards, encoder backwards, decoder: apart, as an update walks through each.
        self.W_in = nn.ParameterList([apart(uniform(d, 9 * h, fan=h)) for d in dims])
        self.b_in = given(6 * h, fan=h)
        self.b_x = given(3 * h, fan=h)
        self.U_enc = recurrent(2, h, 3 * h)
        self.b_enc = recurrent(2, 1, 3 * h)
        self.U_dec = recurrent(h, 3 * h)
        self.b_dec = recurrent(3 * h)
        self.W_att = given(2 * h, 3 * h, fan=h)  # the decoder's rows for a_t
        self.W_init = given(2 * h, h, fan=2 * h)
        self.b_init = given(h, fan=2 * h)
        if self.options.attention != "mean":
            self.W_key = given(2 * h, h, fan=2 * h)
        if self.options.attention in ("additive", "dot"):
            self.W_query = given(h, h, fan=h)
        if self.options.attention == "additive":
            self.v_score = given(h, fan=h)
        self.W_modal = given(m, h, fan=h)
        self.b_modal = given(m, fan=h)
        heads = 1 if self.options.label_head == "shared" else m
        self.W_label = nn.ParameterList([given(q, h, fan=h) for _ in range(heads)])
        self.b_label = nn.ParameterList([given(q, fan=h) for _ in range(heads)])
        if self.options.label_correlation:
            self.W_co = nn.Parameter(
                stacked([_initial_w_co(self.options.w_co_init, q, g) for g in generators])
            )
        self.training_aids = Training(
            FactoredGradients(
                {name: p for name, p in self.named_parameters() if name.split(".")[0] in FACTORED}
            ),
            Pool(),
            Views(),
        )
        if self.options.initialisation == "orthogonal":
            for index, each in enumerate(generators):
                self._orthogonal(each, index)

    def forward(
        self,
        modalities: Sequence[Tensor],
        choice_noise: Tensor | None = None,
        dropout_generator: torch.Generator | Sequence[torch.Generator] | None = None,
    ) -> Steps:
        """Read m modalities and predict the labels m times.

        Parameters
        ----------
        modalities : m tensors ([n,] B, d_k).
        choice_noise : ([n,] B, m, m) uniform numbers in (0, 1), for random orders and stochastic choices.
        dropout_generator : source of dropout masks, one for each of n networks; None (prediction) switches
            dropout off.
        """
        order = self.options.encoder_order or tuple(range(self.m))
        states, last, products = encode(
            modalities, list(self.W_in), self.b_in, self.U_enc, self.b_enc, order, self.training_aids
        )
        decoded = self._decode(self._initial_state(states, last), states, products, choice_noise)
        log_p, log_complement = self._label_steps(decoded.states, dropout_generator)  # (11)
        return Steps(log_p, log_complement, decoded.orders, decoded.attention, decoded.log_probability)

    def _initial_state(self, states: Tensor, last: Tensor) -> Tensor:
        """s_0 = g(h_1..h_m) W_init + b_init from h_1..h_m ([n,] B, m, 2h) and h_m ([n,] B, 2h): (4)."""
        h = self.h
        match self.options.s0_source:
            case "h_m":
                source = last
            case "final_states":
                source = torch.cat((last[..., :h], states[..., 0, h:]), dim=-1)
            case _:
                source = states.mean(-2)
        s_0 = _affine(source, self.W_init, self.b_init)
        return torch.tanh(s_0) if self.options.s0_activation == "tanh" else s_0

    def _decode(self, s_0: Tensor, states: Tensor, products: Tensor, noise: Tensor | None) -> Decoded:
        """s_1..s_m ([n,] m, B, h), and what was read and attended to: (5) to (10)."""
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
        return decode(
            s_0, states, products, weights, self.choose, self.training_aids, self.options.attention, noise
        )

    @property
    def factored(self) -> FactoredGradients:
        """Where gradients of the large matrices stay factors if an optimiser asks for it."""
        return self.training_aids.factored

    def _label_steps(
        self, s: Tensor, dropout_generator: torch.Generator | Sequence[torch.Generator] | None
    ) -> tuple[Tensor, Tensor]:
        """(11): p_t from z_t = s_t W_label^T + b_label + [t > 1] p_{t-1} W_co, for s ([n,] m, B, h).

        Returns log p_t and log(1 - p_t), both ([n,] m, B, q).
        """
        s = self._dropout(s, dropout_generator)
        if self.options.label_head == "shared":
            flat = s.flatten(-3, -2)
            own = _affine(flat, self.W_label[0].mT, self.b_label[0]).unflatten(-2, s.shape[-3:-1])
        else:
            W, b = torch.stack(list(self.W_label), -3), torch.stack(list(self.b_label), -2)
            own = s @ W.mT + b.unsqueeze(-2)
        W_co: Tensor | None = None
        if self.options.label_correlation:
            W_co = self.W_co
            if self.options.w_co_diagonal == "zero":
                W_co = W_co - torch.diag_embed(torch.diagonal(W_co, dim1=-2, dim2=-1))
        return label_steps(own, W_co, self.options.label_activation, self.options.feedback)

    def _dropout(self, s: Tensor, generator: torch.Generator | Sequence[torch.Generator] | None) -> Tensor:
        keep = 1 - self.options.dropout
        if generator is None or keep == 1:
            return s
        if isinstance(generator, torch.Generator):
            mask = torch.empty(s.shape).bernoulli_(keep, generator=generator)
        else:
            mask = torch.stack([torch.empty(s.shape[1:]).bernoulli_(keep, generator=g) for g in generator])
        return s * mask.to(s) / keep

    @torch.no_grad()
    def _orthogonal(self, generator: torch.Generator | None, index: int) -> None:
        """Orthogonal recurrent blocks, Xavier input blocks, zero biases, of network number `index`."""
        h = self.h
        own = {name: p if self.n is None else p[index] for name, p in self.named_parameters()}
        for U in (own["U_enc"][0], own["U_enc"][1], own["U_dec"]):
            candidate, reset, update = U.split(h, dim=1)
            for block in (reset, update, candidate):
                block.copy_(nn.init.orthogonal_(torch.empty(h, h), generator=generator))
        for name, parameter in own.items():
            if name.startswith("b_"):
                parameter.zero_()
            elif name.startswith("W_in") or name == "W_att":
                for part in parameter.view(-1, *parameter.shape[-2:]):
                    for block in part.split(h, dim=1):
                        block.copy_(nn.init.xavier_uniform_(torch.empty_like(block), generator=generator))

    def label_correlation(self) -> Tensor | None:
        """W_co ([n,] q, q), or None where the model has none."""
        return self.W_co.detach() if self.options.label_correlation else None


def _affine(x: Tensor, W: Tensor, b: Tensor) -> Tensor:
    """x W + b for x ([n,] B, i), W ([n,] i, o) and b ([n,] o), or one per row, ([n,] B, o)."""
    if W.dim() == 2:
        return torch.addmm(b, x, W)
    return torch.baddbmm(b if b.dim() == 3 else b.unsqueeze(1), x, W)


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
