"""AdaDelta on a CPU in one pass over each parameter; it knows no method.

With gradient g, averages s and a of squared gradients and updates, all starting at 0::

    s <- rho s + (1 - rho) g^2
    d  = sqrt(a + eps) / sqrt(s + eps) g
    a <- rho a + (1 - rho) d^2
    theta <- theta - lr d

torch's own takes ten passes, each bound by memory; this one reads four numbers and writes three for each that
is trained.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from benchmark.contracts import Array
from benchmark.learning.compiled import compiled


class OnePassAdadelta(torch.optim.Adadelta):
    """What `torch.optim.Adadelta` does, but for its last digits, to contiguous parameters on a CPU.

    Parameters
    ----------
    params, lr, rho, eps, weight_decay : as there.
    """

    def __init__(
        self, params: Any, lr: float = 1.0, rho: float = 0.9, eps: float = 1e-6, weight_decay: float = 0.0
    ) -> None:
        super().__init__(params, lr=lr, rho=rho, eps=eps, weight_decay=weight_decay)

    @torch.no_grad()
    def step(self, closure: Any = None) -> Any:
        """Make one step from the gradients that are there, or that `closure` makes; return its loss."""
        loss = None if closure is None else torch.enable_grad()(closure)()
        for group in self.param_groups:
            for parameter in group["params"]:
                if parameter.grad is not None:
                    self._update(parameter, parameter.grad, group)
        return loss

    def _update(self, parameter: Tensor, gradient: Tensor, group: dict[str, Any]) -> None:
        state = self.state[parameter]
        if not state:
            state["square_avg"], state["acc_delta"] = (torch.zeros_like(parameter) for _ in range(2))
        if group["weight_decay"]:
            gradient = gradient.add(parameter, alpha=group["weight_decay"])
        tensors = (parameter.detach(), gradient.contiguous(), state["square_avg"], state["acc_delta"])
        arrays = [tensor.view(-1).numpy() for tensor in tensors]
        numbers = (group["lr"], group["rho"], 1 - group["rho"], group["eps"])
        _one_pass(*arrays, *map(arrays[0].dtype.type, numbers))


@compiled
def _one_pass(
    theta: Array, g: Array, s: Array, a: Array, lr: float, rho: float, rest: float, eps: float
) -> None:
    """Update all entries; `rest` is 1 - rho."""
    for j in range(len(theta)):
        s[j] = rho * s[j] + rest * g[j] * g[j]
        d = math.sqrt(a[j] + eps) / math.sqrt(s[j] + eps) * g[j]
        a[j] = rho * a[j] + rest * d * d
        theta[j] -= lr * d
