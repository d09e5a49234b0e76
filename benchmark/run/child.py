"""What a job's own process does: load, train, write the record; it knows no limit and no other process."""

from __future__ import annotations

import pickle
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from benchmark.contracts import Dataset, Record, Streams
from benchmark.run.arrays_file import score_digest
from benchmark.run.seeding import make_deterministic
from benchmark.run.store import RecordStore
from benchmark.run.task import JobResult, Task

if TYPE_CHECKING:
    from benchmark.learning.checkpoint import Checkpoint
    from benchmark.run.trial import Trial


def run_tasks(tasks: Sequence[Task], device: str) -> tuple[JobResult, ...]:
    """Run tasks, several that differ in their seed alone side by side, and write records; in the child."""
    started = time.perf_counter()
    checkpoint = _checkpoint_of(tasks, device)
    try:
        trials = _trials(tasks, device, checkpoint)
    except Exception:  # whatever it is becomes the record of each job, with its traceback
        trials = [traceback.format_exc()] * len(tasks)
    share = (time.perf_counter() - started) / len(tasks)
    how: dict[str, Any] = {"device": device}
    if len(tasks) > 1:
        how["side_by_side"] = len(tasks)
    results = tuple(
        JobResult.of(_written(task, trial, share, how)) for task, trial in zip(tasks, trials, strict=True)
    )
    checkpoint.remove()
    return results


def _trials(tasks: Sequence[Task], device: str, checkpoint: Checkpoint) -> list[Trial | str]:
    """Run the trials of tasks for one method on one data set; a traceback for each that failed."""
    from benchmark.learning.checkpoint import keeping
    from benchmark.run.components import with_components
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
    caps = (first.limits.max_train_rows, first.limits.max_test_rows)
    if (kept := first.blank.settings.get("components")) is not None:  # of one job: see `seeds_train_together`
        dataset = with_components(dataset, first.blank.seed, kept, caps[0])
    loaded = (time.perf_counter() - clock) / len(tasks)
    methods = [build_estimator(estimator, options, one, device) for one in streams]
    trials: list[Trial | Exception]
    with keeping(checkpoint):
        if len(tasks) == 1 or fit_together is None:
            trials = [run_trial(methods[0], dataset, first.blank.seed, *caps)]
        else:
            seeds = [task.blank.seed for task in tasks]
            trials = run_trials_together(methods, fit_together, dataset, seeds, *caps)
    before = checkpoint.seconds_before / len(tasks)
    return [
        "".join(traceback.format_exception(trial))
        if isinstance(trial, Exception)
        else replace(trial, seconds={"load": loaded, **trial.seconds, "fit": trial.seconds["fit"] + before})
        for trial in trials
    ]


def _checkpoint_of(tasks: Sequence[Task], device: str) -> Checkpoint:
    """Return that of one job, or of several side by side, in the place of the first one's."""
    import torch

    from benchmark.learning.checkpoint import Checkpoint
    from benchmark.run.environment import processor_and_libraries

    blank = tasks[0].blank
    path = RecordStore(tasks[0].store_root).checkpoint_file(blank.job, blank.config_hash)
    jobs = [f"{task.blank.seed}-{task.blank.config_hash}-{task.refit}" for task in tasks]
    machine = f"{processor_and_libraries()}, {torch.backends.cpu.get_cpu_capability()}"
    return Checkpoint(path, {"jobs": jobs, "device": device.partition(":")[0], "machine": machine})


def load_planned(task: Task) -> Dataset:
    """Load a task's data set; `RuntimeError` if it is not the one that the run was planned with."""
    dataset: Dataset = pickle.loads(task.dataset).load(task.data_dir)
    if dataset.data_hash != task.blank.data_hash:
        raise RuntimeError(
            f"data set {task.blank.dataset!r} changed after the run was planned: its hash is "
            f"{dataset.data_hash}, planned was {task.blank.data_hash}; start the run again"
        )
    return dataset


def _written(task: Task, trial: Trial | str, share: float, how: Mapping[str, Any]) -> Record:
    """Write the record of one job from its trial, or from the traceback of why there is none.

    Parameters
    ----------
    how : what its environment says beside that of the process: device, and how many jobs side by side.
    """
    from benchmark.run.environment import describe_environment
    from benchmark.run.memory import peak_mib

    store, error = RecordStore(task.store_root), trial
    if not isinstance(trial, str):
        record = replace(
            task.blank,
            status="done",
            score_digest=score_digest(trial.arrays["scores"]),
            seconds=trial.seconds,
            peak_mib=peak_mib(),
            environment={**describe_environment(), **how},
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
