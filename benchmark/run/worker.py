"""A job becomes a record: its task, supervised by a worker, its trial in the worker's child; no planning.

`supervise` runs in a worker and stays light (it imports no torch); `run_tasks` runs in the worker's child.
"""

from __future__ import annotations

import math
import pickle
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from benchmark.contracts import Dataset, Job, Record, Streams
from benchmark.run.bench import Bench, Slot
from benchmark.run.config import Limits
from benchmark.run.devices import DevicePool
from benchmark.run.fingerprint import code_digest, code_roots
from benchmark.run.isolation import run_isolated
from benchmark.run.seeding import limit_threads_of_new_processes, make_deterministic
from benchmark.run.store import SCHEMA_VERSION, RecordStore, score_digest
from benchmark.score.thresholds import is_transductive

if TYPE_CHECKING:
    from benchmark.run.trial import Trial

PRELOAD = ("benchmark.run.preloaded",)
JobStatus = Literal["done", "failed", "timeout", "elsewhere", "left out"]


@dataclass(frozen=True)
class Task:
    """One job as a worker gets it: what its record and its child need, and nothing that imports a method."""

    blank: Record
    """The job's record, but for how it ended."""
    payload: bytes
    """Estimator, options and `fit_together`, pickled: to unpickle them imports them, which is for the child
    alone."""
    dataset: bytes
    """The `DatasetSpec`, pickled."""
    data_dir: Path
    rows_id: str
    """What the streams of randomness are drawn by, see `Dataset.rows_id`."""
    store_root: Path
    limits: Limits
    refit: int
    """0 for the job itself; k for its k-th refit: the same rows, another seed of the method."""
    uses_device: bool
    code_roots: tuple[tuple[str, str], ...]
    preload: tuple[str, ...]


@dataclass(frozen=True)
class JobResult:
    """How a job ended: `elsewhere` if another run is at it, `left out` if the run's time was over first."""

    job: Job
    status: JobStatus
    seconds: float = 0.0
    error: str = ""

    @classmethod
    def of(cls, record: Record) -> JobResult:
        """Tell what a record tells."""
        return cls(record.job, record.status, sum(record.seconds.values()), record.error)


@dataclass(frozen=True)
class Deadline:
    """When a run has to be over, and how long the job at hand should take."""

    at: float
    """As `time.time` counts, so that processes agree on it."""
    expected: float | None
    """Seconds; None if unknown."""

    def left(self) -> float:
        """Return the seconds until then."""
        return max(self.at - time.time(), 0.0)


def make_task(slot: Slot, bench: Bench) -> Task:
    """Pack one job for a worker.

    Raises
    ------
    TypeError
        If the method's or the data set's declaration cannot be pickled.
    """
    setup, spec, dataset = slot.setup, slot.setup.method, slot.setup.facts.spec
    blank = Record(
        schema_version=SCHEMA_VERSION,
        dataset=slot.job.dataset,
        method=slot.job.method,
        seed=slot.job.seed,
        config_hash=setup.config_hash,
        settings=setup.settings,
        status="failed",
        profile=bench.profile.name,
        preset=spec.preset,
        scoring=spec.scoring,
        threshold=spec.threshold,
        transductive=is_transductive(spec.threshold),
        provenance=setup.facts.provenance,
        data_hash=setup.facts.data_hash,
        data_note=setup.facts.note,
        attempts=slot.record.attempts + 1 if slot.record else 1,
    )
    try:
        payload = pickle.dumps((spec.estimator, dict(setup.options), spec.fit_together))
        pickled_dataset = pickle.dumps(dataset)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"{blank.method} on {blank.dataset} cannot be sent to another process ({error}); its MethodSpec "
            f"and DatasetSpec may hold only what pickle can handle: module-level classes and plain values"
        ) from error
    return Task(
        blank=blank,
        payload=payload,
        dataset=pickled_dataset,
        data_dir=bench.data_dir,
        rows_id=setup.facts.rows_id,
        store_root=bench.store.root,
        limits=setup.limits,
        refit=bench.refit,
        uses_device=setup.uses_device,
        code_roots=code_roots(spec.estimator, setup.options),
        preload=(*PRELOAD, spec.estimator.__module__, type(dataset).__module__),
    )


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
            preload=first.preload,
        )
    if outcome.reason == "timeout" and left < limit:
        return _left_out(tasks, "stopped, as the time was over")
    if outcome.reason == "finished":
        finished: tuple[JobResult, ...] = outcome.value
        return finished
    status: Literal["failed", "timeout"] = "timeout" if outcome.reason == "timeout" else "failed"
    total = {"total": outcome.seconds / len(tasks)}
    records = [replace(task.blank, status=status, error=outcome.message, seconds=total) for task in tasks]
    for record in records:
        store.write(record)
    return tuple(map(JobResult.of, records))


