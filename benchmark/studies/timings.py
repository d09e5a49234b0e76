"""How long a job takes, by method, data set and profile: the table of what `run` expects; it judges nothing.

`python -m benchmark.studies.timings` adds to `results/timings.csv` what it lacks of this kind of machine, and
can be stopped and started again. Seconds are processor time, so that other programs disturb them little.
Fits are whole, but for those of many epochs that never stop early: of these a few epochs, scaled to all.
"""

from __future__ import annotations

import argparse
import csv
import io
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import asdict, fields, replace
from pathlib import Path

from benchmark.contracts import DataError
from benchmark.files import write_text
from benchmark.registry import discover
from benchmark.run.bench import Bench, Pair
from benchmark.run.child import run_tasks
from benchmark.run.config import available_cores
from benchmark.run.features import data_directory
from benchmark.run.flags import MOST_JOBS, whole_number
from benchmark.run.isolation import run_isolated
from benchmark.run.seeding import limit_threads_of_new_processes
from benchmark.run.task import Task, make_task
from benchmark.run.times import TIMINGS, Cpu, Timing, read_timings
from benchmark.run.yardstick import yardstick_seconds

FEW = (1, 4)
"""Epochs of the two fits whose difference is what an epoch takes."""
MANY = 20
"""Epochs up to which a fit is run whole."""


def job_seconds(task: Task) -> tuple[str, float]:
    """Run one job in this process, made for it; return how it ended and the process's seconds so far."""
    (result,) = run_tasks((task,), "cpu")
    return result.error, time.process_time()


def timed(bench: Bench, pair: Pair, epochs: int | None = None) -> float:
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
        task = make_task(once.inventory([pair]).slots[0], once)
        outcome = run_isolated(job_seconds, (task,), preload=task.preload)
    error, seconds = outcome.value if outcome.reason == "finished" else (outcome.message, 0.0)
    if error:
        raise RuntimeError(f"{pair[1]} on {pair[0]} cannot be timed: {error}")
    return float(seconds)


def measured(bench: Bench, pair: Pair) -> float:
    """Return the seconds of one whole job: run whole, or scaled to all its epochs from fits of a few."""
    setup = bench.setup(*pair)
    estimator = setup.method.estimator(**setup.options)
    epochs = estimator.get_params(deep=False).get("epochs", 0)
    if epochs <= MANY or getattr(estimator, "needs_holdout", False):  # a hold-out may end it early
        return timed(bench, pair)
    few, more = (timed(bench, pair, number) for number in FEW)
    return few + (epochs - FEW[0]) * (more - few) / (FEW[1] - FEW[0])


def add_row(path: Path, timing: Timing) -> None:
    """Put a row into the table, in its place by profile, data set and method."""
    rows = [*read_timings(path), timing]
    rows.sort(key=lambda row: (row.profile, row.dataset, row.method, row.cpu))
    content = io.StringIO()
    writer = csv.DictWriter(content, [column.name for column in fields(Timing)], lineterminator="\n")
    writer.writeheader()
    writer.writerows(map(asdict, rows))
    write_text(path, content.getvalue())


def main() -> None:
    """Parse, measure, and write each row as soon as it is known."""
    parser = argparse.ArgumentParser(prog="python -m benchmark.studies.timings", description=__doc__)
    parser.add_argument("--profiles", default="tiny,quick,paper", metavar="NAMES")
    parser.add_argument("--datasets", metavar="NAMES", help="default: all")
    parser.add_argument("--methods", metavar="NAMES", help="default: all")
    parser.add_argument("--jobs", type=whole_number(most=MOST_JOBS), default=available_cores(), metavar="N")
    parser.add_argument("--out", type=Path, default=TIMINGS, metavar="FILE")
    given = parser.parse_args()
    limit_threads_of_new_processes()
    registry, cpu = discover(), Cpu.here()
    known = {(t.profile, t.dataset, t.method) for t in read_timings(given.out) if t.cpu == cpu}
    wanted = []
    chosen = registry.select_datasets(given.datasets)
    try:
        data_dir = data_directory(None, [registry.datasets[name] for name in chosen.ids], chosen.named)
    except DataError as error:
        parser.error(str(error))
    for profile in given.profiles.split(","):
        bench = Bench.of(
            registry,
            profile=profile,
            methods=given.methods,
            datasets=given.datasets,
            data_dir=data_dir,
            results_dir=given.out.parent,
        )
        wanted += [(bench, pair) for pair in bench.chosen_pairs() if (profile, *pair) not in known]
    yardstick = round(yardstick_seconds(given.jobs), 3)

    def measure(bench: Bench, pair: Pair) -> Timing:
        seconds = round(measured(bench, pair), 2)
        return Timing(*pair, bench.profile.name, *cpu, yardstick, seconds)

    with ThreadPoolExecutor(given.jobs) as pool:
        running = [pool.submit(measure, *one) for one in wanted]
        for done in as_completed(running):
            try:
                row = done.result()
            except RuntimeError as error:  # the others go on
                print(error, file=sys.stderr)
                continue
            add_row(given.out, row)
            print(row, flush=True)


if __name__ == "__main__":
    main()
