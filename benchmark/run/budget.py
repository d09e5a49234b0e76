"""Chooses the jobs of a plan that fit into a given time; it runs none and measures nothing.

Whole seeds are taken while they fit, so that every row of the tables rests on the same splits; of the first
seed that does not fit, whatever still does; of later seeds nothing. Jobs of unknown length come last. Seeds
that train together are taken together, in the place of the first.
"""

from __future__ import annotations

import dataclasses
import heapq
from collections.abc import Sequence

from benchmark.run.config import ConfigError
from benchmark.run.phrases import duration
from benchmark.run.plan import Plan, PlannedJob
from benchmark.run.schedule import Places, grouped


def within_budget(plan: Plan, workers: int, seconds: float) -> Plan:
    """Return the plan with the jobs that should end in time, seed by seed; the others are in its `left_out`.

    Parameters
    ----------
    plan : what there is to run, with its expected seconds.
    workers : cores that jobs keep busy.
    seconds : how long the run may take.

    Raises
    ------
    ConfigError
        If not even one job fits.
    """
    waiting = _in_order(plan)
    if not waiting:
        return plan
    chosen = fitting(plan, workers, seconds)
    if not chosen:
        raise ConfigError(_nothing_fits(waiting, seconds))
    kept = {planned.job for planned in chosen}
    left_out = tuple(planned for planned in waiting if planned.job not in kept)
    resting = [planned for planned in plan.jobs if not planned.to_run]
    dropped = [dataclasses.replace(planned, to_run=False) for planned in left_out]
    return dataclasses.replace(plan, jobs=(*resting, *chosen, *dropped), left_out=left_out)


def _in_order(plan: Plan) -> list[PlannedJob]:
    # Stable: within a seed, jobs keep the plan's order, real data first.
    return sorted(plan.to_run(), key=lambda planned: (planned.expected is None, planned.job.seed))


def fitting(plan: Plan, workers: int, seconds: float) -> list[PlannedJob]:
    """Give each job to the worker that is free first, as the run does, and keep those that end in time.

    A job of unknown length is kept: it starts if there is time left by then.
    """
    groups = grouped(_in_order(plan))
    places = Places.of(groups, workers, plan.accelerators)
    free_at = {kind: [0.0] * number for kind, number in places.each()}
    chosen: list[PlannedJob] = []
    full: int | None = None
    for group in groups:
        seed, expected, place = group[0].job.seed, group[0].expected, places.on_accelerator(group)
        if full is not None and seed > full:
            continue
        if expected is not None:
            end = free_at[place][0] + expected.seconds
            if end > seconds:
                full = seed
                continue
            heapq.heapreplace(free_at[place], end)
        chosen += group
    return chosen


def _nothing_fits(waiting: Sequence[PlannedJob], seconds: float) -> str:
    lengths = [(planned.expected.seconds, planned.job) for planned in waiting if planned.expected is not None]
    expected, job = min(lengths, key=lambda length: length[0])
    return (
        f"--time-budget {duration(seconds)} is too short for any job: the shortest, {job.dataset} "
        f"{job.method} seed {job.seed}, takes about {duration(expected)}; give more, or choose others with "
        "--datasets and --methods"
    )
