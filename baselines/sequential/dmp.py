"""DMP, which acquires modalities in an order of each instance, for several labels; it knows no other method.

The paper and its authors' code disagree in many places; `baselines/README.md` lists what is from where.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.sequential.classifier import (
    Dropout,
    Material,
    SequentialClassifier,
    acquisition_arrays,
    stacked_steps,
)
from baselines.sequential.factors import DMP_FACTORS
from baselines.sequential.modality_terms import Neighbourhood, current_distance, masked_softmax
from baselines.sequential.neighbours import nearest
from baselines.sequential.network import AcquisitionNetwork, Acquisitions, NetworkOptions
from baselines.sequential.together import fit_together
from benchmark.contracts import Array, Factor, MethodSpec, RandomState

REPEAT_COST = 1.0
"""What the cost term charges, in the authors' code, for a modality acquired before (others: 0.1)."""

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
    """Acquires modalities in an order of each instance (Yang et al.), adapted to several labels.

    Every instance starts with modality 0; an LSTM takes it in, a sigmoid head on the history of hidden states
    predicts the q labels, a modality head chooses what is acquired next, until nothing is left, the budget is
    spent or the prediction is confident. Scores are those of the last step taken. What the paper and its
    authors' code leave open, or tell differently, is among `FACTORS`, with all levels and sources.

    Parameters
    ----------
    hidden : int or None, default=256
        h; None: the number of features.
    batch_size, epochs : int, default=64 and 100
        Of mini-batch training.
    optimiser : {"adadelta", "adam"}
    learning_rate, rho, eps : float, default=1.0, 0.95 and 1e-6
        rho and eps are AdaDelta's.
    peepholes : bool, default=False
        Whether the LSTM's gates see its cell.
    modality_head : {"current", "history"}
        On the current hidden state, or all so far.
    modality_activation : {"softmax", "linear"}
        Of the modality head.
    allow_repeats : bool, default=False
        Whether a modality may be acquired again.
    modality_loss : {"neighbours", "distance", "none"}
        What the modality head is trained on beside the cost.
    neighbour_sign : {"jaccard", "same_set", "always_minus"}
        Which neighbours attract.
    n_neighbors : int, default=3
        Neighbours that an instance is compared with.
    modality_weight : float, default=1e-3
        Of the modality loss.
    modality_factor : {"none", "label_loss"}
        What multiplies it.
    cost_term : {"mean", "squared"}
        How expected costs enter the loss.
    cost_weight, modality_cost : float, default=0.1 and 0.1
        Weight of that term, and cost of each modality.
    costs : sequence of m float or None, default=None
        c_1..c_m; None: `modality_cost` for each.
    l2 : float, default=0.0
        Of the heads.
    loss_form : {"batch_mean", "code"}
        What the label loss is divided by.
    budget, confidence : float or None, default=None
        Cost, and mean of max(p, 1 - p), at which an instance stops.
    n_steps : int or None, default=None
        At most so many acquisitions; None: m.
    dropout : float, default=0.5
        On the label heads.
    initialisation : {"orthogonal", "uniform"}
    scaling : {"zscore", "minmax", "l2", "none"}
        Of features, fitted on the training rows.
    selection : {"holdout", "last"}
        Which epoch is kept: the best on a hold-out, which `fit` then needs, or the last.
    monitor : {"cross_entropy", "hamming"}
        What the hold-out is judged by.
    patience : int, default=15
        Epochs without a better hold-out before training stops.
    random_state : int, Streams, RandomState, Generator or None, default=0
        Source of all randomness.
    device : str, default="cpu"
        The torch device on which every tensor of the method lives.
    form : {"fast", "reference"}
        What computes a step: the fastest form for the device, or `baselines.sequential.reference`.

    Attributes
    ----------
    network_ : AcquisitionNetwork
    history_ : History
        Training loss by epoch; with a hold-out, its loss and the best epoch.
    holdout_scores_ : ndarray of shape (n_holdout, q)
        Where a hold-out was passed.

    See Also
    --------
    MCC : One such network per label, in a chain.
    m3la.M3LA : Reads all modalities, and corrects its labels at each step.

    Notes
    -----
    `trace` returns what was acquired: `reading_cost`, `n_read` (n, passes), `extracted` (n, m),
    `modality_costs` (m,), `loss_history` (epochs,), `step_scores` (n, steps, q), `orders` (n, m; -1: unread).

    References
    ----------
    Y. Yang, D.-C. Zhan, Y. Fan and Y. Jiang, Instance Specific Discriminative Modal Pursuit: A Serialized
    Approach, ACML 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from baselines import DMP
    >>> rng = np.random.default_rng(0)
    >>> image, text = rng.normal(size=(60, 5)), rng.normal(size=(60, 3))
    >>> labels = np.stack([image[:, 0] > 0, text[:, 0] > 0], axis=1)
    >>> held = [image[50:], text[50:]], labels[50:]
    >>> method = DMP(hidden=8, epochs=2).fit([image[:50], text[:50]], labels[:50], holdout=held)
    >>> int(method.trace([image, text])["n_read"].max())  # modalities that an instance acquired
    2
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
        random_state: RandomState = 0,
        device: str = "cpu",
        form: str = "fast",
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
        self.form = form

    def _check_options(self) -> None:
        if isinstance(self.loss_form, str) and self.loss_form == "printed":
            raise ValueError(
                "loss_form='printed' is not offered: the paper adds log likelihoods without their minus, so "
                "its objective falls without bound as predictions get worse; use 'batch_mean'"
            )
        super()._check_options()
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

    def _network(self, labels: Array) -> AcquisitionNetwork:
        options = NetworkOptions(
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
        hidden = sum(self.dims_) if self.hidden is None else self.hidden
        return AcquisitionNetwork(
            self.dims_, labels.shape[1], hidden, options, start=0, generator=self._generator("initialisation")
        )

    def _material(self, inputs: Sequence[Tensor], labels: Array) -> Material:
        targets = self._tensor(labels)
        neighbourhood = None
        if self.modality_loss == "neighbours" and self.modality_weight:
            rows = np.concatenate([x.cpu().numpy() for x in inputs], axis=1)
            found = nearest(rows, self.n_neighbors)
            neighbourhood = Neighbourhood.of(inputs, labels, found, self.neighbour_sign)
        norms = torch.stack([x.square().sum(1) for x in inputs], dim=1)
        return list(inputs), targets, norms, neighbourhood

    def _rows_run(self, material: Material, n: int) -> int:
        neighbourhood = material[3]
        return n if neighbourhood is None else n * (1 + neighbourhood.indices.shape[-1])

    def _loss_of_rows(self, material: Material, rows: Tensor, dropout: Dropout) -> Tensor:
        inputs, targets, norms, neighbourhood = material
        run = rows
        if neighbourhood is not None:  # the neighbours run too, with the same weights
            run = torch.cat((rows, neighbourhood.indices[rows].flatten()))
        acquisitions = self.network_(
            [x.index_select(0, run) for x in inputs], dropout=dropout, n_labelled=len(rows)
        )
        return self._loss(acquisitions, rows, targets[rows], norms[rows], neighbourhood)

    def _loss(
        self,
        acquisitions: Acquisitions,
        rows: Tensor,
        targets: Tensor,
        norms: Tensor,
        neighbourhood: Neighbourhood | None,
    ) -> Tensor:
        """Return the batch's loss, sum over T steps; first ran the B rows of the batch, then neighbours.

        Parameters
        ----------
        rows, targets, norms : (B,) training rows, their labels (B, q) and ||x^k||^2 (B, m).
        """
        B, choices = len(rows), acquisitions.choices[:, 0, : len(rows)]  # (T, B)
        active = (choices >= 0).to(targets)
        logits = acquisitions.logits[:, 0, :B]
        label_loss = F.binary_cross_entropy_with_logits(
            logits, targets.expand_as(logits), reduction="none"
        ).mean(2)
        divisor = B if self.loss_form == "batch_mean" else active.sum(1) + 1
        total = ((label_loss * active).sum(1) / divisor).sum()
        if self.l2:
            network = zip(self.network_.V, self.network_.V_modal, strict=True)
            heads = torch.stack([V.square().sum() + V_modal.square().sum() for V, V_modal in network])
            total = total + self.l2 * (heads[: len(choices)] * active.mean(1)).sum()
        if len(choices) > 1:  # the code's weights are 1e-9 at the last step
            weights = self._weights(acquisitions)
            terms = self._modality_loss(acquisitions, weights, rows, label_loss[:-1], norms, neighbourhood)
            terms = terms + self._cost_term(weights[:, :B], choices[:-1])
            total = total + (terms * active[:-1]).sum() / B
        return total

    def _weights(self, acquisitions: Acquisitions) -> Tensor:
        """What the modality head gives each modality after all steps but the last: (T - 1, rows, m)."""
        preferences, selectable = acquisitions.preferences[:-1, 0], acquisitions.selectable[:-1, 0]
        if self.modality_activation == "softmax":
            return masked_softmax(preferences, selectable)
        return preferences * selectable

    def _modality_loss(
        self,
        acquisitions: Acquisitions,
        weights: Tensor,
        rows: Tensor,
        label_loss: Tensor,
        norms: Tensor,
        neighbourhood: Neighbourhood | None,
    ) -> Tensor:
        """Return the weighted modality term of all steps but the last, (T - 1, B)."""
        B = len(rows)
        if self.modality_loss == "none" or not self.modality_weight:
            return torch.zeros_like(label_loss)
        choices = acquisitions.choices[:-1, 0]
        if neighbourhood is None:
            term = -0.5 * current_distance(norms, weights[:, :B], choices[:, :B].clamp_min(0))
        else:
            theirs = weights[:, B:].unflatten(1, (B, -1))
            both_active = choices[:, B:].unflatten(1, (B, -1)) >= 0
            distances = neighbourhood.distances(rows, weights[:, :B], theirs)
            term = (distances * neighbourhood.signs[rows] * both_active).mean(2)
        if self.modality_factor == "label_loss":
            # Constant: its gradient would reward a worse prediction wherever the distance exceeds 1.
            term = term * (1 + label_loss.detach())
        return self.modality_weight * term

    def _cost_term(self, weights: Tensor, choices: Tensor) -> Tensor:
        """Return the weighted cost of what is preferred after all steps but the last, (T - 1, B)."""
        if not self.cost_weight:
            return weights.new_zeros(choices.shape)
        columns = torch.arange(weights.shape[2], device=weights.device)
        acquired = (choices.clamp_min(0).unsqueeze(-1) == columns).long().cumsum(0) > 0
        charged = weights * torch.where(acquired, REPEAT_COST, self.network_.costs)
        term = charged.mean(2) if self.cost_term == "mean" else charged.square().sum(2)
        return self.cost_weight * term

    def _last_scores(self, inputs: Sequence[Tensor]) -> Tensor:
        return torch.sigmoid(self.network_(inputs).final_logits()[0])

    def _predict_rows(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        acquisitions = self.network_(inputs)
        m = len(inputs)
        step_scores, orders = stacked_steps(acquisitions, m, self.network_.n_steps)
        return {
            "scores": step_scores[:, -1],
            "step_scores": step_scores,
            "orders": orders,
            **acquisition_arrays(acquisitions, m),
        }


METHODS = (
    MethodSpec(
        "DMP",
        DMP,
        preset="adapted",
        fit_together=fit_together,
        note="multi-label adaptation of the authors' code, with masked choice, the neighbours' sign as its "
        "comment intends, and early stopping on training rows instead of test rows",
    ),
)
