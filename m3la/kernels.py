"""Which form of the row kernels runs where, and what they take for a tensor."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from m3la import row_kernels, tensor_kernels


class Kernels:
    """The kernels for tensors like one: of `m3la.row_kernels` where they run, else of `m3la.tensor_kernels`.

    Attributes
    ----------
    run
        The module that holds them.
    """

    def __init__(self, like: Tensor) -> None:
        self.run: ModuleType = row_kernels if compiles_for(like) else tensor_kernels

    def array(self, tensor: Tensor) -> Any:
        """Return a C-contiguous tensor, or what shares its memory, as the kernels take it."""
        return tensor.numpy() if self.run is row_kernels else tensor


def compiles_for(like: Tensor) -> bool:
    """Whether the compiled kernels run: on a CPU, in single and double precision."""
    return like.is_cpu and like.dtype in (torch.float32, torch.float64)
