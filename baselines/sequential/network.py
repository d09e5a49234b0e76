"""The network that acquires modality after modality, chosen per instance; it knows no loss and no training.

DMP is one copy with q label outputs; MCC is a chain of q copies with one output each, run side by side. So
everything has a leading axis of L copies. Row-vector convention: B rows of a batch, m modalities, h hidden
units, R outputs per copy, M = m, or m + 1 where a copy is also offered the labels before it in the chain.

What a step computes is in `baselines.sequential.reference`; here are parameters, and what is acquired when.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType

import torch
from torch import Tensor, nn

from baselines.sequential import fast, reference
from baselines.sequential.dropout import masks_of_first
from baselines.sequential.reference import Weights

COST_TOLERANCE = 1e-5
"""Sums of costs in single precision may fall this short of a budget that they reach."""


@dataclass(frozen=True)
class NetworkOptions:
    """What DMP and MCC do differently or leave open; meaning and source in their `FACTORS`."""

    costs: tuple[float, ...]
    """c_1..c_M, what the first acquisition of each modality costs."""
    peepholes: bool = False
    modality_head: str = "current"
    """`current`: on h_t; `history`: on [h_1..h_t]."""
    allow_repeats: bool = False
    n_steps: int | None = None
    """At most so many acquisitions; None: M."""
    budget: float | None = None
    confidence: float | None = None
    dropout: float = 0.0
    initialisation: str = "orthogonal"


@dataclass(frozen=True)
class Acquisitions:
    """What L copies did with B rows in T steps; logits and preferences after a row's stop say nothing."""

    logits: Tensor  # (T, L, n_labelled, R)   z_t, before the sigmoid
    preferences: Tensor  # (T, L, B, M)   modality head after step t; of rows without labels all but the last
    choices: Tensor  # (T, L, B)   modality acquired at step t; -1 where stopped before
    selectable: Tensor  # (T, L, B, M)   what may be acquired after step t
    cost: Tensor  # (L, B)   sum of c_k over what was acquired

    def active(self, t: int) -> Tensor:
        """Whether step t took place: (L, B) bool."""
        return self.choices[t] >= 0

    def final_logits(self) -> Tensor:
        """Return the logits (L, B, R) of the step at which each copy stopped."""
        return self.logits_so_far()[-1]

    def logits_so_far(self) -> list[Tensor]:
        """Return T x (L, B, R): after a stop the last logits stay."""
        so_far = [self.logits[0]]
        for t in range(1, len(self.logits)):
            so_far.append(torch.where(self.active(t).unsqueeze(2), self.logits[t], so_far[-1]))
        return so_far


