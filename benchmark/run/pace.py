"""How fast this machine runs each method: measured before a run, in a few seconds, and kept for the next.

A method's hint says how many seconds a fit took on one machine, by shape and options. Its probe is a short
fit whose seconds here, over those on that machine, scale the hint. Probes run as many at a time as jobs will
where so many are lacking, since jobs compete for memory. Seconds are processor time: what else the machine
does at the moment would otherwise make a pace of long standing too slow.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.contracts import Array, Holdout, MethodSpec, Shape, Streams
from benchmark.run.environment import processor_and_libraries
from benchmark.run.fingerprint import canonical, code_digest, code_root
from benchmark.run.isolation import run_isolated
from benchmark.run.worker import PRELOAD

PACE_FILE = "pace.json"
LONGEST_PROBE = 60.0
"""Seconds after which a probe is given up; the hint then stands as it is."""
STREAMS = Streams("pace", 0)

Pace = Mapping[str, float]
"""By `pace_key`: seconds of a fit on this machine per second on that of the method's hint."""


@dataclass(frozen=True)
class _Fit:
    estimator: type
    options: Mapping[str, Any]
    shape: Shape


def pace_key(spec: MethodSpec) -> str:
    """Return what names a method's pace: its estimator, options but for the number of epochs, and probe."""
    probe = spec.probe
    given = None if probe is None else [*asdict(probe.shape).values(), probe.options, probe.shorter]
    options = {name: value for name, value in spec.options.items() if name != "epochs"}
    text = json.dumps(canonical([spec.estimator, options, given]), sort_keys=True)
    return f"{spec.estimator.__name__}-{hashlib.sha256(text.encode()).hexdigest()[:12]}"


def measured_pace(specs: Iterable[MethodSpec], workers: int, cache_dir: Path) -> Pace:
    """Return the pace of methods that have a probe, from the cache or measured now.

    Parameters
    ----------
    specs : methods that are to run.
    workers : how many cores the jobs keep busy.
    cache_dir : where paces are kept, in `PACE_FILE`, by processor, libraries, code and workers.
    """
    wanted = {
        pace_key(spec): spec for spec in specs if spec.probe is not None and spec.seconds_hint is not None
    }
    versions = {key: _version(spec, workers) for key, spec in wanted.items()}
    path = cache_dir / PACE_FILE
    kept = _read(path)
    found = {key: kept[version] for key, version in versions.items() if version in kept}
    lacking = [key for key in wanted if key not in found]
    if lacking:
        with ThreadPoolExecutor(max(1, workers)) as pool:
            measured = list(pool.map(lambda key: _measure(wanted[key]), lacking))
        new = {key: pace for key, pace in zip(lacking, measured, strict=True) if pace is not None}
        found |= new
        _write(path, {**_read(path), **{versions[key]: pace for key, pace in new.items()}})
    return found


def _version(spec: MethodSpec, workers: int) -> str:
    code = code_digest(code_root(spec.estimator))
    facts = ["processor time", pace_key(spec), processor_and_libraries(), code, workers]
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:24]


def _measure(spec: MethodSpec) -> float | None:
    """Return the seconds of the probe here over those of its declaration; None if it does not end in time."""
    seconds = probe_seconds(spec)
    return None if seconds is None or spec.probe is None else seconds / spec.probe.seconds


def probe_seconds(spec: MethodSpec) -> float | None:
    """Return how long a method's probe takes here; None where it has none, or does not end in time."""
    probe = spec.probe
    if probe is None:
        return None
    options = {**spec.options, **probe.options}
    shorter = None if probe.shorter is None else {**spec.options, **probe.shorter}
    fits = [_Fit(spec.estimator, one, probe.shape) for one in (options, shorter) if one is not None]
    outcome = run_isolated(
        time_fits,
        (fits,),
        time_limit=LONGEST_PROBE,
        preload=(*PRELOAD, spec.estimator.__module__),
    )
    if outcome.reason != "finished":
        return None  # the run itself will say what is wrong
    whole, *once = outcome.value
    seconds: float = whole - sum(once)
    return seconds if seconds > 0 else None


def time_fits(fits: Sequence[_Fit]) -> list[float]:
    """Return the seconds of each fit and its prediction, in a process set up as a job's; runs in a child.

    What comes after the first fit is a shorter form of it.
    """
    from benchmark.run.memory import keep_freed_memory
    from benchmark.run.seeding import make_deterministic
    from benchmark.run.trial import build_estimator

    make_deterministic(STREAMS)
    keep_freed_memory()
    seconds = []
    # The first fit of a process may compile and fills caches, which the longer one alone would pay for.
    warm_up = fits[1:]
    for fit in [*warm_up, *fits]:
        modalities, labels = probe_data(fit.shape)
        n_train, n_fit = int(0.9 * fit.shape.n), int(0.81 * fit.shape.n)
        method = build_estimator(fit.estimator, fit.options, STREAMS, "cpu")
        started = time.process_time()
        if getattr(method, "needs_holdout", False):
            held = Holdout(tuple(x[n_fit:n_train] for x in modalities), labels[n_fit:n_train])
            method.fit([x[:n_fit] for x in modalities], labels[:n_fit], holdout=held)
        else:
            method.fit([x[:n_train] for x in modalities], labels[:n_train])
        method.predict_scores([x[n_train:] for x in modalities])
        seconds.append(time.process_time() - started)
    return seconds[len(warm_up) :]


def probe_data(shape: Shape) -> tuple[list[Array], Array]:
    """Draw m modalities (n, d_k), and labels (n, q) that a linear rule of some features explains in part."""
    generator = STREAMS.generator("data")
    modalities = [generator.normal(size=(shape.n, d)).astype(np.float32) for d in shape.dims]
    rule = generator.normal(size=(min(8, shape.dims[0]), shape.q))
    signal = modalities[0][:, : len(rule)] @ rule + generator.normal(size=(shape.n, shape.q))
    return modalities, (signal > np.quantile(signal, 0.8, axis=0)).astype(np.uint8)


def _read(path: Path) -> dict[str, float]:
    """Read kept paces; a file that is absent or no such table is as good as none, as it can be measured."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {str(key): float(value) for key, value in content.items()}
    except (OSError, ValueError, AttributeError, TypeError):
        return {}


def _write(path: Path, paces: Mapping[str, float]) -> None:
    """Keep paces, under a temporary name first; a folder that cannot be written costs seconds, no run."""
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.{os.getpid()}")
        partial.write_text(json.dumps(paces, indent=1, sort_keys=True), encoding="utf-8")
        partial.replace(path)
