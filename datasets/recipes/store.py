"""Writes feature files and manifests whole or not at all; it knows no feature and no data set."""

from __future__ import annotations

import hashlib
import io
import json
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.contracts import Array

SMALLEST_NORMAL = 2.0**-14


def to_half(values: Array) -> Array:
    """Round to float16; what float16 could only hold as a subnormal number becomes zero."""
    return np.where(np.abs(values) < SMALLEST_NORMAL, 0.0, values).astype(np.float16)


def npz_bytes(arrays: Mapping[str, Array]) -> bytes:
    """Return a compressed npz; equal arrays give equal bytes (numpy stamps every member 1980-01-01)."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **dict(arrays))
    return buffer.getvalue()


def json_bytes(document: Mapping[str, Any]) -> bytes:
    return (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode()


def write_atomically(path: Path, content: bytes) -> str:
    """Write to a temporary name beside `path`, then rename; return the SHA-256 of `content`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
        temporary.chmod(0o644)  # mkstemp gives 0600
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return hashlib.sha256(content).hexdigest()
