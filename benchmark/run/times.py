"""How long a job should take, and how that is known: from jobs finished here, else from a committed table.

It knows no method: all that it says of one was measured. What nobody measured is unknown.
"""

from __future__ import annotations

import csv
import math
import platform
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, NamedTuple

from benchmark.contracts import Record
from benchmark.run.accelerator import card_name, device_kind
from benchmark.run.bench import Setup
from benchmark.run.config import ConfigError, Running, available_cores
from benchmark.run.devices import DevicePool
from benchmark.run.environment import processor
from benchmark.run.yardstick import yardstick_seconds

TIMINGS = Path(__file__).parents[2] / "results" / "timings.csv"
"""Seconds of jobs, measured once; `python -m benchmark.studies.timings` makes it."""
TABLE_RANGE = 1.25
"""Factor by which a job may take less or longer than the table, scaled to this machine, says."""
RECORDS_RANGE = 1.1
"""The same beyond the fastest and the slowest job that finished here."""
NOT_TIMED = ("code", "data_hash")
"""Settings that need not agree for an earlier record to tell how long a job takes."""

Source = Literal["finished jobs", "table"]


@dataclass(frozen=True)
class Expected:
    """Wall-clock seconds of a job that has a core of its own, the range that they lie in, and who says so."""

    seconds: float
    least: float
    most: float
    source: Source


class Cpu(NamedTuple):
    """A kind of machine: its processor, and the instructions that torch uses of it."""

    processor: str
    capability: str

    @classmethod
    def here(cls) -> Cpu:
        """Return that of this machine."""
        import torch

        return cls(processor() or platform.machine(), torch.backends.cpu.get_cpu_capability())


@dataclass(frozen=True)
class Timing:
    """A row of the table."""

    dataset: str
    method: str
    profile: str
    processor: str
    cpu_capability: str
    yardstick: float
    """Processor seconds of the yardstick on that machine, as many at a time as jobs were; 1 of a card."""
    seconds: float
    """Processor seconds of one job there; of a card, its seconds for a group of as many seeds as can be."""
    device: str = "cpu"
    """The kind of device; of another one than a CPU, `processor` is the name of the card."""

    @property
    def cpu(self) -> Cpu:
        """Return the kind of machine."""
        return Cpu(self.processor, self.cpu_capability)


def read_timings(path: Path = TIMINGS) -> tuple[Timing, ...]:
    """Read the table; where there is none, nothing is known.

    Raises
    ------
    ConfigError
        If the file is no such table.
    """
    if not path.is_file():
        return ()
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return tuple(map(_timing, csv.DictReader(file)))
    except (TypeError, KeyError, ValueError) as error:
        raise ConfigError(
            f"{path} is no table of timings ({error}); make it anew with python -m benchmark.studies.timings"
        ) from error


def _timing(row: dict[str, str]) -> Timing:
    yardstick, seconds = float(row.pop("yardstick")), float(row.pop("seconds"))
    if not (0 < yardstick < math.inf and 0 < seconds < math.inf):
        raise ValueError(f"yardstick {yardstick} and seconds {seconds}: both lie above 0")
    return Timing(**row, yardstick=yardstick, seconds=seconds)


@dataclass(frozen=True)
class Machine:
    """Where jobs are to run; what it costs to know of it is found when first asked for."""

    device: str = "cpu"
    """The kind of device that a method which can use one gets: `cpu` or `cuda`."""
    cores: int = 1
    """How many of them jobs keep busy."""
    timings: Path = TIMINGS
    accelerators: int = 0
    """How many of them are here; none where a cluster has them."""
    card: str = ""
    """Their name; unknown where a cluster has them."""

    @classmethod
    def of(cls, running: Running, pool: DevicePool) -> Machine:
        """Return this machine, or a cluster, as a run would use it."""
        cores, here = min(running.cores, available_cores()), pool.accelerators
        if here:
            return cls(device_kind(here[0]), cores, accelerators=len(here), card=card_name(here[0]))
        asked = device_kind(running.device.lower())
        return cls(asked if running.scheduler and asked != "auto" else "cpu", cores)

    @cached_property
    def table(self) -> tuple[Timing, ...]:
        """The timings, in the order of the file."""
        return read_timings(self.timings)

    @cached_property
    def yardstick(self) -> float:
        """Seconds of the yardstick here."""
        return yardstick_seconds(self.cores)

    def expect(self, setup: Setup, profile: str, records: Iterable[Record]) -> Expected | None:
        """Return how long a job, on an accelerator a whole group, should take, or None if nobody knows.

        Parameters
        ----------
        setup : of the job.
        profile : the name under which the table has it.
        records : of the method on the data set, whatever their settings.
        """
        device, card = (self.device, self.card) if setup.uses_device else ("cpu", "")
        if seconds := _of_finished(setup.settings, records, device, card):
            least, most = min(seconds) / RECORDS_RANGE, max(seconds) * RECORDS_RANGE
            return Expected(statistics.median(seconds), least, most, "finished jobs")
        wanted = setup.facts.spec.id, setup.method.id, profile
        rows = [
            row
            for row in self.table
            if (row.dataset, row.method, row.profile) == wanted and row.device == device
        ]
        if device != "cpu":  # nothing is known of how one card's times follow from another's
            rows = [row for row in rows if row.processor == card]
        if not rows:
            return None
        if device == "cpu":
            row = next((row for row in rows if len(rows) > 1 and row.cpu == Cpu.here()), rows[0])
            seconds_here = row.seconds * self.yardstick / row.yardstick
        else:
            seconds_here = rows[0].seconds
        return Expected(seconds_here, seconds_here / TABLE_RANGE, seconds_here * TABLE_RANGE, "table")


def _of_finished(
    settings: Mapping[str, Any], records: Iterable[Record], device: str, card: str
) -> list[float]:
    """Return the seconds of jobs that ended here alone on their core: with the same settings, else limits.

    On an accelerator those of their groups, of which each has its share.
    """
    own = [
        record
        for record in records
        if record.status == "done"
        and record.environment.get("processor") == processor()
        and device_kind(record.environment.get("device", "")) == device
        and record.environment.get("accelerator", "") == card
        and (device != "cpu" or "side_by_side" not in record.environment)
    ]
    for agree in (_timed_settings, _limits):
        if alike := [record for record in own if agree(record.settings) == agree(settings)]:
            return [sum(record.seconds.values()) * _shared_by(record.environment) for record in alike]
    return []


def _shared_by(environment: Mapping[str, Any]) -> int:
    together: int = environment.get("did_not_fit", environment.get("side_by_side", 1))
    return together


def _timed_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in settings.items() if key not in NOT_TIMED}


def _limits(settings: Mapping[str, Any]) -> tuple[Any, ...]:
    caps = settings["max_train_rows"], settings["max_test_rows"], settings.get("components")
    return *caps, settings["options"].get("epochs")
