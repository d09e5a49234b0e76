"""Records on disk, one folder per job: written whole or not at all; it knows no method and no metric.

A folder `<root>/<data set>/<method>/<seed>-<hash>/` holds `record.json` and, when scores exist, `scores.npz`.
It is written under a hidden temporary name and renamed, so that a job is done or absent. Whoever writes a
job's folder holds the job's lock, which the operating system releases if the holder dies.
"""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from benchmark.contracts import Array, Job, Record
from benchmark.files import naming
from benchmark.run.arrays_file import DAMAGED, MOST_ARRAYS, SCORES_FILE, packed, score_digest, unpacked
from benchmark.run.locks import require_locks
from benchmark.run.record_file import (
    RECORD_FILE,
    REMEDY,
    SCORES_DIGEST,
    RecordError,
    is_outdated,
    read_content,
    read_fields,
    record_text,
    sha256,
)

CHECKPOINTS = ".checkpoints"
"""Folder of a store in which each unfinished job has a file, by the names that its record will have."""


@dataclass(frozen=True)
class Scan:
    """All that a store holds: readable records, and a message for each folder that is not readable."""

    records: tuple[Record, ...]
    """Also those of an earlier schema; see `is_outdated`."""
    broken: tuple[str, ...]


class RecordStore:
    """The records below one folder, usually `results/runs`."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def require_writable(self) -> None:
        """Make the root, and try to write and to lock there.

        Raises
        ------
        RecordError
            If that fails, for example because something on the way is a file or read-only, or because the
            file system has no locks.
        """
        try:
            self.root.mkdir(parents=True, exist_ok=True)
            with tempfile.TemporaryFile(dir=self.root):
                pass
        except OSError as error:
            raise RecordError(
                f"{self.root}: records cannot be written there ({error}); name another folder with --results"
            ) from error
        try:
            require_locks(self.lock_dir)
        except OSError as error:
            raise RecordError(
                f"{self.root}: files cannot be locked there ({error}), and two runs could write one record; "
                "name a folder on another disk with --results"
            ) from error

    def folder(self, job: Job, config_hash: str) -> Path:
        """Return where a job's record is, or would be.

        Raises
        ------
        RecordError
            If a name would lead out of the store, as one of a file from elsewhere may.
        """
        _require_names(job.dataset, job.method, config_hash)
        return self.root / job.dataset / job.method / f"{job.seed}-{config_hash}"

    def checkpoint_file(self, job: Job, config_hash: str) -> Path:
        """Return where a job keeps what a fit needs to go on, while it is unfinished; see `folder`."""
        return self.root / CHECKPOINTS / self.folder(job, config_hash).relative_to(self.root)

    @property
    def lock_dir(self) -> Path:
        """Where the locks of jobs are."""
        return self.root / ".locks"

    @contextmanager
    def lock(self, job: Job, config_hash: str) -> Iterator[bool]:
        """Hold the job's lock, or yield False at once if another process holds it."""
        lock = FileLock(self._lock_file(job, config_hash))
        self.lock_dir.mkdir(parents=True, exist_ok=True)
        try:
            lock.acquire(blocking=False)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def is_held(self, job: Job, config_hash: str) -> bool:
        """Whether a process is at the job; where that cannot be told, as in a read-only folder, it may be."""
        path = self._lock_file(job, config_hash)
        if not path.exists():
            return False
        try:
            with FileLock(path, is_singleton=False).acquire(blocking=False):
                return False
        except (Timeout, OSError):
            return True

    def _lock_file(self, job: Job, config_hash: str) -> Path:
        _require_names(job.dataset, job.method, config_hash)
        return self.lock_dir / f"{job.dataset}-{job.method}-{job.seed}-{config_hash}.lock"

    def write(self, record: Record, arrays: Mapping[str, Array] | None = None) -> Path:
        """Store a record and its arrays under their final name, in one step; call it holding the lock.

        An earlier record of the same job is replaced; one that is unreadable or of an older schema is kept
        beside it as `*.broken-<k>` or `*.outdated-<k>`.
        """
        final = self.folder(record.job, record.config_hash)
        partial = _partial(final)
        if partial.exists():  # left by a process that died while writing; the lock is ours now
            shutil.rmtree(partial)
        try:
            _fill(partial, record, arrays)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
        _make_way(final)
        partial.rename(final)
        return final

    def remove_half_written(self, job: Job, config_hash: str) -> None:
        """Remove what a process left that was killed while it wrote the job's record."""
        partial = _partial(self.folder(job, config_hash))
        if partial.exists():
            with self.lock(job, config_hash) as mine:
                if mine:
                    shutil.rmtree(partial, ignore_errors=True)

    def find(self, job: Job, config_hash: str) -> Record | None:
        """Return the job's record, or None where there is none, or an unreadable or outdated one."""
        folder = self.folder(job, config_hash)
        try:
            record = read_record(folder) if folder.exists() else None
        except RecordError:
            return None  # `scan` reports it; a broken record counts as not done
        return None if record is None or is_outdated(record) else record

    def arrays(self, record: Record) -> dict[str, Array]:
        """Read a done record's arrays and check them against the digests in `record.json`.

        Raises
        ------
        RecordError
            If the file is missing, truncated, altered or written anew.
        """
        folder = self.folder(record.job, record.config_hash)
        path, remedy = folder / SCORES_FILE, "delete its folder and run again"
        try:
            content = path.read_bytes() if path.stat().st_size <= MOST_ARRAYS else b""
            if sha256(content) != read_content(folder).get(SCORES_DIGEST):
                raise RecordError(f"{path} differs from its digest in {RECORD_FILE}; {remedy}")
            arrays = unpacked(content)
            digest = score_digest(arrays["scores"])
        except RecordError:
            raise
        except DAMAGED as error:
            raise RecordError(f"{path} cannot be read ({type(error).__name__}: {error}); {remedy}") from error
        if digest != record.score_digest:
            raise RecordError(f"{path}: scores differ from the digest in {RECORD_FILE}; {remedy}")
        return arrays

    def scan(self) -> Scan:
        """Read every record below the root; unreadable ones become messages, never silence."""
        records: list[Record] = []
        broken: list[str] = []
        for folder in sorted(self.root.glob("[!.]*/[!.]*/[!.]*")):
            if not folder.is_dir() or "." in folder.name:  # set aside by `write`
                continue
            try:
                records.append(read_record(folder))
            except RecordError as error:
                broken.append(str(error))
        return Scan(tuple(records), tuple(broken))


