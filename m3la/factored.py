"""Gradients of matrices kept as two factors, and SGD that applies them without forming them.

The gradient of W in P = x W is x^T dP. The matrices hold nearly all of the network's parameters, and forming
their gradients, to read them once and drop them, is most of a step's traffic with memory. Plain SGD needs
only W <- (1 - lr decay) W - lr x^T dP, which a product that accumulates into W does directly, a few rows
at a time, so that those rows stay in the processor's cache between its passes.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from m3la.products import Matrices, add_product

TILE = 300_000
"""Entries of W that are updated at a time on a CPU; they and their factors fit a cache of 2 MiB."""


class FactoredGradients:
    """Where a backward pass leaves the gradients of some parameters: formed, unless an optimiser asked.

    Parameters
    ----------
    parameters : matrices W (.., d, c) by name.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        self.parameters = dict(parameters)
        self.keep = False
        """Whether factors are kept, which an optimiser that applies them sets."""
        self._kept: dict[str, tuple[Matrices, Matrices]] = {}

    def give(self, name: str, x: Matrices, grad: Matrices) -> Tensor | None:
        """Return x^T grad (n, d, c), or keep both factors and return None.

        Parameters
        ----------
        name : the parameter's.
        x, grad : (n, B, d), (n, B, c).

        Raises
        ------
        RuntimeError
            If factors of an earlier backward pass were not applied yet: they would be lost.
        """
        if not (self.keep and name in self.parameters):
            return torch.bmm(x.batched.mT, grad.batched)
        if name in self._kept:
            raise RuntimeError(
                "a second backward pass before the optimiser's step; call step() or zero_grad() in between"
            )
        self._kept[name] = x, grad
        return None

    def take(self) -> dict[nn.Parameter, tuple[Matrices, Matrices]]:
        """Return what was kept, by parameter, and forget it."""
        kept, self._kept = self._kept, {}
        return {self.parameters[name]: factors for name, factors in kept.items()}


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


def _descend(W: Tensor, x: Matrices, grad: Matrices, rate: float, decay: float) -> None:
    """W <- (1 - rate decay) W - rate x^T grad, for W (.., d, c), x (.., B, d) and grad (.., B, c)."""
    d, c = W.shape[-2:]
    all_W = W.view(-1, d, c)
    tiles = 1 if W.device.type != "cpu" else max(1, round(d * c / TILE))
    rows = -(-d // tiles)  # equal tiles: a small last one would cost as much as a full one
    for start in range(0, d, rows):
        part = slice(start, start + rows)
        add_product(
            Matrices(all_W[:, part]), Matrices(x.batched[..., part].mT), grad, 1 - rate * decay, -rate
        )
