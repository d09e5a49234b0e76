"""Runs the jobs of a plan on workers and ends them on Ctrl-C; what a job is, it leaves to `worker`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmark.run.backends import Call, started
from benchmark.run.bench import Bench
from benchmark.run.config import Running
from benchmark.run.devices import DevicePool
from benchmark.run.plan import Plan, side_by_side
from benchmark.run.progress import Progress
from benchmark.run.seeding import limit_threads_of_new_processes
from benchmark.run.worker import Deadline, JobResult, make_task


@dataclass(frozen=True)
class Summary:
    """How the jobs of one run ended."""

    counts: Mapping[str, int] = field(default_factory=dict)
    failures: tuple[JobResult, ...] = ()
    left_out: tuple[JobResult, ...] = ()
    """Jobs for which there was no time; they have no record."""
    interrupted: bool = False


def run_plan(
    plan: Plan,
    bench: Bench,
    running: Running,
    devices: DevicePool,
    progress: Progress,
    end: float | None = None,
) -> Summary:
    """Run what is to be run; every job leaves a record, and Ctrl-C leaves finished records in place.

    Parameters
    ----------
    plan, bench, running, devices, progress
        What to run of which bench, how, where, and who is told.
    end
        When the run has to be over, as `time.time` counts: a job that is not expected to end by then, by what
        jobs took meanwhile, does not start, and one that runs then is stopped; neither leaves a record.

    Returns
    -------
    Summary
        `interrupted` is true after Ctrl-C; then all children are gone and the rest of the plan is missing.
    """
    planned = plan.to_run()
    if not planned:
        return Summary()
    limit_threads_of_new_processes()
    batches = [
        (batch[0], tuple(make_task(job, bench) for job in batch))
        for batch in side_by_side(planned, running.batch_seeds)
    ]
    workers = min(running.jobs, len(batches))
    ended: list[JobResult] = []
    interrupted = False
    try:
        modules = sorted({module for _, tasks in batches for module in tasks[0].preload})
        with started(running, workers, devices, modules) as run, progress:
            calls = (
                Call(tasks, None if end is None else Deadline(end, progress.expected(first.job)))
                for first, tasks in batches
            )
            for result in (result for results in _closing(run(calls)) for result in results):
                ended.append(result)
                progress.finished(result)
    except KeyboardInterrupt:
        if running.backend == "loky" and workers > 1:
            _stop_workers()
        interrupted = True
    return Summary(
        Counter(result.status for result in ended),
        tuple(result for result in ended if result.status in ("failed", "timeout")),
        tuple(result for result in ended if result.status == "left out"),
        interrupted,
    )


def _closing(results: Any) -> Iterator[tuple[JobResult, ...]]:
    """Pass results on, and close the generator at once when the consumer stops early."""
    with _closed(results):
        yield from results


@contextmanager
def _closed(results: Any) -> Iterator[None]:
    try:
        yield
    finally:
        results.close()


def _stop_workers() -> None:
    """Kill joblib's processes; their children end with them (see `isolation`)."""
    from joblib.externals.loky import get_reusable_executor  # type: ignore[import-untyped]

    get_reusable_executor().shutdown(wait=True, kill_workers=True)
