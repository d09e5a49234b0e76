"""What a worker does with jobs: their locks, devices and limits, and a record of each end; it trains nothing.

It stays light, and imports no torch: `child.run_tasks` runs in a child process.
"""

from __future__ import annotations

import math
import traceback
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from benchmark.contracts import Failure
from benchmark.run.child import run_tasks
from benchmark.run.devices import DevicePool
from benchmark.run.fingerprint import code_digest
from benchmark.run.isolation import run_isolated
from benchmark.run.seeding import limit_threads_of_new_processes
from benchmark.run.store import RecordStore
from benchmark.run.task import Deadline, JobResult, Task

OUTCOMES: Mapping[str, Failure] = {
    "timeout": "timeout",
    "out-of-memory": "out-of-memory",
    "killed": "killed",
    "exited": "failed",
    "raised": "failed",
}
"""The status of a job by how its process ended."""


def supervise(
    tasks: Sequence[Task], pool: DevicePool, deadline: Deadline | None = None
) -> tuple[JobResult, ...]:
    """Run jobs in one child process and make sure that a record of each one's end exists; it never raises.

    An exception here would end the whole `joblib.Parallel` call and lose the other jobs.

    Parameters
    ----------
    tasks
        One job, or several that differ in their seed alone and train side by side.
    pool
        Of devices, one of which the child gets.
    deadline
        A job that is not expected to end by then does not start; one that runs is killed then, and leaves
        no record.
    """
    try:
        return _supervise(tasks, pool, deadline)
    except Exception:
        error = traceback.format_exc()
        return tuple(JobResult(task.blank.job, "failed", error=error) for task in tasks)


def _supervise(tasks: Sequence[Task], pool: DevicePool, deadline: Deadline | None) -> tuple[JobResult, ...]:
    limit_threads_of_new_processes()
    first, store = tasks[0], RecordStore(tasks[0].store_root)
    if code_digest(*first.code_roots) != first.blank.settings["code"]:
        message = "not run: the project's code was edited after this run was planned; start the run again"
        return tuple(JobResult(task.blank.job, "failed", error=message) for task in tasks)
    with claim(tasks, store) as (results, mine):
        return (*results, *(_run_in_child(mine, store, pool, deadline) if mine else ()))


@contextmanager
def claim(
    tasks: Sequence[Task], store: RecordStore
) -> Iterator[tuple[tuple[JobResult, ...], tuple[Task, ...]]]:
    """Hold the locks of jobs; yield how those stand that are done or another run's, and those to be run."""
    with ExitStack() as locks:
        results, mine = [], []
        for task in tasks:
            job, config_hash = task.blank.job, task.blank.config_hash
            if not locks.enter_context(store.lock(job, config_hash)):
                results.append(JobResult(job, "elsewhere"))
                continue
            earlier = store.find(job, config_hash)
            if earlier is not None and earlier.status == "done":  # by another run, since this one was planned
                results.append(JobResult.of(earlier))
            else:
                mine.append(task)
        yield tuple(results), tuple(mine)


def _run_in_child(
    tasks: Sequence[Task], store: RecordStore, pool: DevicePool, deadline: Deadline | None
) -> tuple[JobResult, ...]:
    first, seconds = tasks[0], tasks[0].limits.time_limit_seconds
    # A limit is one job's; those of a batch are in it together.
    limit = math.inf if seconds is None else seconds * len(tasks)
    with ExitStack() as lease:
        devices = pool if first.uses_device else DevicePool(("cpu",), pool.lock_dir)
        try:
            device = lease.enter_context(devices.lease(deadline.left() if deadline else None))
        except TimeoutError:
            return _left_out(tasks, "no device became free in time")
        left = deadline.left() if deadline else math.inf
        if deadline and left <= (deadline.expected or 0.0):
            return _left_out(tasks, "it is not expected to end in time")
        shortest = min(limit, left)
        outcome = run_isolated(
            run_tasks,
            (tuple(tasks), device),
            time_limit=None if shortest == math.inf else shortest,
            memory_limit=None if first.memory_limit is None else first.memory_limit * len(tasks),
            preload=first.preload,
        )
    if outcome.reason == "timeout" and left < limit:
        return _left_out(tasks, "stopped, as the time was over")
    if outcome.reason == "finished":
        finished: tuple[JobResult, ...] = outcome.value
        return finished
    return _recorded(tasks, store, OUTCOMES[outcome.reason], outcome.message, outcome.seconds)


def record_deaths(tasks: Sequence[Task], reason: str) -> tuple[JobResult, ...]:
    """Record that jobs died with the workers that ran them, unless another run has done them or is at it."""
    store = RecordStore(tasks[0].store_root)
    with claim(tasks, store) as (results, mine):
        return (*results, *_recorded(mine, store, "killed", reason))


def _recorded(
    tasks: Sequence[Task], store: RecordStore, status: Failure, error: str, seconds: float = 0.0
) -> tuple[JobResult, ...]:
    share = {"total": seconds / len(tasks)} if seconds else {}
    records = [replace(task.blank, status=status, error=error, seconds=share) for task in tasks]
    for record in records:
        store.write(record)
    return tuple(map(JobResult.of, records))


def _left_out(tasks: Sequence[Task], why: str) -> tuple[JobResult, ...]:
    return tuple(JobResult(task.blank.job, "left out", error=why) for task in tasks)
