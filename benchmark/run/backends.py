"""Where jobs run: joblib's own processes, or a dask cluster of single-threaded workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import joblib


class BackendError(RuntimeError):
    """A backend that cannot run jobs here; the message says what to install or change."""


@contextmanager
def parallel(backend: str, jobs: int) -> Iterator[joblib.Parallel]:
    """Yield a `joblib.Parallel` whose results come as they finish.

    Raises
    ------
    BackendError
        For threads (they share one process's random state), for dask workers with more than one thread,
        and for dask where it is not installed.
    """
    if backend not in ("loky", "dask"):
        raise BackendError(
            f"backend {backend!r} cannot run jobs: use loky, or dask with one thread per worker "
            f"(threads in one process corrupt each other's seeding)"
        )
    with ExitStack() as stack:
        if backend == "dask":
            stack.enter_context(_dask_cluster(jobs))
        stack.enter_context(joblib.parallel_config(backend=backend, n_jobs=jobs))
        yield joblib.Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="n_jobs")


@contextmanager
def _dask_cluster(jobs: int) -> Iterator[None]:
    """Connect to the scheduler of dask's configuration if there is one, else start a local cluster."""
    try:
        import dask
        from distributed import Client, LocalCluster
    except ImportError as error:
        raise BackendError('--backend dask needs the extra: pip install -e ".[dask]"') from error

    # Workers must not be daemons, since each job runs in a child process of its worker.
    with dask.config.set({"distributed.worker.daemon": False}), ExitStack() as stack:
        address = dask.config.get("scheduler-address", None)
        if address is None:
            address = stack.enter_context(
                LocalCluster(n_workers=jobs, threads_per_worker=1, processes=True, dashboard_address=None)
            )
        client = stack.enter_context(Client(address))
        refuse_threads(client.scheduler_info(n_workers=-1)["workers"])
        yield


def refuse_threads(workers: dict[str, Any]) -> None:
    """Raise `BackendError` if a dask worker runs more than one thread."""
    for name, worker in workers.items():
        if worker["nthreads"] > 1:
            raise BackendError(
                f"dask worker {name} runs {worker['nthreads']} threads, and they would corrupt each other's "
                f"seeding; start it with --nthreads 1 (and --nworkers for parallel work)"
            )
