"""What a training changes from epoch to epoch, to be kept and gone on with; it takes no step itself."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

Carried = Sequence[torch.Generator | list[Tensor]]
"""What else a training changes from step to step, in place: generators, and lists of tensors."""


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


class BestWeights:
    """The weights of the best epoch so far, of the module or of one network on its leading axis."""

    def __init__(self, module: nn.Module, index: int | None) -> None:
        self.module, self.index = module, index
        self.value, self.epoch = math.inf, 0
        self.weights: list[Tensor] | None = None

    def should_stop(self, epoch: int, value: float, patience: int) -> bool:
        if value < self.value:
            self.value, self.epoch = value, epoch
            if self.weights is None:
                self.weights = [tensor.clone() for tensor in self._own()]
            else:  # in their place: two copies of a large network take long to forget
                for kept, tensor in zip(self.weights, self._own(), strict=True):
                    kept.copy_(tensor)
        return epoch - self.epoch >= patience

    def state(self) -> dict[str, Any]:
        return {"value": np.float64(self.value).reshape(1), "epoch": self.epoch, "weights": self.weights}

    def continue_from(self, state: Mapping[str, Any]) -> None:
        self.value, self.epoch = float(state["value"][0]), state["epoch"]
        if state["weights"] is not None:
            own = self._own()
            self.weights = [
                torch.from_numpy(x).to(like) for x, like in zip(state["weights"], own, strict=True)
            ]

    def restore(self) -> int:
        if self.weights is not None:
            for tensor, best in zip(self._own(), self.weights, strict=True):
                tensor.copy_(best)
        return self.epoch

    def _own(self) -> list[Tensor]:
        tensors = self.module.state_dict().values()  # detached, sharing memory with the module
        return [t if self.index is None else t[self.index] for t in tensors]


@dataclass
class TrainingState:
    """All that the rest of a training depends on, between two epochs."""

    module: nn.Module
    optimiser: torch.optim.Optimizer
    scheduler: torch.optim.lr_scheduler.ExponentialLR
    """Of the optimiser, or of a stand-in that keeps the rate on the host."""
    shuffling: Sequence[np.random.Generator]
    carried: Carried
    histories: Sequence[History]
    stoppers: Sequence[BestWeights]
    running: set[int]

    def tree(self, epochs: int) -> dict[str, Any]:
        """Return it after so many epochs, as `benchmark.learning.saving` takes it."""
        averages = self.optimiser.state_dict()["state"]
        return {
            "epochs": epochs,
            "weights": dict(self.module.state_dict()),
            "averages": {
                key: {name: value for name, value in of_one.items() if isinstance(value, Tensor)}
                for key, of_one in averages.items()
            },
            "rates": [group["lr"] for group in self.scheduler.optimizer.param_groups],
            "scheduler": self.scheduler.state_dict(),
            "shuffling": [generator.bit_generator.state for generator in self.shuffling],
            "carried": [
                one.get_state() if isinstance(one, torch.Generator) else list(one) for one in self.carried
            ],
            "histories": [{**one.state(), "diverged": one.diverged} for one in self.histories],
            "stoppers": [one.state() for one in self.stoppers],
            "running": sorted(self.running),
        }

    def restore(self, tree: Mapping[str, Any]) -> int:
        """Become what `tree` returned, and return how many epochs are done."""
        device = next(self.module.parameters()).device
        self.module.load_state_dict({name: torch.from_numpy(x) for name, x in tree["weights"].items()})
        state = self.optimiser.state_dict()
        state["state"] = {
            int(key): {name: torch.from_numpy(value) for name, value in of_one.items()}
            for key, of_one in tree["averages"].items()
        }
        self.optimiser.load_state_dict(state)
        self.scheduler.load_state_dict(dict(tree["scheduler"]))
        for group, rate in zip(self.scheduler.optimizer.param_groups, tree["rates"], strict=True):
            group["lr"] = rate
        for generator, kept in zip(self.shuffling, tree["shuffling"], strict=True):
            generator.bit_generator.state = kept
        for one, kept in zip(self.carried, tree["carried"], strict=True):
            if isinstance(one, torch.Generator):
                one.set_state(torch.from_numpy(kept))
            else:
                one[:] = [torch.from_numpy(x).to(device) for x in kept]
        for history, kept in zip(self.histories, tree["histories"], strict=True):
            vars(history).update(vars(History.restored(kept)), diverged=kept["diverged"])
        for stopper, kept in zip(self.stoppers, tree["stoppers"], strict=True):
            stopper.continue_from(kept)
        self.running.intersection_update(tree["running"])
        done: int = tree["epochs"]
        return done
