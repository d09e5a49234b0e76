"""Records on disk, one folder per job: written whole or not at all; it knows no method and no metric.

A folder `<root>/<data set>/<method>/<seed>-<hash>/` holds `record.json` and, when scores exist, `scores.npz`.
It is written under a hidden temporary name and renamed, so that a job is done or absent. Whoever writes a
job's folder holds the job's lock, which the operating system releases if the holder dies.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import shutil
import struct
import tempfile
import tokenize
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout

from benchmark.contracts import Array, Job, Provenance, Record
from benchmark.files import naming
from benchmark.run.locks import require_locks

SCHEMA_VERSION = 2
"""Of `record.json`. A record of an earlier one is read, but counts as stale."""
RECORD_FILE = "record.json"
SCORES_FILE = "scores.npz"
DAMAGED = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, MemoryError),  # numpy, on content and sizes
    *(SyntaxError, tokenize.TokenError),  # numpy, on an array's header, which is Python text
    *(zipfile.BadZipFile, zlib.error, struct.error, RuntimeError),  # the archive; RuntimeError: "encrypted"
)
"""What numpy and zipfile raise on an altered archive; found by altering each byte of one."""


class RecordError(ValueError):
    """A record folder that cannot be read; the message names it and says what to do."""


@dataclass(frozen=True)
class Scan:
    """All that a store holds: readable records, and a message for each folder that is not readable."""

    records: tuple[Record, ...]
    """Also those of an earlier schema; see `is_outdated`."""
    broken: tuple[str, ...]


def score_digest(scores: Array) -> str:
    """Return the SHA-256 of scores (n, q) as little-endian float32 in C order."""
    return hashlib.sha256(np.ascontiguousarray(scores, dtype="<f4").tobytes()).hexdigest()


def is_outdated(record: Record) -> bool:
    """Whether an older version of this program made the record, so that its job has to run again."""
    return record.schema_version < SCHEMA_VERSION


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
            require_locks(self._lock_dir)
        except OSError as error:
            raise RecordError(
                f"{self.root}: files cannot be locked there ({error}), and two runs could write one record; "
                "name a folder on another disk with --results"
            ) from error

    def folder(self, job: Job, config_hash: str) -> Path:
        """Return where a job's record is, or would be."""
        return self.root / job.dataset / job.method / f"{job.seed}-{config_hash}"

    @property
    def _lock_dir(self) -> Path:
        return self.root / ".locks"

    @contextmanager
    def lock(self, job: Job, config_hash: str) -> Iterator[bool]:
        """Hold the job's lock, or yield False at once if another process holds it."""
        self._lock_dir.mkdir(parents=True, exist_ok=True)
        lock = FileLock(self._lock_dir / f"{job.dataset}-{job.method}-{job.seed}-{config_hash}.lock")
        try:
            lock.acquire(blocking=False)
        except Timeout:
            yield False
            return
        try:
            yield True
        finally:
            lock.release()

    def write(self, record: Record, arrays: Mapping[str, Array] | None = None) -> Path:
        """Store a record and its arrays under their final name, in one step; call it holding the lock.

        An earlier record of the same job is replaced; one that is unreadable or of an older schema is kept
        beside it as `*.broken-<k>` or `*.outdated-<k>`.
        """
        final = self.folder(record.job, record.config_hash)
        partial = final.with_name(f".{final.name}.partial")
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

    def find(self, job: Job, config_hash: str) -> Record | None:
        """Return the job's record, or None where there is none, or an unreadable or outdated one."""
        folder = self.folder(job, config_hash)
        try:
            record = read_record(folder) if folder.exists() else None
        except RecordError:
            return None  # `scan` reports it; a broken record counts as not done
        return None if record is None or is_outdated(record) else record

    def arrays(self, record: Record) -> dict[str, Array]:
        """Read a done record's arrays and check the scores against their digest.

        Raises
        ------
        RecordError
            If the file is missing, truncated or altered.
        """
        path = self.folder(record.job, record.config_hash) / SCORES_FILE
        try:
            arrays = _read_arrays(path)
            digest = score_digest(arrays["scores"])
        except DAMAGED as error:
            raise RecordError(
                f"{path} cannot be read ({type(error).__name__}: {error}); delete its folder and run again"
            ) from error
        if digest != record.score_digest:
            raise RecordError(
                f"{path}: scores differ from the digest in {RECORD_FILE}; delete the folder, run again"
            )
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


def read_record(folder: Path) -> Record:
    """Read and check one record folder; of an older schema only the fields that there still are.

    Raises
    ------
    RecordError
        If a file is missing or truncated, the schema is an unknown one, or the content is another job's.
    """
    path = folder / RECORD_FILE
    remedy = "it counts as not done; run again to replace it"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RecordError(f"{path} cannot be read ({error}); {remedy}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version not in range(1, SCHEMA_VERSION + 1):
        raise RecordError(
            f"{path} has schema_version {version!r}, this program reads 1 to {SCHEMA_VERSION}; {remedy}"
        )
    try:
        record = _decode(content)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise RecordError(f"{path} lacks or adds a field ({error}); {remedy}") from error
    found = (record.dataset, record.method, f"{record.seed}-{record.config_hash}")
    if found != folder.parts[-3:]:
        raise RecordError(f"{path} is the record of {'/'.join(found)}, not of its folder; {remedy}")
    if record.status == "done" and not zipfile.is_zipfile(folder / SCORES_FILE):
        raise RecordError(f"{folder / SCORES_FILE} is missing or truncated; {remedy}")
    return record


def _read_arrays(path: Path) -> dict[str, Array]:
    with np.load(path, allow_pickle=False) as content:
        for member in content.zip.infolist():
            # Others than numpy's own two raise errors of modules that not every Python has (lzma).
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{member.filename} has compression type {member.compress_type}")
        return {name: content[name] for name in content.files}


def _decode(content: Mapping[str, Any]) -> Record:
    fields = {field.name for field in dataclasses.fields(Record)}
    outdated = content["schema_version"] < SCHEMA_VERSION
    kept = {name: value for name, value in content.items() if name in fields or not outdated}
    return Record(**{**kept, "provenance": Provenance(content["provenance"])})


def _fill(folder: Path, record: Record, arrays: Mapping[str, Array] | None) -> None:
    folder.mkdir(parents=True)
    if arrays is not None:
        with naming(folder / SCORES_FILE), (folder / SCORES_FILE).open("wb") as file:
            np.savez_compressed(file, allow_pickle=False, **arrays)
            _flush(file)
    with naming(folder / RECORD_FILE), (folder / RECORD_FILE).open("w", encoding="utf-8") as file:
        json.dump(dataclasses.asdict(record), file, indent=1, allow_nan=False)
        _flush(file)


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


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
