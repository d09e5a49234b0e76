"""Which jobs a run consists of, which are done, and how long the rest may take; it runs none of them."""

from __future__ import annotations

import dataclasses
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.contracts import Record, Shape
from benchmark.run.bench import Bench, Inventory, Pair, Setup, Slot, State
from benchmark.run.environment import processor
from benchmark.run.pace import Pace, pace_key
from benchmark.run.split import sizes

AUTOMATIC_ATTEMPTS = 2
"""A failed job is retried once by itself; after that only when asked for."""
NOT_TIMED = ("code", "data_hash")
"""Settings that need not agree for an earlier record to tell how long a job takes."""


@dataclass(frozen=True)
class PlannedJob(Slot):
    """A job, whether this run is to run it, and how long that should take."""

    to_run: bool
    expected_seconds: float | None
    measured: bool
    """Whether that rests on finished records of the method on the data set."""
    elsewhere: bool = False
    """Whether its metrics are known from another machine, so that it counts as done without a record."""

    @property
    def state(self) -> State:
        """Return whether it is done, here or elsewhere."""
        return "done" if self.elsewhere else super().state


@dataclass(frozen=True)
class Plan:
    """All jobs of a run in the order in which they start, and what the store holds beside them."""

    inventory: Inventory
    jobs: tuple[PlannedJob, ...]
    left_out: tuple[PlannedJob, ...] = ()
    """Jobs that are missing and that a time budget has no room for; they are among `jobs` too."""

    def to_run(self) -> tuple[PlannedJob, ...]:
        """Return the jobs that this run has to run."""
        return tuple(planned for planned in self.jobs if planned.to_run)


def make_plan(
    bench: Bench,
    pairs: Sequence[Pair] | None = None,
    *,
    retry_failed: bool = False,
    pace: Pace | None = None,
) -> Plan:
    """Decide which jobs of a bench are to run.

    Parameters
    ----------
    bench
        What is wanted, and what was done.
    pairs
        Data sets and methods to plan for instead of those that the bench chooses.
    retry_failed
        Whether jobs that failed more than once run again.
    pace
        Of this machine; see `benchmark.run.pace`. Without it hints are taken as they are.

    Raises
    ------
    DataError
        If a data set cannot be used.
    """
    inventory = bench.inventory(pairs)
    by_pair: dict[Pair, list[Record]] = {}
    for record in bench.store.scan().records:
        by_pair.setdefault((record.dataset, record.method), []).append(record)
    expected: dict[Pair, tuple[float | None, bool]] = {}
    jobs = []
    for slot in inventory.slots:
        pair = slot.job.dataset, slot.job.method
        if pair not in expected:
            expected[pair] = _expected_seconds(slot.setup, by_pair.get(pair, ()), pace or {})
        failed = slot.state == "failed" and slot.record is not None
        again = failed and (retry_failed or slot.record.attempts < AUTOMATIC_ATTEMPTS)  # type: ignore[union-attr]
        to_run = slot.state == "missing" or again
        jobs.append(PlannedJob(slot.job, slot.setup, slot.record, to_run, *expected[pair]))
    return Plan(inventory, tuple(jobs))


def _expected_seconds(setup: Setup, records: Iterable[Record], pace: Pace) -> tuple[float | None, bool]:
    """Return how long a job should take, and whether records of the method on the data set say so.

    The median of earlier records with the same settings; else the method's hint, scaled by what records of
    other settings took over what it says of them; else the hint scaled by this machine's pace.
    """
    method, shape, options, settings = setup.method, setup.facts.shape, setup.options, setup.settings
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


def side_by_side(planned: Sequence[PlannedJob], most: int) -> list[tuple[PlannedJob, ...]]:
    """Join jobs that differ in their seed alone, up to `most`, where their method can train them together.

    A batch takes the place of its first job.
    """
    batches: list[list[PlannedJob]] = []
    open_batch: dict[tuple[str, str], list[PlannedJob]] = {}
    for job in planned:
        key = (job.job.dataset, job.job.method)
        batch = open_batch.get(key)
        if batch is not None and len(batch) < most and job.setup.method.fit_together is not None:
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
        [job.expected_seconds for job in batch if job.expected_seconds is not None]
        for batch in side_by_side(planned, batch_seeds)
    ]
    each = [sum(batch) for batch in batches]
    total = max(sum(each) / max(workers, 1), max(each, default=0.0))
    return total, len(planned) - sum(map(len, batches))
