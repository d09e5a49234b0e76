"""`run_all.py drift --accept`: current records become the reference, with the reason beside it."""

from __future__ import annotations

import argparse
import dataclasses
import datetime
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from benchmark.drift.gather import read_references, read_sides
from benchmark.drift.judge import Drift, Pair, judge
from benchmark.drift.pair import PairSides
from benchmark.drift.reference import ACCEPTED_FILE, Reference, write_noise
from benchmark.drift.refits import measure_refits
from benchmark.drift.text import accepted_text
from benchmark.exit_codes import OK
from benchmark.registry import Registry, parse_seeds
from benchmark.run.config import ConfigError, RunConfig
from benchmark.run.plan import Catalogue, Plan, make_plan
from benchmark.run.pool import Summary
from benchmark.run.store import RecordStore
from benchmark.tables.collect import bundle_of, write_reference


def accept(args: argparse.Namespace, registry: Registry, config: RunConfig) -> int:
    """Replace the references of the chosen data sets by the current records.

    Refits are measured before anything is written, so that an interrupted call leaves the references as they
    were and the next one goes on.

    Raises
    ------
    ConfigError
        Without a reason, with a choice of methods, or where a job of a reference's method is not done.
    """
    reason = (args.reason or "").strip()
    if not reason:
        raise ConfigError("--accept needs --reason TEXT: why the numbers may change")
    if config.methods.named:
        raise ConfigError("--accept takes whole data sets, as tables hold all methods; leave out --methods")
    references = read_references(config)
    store = RecordStore(config.results_dir / "runs")
    plans = {name: _complete_plan(config, registry, store, one, name) for name, one in references.items()}
    sides, _ = read_sides(config, registry)
    drift = judge(sides, exact=not args.no_exact, other_seeds=True)
    noise = {name: _noise(args, registry, config, one, plans[name]) for name, one in references.items()}
    for name, reference in references.items():
        plan = plans[name]
        bundle, unreadable = bundle_of(plan, store, registry, config.data_dir)
        if unreadable:
            raise ConfigError(f"{name}: {'; '.join(unreadable)}")
        write_reference(bundle, plan.records(), reference.folder)
        write_noise(reference.folder, noise[name], {planned.job.method for planned in plan.jobs})
        _note(reference.folder, reason, name, drift)
        print(f"{name}: accepted {len(plan.jobs)} jobs into {reference.folder}")
    return OK


def _complete_plan(
    config: RunConfig, registry: Registry, store: RecordStore, reference: Reference, dataset: str
) -> Plan:
    """Plan what is accepted: the reference's methods and those recorded since, all of them done."""
    known = [name for name in reference.methods if name in registry.methods]
    catalogue = Catalogue(config.data_dir)
    everything = make_plan(config, registry, store, catalogue, [(dataset, name) for name in registry.methods])
    recorded = {planned.job.method for planned in everything.jobs if planned.record is not None}
    pairs = [(dataset, name) for name in registry.methods if name in known or name in recorded]
    plan = make_plan(config, registry, store, catalogue, pairs)
    undone = [planned for planned in plan.jobs if planned.state != "done"]
    if undone or not plan.jobs:
        first = undone[0].job if undone else None
        raise ConfigError(
            f"{dataset}: {len(undone)} of {len(plan.jobs)} jobs are not done"
            + (f", first {first.method} seed {first.seed} ({undone[0].state})" if first else "")
            + "; run them before accepting"
        )
    return plan


def _noise(
    args: argparse.Namespace, registry: Registry, config: RunConfig, reference: Reference, plan: Plan
) -> pd.DataFrame:
    """Measure refits of methods whose stored ones are of another version; as many as before, or as asked."""
    stored = reference.noise
    asked = args.refit_noise
    if asked is None:
        asked = int(stored["refit"].max()) if len(stored) else 0
    if asked < 0:
        raise ConfigError(f"--refit-noise {asked}: a number of refits, or 0 for none")
    if asked == 0:
        return stored.iloc[:0]
    current = {planned.job.method: planned.cell.config_hash for planned in plan.jobs}
    dataset = plan.jobs[0].job.dataset
    outdated = [
        (dataset, name)
        for name, version in current.items()
        if not _still_holds(_of(reference.long_noise, name), _of(reference.per_seed, name), version, asked)
    ]
    return refits(args, registry, config, outdated, asked) if outdated else stored.iloc[:0]


def _still_holds(refits: pd.DataFrame, reference: pd.DataFrame, version: str, asked: int) -> bool:
    """Whether stored refits are of this version, and as many as asked for where the method needs any."""
    if set(refits["config_hash"]) != {version}:
        return False
    name = (str(refits["dataset"].iloc[0]), str(refits["method"].iloc[0]))
    return int(refits["refit"].max()) >= asked or PairSides(*name, reference, reference, refits).deterministic


def _of(frame: pd.DataFrame, method: str) -> pd.DataFrame:
    return frame[frame["method"] == method]


def refits(
    args: argparse.Namespace, registry: Registry, config: RunConfig, pairs: Sequence[Pair], n_refits: int
) -> pd.DataFrame:
    """Measure refits with the command's pool, progress display and choice of splits."""
    from rich.console import Console

    from benchmark.run.devices import available_pool
    from benchmark.run.pool import run_plan
    from benchmark.run.progress import Progress

    pool = available_pool(config.device)

    def run(plan: Plan, numbered: RunConfig, store: RecordStore) -> Summary:
        console = Console(stderr=True)
        summary = run_plan(plan, numbered, store, pool, Progress(plan.to_run(), numbered.jobs, console))
        if summary.interrupted:
            raise KeyboardInterrupt
        return summary

    if args.refit_seeds is not None:
        config = dataclasses.replace(config, seeds=parse_seeds(args.refit_seeds))
    return measure_refits(config, registry, pairs, n_refits, run)


def _note(folder: Path, reason: str, dataset: str, drift: Drift) -> None:
    """Append the reason and what it covers to `accepted.md`."""
    path = folder / ACCEPTED_FILE
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    path.write_text(before + accepted_text(drift, dataset, reason, today), encoding="utf-8", newline="\n")
