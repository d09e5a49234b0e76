"""Gathers what the drift gate holds against each other: committed references and current records."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from benchmark.contracts import Record
from benchmark.drift.environments import why_bits_may_differ
from benchmark.drift.judge import Pair, Sides
from benchmark.drift.reference import Reference, read_reference_folder
from benchmark.run.bench import Bench, Inventory, Slot
from benchmark.run.config import ConfigError
from benchmark.tables.reference import REFERENCE_COLUMNS, distinct_environments
from benchmark.tables.results import results_of


def read_sides(bench: Bench) -> tuple[Sides, tuple[str, ...]]:
    """Read references and records of the chosen data sets and methods.

    Returns
    -------
    sides, messages
        What is judged, and what to tell about records that cannot be read.

    Raises
    ------
    ConfigError
        If there is no reference at all, or none of a data set that was named.
    """
    references = read_references(bench)
    inventory = bench.inventory(_pairs(bench, references))
    results, unreadable = results_of(bench, inventory)
    current = results.per_seed[list(REFERENCE_COLUMNS)]
    known = {(name, method) for name, reference in references.items() for method in reference.methods}
    asked = {pair for pair in known if pair[1] in bench.methods.ids or pair[1] not in bench.registry.methods}
    if bench.methods.named:
        asked = {pair for pair in asked if pair[1] in bench.methods.ids}
    per_seed = [_only(reference.per_seed, asked) for reference in references.values()]
    noise = [_only(reference.long_noise, asked) for reference in references.values()]
    records = inventory.records()
    sides = Sides(
        reference=pd.concat(per_seed, ignore_index=True),
        current=current,
        noise=pd.concat(noise, ignore_index=True),
        bits={
            name: why_bits_may_differ(
                reference.environments, distinct_environments(r for r in records if r.dataset == name)
            )
            for name, reference in references.items()
        },
        settings=_changed_settings(references, records),
        missing={**_unreadable(unreadable, asked), **_missing(inventory, asked, bench)},
    )
    return sides, tuple(f"left out: {text}" for text in (*inventory.broken, *unreadable))


def read_references(bench: Bench) -> dict[str, Reference]:
    """Read the reference of each chosen data set that has one.

    Raises
    ------
    ConfigError
        If there is none at all, or none of a data set that was named.
    """
    root = bench.references_dir
    found = [name for name in bench.datasets.ids if (root / name).is_dir()]
    missing = [name for name in bench.datasets.ids if name in bench.datasets.named and name not in found]
    if missing or not found:
        raise ConfigError(
            f"cannot judge: {root} holds no reference of {', '.join(missing or bench.datasets.ids)}; "
            "write one with the command reference, or correct --profile, --results or --datasets"
        )
    return {name: read_reference_folder(root / name, name) for name in found}


def _pairs(bench: Bench, references: Mapping[str, Reference]) -> list[Pair]:
    """Return the chosen pairs that a reference has or that were ever recorded."""
    recorded = set(bench.recorded_pairs())
    return [
        (dataset, method)
        for dataset in bench.datasets.ids
        for method in bench.methods.ids
        if (dataset, method) in recorded or (dataset in references and method in references[dataset].methods)
    ]


def _only(frame: pd.DataFrame, pairs: set[Pair]) -> pd.DataFrame:
    return frame[[pair in pairs for pair in zip(frame["dataset"], frame["method"], strict=True)]]


def _missing(inventory: Inventory, known: set[Pair], bench: Bench) -> dict[Pair, str]:
    """Say of each pair of the reference why current numbers of it are not there."""
    stale = {(record.dataset, record.method, record.seed) for record in inventory.stale}
    by_pair: dict[Pair, list[Slot]] = {pair: [] for pair in known}
    for slot in inventory.slots:
        by_pair.setdefault((slot.job.dataset, slot.job.method), []).append(slot)
    reasons = {}
    for pair, slots in by_pair.items():
        gone = [slot.job for slot in slots if slot.state == "missing"]
        if pair[1] not in bench.registry.methods:
            reasons[pair] = "in the reference, but no method of this version"
        elif gone and pair in known:
            old = [job for job in gone if (job.dataset, job.method, job.seed) in stale]
            what = "only of another version (code, options or data have changed)" if old else "not there"
            seeds = ", ".join(str(job.seed) for job in gone)
            reasons[pair] = f"records of seeds {seeds} are {what}; run them"
    return reasons


def _unreadable(messages: Sequence[str], known: set[Pair]) -> dict[Pair, str]:
    """Give each message about a record that cannot be read to the pair whose folder it names."""
    return {
        pair: f"a record cannot be read: {text}"
        for text in messages
        for pair in known
        if f"/{pair[0]}/{pair[1]}/" in text.replace("\\", "/")
    }


def _changed_settings(references: Mapping[str, Reference], records: Sequence[Record]) -> dict[Pair, str]:
    """Say how the settings of current records differ from those kept with the reference."""
    changes = {}
    for record in records:
        reference = references.get(record.dataset)
        if reference is None:
            continue
        kept = reference.settings.get(record.method, {})
        if len(kept) == 1 and record.config_hash not in kept:
            (before,) = kept.values()
            changes[record.dataset, record.method] = describe_settings(before, record.settings)
    return changes


def describe_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """Return what differs between two records' settings, other than the data."""
    old, new = (_flat(settings) for settings in (before, now))
    changes = []
    for name in dict.fromkeys([*old, *new]):
        if name != "data_hash" and old.get(name) != new.get(name):
            values = [str(side.get(name, "absent")) for side in (old, new)]
            shown = [value[:12] if name == "code" else value for value in values]
            changes.append(f"{name} ({' -> '.join(shown)})")
    return ", ".join(changes)


def _flat(settings: Mapping[str, Any]) -> dict[str, Any]:
    options = {f"option {name}": value for name, value in dict(settings.get("options") or {}).items()}
    return {**{name: value for name, value in settings.items() if name != "options"}, **options}
