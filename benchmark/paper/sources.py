"""Reads what is to be judged, current records or a committed reference, into one frame; it judges nothing."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from benchmark.contracts import MethodSpec, Record
from benchmark.paper.evidence import Judged, own_reading
from benchmark.registry import Registry
from benchmark.run.config import ConfigError, RunConfig
from benchmark.run.describe import describe_mixed_versions
from benchmark.run.plan import Catalogue, Plan, make_plan, recorded_pairs
from benchmark.run.split import sizes
from benchmark.run.store import RecordStore
from benchmark.tables.aggregate import PER_SEED_COLUMNS
from benchmark.tables.collect import REFERENCE_COLUMNS, STEP_COLUMNS, STEP_KEYS, bundle_of
from benchmark.tables.results import EQUAL_RULE, ResultBundle
from benchmark.tables.wide import METRIC_COLUMNS, lengthen

PROVENANCE_FILE, PER_SEED_FILE, STEPS_FILE = "metrics.csv", "per_seed.csv", "steps.csv"


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

    plan: Plan
    store: RecordStore
    bundle: ResultBundle
    messages: tuple[str, ...]
    warnings: tuple[str, ...]


def read_records(config: RunConfig, registry: Registry) -> Records:
    """Read the current records.

    Raises
    ------
    ConfigError
        If there is none of the chosen data sets and methods.
    """
    store = RecordStore(config.results_dir / "runs")
    pairs = [
        (dataset, method)
        for dataset, method in recorded_pairs(registry, store)
        if dataset in config.datasets.ids and method in config.methods.ids
    ]
    if not pairs:
        raise ConfigError(
            f"cannot judge: {store.root} holds no record of the chosen data sets and methods; "
            "run them first, judge a committed reference with --reference, or correct --results, "
            "--datasets or --methods"
        )
    plan = make_plan(config, registry, store, Catalogue(config.data_dir), pairs)
    bundle, unreadable = bundle_of(plan, store, registry, config.data_dir)
    warning = describe_mixed_versions(plan.records())
    left_out = tuple(f"left out: {text}" for text in (*plan.broken, *unreadable))
    return Records(plan, store, bundle, left_out, (warning,) if warning else ())


def source_of_records(records: Records, config: RunConfig, registry: Registry) -> Source:
    """Put the current records before the judge; verdicts go to the tables folder."""
    bundle = records.bundle
    judged = Judged(
        as_printed=bundle.as_printed,
        equal=bundle.equal,
        steps=bundle.steps,
        methods=tuple(registry.methods.values()),
        seeds=config.seeds,
        source=f"current records at profile {config.profile.name}",
        limits=_limits(config),
        split_sizes=_split_sizes(config, registry),
        missing="not run with these flags; run it, or take a committed reference with --reference",
        left_out=_stale(records.plan.stale),
        messages=records.messages,
        warnings=records.warnings,
    )
    return Source(judged, config.results_dir / "tables", config.datasets.ids)


def _stale(records: Iterable[Record]) -> dict[tuple[str, str], str]:
    seeds: dict[tuple[str, str], set[int]] = {}
    for record in records:
        seeds.setdefault((record.dataset, record.method), set()).add(record.seed)
    return {
        pair: f"cannot judge: the records of seeds {', '.join(map(str, sorted(found)))} are of another "
        "version (stale: code, options or data have changed); run them again"
        for pair, found in seeds.items()
    }


def sources_of_references(config: RunConfig, registry: Registry) -> list[Source]:
    """Read each committed reference of the profile; its verdicts go beside it.

    Raises
    ------
    ConfigError
        If there is no reference, or none of a data set that was named.
    """
    root = config.results_dir / "reference" / config.profile.name
    found = [dataset for dataset in config.datasets.ids if (root / dataset).is_dir()]
    missing = [name for name in config.datasets.ids if name in config.datasets.named and name not in found]
    if missing or not found:
        raise ConfigError(
            f"cannot judge: {root} holds no reference of {', '.join(missing or config.datasets.ids)}; "
            "correct --profile, --results or --datasets, or write one with the command reference"
        )
    return [Source(read_reference(root / name, config, registry), root / name, (name,)) for name in found]


def read_reference(folder: Path, config: RunConfig, registry: Registry) -> Judged:
    """Read one reference folder.

    Parameters
    ----------
    folder : Path
        `results/reference/<profile>/<data set>`.
    config, registry
        Which seeds and methods are wanted, and how each method is read.

    Raises
    ------
    ConfigError
        If a file is missing, lacks a column or holds what is not a number.
    """
    per_seed = read_csv(folder / PER_SEED_FILE, REFERENCE_COLUMNS)
    origin = read_csv(folder / PROVENANCE_FILE, ("dataset", "method", "provenance", "profile"))
    if wrong := set(origin["profile"]) - {config.profile.name}:
        raise ConfigError(
            f"cannot judge: {folder / PROVENANCE_FILE} was made with profile {', '.join(sorted(wrong))}, not "
            f"{config.profile.name}; write the reference again or correct --profile"
        )
    origin = origin[["dataset", "method", "provenance"]].drop_duplicates()
    if origin.duplicated(["dataset", "method"]).any():
        raise ConfigError(f"cannot judge: {folder / PROVENANCE_FILE} mixes provenances; write it again")
    frame = per_seed.merge(origin, on=["dataset", "method"], how="left").assign(profile=config.profile.name)
    if frame["provenance"].isna().any():
        lost = ", ".join(frame.loc[frame["provenance"].isna(), "method"].unique())
        raise ConfigError(f"cannot judge: {folder / PROVENANCE_FILE} does not say where {lost} comes from")
    frame = _chosen(frame, config)[list(PER_SEED_COLUMNS)]
    as_printed, left_out = _read_as_printed(frame, tuple(registry.methods.values()))
    return Judged(
        as_printed=as_printed,
        equal=frame[frame["threshold"] == EQUAL_RULE],
        steps=_read_steps(folder, config, registry),
        methods=tuple(registry.methods.values()),
        seeds=config.seeds,
        source=f"the reference of profile {config.profile.name}",
        limits=_limits(config),
        split_sizes=_split_sizes(config, registry),
        missing="not in the reference, or left out by --methods"
        if config.methods.named
        else "not in the reference",
        left_out=left_out,
        messages=_unregistered(per_seed["method"], registry),
    )


def _read_steps(folder: Path, config: RunConfig, registry: Registry) -> pd.DataFrame | None:
    """Read the metrics after each decoding step; None in a reference of before they were kept."""
    if not (folder / STEPS_FILE).is_file():
        return None
    table = read_csv(folder / STEPS_FILE, STEP_COLUMNS, numbers=("seed", "step", *METRIC_COLUMNS))
    steps = lengthen(_chosen(table, config), STEP_KEYS)
    return steps[_own(steps, tuple(registry.methods.values()))]


def _chosen(frame: pd.DataFrame, config: RunConfig) -> pd.DataFrame:
    return frame[frame["seed"].isin(config.seeds) & frame["method"].isin(config.methods.ids)]


def _own(frame: pd.DataFrame, methods: Sequence[MethodSpec]) -> pd.Series:
    """Say which rows are read as their method reads its scores."""
    readings = pd.Series(list(zip(frame["threshold"], frame["scoring"], strict=True)), index=frame.index)
    return readings == frame["method"].map(own_reading(methods))


def _unregistered(methods: pd.Series, registry: Registry) -> tuple[str, ...]:
    unknown = [name for name in methods.unique() if name not in registry.methods]
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


def _limits(config: RunConfig) -> dict[str, str]:
    """Say on which data sets the profile is not the printed protocol."""
    limited = {}
    for dataset in config.datasets.ids:
        limits = config.profile.limits_for(dataset)
        if (limits.epochs, limits.max_train_rows, limits.max_test_rows) != (None, None, None):
            limited[dataset] = f"profile {config.profile.name} is not the printed protocol"
    return limited


def _split_sizes(config: RunConfig, registry: Registry) -> dict[str, tuple[int, int]]:
    """Return training and test rows of each split, by data set."""
    found = {}
    for dataset in config.datasets.ids:
        limits = config.profile.limits_for(dataset)
        n = registry.datasets[dataset].expected.n
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


def read_csv(path: Path, columns: Sequence[str], numbers: Sequence[str] = ("seed", "value")) -> pd.DataFrame:
    """Read a reference's table; all columns but `numbers` are text.

    Raises
    ------
    ConfigError
        If it is missing, unreadable, lacks a column, or holds something else where a number belongs.
    """
    if not path.is_file():
        raise ConfigError(f"cannot judge: {path} is missing; write the reference again")
    try:
        frame = pd.read_csv(path, dtype=dict.fromkeys(set(columns) - set(numbers), str))
    except ValueError as error:
        raise ConfigError(
            f"cannot judge: {path} cannot be read ({error}); write the reference again"
        ) from error
    if missing := set(columns) - set(frame.columns):
        raise ConfigError(f"cannot judge: {path} lacks the columns {', '.join(sorted(missing))}")
    for column in sorted(set(numbers) & set(columns)):
        if not pd.api.types.is_numeric_dtype(frame[column]):
            raise ConfigError(f"cannot judge: {path} holds a {column} that is not a number")
    return frame
