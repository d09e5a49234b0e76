"""Which of an environment's parts decide the last bit of a score; it reads no environment itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

DECISIVE_LIBRARIES = ("torch", "numpy", "numba", "scipy", "scikit-learn")
BLAS = ("openblas", "mkl", "blis", "flexiblas", "accelerate")


def decisive_parts(environment: Mapping[str, Any]) -> dict[str, str]:
    """Return what must agree before two runs can be expected to give the same bits.

    Parameters
    ----------
    environment
        As `benchmark.run.environment.describe_environment` gives it, with `device` where a job added it.

    Returns
    -------
    dict
        Processor, CPU capability, the libraries that compute scores, BLAS kernels, thread counts,
        device and how many networks trained side by side, each as text; a part that the environment does not
        state is 'unknown'.
    """
    libraries = environment.get("libraries") or {}
    pools = [pool for pool in environment.get("thread_pools") or () if isinstance(pool, Mapping)]
    blas = {
        " ".join(str(pool.get(key, "?")) for key in ("internal_api", "version", "architecture"))
        for pool in pools
        if pool.get("internal_api") in BLAS
    }
    threads = {str(pool.get("num_threads", "?")) for pool in pools} | {
        str(environment.get("torch_threads", "?"))
    }
    parts = {
        "processor": environment.get("processor"),
        "CPU capability": environment.get("cpu_capability"),
        **{name: libraries.get(name) for name in DECISIVE_LIBRARIES},
        "BLAS kernel": " and ".join(sorted(blas)),
        "threads": " and ".join(sorted(threads)),
        "device": environment.get("device"),
        "networks trained side by side": environment.get("side_by_side", 1),
    }
    return {name: str(value) if value else "unknown" for name, value in parts.items()}


def why_bits_may_differ(reference: Sequence[Mapping[str, Any]], current: Sequence[Mapping[str, Any]]) -> str:
    """Say in which decisive parts two sides differ, or return an empty string if bits should agree.

    Parameters
    ----------
    reference, current
        The distinct environments that each side's jobs ran in.
    """
    if not reference or not current:
        return f"the environment of the {'current records' if reference else 'reference'} is not known"
    before, now = ([decisive_parts(one) for one in side] for side in (reference, current))
    changes = []
    for name in before[0]:
        old, new = (sorted({parts[name] for parts in side}) for side in (before, now))
        if "unknown" in (*old, *new):
            changes.append(f"{name} unknown")
        elif len(old) > 1 or old != new:
            changes.append(f"{name} {' or '.join(old)} -> {' or '.join(new)}")
    return "; ".join(changes)
