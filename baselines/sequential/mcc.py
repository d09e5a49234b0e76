"""MCC, a chain of networks, one per label, each acquiring as few modalities as it needs; it knows of no other
method.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from baselines.sequential.classifier import Dropout, Material, SequentialClassifier, acquisition_arrays
from baselines.sequential.factors import MCC_FACTORS
from baselines.sequential.modality_terms import hinge, margin_targets
from baselines.sequential.neighbours import class_margins
from baselines.sequential.network import AcquisitionNetwork, Acquisitions, NetworkOptions
from baselines.sequential.together import fit_together
from benchmark.contracts import Array, Factor, MethodSpec, RandomState
from benchmark.learning.saving import permutation


class MCC(SequentialClassifier):
    """Multi-modal classifier chains (Zhang et al.): one network per label, each acquires what it needs.

    Labels are chained by descending Gini index (1). The j-th has a peephole LSTM of its own, for which the
    labels before it are one more modality, with its own cost: true ones in training (2), predicted ones
    afterwards (3). Given true labels the q networks are independent and train side by side; predicting
    runs along the chain. Each stops by itself, and scores are those of the last step taken. What the paper
    leaves open is among `FACTORS`, with all levels and sources.

    Parameters
    ----------
    hidden : int, default=64
        Of each label's network.
    batch_size, epochs : int, default=64 and 100
        Of mini-batch training.
    optimiser : {"adadelta", "adam"}
    learning_rate, rho, eps : float, default=1.0, 0.95 and 1e-8
        rho and eps are AdaDelta's, as printed with (9) to (11).
    modality_cost, label_cost : float, default=1.0 and 0.1
        c_k and c_l, as printed.
    costs : sequence of m float or None, default=None
        c_1..c_m; None: `modality_cost` for each.
    regularisation : float, default=0.1
        lambda of (8), as printed.
    first_modality : {"first", "labels"}
        What every network starts with.
    modality_loss : {"hinge", "none"}
        (6), from distances to neighbours.
    n_neighbors : int, default=3
        K of (6).
    confidence, budget : float or None, default=0.95 and None
        max(p, 1 - p), and cost, at which a label stops.
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
        All labels' networks, along a leading axis in the chain's order.
    chain_order_ : ndarray of shape (q,)
        Position j of the chain predicts label chain_order_[j].
    history_ : History
        Training loss by epoch; with a hold-out, its loss and the best epoch.
    holdout_scores_ : ndarray of shape (n_holdout, q)
        Where a hold-out was passed.

    See Also
    --------
    DMP : One such network for all labels.
    ClassifierChain : A chain on the concatenated modalities.

    Notes
    -----
    `trace` returns what was acquired: `reading_cost`, `n_read` (n, passes), `extracted` (n, m),
    `modality_costs` (m,), `loss_history` (epochs,); `chain_order` (q,) too.

    References
    ----------
    Y. Zhang, C. Zeng, H. Cheng, C. Wang and L. Zhang, Many could be better than all: a novel
    instance-oriented algorithm for multi-modal multi-label problem, ICME 2019 (arXiv 1907.11857v1).

    Examples
    --------
    >>> import numpy as np
    >>> from baselines import MCC
    >>> rng = np.random.default_rng(0)
    >>> image, text = rng.normal(size=(60, 5)), rng.normal(size=(60, 3))
    >>> labels = np.stack([image[:, 0] > 0, text[:, 0] > 0], axis=1)
    >>> method = MCC(hidden=4, epochs=2, selection="last").fit([image, text], labels)
    >>> method.trace([image, text])["reading_cost"].shape  # what each instance cost for each label
    (60, 2)
    """

    FACTORS: ClassVar[tuple[Factor, ...]] = MCC_FACTORS

    def __init__(
        self,
        hidden: int = 64,
        batch_size: int = 64,
        epochs: int = 100,
        optimiser: str = "adadelta",
        learning_rate: float = 1.0,
        rho: float = 0.95,
        eps: float = 1e-8,
        modality_cost: float = 1.0,
        label_cost: float = 0.1,
        costs: tuple[float, ...] | None = None,
        regularisation: float = 0.1,
        first_modality: str = "first",
        modality_loss: str = "hinge",
        n_neighbors: int = 3,
        confidence: float | None = 0.95,
        budget: float | None = None,
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
        self.modality_cost = modality_cost
        self.label_cost = label_cost
        self.costs = costs
        self.regularisation = regularisation
        self.first_modality = first_modality
        self.modality_loss = modality_loss
        self.n_neighbors = n_neighbors
        self.confidence = confidence
        self.budget = budget
        self.initialisation = initialisation
        self.scaling = scaling
        self.selection = selection
        self.monitor = monitor
        self.patience = patience
        self.random_state = random_state
        self.device = device
        self.form = form

    def _network(self, labels: Array) -> AcquisitionNetwork:
        self.chain_order_ = gini_order(labels)
        m, q = len(self.dims_), labels.shape[1]
        return AcquisitionNetwork(
            self.dims_,
            1,
            self.hidden,
            NetworkOptions(
                costs=(*self.modality_costs_, self.label_cost),
                peepholes=True,
                modality_head="history",
                budget=self.budget,
                confidence=self.confidence,
                initialisation=self.initialisation,
            ),
            n_copies=q,
            chained=True,
            start=m if self.first_modality == "labels" else 0,
            generator=self._generator("initialisation"),
        )

    def _material(self, inputs: Sequence[Tensor], labels: Array) -> Material:
        chained = self._in_own_order(np.asarray(labels, dtype=np.float32))
        targets = self._tensor(chained)
        worth = None
        if self.modality_loss == "hinge":
            margins = chain_margins([x.cpu().numpy() for x in inputs], chained, self.n_neighbors)
            worth = self._tensor(margin_targets(margins, self.network_.options.costs))  # (q, n, m + 1)
        return list(inputs), targets, worth

    def _loss_of_rows(self, material: Material, rows: Tensor, dropout: Dropout) -> Tensor:  # noqa: ARG002 - it has none
        inputs, targets, worth = material
        acquisitions = self.network_([x.index_select(0, rows) for x in inputs], 2 * targets[rows] - 1)
        return self._loss(acquisitions, targets[rows].T, None if worth is None else worth[:, rows])

    def _loss(self, acquisitions: Acquisitions, targets: Tensor, worth: Tensor | None) -> Tensor:
        """Return (8) per row, summed over labels and steps; a network that has stopped adds nothing.

        Parameters
        ----------
        targets : (L, B) in {0, 1}.
        worth : (L, B, M), see `margin_targets`.
        """
        network, B = self.network_, targets.shape[1]
        active = (acquisitions.choices >= 0).to(targets)  # (T, L, B)
        logits, preferences = acquisitions.logits.squeeze(3), acquisitions.preferences
        loss = F.binary_cross_entropy_with_logits(logits, targets.expand_as(logits), reduction="none")
        if worth is not None:
            loss = loss + hinge(preferences, acquisitions.selectable, worth, network.offered.sum(1))  # (6)
        heads = [
            V.square().sum((1, 2)) + V_modal.square().sum((1, 2))
            for V, V_modal in zip(network.V, network.V_modal, strict=True)
        ]
        charged = (network.offered * network.costs).unsqueeze(1)  # (L, 1, M)
        spent = torch.linalg.vector_norm(charged * preferences, dim=3)
        omega = torch.stack(heads)[: len(logits)].unsqueeze(2) + spent  # (7)
        return ((loss + self.regularisation * omega) * active).sum() / B

    def _predict_rows(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Run the chain: each network sees the 0/1 predictions of those before it, as -1 and 1."""
        m = len(inputs)
        parts = [
            {"scores": scores, **acquisition_arrays(acquisitions, m)}
            for scores, acquisitions in self._chain(inputs)
        ]
        by_label = np.argsort(self.chain_order_)
        found = {
            name: torch.cat([parts[j][name] for j in by_label], dim=1)
            for name in ("scores", "reading_cost", "n_read")
        }
        found["extracted"] = torch.stack([part["extracted"] for part in parts]).any(0)
        return found

    def _chain(self, inputs: Sequence[Tensor]) -> Iterator[tuple[Tensor, Acquisitions]]:
        """Yield scores (B, 1), and what was acquired, of one network of the chain after the other."""
        predicted = inputs[0].new_zeros(len(inputs[0]), self.n_labels_)
        for j in range(self.n_labels_):
            acquisitions = self.network_(inputs, predicted, copies=slice(j, j + 1))
            scores = torch.sigmoid(acquisitions.final_logits()[0])
            predicted[:, j] = torch.where(scores[:, 0] >= 0.5, 1.0, -1.0)
            yield scores, acquisitions

    def _last_scores(self, inputs: Sequence[Tensor]) -> Tensor:
        return torch.cat([scores for scores, _ in self._chain(inputs)], dim=1)

    def _in_own_order(self, labels: Array) -> Array:
        return labels[:, self.chain_order_]

    def _trace(self, modalities: list[Array]) -> dict[str, Array]:
        """As in `SequentialClassifier`, one pass per label, and `chain_order` (q,)."""
        return {**super()._trace(modalities), "chain_order": self.chain_order_.copy()}

    def _state(self) -> dict[str, Any]:
        return {**super()._state(), "chain_order": self.chain_order_}

    def _restore(self, state: Mapping[str, Any]) -> None:
        super()._restore(state)
        self.chain_order_ = permutation(state["chain_order"], self.n_labels_)


