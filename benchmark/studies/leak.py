"""Whether a run of thousands of jobs leaks, and what a job costs beside itself; it knows no other method.

`python -m benchmark.studies.leak --tasks 2000` runs that many jobs that compute next to nothing.
"""

from __future__ import annotations

import argparse
import io
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import psutil
from rich.console import Console
from sklearn.base import BaseEstimator

from benchmark.contracts import Array, Dataset, DatasetSpec, MethodSpec, Modalities, Provenance, Shape
from benchmark.exit_codes import FINDING, OK
from benchmark.registry import Registry
from benchmark.run.bench import Bench
from benchmark.run.config import Running
from benchmark.run.devices import DevicePool
from benchmark.run.flags import whole_number
from benchmark.run.isolation import run_isolated
from benchmark.run.plan import make_plan
from benchmark.run.pool import run_plan
from benchmark.run.progress import Progress
from benchmark.run.seeding import limit_threads_of_new_processes
from benchmark.run.task import JobResult, make_task
from benchmark.run.worker import supervise

WARM = 200
"""Jobs after which memory and open files must stay as they are."""
GROWTH_MIB = 8.0
"""By which a process may still grow: what Python and the C library keep for later is no leak."""
GROWTH_FILES = 16.0
"""Those of the jobs at hand when it was looked; a leak would be one a job."""
OVERHEAD_SECONDS = 0.02
SAMPLE = 60
"""Jobs, and empty children, by which the overhead is measured."""


SHAPE = Shape(40, 3, (4, 2))


class Frequencies(BaseEstimator):
    """Scores every row with the label frequencies."""

    FACTORS = ()

    def __init__(self, random_state: object = None) -> None:
        self.random_state = random_state

    def fit(self, modalities: Modalities, labels: Array, holdout: object = None) -> Frequencies:  # noqa: ARG002
        self.frequencies_ = labels.mean(axis=0)
        return self

    def predict_scores(self, modalities: Modalities) -> Array:
        return np.tile(self.frequencies_, (len(modalities[0]), 1))


@dataclass(frozen=True)
class Tiny:
    """Forty rows of random numbers."""

    id: str = "tiny"
    title: str = "TINY"
    expected: Shape = SHAPE
    modality_names: tuple[str, ...] = ("left", "right")
    in_paper: bool = False

    def provenance(self, data_dir: Path) -> Provenance:  # noqa: ARG002
        return Provenance.LOOK_ALIKE

    def load(self, data_dir: Path) -> Dataset:  # noqa: ARG002
        generator = np.random.default_rng(0)
        n, q = self.expected.n, self.expected.q
        return Dataset(
            id=self.id,
            modalities=tuple(generator.random((n, d)).astype(np.float32) for d in self.expected.dims),
            labels=(generator.random((n, q)) < 0.4).astype(np.uint8),
            modality_names=self.modality_names,
            label_names=("a", "b", "c"),
            provenance=Provenance.LOOK_ALIKE,
            data_hash="tiny",
        )


