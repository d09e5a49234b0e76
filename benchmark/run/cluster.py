"""Runs jobs on the workers of a dask cluster and writes the records that come back; it trains nothing.

Each worker gets one job at a time from here, by its address. Dask's own scheduling would count a worker's
death against whatever waited there too, and let a job kill as many workers as the scheduler is set to allow.
"""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import sys
import tempfile
import threading
import time
import traceback
from collections import deque
from collections.abc import Generator, Iterable, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, CancelledError, Future, ThreadPoolExecutor, wait
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmark.files import write_bytes
from benchmark.run import remote, remote_data
from benchmark.run.backends import AGAIN, BackendError, Call, refuse_threads, workers_of
from benchmark.run.child import load_planned
from benchmark.run.fingerprint import PROJECT_PACKAGES, is_installed
from benchmark.run.remote import POLL_SECONDS, Errand, Introduction, Returned
from benchmark.run.remote_data import Data
from benchmark.run.store import RecordStore
from benchmark.run.task import Deadline, JobResult, Task
from benchmark.run.worker import claim, record_deaths

PATIENCE_SECONDS = 60.0
"""How long a run waits for a worker where there is none: dask starts one that died again."""
MOST_WORKERS = 4_096


class _WorkerLostError(Exception):
    """A worker that died, or a run that ends, while a call waited for an answer."""


class Cluster:
    """The workers of a client, as long as a run lasts.

    Parameters
    ----------
    client
        Of dask.
    device
        As `--device`; each worker looks for it where it is.
    preload
        Modules that jobs import.
    """

    def __init__(self, client: Any, device: str, preload: Sequence[str]) -> None:
        self.client, self.device = client, device
        # Others come with a job, and may be another run's by the next one: no fork server may hold them.
        self.preload = tuple(name for name in preload if name.partition(".")[0] in PROJECT_PACKAGES)
        self.alive: dict[str, Any] = {}
        self.asked = 0.0
        self.unfit: dict[str, str] = {}
        self.fit: set[str] = set()
        self.known: set[str] = set()
        self.has: set[tuple[str, Data]] = set()
        self.over = threading.Event()
        self.packing = threading.Lock()

    def run(self, calls: Iterable[Call]) -> Generator[tuple[JobResult, ...]]:
        """Yield how jobs ended, as they do; each has its record then.

        Raises
        ------
        BackendError
            If a worker that is there at the start cannot be used, the scheduler dies, or all workers do.
        """
        left, again = iter(calls), deque[tuple[Call, str]]()
        busy: dict[Future[tuple[JobResult, ...]], tuple[str, Call, str]] = {}
        with ThreadPoolExecutor(MOST_WORKERS, "dask worker") as threads:
            try:
                while True:
                    if not busy and not again:
                        if (call := next(left, None)) is None:
                            return
                        again.append((call, ""))
                    for worker in self._free({worker for worker, _, _ in busy.values()}, threads):
                        one = again.popleft() if again else ((call := next(left, None)) and (call, ""))
                        if not one:
                            break
                        busy[threads.submit(self._attempt, worker, one[0])] = (worker, *one)
                    for done in wait(busy, POLL_SECONDS, FIRST_COMPLETED).done:
                        worker, call, died = busy.pop(done)
                        if not isinstance(done.exception(), _WorkerLostError):
                            yield done.result()
                        elif died:
                            yield record_deaths(
                                call.tasks, f"two dask workers died while the job ran: {died}, {worker}"
                            )
                        else:
                            again.append((call, worker))
            finally:
                self.over.set()

    def _free(self, busy: set[str], threads: ThreadPoolExecutor) -> list[str]:
        """Return the workers that can take a job now; where none is busy, wait for one."""
        patience = time.monotonic() + PATIENCE_SECONDS
        while True:
            self._look(threads)
            free = [worker for worker in self.alive if worker in self.fit and worker not in busy]
            if free or busy:
                return free
            if self.alive.keys() - self.unfit.keys():  # being met, which takes its time where much else runs
                patience = time.monotonic() + PATIENCE_SECONDS
            if time.monotonic() > patience:
                reasons = "; ".join(self.unfit.values()) or "all have died"
                raise BackendError(f"the dask cluster has no worker left ({reasons}); {AGAIN}")
            time.sleep(POLL_SECONDS)

    def _look(self, threads: ThreadPoolExecutor) -> None:
        """See which workers there are, at most twice a second, and get to know new ones."""
        if time.monotonic() < self.asked + POLL_SECONDS:
            return
        self.alive, self.asked = workers_of(self.client), time.monotonic()
        new = [worker for worker in self.alive if worker not in self.known]
        self.known |= {*new}
        if new and not self.fit:
            self._meet(new, at_start=True)
        elif new:  # without keeping the others waiting
            threads.submit(self._meet, new, at_start=False)

    def _meet(self, workers: Sequence[str], *, at_start: bool) -> None:
        """Ask workers who they are: one that is unfit ends a run at its start, and later gets no job."""
        try:
            answers = self.client.run(
                remote.introduce, self.device, self.preload, workers=[*workers], on_error="return"
            )
        except Exception as error:  # of the line to the scheduler
            answers = dict.fromkeys(workers, error)
        for worker in answers.keys() & self.alive.keys():
            reason = _unfit(worker, self.alive[worker], answers[worker])
            if reason and at_start:
                raise BackendError(reason)
            if reason:
                self.unfit[worker] = reason
                print(f"not used: {reason}", file=sys.stderr)
        self.fit |= answers.keys() - self.unfit.keys()

    def _attempt(self, worker: str, call: Call) -> tuple[JobResult, ...]:
        """Run jobs on a worker, holding their locks here, and write their records."""
        store = RecordStore(call.tasks[0].store_root)
        try:
            with claim(call.tasks, store) as (results, mine):
                if not mine:
                    return results
                self._provide(worker, mine[0])
                returned = self._ask(worker, remote.run, self._errand(mine, call.deadline))
                by_job = {task.blank.job: task for task in mine}
                return (*results, *(_stored(one, by_job[one.result.job], store) for one in returned))
        except _WorkerLostError:
            raise
        except Exception:
            error = traceback.format_exc()
            return tuple(JobResult(task.blank.job, "failed", error=error) for task in call.tasks)

    def _errand(self, tasks: Sequence[Task], deadline: Deadline | None) -> Errand:
        here = self.preload
        bare = [
            replace(task, dataset=b"", data_dir=Path(), store_root=Path(), preload=here) for task in tasks
        ]
        return Errand(
            tuple(bare),
            _data_of(tasks[0]),
            outside_sources(module for module, _ in tasks[0].code_roots),
            self.device,
            deadline.left() if deadline else None,
            deadline.expected if deadline else None,
        )

    def _provide(self, worker: str, task: Task) -> None:
        """Send a worker the data set of a task, once, unless it has or makes the same."""
        data = _data_of(task)
        if (worker, data) in self.has:
            return
        if not self._ask(worker, remote_data.has, data):
            with self.packing:  # one copy in memory at a time
                content = remote_data.packed(load_planned(task))
                sha256 = hashlib.sha256(content).hexdigest()
                try:
                    sent = self.client.scatter(content, workers=[worker], hash=False)
                except (OSError, TimeoutError, ValueError) as error:
                    raise _WorkerLostError from error
            self._ask(worker, remote_data.keep, data.data_hash, sha256, sent)
        self.has.add((worker, data))

    def _ask(self, worker: str, function: Any, *arguments: Any) -> Any:
        """Call a function on a worker; `_WorkerLostError` if it or its line dies first, or the run ends."""
        from distributed import KilledWorker
        from distributed.comm import CommClosedError

        async def answered() -> Any:
            return await future

        future = self.client.submit(function, *arguments, workers=[worker], pure=False)
        # Not `future.result(timeout)`, which would stop an answer on its way and have it sent again.
        answer = asyncio.run_coroutine_threadsafe(answered(), self.client.loop.asyncio_loop)
        try:
            while not self.over.is_set():
                try:
                    return answer.result(POLL_SECONDS)
                except TimeoutError:
                    if answer.done():  # the function's own
                        raise
                    if worker not in self.alive:
                        break
                except (KilledWorker, CommClosedError, CancelledError):
                    break
            raise _WorkerLostError
        finally:
            answer.cancel()
            future.release()


