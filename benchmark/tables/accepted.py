"""A reference as a whole: of records and of an earlier reference, written and read; it judges nothing."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.contracts import DatasetSpec, Provenance, Record, users_folder
from benchmark.files import write_csv, write_text
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError
from benchmark.run.lacking import with_reference
from benchmark.tables.aggregate import PER_SEED_COLUMNS
from benchmark.tables.reference import (
    ACQUISITION_FILE,
    DECODING_FILE,
    ENVIRONMENT_FILE,
    LONG_COLUMNS,
    PER_SEED_FILE,
    REFERENCE_COLUMNS,
    RESOURCE_COLUMNS,
    RESOURCES_FILE,
    SETTINGS_FILE,
    STEP_KEYS,
    STEPS_FILE,
    TRACES_FILE,
    distinct_settings,
    environment_name,
    is_as_printed,
    read_csv,
    read_environments,
    read_long,
    read_numbers,
    read_settings,
    read_steps,
    widen,
)
from benchmark.tables.results import EQUAL_RULE, ListedDataset, Results
from benchmark.tables.traces import read_traces, write_traces
from benchmark.tables.write import write_all

JOB = ["dataset", "method", "seed"]


@dataclass(frozen=True)
class Accepted:
    """What a reference of one data set is made of."""

    results: Results
    settings: Mapping[str, Mapping[str, Any]]
    """By method and configuration hash, what the hash was made of."""

    def beside(self, earlier: Accepted, methods: Collection[str]) -> Accepted:
        """Add these methods of an earlier reference, in the order of the registry."""
        place = {spec.id: number for number, spec in enumerate(self.results.methods)}

        def together(mine: pd.DataFrame, theirs: pd.DataFrame) -> pd.DataFrame:
            both = pd.concat([mine, theirs[theirs["method"].isin(methods)]], ignore_index=True)
            return both.sort_values(
                "method", key=lambda names: names.map(place), kind="stable", ignore_index=True
            )

        mine, theirs = self.results, earlier.results
        results = replace(
            mine,
            as_printed=together(mine.as_printed, theirs.as_printed),
            equal=together(mine.equal, theirs.equal),
            steps=together(mine.steps, theirs.steps),
            acquisition=together(mine.acquisition, theirs.acquisition),
            traces={pair: trace for pair, trace in theirs.traces.items() if pair[1] in methods}
            | dict(mine.traces),
            resources=together(mine.resources, theirs.resources),
            environments={**theirs.environments, **mine.environments},
        )
        settings = {name: made_of for name, made_of in earlier.settings.items() if name in methods}
        return Accepted(results, {**settings, **self.settings})


def accepted_of(results: Results, records: Sequence[Record]) -> Accepted:
    """Return what is accepted of the records of one data set, of which the results are."""
    return Accepted(results, distinct_settings(records))


def write_reference(accepted: Accepted, folder: Path) -> list[Path]:
    """Write the accepted numbers of one data set: per seed, aggregated, as tables, and where they were made.

    Parameters
    ----------
    accepted : Accepted
    folder
        `results/reference/<profile>/<data set>`; created if absent.

    Returns
    -------
    list of Path
        `per_seed.csv` (columns `REFERENCE_COLUMNS`), `steps.csv` (`STEP_COLUMNS`), `decoding.csv` and
        `acquisition.csv` (`LONG_COLUMNS`), `resources.csv`, `traces.npz` (see `benchmark.tables.traces`),
        `environment.json`, `settings.json` (by method and hash, what the hash was made of) and what
        `write_all` writes.
    """
    results = accepted.results
    tables = write_all(results, folder)
    per_step = results.steps["step"] > 0
    frames = {
        PER_SEED_FILE: results.per_seed[list(REFERENCE_COLUMNS)],
        STEPS_FILE: widen(results.steps[per_step], STEP_KEYS),
        DECODING_FILE: results.steps.loc[~per_step, list(LONG_COLUMNS)],
        RESOURCES_FILE: results.resources,
        ACQUISITION_FILE: results.acquisition[list(LONG_COLUMNS)],
    }
    for name, frame in frames.items():
        write_csv(folder / name, frame)
    write_traces(folder / TRACES_FILE, results.traces)
    for name, content in ((ENVIRONMENT_FILE, results.ran_in()), (SETTINGS_FILE, accepted.settings)):
        write_text(folder / name, json.dumps(content, indent=1, sort_keys=True) + "\n")
    return sorted(folder / name for name in {*tables, *frames, TRACES_FILE, ENVIRONMENT_FILE, SETTINGS_FILE})


def read_accepted(folder: Path, like: Results) -> Accepted:
    """Read a reference; `like` knows the profile, the methods and how each of them is read.

    Raises
    ------
    ConfigError
        If a file cannot be read, or is of a version that kept too little of the methods that are to stay.
    """
    numbers = read_numbers(folder, like.profile)
    own = is_as_printed(numbers, like.methods)
    if other := sorted(set(numbers["method"]) - set(numbers.loc[own, "method"])):
        raise _old(folder / PER_SEED_FILE, f"has {', '.join(other)} under no rule of this version")
    if not ((folder / STEPS_FILE).is_file() and (folder / DECODING_FILE).is_file()):
        raise _old(folder, f"lacks {STEPS_FILE} or {DECODING_FILE}")
    results = _read(folder, like, numbers)
    if not set(results.resources["environment"]) <= set(results.environments):
        raise _old(folder / RESOURCES_FILE, "does not say which job ran in which environment")
    return Accepted(results, read_settings(folder))


def why_missing(bench: Bench) -> str:
    """Say of a method why a reference has no numbers of it."""
    return "not in the reference" + (", or left out by --methods or --seeds" if bench.methods.named else "")


def nothing_chosen(bench: Bench) -> ConfigError:
    """Return the error of a choice that no reference has a number of."""
    choice = "the chosen methods and seeds; correct --methods or --seeds"
    return ConfigError(f"{bench.references_dir} holds no number of {choice}")


def read_references(bench: Bench) -> Results:
    """Read the references of the chosen data sets and methods, as if one run had given them.

    Raises
    ------
    ConfigError
        If there is none, or a file of one cannot be read.
    """
    nothing = pd.DataFrame(columns=list(PER_SEED_COLUMNS))
    like = Results(
        as_printed=nothing,
        equal=nothing,
        steps=nothing.assign(step=0),
        datasets=(),
        methods=tuple(bench.registry.methods.values()),
        profile=bench.profile.name,
        profile_note=bench.profile.description,
        seeds=bench.seeds,
        missing_reason=why_missing(bench),
    )
    parts = {}
    for dataset in with_reference(bench):
        folder = bench.references_dir / dataset
        numbers = read_numbers(folder, bench.profile.name)
        chosen = numbers["seed"].isin(bench.seeds) & numbers["method"].isin(bench.methods.ids)
        parts[dataset] = _read(folder, like, numbers[chosen])
    frames = {
        name: pd.concat([getattr(part, name) for part in parts.values()], ignore_index=True)
        for name in ("as_printed", "equal", "steps", "acquisition", "resources")
    }
    if frames["as_printed"].empty:
        raise nothing_chosen(bench)
    shown = frames["as_printed"].drop_duplicates("dataset").set_index("dataset")
    return replace(
        like,
        **frames,
        traces={pair: trace for part in parts.values() for pair, trace in part.traces.items()},
        environments={name: one for part in parts.values() for name, one in part.environments.items()},
        datasets=tuple(
            _listed(spec, bench, shown.loc[spec.id] if spec.id in shown.index else None)
            for spec in bench.registry.datasets.values()
            if spec.in_paper or spec.id in parts
        ),
    )


def left_out_of_references(bench: Bench) -> str:
    """Say how the choice is not just what the references of the profile hold; empty if it is."""
    folders = sorted(path for path in bench.references_dir.iterdir() if path.is_dir())
    numbers = pd.concat([read_numbers(folder, bench.profile.name) for folder in folders])
    if lost := {folder.name for folder in folders} - set(bench.datasets.ids):
        return f"this leaves out {', '.join(sorted(lost))}"
    if lost := set(numbers["method"]) & set(bench.registry.methods) - set(bench.methods.ids):
        return f"this leaves out {', '.join(sorted(lost))}"
    if set(numbers["seed"]) != set(bench.seeds):
        return "seeds are others than those of the references"
    specs = [bench.registry.datasets[folder.name] for folder in folders]
    users = [spec.id for spec in specs if users_folder(spec, bench.data_dir)]
    return f"{', '.join(users)} is here with the user's own features" if users else ""


def _listed(spec: DatasetSpec, bench: Bench, accepted: pd.Series | None) -> ListedDataset:
    """List a data set as its numbers' origin; its note is today's, if the data are the same."""
    if accepted is None:
        return ListedDataset.of(spec, bench, None)
    facts = bench.facts(spec.id)
    note = facts.note if facts.data_hash == accepted["data_hash"] else ""
    provenance = Provenance(accepted["provenance"])
    return ListedDataset(spec.id, spec.title, spec.expected, provenance, note, spec.in_paper)


def _read(folder: Path, like: Results, numbers: pd.DataFrame) -> Results:
    """Read the frames of a reference for the jobs of these numbers; older ones lack some."""
    common = numbers.drop_duplicates(JOB).drop(columns=["metric", "value"])
    origin = common[[*JOB, "preset", "provenance", "profile"]]
    own = is_as_printed(numbers, like.methods)
    steps = read_steps(folder)
    decoding = _with_common(read_long(folder / DECODING_FILE), common).assign(step=0)
    if steps is not None:
        steps = steps.merge(origin, on=JOB)[[*PER_SEED_COLUMNS, "step"]]
        steps = steps[is_as_printed(steps, like.methods)]
    environments = read_environments(folder)
    traces = read_traces(folder / TRACES_FILE, folder.name) if (folder / TRACES_FILE).is_file() else {}
    chosen = set(common["method"])
    return replace(
        like,
        as_printed=numbers[own],
        equal=numbers[numbers["threshold"] == EQUAL_RULE],
        steps=pd.concat([steps, decoding], ignore_index=True),
        acquisition=_with_common(read_long(folder / ACQUISITION_FILE), common),
        traces={pair: trace for pair, trace in traces.items() if pair[1] in chosen},
        resources=_read_resources(folder, environments).merge(common[JOB], on=JOB),
        environments={environment_name(one): one for one in environments},
    )


def _read_resources(folder: Path, environments: Sequence[Mapping[str, Any]]) -> pd.DataFrame:
    """Read what jobs took; where a reference is older than a column of it, nothing is known."""
    if not (folder / RESOURCES_FILE).is_file():
        return pd.DataFrame(columns=list(RESOURCE_COLUMNS))
    path, kept = folder / RESOURCES_FILE, ("dataset", "method", "seed", "status", "peak_mib")
    resources = read_csv(path, kept, ("seed", "peak_mib"))
    if "processor_seconds" not in resources:
        resources = resources.assign(processor_seconds=0.0)
    for name in resources.columns[resources.columns.str.contains("seconds|mib")]:
        numeric = pd.api.types.is_numeric_dtype(resources[name])
        if not numeric or ((resources[name] < 0) | (resources[name] == np.inf)).any():
            raise ConfigError(
                f"cannot judge: {path} holds {name} that no job took; write the reference again"
            )
    if resources.duplicated(JOB).any():
        raise ConfigError(f"cannot judge: {path} holds a job twice; write the reference again")
    if "environment" in resources:
        return resources
    name = environment_name(environments[0]) if len(environments) == 1 else "unknown"
    return resources.assign(environment=name)


def _old(path: Path, what: str) -> ConfigError:
    return ConfigError(
        f"{path} {what}, so that no part of it can stay; write the reference of all methods again"
    )


def _with_common(long: pd.DataFrame, common: pd.DataFrame) -> pd.DataFrame:
    return long.merge(common, on=JOB)[list(PER_SEED_COLUMNS)]
