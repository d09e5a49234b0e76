"""What DMP and MCC share as estimators: scaling, training, early stopping and the trace of what they acquire;
it knows neither's loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from baselines.sequential.factors import SHARED_FACTORS
from baselines.sequential.network import AcquisitionNetwork, Acquisitions
from baselines.sequential.together import fit_one
from benchmark.contracts import Array, Factor, Holdout, Modalities, RandomState
from benchmark.learning.estimator import MultiModalEstimator
from benchmark.learning.saving import with_weights
from benchmark.learning.scaling import fit_scalers, restore_scalers, scale
from benchmark.learning.training import TrainingSettings, make_optimiser, train
from benchmark.learning.training_state import History

Material = tuple[Any, ...]
"""Tensors, in tuples and lists, whose rows are training rows."""
Dropout = torch.Generator | Sequence[Tensor] | None
"""See `AcquisitionNetwork.forward`."""
PREDICTION_ROWS = 1024
"""Rows per forward pass when predicting; bounds memory."""


class SequentialClassifier(MultiModalEstimator):
    """Base of DMP and MCC; a subclass builds the network and says what a batch loses.

    Attributes
    ----------
    network_ : the fitted `AcquisitionNetwork`.
    history_ : `History` of training; with a hold-out, `monitored` is the hold-out's `monitor`.
    holdout_scores_ : (n_holdout, q), where a hold-out was passed.
    """

    FACTORS: ClassVar[tuple[Factor, ...]] = SHARED_FACTORS

    network_: AcquisitionNetwork
    batch_size: int
    budget: float | None
    confidence: float | None
    epochs: int
    optimiser: str
    learning_rate: float
    rho: float
    eps: float
    n_neighbors: int
    costs: tuple[float, ...] | None
    modality_cost: float
    selection: str
    monitor: str
    patience: int
    scaling: str
    random_state: RandomState
    device: str
    form: str

    @property
    def needs_holdout(self) -> bool:
        """Whether `fit` wants training rows set aside."""
        return self.selection == "holdout"

    def _fit(self, modalities: list[Array], labels: Array, holdout: Holdout | None) -> None:
        """Train; a loss that is no longer finite raises DivergenceError."""
        if torch.device(self.device).type != "cpu":
            fit_one(self, (modalities, labels, holdout))
            return
        dropout = self._generator("dropout")
        material = self.start(modalities, labels)
        held = None if holdout is None else self._tensors(holdout.modalities)
        settings = self.training_settings()
        self.history_: History = train(
            self.network_,
            make_optimiser(self.network_, settings),
            lambda rows: self._loss_of_rows(material, rows, dropout),
            len(labels),
            settings,
            self.streams_.generator("shuffling"),
            monitor=None if holdout is None else lambda: self._monitored(held or [], holdout.labels),
            carried=[dropout],
        )
        if held is not None:
            self.holdout_scores_ = self._predict(held)["scores"]

    def prepare(self, modalities: Modalities, labels: Array) -> Callable[[Tensor], Tensor]:
        """Do what `fit` does before the first step: set the untrained `network_`, return rows' loss."""
        given, checked, _ = self.begin(modalities, labels)
        material, dropout = self.start(given, checked), self._generator("dropout")
        return lambda rows: self._loss_of_rows(material, rows, dropout)

    def start(self, modalities: list[Array], labels: Array) -> Material:
        """Set the untrained `network_` for checked rows; return what their losses are computed from."""
        self.scalers_ = fit_scalers(modalities, self.scaling)
        inputs = self._tensors(modalities)
        self.network_ = self._network(labels).to(self.device)
        self.network_.form = self.form
        return self._material(inputs, labels)

    def training_settings(self) -> TrainingSettings:
        """Return the settings of the training loop."""
        adadelta = {"rho": self.rho, "eps": self.eps}
        return TrainingSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimiser=self.optimiser,
            optimiser_options=adadelta if self.optimiser == "adadelta" else {},
            learning_rate=self.learning_rate,
            schedule="none",
            patience=self.patience if self.needs_holdout else None,
        )

    def _scores(self, modalities: list[Array]) -> Array:
        """Return the probabilities (n, q) of the step at which an instance, or its label, stopped."""
        return self._predict(self._tensors(modalities))["scores"]

    def _trace(self, modalities: list[Array]) -> dict[str, Array]:
        """Return what was acquired on the way, in r passes per instance: one for DMP, one per label for MCC.

        `reading_cost` (n, r) float32; `n_read` (n, r) int32, modalities per pass, a chain's earlier labels
        among them; `extracted` (n, m) bool, modalities acquired at least once; `modality_costs` (m,);
        `loss_history` (epochs,); and what the method adds.
        """
        trace = self._predict(self._tensors(modalities))
        del trace["scores"]
        trace["modality_costs"] = np.asarray(self.modality_costs_, dtype=np.float32)
        trace["loss_history"] = np.asarray(self.history_.loss, dtype=np.float64)
        if self.history_.monitored:
            trace["holdout_history"] = np.asarray(self.history_.monitored, dtype=np.float64)
        return trace

    def _state(self) -> dict[str, Any]:
        return {
            "scalers": [scaler.state() for scaler in self.scalers_],
            "weights": dict(self.network_.state_dict()),
            "history": self.history_.state(),
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.scalers_ = restore_scalers(state["scalers"], self.scaling)
        no_rows = np.zeros((1, self.n_labels_), dtype=np.uint8)
        self.network_ = with_weights(lambda: self._network(no_rows), state["weights"]).to(self.device)
        self.network_.form = self.form
        self.history_ = History.restored(state["history"])

    def _network(self, labels: Array) -> AcquisitionNetwork:
        """Return the untrained network for labels (n, q)."""
        raise NotImplementedError

    def _material(self, inputs: Sequence[Tensor], labels: Array) -> Material:
        """Return the tensors that losses are computed from, for scaled inputs (n, d_k) and labels (n, q)."""
        raise NotImplementedError

    def _loss_of_rows(self, material: Material, rows: Tensor, dropout: Dropout) -> Tensor:
        """Return the loss of row indices (B,)."""
        raise NotImplementedError

    def _rows_run(self, material: Material, n: int) -> int:  # noqa: ARG002 - a subclass looks
        """Return how many rows the network runs for a batch of n."""
        return n

    def _last_scores(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return the scores (B, q) of some rows, labels in the network's own order."""
        raise NotImplementedError

    def _in_own_order(self, labels: Array) -> Array:
        """Return labels (n, q) in the network's own order."""
        return labels

    def _predict_rows(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return `scores` (n, q) of some rows and what else the trace keeps, by rows."""
        raise NotImplementedError

    @property
    def modality_costs_(self) -> tuple[float, ...]:
        """Cost of the first acquisition of each modality, (m,)."""
        m = len(self.dims_)
        costs = (self.modality_cost,) * m if self.costs is None else tuple(float(c) for c in self.costs)
        if len(costs) != m:
            raise ValueError(f"costs={self.costs!r} for {m} modalities; give one number from 0 up for each")
        return costs

    def _monitored(self, inputs: Sequence[Tensor], labels: Array) -> float:
        """Mean over rows and labels of what `monitor` names; lower is better."""
        scores = self._predict(inputs)["scores"].astype(np.float64)
        if self.monitor == "hamming":
            return float(((scores >= 0.5) != labels.astype(bool)).mean())
        tiny = np.finfo(np.float32).eps
        right = np.where(labels.astype(bool), scores, 1 - scores)
        return float(-np.log(right.clip(tiny, 1)).mean())

    @torch.no_grad()
    def _predict(self, inputs: Sequence[Tensor]) -> dict[str, Array]:
        self.network_.eval()
        starts = range(0, len(inputs[0]), PREDICTION_ROWS)
        parts = [self._predict_rows([x[s : s + PREDICTION_ROWS] for x in inputs]) for s in starts]
        return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}

    def _tensors(self, modalities: Sequence[Array]) -> list[Tensor]:
        return [torch.from_numpy(x).to(self.device) for x in scale(self.scalers_, modalities)]

    def _tensor(self, values: Array) -> Tensor:
        return torch.from_numpy(np.asarray(values, dtype=np.float32)).to(self.device)

    def _generator(self, purpose: str, device: str = "cpu") -> torch.Generator:
        return torch.Generator(device).manual_seed(self.streams_.integer(purpose))


def acquisition_arrays(acquisitions: Acquisitions, m: int) -> dict[str, Tensor]:
    """Return `reading_cost`, `n_read` (B, L) and `extracted` (B, m) of L copies, as in `trace`."""
    choices, M = acquisitions.choices, acquisitions.selectable.shape[3]
    acquired = torch.stack([(choices == k).any(0) for k in range(M)], dim=2)  # (L, B, M)
    return {
        "reading_cost": acquisitions.cost.T.float(),
        "n_read": acquired.sum(2).T.int(),
        "extracted": acquired[..., :m].any(0),
    }


def stacked_steps(acquisitions: Acquisitions, m: int, n_steps: int) -> tuple[Tensor, Tensor]:
    """Return scores (B, n_steps, R), the last ones kept after a stop, and orders (B, m), -1 after it.

    For one copy.
    """
    scores = [torch.sigmoid(z[0]) for z in acquisitions.logits_so_far()]
    scores += scores[-1:] * (n_steps - len(scores))
    orders = acquisitions.choices[:, 0].T
    padding = orders.new_full((len(orders), m - orders.shape[1]), -1)
    return torch.stack(scores, dim=1), torch.cat((orders, padding), dim=1)
