"""What passes through one network leave for each other and for the optimiser; it knows no equation."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from m3la.fast.buffers import Pool, Views
from m3la.fast.factored import FactoredGradients

LARGE = ("W_in", "U_enc", "U_dec", "W_att", "W_key", "W_query")
"""Matrices whose gradients can stay factors."""


@dataclass(frozen=True)
class Workspace:
    """Working memory, views of parameters, and gradients that stay factors."""

    factored: FactoredGradients
    pool: Pool
    views: Views

    @classmethod
    def of(cls, net: nn.Module) -> Workspace:
        """Make one for a network whose parameters have the names of `m3la.reference.Weights`."""
        large = {name: p for name, p in net.named_parameters() if name.split(".")[0] in LARGE}
        return cls(FactoredGradients(large), Pool(), Views())

    def can_reuse(self) -> bool:
        """Whether a pass may take working memory of an earlier one.

        Without gradients nothing gives it back, and while factors wait for the optimiser they are in it.
        """
        return torch.is_grad_enabled() and not self.factored.pending


def take_buffers(ctx: Any) -> Any:
    """Return the buffers that a forward pass left in its context; the backward pass overwrites them.

    Raises
    ------
    RuntimeError
        The second time.
    """
    buffers, ctx.buffers = ctx.buffers, None
    if buffers is None:
        raise RuntimeError("a second backward pass through one forward pass; run the network again")
    return buffers


def without_axis(has_axis: bool, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
    """Drop the leading axis that an operation gave to a single network."""
    return grads if has_axis else tuple(None if g is None else g.squeeze(0) for g in grads)
