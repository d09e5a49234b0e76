"""What a number may depend on beside code and data: versions, processor, threads; no names, no paths."""

from __future__ import annotations

import platform
from collections.abc import Mapping
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

LIBRARIES = (
    "torch",
    "numpy",
    "numba",
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
        "libraries": dict(library_versions()),
        "processor": processor(),
        "cpu_capability": torch.backends.cpu.get_cpu_capability(),
        "torch_threads": torch.get_num_threads(),
        "thread_pools": sorted(pools, key=str),
        "cuda": torch.version.cuda if torch.cuda.is_available() else None,
    }


@cache
def library_versions() -> Mapping[str, str | None]:
    """Return the versions of `LIBRARIES`, read once: they take longer to look up than many a job."""
    return {name: _version(name) for name in LIBRARIES}


def processor_and_libraries() -> str:
    """Return in one line what decides how fast a fit is: the processor and the libraries' versions."""
    versions = [f"{name} {version}" for name, version in library_versions().items()]
    return ", ".join([processor() or platform.machine(), *versions])


def processor(cpuinfo: Path = Path("/proc/cpuinfo")) -> str | None:
    """Return vendor, family and model of the processor, which numerical libraries choose their kernels by."""
    try:
        lines = cpuinfo.read_text(encoding="utf-8").partition("\n\n")[0].splitlines()
    except OSError:
        return platform.processor() or None
    facts = {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    kinds = ("vendor_id", "cpu family", "model"), ("CPU implementer", "CPU architecture", "CPU part")
    for names in kinds:
        if all(facts.get(name) for name in names):
            return " ".join(facts[name] for name in names)
    return platform.processor() or None


def _version(distribution: str) -> str | None:
    try:
        return version(distribution)
    except PackageNotFoundError:
        return None  # recorded as absent
