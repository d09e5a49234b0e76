"""How long a job takes, by method, data set and profile: the table of what `run` expects; it judges nothing.

`python -m benchmark.studies.timings` adds to `results/timings.csv` what it lacks of this kind of machine, and
can be stopped and started again. Seconds are processor time, so that other programs disturb them little.
Fits are whole, but for those of many epochs that never stop early: of these a few epochs, scaled to all.

With `--device cuda` it times groups of seeds on the first card instead, by the clock, in a warm process.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, dataclass, fields, replace
from functools import partial
from pathlib import Path

from benchmark.files import write_text
from benchmark.registry import Registry, discover
from benchmark.run.accelerator import card_name, device_kind, warm_up
from benchmark.run.bench import Bench, Pair
from benchmark.run.child import run_tasks
from benchmark.run.config import available_cores
from benchmark.run.devices import DevicePool, available_pool
from benchmark.run.features import data_directory
from benchmark.run.flags import MOST_JOBS, whole_number
from benchmark.run.in_turn import run_in_turn
from benchmark.run.isolation import Child, run_isolated
from benchmark.run.schedule import GROUP
from benchmark.run.seeding import limit_threads_of_new_processes
from benchmark.run.task import PRELOAD, Task, make_task
from benchmark.run.times import TIMINGS, Cpu, Timing, read_timings
from benchmark.run.yardstick import yardstick_seconds

FEW = (1, 4)
"""Epochs of the two fits whose difference is what an epoch takes."""
FEW_ON_A_CARD = (5, 25)
"""The same there, where an epoch takes little and captured steps have to be made first."""
MANY = 20
"""Epochs up to which a fit is run whole."""


def job_seconds(task: Task) -> tuple[str, float]:
    """Run one job in this process, made for it; return how it ended and the process's seconds so far."""
    (result,) = run_tasks((task,), "cpu")
    return result.error, time.process_time()


def group_seconds(tasks: Sequence[Task], device: str) -> tuple[str, float]:
    """Run a group in this process, which others follow; return how it ended and what it took by the clock."""
    results = run_in_turn(tasks, device)
    return next((result.error for result in results if result.error), ""), sum(r.seconds for r in results)


@dataclass(frozen=True)
class Card:
    """A device, and the process that is warm for it."""

    device: str
    child: Child

    def timed(self, bench: Bench, pair: Pair, epochs: int | None = None) -> float:
        """Return the seconds of one group, as `timed` of one job."""
        return timed(bench, pair, epochs, self)


def timed(bench: Bench, pair: Pair, epochs: int | None = None, card: Card | None = None) -> float:
    """Return the processor seconds of one job, with its loading and reading, cut to some epochs if asked for.

    Raises
    ------
    RuntimeError
        If the job fails.
    """
    limits = bench.profile.limits_for(pair[0])
    if epochs is not None:
        limits = replace(limits, epochs=epochs)
    profile = replace(bench.profile, limits=limits, dataset_limits={})
    with tempfile.TemporaryDirectory() as folder:
        once = replace(bench, profile=profile, results_dir=Path(folder))
        slots = once.inventory([pair]).slots
        if card is None:
            task = make_task(slots[0], once)
            outcome = run_isolated(job_seconds, (task,), preload=task.preload)
        else:
            together = slots if slots[0].setup.method.fit_together else slots[:1]
            tasks = tuple(make_task(slot, once) for slot in together[:GROUP])
            card.child.ready()
            outcome = card.child.call(group_seconds, (tasks, card.device))
    error, seconds = outcome.value if outcome.reason == "finished" else (outcome.message, 0.0)
    if error:
        raise RuntimeError(f"{pair[1]} on {pair[0]} cannot be timed: {error}")
    return float(seconds)


def measured(bench: Bench, pair: Pair, card: Card | None = None) -> float:
    """Return the seconds of a whole job or group: run whole, or scaled to all epochs from fits of a few."""
    run, numbers = (card.timed, FEW_ON_A_CARD) if card else (timed, FEW)
    setup = bench.setup(*pair)
    estimator = setup.method.estimator(**setup.options)
    epochs = estimator.get_params(deep=False).get("epochs", 0)
    if epochs <= MANY or getattr(estimator, "needs_holdout", False):  # a hold-out may end it early
        return run(bench, pair)
    few, more = (run(bench, pair, number) for number in numbers)
    return few + (epochs - numbers[0]) * (more - few) / (numbers[1] - numbers[0])


