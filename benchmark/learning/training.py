"""Mini-batch training of any torch module: a loop that knows no method and no data set.

It owns batching, learning-rate schedule, clipping, history, early stopping and the guard against
divergence; the optimiser and what a step optimises are the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.learning.adadelta import OnePassAdadelta

OPTIMISERS = ("sgd", "sgd_momentum", "adam", "rmsprop", "adadelta")
VANISHED = 1e-25
"""A learning rate below which a step changes no weight in its last digit, so that it counts as 0. Products
with it would be subnormal numbers, which take a processor a hundred times as long."""


class DivergenceError(FloatingPointError):
    """The loss became infinite or not a number; the message names epoch and step."""


@dataclass(frozen=True)
class TrainingSettings:
    """What a paper prints, or leaves out, about optimisation."""

    epochs: int
    batch_size: int = 64
    optimiser: str = "sgd"
    optimiser_options: Mapping[str, float] = field(default_factory=dict)
    """What else the optimiser's constructor takes, such as Adadelta's `rho` and `eps`."""
    learning_rate: float = 0.01
    decay_rate: float = 1.0
    schedule: str = "per_epoch"
    weight_decay: float = 0.0
    """Coefficient of theta in the gradient: twice the factor of a squared-norm penalty."""
    decay_form: str = "coupled"
    clip_norm: float | None = None
    patience: int | None = None
    """Epochs without a better monitored value after which training stops; None trains to the end."""


@dataclass
class History:
    """Rows of what happened, one entry per finished epoch."""

    loss: list[float] = field(default_factory=list)
    """Mean training loss over the epoch's rows, without the L2 term."""
    monitored: list[float] = field(default_factory=list)
    best_epoch: int | None = None
    diverged: str | None = None
    """What `DivergenceError` would say, where other networks trained on."""

    def state(self) -> dict[str, Any]:
        """Return the history of a finished training as arrays and plain values."""
        numbers = {name: np.asarray(getattr(self, name), dtype=np.float64) for name in ("loss", "monitored")}
        return {**numbers, "best_epoch": self.best_epoch}

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> History:
        """Return the history whose state it is."""
        return cls(state["loss"].tolist(), state["monitored"].tolist(), state["best_epoch"])


def train(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss_of_rows: Callable[[Tensor], Tensor],
    n_rows: int,
    settings: TrainingSettings,
    shuffling: np.random.Generator,
    monitor: Callable[[], float] | None = None,
    before_epoch: Callable[[int], None] | None = None,
) -> History:
    """Fit `module` in place and return the history.

    Parameters
    ----------
    module : what is trained; it is in training mode during steps.
    optimiser : of its parameters, such as `make_optimiser` makes.
    loss_of_rows : maps row indices (B,) on the module's device to the batch's mean loss.
    n_rows : number of training rows.
    settings : see `TrainingSettings`.
    shuffling : source of each epoch's permutation; the last batch of an epoch may be smaller.
    monitor : called after each epoch where `patience` is set; lower is better. The weights of the best
        epoch are restored at the end.
    before_epoch : called with the epoch's index before its first step.

    Raises
    ------
    DivergenceError
        When a step's loss is not finite.
    """
    (history,) = _train(
        module, optimiser, loss_of_rows, n_rows, settings, [shuffling], monitor, before_epoch, None
    )
    if history.diverged is not None:
        raise DivergenceError(history.diverged)
    return history


def train_side_by_side(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss_of_rows: Callable[[Tensor], Tensor],
    n_rows: int,
    settings: TrainingSettings,
    shuffling: Sequence[np.random.Generator],
    monitor: Callable[[], Sequence[float]] | None = None,
    before_epoch: Callable[[int], None] | None = None,
) -> list[History]:
    """Fit n networks that share nothing, held by one module whose parameters all have a leading axis of n.

    Each ends as `train` would leave it alone. Where `train` would raise, the network's history says so, and
    the others go on.

    Parameters
    ----------
    module, optimiser, n_rows, settings, before_epoch : as of `train`.
    loss_of_rows : maps row indices (n, B) to the mean losses (n,).
    shuffling : n sources of permutations.
    monitor : returns n numbers.
    """
    n = len(shuffling)
    return _train(module, optimiser, loss_of_rows, n_rows, settings, shuffling, monitor, before_epoch, n)


