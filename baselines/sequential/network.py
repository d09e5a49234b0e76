"""The network that acquires modality after modality, chosen per instance; it knows no loss and no training.

DMP is one copy with q label outputs; MCC is a chain of q copies with one output each, run side by side. So
everything has a leading axis of L copies. Row-vector convention: B rows of a batch, m modalities, h hidden
units, R outputs per copy, M = m, or m + 1 where a copy is also offered the labels before it in the chain.

Both papers feed x~^k, the instance with every block but the k-th zeroed; x~^k times a matrix uses that
matrix's k-th block of rows only, so each modality owns one matrix, applied once per batch.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from baselines.sequential.lstm import Projection, Workspace, lstm_step

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
    """What L copies did with B rows in T steps."""

    logits: list[Tensor]  # T x (L, B, R)   z_t, before the sigmoid
    preferences: list[Tensor]  # T x (L, B, M)   modality head after step t
    choices: list[Tensor]  # T x (L, B)      modality acquired at step t; -1 where stopped before
    selectable: list[Tensor]  # T x (L, B, M)   what may be acquired after step t
    cost: Tensor  # (L, B)          sum of c_k over what was acquired

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
        self._workspace = Workspace()

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
        dropout_generator: torch.Generator | None = None,
        copies: slice = slice(None),
    ) -> Acquisitions:
        """Acquire m modalities (B, d_k) until every row has stopped.

        Parameters
        ----------
        modalities : m tensors (B, d_k).
        labels : (B, L) labels in {-1, 1} in the chain's order, where chained; copy j sees columns < j.
        dropout_generator : source of dropout masks; None (prediction) switches dropout off.
        copies : which copies to run; L below is their number.
        """
        projection = self._project(modalities, labels, copies)
        L, B = projection.L, projection.B
        U, peepholes = self.U[copies], None if self.peepholes is None else self.peepholes[copies]
        remaining = self.offered[copies].unsqueeze(1).expand(L, B, self.M)
        choice = self.start[copies].unsqueeze(1).expand(L, B)
        acquisitions = Acquisitions([], [], [], [], U.new_zeros(L, B))
        cost, hidden, cell = acquisitions.cost, None, None
        history: list[Tensor] = []
        for t in range(self.n_steps):
            hidden, cell = lstm_step(projection.take(choice), hidden, cell, U, peepholes)  # (L, B, h)
            history.append(hidden)
            stacked = torch.cat(history, dim=2) if t else hidden  # (L, B, (t+1)h)
            z = torch.baddbmm(
                self.b_V[t][copies], self._dropout(stacked, dropout_generator), self.V[t][copies]
            )
            source = stacked if self.options.modality_head == "history" else hidden
            preference = torch.baddbmm(self.b_modal[t][copies], source, self.V_modal[t][copies])  # (L, B, M)
            acquired = F.one_hot(choice.clamp_min(0), self.M).bool() & (choice >= 0).unsqueeze(2)
            cost = cost + ((acquired & remaining) * self.costs).sum(2)
            remaining = remaining & ~acquired
            selectable = self.offered[copies].unsqueeze(1) if self.options.allow_repeats else remaining
            selectable = selectable.expand(L, B, self.M)
            acquisitions.logits.append(z)
            acquisitions.preferences.append(preference)
            acquisitions.choices.append(choice)
            acquisitions.selectable.append(selectable)
            following = preference.detach().masked_fill(~selectable, -torch.inf).argmax(2)
            stops = (choice < 0) | self._stops(z, cost) | ~selectable.any(2)
            choice = following.masked_fill(stops, -1)
            if not self.training and bool(stops.all()):
                break
        return replace(acquisitions, cost=cost)

    def release(self) -> None:
        """Give back the memory that batches share."""
        self._workspace = Workspace()

    def _project(self, modalities: Sequence[Tensor], labels: Tensor | None, copies: slice) -> Projection:
        """Multiply every modality with its matrix, for the copies asked for."""
        L = len(range(*copies.indices(self.L)))
        columns = slice(4 * self.h * copies.indices(self.L)[0], 4 * self.h * copies.indices(self.L)[1])
        weights = [W[:, columns] for W in self.W_in]
        inputs = list(modalities)
        if self.chained:
            if labels is None:
                raise ValueError("a chained network needs labels (B, L) of the earlier copies")
            weights.append((self.W_earlier * self.earlier)[:, columns])
            inputs.append(labels)
        # Predictions may run in several threads at once, so that only training shares memory between batches.
        workspace = self._workspace if self.training else None
        return Projection(inputs, weights, self.b_in[columns], L, self.options.allow_repeats, workspace)

    @torch.no_grad()
    def _stops(self, z: Tensor, cost: Tensor) -> Tensor:
        """Whether budget or confidence, the mean of max(p, 1 - p), is reached: (L, B) bool."""
        stops = torch.zeros_like(cost, dtype=torch.bool)
        if self.options.budget is not None:
            stops |= cost >= self.options.budget - COST_TOLERANCE
        if self.options.confidence is not None:
            stops |= torch.sigmoid(z.abs()).mean(2) > self.options.confidence
        return stops

    def _dropout(self, stacked: Tensor, generator: torch.Generator | None) -> Tensor:
        keep = 1 - self.options.dropout
        if generator is None or keep == 1:
            return stacked
        return stacked * torch.empty(stacked.shape).bernoulli_(keep, generator=generator).to(stacked) / keep

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
