"""What the plain programs have in common: a form of a method that can be stepped; it knows no method."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from benchmark.learning.replay import Replay
from benchmark.learning.training import training_step

Pairs = list[tuple[Tensor, Tensor]]
"""(tensor of the plain program, the real model's tensor with the same meaning and shape)."""


@dataclass(frozen=True)
class Form:
    """One way to train a method: its network, its optimiser and the loss of row indices (B,)."""

    module: nn.Module
    optimiser: torch.optim.Optimizer
    loss_of_rows: Callable[[Tensor], Tensor]

    def step(self, rows: Tensor) -> float:
        """Make one training step on the rows (B,) and return the loss before it."""
        return float(training_step(self.module, self.optimiser, self.loss_of_rows, rows))

    def replayed(self, rows: Tensor) -> Replay:
        """Return a step on the rows (B,), wherever they lie, that is captured once."""

        def changed() -> list[Tensor]:
            averages = [x for one in self.optimiser.state.values() for x in one.values()]
            return [*self.module.parameters(), *(x for x in averages if isinstance(x, Tensor))]

        def work() -> None:
            training_step(self.module, self.optimiser, self.loss_of_rows, rows)

        return Replay(work, changed)


@dataclass(frozen=True)
class Rivals:
    """The two forms of one method, with the same initial weights on the same data."""

    plain: Form
    ours: Form


def block_masks(dims: Sequence[int]) -> Tensor:
    """Return (m, D) ones where row k's modality lies in the concatenation: x~^k = x * masks[k]."""
    return torch.block_diag(*[torch.ones(1, d) for d in dims])


@torch.no_grad()
def copy_weights(pairs: Iterable[tuple[Tensor, Tensor]]) -> None:
    """Give the plain program the real model's weights."""
    for plain, ours in pairs:
        plain.copy_(ours)
