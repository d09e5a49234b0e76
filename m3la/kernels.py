"""Which form of the row kernels runs on a device, and what they take for a tensor."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from m3la import row_kernels, tensor_kernels


class Kernels:
    """The kernels of `m3la.row_kernels` on a CPU, of `m3la.tensor_kernels` elsewhere.

    Attributes
    ----------
    run
        The module that holds them.
    """

    def __init__(self, device: torch.device) -> None:
        self.run: ModuleType = row_kernels if compiles_for(device) else tensor_kernels

    def array(self, tensor: Tensor) -> Any:
        """Return a C-contiguous tensor, or what shares its memory, as the kernels take it."""
        return tensor.numpy() if self.run is row_kernels else tensor


def compiles_for(device: torch.device) -> bool:
    """Whether the compiled kernels run on this device."""
    return device.type == "cpu"
