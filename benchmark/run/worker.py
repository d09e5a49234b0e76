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
from benchmark.run.in_turn import run_in_turn
from benchmark.run.isolation import Child
from benchmark.run.seeding import limit_threads_of_new_processes
from benchmark.run.store import RecordStore
from benchmark.run.task import AUTOMATIC_ATTEMPTS, Deadline, JobResult, Task

OUTCOMES: Mapping[str, Failure] = {
    "timeout": "timeout",
    "out-of-memory": "out-of-memory",
    "killed": "killed",
    "exited": "failed",
    "raised": "failed",
}
"""The status of a job by how its process ended."""


def supervise(
    tasks: Sequence[Task], pool: DevicePool, deadline: Deadline | None = None, lasting: Child | None = None
) -> tuple[JobResult, ...]:
    """Run jobs in one child process and make sure that a record of each one's end exists; it never raises.

    An exception here would end the whole `joblib.Parallel` call and lose the other jobs.

    Parameters
    ----------
    tasks
        One job, or several that differ in their seed alone and train together.
    pool
        Of devices, one of which the child gets.
    deadline
        A job that is not expected to end by then does not start; one that runs is killed then, and leaves
        no record.
    lasting
        A child that runs jobs in turn, for those that use a device; by default each call has its own. Jobs
        whose child died or was killed at a limit run once more in the next.

    Raises
    ------
    Stopped
        If the lasting child was stopped, alone.
    """
    try:
        return _supervise(tasks, pool, deadline, lasting)
    except Exception:
        error = traceback.format_exc()
        return tuple(JobResult(task.blank.job, "failed", error=error) for task in tasks)


def _supervise(
    tasks: Sequence[Task], pool: DevicePool, deadline: Deadline | None, lasting: Child | None
) -> tuple[JobResult, ...]:
    limit_threads_of_new_processes()
    first, store = tasks[0], RecordStore(tasks[0].store_root)
    if code_digest(*first.code_roots) != first.blank.settings["code"]:
        message = "not run: the project's code was edited after this run was planned; start the run again"
        return tuple(JobResult(task.blank.job, "failed", error=message) for task in tasks)
    with claim(tasks, store) as (results, mine):
        return (*results, *(_run_in_child(mine, store, pool, deadline, lasting) if mine else ()))


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
            elif done := _done(task, store):  # by another run, since this one was planned
                results.append(done)
            else:
                mine.append(task)
        yield tuple(results), tuple(mine)


def _done(task: Task, store: RecordStore) -> JobResult | None:
    record = store.find(task.blank.job, task.blank.config_hash)
    return JobResult.of(record) if record is not None and record.status == "done" else None


def _run_in_child(
    tasks: Sequence[Task],
    store: RecordStore,
    pool: DevicePool,
    deadline: Deadline | None,
    lasting: Child | None,
) -> tuple[JobResult, ...]:
    first, limit = tasks[0], tasks[0].limits.time_limit_seconds or math.inf
    with ExitStack() as held:
        child = lasting or held.enter_context(Child(first.preload))
        if lasting:
            lasting.ready()
        devices = pool if first.uses_device else DevicePool(("cpu",), pool.lock_dir)
        try:
            left = deadline.left() if deadline else None
            device = held.enter_context(devices.lease(left, child.stopped))
        except TimeoutError:
            return _left_out(tasks, "no device became free in time")
        left = deadline.left() if deadline else math.inf
        if deadline and left <= (deadline.expected or 0.0):
            return _left_out(tasks, "it is not expected to end in time")
        shortest = min(limit, left)
        outcome = child.call(
            run_in_turn if lasting else run_tasks,
            (tuple(tasks), device),
            time_limit=None if shortest == math.inf else shortest,
            memory_limit=first.memory_limit,
        )
    if outcome.reason == "finished":
        finished: tuple[JobResult, ...] = outcome.value
        return finished
    done = tuple(filter(None, (_done(task, store) for task in tasks)))  # before its process died
    undone = [task for task in tasks if task.blank.job not in {result.job for result in done}]
    if outcome.reason == "timeout" and left < limit:
        return (*done, *_left_out(undone, "stopped, as the time was over"))
    if lasting and undone and all(task.blank.attempts < AUTOMATIC_ATTEMPTS for task in undone):
        again = [replace(t, blank=replace(t.blank, attempts=t.blank.attempts + 1)) for t in undone]
        return (*done, *_run_in_child(again, store, pool, deadline, lasting))
    return (*done, *_recorded(undone, store, OUTCOMES[outcome.reason], outcome.message, outcome.seconds))


def record_deaths(tasks: Sequence[Task], reason: str) -> tuple[JobResult, ...]:
    """Record that jobs died with the workers that ran them, unless another run has done them or is at it."""
    store = RecordStore(tasks[0].store_root)
    with claim(tasks, store) as (results, mine):
        return (*results, *_recorded(mine, store, "killed", reason))


def _recorded(
    tasks: Sequence[Task], store: RecordStore, status: Failure, error: str, seconds: float = 0.0
) -> tuple[JobResult, ...]:
    share = {"total": seconds / len(tasks)} if seconds and tasks else {}
    records = [replace(task.blank, status=status, error=error, seconds=share) for task in tasks]
    for record in records:
        store.write(record)
    return tuple(map(JobResult.of, records))


def _left_out(tasks: Sequence[Task], why: str) -> tuple[JobResult, ...]:
    return tuple(JobResult(task.blank.job, "left out", error=why) for task in tasks)
