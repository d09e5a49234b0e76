"""A CUDA graph pretended on a CPU: operations are recorded once and replayed, and Python no longer runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map


class Tape(TorchDispatchMode):
    """Records what torch computes; `replay` does it again on the same tensors, with the same host numbers."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, tuple[Any, ...], dict[str, Any], Any]] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        self.calls.append((func, args, kwargs or {}, out))
        return out

    @torch.no_grad()
    def replay(self) -> None:
        now: dict[int, Tensor] = {}

        def current(x: Any) -> Any:
            return now.get(id(x), x) if isinstance(x, Tensor) else x

        for func, args, kwargs, out in self.calls:
            found = func(*tree_map(current, args), **tree_map(current, kwargs))
            for before, after in zip(tree_flatten(out)[0], tree_flatten(found)[0], strict=True):
                if isinstance(before, Tensor):
                    now[id(before)] = after


def pretended_capture(work: Callable[[], None], undo: Callable[[], None], *_: Any) -> Callable[[], None]:
    """Stands in for `benchmark.learning.replay.capture`; unlike a graph's, the recorded call takes place."""
    work()
    undo()
    with (tape := Tape()):
        work()
    undo()
    return tape.replay


REFUSED = ("scatter", "index_put", "_local_scalar_dense", "nonzero", "masked_select", "is_nonzero")
"""Of operations that ask the device, or that copy from the host where kernels are to be deterministic."""


def refused(losses: Callable[[], Tensor]) -> list[str]:
    """Which operations of a pass forth and back could not be captured."""
    with (tape := Tape()):
        losses().sum().backward()
    names = {str(call[0]) for call in tape.calls}
    return sorted(name for name in names if any(word in name for word in REFUSED))