def gini_order(labels: Array) -> Array:
    """Sort labels (n, q) in {0, 1} by descending Gini index 1 - p^2 - (1 - p)^2: (1); ties by column."""
    # 2 p (1 - p) from counts: integers tie exactly where fractions would differ by rounding.
    positive = np.asarray(labels, dtype=np.int64).sum(axis=0)
    return np.argsort(-positive * (len(labels) - positive), kind="stable")


def chain_margins(modalities: Sequence[Array], chained: Array, k: int) -> Array:
    """Return class margins (m + 1, n, q) of labels (n, q) in the chain's order, see `class_margins`.

    The last modality holds the labels before each one; the first label has none, and margin 0 there.
    """
    margins = [class_margins(x, chained, k) for x in modalities]
    signed = np.where(chained, 1.0, -1.0)
    earlier = np.zeros(chained.shape, dtype=np.float32)
    for j in range(1, chained.shape[1]):
        earlier[:, j] = class_margins(signed[:, :j], chained[:, [j]], k, n_listed=2 * k + 2)[:, 0]
    return np.stack([*margins, earlier])


METHODS = (
    MethodSpec(
        "MCC",
        MCC,
        preset="filled-in",
        fit_together=fit_together,
        note="the paper gives no hidden size, thresholds, number of neighbours or formula of the hinge loss; "
        "early stopping on training rows",
    ),
)
