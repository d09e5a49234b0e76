"""Says in plain text what a plan holds, before a run and for `status`; it judges no number."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from tabulate import tabulate

from benchmark.contracts import Provenance, Record
from benchmark.run.bench import Inventory, Slot
from benchmark.run.budget import fitting
from benchmark.run.config import Running
from benchmark.run.phrases import about, duration, in_few, last_line
from benchmark.run.plan import Plan, PlannedJob
from benchmark.run.record_file import is_outdated
from benchmark.run.schedule import GROUP, expected_total
from benchmark.run.task import JobResult
from benchmark.run.times import TIMINGS
from benchmark.words import visible

AnySlot = TypeVar("AnySlot", bound=Slot)
COMPARED_LIBRARIES = ("torch", "numpy", "scikit-learn")
"""Those that compute the scores; a version of another one changes no digit."""


LONG = 20 * 60
"""Seconds of a run above which it is said what less of it would give."""
UNKNOWN = "unknown until the first job has ended"
_SOURCES = {
    "finished jobs": "by what finished jobs took here",
    "table": f"by {TIMINGS.parent.name}/{TIMINGS.name}, scaled to this machine",
}


def describe_plan(plan: Plan, running: Running) -> str:
    """Return the jobs per data set and method, how many are done, and the time that the rest should take."""
    rows = [
        (
            jobs[0].job.dataset,
            jobs[0].setup.facts.provenance,
            jobs[0].job.method,
            len(jobs),
            sum(job.state == "done" for job in jobs),
            sum(job.to_run for job in jobs),
            _expected(jobs[0]),
            "" if jobs[0].expected is None else jobs[0].expected.source,
        )
        for jobs in _by_setup(plan.jobs)
    ]
    headers = ("data set", "features", "method", "jobs", "done", "to run", "expected per job", "by")
    lines = [
        _profile(plan),
        _table(rows, headers),
        f"features: {'; '.join(_sources(plan.jobs))}",
        *_outlook(plan, running),
    ]
    return "\n".join(lines)


def describe_start(plan: Plan, running: Running) -> str:
    """Return the same in short: a line for each data set, and one for all."""
    by_dataset: dict[str, list[PlannedJob]] = {}
    for job in plan.jobs:
        by_dataset.setdefault(job.job.dataset, []).append(job)
    lines = []
    for dataset, jobs in by_dataset.items():
        facts, to_run = jobs[0].setup.facts, [job for job in jobs if job.to_run]
        whose = f", {facts.source}" if facts.folder else ""
        known = any(job.expected for job in to_run)
        time = f", {_time(to_run, plan, running, source=False)}" if known else ""
        lines.append(f"{dataset} ({facts.provenance}{whose}): {_counts(jobs)}{time}")
    return "\n".join([_profile(plan), *lines, *_outlook(plan, running)])


def describe_fractions(plan: Plan, running: Running) -> str:
    """Say of a long run what less of it would give, and that it can be stopped; nothing of a short one."""
    to_run = plan.to_run()
    expected, unknown = expected_total(to_run, running.cores, plan.accelerators)
    if not to_run or (not unknown and expected is not None and expected.seconds < LONG):
        return ""
    lines = []
    real = [job for job in to_run if job.setup.facts.provenance is not Provenance.LOOK_ALIKE]
    if 0 < len(real) < len(to_run):
        chosen = ",".join(dict.fromkeys(job.job.dataset for job in real))
        time = _time(real, plan, running, source=False)
        lines.append(f"--datasets {chosen}: without look-alikes, which support no claim, {time}")
    in_time = [job for job in fitting(plan, running.cores, 3600) if job.expected is not None]
    if running.time_budget is None and 0 < len(in_time) < len(to_run):
        lines.append(f"--time-budget 1h: {len(in_time)} of these jobs, seed by seed")
    lines.append(
        "Ctrl-C stops it at any time: finished jobs are kept, and the same command goes on from there"
    )
    return "\n".join(lines)


def _profile(plan: Plan) -> str:
    return f"profile {plan.inventory.profile.name}: {plan.inventory.profile.description}"


def _outlook(plan: Plan, running: Running) -> list[str]:
    if not plan.jobs:
        return ["no job: the chosen methods run on other data sets, unless each is named in full"]
    to_run = plan.to_run()
    return [
        f"{_counts(plan.jobs)} on {running.jobs} at a time{_groups(to_run)}, {_time(to_run, plan, running)}",
        *([describe_left_out(plan.left_out)] if plan.left_out else []),
        *_warnings(plan.inventory),
    ]


def describe_left_out(jobs: Sequence[Slot], most: int | None = None) -> str:
    """Name the jobs for which a time budget has no room, by method, with their seeds, in `most` lines."""
    title = (
        f"left out, as the time budget has no room for them: {len(jobs)} jobs; run again to go on from there"
    )
    return "\n".join([title, *shortened(_named(jobs), most)])


def describe_missing(jobs: Sequence[Slot], command: str, most: int | None = None) -> str:
    """Name the jobs that have no record though nothing failed: another run is at them, or was ended."""
    title = f"{len(jobs)} jobs are missing, as another run was at them; when it has ended: {command}"
    return "\n".join([title, *shortened(_named(jobs), most)])


def _named(jobs: Sequence[Slot]) -> list[str]:
    return [
        f"  {slots[0].job.dataset} {slots[0].job.method}, seeds {in_few([slot.job.seed for slot in slots])}"
        for slots in _by_setup(jobs)
    ]


def shortened(lines: Sequence[str], most: int | None) -> list[str]:
    """Return the first lines, and how many more there are; all where `most` is None."""
    if most is None or len(lines) <= most:
        return list(lines)
    return [*lines[: most - 1], f"  and {len(lines) - most + 1} more, which status shows"]


def describe_outcome(inventory: Inventory, ended: Mapping[str, int], seconds: float) -> str:
    """Say how the jobs of a run ended, and how many of all that was asked for are done."""
    done = sum(slot.state == "done" for slot in inventory.slots)
    counts = ", ".join(f"{number} {status}" for status, number in ended.items())
    return (
        f"{done} of {len(inventory.slots)} jobs are done; this run took {duration(seconds)}: "
        f"{counts or 'nothing was left to run'}"
    )


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
        [f"profile {inventory.profile.name}, seeds {in_few(seeds)}", table, *_warnings(inventory)]
    )


def describe_failures(
    inventory: Inventory,
    just_now: Sequence[JobResult] = (),
    *,
    tracebacks: str = "in their record.json",
    most: int | None = None,
) -> str:
    """Return one line per failed job, and per job that failed just now without a record, and what to do.

    Parameters
    ----------
    inventory, just_now
        What is recorded, and how the jobs of a run ended.
    tracebacks
        Where they are, or the command that prints them.
    most
        Of the jobs' lines; None for all.
    """
    lines = [f"{name}: {last_line(error)}" for name, error in _failures(inventory, just_now)]
    if not lines:
        return ""
    again = "run again to retry those that failed once, with --retry-failed for the others"
    title = f"{len(lines)} failed jobs; {again}; tracebacks: {tracebacks}"
    return "\n".join([title, *shortened(lines, most)])


def describe_tracebacks(inventory: Inventory) -> str:
    """Return each failed job with the whole of its traceback."""
    return "\n\n".join(f"{name}:\n{visible(error).rstrip()}" for name, error in _failures(inventory))


def _failures(inventory: Inventory, just_now: Sequence[JobResult] = ()) -> list[tuple[str, str]]:
    """Return each failed job in words with its error: first those of just now that have no record."""
    failed = [slot for slot in inventory.slots if slot.state == "failed"]
    recorded = {slot.job for slot in failed}
    unrecorded = [
        (f"{result.job.dataset} {result.job.method} seed {result.job.seed}", result.error)
        for result in just_now
        if result.job not in recorded
    ]
    return unrecorded + [
        (
            f"{slot.job.dataset} {slot.job.method} seed {slot.job.seed}: {slot.record.status} after "
            f"{slot.record.attempts} attempt(s)",
            slot.record.error,
        )
        for slot in failed
        if slot.record is not None
    ]


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


def _counts(jobs: Sequence[PlannedJob]) -> str:
    done, to_run = sum(job.state == "done" for job in jobs), sum(job.to_run for job in jobs)
    return f"{len(jobs)} jobs, {done} done, {to_run} to run"


def _sources(slots: Sequence[Slot]) -> list[str]:
    by_dataset = {slot.job.dataset: slot.setup.facts for slot in slots}
    return [f"{dataset} {facts.source}" for dataset, facts in by_dataset.items()]


def _expected(job: PlannedJob) -> str:
    if job.expected is None:
        return "unknown"
    together = job.on_device and job.setup.seeds_train_together
    return duration(job.expected.seconds) + (f" for {GROUP}" if together else "")


def _groups(to_run: Sequence[PlannedJob]) -> str:
    together = sum(job.on_device for job in to_run)
    return f", {together} of them on accelerators, up to {GROUP} seeds as one" if together else ""


def _time(to_run: Sequence[PlannedJob], plan: Plan, running: Running, *, source: bool = True) -> str:
    if not to_run:
        return "nothing to wait for"
    expected, unknown = expected_total(to_run, running.cores, plan.accelerators)
    if expected is None:
        return f"time {UNKNOWN}"
    by = f" {_SOURCES[expected.source]}" if source else ""
    return f"{about(expected)}{by}" + (
        f", and {unknown} jobs of a length that is {UNKNOWN}" if unknown else ""
    )


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


def _table(rows: Sequence[Sequence[object]], headers: Sequence[str]) -> str:
    return tabulate(rows, headers=headers, disable_numparse=True)
