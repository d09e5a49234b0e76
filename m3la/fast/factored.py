"""Gradients of matrices left as two factors, and SGD that applies them without forming them.

The gradient of W in P = x W is x^T dP. The matrices hold nearly all of the network's parameters, and forming
their gradients, to read them once and drop them, is most of a step's traffic with memory. Plain SGD needs
only W <- (1 - lr decay) W - lr x^T dP, which a product that accumulates into W does directly, a few rows
at a time, so that those rows stay in the processor's cache between its passes.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from benchmark.learning.training import TrainingSettings, make_optimiser, parameter_groups
from m3la.fast.buffers import Views
from m3la.fast.products import Matrices, add_product

TILE_ROWS = 160
"""Rows of W that are updated at a time where the factors are short.

An entry of W then meets little arithmetic, so that what counts is how often it travels: a product of more
rows is done in blocks that no longer fit the second-level cache (measured with MKL: 30 % slower from 192 on).
"""
SHORT = 192
"""Rows of factors below which that holds."""


class FactoredGradients:
    """Where a backward pass leaves the gradients of some parameters: formed, unless an optimiser asked.

    Parameters
    ----------
    parameters : matrices W (.., d, c) by name.
    """

    def __init__(self, parameters: Mapping[str, nn.Parameter]) -> None:
        self.parameters = dict(parameters)
        self._applied: frozenset[str] = frozenset()
        self._waiting: dict[str, tuple[Matrices, ...]] = {}

    def leave(self, parameters: Iterable[nn.Parameter]) -> None:
        """Leave factors of these parameters from now on, as an optimiser applies them; form all others."""
        chosen = {id(parameter) for parameter in parameters}
        self._applied = frozenset(name for name, p in self.parameters.items() if id(p) in chosen)
        self._waiting = {}

    def give(self, name: str, x: Matrices, *grads: Matrices) -> Tensor | None:
        """Return x^T grad (n, [parts,] d, c), or leave the factors and return None.

        Parameters
        ----------
        name : the parameter's.
        x : (n, B, d)
        grads : (n, B, c) each
            One, or one for each part of a matrix that is stored in parts ([n,] parts, d, c).

        Raises
        ------
        RuntimeError
            If factors of an earlier backward pass were not applied yet: they would be lost.
        """
        if not (name in self._applied and self.parameters[name].requires_grad):
            formed = [torch.bmm(x.batched.mT, grad.batched) for grad in grads]
            return formed[0] if len(formed) == 1 else torch.stack(formed, dim=1)
        if name in self._waiting:
            raise RuntimeError(
                "a second backward pass before the optimiser's step; call step() or zero_grad() in between"
            )
        self._waiting[name] = x, *grads
        return None

    @property
    def pending(self) -> bool:
        """Whether factors wait for the optimiser; they are views of working memory."""
        return bool(self._waiting)

    def take(self) -> dict[nn.Parameter, tuple[Matrices, ...]]:
        """Return what waits, by parameter, and forget it."""
        waiting, self._waiting = self._waiting, {}
        return {self.parameters[name]: factors for name, factors in waiting.items()}


class FactoredSGD(torch.optim.SGD):
    """Plain SGD that also applies gradients left as factors.

    Parameters
    ----------
    params, lr : as of `torch.optim.SGD`.
    factored : where the backward pass leaves factors of these parameters, until `release`.
    """

    applies_factors = True
    """For whoever wants to read every gradient before a step, such as clipping."""

    def __init__(self, params: Any, factored: FactoredGradients, lr: float) -> None:
        super().__init__(params, lr=lr, fused=True)
        self.factored = factored
        self.views = Views()
        factored.leave(parameter for group in self.param_groups for parameter in group["params"])

    def release(self) -> None:
        """Have backward passes form gradients again, for whoever trains or reads the network next."""
        self.factored.leave(())

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
                    self._descend(parameter, factors[parameter], group["lr"], group["weight_decay"])
        return result

    def _descend(self, W: Tensor, factors: tuple[Matrices, ...], rate: float, decay: float) -> None:
        """W <- (1 - rate decay) W - rate x^T grad, for W (.., [parts,] d, c) and factors x and grads."""
        x, *grads = factors
        rows = _tile_rows(W.shape[-2], x.batched.shape[-2])
        parts = self.views.of((id(W), rows), W, lambda W: _tiles(W, len(grads), rows))
        x_t = x.batched.mT
        lefts = [Matrices(x_t)] if len(parts[0]) == 1 else [Matrices(part) for part in x_t.split(rows, 1)]
        for tiles, grad in zip(parts, grads, strict=True):
            for tile, left in zip(tiles, lefts, strict=True):
                add_product(tile, left, grad, 1 - rate * decay, -rate)


def _tiles(W: Tensor, parts: int, rows: int) -> list[list[Matrices]]:
    """Cut each part of W (.., [parts,] d, c) into tiles of some rows."""
    by_part = W.view(-1, parts, *W.shape[-2:]).unbind(1)
    return [[Matrices(tile) for tile in part.split(rows, 1)] for part in by_part]


def _tile_rows(d: int, n_factor_rows: int) -> int:
    """Rows of equal tiles: a small last one would cost as much as a full one."""
    tiles = 1 if n_factor_rows >= SHORT else -(-d // TILE_ROWS)
    return -(-d // tiles)


@contextmanager
def optimiser_of(net: nn.Module, settings: TrainingSettings) -> Iterator[torch.optim.Optimizer]:
    """Make a network's optimiser, which lets go of its factored gradients at the end."""
    optimiser = make_factored_optimiser(net, settings)
    try:
        yield optimiser
    finally:
        if isinstance(optimiser, FactoredSGD):
            optimiser.release()


def make_factored_optimiser(net: nn.Module, settings: TrainingSettings) -> torch.optim.Optimizer:
    """Return `FactoredSGD` for plain SGD on a CPU where nothing reads its gradients, else torch's own."""
    factored: FactoredGradients = net.workspace.factored  # type: ignore[assignment, union-attr]
    factored.leave(())  # an earlier optimiser applies factors no longer
    plain = settings.optimiser == "sgd" and not settings.optimiser_options
    unread = settings.decay_form != "decoupled" and settings.clip_norm is None
    if plain and unread and next(net.parameters()).is_cpu:
        return FactoredSGD(parameter_groups(net, settings), factored, lr=settings.learning_rate)
    return make_optimiser(net, settings)
