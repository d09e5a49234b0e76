"""DMP, sequential reading of modalities chosen per instance, with several labels per instance; it knows of no
other method.

The paper and its authors' code disagree in many places; `README.md` beside this file lists what is from
where.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines._modality_terms import Neighbourhood, current_distance, masked_softmax
from baselines._neighbours import nearest
from baselines._reading import SequentialClassifier, expected_epochs, stacked_steps, what_was_read
from baselines._sequential import ReaderOptions, Readings, SequentialReader
from baselines._sequential_factors import DMP_FACTORS
from benchmark.contracts import Array, Factor, MethodSpec, Shape, Streams

REPEAT_COST = 1.0
"""What the cost term charges, in the authors' code, for a modality that was read before (others: 0.1)."""

AS_IN_CODE: Mapping[str, Any] = {
    "hidden": None,
    "allow_repeats": True,
    "neighbour_sign": "always_minus",
    "loss_form": "code",
}
"""What the authors' code did where it differs from the defaults, but for choosing the epoch on test data."""

NEAR_PRINT: Mapping[str, Any] = {
    "peepholes": True,
    "modality_head": "history",
    "modality_loss": "distance",
    "modality_weight": 1.0,
    "modality_factor": "label_loss",
    "cost_term": "squared",
    "l2": 0.1,
    "dropout": 0.0,
}
"""The paper's equations where they are well defined; the modality head stays a softmax (see `_check`)."""


