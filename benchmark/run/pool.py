"""Runs the jobs of a plan on workers and ends them on Ctrl-C; what a job is, it leaves to `worker`."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import joblib

from benchmark.run.backends import parallel
from benchmark.run.bench import Bench
from benchmark.run.config import Running
from benchmark.run.devices import DevicePool
from benchmark.run.plan import Plan, side_by_side
from benchmark.run.progress import Progress
from benchmark.run.scratch import claim_folder, remove_what_the_dead_left
from benchmark.run.seeding import limit_threads_of_new_processes
from benchmark.run.worker import FAILURES, Deadline, JobResult, Task, make_task, supervise

MOST_DEATHS = 3
"""How often in succession, with no job ended in between, workers may die before the rest is given up."""
REMEDY = "if memory runs out, run fewer at a time (--jobs), or limit each with --job-memory"
Batch = tuple[Task, ...]
"""A job, or several that train side by side."""


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
    claim_folder()
    planned = plan.to_run()
    if not planned:
        return Summary()
    limit_threads_of_new_processes()
    batches = [
        tuple(make_task(job, bench, running) for job in batch)
        for batch in side_by_side(planned, running.batch_seeds)
    ]
    ended: list[JobResult] = []
    interrupted = False
    try:
        with progress, closing(_results(batches, running, devices, progress, end)) as results:
            for result in results:
                ended.append(result)
                progress.finished(result)
    except KeyboardInterrupt:
        if running.backend == "loky":
            _stop_workers()
        interrupted = True
    return Summary(
        Counter(result.status for result in ended),
        tuple(result for result in ended if result.status in FAILURES),
        tuple(result for result in ended if result.status == "left out"),
        interrupted,
    )


def _results(
    batches: Sequence[Batch], running: Running, devices: DevicePool, progress: Progress, end: float | None
) -> Generator[JobResult]:
    """Yield how jobs ended; those that a worker's death took along start again on new workers."""
    waiting = {tasks[0].blank.job: tasks for tasks in batches}
    workers = min(running.jobs, len(batches))
    failed = False
    deaths = 0

    def calls() -> Iterator[Any]:
        for first, tasks in tuple(waiting.items()):
            if failed and running.fail_fast:
                return
            deadline = None if end is None else Deadline(end, progress.expected(first))
            yield joblib.delayed(supervise)(tasks, devices, deadline, os.getpid())

    while waiting and deaths <= MOST_DEATHS:
        try:
            with parallel(running.backend, workers) as run, _closed(run(calls())) as groups:
                for result in (result for group in groups for result in group):
                    deaths = 0
                    failed |= result.status in FAILURES
                    waiting.pop(result.job, None)
                    yield result
            return
        except BrokenProcessPool:
            deaths += 1
    error = f"its worker was killed, {deaths} times; {REMEDY}"
    yield from (
        JobResult(task.blank.job, "killed", error=error) for tasks in waiting.values() for task in tasks
    )


def _closed(groups: Any) -> closing[Any]:
    """Close joblib's generator at once when its consumer stops early; its stubs call it a list."""
    return closing(groups)


def _stop_workers() -> None:
    """Kill joblib's processes; their children end with them (see `isolation`)."""
    from joblib.externals.loky import get_reusable_executor  # type: ignore[import-untyped]

    get_reusable_executor().shutdown(wait=True, kill_workers=True)
    remove_what_the_dead_left()
