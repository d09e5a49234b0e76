"""A job as it is sent to where it runs, and the word that comes back of its end; nothing here runs one."""

from __future__ import annotations

import pickle
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from benchmark.contracts import Failure, Job, Record, RecordStatus
from benchmark.run.bench import Bench, Slot
from benchmark.run.config import Limits, Running
from benchmark.run.record_file import SCHEMA_VERSION
from benchmark.score.thresholds import is_transductive

PRELOAD = ("benchmark.run.preloaded",)
JobStatus = Literal[RecordStatus, "elsewhere", "left out"]
FAILURES = get_args(Failure)
AUTOMATIC_ATTEMPTS = 2
"""A failed job is retried once by itself; after that only when asked for."""


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
    memory_limit: int | None
    """Bytes that the job may use; not part of a record's hash, as little as the time limit."""
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


def make_task(slot: Slot, bench: Bench, running: Running | None = None) -> Task:
    """Pack one job for a worker, with the limits of its profile and of the run.

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
        limits=setup.limits if running is None else setup.limits.with_time_limit(running.job_timeout),
        memory_limit=None if running is None else running.job_memory,
        refit=bench.refit,
        uses_device=setup.uses_device,
        code_roots=setup.code_roots,
        preload=(*PRELOAD, spec.estimator.__module__, type(dataset).__module__),
    )
