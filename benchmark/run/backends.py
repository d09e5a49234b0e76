"""Where jobs run: joblib's own processes, or the workers of a dask cluster; it knows no job."""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any

from benchmark.run.config import Running
from benchmark.run.devices import DevicePool
from benchmark.run.task import Deadline, JobResult, Task

CONNECT_SECONDS = 10.0
AGAIN = "finished jobs are kept, and the same command goes on from there"


class BackendError(RuntimeError):
    """A backend that cannot run jobs here; the message says what to install or change."""


@dataclass(frozen=True)
class Call:
    """Jobs that one child process runs, and by when."""

    tasks: tuple[Task, ...]
    deadline: Deadline | None = None


RunCalls = Callable[[Iterable[Call]], Generator[tuple[JobResult, ...]]]
"""Runs calls, several at a time, and yields how the jobs of each ended, as they do."""


@contextmanager
def started(running: Running, jobs: int, devices: DevicePool, modules: Sequence[str]) -> Iterator[RunCalls]:
    """Start a backend for as long as a run lasts.

    Parameters
    ----------
    running
        Which one.
    jobs
        How many at a time, where the backend is started for them; without any it is not started.
    devices
        For jobs on this machine; a cluster's workers look for their own.
    modules
        What jobs import.

    Raises
    ------
    BackendError
        As `processes.parallel` and `connected`.
    """
    if not jobs:
        yield _nothing
        return
    if running.backend == "dask":
        from benchmark.run.cluster import Cluster

        with connected(running.scheduler, jobs) as client:
            yield Cluster(client, running.device, modules).run
        return
    from benchmark.run.processes import Processes, stop_processes

    try:
        yield Processes(running.backend, jobs, devices).run
    except KeyboardInterrupt:
        if jobs > 1:
            stop_processes()
        raise


def _nothing(_: Iterable[Call]) -> Generator[tuple[JobResult, ...]]:
    yield from ()


@contextmanager
def connected(address: str | None, jobs: int) -> Iterator[Any]:
    """Yield a client of the scheduler at an address, or of dask's configuration, else of a local cluster.

    Raises
    ------
    BackendError
        If dask is not installed, nobody answers at the address, or a worker has more than one thread.
    """
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise BackendError('--backend dask needs the extra: pip install -e ".[dask]"') from error

    logging.getLogger("distributed.client").setLevel(logging.CRITICAL)  # what it meets, `BackendError` tells
    # Workers must not be daemons, since each job runs in a child process of its worker.
    with dask.config.set({"distributed.worker.daemon": False}), ExitStack() as stack:
        address = address or dask.config.get("scheduler-address", None)
        if address is None:
            local = LocalCluster(n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address=None)
            client = Client(stack.enter_context(local))
        else:
            try:
                client = Client(address, timeout=CONNECT_SECONDS)
            except (OSError, ValueError) as error:
                raise BackendError(
                    f"no dask scheduler answers at {address!r} ({error}); start one with `dask scheduler`, "
                    "and give --scheduler the address that it prints"
                ) from error
        stack.enter_context(client)
        refuse_threads(workers_of(client))
        yield client


def workers_of(client: Any) -> dict[str, Any]:
    """Return what the scheduler knows of each worker, by address.

    Raises
    ------
    BackendError
        If the scheduler is gone.
    """
    gone = f"the dask scheduler is gone; {AGAIN} once there is a scheduler with workers again"
    if client.status != "running":
        raise BackendError(gone)
    try:  # not `scheduler_info`, which returns the last answer where there is no new one
        workers: dict[str, Any] = client.sync(client.scheduler.identity, n_workers=-1)["workers"]
    except (OSError, TimeoutError) as error:
        raise BackendError(gone) from error
    return workers


def count_workers(address: str) -> int:
    """Return how many workers a cluster has; `BackendError` if it has none, or as `connected`."""
    with connected(address, 1) as client:
        count = len(workers_of(client))
    if not count:
        raise BackendError(
            f"the dask scheduler at {address} has no worker; start some in a copy of this project: "
            f"dask worker {address} --nthreads 1 (docs/many-machines.md)"
        )
    return count


def refuse_threads(workers: Mapping[str, Any]) -> None:
    """Raise `BackendError` if a dask worker runs more than one thread."""
    for name, worker in workers.items():
        if worker["nthreads"] > 1:
            raise BackendError(
                f"dask worker {name} runs {worker['nthreads']} threads, and they would corrupt each other's "
                f"seeding; start it with --nthreads 1 (and --nworkers for parallel work)"
            )
