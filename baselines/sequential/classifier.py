"""What DMP and MCC share as estimators: scaling, training, early stopping and the trace of what they acquire;
it knows neither's loss.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from baselines.sequential.factors import SHARED_FACTORS
from baselines.sequential.network import AcquisitionNetwork, Acquisitions
from benchmark.contracts import Array, Factor, Holdout, Modalities, Streams
from benchmark.learning.checks import check_options
from benchmark.learning.scaling import fit_scalers, scale
from benchmark.learning.training import History, TrainingSettings, make_optimiser, train

PREDICTION_ROWS = 1024
"""Rows per forward pass when predicting; bounds memory."""


class SequentialClassifier(BaseEstimator):
    """Base of DMP and MCC; a subclass builds the network and says what a batch loses.

    Attributes
    ----------
    network_ : the fitted `AcquisitionNetwork`.
    history_ : `History` of training; with a hold-out, `monitored` is the hold-out's `monitor`.
    holdout_scores_ : (n_holdout, q), where a hold-out was passed.
    modality_costs_ : (m,) cost of the first acquisition of each modality.
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
    random_state: int | Streams
    device: str

    @property
    def needs_holdout(self) -> bool:
        """Whether `fit` wants training rows set aside."""
        return self.selection == "holdout"

    def fit(self, modalities: Modalities, labels: Array, holdout: Holdout | None = None) -> Self:
        """Train on m arrays (n, d_k) and labels (n, q) in {0, 1}.

        Raises
        ------
        ValueError
            For an option that is none of its factor's levels or contradicts another, costs that do not fit
            the modalities, or a hold-out that is needed and missing.
        DivergenceError
            When the loss is no longer finite.
        """
        if self.needs_holdout and holdout is None:
            raise ValueError("selection='holdout' needs a hold-out of training rows: pass holdout= to fit")
        loss_of_rows = self.prepare(modalities, labels)
        held = None if holdout is None else self._tensors(holdout.modalities)
        settings = self.training_settings()
        self.history_: History = train(
            self.network_,
            make_optimiser(self.network_, settings),
            loss_of_rows,
            len(labels),
            settings,
            Streams.of(self.random_state).generator("shuffling"),
            monitor=None if holdout is None else lambda: self._monitored(held or [], holdout.labels),
        )
        self.network_.release()
        if held is not None:
            self.holdout_scores_ = self._predict(held)["scores"]
        return self

    def prepare(self, modalities: Modalities, labels: Array) -> Callable[[Tensor], Tensor]:
        """Do what `fit` does before the first step: set the untrained `network_`, return rows' loss."""
        self._check()
        self.modality_costs_ = self._costs(len(modalities))
        self.scalers_ = fit_scalers(modalities, self.scaling)
        self.n_labels_ = labels.shape[1]
        return self._objective(self._tensors(modalities), np.asarray(labels), Streams.of(self.random_state))

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

    def predict_scores(self, modalities: Modalities) -> Array:
        """Return probabilities (n, q): those of the step at which an instance, or its label, stopped."""
        check_is_fitted(self, "network_")
        return self._predict(self._tensors(modalities))["scores"]

    def trace(self, modalities: Modalities) -> dict[str, Array]:
        """Return what was acquired on the way, in r passes per instance: one for DMP, one per label for MCC.

        `reading_cost` (n, r) float32; `n_read` (n, r) int32, modalities per pass, a chain's earlier labels
        among them; `extracted` (n, m) bool, modalities acquired at least once; `modality_costs` (m,);
        `loss_history` (epochs,); and what the method adds.
        """
        check_is_fitted(self, "network_")
        trace = self._predict(self._tensors(modalities))
        del trace["scores"]
        trace["modality_costs"] = np.asarray(self.modality_costs_, dtype=np.float32)
        trace["loss_history"] = np.asarray(self.history_.loss, dtype=np.float64)
        if self.history_.monitored:
            trace["holdout_history"] = np.asarray(self.history_.monitored, dtype=np.float64)
        return trace

    def _objective(
        self, inputs: Sequence[Tensor], labels: Array, streams: Streams
    ) -> Callable[[Tensor], Tensor]:
        """Set `network_` and return the loss of row indices (B,)."""
        raise NotImplementedError

    def _predict_rows(self, inputs: Sequence[Tensor]) -> dict[str, Tensor]:
        """Return `scores` (n, q) of some rows and what else the trace keeps, by rows."""
        raise NotImplementedError

    def _check(self) -> None:
        check_options(self.get_params(deep=False), self.FACTORS)
        for name in ("budget", "confidence"):
            value = getattr(self, name)
            if value is not None and not value > 0:
                raise ValueError(
                    f"{name}={value!r} would stop before anything is acquired; give a number above 0"
                )
        if self.n_neighbors < 1:
            raise ValueError(f"n_neighbors={self.n_neighbors!r}; give 1 or more")

    def _costs(self, m: int) -> tuple[float, ...]:
        costs = (self.modality_cost,) * m if self.costs is None else tuple(float(c) for c in self.costs)
        if len(costs) != m or not all(0 <= c < np.inf for c in costs):
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
        n = len(inputs[0])
        starts = range(0, n, PREDICTION_ROWS) if n else (0,)
        parts = [self._predict_rows([x[s : s + PREDICTION_ROWS] for x in inputs]) for s in starts]
        return {name: torch.cat([part[name] for part in parts]).cpu().numpy() for name in parts[0]}

    def _tensors(self, modalities: Modalities) -> list[Tensor]:
        return [torch.from_numpy(x).to(self.device) for x in scale(self.scalers_, modalities)]

    def _tensor(self, values: Array) -> Tensor:
        return torch.from_numpy(np.asarray(values, dtype=np.float32)).to(self.device)

    def _generator(self, streams: Streams, purpose: str) -> torch.Generator:
        return torch.Generator().manual_seed(streams.integer(purpose))


def acquisition_arrays(acquisitions: Acquisitions, m: int) -> dict[str, Tensor]:
    """Return `reading_cost`, `n_read` (B, L) and `extracted` (B, m) of L copies, as in `trace`."""
    choices = torch.stack(acquisitions.choices)  # (T, L, B)
    M = acquisitions.selectable[0].shape[2]
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
    orders = torch.stack([choice[0] for choice in acquisitions.choices], dim=1)
    padding = orders.new_full((len(orders), m - orders.shape[1]), -1)
    return torch.stack(scores, dim=1), torch.cat((orders, padding), dim=1)
