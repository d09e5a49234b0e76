"""Which jobs a run consists of, which are done, and how long the rest may take; it runs none of them."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from benchmark.contracts import DatasetSpec, Job, MethodSpec, Provenance, Record, Shape
from benchmark.registry import Registry
from benchmark.run.config import Limits, Profile, RunConfig
from benchmark.run.environment import processor
from benchmark.run.fingerprint import canonical, code_digest, code_root, config_hash
from benchmark.run.pace import Pace, pace_key
from benchmark.run.split import SPLIT_VERSION, sizes
from benchmark.run.store import SCHEMA_VERSION, RecordStore
from benchmark.run.trial import PASSED_BY_HARNESS
from benchmark.run.worker import JobRequest, Ticket, ticket_for

State = Literal["done", "missing", "failed"]
AUTOMATIC_ATTEMPTS = 2
"""A failed job is retried once by itself; after that only when asked for."""
NOT_TIMED = ("code", "data_hash")
"""Settings that need not agree for an earlier record to tell how long a job takes."""


@dataclass(frozen=True)
class DatasetFacts:
    """What planning needs to know of a data set; found by loading it once."""

    spec: DatasetSpec
    shape: Shape
    provenance: Provenance
    data_hash: str
    note: str


@dataclass(frozen=True)
class Cell:
    """One method on one data set under one profile: all that its seeds have in common."""

    method: MethodSpec
    facts: DatasetFacts
    limits: Limits
    options: Mapping[str, Any]
    """For the constructor, after the profile's caps."""
    settings: Mapping[str, Any]
    config_hash: str
    expected_seconds: float | None
    measured: bool
    """Whether that rests on finished records of the method on the data set."""


@dataclass(frozen=True)
class PlannedJob:
    """One job, its state in the store, and whether this run is to run it."""

    job: Job
    cell: Cell
    state: State
    record: Record | None
    to_run: bool


@dataclass(frozen=True)
class Plan:
    """All jobs of a run in the order in which they start, and what the store holds beside them."""

    profile: Profile
    jobs: tuple[PlannedJob, ...]
    stale: tuple[Record, ...]
    """Records of this profile whose hash is no longer current."""
    broken: tuple[str, ...]
    """A message for each record folder that cannot be read."""
    left_out: tuple[PlannedJob, ...] = ()
    """Jobs that are missing and that a time budget has no room for; they are among `jobs` too."""

    def to_run(self) -> tuple[PlannedJob, ...]:
        """Return the jobs that this run has to run."""
        return tuple(planned for planned in self.jobs if planned.to_run)

    def records(self) -> tuple[Record, ...]:
        """Return the current records of all jobs of the plan, done or failed."""
        return tuple(planned.record for planned in self.jobs if planned.record is not None)


Pairs = Sequence[tuple[str, str]]
"""Data set and method, by id."""


def make_plan(
    config: RunConfig,
    registry: Registry,
    store: RecordStore,
    catalogue: Catalogue,
    pairs: Pairs | None = None,
    pace: Pace | None = None,
) -> Plan:
    """Compare what `config` asks for with what `store` holds.

    Jobs are ordered real data first, then by seed, so that a whole table of the real data exists after
    the first seed.

    Parameters
    ----------
    config, registry, store
        What is wanted, what there is, and what was done.
    catalogue
        Loads each data set once.
    pairs
        Data sets and methods to plan for instead of those that `config` chooses.
    pace
        Of this machine; see `benchmark.run.pace`. Without it hints are taken as they are.

    Raises
    ------
    DataError
        If a data set cannot be used.
    """
    scan = store.scan()
    by_key = {_key(record): record for record in scan.records}
    by_pair: dict[tuple[str, str], list[Record]] = {}
    for record in scan.records:
        by_pair.setdefault((record.dataset, record.method), []).append(record)
    chosen = chosen_pairs(config, registry) if pairs is None else pairs
    codes = {method: code_digest(code_root(registry.methods[method].estimator)) for _, method in chosen}
    cells = [
        make_cell(
            registry.methods[method],
            catalogue.facts(registry.datasets[dataset]),
            config,
            codes[method],
            by_pair.get((dataset, method), ()),
            pace or {},
        )
        for dataset, method in chosen
    ]
    real = [cell for cell in cells if cell.facts.provenance is not Provenance.LOOK_ALIKE]
    synthetic = [cell for cell in cells if cell.facts.provenance is Provenance.LOOK_ALIKE]
    planned = [
        _plan_job(cell, seed, by_key, config.retry_failed)
        for group in (real, synthetic)
        for seed in config.seeds
        for cell in group
    ]
    current = {(cell.facts.spec.id, cell.method.id): cell.config_hash for cell in cells}
    stale = tuple(
        record
        for record in scan.records
        if record.profile == config.profile.name
        and current.get((record.dataset, record.method), record.config_hash) != record.config_hash
    )
    return Plan(config.profile, tuple(planned), stale, scan.broken)


