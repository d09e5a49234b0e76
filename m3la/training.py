"""Mini-batch training of any torch module: a loop that knows no method and no data set.

It owns batching, learning-rate schedule, clipping, history, early stopping and the guard against
divergence; what a step optimises is the caller's function.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from m3la.factored import FactoredGradients, FactoredSGD

OPTIMISERS = ("sgd", "sgd_momentum", "adam", "rmsprop", "adadelta")


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


def train(
    module: nn.Module,
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
    if settings.patience is not None and monitor is None:
        raise ValueError(f"patience={settings.patience} needs something to monitor: pass a hold-out to fit")
    device = next(module.parameters()).device
    optimiser = make_optimiser(module, settings, device)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimiser, settings.decay_rate)
    history, stopper = History(), _BestWeights(module)
    for epoch in range(settings.epochs):
        if before_epoch is not None:
            before_epoch(epoch)
        module.train()
        total = 0.0
        for step, rows in enumerate(batches(n_rows, settings.batch_size, shuffling)):
            loss = training_step(module, optimiser, loss_of_rows, rows.to(device), settings.clip_norm)
            value = float(loss)
            if not math.isfinite(value):
                raise DivergenceError(
                    f"the training loss became {value} in epoch {epoch + 1}, step {step + 1} "
                    f"(optimiser {settings.optimiser}, learning rate {settings.learning_rate}); "
                    "lower learning_rate or set clip_norm"
                )
            total += value * len(rows)
            if settings.schedule == "per_step":
                scheduler.step()
        if settings.schedule == "per_epoch":
            scheduler.step()
        history.loss.append(total / n_rows)
        if settings.patience is not None and monitor is not None:
            history.monitored.append(monitor())
            if stopper.should_stop(epoch, history.monitored[-1], settings.patience):
                break
    if settings.patience is not None:
        history.best_epoch = stopper.restore()
    return history


def training_step(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss_of_rows: Callable[[Tensor], Tensor],
    rows: Tensor,
    clip_norm: float | None = None,
) -> Tensor:
    """Make one step of gradient descent on the rows (B,) and return the loss before it."""
    optimiser.zero_grad(set_to_none=True)
    loss = loss_of_rows(rows)
    loss.backward()
    if clip_norm is not None:
        nn.utils.clip_grad_norm_(module.parameters(), clip_norm)
    optimiser.step()
    return loss.detach()


def batches(n_rows: int, batch_size: int, shuffling: np.random.Generator) -> Iterator[Tensor]:
    """Yield one epoch's batches of row indices, drawn with numpy so that every device sees the same order."""
    yield from torch.from_numpy(shuffling.permutation(n_rows)).split(batch_size)


def make_optimiser(
    module: nn.Module, settings: TrainingSettings, device: torch.device
) -> torch.optim.Optimizer:
    """Build the optimiser with its weight decay: coupled (an L2 term), without biases, or decoupled."""
    rate, decay = settings.learning_rate, settings.weight_decay
    more: dict[str, Any] = dict(settings.optimiser_options)
    parameters = list(module.parameters())
    groups = [{"params": parameters, "weight_decay": decay}]
    if settings.decay_form == "coupled_no_bias":
        groups = [
            {
                "params": [p for name, p in module.named_parameters() if not _is_bias(name)],
                "weight_decay": decay,
            },
            {"params": [p for name, p in module.named_parameters() if _is_bias(name)], "weight_decay": 0.0},
        ]
    fused = device.type in ("cpu", "cuda")
    decoupled = settings.decay_form == "decoupled"
    match settings.optimiser:
        case "sgd" if not decoupled and settings.clip_norm is None and _factored(module) is not None:
            return FactoredSGD(groups, _factored(module), lr=rate, fused=fused, **more)
        case "sgd" | "sgd_momentum" if not decoupled:
            momentum = 0.9 if settings.optimiser == "sgd_momentum" else 0.0
            return torch.optim.SGD(groups, lr=rate, momentum=momentum, fused=fused, **more)
        case "adam":
            adam = torch.optim.AdamW if decoupled else torch.optim.Adam
            return adam(groups, lr=rate, fused=fused, **more)
        case "rmsprop" if not decoupled:
            return torch.optim.RMSprop(groups, lr=rate, **more)
        case "adadelta" if not decoupled:
            return torch.optim.Adadelta(groups, lr=rate, **more)
        case _:
            raise ValueError(
                f"optimiser {settings.optimiser!r} with decay_form {settings.decay_form!r} is not offered; "
                f"optimisers: {', '.join(OPTIMISERS)}; decay_form 'decoupled' goes with adam only"
            )


def _factored(module: nn.Module) -> FactoredGradients | None:
    """Where the module's backward pass can leave gradients as factors, if it can."""
    return getattr(module, "factored", None)


def _is_bias(name: str) -> bool:
    return name.startswith("b_") or "bias" in name


class _BestWeights:
    """The weights of the best epoch so far."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.value, self.epoch = math.inf, 0
        self.weights: dict[str, Tensor] | None = None

    def should_stop(self, epoch: int, value: float, patience: int) -> bool:
        if value < self.value:
            self.value, self.epoch = value, epoch
            self.weights = copy.deepcopy(self.module.state_dict())
        return epoch - self.epoch >= patience

    def restore(self) -> int:
        if self.weights is not None:
            self.module.load_state_dict(self.weights)
        return self.epoch
