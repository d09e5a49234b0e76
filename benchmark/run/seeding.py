"""Makes one process give the same bits every time: one thread, deterministic kernels, seeded globals."""

from __future__ import annotations

import os
import random

import numpy as np

from benchmark.contracts import Streams

THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS",
    "NUMEXPR_NUM_THREADS",
)


def limit_threads_of_new_processes() -> None:
    """Let processes started from here use one thread; BLAS libraries read this when they are imported."""
    for variable in THREAD_VARIABLES:
        os.environ[variable] = "1"
    # cuBLAS is deterministic only with a fixed workspace, and it reads this at start.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def make_deterministic(streams: Streams) -> None:
    """Set this process to one thread and deterministic kernels, and seed what libraries keep globally.

    Called first in every job: with another number of threads the same seed gives other bits. Methods draw
    from their own streams; the global states are seeded only for libraries that know nothing else.
    """
    import torch
    from threadpoolctl import threadpool_limits

    torch.set_num_threads(1)
    threadpool_limits(1)
    torch.use_deterministic_algorithms(True)
    # Filling fresh buffers only guards against reading them unwritten, and costs a pass over each.
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
    state = streams.integer("choices")
    random.seed(state)
    np.random.seed(state % 2**32)  # noqa: NPY002 - for libraries that use the global state
    # Not `torch.manual_seed`: it also formats a stack for each kind of device that is not there.
    torch.default_generator.manual_seed(state)
    if torch.cuda.is_available():
        torch.cuda.manual_seed_all(state)
