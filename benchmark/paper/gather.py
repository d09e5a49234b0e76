"""Reads our numbers, current records or committed references, and their origin; it judges nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.contracts import Job, MethodSpec, Provenance, Record
from benchmark.paper.evidence import Evidence
from benchmark.run.bench import Bench
from benchmark.run.describe import describe_mixed_versions
from benchmark.run.features import LEAKED
from benchmark.run.lacking import no_records, with_reference
from benchmark.run.record_file import RecordError
from benchmark.run.split import sizes
from benchmark.tables.accepted import why_missing
from benchmark.tables.reference import (
    distinct_environments,
    is_as_printed,
    read_environments,
    read_numbers,
    read_settings,
    read_steps,
)
from benchmark.tables.results import EQUAL_RULE, Results, results_of


@dataclass(frozen=True)
class Gathered:
    """Evidence, and what is known of its place."""

    evidence: Evidence
    folder: Path
    """Where verdicts on it are written; of a reference, its own."""
    records: tuple[Record, ...] | None = None
    """The records that it was read from; None for a reference."""
    results: Results | None = None
    """All that tables are made of; None for a reference."""


def gather(bench: Bench, reference: bool) -> list[Gathered]:
    """Read the committed references of the profile, one for each data set, or else the current records.

    Raises
    ------
    ConfigError
        If there is nothing to judge, or a reference cannot be used.
    """
    return gather_references(bench) if reference else [gather_records(bench)]


def gather_records(bench: Bench) -> Gathered:
    """Read the current records of the chosen data sets and methods again.

    Raises
    ------
    ConfigError
        If there is none.
    """
    pairs = bench.recorded_pairs()
    if not pairs:
        raise no_records(bench, otherwise="or judge a committed reference with --reference; ")
    inventory = bench.inventory(pairs)
    results, unreadable = results_of(bench, inventory)
    mixed_versions = describe_mixed_versions(inventory.records())
    evidence = Evidence(
        as_printed=results.as_printed,
        equal=results.equal,
        steps=results.steps,
        methods=tuple(bench.registry.methods.values()),
        seeds=bench.seeds,
        source=bench.with_sources(f"current records at profile {bench.profile.name}"),
        datasets=bench.datasets.ids,
        limits=_limits(bench),
        split_sizes=_split_sizes(bench),
        missing="not run with these flags; run it, or take a committed reference with --reference",
        left_out=_stale(inventory.stale),
        messages=tuple(f"left out: {text}" for text in (*inventory.broken, *unreadable)),
        warnings=(mixed_versions,) if mixed_versions else (),
    )
    return Gathered(evidence, bench.tables_dir, inventory.records(), results)


def _stale(records: Iterable[Record]) -> dict[tuple[str, str], str]:
    seeds: dict[tuple[str, str], set[int]] = {}
    for record in records:
        seeds.setdefault((record.dataset, record.method), set()).add(record.seed)
    return {
        pair: f"cannot judge: the records of seeds {', '.join(map(str, sorted(found)))} are of another "
        "version (stale: code, options or data have changed); run them again, or give the --data that "
        "they were made with"
        for pair, found in seeds.items()
    }


def gather_references(bench: Bench) -> list[Gathered]:
    """Read each committed reference of the profile.

    Raises
    ------
    ConfigError
        If there is no reference, or none of a data set that was named.
    """
    root = bench.references_dir
    return [Gathered(read_reference(root, name, bench), root / name) for name in with_reference(bench)]


def read_reference(root: Path, dataset: str, bench: Bench) -> Evidence:
    """Read one reference folder.

    Parameters
    ----------
    root : Path
        `results/reference/<profile>`.
    dataset : str
        Name of the reference's folder.
    bench
        Which seeds and methods are wanted, and how each method is read.

    Raises
    ------
    ConfigError
        If a file is missing, lacks a column or holds what is not a number.
    """
    folder = root / dataset
    everything = read_numbers(folder, bench.profile.name)
    frame = _chosen(everything, bench)
    as_printed, left_out = _read_as_printed(frame, tuple(bench.registry.methods.values()))
    return Evidence(
        as_printed=as_printed,
        equal=frame[frame["threshold"] == EQUAL_RULE],
        steps=_read_steps(folder, bench),
        methods=tuple(bench.registry.methods.values()),
        seeds=bench.seeds,
        source=f"the reference of profile {bench.profile.name}"
        + (f" ({dataset}: {LEAKED})" if Provenance.LEAKED in set(frame["provenance"]) else ""),
        datasets=(dataset,),
        limits=_limits(bench),
        split_sizes=_split_sizes(bench),
        missing=why_missing(bench),
        left_out=left_out,
        messages=_unregistered(everything["method"], bench),
    )


def _read_steps(folder: Path, bench: Bench) -> pd.DataFrame | None:
    """Read the metrics after each decoding step; None in a reference of before they were kept."""
    steps = read_steps(folder)
    if steps is None:
        return None
    chosen = _chosen(steps, bench)
    return chosen[is_as_printed(chosen, tuple(bench.registry.methods.values()))]


def _chosen(frame: pd.DataFrame, bench: Bench) -> pd.DataFrame:
    return frame[frame["seed"].isin(bench.seeds) & frame["method"].isin(bench.methods.ids)]


def _unregistered(methods: pd.Series, bench: Bench) -> tuple[str, ...]:
    unknown = [name for name in methods.unique() if name not in bench.registry.methods]
    return tuple(f"left out: {name} is in the reference but no method of this version" for name in unknown)


def _read_as_printed(
    frame: pd.DataFrame, methods: Sequence[MethodSpec]
) -> tuple[pd.DataFrame, dict[tuple[str, str], str]]:
    """Choose rows with each method's own rule and scoring; name the pairs that have only other rows."""
    own = frame[is_as_printed(frame, methods)]
    pairs = set(zip(frame["dataset"], frame["method"], strict=True))
    lost = pairs - set(zip(own["dataset"], own["method"], strict=True))
    reason = "cannot judge: read by another rule or scoring than this version's; write the reference again"
    return own, dict.fromkeys(lost, reason)


