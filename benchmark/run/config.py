"""Profiles, which say what is taken from the printed protocol, and how jobs are run; it runs none."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeGuard

from benchmark.registry import parse_seeds, suggestion
from benchmark.untrusted import read_toml

PROFILES_DIR = Path(__file__).parent / "profiles"
BACKENDS = ("loky", "dask")
_NUMBER = r"(?:([0-9]+(?:\.[0-9]+)?)"
DURATION = re.compile(rf"{_NUMBER}h)?{_NUMBER}m(?:in)?)?{_NUMBER}s)?")


SIZE = re.compile(r"([0-9]+(?:\.[0-9]+)?)([mg])(?:i?b)?")
MOST = 2**63
"""Larger whole numbers no array can count."""
LONGEST_SECONDS = 366 * 24 * 3600


class ConfigError(ValueError):
    """A setting that cannot be used; the message names it, its value and the remedy."""


def is_number(value: object, kind: type = Real) -> TypeGuard[float]:
    """Return whether a value is a number, of numpy or of Python; a bool is none."""
    return isinstance(value, kind) and not isinstance(value, bool)


@dataclass(frozen=True)
class Limits:
    """What a profile takes away from the printed protocol; None means no limit."""

    epochs: int | None = None
    max_train_rows: int | None = None
    max_test_rows: int | None = None
    components: int | None = None
    """To which a wide modality is cut, see `benchmark.run.components`."""
    time_limit_seconds: float | None = None
    """Of one job. It ends a job but changes no number, so it is not part of a record's hash."""

    @property
    def cut(self) -> bool:
        """Return whether anything that can change a number is taken away."""
        return replace(self, time_limit_seconds=None) != Limits()

    def with_time_limit(self, seconds: float | None) -> Limits:
        """Return these limits with the shorter one of two time limits."""
        known = [limit for limit in (self.time_limit_seconds, seconds) if limit is not None]
        return replace(self, time_limit_seconds=min(known, default=None))

    def __post_init__(self) -> None:
        for limit in fields(self):
            value = getattr(self, limit.name)
            if value is None:
                continue
            if not is_number(value) or not 0 < value < MOST:
                raise ConfigError(
                    f"{limit.name} = {value!r}: a limit is a number above 0, below 2 to the 63rd "
                    "(leave it out for none)"
                )
            if limit.name != "time_limit_seconds" and not is_number(value, Integral):
                raise ConfigError(f"{limit.name} = {value!r} must be a whole number")
            if limit.name == "time_limit_seconds" and value > LONGEST_SECONDS:
                raise ConfigError(f"{limit.name} = {value!r} is more than a year (leave it out for no limit)")


@dataclass(frozen=True)
class Profile:
    """A named protocol: `paper` as printed, others with caps that every caption states."""

    name: str
    description: str
    seeds: str = "10"
    """Default of `--seeds`."""
    limits: Limits = field(default_factory=Limits)
    dataset_limits: Mapping[str, Limits] = field(default_factory=dict)

    def limits_for(self, dataset: str) -> Limits:
        """Return the limits on one data set: its own where the profile has some, else the common ones."""
        return self.dataset_limits.get(dataset, self.limits)


@dataclass(frozen=True)
class Running:
    """How jobs are run; nothing of it can change a number."""

    jobs: int = 1
    device: str = "auto"
    backend: str = "loky"
    retry_failed: bool = False
    time_budget: float | None = None
    """Seconds that the run may take; None for no limit."""
    job_timeout: float | None = None
    """Seconds that one job may take; None for the profile's limit alone."""
    job_memory: int | None = None
    """Bytes that one job may use; None for no limit."""
    fail_fast: bool = False
    """Whether no further job starts after one that failed."""
    scheduler: str | None = None
    """Address of a dask scheduler; None: dask's configuration names one, or jobs run on this machine."""

    def __post_init__(self) -> None:
        if not is_number(self.jobs, Integral) or self.jobs < 1:
            raise ConfigError(f"--jobs {self.jobs}: a whole number; at least one job must run at a time")
        if self.backend not in BACKENDS:
            raise ConfigError(
                f"--backend {self.backend!r} cannot be used{suggestion(self.backend, BACKENDS)} (there are: "
                f"{', '.join(BACKENDS)}; threads share one process's random state, so `threading` is refused)"
            )
        if self.scheduler is not None and self.backend != "dask":
            raise ConfigError(f"--scheduler {self.scheduler} is dask's; add --backend dask")

    @classmethod
    def of(
        cls,
        *,
        jobs: int | None = None,
        device: str = "auto",
        backend: str = "loky",
        retry_failed: bool = False,
        time_budget: str | None = None,
        job_timeout: str | None = None,
        job_memory: str | None = None,
        fail_fast: bool = False,
        scheduler: str | None = None,
    ) -> Running:
        """Read what the command line says; by default all cores are kept busy.

        Raises
        ------
        ConfigError
            For a value that cannot be used.
        """
        return cls(
            available_cores() if jobs is None else jobs,
            device,
            backend.lower(),
            retry_failed,
            None if time_budget is None else parse_duration(time_budget, "--time-budget"),
            None if job_timeout is None else parse_duration(job_timeout, "--job-timeout"),
            None if job_memory is None else parse_size(job_memory, "--job-memory"),
            fail_fast,
            scheduler,
        )

    @property
    def cores(self) -> int:
        """How many cores the jobs keep busy: with more jobs than cores, each takes that much longer."""
        return min(self.jobs, available_cores()) if self.scheduler is None else self.jobs

    @property
    def local_device(self) -> str:
        """What to look for on this machine: the device, or no more than a CPU if jobs run elsewhere."""
        return self.device if self.scheduler is None else "cpu"


