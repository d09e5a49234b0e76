"""Compares the gradients of a plain program and the real model, for the tests of several methods."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from benchmark.studies.plain.forms import Pairs


def paired_gradients(
    plain: nn.Module, ours: nn.Module, pairs: Callable[..., Pairs]
) -> list[tuple[Tensor, Tensor]]:
    """Pairs of gradients in the order of `pairs`, after both backward passes; none counts as zero.

    Writes the gradients over the weights, so that slicing and transposing them stays with `pairs`.
    """
    with torch.no_grad():
        for module in (plain, ours):
            for parameter in module.parameters():
                parameter.copy_(torch.zeros_like(parameter) if parameter.grad is None else parameter.grad)
    return [(a.detach(), b.detach()) for a, b in pairs(plain, ours)]