class DMP(SequentialClassifier):
    """DMP (Yang, Zhan, Fan and Jiang, ACML 2017), adapted to several labels.

    Every instance starts with modality 0; an LSTM reads it, a sigmoid head on the history of hidden states
    predicts the q labels, a modality head chooses what is read next, until nothing is left, the budget is
    spent or the prediction is confident. Scores are those of the last step taken.

    Parameters
    ----------
    batch_size : 64 in the code.
    rho, eps : of AdaDelta, as in the code.
    costs : c_1..c_m; None: `modality_cost` for each.
    random_state : integer, or the streams of a job.
    device : torch device on which every tensor of the method lives.

    All other parameters are among `FACTORS`, with their sources.
    """

    FACTORS: ClassVar[tuple[Factor, ...]] = DMP_FACTORS

    def __init__(
        self,
        hidden: int | None = 256,
        batch_size: int = 64,
        epochs: int = 100,
        optimiser: str = "adadelta",
        learning_rate: float = 1.0,
        rho: float = 0.95,
        eps: float = 1e-6,
        peepholes: bool = False,
        modality_head: str = "current",
        modality_activation: str = "softmax",
        allow_repeats: bool = False,
        modality_loss: str = "neighbours",
        neighbour_sign: str = "jaccard",
        n_neighbors: int = 3,
        modality_weight: float = 1e-3,
        modality_factor: str = "none",
        cost_term: str = "mean",
        cost_weight: float = 0.1,
        modality_cost: float = 0.1,
        costs: tuple[float, ...] | None = None,
        l2: float = 0.0,
        loss_form: str = "batch_mean",
        budget: float | None = None,
        confidence: float | None = None,
        n_steps: int | None = None,
        dropout: float = 0.5,
        initialisation: str = "orthogonal",
        scaling: str = "zscore",
        selection: str = "holdout",
        monitor: str = "cross_entropy",
        patience: int = 15,
        random_state: int | Streams = 0,
        device: str = "cpu",
    ) -> None:
        self.hidden = hidden
        self.batch_size = batch_size
        self.epochs = epochs
        self.optimiser = optimiser
        self.learning_rate = learning_rate
        self.rho = rho
        self.eps = eps
        self.peepholes = peepholes
        self.modality_head = modality_head
        self.modality_activation = modality_activation
        self.allow_repeats = allow_repeats
        self.modality_loss = modality_loss
        self.neighbour_sign = neighbour_sign
        self.n_neighbors = n_neighbors
        self.modality_weight = modality_weight
        self.modality_factor = modality_factor
        self.cost_term = cost_term
        self.cost_weight = cost_weight
        self.modality_cost = modality_cost
        self.costs = costs
        self.l2 = l2
        self.loss_form = loss_form
        self.budget = budget
        self.confidence = confidence
        self.n_steps = n_steps
        self.dropout = dropout
        self.initialisation = initialisation
        self.scaling = scaling
        self.selection = selection
        self.monitor = monitor
        self.patience = patience
        self.random_state = random_state
        self.device = device

    def _check(self) -> None:
        if self.loss_form == "printed":
            raise ValueError(
                "loss_form='printed' is not offered: the paper adds log likelihoods without their minus, so "
                "its objective falls without bound as predictions get worse; use 'batch_mean'"
            )
        super()._check()
        if self.n_steps is not None and self.n_steps < 1:
            raise ValueError(f"n_steps={self.n_steps!r}; give 1 or more, or None for all modalities")
        if self.modality_activation == "linear" and self.modality_loss != "none":
            raise ValueError(
                f"modality_activation='linear' with modality_loss={self.modality_loss!r}: the printed loss "
                "is unbounded below, since the blocks of x~^k do not overlap, so that the distance grows "
                "with the square of each modality score, and it enters with a minus; use "
                "modality_activation='softmax' (NEAR_PRINT has the rest as printed) or modality_loss='none'"
            )
        if self.loss_form == "code" and (self.budget is not None or self.confidence is not None):
            raise ValueError(
                f"loss_form='code' with budget={self.budget!r} and confidence={self.confidence!r}: the term "
                "that the code has for stopped instances is not offered; use loss_form='batch_mean', or no "
                "stop, which the code's own settings amount to"
            )

    def _objective(
        self, inputs: Sequence[Tensor], labels: Array, streams: Streams
    ) -> Callable[[Tensor], Tensor]:
        dims = [x.shape[1] for x in inputs]
        options = ReaderOptions(
            costs=self.modality_costs_,
            peepholes=self.peepholes,
            modality_head=self.modality_head,
            allow_repeats=self.allow_repeats,
            n_steps=self.n_steps,
            budget=self.budget,
            confidence=self.confidence,
            dropout=self.dropout,
            initialisation=self.initialisation,
        )
        generator = self._generator(streams, "initialisation")
        hidden = sum(dims) if self.hidden is None else self.hidden
        self.reader_ = SequentialReader(
            dims, labels.shape[1], hidden, options, start=0, generator=generator
        ).to(self.device)
        targets = self._tensor(labels)
        neighbourhood = None
        if self.modality_loss == "neighbours" and self.modality_weight:
            rows = np.concatenate([x.cpu().numpy() for x in inputs], axis=1)
            found = nearest(rows, self.n_neighbors)
            neighbourhood = Neighbourhood.of(inputs, labels, found, self.neighbour_sign)
        norms = torch.stack([x.square().sum(1) for x in inputs], dim=1)
        dropout = self._generator(streams, "dropout")

        def loss_of_rows(rows: Tensor) -> Tensor:
            read = rows
            if neighbourhood is not None:  # the neighbours are read too, with the same weights
                read = torch.cat((rows, neighbourhood.indices[rows].flatten()))
            readings = self.reader_([x[read] for x in inputs], dropout_generator=dropout)
            return self._loss(readings, rows, targets[rows], norms[rows], neighbourhood)

        return loss_of_rows

    def _loss(
        self,
        readings: Readings,
        rows: Tensor,
        targets: Tensor,
        norms: Tensor,
        neighbourhood: Neighbourhood | None,
    ) -> Tensor:
        """Return the batch's loss, sum over steps; the readings' first B rows are the batch, then neighbours.

        Parameters
        ----------
        rows, targets, norms : (B,) training rows, their labels (B, q) and ||x^k||^2 (B, m).
        """
        B = len(rows)
        total = targets.new_zeros(())
        seen = torch.zeros_like(readings.selectable[0][0, :B])
        for t, logits in enumerate(readings.logits):
            active = readings.active(t)[0, :B].to(targets)
            seen = seen | F.one_hot(readings.choices[t][0, :B].clamp_min(0), seen.shape[1]).bool()
            label_loss = F.binary_cross_entropy_with_logits(logits[0, :B], targets, reduction="none").mean(1)
            divisor = B if self.loss_form == "batch_mean" else active.sum() + 1
            total = total + (label_loss * active).sum() / divisor
            if self.l2:
                heads = self.reader_.V[t].square().sum() + self.reader_.V_modal[t].square().sum()
                total = total + self.l2 * heads * active.mean()
            if t < len(readings.logits) - 1:  # the code's weights are 1e-9 at the last step
                terms = self._modality_loss(readings, t, rows, label_loss, norms, neighbourhood)
                terms = terms + self._cost_term(readings, t, B, seen)
                total = total + (terms * active).sum() / B
        return total

    def _weights(self, readings: Readings, t: int) -> Tensor:
        """What the modality head gives each modality after step t: (rows, m)."""
        preferences, selectable = readings.preferences[t][0], readings.selectable[t][0]
        if self.modality_activation == "softmax":
            return masked_softmax(preferences, selectable)
        return preferences * selectable

    def _modality_loss(
        self,
        readings: Readings,
        t: int,
        rows: Tensor,
        label_loss: Tensor,
        norms: Tensor,
        neighbourhood: Neighbourhood | None,
    ) -> Tensor:
        """Return the weighted modality term of step t: (B,)."""
        B = len(rows)
        if self.modality_loss == "none" or not self.modality_weight:
            return torch.zeros_like(label_loss)
        weights = self._weights(readings, t)
        if neighbourhood is None:
            current = readings.choices[t][0, :B].clamp_min(0)
            term = -0.5 * current_distance(norms, weights[:B], current)
        else:
            distances = neighbourhood.distances(rows, weights[:B], weights[B:].view(B, -1, weights.shape[1]))
            both_read = readings.active(t)[0, B:].view(B, -1)
            term = (distances * neighbourhood.signs[rows] * both_read).mean(1)
        if self.modality_factor == "label_loss":
            # Constant: its gradient would reward a worse prediction wherever the distance exceeds 1.
            term = term * (1 + label_loss.detach())
        return self.modality_weight * term

    def _cost_term(self, readings: Readings, t: int, B: int, seen: Tensor) -> Tensor:
        """Return the weighted cost of what is preferred after step t: (B,); `seen` (B, m) was read before."""
        if not self.cost_weight:
            return readings.cost.new_zeros(B)
        charged = self._weights(readings, t)[:B] * torch.where(seen, REPEAT_COST, self.reader_.costs)
        term = charged.mean(1) if self.cost_term == "mean" else charged.square().sum(1)
        return self.cost_weight * term

    def _read_rows(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        readings = self.reader_(inputs)
        m = len(inputs)
        step_scores, orders = stacked_steps(readings, m, self.reader_.n_steps)
        return {
            "scores": step_scores[:, -1],
            "step_scores": step_scores,
            "orders": orders,
            **what_was_read(readings, m),
        }


def _seconds(shape: Shape, options: Mapping[str, Any]) -> float:
    """Rough seconds of a fit, from steps on the paper's four shapes, two jobs at a time."""
    steps = expected_epochs(options) * -(-int(0.81 * shape.n) // 64)
    return 0.5 + steps * max(0.005, 0.0138 * shape.m + 1.26e-5 * sum(shape.dims) - 0.0284)


METHODS = (
    MethodSpec(
        "DMP",
        DMP,
        preset="adapted",
        note="multi-label adaptation of the authors' code, with masked choice, the neighbours' sign as its "
        "comment intends, and early stopping on training rows instead of test rows",
    ),
)