def _unfit(address: str, worker: Mapping[str, Any], answer: Introduction | Exception) -> str:
    """Say why a worker cannot be used and what to do; nothing if it can."""
    name = address if worker["name"] == address else f"{worker['name']} ({address})"
    same = "bring its copy of the project to this version (git pull, rsync) and start it again"
    try:
        refuse_threads({name: worker})
    except BackendError as error:
        return str(error)
    if isinstance(answer, (ImportError, AttributeError)):
        return f"dask worker {name} cannot import this project's code ({answer}); {same} in that folder"
    if isinstance(answer, Exception):
        return f"dask worker {name} does not answer ({type(answer).__name__}: {answer}); start it again"
    if answer.code != remote.LOADED:
        return f"dask worker {name} has other code ({answer.code[:12]}, here {remote.LOADED[:12]}); {same}"
    if answer.edited:
        return f"dask worker {name}: its copy of the project was edited after it had started; start it again"
    if answer.childless:
        return (
            f"dask worker {name} may have no child processes, and each job is one; start it with "
            "DASK_DISTRIBUTED__WORKER__DAEMON=False, or with --no-nanny"
        )
    return f"dask worker {name}: {answer.trouble}" if answer.trouble else ""


def _data_of(task: Task) -> Data:
    return Data(task.blank.dataset, task.blank.data_hash, task.rows_id, task.blank.provenance)


def outside_sources(modules: Iterable[str]) -> dict[str, bytes]:
    """Return the Python files behind modules that are neither the project's nor installed, by path.

    Of a package all its Python files, of a module its own file.
    """
    sources: dict[str, bytes] = {}
    for module in modules:
        top = module.partition(".")[0]
        spec = None if top in PROJECT_PACKAGES or is_installed(module) else importlib.util.find_spec(top)
        if spec is None:
            continue
        folders = [Path(place) for place in spec.submodule_search_locations or ()]
        files = {path: folder.parent for folder in folders for path in folder.rglob("*.py")}
        if spec.origin and not folders:
            files = {Path(spec.origin): Path(spec.origin).parent}
        sources |= {path.relative_to(base).as_posix(): path.read_bytes() for path, base in files.items()}
    return sources


def _stored(returned: Returned, task: Task, store: RecordStore) -> JobResult:
    """Write the record that came back; it is read and checked as one on disk, in a folder of its own."""
    if not returned.files:
        return returned.result
    job, config_hash = task.blank.job, task.blank.config_hash
    with tempfile.TemporaryDirectory() as folder:
        arrived = RecordStore(Path(folder))
        place = arrived.folder(job, config_hash)
        for name, content in returned.files.items():
            write_bytes(place / Path(name).name, content)
        record = arrived.find(job, config_hash)
        if record is None:
            raise RuntimeError("the record that came back from the worker cannot be read; run again")
        store.write(record, arrived.arrays(record) if record.status == "done" else None)
    return JobResult.of(record)
