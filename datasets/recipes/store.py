"""Writes feature files and manifests whole or not at all; it knows no feature and no data set."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.contracts import Array
from benchmark.files import write_bytes

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
    """Write a file whole or not at all; return the SHA-256 of `content`."""
    write_bytes(path, content)
    return hashlib.sha256(content).hexdigest()
