"""Where jobs run: joblib's own processes, or the workers of a dask cluster; it knows no job."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import joblib

from benchmark.run.config import Running
from benchmark.run.devices import DevicePool
from benchmark.run.worker import Deadline, JobResult, Task, supervise


class BackendError(RuntimeError):
    """A backend that cannot run jobs here; the message says what to install or change."""


@dataclass(frozen=True)
class Call:
    """Jobs that one child process runs, and by when."""

    tasks: tuple[Task, ...]
    deadline: Deadline | None = None


RunCalls = Callable[[Iterable[Call]], Iterator[tuple[JobResult, ...]]]
"""Runs calls, several at a time, and yields how the jobs of each ended, as they do."""


@contextmanager
def started(running: Running, jobs: int, devices: DevicePool, modules: Sequence[str]) -> Iterator[RunCalls]:
    """Start a backend for as long as a run lasts.

    Parameters
    ----------
    running
        Which one.
    jobs
        How many at a time, where the backend is started for them.
    devices
        For jobs on this machine; a cluster's workers look for their own.
    modules
        What jobs import.

    Raises
    ------
    BackendError
        As `parallel` and `cluster.connected`.
    """
    if running.backend == "dask":
        from benchmark.run.cluster import Cluster, connected

        with connected(running.scheduler, jobs) as client:
            yield Cluster(client, running.device, modules).run
        return
    with parallel(running.backend, jobs) as run:
        yield lambda calls: iter(
            run(joblib.delayed(supervise)(call.tasks, devices, call.deadline) for call in calls)
        )


@contextmanager
def parallel(backend: str, jobs: int) -> Iterator[joblib.Parallel]:
    """Yield a `joblib.Parallel` whose results come as they finish.

    Raises
    ------
    BackendError
        For threads, which share one process's random state, and whatever else is not loky.
    """
    if backend != "loky":
        raise BackendError(
            f"backend {backend!r} cannot run jobs: use loky, or dask with one thread per worker "
            f"(threads in one process corrupt each other's seeding)"
        )
    with joblib.parallel_config(backend=backend, n_jobs=jobs):
        yield joblib.Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")


def refuse_threads(workers: Mapping[str, Any]) -> None:
    """Raise `BackendError` if a dask worker runs more than one thread."""
    for name, worker in workers.items():
        if worker["nthreads"] > 1:
            raise BackendError(
                f"dask worker {name} runs {worker['nthreads']} threads, and they would corrupt each other's "
                f"seeding; start it with --nthreads 1 (and --nworkers for parallel work)"
            )