def _key(record: Record) -> tuple[str, str, int, str]:
    return record.dataset, record.method, record.seed, record.config_hash


class Catalogue:
    """What planning knows of data sets; each is loaded once, and its arrays are not kept."""

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir
        self._known: dict[str, DatasetFacts] = {}

    def facts(self, spec: DatasetSpec) -> DatasetFacts:
        """Return shape, provenance and hash of a data set."""
        if spec.id not in self._known:
            dataset = spec.load(self.data_dir)
            self._known[spec.id] = DatasetFacts(
                spec, dataset.shape, dataset.provenance, dataset.data_hash, dataset.note
            )
        return self._known[spec.id]


def chosen_pairs(config: RunConfig, registry: Registry) -> Pairs:
    """Return what to run: methods on the data sets meant for them, and methods named outright on all."""
    return [
        (dataset, name)
        for dataset in config.datasets.ids
        for name in config.methods.ids
        if (limited_to := registry.methods[name].datasets) is None
        or dataset in limited_to
        or name in config.methods.named
    ]


def recorded_pairs(registry: Registry, store: RecordStore) -> Pairs:
    """Return the pairs of which the store holds any record, in the registry's order."""
    recorded = {(record.dataset, record.method) for record in store.scan().records}
    return [
        (dataset, method)
        for dataset in registry.datasets
        for method in registry.methods
        if (dataset, method) in recorded
    ]


def make_cell(
    method: MethodSpec,
    facts: DatasetFacts,
    config: RunConfig,
    code: str,
    records: Sequence[Record] = (),
    pace: Pace | None = None,
) -> Cell:
    """Apply the profile to one method on one data set, and hash the outcome.

    `code` is the digest of the method's code, and `records` are those of the method on the data set.
    """
    limits = config.profile.limits_for(facts.spec.id)
    n_train, n_test = sizes(facts.shape.n)
    options = dict(method.options)
    params = method.estimator(**options).get_params(deep=False)
    if (
        limits.epochs is not None
        and isinstance(params.get("epochs"), int)
        and params["epochs"] > limits.epochs
    ):
        params["epochs"] = options["epochs"] = limits.epochs
    settings = {
        "dataset": facts.spec.id,
        "estimator": canonical(method.estimator),
        "options": canonical({key: params[key] for key in sorted(params) if key not in PASSED_BY_HARNESS}),
        "max_train_rows": _biting(limits.max_train_rows, n_train),
        "max_test_rows": _biting(limits.max_test_rows, n_test),
        "split_version": SPLIT_VERSION,
        "data_hash": facts.data_hash,
        "provenance": str(facts.provenance),
        "code": code,
    }
    expected, measured = _expected_seconds(method, facts.shape, options, settings, records, pace or {})
    return Cell(method, facts, limits, options, settings, config_hash(settings), expected, measured)


def _biting(cap: int | None, rows: int) -> int | None:
    """Return a cap on rows only if it takes any away; otherwise it must not enter the hash."""
    return cap if cap is not None and cap < rows else None


def _expected_seconds(
    method: MethodSpec,
    shape: Shape,
    options: Mapping[str, Any],
    settings: Mapping[str, Any],
    records: Iterable[Record],
    pace: Pace,
) -> tuple[float | None, bool]:
    """Return how long a job should take, and whether records of the method on the data set say so.

    The median of earlier records with the same settings; else the method's hint, scaled by what records of
    other settings took over what it says of them; else the hint scaled by this machine's pace.
    """
    here = processor()
    own = [
        record
        for record in records
        if record.status == "done"
        and record.environment.get("processor") == here
        and "side_by_side" not in record.environment
    ]
    wanted = {key: value for key, value in settings.items() if key not in NOT_TIMED}
    same = [
        sum(record.seconds.values())
        for record in own
        if {key: value for key, value in record.settings.items() if key not in NOT_TIMED} == wanted
    ]
    if same:
        return statistics.median(same), True
    if method.seconds_hint is None:
        return None, False
    hint = _hint(method.seconds_hint, shape, settings, options)
    ratios = [
        sum(record.seconds.values())
        / _hint(method.seconds_hint, shape, record.settings, record.settings["options"])
        for record in own
    ]
    if ratios:
        return hint * statistics.median(ratios), True
    return hint * pace.get(pace_key(method), 1.0), False


