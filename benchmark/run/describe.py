"""Says in plain text what a plan holds, before a run and for `status`; it judges no number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TypeVar

from tabulate import tabulate

from benchmark.contracts import Record
from benchmark.run.bench import Inventory, Slot
from benchmark.run.config import Running
from benchmark.run.plan import Plan, PlannedJob, expected_total
from benchmark.run.progress import about, duration, last_line
from benchmark.run.store import is_outdated
from benchmark.run.times import TIMINGS
from benchmark.run.worker import JobResult

AnySlot = TypeVar("AnySlot", bound=Slot)
COMPARED_LIBRARIES = ("torch", "numpy", "scikit-learn")
"""Those that compute the scores; a version of another one changes no digit."""


UNKNOWN = "unknown until the first job has ended"
_SOURCES = {
    "finished jobs": "by what finished jobs took here",
    "table": f"by {TIMINGS.parent.name}/{TIMINGS.name}, scaled to this machine",
}


def describe_plan(plan: Plan, running: Running) -> str:
    """Return the jobs per data set and method, how many are done, and the time that the rest should take."""
    to_run = plan.to_run()
    rows = [
        (
            jobs[0].job.dataset,
            jobs[0].setup.facts.provenance,
            jobs[0].job.method,
            len(jobs),
            sum(job.state == "done" for job in jobs),
            sum(job.to_run for job in jobs),
            "unknown" if jobs[0].expected is None else duration(jobs[0].expected.seconds),
            "" if jobs[0].expected is None else jobs[0].expected.source,
        )
        for jobs in _by_setup(plan.jobs)
    ]
    headers = ("data set", "features", "method", "jobs", "done", "to run", "expected per job", "by")
    lines = [
        f"profile {plan.inventory.profile.name}: {plan.inventory.profile.description}",
        _table(rows, headers),
        f"features: {'; '.join(_sources(plan.jobs))}",
        f"{len(plan.jobs)} jobs, {sum(job.state == 'done' for job in plan.jobs)} done, {len(to_run)} to run "
        f"on {running.jobs} at a time, {_time(to_run, running)}",
        *([describe_left_out(plan.left_out)] if plan.left_out else []),
        *_warnings(plan.inventory),
    ]
    return "\n".join(lines)


def describe_left_out(jobs: Sequence[Slot]) -> str:
    """Name the jobs for which a time budget has no room, by method, with their seeds."""
    lines = [
        f"  {slots[0].job.dataset} {slots[0].job.method}, seeds {_seeds([slot.job.seed for slot in slots])}"
        for slots in _by_setup(jobs)
    ]
    return "\n".join([f"left out, as the time budget has no room for them: {len(jobs)} jobs", *lines])


def describe_status(inventory: Inventory, seeds: Sequence[int]) -> str:
    """Return done, missing, failed and stale jobs per data set and method."""
    stale = Counter((record.dataset, record.method) for record in inventory.stale)
    rows = []
    for jobs in _by_setup(inventory.slots):
        states = Counter(job.state for job in jobs)
        name = jobs[0].job.dataset, jobs[0].job.method
        rows.append((*name, states["done"], states["missing"], states["failed"], stale[name]))
    table = _table(rows, ("data set", "method", "done", "missing", "failed", "stale"))
    return "\n".join(
        [f"profile {inventory.profile.name}, seeds {_seeds(seeds)}", table, *_warnings(inventory)]
    )


def describe_failures(inventory: Inventory, just_now: Sequence[JobResult] = ()) -> str:
    """Return one line per failed job, and per job that failed just now without a record."""
    recorded = {slot.job for slot in inventory.slots if slot.state == "failed"}
    lines = [
        f"{result.job.dataset} {result.job.method} seed {result.job.seed}: {last_line(result.error)}"
        for result in just_now
        if result.job not in recorded
    ]
    lines += [
        f"{job.job.dataset} {job.job.method} seed {job.job.seed}: {job.record.status} after "
        f"{job.record.attempts} attempt(s): {last_line(job.record.error)}"
        for job in inventory.slots
        if job.state == "failed" and job.record is not None
    ]
    if not lines:
        return ""
    again = "run again to retry those that failed once, with --retry-failed for the others"
    return "\n".join([f"{len(lines)} failed jobs (tracebacks in their record.json; {again}):", *lines])


def describe_mixed_versions(records: Iterable[Record]) -> str:
    """Return one line of warning if finished records were made with different `COMPARED_LIBRARIES`."""
    sets: Counter[tuple[str, ...]] = Counter()
    for record in records:
        if record.status == "done":
            libraries = record.environment.get("libraries", {})
            sets[tuple(f"{name} {libraries.get(name) or '?'}" for name in COMPARED_LIBRARIES)] += 1
    if len(sets) < 2:
        return ""
    kinds = "; ".join(f"{count} with {', '.join(versions)}" for versions, count in sorted(sets.items()))
    return f"warning: the records come from {len(sets)} sets of library versions: {kinds}"


def _by_setup(slots: Sequence[AnySlot]) -> list[list[AnySlot]]:
    by_pair: dict[tuple[str, str], list[AnySlot]] = {}
    for slot in slots:
        by_pair.setdefault((slot.job.dataset, slot.job.method), []).append(slot)
    return list(by_pair.values())


def _sources(slots: Sequence[Slot]) -> list[str]:
    by_dataset = {slot.job.dataset: slot.setup.facts for slot in slots}
    return [f"{dataset} {facts.source}" for dataset, facts in by_dataset.items()]


def _time(to_run: Sequence[PlannedJob], running: Running) -> str:
    if not to_run:
        return "nothing to wait for"
    expected, unknown = expected_total(to_run, running.cores, running.batch_seeds)
    if expected is None:
        return UNKNOWN
    more = f", and {unknown} jobs of a length that is {UNKNOWN}" if unknown else ""
    return f"{about(expected)} {_SOURCES[expected.source]}{more}"


def _warnings(inventory: Inventory) -> list[str]:
    lines = [f"unreadable: {message}" for message in inventory.broken]
    outdated = sum(map(is_outdated, inventory.stale))
    if others := len(inventory.stale) - outdated:
        lines.append(f"{others} stale records (made with other code, settings or data) are left out")
    if outdated:
        lines.append(
            f"{outdated} stale records (made by an older version of this program) are left out; run again, "
            "which keeps them beside the new ones"
        )
    return lines


def _seeds(seeds: Sequence[int]) -> str:
    whole = list(range(seeds[0], seeds[-1] + 1)) == list(seeds) and len(seeds) > 1
    return f"{seeds[0]} to {seeds[-1]}" if whole else ", ".join(map(str, seeds))


def _table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    return tabulate(rows, headers=headers, disable_numparse=True)
