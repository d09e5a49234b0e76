"""Which jobs train together, where they run at a time, and how long that takes; it runs and measures none."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import attrgetter

from benchmark.run.plan import PlannedJob
from benchmark.run.times import Expected, Source

GROUP = 10
"""Seeds that train together at most."""
Group = tuple[PlannedJob, ...]
"""A job, or several that differ in their seed alone and train together on an accelerator."""


def grouped(planned: Iterable[PlannedJob]) -> list[Group]:
    """Join jobs of one method on one data set that are to run on an accelerator and can train together.

    A group takes the place of its first job.
    """
    groups: list[list[PlannedJob]] = []
    open_group: dict[tuple[str, str], list[PlannedJob]] = {}
    for job in planned:
        key = (job.job.dataset, job.job.method)
        group = open_group.get(key)
        if group is not None and len(group) < GROUP:
            group.append(job)
            continue
        groups.append([job])
        if job.on_device and job.setup.seeds_train_together:
            open_group[key] = groups[-1]
    return [tuple(group) for group in groups]


@dataclass(frozen=True)
class Places:
    """How many groups run at a time: on the cores and, each in a process of its own, on accelerators.

    Where there are no accelerators here, the jobs for them run as the others do: on the CPU, or on a
    cluster's workers.
    """

    cores: int
    accelerators: int = 0

    @classmethod
    def of(cls, groups: Sequence[Group], workers: int, accelerators: int) -> Places:
        """Share out so many workers, of which each accelerator that there is a group for takes one."""
        taken = min(accelerators, sum(group[0].on_device for group in groups))
        return cls(max(workers - taken, 1), taken)

    def on_accelerator(self, group: Group) -> bool:
        """Return which kind of place a group takes."""
        return self.accelerators > 0 and group[0].on_device

    def each(self) -> tuple[tuple[bool, int], ...]:
        """Return of either kind how many there are."""
        return (False, self.cores), (True, self.accelerators)


def expected_total(
    planned: Sequence[PlannedJob], workers: int, accelerators: int = 0
) -> tuple[Expected | None, int]:
    """Return how long jobs should take together, and how many jobs nobody can judge.

    Groups run one after another on each accelerator, while the other jobs keep the cores busy.
    """
    groups = grouped(planned)
    places = Places.of(groups, workers, accelerators)
    known = [
        (places.on_accelerator(group), expected, len(group))
        for group in groups
        if (expected := group[0].expected) is not None
    ]
    unknown = len(planned) - sum(jobs for _, _, jobs in known)
    if not known:
        return None, unknown

    def total(bound: Callable[[Expected], float]) -> float:
        ends = []
        for kind, number in places.each():
            each = [bound(expected) for place, expected, _ in known if place == kind]
            ends += [sum(each) / max(number, 1), *each]
        return max(ends)

    least_sure: Source = (
        "table" if any(expected.source == "table" for _, expected, _ in known) else "finished jobs"
    )
    seconds, least, most = (total(attrgetter(name)) for name in ("seconds", "least", "most"))
    return Expected(seconds, least, most, least_sure), unknown
