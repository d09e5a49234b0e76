"""Records on disk, one folder per job: written whole or not at all; it knows no method and no metric.

A folder `<root>/<data set>/<method>/<seed>-<hash>/` holds `record.json` and, when scores exist, `scores.npz`.
It is written under a hidden temporary name and renamed, so that a job is done or absent. Whoever writes a
job's folder holds the job's lock, which the operating system releases if the holder dies.

`record.json` also holds the digest of `scores.npz` and its own, so that no byte of either can change unseen.
"""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import math
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
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np
from filelock import FileLock, Timeout

from benchmark.contracts import Array, Job, Provenance, Record
from benchmark.files import naming
from benchmark.run.locks import require_locks

SCHEMA_VERSION = 3
"""Of `record.json`. A record of an earlier one is read, but counts as stale."""
RECORD_FILE = "record.json"
SCORES_FILE = "scores.npz"
SCORES_DIGEST, OWN_DIGEST = "scores_file_sha256", "sha256"
"""Fields of `record.json` beside those of `Record`: of the bytes of `scores.npz`, and of all other fields."""
MOST_RECORD, MOST_ARRAYS = 2**24, 2**29
"""Bytes of a `record.json`, and of all arrays of a job; more is neither written nor read."""
DAMAGED = (
    *(OSError, EOFError, ValueError, TypeError, KeyError, MemoryError),  # numpy, on content and sizes
    *(SyntaxError, tokenize.TokenError),  # numpy, on an array's header, which is Python text
    *(zipfile.BadZipFile, zlib.error, struct.error, RuntimeError),  # the archive; RuntimeError: "encrypted"
)
"""What numpy and zipfile raise on an altered archive; found by altering each byte of one."""


REMEDY = "it counts as not done; run again to replace it"


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
            if sha256(content) != _read_content(folder).get(SCORES_DIGEST):
                raise RecordError(f"{path} differs from its digest in {RECORD_FILE}; {remedy}")
            arrays = _read_arrays(content)
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
    path, remedy = folder / RECORD_FILE, REMEDY
    content = _read_content(folder)
    try:
        record = _decode(content)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise RecordError(f"{path} lacks, adds or misuses a field ({error}); {remedy}") from error
    found = (record.dataset, record.method, f"{record.seed}-{record.config_hash}")
    if found != folder.parts[-3:]:
        raise RecordError(f"{path} is the record of {'/'.join(found)}, not of its folder; {remedy}")
    if record.status == "done" and not zipfile.is_zipfile(folder / SCORES_FILE):
        raise RecordError(f"{folder / SCORES_FILE} is missing or truncated; {remedy}")
    return record


def _read_content(folder: Path) -> dict[str, Any]:
    """Read `record.json` as it stands, and check its digest where its schema has one.

    Raises
    ------
    RecordError
        If it is missing, too large, no JSON, of an unknown schema, or altered.
    """
    path = folder / RECORD_FILE
    try:
        if (size := path.stat().st_size) > MOST_RECORD:
            raise RecordError(f"{path} has {size} bytes, more than any record; {REMEDY}")
        text = path.read_bytes().decode()  # not as text, where another line end would be read as the same
        content = json.loads(text)
    except RecordError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        raise RecordError(f"{path} cannot be read ({error}); {REMEDY}") from error
    version = content.get("schema_version") if isinstance(content, dict) else None
    if not isinstance(version, int) or version not in range(1, SCHEMA_VERSION + 1):
        raise RecordError(
            f"{path} has schema_version {version!r}, this program reads 1 to {SCHEMA_VERSION}; {REMEDY}"
        )
    if version == SCHEMA_VERSION and text != record_text(content):
        raise RecordError(f"{path} was altered: it differs from its own digest; {REMEDY}")
    return content


def record_text(content: Mapping[str, Any]) -> str:
    """Return the text of `record.json`: all fields, and last the digest of the others."""
    fields = {name: value for name, value in content.items() if name != OWN_DIGEST}
    digest = sha256(json.dumps(fields, indent=1).encode())
    return json.dumps({**fields, OWN_DIGEST: digest}, indent=1)


def sha256(content: bytes) -> str:
    """Return the SHA-256 of some bytes."""
    return hashlib.sha256(content).hexdigest()


def read_arrays_file(path: Path) -> dict[str, Array]:
    """Read an archive of arrays that has no digest, with the same care.

    Raises
    ------
    RecordError
        If it is too large, damaged, or of something else.
    """
    try:
        if (size := path.stat().st_size) > MOST_ARRAYS:
            raise ValueError(f"it has {size} bytes")
        return _read_arrays(path.read_bytes())
    except DAMAGED as error:
        raise RecordError(
            f"{path} cannot be read ({type(error).__name__}: {error}); write it again"
        ) from error


def _read_arrays(content: bytes) -> dict[str, Array]:
    with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
        members = arrays.zip.infolist()
        if sum(member.file_size for member in members) > MOST_ARRAYS:
            raise ValueError(f"its arrays would take more than {MOST_ARRAYS} bytes")
        for member in members:
            # Others than numpy's own two raise errors of modules that not every Python has (lzma).
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise ValueError(f"{member.filename} has compression type {member.compress_type}")
            _check_size(arrays.zip, member)
        return {name: arrays[name] for name in arrays.files}


def _check_size(archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> None:
    """Refuse an array whose header promises another size than it has, before numpy asks for the memory."""
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, _, dtype = read(stream)
        if math.prod(shape) * dtype.itemsize != member.file_size - stream.tell():
            raise ValueError(f"{member.filename} has another size than its header says")


def _decode(content: Mapping[str, Any]) -> Record:
    fields = {field.name for field in dataclasses.fields(Record)}
    outdated = content["schema_version"] < SCHEMA_VERSION
    beside = () if outdated else (SCORES_DIGEST, OWN_DIGEST)
    known = {name: value for name, value in content.items() if name not in beside}
    kept = {name: value for name, value in known.items() if name in fields or not outdated}
    record = Record(**{**kept, "provenance": Provenance(content["provenance"])})
    for name, kind in get_type_hints(Record).items():
        if not _is(getattr(record, name), kind):
            raise TypeError(f"{name} is {getattr(record, name)!r}")
    return record


def _is(value: Any, kind: Any) -> bool:
    """Whether a value of JSON is what a field of `Record` is declared to hold."""
    if get_origin(kind) is Literal:
        return value in get_args(kind)
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool)
    return isinstance(value, get_origin(kind) or kind)


def _fill(folder: Path, record: Record, arrays: Mapping[str, Array] | None) -> None:
    folder.mkdir(parents=True)
    content = dataclasses.asdict(record)
    if arrays is not None:
        if (size := sum(array.nbytes for array in arrays.values())) > MOST_ARRAYS:
            raise ValueError(f"the job's arrays have {size} bytes; a record holds at most {MOST_ARRAYS}")
        packed = io.BytesIO()
        np.savez_compressed(packed, allow_pickle=False, **arrays)
        content[SCORES_DIGEST] = sha256(packed.getvalue())
        _write(folder / SCORES_FILE, packed.getvalue())
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
