"""What a job's own process does: load, train, write the record; it knows no limit and no other process."""

from __future__ import annotations

import pickle
import time
import traceback
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from benchmark.contracts import Dataset, Record, Streams
from benchmark.run.arrays_file import score_digest
from benchmark.run.seeding import make_deterministic
from benchmark.run.store import RecordStore
from benchmark.run.task import JobResult, Task

if TYPE_CHECKING:
    from benchmark.run.trial import Trial


def run_tasks(tasks: Sequence[Task], device: str) -> tuple[JobResult, ...]:
    """Run tasks, several that differ in their seed alone side by side, and write records; in the child."""
    started = time.perf_counter()
    try:
        trials = _trials(tasks, device)
    except Exception:  # whatever it is becomes the record of each job, with its traceback
        trials = [traceback.format_exc()] * len(tasks)
    share = (time.perf_counter() - started) / len(tasks)
    return tuple(
        JobResult.of(_written(task, trial, share, device, len(tasks)))
        for task, trial in zip(tasks, trials, strict=True)
    )


def _trials(tasks: Sequence[Task], device: str) -> list[Trial | str]:
    """Run the trials of tasks for one method on one data set; a traceback for each that failed."""
    from benchmark.run.memory import keep_freed_memory
    from benchmark.run.side_by_side import run_trials_together
    from benchmark.run.trial import build_estimator, run_trial

    first = tasks[0]
    estimator, options, fit_together = pickle.loads(first.payload)
    streams = [Streams(task.rows_id, method_seed(task.blank.seed, task.refit)) for task in tasks]
    make_deterministic(streams[0])
    keep_freed_memory()
    clock = time.perf_counter()
    dataset = load_planned(first)
    loaded = (time.perf_counter() - clock) / len(tasks)
    methods = [build_estimator(estimator, options, one, device) for one in streams]
    caps = (first.limits.max_train_rows, first.limits.max_test_rows)
    trials: list[Trial | Exception]
    if len(tasks) == 1 or fit_together is None:
        trials = [run_trial(methods[0], dataset, first.blank.seed, *caps)]
    else:
        seeds = [task.blank.seed for task in tasks]
        trials = run_trials_together(methods, fit_together, dataset, seeds, *caps)
    return [
        "".join(traceback.format_exception(trial))
        if isinstance(trial, Exception)
        else replace(trial, seconds={"load": loaded, **trial.seconds})
        for trial in trials
    ]


def load_planned(task: Task) -> Dataset:
    """Load a task's data set; `RuntimeError` if it is not the one that the run was planned with."""
    dataset: Dataset = pickle.loads(task.dataset).load(task.data_dir)
    if dataset.data_hash != task.blank.data_hash:
        raise RuntimeError(
            f"data set {task.blank.dataset!r} changed after the run was planned: its hash is "
            f"{dataset.data_hash}, planned was {task.blank.data_hash}; start the run again"
        )
    return dataset


def _written(task: Task, trial: Trial | str, share: float, device: str, beside: int) -> Record:
    """Write the record of one job from its trial, or from the traceback of why there is none."""
    from benchmark.run.environment import describe_environment
    from benchmark.run.memory import peak_mib

    store, error = RecordStore(task.store_root), trial
    if not isinstance(trial, str):
        together = {"side_by_side": beside} if beside > 1 else {}
        record = replace(
            task.blank,
            status="done",
            score_digest=score_digest(trial.arrays["scores"]),
            seconds=trial.seconds,
            peak_mib=peak_mib(),
            environment={**describe_environment(), "device": device, **together},
        )
        try:
            store.write(record, trial.arrays)
            return record
        except Exception:  # arrays that no file can hold; the others of the batch keep their records
            error = traceback.format_exc()
    record = replace(task.blank, error=str(error), seconds={"total": share}, peak_mib=peak_mib())
    store.write(record)
    return record


def method_seed(seed: int, refit: int) -> int:
    """Return the seed of the method's own randomness: the job's, or in a refit one that is no job's.

    `run_trial` takes the job's seed for split and hold-out, so a refit sees the same rows; only what the
    method itself draws (initialisation, shuffling, dropout, choices) is drawn anew.
    """
    return seed + refit * 2**32
