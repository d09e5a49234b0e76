"""One job from request to record: the trial in a child process, its supervision, its failure; no planning.

`supervise` runs in a worker and stays light (it imports no torch); `run_job` runs in the worker's child.
"""

from __future__ import annotations

import dataclasses
import pickle
import sys
import time
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmark.contracts import Array, DatasetSpec, Job, MethodSpec, Record, Streams
from benchmark.execute.devices import DevicePool
from benchmark.execute.fingerprint import code_digest, code_root
from benchmark.execute.isolation import Outcome, run_isolated
from benchmark.execute.seeding import limit_threads_of_new_processes, make_deterministic
from benchmark.execute.store import RecordStore, score_digest

PRELOAD = ("benchmark.execute.warm",)
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


def supervise(ticket: Ticket, pool: DevicePool) -> JobResult:
    """Run one job in a child process and make sure that a record of its end exists; it never raises.

    An exception here would end the whole `joblib.Parallel` call and lose the other jobs.
    """
    try:
        return _supervise(ticket, pool)
    except Exception:
        return JobResult(ticket.job, "failed", error=traceback.format_exc())


def _supervise(ticket: Ticket, pool: DevicePool) -> JobResult:
    limit_threads_of_new_processes()
    store = RecordStore(ticket.store_root)
    if code_digest(ticket.code_root) != ticket.blank.settings["code"]:
        message = "not run: the project's code was edited after this run was planned; start the run again"
        return JobResult(ticket.job, "failed", error=message)
    with store.lock(ticket.job, ticket.blank.config_hash) as mine:
        if not mine:
            return JobResult(ticket.job, "elsewhere")
        earlier = store.find(ticket.job, ticket.blank.config_hash)
        if earlier is not None and earlier.status == "done":  # by another run, since this one was planned
            return JobResult(ticket.job, "done", sum(earlier.seconds.values()))
        with (pool if ticket.uses_device else DevicePool(("cpu",), pool.lock_dir)).lease() as device:
            outcome = run_isolated(
                run_job, (ticket.payload, device), time_limit=ticket.time_limit, preload=ticket.preload
            )
        if outcome.reason == "finished":
            result: JobResult = outcome.value
            return result
        record = _failure(ticket.blank, outcome)
        store.write(record)
        return JobResult(ticket.job, record.status, outcome.seconds, outcome.message)


def _failure(blank: Record, outcome: Outcome) -> Record:
    status: Literal["failed", "timeout"] = "timeout" if outcome.reason == "timeout" else "failed"
    return dataclasses.replace(
        blank, status=status, error=outcome.message, seconds={"total": outcome.seconds}
    )


def run_job(payload: bytes, device: str) -> JobResult:
    """Run a pickled `JobRequest` on `device` and write its record, done or failed; runs in the child."""
    request: JobRequest = pickle.loads(payload)
    blank = request.blank
    started = time.perf_counter()
    try:
        record, arrays = _run(request, device)
    except Exception:
        failed = dataclasses.replace(
            blank,
            status="failed",
            error=traceback.format_exc(),
            seconds={"total": time.perf_counter() - started},
            peak_mib=peak_mib(),
        )
        record, arrays = failed, None
    RecordStore(request.store_root).write(record, arrays)
    job = Job(blank.dataset, blank.method, blank.seed)
    return JobResult(job, record.status, time.perf_counter() - started, record.error)


def _run(request: JobRequest, device: str) -> tuple[Record, Mapping[str, Array]]:
    from benchmark.evaluate.extraction import read_extraction
    from benchmark.evaluate.reading import read_scores, read_steps
    from benchmark.execute.environment import describe_environment
    from benchmark.execute.memory import keep_freed_memory
    from benchmark.execute.trial import build_estimator, run_trial

    blank, spec = request.blank, request.method
    streams = Streams(blank.dataset, method_seed(blank.seed, request.refit))
    make_deterministic(streams)
    keep_freed_memory()
    clock = time.perf_counter()
    dataset = request.dataset.load(request.data_dir)
    loaded = time.perf_counter() - clock
    if dataset.data_hash != blank.data_hash:
        raise RuntimeError(
            f"data set {blank.dataset!r} changed after the run was planned: its hash is {dataset.data_hash}, "
            f"planned was {blank.data_hash}; start the run again"
        )
    method = build_estimator(spec.estimator, spec.options, streams, device)
    trial = run_trial(method, dataset, blank.seed, request.max_train_rows, request.max_test_rows)
    clock = time.perf_counter()
    reading = read_scores(trial.arrays, blank.scoring, blank.threshold)
    steps = read_steps(trial.arrays, blank.scoring, blank.threshold)
    extraction = read_extraction(trial.arrays)
    seconds = {"load": loaded, **trial.seconds, "evaluate": time.perf_counter() - clock}
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
        environment={**describe_environment(), "device": device},
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
