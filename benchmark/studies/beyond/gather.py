"""Reads the records of each data set with its own seeds, and says how to make those that lack.

It judges nothing.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.contracts import users_folder
from benchmark.paper.evidence import Evidence, as_one
from benchmark.paper.gather import Gathered, gather_records
from benchmark.registry import Registry
from benchmark.run.bench import Bench
from benchmark.run.flags import ROOT
from benchmark.studies.beyond.rules import Rules
from benchmark.tables import names
from datasets.formats.known import known_datasets


@dataclass(frozen=True)
class Part:
    """One data set: its records, where there are any, and the command that makes those that lack."""

    dataset: str
    bench: Bench | None
    """None if there is no such data set here."""
    gathered: Gathered | None
    lacking: int
    wanted: int
    command: str


@dataclass(frozen=True)
class Where:
    """Which records are looked at."""

    profile: str
    data: str | None
    """The flag `--data` as it was given."""
    data_dir: Path
    """The folder that it means."""
    results_dir: Path


def title_of(dataset: str) -> str:
    """Print a data set as its recipe does, or the paper."""
    known = known_datasets()
    return known[dataset].title if dataset in known else names.dataset_title(dataset)


def gather_parts(rules: Rules, registry: Registry, where: Where) -> list[Part]:
    """Read the records of all data sets, in the order of the rules."""
    return [
        _part(id, rules, registry, where)
        if id in registry.datasets
        else Part(id, None, None, 0, 0, _import(id, where.data_dir))
        for id in rules.seeds
    ]


def _part(id: str, rules: Rules, registry: Registry, where: Where) -> Part:
    methods, seeds = ",".join(rules.methods), rules.seeds[id]
    bench = Bench.of(
        registry,
        profile=where.profile,
        methods=methods,
        datasets=id,
        seeds=seeds,
        data_dir=where.data_dir,
        results_dir=where.results_dir,
    )
    slots = bench.inventory().slots
    words = ["--profile", where.profile, "--datasets", id, "--methods", methods, "--seeds", seeds]
    if where.data and users_folder(registry.datasets[id], where.data_dir):
        words += ["--data", where.data]
    if where.results_dir != ROOT / "results":
        words += ["--results", str(where.results_dir)]
    return Part(
        id,
        bench,
        gather_records(bench) if bench.recorded_pairs() else None,
        sum(slot.state != "done" for slot in slots),
        len(slots),
        shlex.join(["python", "run_all.py", *words]),
    )


def _import(id: str, data_dir: Path) -> str:
    if id not in known_datasets():
        return f"no data set {id}: correct the rules"
    return shlex.join(["python", "run_all.py", "data", "import", "--known", id, "--out", str(data_dir / id)])


def evidence_of(parts: Sequence[Part]) -> Evidence:
    """Put all numbers together; methods shared their protocol, so that its limits forbid no comparison."""
    gathered = [part.gathered.evidence for part in parts if part.gathered is not None]
    return replace(as_one(gathered), limits={}, missing="not run")