class AcquisitionNetwork(nn.Module):
    """L LSTMs that each acquire modality after modality, predict at every step and choose what comes next.

    Parameters
    ----------
    dims : d_1..d_m.
    n_outputs : R, label outputs per copy.
    hidden : h.
    options : see `NetworkOptions`.
    n_copies : L.
    chained : copy j is also offered, as modality m, the labels of the copies before it; copy 0 has none.
    start : the modality that every instance starts with; m is the chain's labels (copy 0 takes modality 0).
    generator : source of the initial weights, on the CPU.
    """

    earlier: Tensor  # (L, L * 4h)  where W_earlier may be used
    offered: Tensor  # (L, M)       what a copy may acquire at all
    start: Tensor  # (L,)
    costs: Tensor  # (M,)

    def __init__(
        self,
        dims: Sequence[int],
        n_outputs: int,
        hidden: int,
        options: NetworkOptions,
        n_copies: int = 1,
        chained: bool = False,
        start: int = 0,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.options, self.L, self.h, self.chained = options, n_copies, hidden, chained
        self.form = "fast"
        """Which form computes the steps: `fast` where it can, or `reference`."""
        L, h = n_copies, hidden
        self.M = len(dims) + chained
        if len(options.costs) != self.M:
            raise ValueError(f"{len(options.costs)} costs for {self.M} modalities; give one per modality")
        self.n_steps = min(options.n_steps or self.M, self.M)
        widths = [h * (t + 1) for t in range(self.n_steps)]
        modal_widths = widths if options.modality_head == "history" else [h] * self.n_steps

        def parameter(*shape: int) -> nn.Parameter:
            return nn.Parameter(torch.zeros(shape))

        self.W_in = nn.ParameterList([parameter(d, L * 4 * h) for d in dims])
        if chained:
            self.W_earlier = parameter(L, L * 4 * h)
        self.b_in = parameter(L * 4 * h)
        self.U = parameter(L, h, 4 * h)
        self.peepholes = parameter(L, 1, 3 * h) if options.peepholes else None
        self.V = nn.ParameterList([parameter(L, width, n_outputs) for width in widths])
        self.b_V = nn.ParameterList([parameter(L, 1, n_outputs) for _ in widths])
        self.V_modal = nn.ParameterList([parameter(L, width, self.M) for width in modal_widths])
        self.b_modal = nn.ParameterList([parameter(L, 1, self.M) for _ in modal_widths])
        self._initialise(generator)
        self._register_offers(start)

    def _register_offers(self, start: int) -> None:
        """Register what training leaves alone; the first copy of a chain has no earlier labels."""
        copies, labels = torch.arange(self.L), self.M - 1
        offered = torch.ones(self.L, self.M, dtype=torch.bool)
        first = torch.full((self.L,), start)
        if self.chained:
            offered[0, labels] = False
            first[0] = 0 if start == labels else start
            # Row i of W_earlier is label i, column block j is copy j: only i < j may be seen.
            earlier = (copies[:, None] < copies).repeat_interleave(4 * self.h, dim=1)
            self.register_buffer("earlier", earlier.float(), persistent=False)
        self.register_buffer("offered", offered, persistent=False)
        self.register_buffer("start", first, persistent=False)
        costs = torch.tensor(self.options.costs, dtype=torch.float32)
        self.register_buffer("costs", costs, persistent=False)

    def forward(
        self,
        modalities: Sequence[Tensor],
        labels: Tensor | None = None,
        dropout: torch.Generator | Sequence[Tensor] | None = None,
        copies: slice = slice(None),
        n_labelled: int | None = None,
    ) -> Acquisitions:
        """Acquire m modalities (B, d_k) until every row has stopped.

        Parameters
        ----------
        modalities : m tensors (B, d_k).
        labels : (B, L) labels in {-1, 1} in the chain's order, where chained; copy j sees columns < j.
        dropout : source of dropout masks, or T masks, see `masks`; None (prediction) switches dropout off.
        copies : which copies to run; L below is their number.
        n_labelled : for how many rows, the first ones, labels are predicted, unless confidence needs all; the
            others do without the last step. None: for all.
        """
        x, w = self._inputs(modalities, labels), self._weights(copies)
        L, B = len(w.U), len(x[0])
        n = B if n_labelled is None or self.options.confidence is not None else n_labelled
        steps = self._form().Steps(x, w, n, self.masks(dropout, L, B, n))
        remaining = offered = self.offered[copies].unsqueeze(1).expand(L, B, self.M)
        choice = self.start[copies].unsqueeze(1).expand(L, B)
        cost = w.U.new_zeros(L, B)
        choices, selectables = [], []
        for _ in range(self.n_steps):
            z, preference = steps.read(choice)
            acquired = choice.unsqueeze(2) == torch.arange(self.M, device=choice.device)
            cost = cost + ((acquired & remaining) * self.costs).sum(2)
            remaining = remaining & ~acquired
            selectable = offered if self.options.allow_repeats else remaining
            choices.append(choice)
            selectables.append(selectable)
            following = preference.detach().masked_fill(~selectable, -torch.inf).argmax(2)
            stops = (choice < 0) | self._stops(z, cost) | ~selectable.any(2)
            choice = following.masked_fill(stops, -1)
            if not self.training and bool(stops.all()):
                break
        logits, preferences = steps.heads()
        return Acquisitions(logits, preferences, torch.stack(choices), torch.stack(selectables), cost)

    def _form(self) -> ModuleType:
        """Return the module whose `Steps` run."""
        runs = self.form == "fast" and fast.runs_on(self.U) and not self.options.allow_repeats
        return fast if runs else reference

    def _inputs(self, modalities: Sequence[Tensor], labels: Tensor | None) -> list[Tensor]:
        """Return the modalities, a chain's labels last."""
        if not self.chained:
            return list(modalities)
        if labels is None:
            raise ValueError("a chained network needs labels (B, L) of the earlier copies")
        return [*modalities, labels]

    def _weights(self, copies: slice) -> Weights:
        """Return the weights of the copies asked for."""
        W_in = [*self.W_in, self.W_earlier * self.earlier] if self.chained else list(self.W_in)
        everything = Weights(
            W_in,
            self.b_in,
            self.U,
            self.peepholes,
            *map(list, (self.V, self.b_V, self.V_modal, self.b_modal)),
        )
        if copies == slice(None):  # slices of everything would cost a copy of every gradient
            return everything
        start, stop, _ = copies.indices(self.L)
        return everything.of(start, stop)

    def masks(
        self, source: torch.Generator | Sequence[Tensor] | None, L: int, B: int, n: int
    ) -> Sequence[Tensor] | None:
        """Draw dropout's masks for n of B rows: a label head's input is multiplied with 0 or 1 / keep.

        One for each step, (L, n, (t + 1) h). What is given as masks is returned.
        """
        keep = 1 - self.options.dropout
        if not isinstance(source, torch.Generator) or keep == 1:
            return source if keep < 1 and not isinstance(source, torch.Generator) else None
        generator, widths = source, [self.h * (t + 1) for t in range(self.n_steps)]
        if generator.device.type != "cpu":
            drawn = torch.empty(L, n, sum(widths), device=generator.device)
            return (drawn.bernoulli_(keep, generator=generator) / keep).split(widths, dim=2)
        # A mask's rows are those of copy after copy.
        first = masks_of_first(n if L == 1 else L * B, L * B, widths, keep, generator)
        return [mask.view(L, -1, mask.shape[1])[:, :n].to(self.U) / keep for mask in first]

    @torch.no_grad()
    def _stops(self, z: Tensor, cost: Tensor) -> Tensor:
        """Whether budget or confidence, the mean of max(p, 1 - p), is reached: (L, B) bool."""
        stops = torch.zeros_like(cost, dtype=torch.bool)
        if self.options.budget is not None:
            stops |= cost >= self.options.budget - COST_TOLERANCE
        if self.options.confidence is not None:
            stops |= torch.sigmoid(z.abs()).mean(2) > self.options.confidence
        return stops

    @torch.no_grad()
    def _initialise(self, generator: torch.Generator | None) -> None:
        """Fill the weights: as DMP's code (orthogonal, heads normal), or uniform as torch's own layers."""
        if self.options.initialisation == "uniform":
            bound = 1 / math.sqrt(self.h)
            for weight in self.parameters():
                weight.uniform_(-bound, bound, generator=generator)
            return
        blocks = [*self.W_in, self.W_earlier] if self.chained else list(self.W_in)
        rows = [len(block) for block in blocks]
        whole = _orthogonal(self.L * 4, sum(rows), self.h, generator)  # (L * 4, D, h)
        for block, part in zip(blocks, whole.split(rows, dim=1), strict=True):
            block.copy_(part.transpose(0, 1).reshape(block.shape))
        square = _orthogonal(self.L * 4, self.h, self.h, generator).view(self.L, 4, self.h, self.h)
        self.U.copy_(square.transpose(1, 2).reshape(self.U.shape))
        for weight in (*self.V, *self.V_modal):
            weight.normal_(0, 1 / math.sqrt(weight.shape[1]), generator=generator)


def _orthogonal(n: int, rows: int, columns: int, generator: torch.Generator | None) -> Tensor:
    """Draw n matrices (rows, columns) whose columns, or rows if fewer, are orthonormal."""
    tall = torch.empty(n, max(rows, columns), min(rows, columns)).normal_(generator=generator)
    q, r = torch.linalg.qr(tall)
    q = q * torch.diagonal(r, dim1=1, dim2=2).sign().unsqueeze(1)
    return q if rows >= columns else q.transpose(1, 2)
