"""Runs the jobs of a plan and sums up how they ended; where they run, it leaves to `backends`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass, field

from benchmark.run.backends import Call, started
from benchmark.run.bench import Bench
from benchmark.run.config import Running
from benchmark.run.devices import DevicePool
from benchmark.run.plan import Plan, side_by_side
from benchmark.run.progress import Progress
from benchmark.run.scratch import claim_folder
from benchmark.run.seeding import limit_threads_of_new_processes
from benchmark.run.task import FAILURES, Deadline, JobResult, make_task


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

    def calls() -> Iterator[Call]:
        for tasks in batches:
            if running.fail_fast and any(result.status in FAILURES for result in ended):
                return
            deadline = None if end is None else Deadline(end, progress.expected(tasks[0].blank.job))
            yield Call(tasks, deadline)

    try:
        modules = sorted({module for tasks in batches for module in tasks[0].preload})
        with (
            started(running, min(running.jobs, len(batches)), devices, modules) as run,
            progress,
            closing(run(calls())) as groups,
        ):
            for result in (result for group in groups for result in group):
                ended.append(result)
                progress.finished(result)
    except KeyboardInterrupt:
        interrupted = True
    return Summary(
        Counter(result.status for result in ended),
        tuple(result for result in ended if result.status in FAILURES),
        tuple(result for result in ended if result.status == "left out"),
        interrupted,
    )
