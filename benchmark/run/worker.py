"""A job from request to record: the trial in a child process, its supervision, its failure; no planning.

`supervise` runs in a worker and stays light (it imports no torch); `run_jobs` runs in the worker's child.
"""

from __future__ import annotations

import dataclasses
import pickle
import sys
import time
import traceback
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from benchmark.contracts import Array, DatasetSpec, Job, MethodSpec, Record, Streams
from benchmark.run.devices import DevicePool
from benchmark.run.fingerprint import code_digest, code_root
from benchmark.run.isolation import Outcome, run_isolated
from benchmark.run.seeding import limit_threads_of_new_processes, make_deterministic
from benchmark.run.store import RecordStore, score_digest

if TYPE_CHECKING:
    from benchmark.run.trial import Trial

PRELOAD = ("benchmark.run.ignore_interrupt", "benchmark.run.preloaded")
JobStatus = Literal["done", "failed", "timeout", "elsewhere"]


@dataclass(frozen=True)
class JobRequest:
    """What a child needs to run one job; `blank` holds the parts of the record that are known before."""

    blank: Record
    method: MethodSpec
    """With the profile's options, and without its `seconds_hint`, which cannot be pickled."""
    dataset: DatasetSpec
    data_dir: Path
    max_train_rows: int | None
    max_test_rows: int | None
    store_root: Path
    refit: int = 0
    """0 for the job itself; k for its k-th refit: the same rows, another seed of the method."""


@dataclass(frozen=True)
class Ticket:
    """A request as a worker gets it: the child's part stays pickled, so that a worker imports no method."""

    job: Job
    blank: Record
    payload: bytes
    store_root: Path
    time_limit: float | None
    uses_device: bool
    code_root: tuple[str, str]
    preload: tuple[str, ...]


@dataclass(frozen=True)
class JobResult:
    """How a job ended; `elsewhere` means that another run is at it."""

    job: Job
    status: JobStatus
    seconds: float = 0.0
    error: str = ""


def ticket_for(request: JobRequest, time_limit: float | None, uses_device: bool) -> Ticket:
    """Pack a request for a worker.

    Raises
    ------
    TypeError
        If the method's or the data set's declaration cannot be pickled.
    """
    blank = request.blank
    try:
        payload = pickle.dumps(request)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        raise TypeError(
            f"{blank.method} on {blank.dataset} cannot be sent to another process ({error}); its MethodSpec "
            f"and DatasetSpec may hold only what pickle can handle: module-level classes and plain values"
        ) from error
    return Ticket(
        job=Job(blank.dataset, blank.method, blank.seed),
        blank=blank,
        payload=payload,
        store_root=request.store_root,
        time_limit=time_limit,
        uses_device=uses_device,
        code_root=code_root(request.method.estimator),
        preload=(*PRELOAD, request.method.estimator.__module__, type(request.dataset).__module__),
    )


def supervise(tickets: Sequence[Ticket], pool: DevicePool) -> tuple[JobResult, ...]:
    """Run jobs in one child process and make sure that a record of each one's end exists; it never raises.

    An exception here would end the whole `joblib.Parallel` call and lose the other jobs.

    Parameters
    ----------
    tickets
        One job, or several that differ in their seed alone and train side by side.
    pool
        Of devices, one of which the child gets.
    """
    try:
        return _supervise(tickets, pool)
    except Exception:
        error = traceback.format_exc()
        return tuple(JobResult(ticket.job, "failed", error=error) for ticket in tickets)


def _supervise(tickets: Sequence[Ticket], pool: DevicePool) -> tuple[JobResult, ...]:
    limit_threads_of_new_processes()
    first, store = tickets[0], RecordStore(tickets[0].store_root)
    if code_digest(first.code_root) != first.blank.settings["code"]:
        message = "not run: the project's code was edited after this run was planned; start the run again"
        return tuple(JobResult(ticket.job, "failed", error=message) for ticket in tickets)
    with ExitStack() as locks:
        results, mine = [], []
        for ticket in tickets:
            if not locks.enter_context(store.lock(ticket.job, ticket.blank.config_hash)):
                results.append(JobResult(ticket.job, "elsewhere"))
                continue
            earlier = store.find(ticket.job, ticket.blank.config_hash)
            if earlier is not None and earlier.status == "done":  # by another run, since this one was planned
                results.append(JobResult(ticket.job, "done", sum(earlier.seconds.values())))
            else:
                mine.append(ticket)
        return (*results, *(_run_isolated(mine, store, pool) if mine else ()))


def _run_isolated(tickets: Sequence[Ticket], store: RecordStore, pool: DevicePool) -> tuple[JobResult, ...]:
    first = tickets[0]
    # A limit is one job's; those of a batch are in it together.
    limit = None if first.time_limit is None else first.time_limit * len(tickets)
    payloads = tuple(ticket.payload for ticket in tickets)
    with (pool if first.uses_device else DevicePool(("cpu",), pool.lock_dir)).lease() as device:
        outcome = run_isolated(run_jobs, (payloads, device), time_limit=limit, preload=first.preload)
    if outcome.reason == "finished":
        finished: tuple[JobResult, ...] = outcome.value
        return finished
    results = []
    for ticket in tickets:
        record = _failure(ticket.blank, outcome, len(tickets))
        store.write(record)
        results.append(JobResult(ticket.job, record.status, record.seconds["total"], outcome.message))
    return tuple(results)


