"""Reads what is to be judged, current records or a committed reference, into one frame; it judges nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from benchmark.contracts import MethodSpec, Record
from benchmark.paper.evidence import Judged, own_reading
from benchmark.run.bench import Bench, Inventory
from benchmark.run.config import ConfigError
from benchmark.run.describe import describe_mixed_versions
from benchmark.run.split import sizes
from benchmark.tables.aggregate import PER_SEED_COLUMNS
from benchmark.tables.reference import (
    METRIC_COLUMNS,
    PER_SEED_FILE,
    PROVENANCE_FILE,
    REFERENCE_COLUMNS,
    STEP_COLUMNS,
    STEP_KEYS,
    STEPS_FILE,
    lengthen,
    read_csv,
)
from benchmark.tables.results import EQUAL_RULE, Results, results_of


@dataclass(frozen=True)
class Source:
    """What is judged, where its verdicts belong, and which printed data sets it is about."""

    judged: Judged
    folder: Path
    """Where verdicts are written."""
    datasets: tuple[str, ...]


@dataclass(frozen=True)
class Records:
    """Current records of the chosen data sets and methods, read again under both rules."""

    inventory: Inventory
    results: Results
    messages: tuple[str, ...]
    warnings: tuple[str, ...]


def read_records(bench: Bench) -> Records:
    """Read the current records.

    Raises
    ------
    ConfigError
        If there is none of the chosen data sets and methods.
    """
    pairs = bench.recorded_pairs()
    if not pairs:
        raise ConfigError(
            f"cannot judge: {bench.store.root} holds no record of the chosen data sets and methods; "
            "run them first, judge a committed reference with --reference, or correct --results, "
            "--datasets or --methods"
        )
    inventory = bench.inventory(pairs)
    results, unreadable = results_of(bench, inventory)
    warning = describe_mixed_versions(inventory.records())
    left_out = tuple(f"left out: {text}" for text in (*inventory.broken, *unreadable))
    return Records(inventory, results, left_out, (warning,) if warning else ())


def source_of_records(records: Records, bench: Bench) -> Source:
    """Put the current records before the judge; verdicts go to the tables folder."""
    results = records.results
    judged = Judged(
        as_printed=results.as_printed,
        equal=results.equal,
        steps=results.steps,
        methods=tuple(bench.registry.methods.values()),
        seeds=bench.seeds,
        source=f"current records at profile {bench.profile.name}",
        limits=_limits(bench),
        split_sizes=_split_sizes(bench),
        missing="not run with these flags; run it, or take a committed reference with --reference",
        left_out=_stale(records.inventory.stale),
        messages=records.messages,
        warnings=records.warnings,
    )
    return Source(judged, bench.tables_dir, bench.datasets.ids)


def _stale(records: Iterable[Record]) -> dict[tuple[str, str], str]:
    seeds: dict[tuple[str, str], set[int]] = {}
    for record in records:
        seeds.setdefault((record.dataset, record.method), set()).add(record.seed)
    return {
        pair: f"cannot judge: the records of seeds {', '.join(map(str, sorted(found)))} are of another "
        "version (stale: code, options or data have changed); run them again"
        for pair, found in seeds.items()
    }


def sources_of_references(bench: Bench) -> list[Source]:
    """Read each committed reference of the profile; its verdicts go beside it.

    Raises
    ------
    ConfigError
        If there is no reference, or none of a data set that was named.
    """
    root = bench.references_dir
    found = [dataset for dataset in bench.datasets.ids if (root / dataset).is_dir()]
    missing = [name for name in bench.datasets.ids if name in bench.datasets.named and name not in found]
    if missing or not found:
        raise ConfigError(
            f"cannot judge: {root} holds no reference of {', '.join(missing or bench.datasets.ids)}; "
            "correct --profile, --results or --datasets, or write one with the command reference"
        )
    return [Source(read_reference(root / name, bench), root / name, (name,)) for name in found]


def read_reference(folder: Path, bench: Bench) -> Judged:
    """Read one reference folder.

    Parameters
    ----------
    folder : Path
        `results/reference/<profile>/<data set>`.
    bench
        Which seeds and methods are wanted, and how each method is read.

    Raises
    ------
    ConfigError
        If a file is missing, lacks a column or holds what is not a number.
    """
    per_seed = read_csv(folder / PER_SEED_FILE, REFERENCE_COLUMNS)
    origin = read_csv(folder / PROVENANCE_FILE, ("dataset", "method", "provenance", "profile"))
    if wrong := set(origin["profile"]) - {bench.profile.name}:
        raise ConfigError(
            f"cannot judge: {folder / PROVENANCE_FILE} was made with profile {', '.join(sorted(wrong))}, not "
            f"{bench.profile.name}; write the reference again or correct --profile"
        )
    origin = origin[["dataset", "method", "provenance"]].drop_duplicates()
    if origin.duplicated(["dataset", "method"]).any():
        raise ConfigError(f"cannot judge: {folder / PROVENANCE_FILE} mixes provenances; write it again")
    frame = per_seed.merge(origin, on=["dataset", "method"], how="left").assign(profile=bench.profile.name)
    if frame["provenance"].isna().any():
        lost = ", ".join(frame.loc[frame["provenance"].isna(), "method"].unique())
        raise ConfigError(f"cannot judge: {folder / PROVENANCE_FILE} does not say where {lost} comes from")
    frame = _chosen(frame, bench)[list(PER_SEED_COLUMNS)]
    as_printed, left_out = _read_as_printed(frame, tuple(bench.registry.methods.values()))
    return Judged(
        as_printed=as_printed,
        equal=frame[frame["threshold"] == EQUAL_RULE],
        steps=_read_steps(folder, bench),
        methods=tuple(bench.registry.methods.values()),
        seeds=bench.seeds,
        source=f"the reference of profile {bench.profile.name}",
        limits=_limits(bench),
        split_sizes=_split_sizes(bench),
        missing="not in the reference, or left out by --methods"
        if bench.methods.named
        else "not in the reference",
        left_out=left_out,
        messages=_unregistered(per_seed["method"], bench),
    )


def _read_steps(folder: Path, bench: Bench) -> pd.DataFrame | None:
    """Read the metrics after each decoding step; None in a reference of before they were kept."""
    if not (folder / STEPS_FILE).is_file():
        return None
    table = read_csv(folder / STEPS_FILE, STEP_COLUMNS, numbers=("seed", "step", *METRIC_COLUMNS))
    steps = lengthen(_chosen(table, bench), STEP_KEYS)
    return steps[_own(steps, tuple(bench.registry.methods.values()))]


def _chosen(frame: pd.DataFrame, bench: Bench) -> pd.DataFrame:
    return frame[frame["seed"].isin(bench.seeds) & frame["method"].isin(bench.methods.ids)]


def _own(frame: pd.DataFrame, methods: Sequence[MethodSpec]) -> pd.Series:
    """Say which rows are read as their method reads its scores."""
    readings = pd.Series(list(zip(frame["threshold"], frame["scoring"], strict=True)), index=frame.index)
    return readings == frame["method"].map(own_reading(methods))


def _unregistered(methods: pd.Series, bench: Bench) -> tuple[str, ...]:
    unknown = [name for name in methods.unique() if name not in bench.registry.methods]
    return tuple(f"left out: {name} is in the reference but no method of this version" for name in unknown)


def _read_as_printed(
    frame: pd.DataFrame, methods: Sequence[MethodSpec]
) -> tuple[pd.DataFrame, dict[tuple[str, str], str]]:
    """Choose each method's own reading; name the pairs of which the reference holds only another one."""
    kept = frame[_own(frame, methods)]
    pairs = set(zip(frame["dataset"], frame["method"], strict=True))
    lost = pairs - set(zip(kept["dataset"], kept["method"], strict=True))
    reason = "cannot judge: read by another rule or scoring than this version's; write the reference again"
    return kept, dict.fromkeys(lost, reason)


def _limits(bench: Bench) -> dict[str, str]:
    """Say on which data sets the profile is not the printed protocol."""
    limited = {}
    for dataset in bench.datasets.ids:
        limits = bench.profile.limits_for(dataset)
        if (limits.epochs, limits.max_train_rows, limits.max_test_rows) != (None, None, None):
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


def joined(sources: Sequence[Source]) -> Judged:
    """Put the references of several data sets together, so that they are judged as one."""
    judged = [source.judged for source in sources]
    steps = [one.steps for one in judged if one.steps is not None]
    return replace(
        judged[0],
        as_printed=pd.concat([one.as_printed for one in judged], ignore_index=True),
        equal=pd.concat([one.equal for one in judged], ignore_index=True),
        steps=pd.concat(steps, ignore_index=True) if steps else None,
        left_out={pair: why for one in judged for pair, why in one.left_out.items()},
        messages=tuple(dict.fromkeys(message for one in judged for message in one.messages)),
    )