def profile_names(folder: Path = PROFILES_DIR) -> tuple[str, ...]:
    """Return the names of the profiles in a folder, by default of those that the project ships."""
    return tuple(sorted(path.stem for path in folder.glob("*.toml")))


def load_profile(name: str, folder: Path = PROFILES_DIR) -> Profile:
    """Read `<folder>/<name>.toml`.

    Raises
    ------
    ConfigError
        For an unknown profile, an unknown key (with a suggestion) or a value of the wrong kind.
    """
    known = profile_names(folder)
    if name.lower() not in known:
        raise ConfigError(
            f"no profile {name!r}{suggestion(name, known)} (there are: {', '.join(known) or 'none'})"
        )
    path = folder / f"{name.lower()}.toml"
    try:
        content = read_toml(path)
    except ValueError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    try:
        return _profile(name.lower(), content)
    except ValueError as error:
        raise ConfigError(f"{path}: {error}") from error


def _profile(name: str, content: dict[str, Any]) -> Profile:
    limit_names = tuple(limit.name for limit in fields(Limits))
    _refuse_unknown(content, ("description", "seeds", "datasets", *limit_names), "")
    common = {key: content[key] for key in limit_names if key in content}
    description, seeds = content.get("description", ""), content.get("seeds", "10")
    if not isinstance(description, str):
        raise ConfigError(f"description = {description!r}: a text in quotes is needed")
    if not isinstance(seeds, str) and not is_number(seeds, Integral):
        raise ConfigError(f"seeds = {seeds!r}: write a text as for --seeds, such as '10' or '3,5'")
    parse_seeds(str(seeds), yes=True)
    own = content.get("datasets", {})
    tables = own.values() if isinstance(own, dict) else [own]
    if not all(isinstance(table, dict) for table in tables):
        raise ConfigError("datasets: write a table of limits for each data set, such as [datasets.msra]")
    for dataset, values in own.items():
        _refuse_unknown(values, limit_names, f"[datasets.{dataset}]: ")
    return Profile(
        name=name,
        description=description,
        seeds=str(seeds),
        limits=Limits(**common),
        dataset_limits={dataset: Limits(**{**common, **values}) for dataset, values in own.items()},
    )


def _refuse_unknown(table: Mapping[str, Any], known: tuple[str, ...], where: str) -> None:
    for key in table:
        if key not in known:
            raise ConfigError(
                f"{where}unknown key {key!r}{suggestion(key, known)} (known: {', '.join(known)})"
            )


def parse_duration(text: str, flag: str) -> float:
    """Return the seconds of `2h`, `90m`, `1h30m` or `45s`, as a flag gives them.

    Raises
    ------
    ConfigError
        For anything else, and for no time at all.
    """
    found = DURATION.fullmatch(text.replace(" ", "").lower())
    hours, minutes, seconds = (float(part or 0) for part in (found.groups() if found else ("",) * 3))
    total = 3600 * hours + 60 * minutes + seconds
    if not total > 0:
        raise ConfigError(f"{flag} {text!r} is no time: write it like 2h, 90m, 1h30m or 45s")
    if total > LONGEST_SECONDS:
        raise ConfigError(f"{flag} {text!r} is more than a year; leave it out for no limit")
    return total


def parse_size(text: str, flag: str) -> int:
    """Return the bytes of `500M`, `2G` or `1.5GiB`, as a flag gives them; units are of 1,024.

    Raises
    ------
    ConfigError
        For anything else, and for less than a MiB.
    """
    found = SIZE.fullmatch(text.replace(" ", "").lower())
    size = float(found[1]) * 2 ** (20 if found[2] == "m" else 30) if found else 0.0
    if not 2**20 <= size <= 2**60:
        raise ConfigError(f"{flag} {text!r} is no size of memory: write it like 500M, 2G or 1.5GiB")
    return int(size)


def available_cores() -> int:
    """Return the number of cores that this process may use (a container may allow fewer than there are)."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
