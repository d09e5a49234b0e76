"""Training of networks side by side on a device, by steps that are captured once and replayed.

It knows no method. Networks that share nothing are held by one module whose parameters all have a leading
axis of n. All that a step reads lies on the device: the epoch's order of rows, its learning rates, the number
of the step. All that it finds, a loss for each network, stays there until the epoch's end, when the host asks
once and keeps the books of each network as `train` would keep them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor, nn

from benchmark.contracts import Array
from benchmark.learning import checkpoint
from benchmark.learning.replay import Replay
from benchmark.learning.training import (
    TrainingSettings,
    divergence,
    lower_rate,
    make_optimiser,
    training_step,
)
from benchmark.learning.training_state import BestWeights, Carried, History, TrainingState

Losses = Callable[[Tensor], Tensor]
"""Of row indices (n, B), for each network its mean loss, (n,)."""


def train_side_by_side(
    module: nn.Module,
    losses_of_rows: Losses,
    n_rows: int,
    settings: TrainingSettings,
    shuffling: Sequence[np.random.Generator],
    monitor: Callable[[], Tensor] | None = None,
    before_epoch: Callable[[int], None] | None = None,
    carried: Carried = (),
) -> list[History]:
    """Fit n networks that share nothing, held by one module whose parameters all have a leading axis of n.

    Each ends as `train` would leave it alone, up to rounding. Where `train` would raise, the network's
    history says so, and the others go on.

    Parameters
    ----------
    module, n_rows, settings : as of `train`; the optimiser is made here.
    losses_of_rows : maps row indices (n, B) to the mean losses (n,); captured, see `Replay`.
    shuffling : n sources of permutations.
    monitor : returns n numbers; captured too.
    before_epoch : as of `train`; it changes tensors of `carried` in their place.
    carried : as of `train`; generators are those that losses are drawn by.
    """
    if settings.patience is not None and monitor is None:
        raise ValueError(f"patience={settings.patience} needs something to monitor: pass a hold-out to fit")
    n = len(shuffling)
    steps = Steps(module, losses_of_rows, n_rows, settings, n, monitor, carried)
    histories = [History() for _ in range(n)]
    stoppers = [BestWeights(module, i) for i in range(n)]
    running = set(range(n))
    state = TrainingState(
        module, steps.optimiser, steps.scheduler, shuffling, carried, histories, stoppers, running
    )
    kept = checkpoint.current()
    found = None if kept is None else kept.begin()
    done = 0 if found is None else state.restore(found)
    steps.take_rate_from_device()
    for epoch in range(done, settings.epochs):
        if before_epoch is not None:
            before_epoch(epoch)
        module.train()
        losses = steps.epoch(np.stack([each.permutation(n_rows) for each in shuffling]))
        for i in list(running):
            if not _note_losses(histories[i], losses[:, i], epoch, steps.sizes, settings):
                running.discard(i)
        if settings.patience is not None and running:
            monitored = steps.monitored()
            for i in list(running):
                histories[i].monitored.append(float(monitored[i]))
                if stoppers[i].should_stop(epoch, float(monitored[i]), settings.patience):
                    running.discard(i)
        if not running:
            break
        if kept is not None:
            kept.offer(partial(state.tree, epoch + 1))
    if settings.patience is not None:
        for history, stopper in zip(histories, stoppers, strict=True):
            if history.diverged is None:
                history.best_epoch = stopper.restore()
    return histories


def _note_losses(
    history: History, losses: Array, epoch: int, sizes: Sequence[int], settings: TrainingSettings
) -> bool:
    """Keep the books of one network for an epoch; return whether its training goes on."""
    total = 0.0
    for step, (value, size) in enumerate(zip(losses.tolist(), sizes, strict=True)):
        if not math.isfinite(value):
            history.diverged = divergence(value, epoch, step, settings)
            return False
        total += value * size
    history.loss.append(total / sum(sizes))
    return True


class Steps:
    """The steps of one epoch after another, and what they read and write on the device.

    Parameters
    ----------
    n : networks.
    others : as of `train_side_by_side`.
    """

    def __init__(
        self,
        module: nn.Module,
        losses_of_rows: Losses,
        n_rows: int,
        settings: TrainingSettings,
        n: int,
        monitor: Callable[[], Tensor] | None,
        carried: Carried,
    ) -> None:
        device = next(module.parameters()).device
        self.module, self.losses_of_rows, self.settings, self.n = module, losses_of_rows, settings, n
        whole, rest = divmod(n_rows, int(settings.batch_size))
        self.sizes = [int(settings.batch_size)] * whole + [rest] * (rest > 0)
        self.rate = torch.tensor(float(settings.learning_rate), device=device)
        self.rates = torch.zeros(len(self.sizes), device=device)
        self.order = torch.zeros(n, n_rows, dtype=torch.int64, device=device)
        self.position = torch.zeros(1, dtype=torch.int64, device=device)
        self.numbers = torch.arange(len(self.sizes), device=device).unsqueeze(1)
        self.losses = torch.zeros(len(self.sizes), n, device=device, dtype=torch.float64)
        self.watched = torch.zeros(n, device=device, dtype=torch.float64)
        self.optimiser = make_optimiser(module, settings, self.rate)
        # The rate is the host's to compute, in its own precision, as `train` does.
        host = torch.optim.SGD([torch.zeros(())], lr=settings.learning_rate)
        self.scheduler = torch.optim.lr_scheduler.ExponentialLR(host, settings.decay_rate)
        host.step()  # which a scheduler expects before its own
        self.monitor = monitor
        generators = [one for one in carried if isinstance(one, torch.Generator)]
        self.replays = {
            size: Replay(partial(self._step, size), self._changed, generators) for size in set(self.sizes)
        }
        self.watch = Replay(self._watch, lambda: [self.watched])

    def take_rate_from_device(self) -> None:
        """Have the optimiser read the rate where steps put it, also after its state was loaded."""
        for group in self.optimiser.param_groups:
            group["lr"] = self.rate

    def epoch(self, order: Array) -> Array:
        """Make an epoch's steps on rows in the order (n, n_rows); return the losses (steps, n)."""
        self.order.copy_(torch.from_numpy(order))
        self.rates.copy_(torch.tensor(self._rates()))
        self.position.zero_()
        for size in self.sizes:
            self.replays[size]()
        return self.losses.cpu().numpy()

    def monitored(self) -> Array:
        """Return what is monitored, (n,)."""
        self.watch()
        return self.watched.cpu().numpy()

    def _rates(self) -> list[float]:
        """Return the rate of each step of the next epoch, and lower it as the schedule says."""
        (group,) = self.scheduler.optimizer.param_groups
        rates = []
        for _ in self.sizes:
            rates.append(group["lr"])
            if self.settings.schedule == "per_step":
                lower_rate(self.scheduler)
        if self.settings.schedule == "per_epoch":
            lower_rate(self.scheduler)
        return rates

    def _step(self, size: int) -> None:
        first = self.position * int(self.settings.batch_size)
        rows = self.order.index_select(1, first + torch.arange(size, device=first.device))
        self.rate.copy_(self.rates.index_select(0, self.position)[0])
        loss = training_step(
            self.module, self.optimiser, self.losses_of_rows, rows, self.settings.clip_norm, self.n
        )
        # By a mask: deterministic kernels that write at an index would sort first.
        here = self.numbers == self.position
        self.losses.copy_(torch.where(here, loss.double(), self.losses))
        self.position.add_(1)

    def _watch(self) -> None:
        assert self.monitor is not None
        self.watched.copy_(self.monitor())

    def _changed(self) -> list[Tensor]:
        averages = [x for one in self.optimiser.state.values() for x in one.values() if isinstance(x, Tensor)]
        return [*self.module.parameters(), *averages, self.rate, self.position, self.losses]
