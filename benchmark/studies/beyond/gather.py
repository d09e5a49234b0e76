"""Reads what was measured on each data set with its own seeds, and says how to make what lacks.

It judges nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from pathlib import Path

import pandas as pd

from benchmark.contracts import MethodSpec, users_folder
from benchmark.paper.evidence import Evidence
from benchmark.paper.gather import gather_records
from benchmark.registry import Registry, parse_seeds, seeds_flag
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError, Profile, load_profile
from benchmark.run.flags import ROOT
from benchmark.studies.beyond.measured import JOBS_FILE, NOTHING, Measured
from benchmark.studies.beyond.rules import Rules
from benchmark.studies.beyond.sources import measured_of, read_measured
from benchmark.tables.results import Results
from datasets.formats.known import known_datasets


@dataclass(frozen=True)
class Part:
    """How far one data set is, and the command that makes what lacks."""

    dataset: str
    wanted: int
    lacking: int
    outdated: int
    """Jobs that were measured by another version of the code, the options or the data."""
    command: str


@dataclass(frozen=True)
class Gathered:
    """All that was measured, by data set, and what could not be read."""

    measured: Measured
    parts: tuple[Part, ...]
    profile: Profile
    titles: Mapping[str, str]
    """Of all data sets of the rules."""
    seeds: Mapping[str, tuple[int, ...]]
    methods: tuple[MethodSpec, ...]
    messages: tuple[str, ...]

    @property
    def complete(self) -> bool:
        """Whether no job lacks and none is outdated."""
        return not any(part.lacking or part.outdated for part in self.parts)

    @property
    def whole(self) -> tuple[str, ...]:
        """The data sets of which no job lacks."""
        return tuple(part.dataset for part in self.parts if not part.lacking)

    def evidence(self) -> Evidence:
        """Return the numbers of whole data sets."""
        of_whole = self.measured.chosen(
            {name: self.seeds[name] for name in self.whole}, tuple(spec.id for spec in self.methods)
        )
        return of_whole.evidence(
            self.methods, self.seeds, f"what was measured at profile {self.profile.name}"
        )

    def results(self, dataset: str) -> Results:
        """Return what the table of one data set is made of."""

        def of_it(frame: pd.DataFrame) -> pd.DataFrame:
            return frame[frame["dataset"] == dataset]

        return Results(
            as_printed=of_it(self.measured.as_printed()),
            equal=of_it(self.measured.equal()),
            steps=of_it(self.measured.long_steps()),
            datasets=self.measured.listed(),
            methods=self.methods,
            profile=self.profile.name,
            profile_note=self.profile.description,
            seeds=self.seeds[dataset],
            resources=of_it(self.measured.jobs),
            environments=self.measured.environments,
        )


@dataclass(frozen=True)
class Where:
    """Which records are looked at."""

    profile: str
    data: str | None
    """The flag `--data` as it was given."""
    data_dir: Path
    """The folder that it means."""
    results_dir: Path
    earlier: Path
    """The folder of tables that were written before."""


def gather(rules: Rules, registry: Registry, where: Where) -> Gathered:
    """Read the records of all data sets, and of what has none the tables that were written before.

    Raises
    ------
    ConfigError
        If these tables cannot be read, or are of another profile or other rules.
    """
    earlier = read_measured(where.earlier)
    if others := set(earlier.jobs["profile"]) - {where.profile}:
        raise ConfigError(
            f"{where.earlier / JOBS_FILE} is of profile {', '.join(sorted(others))}, not {where.profile}; "
            "name another folder with --out"
        )
    seeds = {name: parse_seeds(text) for name, text in rules.seeds.items()}
    if lost := len(earlier.jobs) - len(earlier.chosen(seeds, rules.methods).jobs):
        raise ConfigError(
            f"{where.earlier / JOBS_FILE} holds {lost} jobs that the rules do not name; they would be "
            "lost: name another folder with --out"
        )
    benches = {
        name: _bench(name, rules, registry, where) for name in rules.seeds if name in registry.datasets
    }
    found = [gather_records(bench) for bench in benches.values() if bench.recorded_pairs()]
    fresh = reduce(Measured.over, map(measured_of, found), NOTHING)
    measured = fresh.over(earlier).chosen(seeds, rules.methods)
    return Gathered(
        measured,
        tuple(_part(name, rules, registry, where, measured, benches.get(name)) for name in rules.seeds),
        load_profile(where.profile),
        {name: _title(name, registry) for name in rules.seeds}
        | {listed.id: listed.title for listed in measured.listed()},
        seeds,
        tuple(registry.methods.values()),
        tuple(message for one in found for message in one.evidence.messages),
    )


def _title(id: str, registry: Registry) -> str:
    known = known_datasets()
    return known[id].title if id in known else registry.datasets[id].title if id in registry.datasets else id


def _bench(id: str, rules: Rules, registry: Registry, where: Where) -> Bench:
    return Bench.of(
        registry,
        profile=where.profile,
        methods=",".join(rules.methods),
        datasets=id,
        seeds=rules.seeds[id],
        data_dir=where.data_dir,
        results_dir=where.results_dir,
    )


def _part(
    id: str, rules: Rules, registry: Registry, where: Where, measured: Measured, bench: Bench | None
) -> Part:
    seeds = parse_seeds(rules.seeds[id])
    own = measured.chosen({id: seeds}, rules.methods)
    wanted = len(rules.methods) * len(seeds)
    lacking = own.lacking(wanted)
    if bench is None:
        return Part(id, wanted, lacking, 0, _import(id, where.data_dir))
    words = ["--profile", where.profile, "--datasets", id, "--methods", ",".join(rules.methods)]
    outdated = own.outdated(bench)
    words += ["--seeds", seeds_flag(seeds if outdated else own.unfinished(rules.methods, seeds) or seeds)]
    if where.data and users_folder(registry.datasets[id], where.data_dir):
        words += ["--data", where.data]
    if where.results_dir != ROOT / "results":
        words += ["--results", str(where.results_dir)]
    command = shlex.join(["python", "run_all.py", *words])
    return Part(id, wanted, lacking, outdated, command)


def _import(id: str, data_dir: Path) -> str:
    if id not in known_datasets():
        return f"no data set {id}: correct the rules"
    return shlex.join(["python", "run_all.py", "data", "import", "--known", id, "--out", str(data_dir / id)])
