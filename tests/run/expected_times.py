"""A machine whose table of timings a test writes."""

from __future__ import annotations

import csv
import dataclasses
from collections.abc import Mapping
from pathlib import Path

from benchmark.run.times import Machine, Timing


def write_timings(path: Path, *timings: Timing) -> Path:
    """Write a table as the study does, with as many rows as one likes."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in dataclasses.fields(Timing)])
        writer.writeheader()
        writer.writerows(map(dataclasses.asdict, timings))
    return path


def known_machine(folder: Path, seconds: Mapping[str, float], profile: str = "paper") -> Machine:
    """Return a machine whose table says how long each method takes on the toy data."""
    rows = (Timing("toy", name, profile, "Some 1 2", "AVX2", 1.0, took) for name, took in seconds.items())
    machine = Machine(timings=write_timings(folder / "timings.csv", *rows))
    machine.__dict__["yardstick"] = 1.0  # as if measured
    return machine
