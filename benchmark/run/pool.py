"""Runs the jobs of a plan and sums up how they ended; where they run, it leaves to `backends`."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from benchmark.run.backends import Call, started
from benchmark.run.bench import Bench
from benchmark.run.config import Running
from benchmark.run.devices import DevicePool
from benchmark.run.on_devices import on_devices
from benchmark.run.plan import Plan, PlannedJob
from benchmark.run.progress import Progress
from benchmark.run.schedule import Places, grouped
from benchmark.run.scratch import claim_folder
from benchmark.run.seeding import limit_threads_of_new_processes
from benchmark.run.task import FAILURES, Deadline, JobResult, Task, make_task


@dataclass(frozen=True)
class Summary:
    """How the jobs of one run ended."""

    counts: Mapping[str, int] = field(default_factory=dict)
    failures: tuple[JobResult, ...] = ()
    left_out: tuple[JobResult, ...] = ()
    """Jobs for which there was no time; they have no record."""
    interrupted: bool = False


@dataclass(frozen=True)
class _Work:
    """The tasks of a run, those of a group together, by where they run."""

    places: Places
    on_cores: Sequence[tuple[Task, ...]]
    on_devices: Sequence[tuple[Task, ...]]
    modules: Sequence[str]
    """What they import."""


def _work(planned: Sequence[PlannedJob], bench: Bench, running: Running, accelerators: int) -> _Work:
    groups = grouped(planned)
    places = Places.of(groups, running.jobs, accelerators)
    packed = [(places.on_accelerator(g), tuple(make_task(job, bench, running) for job in g)) for g in groups]
    return _Work(
        places,
        [tasks for on_accelerator, tasks in packed if not on_accelerator],
        [tasks for on_accelerator, tasks in packed if on_accelerator],
        sorted({module for _, tasks in packed for module in tasks[0].preload}),
    )


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
    work = _work(planned, bench, running, len(devices.accelerators))
    ended: list[JobResult] = []
    lock, interrupted = threading.Lock(), False

    def calls(batches: Sequence[tuple[Task, ...]]) -> Iterator[Call]:
        for tasks in batches:
            if running.fail_fast and any(result.status in FAILURES for result in ended):
                return
            deadline = None if end is None else Deadline(end, progress.expected(tasks[0].blank.job))
            yield Call(tasks, deadline)

    def tell(results: Iterable[JobResult]) -> None:
        with lock:
            for result in results:
                ended.append(result)
                progress.finished(result)

    try:
        with (
            started(running, min(work.places.cores, len(work.on_cores)), devices, work.modules) as run,
            progress,
            on_devices(calls(work.on_devices), devices, work.places.accelerators, work.modules, tell),
            closing(run(calls(work.on_cores))) as each,
        ):
            for results in each:
                tell(results)
    except KeyboardInterrupt:
        interrupted = True
        for job in planned:
            bench.store.remove_half_written(job.job, job.setup.config_hash)
    return Summary(
        Counter(result.status for result in ended),
        tuple(result for result in ended if result.status in FAILURES),
        tuple(result for result in ended if result.status == "left out"),
        interrupted,
    )
