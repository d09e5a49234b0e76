"""Which jobs a run consists of, which are done, and how long the rest may take; it runs none of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from benchmark.contracts import Record
from benchmark.run.bench import Bench, Inventory, Pair, Slot, State
from benchmark.run.task import AUTOMATIC_ATTEMPTS, JobResult
from benchmark.run.times import Expected, Machine


@dataclass(frozen=True)
class PlannedJob(Slot):
    """A job, whether this run is to run it, and how long that should take."""

    to_run: bool
    expected: Expected | None
    """Of its whole group (`schedule.grouped`); None: unknown until the first of the method on the data set
    has ended."""
    on_device: bool = False
    """Whether it is to run on an accelerator."""
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
    accelerators: int = 0
    """How many of them this machine lends the jobs that can use one."""

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
        Where the jobs are to run; without it on CPUs, and nobody asks how long they take.

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
        on_device = machine is not None and machine.device != "cpu" and slot.setup.uses_device
        jobs.append(PlannedJob(slot.job, slot.setup, slot.record, to_run, expected.get(pair), on_device))
    return Plan(inventory, tuple(jobs), accelerators=machine.accelerators if machine else 0)
