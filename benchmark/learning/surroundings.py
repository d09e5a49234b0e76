"""What a caller may have set for a whole process, put aside while a method computes; it knows no method."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from threading import Lock
from typing import Any

import numpy as np
import sklearn


@contextmanager
def own_surroundings() -> Iterator[None]:
    """Compute under the defaults of numpy, scikit-learn and torch, and restore the caller's settings.

    A caller's default type, device or precision of products of torch, autocast, inference mode or
    switched-off gradients, pandas output of scikit-learn's transformers and numpy's floating-point errors
    would else change numbers or end fits.
    """
    with ExitStack() as settings:
        settings.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        settings.enter_context(sklearn.config_context(transform_output="default", array_api_dispatch=False))
        if "torch" in sys.modules:  # what is not loaded has no settings, and takes long to load
            _enter_torch_defaults(settings)
        yield


def _enter_torch_defaults(settings: ExitStack) -> None:
    import torch

    settings.enter_context(_of_the_process(torch))
    if torch.get_default_device().type != "cpu":
        settings.enter_context(torch.device("cpu"))
    for device in ("cpu", "cuda"):
        if torch.is_autocast_enabled(device):
            settings.enter_context(torch.autocast(device, enabled=False))
    settings.enter_context(torch.inference_mode(False))
    settings.enter_context(torch.enable_grad())


@contextmanager
def _of_the_process(torch: Any) -> Iterator[None]:
    """Put aside what torch keeps for all threads: the first one in does it, the last one out restores it."""
    with _LOCK:
        if not _INSIDE:
            _enter_defaults_of_the_process(torch)
        _INSIDE.append(None)
    try:
        yield
    finally:
        with _LOCK:
            _INSIDE.pop()
            if not _INSIDE:
                _PUT_ASIDE.close()


def _enter_defaults_of_the_process(torch: Any) -> None:
    if (default := torch.get_default_dtype()) != torch.float32:
        _PUT_ASIDE.callback(torch.set_default_dtype, default)
        torch.set_default_dtype(torch.float32)
    with suppress(RuntimeError):  # set for each backend by itself; such settings stay
        if (precision := torch.get_float32_matmul_precision()) != "highest":
            _PUT_ASIDE.callback(torch.set_float32_matmul_precision, precision)
            torch.set_float32_matmul_precision("highest")


_LOCK, _INSIDE, _PUT_ASIDE = Lock(), list[None](), ExitStack()
