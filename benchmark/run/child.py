"""What a job's own process does: load, train, write the record; it knows no limit and no other process."""

from __future__ import annotations

import gc
import pickle
import time
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from benchmark.contracts import CannotTrainTogetherError, Dataset, Record, Streams
from benchmark.run.accelerator import card_name, free_memory, is_out_of_memory, peak_device_mib
from benchmark.run.arrays_file import score_digest
from benchmark.run.seeding import make_deterministic
from benchmark.run.store import RecordStore
from benchmark.run.task import JobResult, Task

if TYPE_CHECKING:
    from benchmark.learning.checkpoint import Checkpoint
    from benchmark.run.trial import Trial


def run_tasks(
    tasks: Sequence[Task], device: str, narrowed: Narrowed | None = None, *, alone: bool = False
) -> tuple[JobResult, ...]:
    """Run tasks, several that differ in their seed alone side by side, and write records; in the child.

    Several that do not fit into the device's memory together are run in halves, and one that does not fit in
    a group of its own in a narrower one, which their records say; those that cannot train together are run
    one after another, or the one that there is `alone`.
    """
    started, busy = time.perf_counter(), time.process_time()
    checkpoint = _checkpoint_of(tasks, device)
    trials: Sequence[Trial | Exception]
    try:
        trials = _trials(tasks, device, checkpoint, narrowed, alone)
    except CannotTrainTogetherError:
        return tuple(result for task in tasks for result in run_tasks([task], device, alone=True))
    except Exception as error:  # whatever it is becomes the record of each job, with its traceback
        smaller = is_out_of_memory(error) and _can_be_smaller(tasks, device, narrowed)
        trials = () if smaller else [error] * len(tasks)
    if not trials:  # out of the `except`, since a traceback holds what filled the memory
        return _smaller(tasks, device, checkpoint, narrowed)
    share = (time.perf_counter() - started) / len(tasks)
    how = _how(tasks, device, narrowed)
    # Of what an earlier process did of the same fit only the time by the clock is known.
    busy_share = 0.0 if checkpoint.seconds_before else (time.process_time() - busy) / len(tasks)
    spent = _Spent(share, busy_share)
    results = tuple(
        JobResult.of(_written(task, trial, spent, device, how))
        for task, trial in zip(tasks, trials, strict=True)
    )
    checkpoint.remove()
    return results


@dataclass(frozen=True)
class _Spent:
    """A job's share of what its process spent: by the clock, and of the processor (0 where unknown)."""

    seconds: float
    processor: float


@dataclass(frozen=True)
class Narrowed:
    """Why tasks run in smaller groups than they were given in."""

    given: int
    """How many there were, and did not fit into the device's memory."""
    width: int
    """How many run side by side now, at most."""


def _can_be_smaller(tasks: Sequence[Task], device: str, narrowed: Narrowed | None) -> bool:
    """Whether there are several, or one that trains in a group with room for more."""
    from benchmark.run.side_by_side import takes_width

    _, _, fit_together = pickle.loads(tasks[0].payload)
    return len(tasks) > 1 or (device != "cpu" and _room(narrowed) > 1 and takes_width(fit_together))


def _room(narrowed: Narrowed | None) -> int:
    from benchmark.learning.groups import WIDTH

    return narrowed.width if narrowed else WIDTH


def _smaller(
    tasks: Sequence[Task], device: str, checkpoint: Checkpoint, narrowed: Narrowed | None
) -> tuple[JobResult, ...]:
    checkpoint.remove()
    gc.collect()
    free_memory(device)
    given = narrowed.given if narrowed else len(tasks)
    if len(tasks) == 1:
        return run_tasks(tasks, device, Narrowed(given, (_room(narrowed) + 1) // 2))
    half = (len(tasks) + 1) // 2
    now = Narrowed(given, half)
    return (*run_tasks(tasks[:half], device, now), *run_tasks(tasks[half:], device, now))


def _how(tasks: Sequence[Task], device: str, narrowed: Narrowed | None) -> dict[str, Any]:
    """Return what a record's environment says beside that of the process: the device, and side by side."""
    how: dict[str, Any] = {"device": device}
    if device != "cpu":
        how["accelerator"] = card_name(device)
    if len(tasks) > 1:
        how["side_by_side"] = len(tasks)
    if narrowed:
        how |= {"did_not_fit": narrowed.given, "width": narrowed.width}
    return how


def _trials(
    tasks: Sequence[Task], device: str, checkpoint: Checkpoint, narrowed: Narrowed | None, alone: bool
) -> list[Trial | Exception]:
    """Run the trials of tasks for one method on one data set; why there is none for each that failed."""
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
        # On an accelerator one seed too, since a seed has the same bits there alone and beside others.
        if fit_together is None or alone or (len(tasks) == 1 and device == "cpu"):
            trials = [run_trial(methods[0], dataset, first.blank.seed, *caps)]
        else:
            seeds = [task.blank.seed for task in tasks]
            width = narrowed.width if narrowed else None
            trials = run_trials_together(methods, fit_together, dataset, seeds, *caps, width)
    before = checkpoint.seconds_before / len(tasks)
    return [
        trial
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


def _written(
    task: Task, trial: Trial | Exception, spent: _Spent, device: str, how: Mapping[str, Any]
) -> Record:
    """Write the record of one job from its trial, or from why there is none; `how` joins its environment."""
    from benchmark.run.environment import describe_environment
    from benchmark.run.memory import peak_mib

    store, error = RecordStore(task.store_root), trial if isinstance(trial, Exception) else None
    blank = replace(
        task.blank,
        processor_seconds=spent.processor,
        peak_mib=peak_mib(),
        device_mib=peak_device_mib(device),
    )
    if not isinstance(trial, Exception):
        record = replace(
            blank,
            status="done",
            score_digest=score_digest(trial.arrays["scores"]),
            seconds=trial.seconds,
            environment={**describe_environment(), **how},
        )
        try:
            store.write(record, trial.arrays)
            return record
        except Exception as unwritten:  # arrays that no file can hold; the others keep their records
            error = unwritten
    record = replace(
        blank,
        status="out-of-memory" if error and is_out_of_memory(error) else "failed",
        error="".join(traceback.format_exception(error)),
        seconds={"total": spent.seconds},
    )
    store.write(record)
    return record


def method_seed(seed: int, refit: int) -> int:
    """Return the seed of the method's own randomness: the job's, or in a refit one that is no job's.

    `run_trial` takes the job's seed for split and hold-out, so a refit sees the same rows; only what the
    method itself draws (initialisation, shuffling, dropout, choices) is drawn anew.
    """
    return seed + refit * 2**32
