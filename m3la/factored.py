"""Gradients of input matrices kept as two factors, and SGD that applies them without forming them.

The gradient of W in P = x W is x^T dP. The input matrices hold most of the network's parameters, and forming
their gradients, to read them once and drop them, is most of a step's traffic with memory. Plain SGD needs
only W <- (1 - lr decay) W - lr x^T dP, which a product that accumulates into W does directly, a few rows
at a time, so that those rows stay in the processor's cache between its passes.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn

TILE = 128
"""Rows of W that are updated at a time on a CPU; 128 x 9h floats and their factors fit a cache of 2 MiB."""


class FactoredGradients:
    """Where a backward pass leaves the gradients of some parameters; they are dense unless an optimiser asked.

    Parameters
    ----------
    parameters : matrices W (.., d, c).
    """

    def __init__(self, parameters: Iterable[nn.Parameter]) -> None:
        self.parameters = list(parameters)
        self.keep = False
        """Whether factors are kept, which an optimiser that applies them sets."""
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}

    def give(self, index: int, x: Tensor, grad: Tensor) -> Tensor | None:
        """Return x^T grad for parameter number `index`, or keep x (.., B, d) and grad (.., B, c) and return None.

        Raises
        ------
        RuntimeError
            If factors of an earlier backward pass were not applied yet: they would be lost.
        """
        if not self.keep:
            return x.mT @ grad
        if index in self._kept:
            raise RuntimeError(
                "a second backward pass before the optimiser's step; call step() or zero_grad() in between"
            )
        self._kept[index] = x, grad
        return None

    def take(self) -> dict[nn.Parameter, tuple[Tensor, Tensor]]:
        """Return what was kept, by parameter, and forget it."""
        kept, self._kept = self._kept, {}
        return {self.parameters[index]: factors for index, factors in kept.items()}


class FactoredSGD(torch.optim.SGD):
    """Plain SGD (no momentum) that also applies gradients kept as factors.

    Parameters
    ----------
    params, lr, weight_decay : as of `torch.optim.SGD`.
    factored : where the backward pass leaves factors; from now on it does.
    """

    def __init__(self, params: Any, factored: FactoredGradients, lr: float, **more: Any) -> None:
        super().__init__(params, lr=lr, **more)
        self.factored = factored
        factored.keep = True

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget gradients, factors included."""
        super().zero_grad(set_to_none)
        self.factored.take()

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Make one step."""
        result = super().step(closure)
        factors = self.factored.take()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter in factors:
                    _descend(parameter, *factors[parameter], group["lr"], group["weight_decay"])
        return result


def _descend(W: Tensor, x: Tensor, grad: Tensor, rate: float, decay: float) -> None:
    """W <- (1 - rate decay) W - rate x^T grad, for W (.., d, c), x (.., B, d) and grad (.., B, c)."""
    rows = TILE if W.device.type == "cpu" else W.shape[-2]
    x_t = x.mT.contiguous()
    for W_tile, x_tile in zip(W.split(rows, -2), x_t.split(rows, -2), strict=True):
        if W.dim() == 2:
            W_tile.addmm_(x_tile, grad, beta=1 - rate * decay, alpha=-rate)
        else:
            W_tile.baddbmm_(x_tile, grad, beta=1 - rate * decay, alpha=-rate)
