"""What a number may depend on beside code and data: versions, processor, threads; no names, no paths."""

from __future__ import annotations

import platform
from importlib.metadata import PackageNotFoundError, version
from typing import Any

LIBRARIES = (
    "torch",
    "numpy",
    "scipy",
    "pandas",
    "scikit-learn",
    "scikit-multilearn",
    "joblib",
    "threadpoolctl",
)


def describe_environment() -> dict[str, Any]:
    """Return versions, CPU capability, thread counts, BLAS kernels and platform of this process.

    It holds neither host name nor user name nor path, since it is published with the numbers.
    """
    import torch
    from threadpoolctl import threadpool_info

    kept = ("internal_api", "version", "architecture", "num_threads")
    pools = [{key: pool[key] for key in kept if pool.get(key) is not None} for pool in threadpool_info()]
    return {
        "python": platform.python_version(),
        "implementation": platform.python_implementation(),
        "system": platform.system(),
        "machine": platform.machine(),
        "libraries": {name: _version(name) for name in LIBRARIES},
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch_threads": torch.get_num_threads(),
        "thread_pools": sorted(pools, key=str),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
    }


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None  # recorded as absent
