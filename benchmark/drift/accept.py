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
from benchmark.registry import parse_seeds
from benchmark.run.bench import Bench, Inventory
from benchmark.run.config import ConfigError
from benchmark.run.flags import running_of
from benchmark.tables.reference import write_reference
from benchmark.tables.results import results_of


def accept(args: argparse.Namespace, bench: Bench) -> int:
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
    if bench.methods.named:
        raise ConfigError("--accept takes whole data sets, as tables hold all methods; leave out --methods")
    references = read_references(bench)
    complete = {name: _complete(bench, one, name) for name, one in references.items()}
    sides, _ = read_sides(bench)
    drift = judge(sides, exact=not args.no_exact, other_seeds=True)
    noise = {name: _noise(args, bench, one, complete[name]) for name, one in references.items()}
    for name, reference in references.items():
        inventory = complete[name]
        results, unreadable = results_of(bench, inventory)
        if unreadable:
            raise ConfigError(f"{name}: {'; '.join(unreadable)}")
        write_reference(results, inventory.records(), reference.folder)
        write_noise(reference.folder, noise[name], {slot.job.method for slot in inventory.slots})
        _note(reference.folder, reason, name, drift)
        print(f"{name}: accepted {len(inventory.slots)} jobs into {reference.folder}")
    return OK


def _complete(bench: Bench, reference: Reference, dataset: str) -> Inventory:
    """Return what is accepted: the reference's methods and those recorded since, all of them done."""
    registered = bench.registry.methods
    known = [name for name in reference.methods if name in registered]
    everything = bench.inventory([(dataset, name) for name in registered])
    recorded = {slot.job.method for slot in everything.slots if slot.record is not None}
    inventory = bench.inventory([(dataset, name) for name in registered if name in known or name in recorded])
    undone = [slot for slot in inventory.slots if slot.state != "done"]
    if undone or not inventory.slots:
        first = undone[0].job if undone else None
        raise ConfigError(
            f"{dataset}: {len(undone)} of {len(inventory.slots)} jobs are not done"
            + (f", first {first.method} seed {first.seed} ({undone[0].state})" if first else "")
            + "; run them before accepting"
        )
    return inventory


def _noise(
    args: argparse.Namespace, bench: Bench, reference: Reference, inventory: Inventory
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
    current = {slot.job.method: slot.setup.config_hash for slot in inventory.slots}
    dataset = inventory.slots[0].job.dataset
    outdated = [
        (dataset, name)
        for name, version in current.items()
        if not _still_holds(_of(reference.long_noise, name), _of(reference.per_seed, name), version, asked)
    ]
    return refits(args, bench, outdated, asked) if outdated else stored.iloc[:0]


def _still_holds(refits: pd.DataFrame, reference: pd.DataFrame, version: str, asked: int) -> bool:
    """Whether stored refits are of this version, and as many as asked for where the method needs any."""
    if set(refits["config_hash"]) != {version}:
        return False
    name = (str(refits["dataset"].iloc[0]), str(refits["method"].iloc[0]))
    return int(refits["refit"].max()) >= asked or PairSides(*name, reference, reference, refits).deterministic


def _of(frame: pd.DataFrame, method: str) -> pd.DataFrame:
    return frame[frame["method"] == method]


def refits(args: argparse.Namespace, bench: Bench, pairs: Sequence[Pair], n_refits: int) -> pd.DataFrame:
    """Measure refits with the command's devices, progress display and choice of splits."""
    from rich.console import Console

    from benchmark.run.devices import available_pool
    from benchmark.run.plan import make_plan
    from benchmark.run.pool import run_plan
    from benchmark.run.progress import Progress

    running = running_of(args)
    devices = available_pool(running.device)

    def run(numbered: Bench, wanted: Sequence[Pair]) -> None:
        plan = make_plan(numbered, wanted, retry_failed=running.retry_failed)
        progress = Progress(plan.to_run(), running.jobs, Console(stderr=True))
        if run_plan(plan, numbered, running, devices, progress).interrupted:
            raise KeyboardInterrupt

    if args.refit_seeds is not None:
        bench = dataclasses.replace(bench, seeds=parse_seeds(args.refit_seeds))
    return measure_refits(bench, pairs, n_refits, run)


def _note(folder: Path, reason: str, dataset: str, drift: Drift) -> None:
    """Append the reason and what it covers to `accepted.md`."""
    path = folder / ACCEPTED_FILE
    before = path.read_text(encoding="utf-8") if path.is_file() else ""
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    path.write_text(before + accepted_text(drift, dataset, reason, today), encoding="utf-8", newline="\n")
