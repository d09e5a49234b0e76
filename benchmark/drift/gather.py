"""Gathers what is held against what: committed references and current records; it judges nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd

from benchmark.contracts import Record
from benchmark.drift.cause import describe_settings, why_bits_may_differ
from benchmark.drift.pair import Pair, ReferenceAndCurrent
from benchmark.drift.reference import Reference, read_references
from benchmark.run.bench import Bench, Inventory, Slot
from benchmark.tables.reference import REFERENCE_COLUMNS, distinct_environments
from benchmark.tables.results import results_of


def gather(bench: Bench) -> tuple[ReferenceAndCurrent, tuple[str, ...]]:
    """Read references and records of the chosen data sets and methods.

    Returns
    -------
    both, messages
        What is judged, and what to tell about records that cannot be read.

    Raises
    ------
    ConfigError
        If there is no reference at all, or none of a data set that was named.
    """
    references = read_references(bench)
    inventory = bench.inventory(_pairs(bench, references))
    results, unreadable = results_of(bench, inventory)
    asked = _asked(bench, references)
    records = inventory.records()
    both = ReferenceAndCurrent(
        reference=_of_pairs([reference.per_seed for reference in references.values()], asked),
        current=results.per_seed[list(REFERENCE_COLUMNS)],
        refits=_of_pairs([reference.long_refits for reference in references.values()], asked),
        why_bits_may_differ={
            name: why_bits_may_differ(
                reference.environments, distinct_environments(r for r in records if r.dataset == name)
            )
            for name, reference in references.items()
        },
        changed_settings=_changed_settings(references, records),
        missing={**_unreadable(unreadable, asked), **_missing(inventory, asked, bench)},
    )
    return both, tuple(f"left out: {text}" for text in (*inventory.broken, *unreadable))


def _pairs(bench: Bench, references: Mapping[str, Reference]) -> list[Pair]:
    """Return the chosen pairs that a reference has or that were ever recorded."""
    recorded = set(bench.recorded_pairs())
    return [
        (dataset, method)
        for dataset in bench.datasets.ids
        for method in bench.methods.ids
        if (dataset, method) in recorded or (dataset in references and method in references[dataset].methods)
    ]


def _asked(bench: Bench, references: Mapping[str, Reference]) -> set[Pair]:
    """Return the pairs of the references that are to be judged; unless methods are named, those gone too."""
    return {
        (dataset, method)
        for dataset, reference in references.items()
        for method in reference.methods
        if method in bench.methods.ids or not (bench.methods.named or method in bench.registry.methods)
    }


def _of_pairs(frames: Sequence[pd.DataFrame], pairs: set[Pair]) -> pd.DataFrame:
    frame = pd.concat(frames, ignore_index=True)
    return frame[[pair in pairs for pair in zip(frame["dataset"], frame["method"], strict=True)]]


def _missing(inventory: Inventory, asked: set[Pair], bench: Bench) -> dict[Pair, str]:
    """Say of each pair of the reference why current numbers of it are not there."""
    stale = {(record.dataset, record.method, record.seed) for record in inventory.stale}
    slots: dict[Pair, list[Slot]] = {pair: [] for pair in asked}
    for slot in inventory.slots:
        slots.setdefault((slot.job.dataset, slot.job.method), []).append(slot)
    reasons = {}
    for pair in asked:
        absent = [slot.job for slot in slots[pair] if slot.state == "missing"]
        if pair[1] not in bench.registry.methods:
            reasons[pair] = "in the reference, but no method of this version"
        elif absent:
            old = any((job.dataset, job.method, job.seed) in stale for job in absent)
            what = "only of another version (code, options or data have changed)" if old else "not there"
            seeds = ", ".join(str(job.seed) for job in absent)
            reasons[pair] = f"records of seeds {seeds} are {what}; run them"
    return reasons


def _unreadable(messages: Sequence[str], asked: set[Pair]) -> dict[Pair, str]:
    """Give each message about a record that cannot be read to the pair whose folder it names."""
    return {
        pair: f"a record cannot be read: {text}"
        for text in messages
        for pair in asked
        if f"/{pair[0]}/{pair[1]}/" in text.replace("\\", "/")
    }


def _changed_settings(references: Mapping[str, Reference], records: Sequence[Record]) -> dict[Pair, str]:
    """Say how the settings of current records differ from those kept with the reference."""
    changes = {}
    for record in records:
        reference = references.get(record.dataset)
        if reference is None:
            continue
        by_hash = reference.settings.get(record.method, {})
        if len(by_hash) == 1 and record.config_hash not in by_hash:
            (before,) = by_hash.values()
            changes[record.dataset, record.method] = describe_settings(before, record.settings)
    return changes