def _failure(blank: Record, outcome: Outcome, n_jobs: int) -> Record:
    status: Literal["failed", "timeout"] = "timeout" if outcome.reason == "timeout" else "failed"
    return dataclasses.replace(
        blank, status=status, error=outcome.message, seconds={"total": outcome.seconds / n_jobs}
    )


def run_jobs(payloads: Sequence[bytes], device: str) -> tuple[JobResult, ...]:
    """Run pickled requests, several that differ in their seed alone side by side; runs in the child."""
    requests: list[JobRequest] = [pickle.loads(payload) for payload in payloads]
    started = time.perf_counter()
    try:
        outcomes = _trials(requests, device)
    except Exception:  # whatever it is becomes the record of each job, with its traceback
        outcomes = [traceback.format_exc()] * len(requests)
    share = (time.perf_counter() - started) / len(requests)
    return tuple(
        _finish(request, outcome, share, device, len(requests))
        for request, outcome in zip(requests, outcomes, strict=True)
    )


def _finish(request: JobRequest, outcome: Trial | str, trained: float, device: str, beside: int) -> JobResult:
    """Write the record of one job from its trial, or from the traceback of why there is none."""
    blank = request.blank
    started = time.perf_counter()
    arrays: Mapping[str, Array] | None = None
    error = outcome if isinstance(outcome, str) else ""
    record = blank
    if not isinstance(outcome, str):
        try:
            record, arrays = _record(blank, outcome, device, beside)
        except Exception:  # becomes this job's record; the others of the batch keep theirs
            error = traceback.format_exc()
    seconds = trained + time.perf_counter() - started
    if error:
        record = dataclasses.replace(
            blank, status="failed", error=error, seconds={"total": seconds}, peak_mib=peak_mib()
        )
    RecordStore(request.store_root).write(record, arrays)
    job = Job(blank.dataset, blank.method, blank.seed)
    return JobResult(job, record.status, seconds, record.error)


def _trials(requests: Sequence[JobRequest], device: str) -> list[Trial | str]:
    """Run the trials of requests for one method on one data set; a traceback for each that failed."""
    from benchmark.run.memory import keep_freed_memory
    from benchmark.run.side_by_side import run_trials_together
    from benchmark.run.trial import build_estimator, run_trial

    first, spec = requests[0], requests[0].method
    streams = [Streams(r.blank.dataset, method_seed(r.blank.seed, r.refit)) for r in requests]
    make_deterministic(streams[0])
    keep_freed_memory()
    clock = time.perf_counter()
    dataset = first.dataset.load(first.data_dir)
    loaded = (time.perf_counter() - clock) / len(requests)
    if dataset.data_hash != first.blank.data_hash:
        raise RuntimeError(
            f"data set {first.blank.dataset!r} changed after the run was planned: its hash is "
            f"{dataset.data_hash}, planned was {first.blank.data_hash}; start the run again"
        )
    methods = [build_estimator(spec.estimator, spec.options, one, device) for one in streams]
    caps = (first.max_train_rows, first.max_test_rows)
    outcomes: list[Trial | Exception]
    if len(requests) == 1 or spec.fit_together is None:
        outcomes = [run_trial(methods[0], dataset, first.blank.seed, *caps)]
    else:
        seeds = [request.blank.seed for request in requests]
        outcomes = run_trials_together(methods, spec.fit_together, dataset, seeds, *caps)
    return [
        "".join(traceback.format_exception(outcome))
        if isinstance(outcome, Exception)
        else dataclasses.replace(outcome, seconds={"load": loaded, **outcome.seconds})
        for outcome in outcomes
    ]


def _record(blank: Record, trial: Trial, device: str, beside: int) -> tuple[Record, Mapping[str, Array]]:
    from benchmark.run.environment import describe_environment
    from benchmark.score.acquisition import read_acquisition
    from benchmark.score.reading import read_scores, read_steps

    clock = time.perf_counter()
    reading = read_scores(trial.arrays, blank.scoring, blank.threshold)
    steps = read_steps(trial.arrays, blank.scoring, blank.threshold)
    extraction = read_acquisition(trial.arrays)
    seconds = {**trial.seconds, "evaluate": time.perf_counter() - clock}
    arrays = {**trial.arrays, "predictions": reading.predictions, "thresholds": reading.thresholds}
    record = dataclasses.replace(
        blank,
        status="done",
        transductive=reading.transductive,
        metrics=reading.metrics,
        step_metrics=tuple(steps),
        extraction=extraction,
        score_digest=score_digest(trial.arrays["scores"]),
        seconds=seconds,
        peak_mib=peak_mib(),
        environment={
            **describe_environment(),
            "device": device,
            **({"side_by_side": beside} if beside > 1 else {}),
        },
    )
    return record, arrays


def method_seed(seed: int, refit: int) -> int:
    """Return the seed of the method's own randomness: the job's, or in a refit one that is no job's.

    `run_trial` takes the job's seed for split and hold-out, so a refit sees the same rows; only what the
    method itself draws (initialisation, shuffling, dropout, choices) is drawn anew.
    """
    return seed + refit * 2**32


def peak_mib() -> float:
    """Return the largest resident memory of this process so far, in MiB."""
    import resource

    peak: Any = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2**20 if sys.platform == "darwin" else peak / 2**10
