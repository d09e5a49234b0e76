"""What a dask worker does for a run on another machine; it shares no disk with it, and knows no cluster.

Jobs run here as anywhere (`worker.supervise`), in a folder that ends with them: only the bytes of their
record files go back. Their data are those of `remote_data`.
"""

from __future__ import annotations

import asyncio
import hashlib
import multiprocessing
import pickle
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import psutil

from benchmark.files import write_bytes
from benchmark.run.accelerator import warm_up
from benchmark.run.devices import DeviceError, DevicePool, available_pool
from benchmark.run.fingerprint import PROJECT_PACKAGES
from benchmark.run.isolation import Child, Stopped, run_isolated
from benchmark.run.remote_data import Data, dataset_of
from benchmark.run.seeding import limit_threads_of_new_processes
from benchmark.run.source import forget_places
from benchmark.run.store import RecordStore
from benchmark.run.task import Deadline, JobResult, Task
from benchmark.run.worker import supervise

ROOT = Path(__file__).resolve().parents[2]
POLL_SECONDS = 0.5
ENDING = ("closing", "closed", "failed")
"""What dask calls the states of a worker that computes for nobody any more."""


def project_digest() -> str:
    """Return the SHA-256 of the project's Python files, by name."""
    digest = hashlib.sha256()
    for path in sorted(path for package in PROJECT_PACKAGES for path in (ROOT / package).rglob("*.py")):
        text = path.read_text(encoding="utf-8")
        digest.update(f"{path.relative_to(ROOT).as_posix()}\0{text}\0".encode())
    return digest.hexdigest()


LOADED = project_digest()
"""Of what this process, and every child of its fork server, has imported, or will have."""


@dataclass(frozen=True)
class Introduction:
    """What a worker says of itself before it gets jobs."""

    code: str
    """`project_digest` when it began."""
    edited: bool
    """Whether its files are others now."""
    childless: bool
    """Whether it is a daemon, which Python allows no child processes."""
    trouble: str
    """Why the wanted device cannot be used; empty if it can."""


@dataclass(frozen=True)
class Errand:
    """Jobs for a worker, several that train together."""

    tasks: tuple[Task, ...]
    """Without data sets and folders, which are the sender's."""
    data: Data
    sources: Mapping[str, bytes]
    """Code beside the project that they run through: content by path below a folder to import from."""
    device: str
    """As `--device`."""
    left: float | None
    """Seconds until the run has to be over; None for no such time."""
    expected: float | None


@dataclass(frozen=True)
class Returned:
    """How a job ended, and the files of its record; none if it left no record."""

    result: JobResult
    files: Mapping[str, bytes]


_lasting: dict[str, Child] = {}
"""The process that runs jobs on this worker's device in turn, by the folder of the code that it imports."""


async def introduce(device: str, preload: Sequence[str]) -> Introduction:
    """Answer what a run has to know, also while a job is running, and warm up for jobs."""
    return await asyncio.to_thread(_introduce, device, tuple(preload))


def _introduce(device: str, preload: tuple[str, ...]) -> Introduction:
    childless, trouble = bool(multiprocessing.current_process().daemon), ""
    if not childless:
        limit_threads_of_new_processes()
        outcome = run_isolated(_find_devices, (device,), preload=preload)
        trouble = outcome.message or str(outcome.value)
    return Introduction(LOADED, project_digest() != LOADED, childless, trouble)


def _find_devices(device: str) -> str:
    try:
        available_pool(device)
    except DeviceError as error:
        return str(error)
    return ""


@cache
def _pool(device: str) -> DevicePool:
    outcome = run_isolated(available_pool, (device,))  # apart, since it may import torch
    if outcome.reason != "finished":
        raise DeviceError(outcome.message)
    pool: DevicePool = outcome.value
    return pool


def run(errand: Errand) -> tuple[Returned, ...]:
    """Run jobs as `supervise` does, and return their records instead of leaving them here."""
    from distributed import get_worker

    worker, data = get_worker(), errand.data
    deadline = None if errand.left is None else Deadline(time.time() + errand.left, errand.expected)
    spec = dataset_of(data)
    code = _use(errand.sources, Path(worker.local_directory) / "m3la-sources")
    pool = _pool(errand.device)
    lasting = _child_of(code, pool, errand.tasks[0])
    with (
        tempfile.TemporaryDirectory(dir=worker.local_directory) as folder,
        _ended_with_its_run(worker, lasting),
    ):
        store = RecordStore(Path(folder) / "runs")
        none = Path(folder) / "none"
        tasks = [
            replace(task, dataset=pickle.dumps(spec), data_dir=none, store_root=store.root)
            for task in errand.tasks
        ]
        folders = {task.blank.job: store.folder(task.blank.job, task.blank.config_hash) for task in tasks}
        return tuple(
            Returned(result, {path.name: path.read_bytes() for path in folders[result.job].glob("*")})
            for result in _supervised(tasks, pool, deadline, lasting)
        )


def _supervised(
    tasks: Sequence[Task], pool: DevicePool, deadline: Deadline | None, lasting: Child | None
) -> tuple[JobResult, ...]:
    try:
        return supervise(tasks, pool, deadline, lasting)
    except Stopped:  # nobody waits for what it would say
        return ()


def _child_of(code: str, pool: DevicePool, task: Task) -> Child | None:
    """Return the process for jobs on this worker's accelerator; another one where the code is another."""
    if not (task.uses_device and pool.accelerators):
        return None
    if code not in _lasting or _lasting[code].stopped.is_set():
        for earlier in _lasting.values():
            earlier.end()
        _lasting.clear()
        _lasting[code] = Child(task.preload, (warm_up, (pool.accelerators[0], task.preload)))
    return _lasting[code]


def _kill_jobs() -> None:
    """Kill what this process's fork server and its children have started.

    multiprocessing's own list must not be looked at here: to look takes the exit code from who waits for it.
    """
    own = psutil.Process()
    for process in own.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.ppid() != own.pid:
                process.kill()


def _use(sources: Mapping[str, bytes], base: Path) -> str:
    """Let code be imported here and in child processes, in place of what an earlier run sent.

    Returns
    -------
    str
        The folder to import it from.
    """
    digest = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()
    folder = base / digest[:16]
    if str(folder) in sys.path:
        return str(folder)
    for earlier in [Path(place) for place in sys.path if Path(place).parent == base]:
        sys.path.remove(str(earlier))
        names = {path.stem for path in earlier.iterdir()}
        for module in [name for name in sys.modules if name.partition(".")[0] in names]:
            del sys.modules[module]
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in sources.items():
        write_bytes(folder / name, content)
    sys.path.insert(0, str(folder))
    forget_places()
    return str(folder)


@contextmanager
def _ended_with_its_run(worker: Any, lasting: Child | None) -> Iterator[None]:
    """Kill the job's process once nobody waits for it any more, since dask cannot stop what has begun."""
    key, over = worker.get_current_task(), threading.Event()

    def watch() -> None:
        while not over.wait(POLL_SECONDS):
            task = worker.state.tasks.get(key)
            if task is None or task.state == "cancelled" or worker.status.name in ENDING:
                if lasting is not None:
                    lasting.stop()
                _kill_jobs()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