def _train(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss_of_rows: Callable[[Tensor], Tensor],
    n_rows: int,
    settings: TrainingSettings,
    shuffling: Sequence[np.random.Generator],
    monitor: Callable[[], float | Sequence[float]] | None,
    before_epoch: Callable[[int], None] | None,
    n_networks: int | None,
) -> list[History]:
    """Train what `train` and `train_side_by_side` describe; `n_networks` is None without a leading axis."""
    if settings.patience is not None and monitor is None:
        raise ValueError(f"patience={settings.patience} needs something to monitor: pass a hold-out to fit")
    device = next(module.parameters()).device
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimiser, settings.decay_rate)
    histories = [History() for _ in shuffling]
    stoppers = [_BestWeights(module, None if n_networks is None else i) for i in range(len(shuffling))]
    running = set(range(len(shuffling)))
    for epoch in range(settings.epochs):
        if before_epoch is not None:
            before_epoch(epoch)
        module.train()
        totals = np.zeros(len(shuffling))
        for step, drawn in enumerate(
            zip(*(batches(n_rows, settings.batch_size, s) for s in shuffling), strict=True)
        ):
            rows = (drawn[0] if n_networks is None else torch.stack(drawn)).to(device)
            loss = training_step(module, optimiser, loss_of_rows, rows, settings.clip_norm, n_networks)
            values = loss.double().reshape(-1).cpu().numpy()
            for i in [i for i in running if not math.isfinite(values[i])]:
                histories[i].diverged = _divergence(values[i], epoch, step, settings)
                running.discard(i)
            if not running:
                return histories
            totals += values * len(drawn[0])
            if settings.schedule == "per_step":
                _lower_rate(scheduler)
        if settings.schedule == "per_epoch":
            _lower_rate(scheduler)
        for i in running:
            histories[i].loss.append(float(totals[i] / n_rows))
        if settings.patience is not None and monitor is not None:
            monitored = np.atleast_1d(monitor())
            for i in list(running):
                histories[i].monitored.append(float(monitored[i]))
                if stoppers[i].should_stop(epoch, float(monitored[i]), settings.patience):
                    running.discard(i)
            if not running:
                break
    if settings.patience is not None:
        for history, stopper in zip(histories, stoppers, strict=True):
            if history.diverged is None:
                history.best_epoch = stopper.restore()
    return histories


def _lower_rate(scheduler: torch.optim.lr_scheduler.ExponentialLR) -> None:
    """Lower the learning rate once; what is left below `VANISHED` becomes 0."""
    scheduler.step()
    for group in scheduler.optimizer.param_groups:
        if group["lr"] < VANISHED:
            group["lr"] = 0.0


def _divergence(value: float, epoch: int, step: int, settings: TrainingSettings) -> str:
    return (
        f"the training loss became {value} in epoch {epoch + 1}, step {step + 1} "
        f"(optimiser {settings.optimiser}, learning rate {settings.learning_rate}); "
        "lower learning_rate or set clip_norm"
    )


def training_step(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss_of_rows: Callable[[Tensor], Tensor],
    rows: Tensor,
    clip_norm: float | None = None,
    n_networks: int | None = None,
) -> Tensor:
    """Make one step of gradient descent on the rows ([n,] B) and return the loss, or n losses, before it."""
    if clip_norm is not None and getattr(optimiser, "applies_factors", False):
        raise ValueError("clipping needs every gradient: make the optimiser with settings of this clip_norm")
    optimiser.zero_grad(set_to_none=True)
    loss = loss_of_rows(rows)
    loss.sum().backward()
    if clip_norm is not None and n_networks is None:
        nn.utils.clip_grad_norm_(module.parameters(), clip_norm)
    elif clip_norm is not None:
        _clip_each(module, clip_norm)
    optimiser.step()
    return loss.detach()


