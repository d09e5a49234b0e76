"""Runs jobs on joblib's own processes, and replaces those that die; what a job is, it leaves to `worker`."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing, contextmanager
from typing import Any

import joblib

from benchmark.contracts import Job
from benchmark.run.backends import BackendError, Call
from benchmark.run.devices import DevicePool
from benchmark.run.isolation import end_with
from benchmark.run.scratch import remove_what_the_dead_left
from benchmark.run.task import JobResult
from benchmark.run.worker import record_deaths, supervise

DIED = (
    "two workers died while the job ran; if memory runs out, run fewer jobs at a time (--jobs), or limit "
    "each with --job-memory"
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
    with joblib.parallel_config(backend=backend, n_jobs=jobs, initializer=end_with, initargs=(os.getpid(),)):
        yield joblib.Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")


class Processes:
    """So many processes of this machine; with one job at a time, this process is the worker.

    Parameters
    ----------
    backend
        As `parallel`.
    jobs
        At a time.
    devices
        That they share.
    """

    def __init__(self, backend: str, jobs: int, devices: DevicePool) -> None:
        self.backend, self.jobs, self.devices = backend, jobs, devices

    def run(self, calls: Iterable[Call]) -> Generator[tuple[JobResult, ...]]:
        """Yield how jobs ended, as they do.

        A worker that dies takes all others along. What they were at then runs again, one call at a time, so
        that only the one that kills its worker is recorded as such.
        """
        left, begun = iter(calls), dict[Job, Call]()
        whole = False
        while not whole or begun:
            whole = yield from self._together(left, self.jobs, begun)
            while begun:
                _, call = begun.popitem()
                if not (yield from self._together(iter([call]), 2, {})):  # of one, this process is the worker
                    yield record_deaths(call.tasks, DIED)

    def _together(
        self, calls: Iterator[Call], jobs: int, begun: dict[Job, Call]
    ) -> Generator[tuple[JobResult, ...], None, bool]:
        """Run calls until all ended or a worker died; return whether all did, the others are in `begun`."""

        def each() -> Iterator[Any]:
            for call in calls:
                begun[call.tasks[0].blank.job] = call
                yield joblib.delayed(supervise)(call.tasks, self.devices, call.deadline)

        try:
            # joblib's stubs call the generator a list.
            with parallel(self.backend, jobs) as run, closing(run(each())) as ended:  # type: ignore[type-var]
                for results in ended:
                    for result in results:
                        begun.pop(result.job, None)
                    yield results
        except BrokenProcessPool:
            return False
        return True


def stop_processes() -> None:
    """Kill joblib's processes; their children end with them (see `isolation`)."""
    from joblib.externals.loky import get_reusable_executor  # type: ignore[import-untyped]

    get_reusable_executor().shutdown(wait=True, kill_workers=True)
    remove_what_the_dead_left()
