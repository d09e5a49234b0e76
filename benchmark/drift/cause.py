"""What could explain that numbers moved: data, code, settings, environment or metrics; it never judges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmark.drift.pair import PairComparison

NOTHING_RECORDED = "nothing recorded differs: something unrecorded, or a method that ignores its seed"
DECISIVE_LIBRARIES = ("torch", "numpy", "numba", "scipy", "scikit-learn")
BLAS = ("openblas", "mkl", "blis", "flexiblas", "accelerate")


def recorded_changes(pair: PairComparison, settings: str, environments: str) -> str:
    """Return what is on record as different between reference and current; empty text if nothing is.

    Parameters
    ----------
    pair
        Without a `problem`.
    settings
        What differs between the settings; empty text where those of the reference were not kept.
    environments
        What differs between the environments; empty text where bits should agree.
    """
    found = []
    data, version = pair.hashes("data_hash"), pair.hashes("config_hash")
    if data[0] != data[1]:
        found.append(f"data (hash {data[0][:12]} -> {data[1][:12]})")
    if pair.same_scores.all():
        # Whatever made the scores made the same ones.
        return "; ".join([*found, "metrics, thresholds or hardening: the scores are the same"])
    if settings:
        found.append(settings)
    elif version[0] != version[1]:
        perhaps = "perhaps " if found else ""
        found.append(f"{perhaps}code, options or limits (version {version[0]} -> {version[1]})")
    if environments:
        found.append(f"environment: {environments}")
    return "; ".join(found)


def describe_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return what differs between two records' settings, other than the data."""
    old, new = (_flat(settings) for settings in (before, now))
    changes = []
    for name in dict.fromkeys([*old, *new]):
        if name != "data_hash" and old.get(name) != new.get(name):
            values = [str(settings.get(name, "absent")) for settings in (old, new)]
            shown = [value[:12] if name == "code" else value for value in values]
            changes.append(f"{name} ({' -> '.join(shown)})")
    return ", ".join(changes)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    options = {f"option {name}": value for name, value in dict(settings.get("options") or {}).items()}
    return {**{name: value for name, value in settings.items() if name != "options"}, **options}


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
        device and the width of the groups that it trains in, each as text; a part that the environment does
        not state is 'unknown'.
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
        "device": environment.get("accelerator") or environment.get("device"),
        "width of its group": environment.get("width", "full"),
    }
    return {name: str(value) if value else "unknown" for name, value in parts.items()}


def why_bits_may_differ(reference: Sequence[Mapping[str, Any]], current: Sequence[Mapping[str, Any]]) -> str:
    """Say which decisive parts differ, or return an empty string if scores should agree bit by bit.

    Parameters
    ----------
    reference, current
        The distinct environments that the jobs of either ran in.
    """
    if not reference or not current:
        return f"the environment of the {'current records' if reference else 'reference'} is not known"
    before, now = ([decisive_parts(one) for one in those] for those in (reference, current))
    changes = []
    for name in before[0]:
        old, new = (sorted({parts[name] for parts in those}) for those in (before, now))
        if "unknown" in (*old, *new):
            changes.append(f"{name} unknown")
        elif len(old) > 1 or old != new:
            changes.append(f"{name} {' or '.join(old)} -> {' or '.join(new)}")
    return "; ".join(changes)