def add_row(path: Path, timing: Timing) -> None:
    """Put a row into the table, in its place by profile, data set and method."""
    rows = [*read_timings(path), timing]
    rows.sort(key=lambda row: (row.profile, row.dataset, row.method, row.device, row.cpu))
    content = io.StringIO()
    writer = csv.DictWriter(content, [column.name for column in fields(Timing)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, rows))
    write_text(path, content.getvalue())


def main(argv: Sequence[str] | None = None, registry: Registry | None = None) -> None:
    """Parse, measure, and write each row as soon as it is known."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.timings", description=__doc__)
    parser.add_argument("--profiles", default="tiny,quick,paper", metavar="NAMES")
    parser.add_argument("--datasets", metavar="NAMES", help="default: all")
    parser.add_argument("--methods", metavar="NAMES", help="default: all")
    parser.add_argument("--jobs", type=whole_number(most=MOST_JOBS), default=available_cores(), metavar="N")
    parser.add_argument("--device", default="cpu", help="cpu (the default), or the card: cuda, cuda:1")
    parser.add_argument("--out", type=Path, default=TIMINGS, metavar="FILE")
    given = parser.parse_args(argv)
    limit_threads_of_new_processes()
    try:
        benches = _benches(given, discover() if registry is None else registry)
        pool = available_pool(given.device)
    except ValueError as error:
        parser.error(str(error))
    if pool.accelerators:
        _time_groups(benches, given.out, pool)
    else:
        _time_jobs(benches, given.out, given.jobs)


def _benches(given: argparse.Namespace, registry: Registry) -> list[Bench]:
    chosen = registry.select_datasets(given.datasets)
    data_dir = data_directory(None, [registry.datasets[name] for name in chosen.ids], chosen.named)
    return [
        Bench.of(
            registry,
            profile=profile,
            methods=given.methods,
            datasets=given.datasets,
            seeds=str(GROUP),
            data_dir=data_dir,
            results_dir=given.out.parent,
        )
        for profile in given.profiles.split(",")
    ]


def _lacking(
    benches: Sequence[Bench], path: Path, is_here: Callable[[Timing], bool]
) -> list[tuple[Bench, Pair]]:
    known = {(row.profile, row.dataset, row.method) for row in read_timings(path) if is_here(row)}
    pairs = [(bench, pair) for bench in benches for pair in bench.chosen_pairs()]
    return [(bench, pair) for bench, pair in pairs if (bench.profile.name, *pair) not in known]


def _time_jobs(benches: Sequence[Bench], path: Path, jobs: int) -> None:
    cpu = Cpu.here()
    wanted = _lacking(benches, path, lambda row: row.device == "cpu" and row.cpu == cpu)
    yardstick = round(yardstick_seconds(jobs), 3)

    def measure(bench: Bench, pair: Pair) -> Timing:
        seconds = round(measured(bench, pair), 2)
        return Timing(*pair, bench.profile.name, *cpu, yardstick, seconds)

    with ThreadPoolExecutor(jobs) as pool:
        running = [pool.submit(measure, *one) for one in wanted]
        for done in as_completed(running):
            _keep(path, done.result)


def _time_groups(benches: Sequence[Bench], path: Path, pool: DevicePool) -> None:
    """Time the methods that use a device, one after another on the first of a pool."""
    first = DevicePool(pool.accelerators[:1], pool.lock_dir)
    with first.lease() as device, Child(PRELOAD, (warm_up, (device, PRELOAD))) as child:
        kind, name, card = device_kind(device), card_name(device), Card(device, child)
        for bench, pair in _lacking(benches, path, lambda r: (r.device, r.processor) == (kind, name)):
            if bench.setup(*pair).uses_device:
                _keep(path, partial(_row_of_card, bench, pair, card, kind, name))


def _row_of_card(bench: Bench, pair: Pair, card: Card, kind: str, name: str) -> Timing:
    seconds = max(round(measured(bench, pair, card), 2), 0.01)  # the table knows no time of none
    return Timing(*pair, bench.profile.name, name, "", 1.0, seconds, kind)


def _keep(path: Path, measure: Callable[[], Timing]) -> None:
    """Write a row, or say why there is none; the others go on."""
    try:
        row = measure()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return
    add_row(path, row)
    print(row, flush=True)


if __name__ == "__main__":
    main()