class Watched(Progress):
    """A progress that notes memory and open files of all lasting processes as jobs end."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.samples: list[dict[str, float]] = []

    def finished(self, result: JobResult) -> None:
        super().finished(result)
        if len(self.ended) % WARM == 0:
            self.samples.append({"jobs": len(self.ended), **lasting()})
            print(", ".join(f"{name} {value:g}" for name, value in self.samples[-1].items()), flush=True)


def lasting() -> dict[str, float]:
    """Return MiB and open files of the main process, and the most of its workers and fork servers."""
    found: dict[str, float] = {}
    own = psutil.Process()
    for process in (own, *own.children(recursive=True)):
        with suppress(psutil.Error):
            command = " ".join(process.cmdline())
            parent = process.parent()
            is_job = parent is not None and process != own and parent.cmdline() == process.cmdline()
            if "resource_tracker" in command or is_job:
                continue
            kind = "main" if process == own else "fork server" if "forkserver" in command else "worker"
            values = {"MiB": process.memory_info().rss / 2**20, "files": float(process.num_fds())}
            for name, value in values.items():
                found[f"{kind} {name}"] = max(found.get(f"{kind} {name}", 0.0), round(value, 1))
    return found


def bench_in(folder: Path, jobs: int) -> Bench:
    """Return a bench of so many jobs."""
    spec = MethodSpec(id="Frequencies", estimator=Frequencies, options={}, in_paper=False)
    tiny: DatasetSpec = Tiny()  # type: ignore[assignment]
    registry = Registry({spec.id: spec}, {"tiny": tiny})
    return Bench.of(
        registry,
        profile="tiny",
        datasets="tiny",
        seeds=str(jobs),
        yes=True,
        data_dir=folder,
        results_dir=folder,
    )


def watched_run(folder: Path, jobs: int, workers: int) -> list[dict[str, float]]:
    """Run so many jobs at once, and return what was seen after each `WARM` of them.

    Raises
    ------
    RuntimeError
        If a job is not done.
    """
    bench = bench_in(folder, jobs)
    plan = make_plan(bench)
    progress = Watched(plan.to_run(), workers, Console(file=io.StringIO()))
    summary = run_plan(plan, bench, Running(workers), DevicePool(("cpu",), folder), progress)
    if summary.counts != {"done": jobs}:
        raise RuntimeError(f"not all jobs are done: {dict(summary.counts)}")
    return progress.samples


def overhead(folder: Path, jobs: int = SAMPLE) -> tuple[float, float]:
    """Return the seconds of an empty child, and those that a job takes beside that and its own trial.

    The least of many, by turns: what else a machine does only adds to a time.
    """
    limit_threads_of_new_processes()  # as workers do before their first child, whose BLAS would spin
    bench = bench_in(folder, jobs)
    pool = DevicePool(("cpu",), folder)
    empty, beside = [], []
    for slot in bench.inventory().slots:
        task = make_task(slot, bench)
        started = time.perf_counter()
        run_isolated(int, (), preload=task.preload)
        empty.append(time.perf_counter() - started)
        started = time.perf_counter()
        (result,) = supervise((task,), pool)
        beside.append(time.perf_counter() - started - result.seconds)
    child = min(empty[1:])
    return child, min(beside[1:]) - child


def grown(samples: Sequence[dict[str, float]]) -> list[str]:
    """Say what was larger at the end than after the first `WARM` jobs."""
    first, last = samples[0], samples[-1]
    found = []
    for name in first.keys() - {"jobs"}:
        allowed = GROWTH_MIB if name.endswith("MiB") else GROWTH_FILES
        if last.get(name, 0.0) - first[name] > allowed:
            found.append(f"{name}: {first[name]:g} after {first['jobs']:g} jobs, {last[name]:g} at the end")
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Measure both, print them, and fail where one is above what is promised."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tasks", type=whole_number(least=2 * WARM), default=2000, help="default: 2000")
    parser.add_argument("--jobs", type=whole_number(), default=2, help="at a time; default: 2")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as first, tempfile.TemporaryDirectory() as second:
        child, beside = overhead(Path(first))
        times = (
            f"an empty child: {1000 * child:.1f} ms; a job beside that and its trial: {1000 * beside:.1f} ms"
        )
        print(times, flush=True)
        samples = watched_run(Path(second), args.tasks, args.jobs)
    found = grown(samples)
    if beside > OVERHEAD_SECONDS:
        found.append(f"a job's overhead of {1000 * beside:.1f} ms is above {1000 * OVERHEAD_SECONDS:g} ms")
    print("\n".join(found) or "nothing grew")
    return FINDING if found else OK


if __name__ == "__main__":
    from benchmark.studies import leak  # children must find the toys in a module, not in a script

    sys.modules["__main__"] = ModuleType("__main__")  # nor run the script again, each of them
    raise SystemExit(leak.main())