def _hint(
    seconds: Callable[[Shape, Mapping[str, Any]], float],
    shape: Shape,
    settings: Mapping[str, Any],
    options: Mapping[str, Any],
) -> float:
    """Return what a method's hint says of a fit on the rows that settings leave of a shape."""
    rows = sum(sizes(shape.n, settings["max_train_rows"], settings["max_test_rows"]))
    return float(seconds(dataclasses.replace(shape, n=rows), options))


def _plan_job(
    cell: Cell, seed: int, records: Mapping[tuple[str, str, int, str], Record], retry_failed: bool
) -> PlannedJob:
    job = Job(cell.facts.spec.id, cell.method.id, seed)
    record = records.get((job.dataset, job.method, seed, cell.config_hash))
    if record is None:
        return PlannedJob(job, cell, "missing", None, to_run=True)
    if record.status == "done":
        return PlannedJob(job, cell, "done", record, to_run=False)
    return PlannedJob(job, cell, "failed", record, retry_failed or record.attempts < AUTOMATIC_ATTEMPTS)


def make_ticket(planned: PlannedJob, config: RunConfig, store: RecordStore) -> Ticket:
    """Pack one planned job for a worker."""
    cell, spec = planned.cell, planned.cell.method
    blank = Record(
        schema_version=SCHEMA_VERSION,
        dataset=planned.job.dataset,
        method=planned.job.method,
        seed=planned.job.seed,
        config_hash=cell.config_hash,
        settings=cell.settings,
        status="failed",
        profile=config.profile.name,
        preset=spec.preset,
        scoring=spec.scoring,
        threshold=spec.threshold,
        transductive=False,
        provenance=cell.facts.provenance,
        data_hash=cell.facts.data_hash,
        data_note=cell.facts.note,
        attempts=planned.record.attempts + 1 if planned.record else 1,
    )
    request = JobRequest(
        blank=blank,
        method=dataclasses.replace(spec, options=dict(cell.options), seconds_hint=None, probe=None),
        dataset=cell.facts.spec,
        data_dir=config.data_dir,
        max_train_rows=cell.limits.max_train_rows,
        max_test_rows=cell.limits.max_test_rows,
        store_root=store.root,
        refit=config.refit,
    )
    uses_device = "device" in spec.estimator(**cell.options).get_params(deep=False)
    return ticket_for(request, cell.limits.time_limit_seconds, uses_device)


def side_by_side(planned: Sequence[PlannedJob], most: int) -> list[tuple[PlannedJob, ...]]:
    """Join jobs that differ in their seed alone, up to `most`, where their method can train them together.

    A batch takes the place of its first job.
    """
    batches: list[list[PlannedJob]] = []
    open_batch: dict[tuple[str, str], list[PlannedJob]] = {}
    for job in planned:
        key = (job.job.dataset, job.job.method)
        batch = open_batch.get(key)
        if batch is not None and len(batch) < most and job.cell.method.fit_together is not None:
            batch.append(job)
            continue
        open_batch[key] = [job]
        batches.append(open_batch[key])
    return [tuple(batch) for batch in batches]


def expected_total(planned: Sequence[PlannedJob], workers: int, batch_seeds: int = 1) -> tuple[float, int]:
    """Return the seconds that jobs should take on `workers` cores, and how many jobs nobody can judge.

    Seeds that train side by side keep one core busy as long as one after the other would.
    """
    batches = [
        [job.cell.expected_seconds for job in batch if job.cell.expected_seconds is not None]
        for batch in side_by_side(planned, batch_seeds)
    ]
    each = [sum(batch) for batch in batches]
    total = max(sum(each) / max(workers, 1), max(each, default=0.0))
    return total, len(planned) - sum(map(len, batches))
