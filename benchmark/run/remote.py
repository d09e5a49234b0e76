"""What a dask worker does for a run on another machine; it shares no disk with it, and knows no cluster.

Jobs run here as anywhere (`worker.supervise`), in a folder that ends with them: only the bytes of their
record files go back. Data come from this checkout if it has them, else as arrays that stay as long as the
worker.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
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

import numpy as np
import psutil

from benchmark.contracts import DataError, Dataset, Provenance
from benchmark.files import write_bytes
from benchmark.registry import DATASET_SOURCES, discover
from benchmark.run.devices import DeviceError, DevicePool, available_pool
from benchmark.run.fingerprint import PROJECT_PACKAGES
from benchmark.run.isolation import run_isolated
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
class Data:
    """Which data set a job needs, by content and by whose splits and randomness it takes."""

    dataset: str
    data_hash: str
    rows_id: str
    provenance: Provenance


@dataclass(frozen=True)
class Errand:
    """Jobs for a worker, several that train side by side."""

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


@dataclass(frozen=True)
class OwnDataset:
    """A data set of this checkout's; loads like a `DatasetSpec`."""

    id: str

    def load(self, data_dir: Path) -> Dataset:
        """Load it; `KeyError` if there is none."""
        loaded: Dataset = discover((), DATASET_SOURCES).datasets[self.id].load(data_dir)
        return loaded


@dataclass(frozen=True)
class SentDataset:
    """Arrays that came from another machine; loads like a `DatasetSpec`."""

    data: Data
    path: Path
    sha256: str

    def load(self, _: Path) -> Dataset:
        """Load them; `DataError` if the file is not what came."""
        with self.path.open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != self.sha256:
                raise DataError(f"{self.path} was altered after it came; restart this worker")
            file.seek(0)
            with np.load(file, allow_pickle=False) as content:
                arrays = [content[name] for name in content.files]
        *modalities, labels = arrays
        return Dataset(
            id=self.data.dataset,
            modalities=tuple(modalities),
            labels=labels,
            modality_names=tuple(f"modality{k}" for k in range(len(modalities))),
            label_names=tuple(f"label{j}" for j in range(labels.shape[1])),
            provenance=self.data.provenance,
            data_hash=self.data.data_hash,
            split_id=self.data.rows_id,
        )


def packed(dataset: Dataset) -> bytes:
    """Return what of a data set travels, as `SentDataset` reads it: the arrays, and no name."""
    buffer = io.BytesIO()
    np.savez(buffer, *dataset.modalities, dataset.labels, allow_pickle=False)
    return buffer.getvalue()


_sent: dict[str, tuple[Path, str]] = {}
"""File and SHA-256 of arrays that came, by data hash."""
_own: dict[Data, bool] = {}


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


def has(data: Data) -> bool:
    """Return whether a data set is here: it came before, or this checkout makes the same."""
    if data.data_hash in _sent and _sent[data.data_hash][0].is_file():
        return True
    if data not in _own:
        outcome = run_isolated(_makes, (data,))
        _own[data] = outcome.reason == "finished" and outcome.value
    return _own[data]


def _makes(data: Data) -> bool:
    with tempfile.TemporaryDirectory() as nothing:
        own = OwnDataset(data.dataset).load(Path(nothing))
    return (own.data_hash, own.rows_id) == (data.data_hash, data.rows_id)


def keep(data_hash: str, sha256: str, content: bytes) -> None:
    """Keep arrays that came, for as long as this worker lives."""
    from distributed import get_worker

    if hashlib.sha256(content).hexdigest() != sha256:
        raise DataError(f"the arrays of {data_hash} were altered on their way; start the run again")
    path = Path(get_worker().local_directory) / "m3la-data" / f"{sha256}.npz"
    write_bytes(path, content)
    _sent[data_hash] = path, sha256


def run(errand: Errand) -> tuple[Returned, ...]:
    """Run jobs as `supervise` does, and return their records instead of leaving them here."""
    from distributed import get_worker

    worker, data = get_worker(), errand.data
    deadline = None if errand.left is None else Deadline(time.time() + errand.left, errand.expected)
    sent = _sent.get(data.data_hash)
    spec = OwnDataset(data.dataset) if sent is None else SentDataset(data, *sent)
    _use(errand.sources, Path(worker.local_directory) / "m3la-sources")
    with (
        tempfile.TemporaryDirectory(dir=worker.local_directory) as folder,
        _ended_with_its_run(worker),
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
            for result in supervise(tasks, _pool(errand.device), deadline)
        )


def _kill_jobs() -> None:
    """Kill what this process's fork server and its children have started.

    multiprocessing's own list must not be looked at here: to look takes the exit code from who waits for it.
    """
    own = psutil.Process()
    for process in own.children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if process.ppid() != own.pid:
                process.kill()


def _use(sources: Mapping[str, bytes], base: Path) -> None:
    """Let code be imported here and in child processes, in place of what an earlier run sent."""
    digest = hashlib.sha256(repr(sorted(sources.items())).encode()).hexdigest()
    folder = base / digest[:16]
    if str(folder) in sys.path:
        return
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


@contextmanager
def _ended_with_its_run(worker: Any) -> Iterator[None]:
    """Kill the job's process once nobody waits for it any more, since dask cannot stop what has begun."""
    key, over = worker.get_current_task(), threading.Event()

    def watch() -> None:
        while not over.wait(POLL_SECONDS):
            task = worker.state.tasks.get(key)
            if task is None or task.state == "cancelled" or worker.status.name in ENDING:
                _kill_jobs()

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        over.set()
        watcher.join()
