"""M3LA as a torch module: its parameters, and which form computes the equations with them.

The equations are in `m3la.reference`; it knows nothing of training or thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import torch
from torch import Tensor, nn

from m3la import device, fast, reference
from m3la.reference import ModelOptions, Steps, Weights

NAMES = tuple(field.name for field in fields(Weights))
"""Of the parameters."""


class M3LANet(nn.Module):
    """Bidirectional GRU encoder, attention, and a GRU decoder that chooses what it reads next.

    One module can hold n networks that train side by side, each on its own rows: every tensor then has a
    leading axis, written [n,].

    Parameters
    ----------
    dims : d_1..d_m.
    n_labels : q.
    hidden : h.
    options : answers to the paper's silences.
    generator : source of the initial weights, on the CPU; a sequence of n makes n networks side by side, each
        with the weights that it would have alone.

    Raises
    ------
    ValueError
        For the softmax of a single label, which is 1 whatever its logit.
    """

    def __init__(
        self,
        dims: Sequence[int],
        n_labels: int,
        hidden: int,
        options: ModelOptions,
        generator: torch.Generator | Sequence[torch.Generator] | None = None,
    ) -> None:
        super().__init__()
        if options.label_activation == "softmax" and n_labels == 1:
            raise ValueError(
                "label_activation='softmax' gives a single label the score 1 always; "
                "use label_activation='sigmoid' (preset repaired) on one label"
            )
        self.options = options
        self.form = "fast"
        """Which form computes the equations: `fast`, which only a CPU runs; `device`, for networks side by
        side; or `reference`, which also runs where `fast` does not."""
        self.dims, self.m, self.q, self.h = tuple(dims), len(dims), n_labels, hidden
        m, q, h = self.m, self.q, self.h
        self.n = len(generator) if isinstance(generator, Sequence) else None
        generators = list(generator) if isinstance(generator, Sequence) else [generator]
        draw = _Draw(generators, self.n is not None, h)
        self.W_in = nn.ParameterList([draw.by_direction(d) for d in dims])
        self.b_in = draw.linear(6 * h, fan=h)
        self.b_x = draw.linear(3 * h, fan=h)
        self.U_enc = draw.recurrent(2, h, 3 * h)
        self.b_enc = draw.recurrent(2, 1, 3 * h)
        self.U_dec = draw.recurrent(h, 3 * h)
        self.b_dec = draw.recurrent(3 * h)
        self.W_att = draw.linear(2 * h, 3 * h, fan=h)
        self.W_init = draw.linear(2 * h, h, fan=2 * h)
        self.b_init = draw.linear(h, fan=2 * h)
        if options.attention != "mean":
            self.W_key = draw.linear(2 * h, h, fan=2 * h)
        if options.attention in ("additive", "dot"):
            self.W_query = draw.linear(h, h, fan=h)
        if options.attention == "additive":
            self.v_score = draw.linear(h, fan=h)
        self.W_modal = draw.linear(m, h, fan=h)
        self.b_modal = draw.linear(m, fan=h)
        heads = 1 if options.label_head == "shared" else m
        self.W_label = nn.ParameterList([draw.linear(q, h, fan=h) for _ in range(heads)])
        self.b_label = nn.ParameterList([draw.linear(q, fan=h) for _ in range(heads)])
        if options.label_correlation:
            self.W_co = draw.label_correlation(options.w_co_init, q)
        if options.initialisation == "orthogonal":
            for index, each in enumerate(generators):
                self._orthogonal(each, index)
        self.workspace = fast.Workspace.of(self)

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

        Raises
        ------
        ValueError
            For modalities of other shapes: rows that are missing would be read from working memory.
        """
        self._check_shapes(modalities)
        mask = self._dropout_mask(modalities[0], dropout_generator)
        if self.form == "fast" and fast.runs_on(modalities[0]):
            return fast.network(modalities, self.weights(), self.options, choice_noise, mask, self.workspace)
        form = device if self.form == "device" else reference
        return form.network(modalities, self.weights(), self.options, choice_noise, mask)

    def weights(self) -> Weights:
        """Return the parameters under the names of the equations."""
        found: dict[str, Any] = {name: getattr(self, name, None) for name in NAMES}
        return Weights(**found)

    def _check_shapes(self, modalities: Sequence[Tensor]) -> None:
        networks = () if self.n is None else (self.n,)
        rows = {x.shape[-2] for x in modalities if x.dim() > 1}
        shapes = [tuple(x.shape) for x in modalities]
        if len(rows) != 1 or shapes != [(*networks, *rows, d) for d in self.dims]:
            expected = ", ".join(str((*networks, "rows", d)) for d in self.dims).replace("'", "")
            raise ValueError(f"modalities have shapes {shapes}; give {expected} with the same rows in each")

    def _dropout_mask(
        self, like: Tensor, generator: torch.Generator | Sequence[torch.Generator] | None
    ) -> Tensor | None:
        """Draw ([n,] m, B, h) zeros and ones where the generators are, for rows `like` ([n,] B, d)."""
        keep, shape = 1 - self.options.dropout, (self.m, like.shape[-2], self.h)
        if generator is None or keep == 1:
            return None

        def drawn(source: torch.Generator) -> Tensor:
            return torch.empty(shape, device=source.device).bernoulli_(keep, generator=source)

        if isinstance(generator, torch.Generator):
            return drawn(generator).to(like)
        return torch.stack([drawn(source) for source in generator]).to(like)

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


class _Draw:
    """Initial values, on which the paper is silent: torch's own for GRU and Linear, U(-1, 1) / sqrt(fan).

    Parameters
    ----------
    generators : one for each network.
    has_axis : whether networks get a leading axis.
    h : hidden size.
    """

    def __init__(self, generators: Sequence[torch.Generator | None], has_axis: bool, h: int) -> None:
        self.generators, self.has_axis, self.h = generators, has_axis, h

    def linear(self, *shape: int, fan: int) -> nn.Parameter:
        return nn.Parameter(self._uniform(*shape, fan=fan))

    def recurrent(self, *shape: int) -> nn.Parameter:
        """Draw columns reset | update | candidate, and store them as candidate | reset | update."""
        return nn.Parameter(self._uniform(*shape, fan=self.h).roll(self.h, -1))

    def by_direction(self, d: int) -> nn.Parameter:
        """Draw (d, 9h), and store the three matrices in it apart, as an update walks through each."""
        W = self._uniform(d, 9 * self.h, fan=self.h)
        return nn.Parameter(W.unflatten(-1, (3, 3 * self.h)).transpose(-3, -2).contiguous())

    def label_correlation(self, init: str, q: int) -> nn.Parameter:
        return nn.Parameter(self._stacked([_initial_w_co(init, q, g) for g in self.generators]))

    def _uniform(self, *shape: int, fan: int) -> Tensor:
        bound = 1 / math.sqrt(fan)
        return self._stacked(
            [torch.empty(shape).uniform_(-bound, bound, generator=g) for g in self.generators]
        )

    def _stacked(self, drawn: list[Tensor]) -> Tensor:
        return torch.stack(drawn) if self.has_axis else drawn[0]


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
