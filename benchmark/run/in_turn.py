"""Runs jobs in a process that runs others after them, and leaves it as a new one; it knows no method.

A child for each job needs none of it. What a job's numbers are drawn from is seeded at its start
(`seeding.make_deterministic`), in either kind of process.
"""

from __future__ import annotations

import gc
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmark.run.accelerator import free_memory
from benchmark.run.child import run_tasks
from benchmark.run.memory import forget_peak
from benchmark.run.task import JobResult, Task


def run_in_turn(tasks: Sequence[Task], device: str) -> tuple[JobResult, ...]:
    """Run tasks as `run_tasks` does, and undo what they set for the whole process."""
    with leaving_nothing(device):
        return run_tasks(tasks, device)


@contextmanager
def leaving_nothing(device: str) -> Iterator[None]:
    """Restore what jobs may set for a whole process, and free what they held."""
    import numpy as np
    import torch

    environment, folder, dtype = dict(os.environ), Path.cwd(), torch.get_default_dtype()
    precision = torch.get_float32_matmul_precision()
    with ExitStack() as settings:
        settings.enter_context(warnings.catch_warnings())
        settings.enter_context(np.errstate())
        settings.enter_context(torch.set_grad_enabled(torch.is_grad_enabled()))
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(environment)
            os.chdir(folder)
            torch.set_default_dtype(dtype)
            torch.set_default_device(None)
            torch.set_float32_matmul_precision(precision)
            gc.collect()  # cycles hold tensors, and these the device's memory
            free_memory(device)
            forget_peak()
