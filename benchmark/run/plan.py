"""Which jobs a run consists of, which are done, and how long the rest may take; it runs none of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from benchmark.contracts import Record
from benchmark.run.bench import Bench, Inventory, Pair, Slot, State
from benchmark.run.task import JobResult
from benchmark.run.times import Expected, Machine, Source

AUTOMATIC_ATTEMPTS = 2
"""A failed job is retried once by itself; after that only when asked for."""


@dataclass(frozen=True)
class PlannedJob(Slot):
    """A job, whether this run is to run it, and how long that should take."""

    to_run: bool
    expected: Expected | None
    """None: unknown until the first job of the method on the data set has ended."""
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

    def without_time(self, results: Sequence[JobResult]) -> tuple[PlannedJob, ...]:
        """Return the jobs that a time budget had no room for: by the plan, and by how a run of it went."""
        late = {result.job for result in results}
        return (*(planned for planned in self.jobs if planned.job in late), *self.left_out)


def make_plan(
    bench: Bench,
    pairs: Sequence[Pair] | None = None,
    *,
    retry_failed: bool = False,
    machine: Machine | None = None,
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
    machine
        Where the jobs are to run; without it nobody asks how long they take.

    Raises
    ------
    DataError
        If a data set cannot be used.
    """
    inventory = bench.inventory(pairs)
    by_pair: dict[Pair, list[Record]] = {}
    for earlier in bench.store.scan().records if machine else ():
        by_pair.setdefault((earlier.dataset, earlier.method), []).append(earlier)
    expected: dict[Pair, Expected | None] = {}
    jobs = []
    for slot in inventory.slots:
        pair = slot.job.dataset, slot.job.method
        if machine and pair not in expected:
            expected[pair] = machine.expect(slot.setup, bench.profile.name, by_pair.get(pair, ()))
        record = slot.record
        to_run = record is None or (
            record.status != "done" and (retry_failed or record.attempts < AUTOMATIC_ATTEMPTS)
        )
        jobs.append(PlannedJob(slot.job, slot.setup, slot.record, to_run, expected.get(pair)))
    return Plan(inventory, tuple(jobs))


def side_by_side(planned: Sequence[PlannedJob], most: int) -> list[tuple[PlannedJob, ...]]:
    """Join jobs that differ in their seed alone, up to `most`, where their method can train them together.

    A batch takes the place of its first job.
    """
    batches: list[list[PlannedJob]] = []
    open_batch: dict[tuple[str, str], list[PlannedJob]] = {}
    for job in planned:
        key = (job.job.dataset, job.job.method)
        batch = open_batch.get(key)
        if batch is not None and len(batch) < most and job.setup.seeds_train_together:
            batch.append(job)
            continue
        open_batch[key] = [job]
        batches.append(open_batch[key])
    return [tuple(batch) for batch in batches]


def expected_total(
    planned: Sequence[PlannedJob], workers: int, batch_seeds: int = 1
) -> tuple[Expected | None, int]:
    """Return how long jobs should take together on `workers` cores, and how many jobs nobody can judge.

    Seeds that train side by side keep one core busy as long as one after the other would.
    """
    batches = [
        [job.expected for job in batch if job.expected is not None]
        for batch in side_by_side(planned, batch_seeds)
    ]
    known = [expected for batch in batches for expected in batch]
    unknown = len(planned) - len(known)
    if not known:
        return None, unknown

    def total(bound: Callable[[Expected], float]) -> float:
        each = [sum(map(bound, batch)) for batch in batches]
        return max(sum(each) / max(workers, 1), *each)

    least_sure: Source = "table" if any(one.source == "table" for one in known) else "finished jobs"
    seconds, least, most = (total(attrgetter(name)) for name in ("seconds", "least", "most"))
    return Expected(seconds, least, most, least_sure), unknown
