"""What a process asks of an accelerator beside training: its name, its memory, a warm start; it knows no job.

Of a device of another kind than CUDA, as a CPU or one that is pretended, it asks nothing.
"""

from __future__ import annotations

import sys
from contextlib import suppress
from importlib import import_module

from benchmark.run.seeding import limit_threads_of_new_processes


def device_kind(device: str) -> str:
    """Return `cuda` for `cuda:0`."""
    return device.partition(":")[0]


def card_name(device: str) -> str:
    """Return the name of the card behind a device, such as NVIDIA H200; of another kind the kind."""
    if device_kind(device) != "cuda":
        return device_kind(device)
    import torch

    return str(torch.cuda.get_device_name(device))


def warm_up(device: str, modules: tuple[str, ...]) -> None:
    """Do all that takes its time before a first job and needs no lease: imports, the context, its handles."""
    limit_threads_of_new_processes()  # cuBLAS reads its workspace when its handle is made
    for module in modules:
        with suppress(ImportError):  # which a job's record will say
            import_module(module)
    if device_kind(device) == "cuda":
        import torch

        one = torch.ones(1, 1, device=device)
        torch.mm(one, one).item()


def peak_device_mib(device: str) -> float:
    """Return the most memory that tensors of this process held on a device since `free_memory`, in MiB."""
    if device_kind(device) != "cuda":
        return 0.0
    import torch

    return float(torch.cuda.max_memory_allocated(device)) / 2**20


def free_memory(device: str) -> None:
    """Give back what no tensor holds any more, and count the most that is held anew from here."""
    if device_kind(device) == "cuda":
        import torch

        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)


def is_out_of_memory(error: BaseException) -> bool:
    """Whether a fit failed because it needs more memory than its device has."""
    torch = sys.modules.get("torch")
    if torch is None:
        return False
    libraries = ("CUDA error: out of memory", "_STATUS_ALLOC_FAILED", "_STATUS_NOT_ENOUGH_")
    return isinstance(error, torch.OutOfMemoryError) or (
        isinstance(error, RuntimeError) and any(said in str(error) for said in libraries)
    )