def _partial(final: Path) -> Path:
    return final.with_name(f".{final.name}.partial")


def _require_names(*names: str) -> None:
    """Refuse what would lead out of the store, as a name in a file from elsewhere may."""
    for name in names:
        if not name or name.startswith(".") or set(name) & {"/", "\\", "\0"}:
            raise RecordError(f"{name!r} is no name of a data set, a method or a hash; correct the file")


def read_record(folder: Path) -> Record:
    """Read and check one record folder; of an older schema only the fields that there still are.

    Raises
    ------
    RecordError
        If a file is missing or truncated, the schema is an unknown one, or the content is another job's.
    """
    record = read_fields(folder)
    found = (record.dataset, record.method, f"{record.seed}-{record.config_hash}")
    if found != folder.parts[-3:]:
        raise RecordError(
            f"{folder / RECORD_FILE} is the record of {'/'.join(found)}, not of its folder; {REMEDY}"
        )
    if record.status == "done" and not zipfile.is_zipfile(folder / SCORES_FILE):
        raise RecordError(f"{folder / SCORES_FILE} is missing or truncated; {REMEDY}")
    return record


def _fill(folder: Path, record: Record, arrays: Mapping[str, Array] | None) -> None:
    folder.mkdir(parents=True)
    content = dataclasses.asdict(record)
    if arrays is not None:
        archive = packed(arrays)
        content[SCORES_DIGEST] = sha256(archive)
        _write(folder / SCORES_FILE, archive)
    # Lists for tuples and texts for keys, as they come back: the digest is of what is read.
    plain = json.loads(json.dumps(content, allow_nan=False))
    _write(folder / RECORD_FILE, record_text(plain).encode())


def _write(path: Path, content: bytes) -> None:
    with naming(path), path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _make_way(final: Path) -> None:
    """Clear a job's final name: delete a readable earlier record, set an unreadable or outdated one aside."""
    if not final.exists():
        return
    try:
        label = "outdated" if is_outdated(read_record(final)) else None
    except RecordError:
        label = "broken"
    if label is not None:
        k = 1
        while (aside := final.with_name(f"{final.name}.{label}-{k}")).exists():
            k += 1
        final.rename(aside)
        return
    old = final.with_name(f".{final.name}.old")
    if old.exists():
        shutil.rmtree(old)
    final.rename(old)
    shutil.rmtree(old)