def _left_out(tasks: Sequence[Task], why: str) -> tuple[JobResult, ...]:
    return tuple(JobResult(task.blank.job, "left out", error=why) for task in tasks)


def run_tasks(tasks: Sequence[Task], device: str) -> tuple[JobResult, ...]:
    """Run tasks, several that differ in their seed alone side by side, and write records; in the child."""
    started = time.perf_counter()
    try:
        trials = _trials(tasks, device)
    except Exception:  # whatever it is becomes the record of each job, with its traceback
        trials = [traceback.format_exc()] * len(tasks)
    share = (time.perf_counter() - started) / len(tasks)
    return tuple(
        JobResult.of(_written(task, trial, share, device, len(tasks)))
        for task, trial in zip(tasks, trials, strict=True)
    )


def _trials(tasks: Sequence[Task], device: str) -> list[Trial | str]:
    """Run the trials of tasks for one method on one data set; a traceback for each that failed."""
    from benchmark.run.memory import keep_freed_memory
    from benchmark.run.side_by_side import run_trials_together
    from benchmark.run.trial import build_estimator, run_trial

    first = tasks[0]
    estimator, options, fit_together = pickle.loads(first.payload)
    streams = [Streams(task.rows_id, method_seed(task.blank.seed, task.refit)) for task in tasks]
    make_deterministic(streams[0])
    keep_freed_memory()
    clock = time.perf_counter()
    dataset = load_planned(first)
    loaded = (time.perf_counter() - clock) / len(tasks)
    methods = [build_estimator(estimator, options, one, device) for one in streams]
    caps = (first.limits.max_train_rows, first.limits.max_test_rows)
    trials: list[Trial | Exception]
    if len(tasks) == 1 or fit_together is None:
        trials = [run_trial(methods[0], dataset, first.blank.seed, *caps)]
    else:
        seeds = [task.blank.seed for task in tasks]
        trials = run_trials_together(methods, fit_together, dataset, seeds, *caps)
    return [
        "".join(traceback.format_exception(trial))
        if isinstance(trial, Exception)
        else replace(trial, seconds={"load": loaded, **trial.seconds})
        for trial in trials
    ]


def load_planned(task: Task) -> Dataset:
    """Load a task's data set; `RuntimeError` if it is not the one that the run was planned with."""
    dataset: Dataset = pickle.loads(task.dataset).load(task.data_dir)
    if dataset.data_hash != task.blank.data_hash:
        raise RuntimeError(
            f"data set {task.blank.dataset!r} changed after the run was planned: its hash is "
            f"{dataset.data_hash}, planned was {task.blank.data_hash}; start the run again"
        )
    return dataset


def _written(task: Task, trial: Trial | str, share: float, device: str, beside: int) -> Record:
    """Write the record of one job from its trial, or from the traceback of why there is none."""
    from benchmark.run.environment import describe_environment
    from benchmark.run.memory import peak_mib

    store, error = RecordStore(task.store_root), trial
    if not isinstance(trial, str):
        together = {"side_by_side": beside} if beside > 1 else {}
        record = replace(
            task.blank,
            status="done",
            score_digest=score_digest(trial.arrays["scores"]),
            seconds=trial.seconds,
            peak_mib=peak_mib(),
            environment={**describe_environment(), "device": device, **together},
        )
        try:
            store.write(record, trial.arrays)
            return record
        except Exception:  # arrays that no file can hold; the others of the batch keep their records
            error = traceback.format_exc()
    record = replace(task.blank, error=str(error), seconds={"total": share}, peak_mib=peak_mib())
    store.write(record)
    return record


def method_seed(seed: int, refit: int) -> int:
    """Return the seed of the method's own randomness: the job's, or in a refit one that is no job's.

    `run_trial` takes the job's seed for split and hold-out, so a refit sees the same rows; only what the
    method itself draws (initialisation, shuffling, dropout, choices) is drawn anew.
    """
    return seed + refit * 2**32
