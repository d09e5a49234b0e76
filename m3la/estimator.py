"""M3LA as a scikit-learn style estimator, with its ablations and presets as options of the one class.

Knows the harness only through `benchmark.contracts`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from benchmark.contracts import Array, Factor, Holdout, RandomState, Streams
from benchmark.learning.estimator import MultiModalEstimator
from benchmark.learning.saving import with_weights
from benchmark.learning.scaling import fit_scalers, restore_scalers, scale
from benchmark.learning.training import TrainingSettings, train
from benchmark.learning.training_state import Carried, History
from m3la import fast
from m3la.factors import FACTORS
from m3la.loss import LossOptions, m3la_loss
from m3la.model import M3LANet
from m3la.reference import ModelOptions

PREDICTION_ROWS = 1024
"""Rows per forward pass when predicting; bounds memory."""


@dataclass(frozen=True)
class TrainingRows:
    """What a fit trains on, on its device."""

    inputs: list[Tensor]  # m tensors (n, d_k), scaled
    targets: Tensor  # (n, q)
    held: tuple[list[Tensor], Tensor] | None
    streams: Streams

    @property
    def dims(self) -> tuple[int, ...]:
        """d_1..d_m."""
        return tuple(x.shape[1] for x in self.inputs)

    def cardinality(self) -> float:
        """Mean number of labels of a row."""
        return float(self.targets.sum(1).mean()) if self.targets.device.type != "meta" else 1.0

    def generator(self, purpose: str, device: str = "cpu") -> torch.Generator:
        """Return a new generator of the stream `purpose`."""
        return _generator(self.streams, purpose, device)


def _generator(streams: Streams, purpose: str, device: str = "cpu") -> torch.Generator:
    return torch.Generator(device).manual_seed(streams.integer(purpose))


class M3LA(MultiModalEstimator):
    """M3LA (Zhu and Zhang): reads modalities in an order of each instance, corrects its labels at each step.

    The defaults are the preset `literal`: what the paper prints. Wherever it is silent, the parameter is
    among `FACTORS`, with all levels and the text that leaves it open; letters and numbers are the paper's.

    Parameters
    ----------
    hidden : int, default=256
        h, the dimension of a hidden state.
    batch_size, epochs : int, default=64 and 300
        Of mini-batch training.
    learning_rate, decay_rate : float, default=0.01 and 0.99
        The first rate, and its factor per epoch (or step, see `schedule`).
    l2 : float, default=1e-4
        lambda_3 of (20).
    first_input : {"s0", "first", "zeros"}
        What the decoder reads first.
    order : {"learned", "fixed", "random"}
        Of modalities in the decoder; "fixed" is the ablation M3LA-order.
    order_gradient : {"straight_through", "none", "prob_ratio", "gumbel", "prob_scale", "reinforce"}
        How the choice of a modality (9) is trained.
    allow_repeats : bool, default=False
        Whether a modality may be read again.
    label_activation : {"softmax", "sigmoid"}
        Of (11).
    feedback : {"probabilities", "detach", "logits", "hard"}
        What W_co multiplies.
    label_correlation : bool, default=True
        Whether there is a W_co; False is the ablation M3LA-W_co.
    w_co_init : {"zeros", "small_normal", "identity", "xavier"}
        Its first value.
    w_co_diagonal : {"free", "zero"}
        Whether its diagonal is held at zero.
    label_head : {"shared", "per_step"}
        W_label for all steps, or one each.
    attention : {"additive", "general", "dot", "mean"}
        The score function of (7).
    s0_source : {"h_m", "final_states", "mean"}
        Of (4): what the decoder starts from.
    s0_activation : {"none", "tanh"}
        Of (4).
    encoder_order : {"dataset", "random"}
        Of modalities in the encoder.
    cost : {"f1", "hamming", "accuracy", "rank", "none"}
        K of (18).
    cost_prediction : {"0.5", "1/q", "top_lcard", "soft"}
        How predictions are binarised for it.
    weight_normalisation : {"none", "mean_one"}
        Of the weights of (18).
    weight_floor : float, default=0.0
        Least weight of a label.
    weight_refresh : int, default=0
        Epochs between renewals of the predictions that weights are made of; 0: those of the same pass.
    reduction : {"sum", "mean"}
        Of (20), over steps and labels.
    loss_steps : {"all", "last"}
        Steps that (20) sums over.
    optimiser : {"sgd", "sgd_momentum", "adam", "rmsprop", "adadelta"}
    schedule : {"per_epoch", "per_step", "none"}
        When the rate falls.
    decay_form : {"coupled", "coupled_no_bias", "decoupled"}
        Of the penalty (20); "decoupled" goes with Adam.
    clip_norm : float or None, default=None
        Largest norm of a gradient.
    dropout : float, default=0.0
        On states of the decoder.
    initialisation : {"uniform", "orthogonal"}
        Of weights.
    scaling : {"zscore", "minmax", "l2", "none"}
        Of features, fitted on the training rows.
    selection : {"last", "holdout"}
        Which epoch is kept: the last, or the best on a hold-out, which `fit` then needs.
    patience : int, default=30
        Epochs without a better hold-out loss before training stops.
    random_state : int, Streams, RandomState, Generator or None, default=0
        Source of all randomness; the same integer gives the same bits on one kind of processor
        and number of threads.
    device : str, default="cpu"
        The torch device on which every tensor of the method lives.
    form : {"fast", "reference"}
        What computes the equations: the fastest form for the device, or `m3la.reference` as it stands.

    Attributes
    ----------
    model_ : M3LANet
        The fitted network.
    history_ : History
        Training loss by epoch; with a hold-out, its loss and the best epoch.
    holdout_scores_ : ndarray of shape (n_holdout, q)
        Where a hold-out was passed.
    thresholds_, label_frequencies_ : ndarray of shape (q,)
        Of `predict`: the thresholds that it takes by default, and the share of training rows of each label.

    See Also
    --------
    baselines.DMP : Acquires modalities in an order of each instance, without correcting labels.
    baselines.MCC : A chain of such networks, one per label.
    m3la.rows.REPAIRED : Options that train better than the printed ones.

    Notes
    -----
    With `label_activation="softmax"`, the printed one, the scores of a row sum to 1 over its labels, so that
    `predict(..., threshold="fixed")` finds at most one of them. `trace` returns `step_scores` (n, m, q),
    `orders` (n, m), `attention` (n, m, m), `w_co` (q, q) where there is one, and `loss_history` (epochs,).

    References
    ----------
    Y. Zhu and Y. Zhang, M3LA: A Novel Approach Based on Encoder-Decoder with Attention Framework for
    Multi-modal Multi-label Learning.

    Examples
    --------
    >>> import numpy as np
    >>> from m3la import M3LA
    >>> rng = np.random.default_rng(0)
    >>> image, text = rng.normal(size=(60, 5)), rng.normal(size=(60, 3))
    >>> labels = np.stack([image[:, 0] > 0, text[:, 0] > 0], axis=1)
    >>> method = M3LA(hidden=8, epochs=2).fit([image, text], labels)
    >>> method.predict([image, text]).shape
    (60, 2)
    >>> trace = method.trace([image, text])
    >>> sorted(trace["orders"][0].tolist())  # which modality the first instance read first, and then
    [0, 1]
    >>> trace["attention"].shape, trace["step_scores"].shape, trace["w_co"].shape
    ((60, 2, 2), (60, 2, 2), (2, 2))
    """

    FACTORS: ClassVar[tuple[Factor, ...]] = FACTORS

    def __init__(
        self,
        hidden: int = 256,
        batch_size: int = 64,
        epochs: int = 300,
        learning_rate: float = 0.01,
        decay_rate: float = 0.99,
        l2: float = 1e-4,
        first_input: str = "s0",
        order: str = "learned",
        order_gradient: str = "straight_through",
        allow_repeats: bool = False,
        label_activation: str = "softmax",
        feedback: str = "probabilities",
        label_correlation: bool = True,
        w_co_init: str = "zeros",
        w_co_diagonal: str = "free",
        label_head: str = "shared",
        attention: str = "additive",
        s0_source: str = "h_m",
        s0_activation: str = "none",
        encoder_order: str = "dataset",
        cost: str = "f1",
        cost_prediction: str = "0.5",
        weight_normalisation: str = "none",
        weight_floor: float = 0.0,
        weight_refresh: int = 0,
        reduction: str = "sum",
        loss_steps: str = "all",
        optimiser: str = "sgd",
        schedule: str = "per_epoch",
        decay_form: str = "coupled",
        clip_norm: float | None = None,
        dropout: float = 0.0,
        initialisation: str = "uniform",
        scaling: str = "zscore",
        selection: str = "last",
        patience: int = 30,
        random_state: RandomState = 0,
        device: str = "cpu",
        form: str = "fast",
    ) -> None:
        self.hidden = hidden
        self.batch_size = batch_size
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.decay_rate = decay_rate
        self.l2 = l2
        self.first_input = first_input
        self.order = order
        self.order_gradient = order_gradient
        self.allow_repeats = allow_repeats
        self.label_activation = label_activation
        self.feedback = feedback
        self.label_correlation = label_correlation
        self.w_co_init = w_co_init
        self.w_co_diagonal = w_co_diagonal
        self.label_head = label_head
        self.attention = attention
        self.s0_source = s0_source
        self.s0_activation = s0_activation
        self.encoder_order = encoder_order
        self.cost = cost
        self.cost_prediction = cost_prediction
        self.weight_normalisation = weight_normalisation
        self.weight_floor = weight_floor
        self.weight_refresh = weight_refresh
        self.reduction = reduction
        self.loss_steps = loss_steps
        self.optimiser = optimiser
        self.schedule = schedule
        self.decay_form = decay_form
        self.clip_norm = clip_norm
        self.dropout = dropout
        self.initialisation = initialisation
        self.scaling = scaling
        self.selection = selection
        self.patience = patience
        self.random_state = random_state
        self.device = device
        self.form = form

    @property
    def needs_holdout(self) -> bool:
        """Whether `fit` wants training rows set aside."""
        return self.selection == "holdout"

    def _fit(self, modalities: list[Array], labels: Array, holdout: Holdout | None) -> None:
        """Train; the loss that is no longer finite raises DivergenceError."""
        if torch.device(self.device).type != "cpu":
            from m3la.together import fit_one  # which knows this class

            fit_one(self, (modalities, labels, holdout))
            return
        rows = self.training_rows(modalities, labels, holdout)
        self.model_ = self._build(rows.dims, rows.streams).to(self.device)
        loss_of_rows, refresh, carried = self._objective(rows)
        held = rows.held
        with fast.optimiser_of(self.model_, self.settings()) as optimiser:
            self.history_: History = train(
                self.model_,
                optimiser,
                loss_of_rows,
                len(rows.targets),
                self.settings(),
                rows.streams.generator("shuffling"),
                monitor=None if held is None else lambda: self._final_cross_entropy(*held),
                before_epoch=refresh,
                carried=carried,
            )
        self.score_holdout(rows)

    def training_rows(self, modalities: list[Array], labels: Array, holdout: Holdout | None) -> TrainingRows:
        """Fit the scalers on checked rows, and put what training needs on the device."""
        self.scalers_ = fit_scalers(modalities, self.scaling)
        held = None if holdout is None else (self._tensors(holdout.modalities), self._tensor(holdout.labels))
        return TrainingRows(self._tensors(modalities), self._tensor(labels), held, self.streams_)

    def score_holdout(self, rows: TrainingRows) -> None:
        """Predict the hold-out, where there is one, with the trained model."""
        if rows.held is not None:
            self.holdout_scores_ = self._steps(rows.held[0])["step_scores"][:, -1]

    def _scores(self, modalities: list[Array]) -> Array:
        """Return the last step's scores p_m (n, q), equation (12)."""
        return self._steps(self._tensors(modalities))["step_scores"][:, -1]

    def _trace(self, modalities: list[Array]) -> dict[str, Array]:
        found = self._steps(self._tensors(modalities))
        found["loss_history"] = np.asarray(self.history_.loss, dtype=np.float64)
        correlation = self.model_.label_correlation()
        if correlation is not None:
            found["w_co"] = correlation.cpu().numpy().copy()  # else a caller could write into the weights
        return found

    def _state(self) -> dict[str, Any]:
        return {
            "scalers": [scaler.state() for scaler in self.scalers_],
            "weights": dict(self.model_.state_dict()),
            "history": self.history_.state(),
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        self.scalers_ = restore_scalers(state["scalers"], self.scaling)
        model = with_weights(lambda: self._build(self.dims_, self.streams_), state["weights"])
        self.model_ = model.to(self.device)
        self.history_ = History.restored(state["history"])

    def _build(self, dims: tuple[int, ...], streams: Streams) -> M3LANet:
        options = self.model_options(len(dims), streams)
        generator = _generator(streams, "initialisation")
        net = M3LANet(dims, self.n_labels_, self.hidden, options, generator)
        net.form = self.form
        return net

    def model_options(self, m: int, streams: Streams) -> ModelOptions:
        """Return the network's options for m modalities."""
        names = ModelOptions.__dataclass_fields__.keys() - {"encoder_order"}
        permuted = None
        if self.encoder_order == "random":
            permuted = tuple(int(k) for k in streams.generator("choices").permutation(m))
        return ModelOptions(encoder_order=permuted, **{name: getattr(self, name) for name in names})

    def loss_options(self) -> LossOptions:
        """Return the loss's options."""
        return LossOptions(
            cost=self.cost,
            cost_prediction=self.cost_prediction,
            weight_normalisation=self.weight_normalisation,
            weight_floor=self.weight_floor,
            reduction=self.reduction,
            steps=self.loss_steps,
            reinforce=self.order == "learned" and self.order_gradient == "reinforce",
            form=self.form,
        )

    def _objective(self, data: TrainingRows) -> tuple[Any, Any, Carried]:
        """Return rows -> loss, what renews the stale predictions of (18), and what both carry along."""
        inputs, targets, options = data.inputs, data.targets, self.loss_options()
        cardinality = data.cardinality()
        choices, dropout = data.generator("choices"), data.generator("dropout") if self.dropout else None
        earlier: list[Tensor] = []

        def refresh(epoch: int) -> None:
            if self.weight_refresh and epoch % self.weight_refresh == 0:
                shape = (len(targets), len(inputs), targets.shape[1])
                scores = torch.zeros(shape) if epoch == 0 else self._step_scores(inputs)
                earlier[:] = [scores.to(self.device)]

        def loss_of_rows(rows: Tensor) -> Tensor:
            steps = self.model_(
                [x.index_select(0, rows) for x in inputs], self.noise(len(rows), choices), dropout
            )
            return m3la_loss(
                steps, targets[rows], cardinality, options, earlier[0][rows] if earlier else None
            )

        return loss_of_rows, refresh, (choices, *([dropout] if dropout else []), earlier)

    def noise(self, n: int, generator: torch.Generator, predicting: bool = False) -> Tensor | None:
        """Uniform numbers in (0, 1) for random orders, and for stochastic choices while training."""
        order, gradient = self.parameters_["order"], self.parameters_["order_gradient"]  # of the fit
        stochastic = order == "learned" and gradient in ("gumbel", "reinforce")
        if order != "random" and (predicting or not stochastic):
            return None
        m = len(self.scalers_)
        tiny = torch.finfo(torch.float32).eps
        drawn = torch.rand(n, m, m, generator=generator, device=generator.device)
        return drawn.clamp_(tiny, 1 - tiny).to(self.device)

    def settings(self) -> TrainingSettings:
        """Return what the paper prints, or leaves out, about optimisation."""
        return TrainingSettings(
            epochs=self.epochs,
            batch_size=self.batch_size,
            optimiser=self.optimiser,
            learning_rate=self.learning_rate,
            decay_rate=self.decay_rate,
            schedule=self.schedule,
            weight_decay=2 * self.l2,  # the gradient of lambda_3 ||Phi||^2 is 2 lambda_3 Phi
            decay_form=self.decay_form,
            clip_norm=self.clip_norm,
            patience=self.patience if self.needs_holdout else None,
        )

    @torch.no_grad()
    def _final_cross_entropy(self, inputs: Sequence[Tensor], targets: Tensor) -> float:
        """Mean cross entropy of the last step, per label: what early stopping watches."""
        self.model_.eval()
        total = 0.0
        for rows, steps in self._forward(inputs):
            y = targets[rows]
            total -= float((y * steps.log_scores[-1] + (1 - y) * steps.log_complements[-1]).sum())
        return total / targets.numel()

    @torch.no_grad()
    def _steps(self, inputs: Sequence[Tensor]) -> dict[str, Array]:
        self.model_.eval()
        parts = [(steps.scores(), steps.orders, steps.attention) for _, steps in self._forward(inputs)]
        names = ("step_scores", "orders", "attention")
        return {
            name: torch.cat(p).cpu().numpy() for name, p in zip(names, zip(*parts, strict=True), strict=True)
        }

    @torch.no_grad()
    def _step_scores(self, inputs: Sequence[Tensor]) -> Tensor:
        return torch.cat([steps.scores() for _, steps in self._forward(inputs)])

    def _forward(self, inputs: Sequence[Tensor]) -> Any:
        """Yield (slice of rows, Steps) over all rows, without dropout."""
        generator = _generator(self.streams_, "choices")
        for start in range(0, len(inputs[0]), PREDICTION_ROWS):
            rows = slice(start, start + PREDICTION_ROWS)
            part = [x[rows] for x in inputs]
            yield rows, self.model_(part, self.noise(len(part[0]), generator, predicting=True))

    def _tensors(self, modalities: Sequence[Array]) -> list[Tensor]:
        return [torch.from_numpy(x).to(self.device) for x in scale(self.scalers_, modalities)]

    def _tensor(self, labels: Array) -> Tensor:
        return torch.from_numpy(np.asarray(labels, dtype=np.float32)).to(self.device)
