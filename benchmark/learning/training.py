"""Mini-batch training of any torch module: a loop that knows no method and no data set.

It owns batching, learning-rate schedule, clipping, history, early stopping and the guard against
divergence; the optimiser and what a step optimises are the caller's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.learning import checkpoint
from benchmark.learning.adadelta import OnePassAdadelta
from benchmark.learning.training_state import BestWeights, Carried, History, TrainingState

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


def train(
    module: nn.Module,
    optimiser: torch.optim.Optimizer,
    loss_of_rows: Callable[[Tensor], Tensor],
    n_rows: int,
    settings: TrainingSettings,
    shuffling: np.random.Generator,
    monitor: Callable[[], float] | None = None,
    before_epoch: Callable[[int], None] | None = None,
    carried: Carried = (),
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
    carried : what else steps, `monitor` or `before_epoch` change and read again. With it a training that
        was killed goes on exactly where it was, see `benchmark.learning.checkpoint`.

    Raises
    ------
    DivergenceError
        When a step's loss is not finite.
    """
    if settings.patience is not None and monitor is None:
        raise ValueError(f"patience={settings.patience} needs something to monitor: pass a hold-out to fit")
    device = next(module.parameters()).device
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimiser, settings.decay_rate)
    history, stopper = History(), BestWeights(module, None)
    state = TrainingState(module, optimiser, scheduler, [shuffling], carried, [history], [stopper], {0})
    kept = checkpoint.current()
    found = None if kept is None else kept.begin()
    for epoch in range(0 if found is None else state.restore(found), settings.epochs):
        if before_epoch is not None:
            before_epoch(epoch)
        module.train()
        total = 0.0
        for step, drawn in enumerate(batches(n_rows, settings.batch_size, shuffling)):
            loss = training_step(module, optimiser, loss_of_rows, drawn.to(device), settings.clip_norm)
            value = float(loss)
            if not math.isfinite(value):
                raise DivergenceError(divergence(value, epoch, step, settings))
            total += value * len(drawn)
            if settings.schedule == "per_step":
                lower_rate(scheduler)
        if settings.schedule == "per_epoch":
            lower_rate(scheduler)
        history.loss.append(total / n_rows)
        if settings.patience is not None and monitor is not None:
            history.monitored.append(float(monitor()))
            if stopper.should_stop(epoch, history.monitored[-1], settings.patience):
                break
        if kept is not None:
            kept.offer(partial(state.tree, epoch + 1))
    if settings.patience is not None:
        history.best_epoch = stopper.restore()
    return history


def lower_rate(scheduler: torch.optim.lr_scheduler.ExponentialLR) -> None:
    """Lower the learning rate once; what is left below `VANISHED` becomes 0."""
    scheduler.step()
    for group in scheduler.optimizer.param_groups:
        if group["lr"] < VANISHED:
            group["lr"] = 0.0


def divergence(value: float, epoch: int, step: int, settings: TrainingSettings) -> str:
    """Say what became of the loss, as `DivergenceError` does."""
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
    squares = torch.stack([g.reshape(len(g), -1).square().sum(1) for g in grads]).sum(0)
    factors = (clip_norm / (squares.sqrt() + 1e-6)).clamp(max=1.0)
    for g in grads:
        g.mul_(factors.view(-1, *[1] * (g.dim() - 1)))


def batches(n_rows: int, batch_size: int, shuffling: np.random.Generator) -> Iterator[Tensor]:
    """Yield one epoch's batches of row indices, drawn with numpy so that every device sees the same order."""
    yield from torch.from_numpy(shuffling.permutation(n_rows)).split(int(batch_size))


def make_optimiser(
    module: nn.Module, settings: TrainingSettings, rate: Tensor | None = None
) -> torch.optim.Optimizer:
    """Build one of torch's optimisers; its weight decay is an L2 term, with or without biases, or decoupled.

    Parameters
    ----------
    module, settings : whose parameters, and how they are trained.
    rate : a number on the module's device that each step takes as the learning rate, so that steps can be
        captured; None: the settings' own, which a scheduler may change.

    Raises
    ------
    ValueError
        For an optimiser that is none of `OPTIMISERS`, or a form of decay that it does not have.
    """
    lr: Any = settings.learning_rate if rate is None else rate
    more: dict[str, Any] = dict(settings.optimiser_options)
    groups = parameter_groups(module, settings)
    device = next(module.parameters()).device.type
    fused, captured = device in ("cpu", "cuda"), rate is not None
    capturable: dict[str, Any] = {"capturable": True} if captured and device == "cuda" else {}
    decoupled = settings.decay_form == "decoupled"
    match settings.optimiser:
        case "sgd" | "sgd_momentum" if not decoupled:
            momentum = 0.9 if settings.optimiser == "sgd_momentum" else 0.0
            return torch.optim.SGD(groups, lr=lr, fused=fused, **{"momentum": momentum, **more})
        case "adam":
            adam = torch.optim.AdamW if decoupled else torch.optim.Adam
            return adam(groups, lr=lr, fused=fused, **capturable, **more)
        case "rmsprop" if not decoupled:
            return torch.optim.RMSprop(groups, lr=lr, **capturable, **more)
        case "adadelta" if not decoupled:
            if device == "cpu" and not captured:
                return OnePassAdadelta(groups, lr=lr, **more)
            return torch.optim.Adadelta(groups, lr=lr, **capturable, **more)
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
