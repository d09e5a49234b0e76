"""Hands current records to `analyse` as one bundle, and writes them out as a reference; it judges nothing."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.contracts import Array, Record
from benchmark.registry import Registry
from benchmark.run.plan import Plan
from benchmark.run.store import RecordError, RecordStore
from benchmark.tables.results import DatasetRow, Entry, ResultBundle, build_bundle
from benchmark.tables.wide import METRIC_COLUMNS, widen
from benchmark.tables.write import write_all

REFERENCE_COLUMNS = (
    "dataset",
    "method",
    "seed",
    "metric",
    "value",
    "preset",
    "scoring",
    "threshold",
    "status",
    "config_hash",
    "data_hash",
    "score_digest",
)
REFERENCE_KEYS = tuple(name for name in REFERENCE_COLUMNS if name not in ("metric", "value", "preset"))
STEP_KEYS = (*REFERENCE_KEYS[:3], "step", *REFERENCE_KEYS[3:])
STEP_COLUMNS = (*STEP_KEYS, *METRIC_COLUMNS)
"""Of `steps.csv`: one row per seed and decoding step (1, 2, ...), a column per metric."""

NEEDED_ARRAYS = ("scores", "labels", "train_label_frequencies")
"""Without these a finished record cannot be read again; the others are a method's own."""


@dataclass
class Entries:
    """Current records of a plan with their arrays, read one at a time; what cannot be read is told apart."""

    plan: Plan
    store: RecordStore
    unreadable: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Entry]:
        for record in self.plan.records():
            try:
                arrays = self.store.arrays(record) if record.status == "done" else {}
                _check_whole(record, arrays)
            except RecordError as error:
                self.unreadable.append(str(error))
                continue
            # Profiles that limit nothing for a cell share its record; it then counts for each of them.
            yield dataclasses.replace(record, profile=self.plan.profile.name), arrays


def _check_whole(record: Record, arrays: Mapping[str, Array]) -> None:
    """Raise `RecordError` if a finished record lacks what every reading needs."""
    missing = [name for name in NEEDED_ARRAYS if name not in arrays]
    if record.status == "done" and missing:
        where = f"{record.dataset}/{record.method}/{record.seed}-{record.config_hash}"
        raise RecordError(f"{where} lacks {', '.join(missing)}; delete its folder and run again")


def bundle_of(
    plan: Plan,
    store: RecordStore,
    registry: Registry,
    data_dir: Path,
    missing_reason: str = "not run",
) -> tuple[ResultBundle, tuple[str, ...]]:
    """Read every current record of a plan again under both threshold rules.

    Returns
    -------
    bundle, unreadable
        What tables are made of, and a message for each record whose scores could not be read.
    """
    entries = Entries(plan, store)
    # Today's wording, not that of the day the record was made: a note changes no number.
    notes = {planned.job.dataset: planned.cell.facts.note for planned in plan.jobs}
    bundle = build_bundle(
        entries,
        methods=tuple(registry.methods.values()),
        datasets=[
            DatasetRow.of(spec, spec.provenance(data_dir), notes.get(spec.id, ""))
            for spec in registry.datasets.values()
        ],
        profile=plan.profile.name,
        profile_note=plan.profile.description,
        seeds=sorted({planned.job.seed for planned in plan.jobs}),
        missing_reason=missing_reason,
    )
    return bundle, tuple(entries.unreadable)


def write_reference(bundle: ResultBundle, records: Sequence[Record], folder: Path) -> list[Path]:
    """Write the accepted numbers of one data set: per seed, aggregated, as tables, and where they were made.

    Parameters
    ----------
    bundle
        Of records of one data set.
    records
        The same records.
    folder
        `results/reference/<profile>/<data set>`; created if absent.

    Returns
    -------
    list of Path
        `per_seed.csv` (columns `REFERENCE_COLUMNS`), `steps.csv` (`STEP_COLUMNS`), `resources.csv`,
        `environment.json`, `settings.json` (by method and hash, what the hash was made of) and what
        `write_all` writes.
    """
    written = write_all(bundle, folder)
    per_seed = bundle.per_seed[list(REFERENCE_COLUMNS)]
    per_seed.to_csv(folder / "per_seed.csv", index=False, lineterminator="\n")
    steps = widen(bundle.steps[bundle.steps["step"] > 0], STEP_KEYS)
    steps.to_csv(folder / "steps.csv", index=False, lineterminator="\n")
    resources_frame(records).to_csv(folder / "resources.csv", index=False, lineterminator="\n")
    environments = json.dumps(distinct_environments(records), indent=1, sort_keys=True) + "\n"
    (folder / "environment.json").write_text(environments, encoding="utf-8")
    settings = json.dumps(distinct_settings(records), indent=1, sort_keys=True) + "\n"
    (folder / "settings.json").write_text(settings, encoding="utf-8")
    files = ("per_seed.csv", "steps.csv", "resources.csv", "environment.json", "settings.json")
    return sorted({*written, *(folder / name for name in files)})


def resources_frame(records: Iterable[Record]) -> pd.DataFrame:
    """Return seconds per phase and peak memory, one row per job."""
    rows: list[dict[str, Any]] = [
        {
            "dataset": record.dataset,
            "method": record.method,
            "seed": record.seed,
            "status": record.status,
            **{f"seconds_{phase}": round(value, 3) for phase, value in record.seconds.items()},
            "peak_mib": round(record.peak_mib),
        }
        for record in records
    ]
    return pd.DataFrame(rows)


def distinct_settings(records: Iterable[Record]) -> dict[str, dict[str, Any]]:
    """Return what each configuration hash was made of, by method and hash."""
    settings: dict[str, dict[str, Any]] = {}
    for record in records:
        settings.setdefault(record.method, {})[record.config_hash] = dict(record.settings)
    return settings


def distinct_environments(records: Iterable[Record]) -> list[dict[str, Any]]:
    """Return each environment that finished jobs ran in, with their number; usually there is one."""
    counts: dict[str, int] = {}
    for record in records:
        if record.status == "done":
            key = json.dumps(dict(record.environment), sort_keys=True)
            counts[key] = counts.get(key, 0) + 1
    return [{**json.loads(key), "jobs": count} for key, count in counts.items()]