def _clip_each(module: nn.Module, clip_norm: float) -> None:
    """`clip_grad_norm_` for each of n networks along the parameters' leading axis."""
    grads = [p.grad for p in module.parameters() if p.grad is not None]
    squares = torch.stack([g.flatten(1).square().sum(1) for g in grads]).sum(0)
    factors = (clip_norm / (squares.sqrt() + 1e-6)).clamp(max=1.0)
    for g in grads:
        g.mul_(factors.view(-1, *[1] * (g.dim() - 1)))


def batches(n_rows: int, batch_size: int, shuffling: np.random.Generator) -> Iterator[Tensor]:
    """Yield one epoch's batches of row indices, drawn with numpy so that every device sees the same order."""
    yield from torch.from_numpy(shuffling.permutation(n_rows)).split(int(batch_size))


def make_optimiser(module: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Build one of torch's optimisers; its weight decay is an L2 term, with or without biases, or decoupled.

    Raises
    ------
    ValueError
        For an optimiser that is none of `OPTIMISERS`, or a form of decay that it does not have.
    """
    rate = settings.learning_rate
    more: dict[str, Any] = dict(settings.optimiser_options)
    groups = parameter_groups(module, settings)
    fused = next(module.parameters()).device.type in ("cpu", "cuda")
    decoupled = settings.decay_form == "decoupled"
    match settings.optimiser:
        case "sgd" | "sgd_momentum" if not decoupled:
            momentum = 0.9 if settings.optimiser == "sgd_momentum" else 0.0
            return torch.optim.SGD(groups, lr=rate, fused=fused, **{"momentum": momentum, **more})
        case "adam":
            adam = torch.optim.AdamW if decoupled else torch.optim.Adam
            return adam(groups, lr=rate, fused=fused, **more)
        case "rmsprop" if not decoupled:
            return torch.optim.RMSprop(groups, lr=rate, **more)
        case "adadelta" if not decoupled:
            adadelta = OnePassAdadelta if next(module.parameters()).is_cpu else torch.optim.Adadelta
            return adadelta(groups, lr=rate, **more)
        case _:
            raise ValueError(
                f"optimiser {settings.optimiser!r} with decay_form {settings.decay_form!r} is not offered; "
                f"optimisers: {', '.join(OPTIMISERS)}; decay_form 'decoupled' goes with adam only"
            )


def parameter_groups(module: nn.Module, settings: TrainingSettings) -> list[dict[str, Any]]:
    """Return a module's parameters with the weight decay of each, as torch's optimisers take them."""
    decay = settings.weight_decay
    if settings.decay_form != "coupled_no_bias":
        return [{"params": list(module.parameters()), "weight_decay": decay}]
    named = list(module.named_parameters())
    return [
        {"params": [p for name, p in named if not _is_bias(name)], "weight_decay": decay},
        {"params": [p for name, p in named if _is_bias(name)], "weight_decay": 0.0},
    ]


def _is_bias(name: str) -> bool:
    return name.startswith("b_") or "bias" in name


class _BestWeights:
    """The weights of the best epoch so far, of the module or of one network on its leading axis."""

    def __init__(self, module: nn.Module, index: int | None) -> None:
        self.module, self.index = module, index
        self.value, self.epoch = math.inf, 0
        self.weights: list[Tensor] | None = None

    def should_stop(self, epoch: int, value: float, patience: int) -> bool:
        if value < self.value:
            self.value, self.epoch = value, epoch
            self.weights = [tensor.clone() for tensor in self._own()]
        return epoch - self.epoch >= patience

    def restore(self) -> int:
        if self.weights is not None:
            for tensor, best in zip(self._own(), self.weights, strict=True):
                tensor.copy_(best)
        return self.epoch

    def _own(self) -> list[Tensor]:
        tensors = self.module.state_dict().values()  # detached, sharing memory with the module
        return [t if self.index is None else t[self.index] for t in tensors]
