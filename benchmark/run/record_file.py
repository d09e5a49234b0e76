"""The file `record.json`: its text, its own digest, its schema; it knows no folder but the one it lies in.

It also holds the digest of `scores.npz`, so that no byte of either can change unseen.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

from benchmark.contracts import Provenance, Record

SCHEMA_VERSION = 3
"""Of `record.json`. A record of an earlier one is read, but counts as stale."""
RECORD_FILE = "record.json"
SCORES_DIGEST, OWN_DIGEST = "scores_file_sha256", "sha256"
"""Fields of `record.json` beside those of `Record`: of the bytes of `scores.npz`, and of all other fields."""
MOST_RECORD = 2**24
"""Bytes; more is no record."""
REMEDY = "it counts as not done; run again to replace it"


class RecordError(ValueError):
    """A record folder that cannot be read; the message names it and says what to do."""


def is_outdated(record: Record) -> bool:
    """Whether an older version of this program made the record, so that its job has to run again."""
    return record.schema_version < SCHEMA_VERSION


def read_fields(folder: Path) -> Record:
    """Read and check `record.json`; of an older schema only the fields that there still are.

    Raises
    ------
    RecordError
        If it cannot be read, was altered, has an unknown schema, or lacks, adds or misuses a field.
    """
    path, content = folder / RECORD_FILE, read_content(folder)
    try:
        return _decode(content)
    except (TypeError, KeyError, ValueError, AttributeError) as error:
        raise RecordError(f"{path} lacks, adds or misuses a field ({error}); {REMEDY}") from error


def read_content(folder: Path) -> dict[str, Any]:
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