def _limits(bench: Bench) -> dict[str, str]:
    """Say on which data sets the profile is not the printed protocol."""
    limited = {}
    for dataset in bench.datasets.ids:
        if bench.profile.limits_for(dataset).cut:
            limited[dataset] = f"profile {bench.profile.name} is not the printed protocol"
    return limited


def _split_sizes(bench: Bench) -> dict[str, tuple[int, int]]:
    """Return training and test rows of each split, by data set."""
    found = {}
    for dataset in bench.datasets.ids:
        limits = bench.profile.limits_for(dataset)
        n = bench.registry.datasets[dataset].expected.n
        found[dataset] = sizes(n, limits.max_train_rows, limits.max_test_rows)
    return found


def origin_of(gathered: Gathered, bench: Bench) -> dict[str, Any]:
    """Return where the numbers of one data set and method come from.

    Returns
    -------
    dict
        Folders of records by seed, settings by configuration hash, environments; of a reference also its
        folder.

    Raises
    ------
    ConfigError
        If a file of a reference cannot be read.
    """
    if gathered.records is None:
        return _origin_of_reference(gathered, bench)
    ordered = sorted(gathered.records, key=lambda record: record.seed)
    jobs = [(Job(record.dataset, record.method, record.seed), record.config_hash) for record in ordered]
    return {
        "folders": {job.seed: str(bench.store.folder(job, config_hash)) for job, config_hash in jobs},
        "settings": {record.config_hash: dict(record.settings) for record in ordered},
        "environments": distinct_environments(ordered),
    }


def _origin_of_reference(gathered: Gathered, bench: Bench) -> dict[str, Any]:
    """Return what a reference holds, and the folders of its records that are still here."""
    known = read_settings(gathered.folder)
    folders, settings = {}, {}
    keys = ["dataset", "method", "seed", "config_hash"]
    jobs = gathered.evidence.as_printed[keys].drop_duplicates()
    for dataset, method, seed, config_hash in jobs.itertuples(index=False):
        job = Job(dataset, method, int(seed))
        if config_hash in known.get(method, {}):
            settings[config_hash] = dict(known[method][config_hash])
        try:
            record = bench.store.find(job, config_hash)
        except RecordError:
            continue
        if record is not None:
            folders[job.seed] = str(bench.store.folder(job, config_hash))
    return {
        "reference": str(gathered.folder),
        "folders": folders,
        "settings": settings,
        "environments": read_environments(gathered.folder),
    }
