"""Rows of a frame as JSON's own types, for commands that print for programs; it knows no column."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd


def json_rows(frame: pd.DataFrame) -> list[dict[str, Any]]:
    """Return one mapping per row, nan as null."""
    return list(json.loads(frame.to_json(orient="records", double_precision=15)))
