"""From records to the frames behind all tables, re-read from stored scores; it knows no layout."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from benchmark.contracts import Array, DatasetSpec, MethodSpec, Provenance, Record, Scoring, Shape
from benchmark.run.bench import Bench, Inventory
from benchmark.run.store import RecordError, RecordStore
from benchmark.score.acquisition import read_extraction
from benchmark.score.metrics import METRICS
from benchmark.score.reading import read_scores, read_steps
from benchmark.tables.aggregate import PER_SEED_COLUMNS
from benchmark.tables.decoding import correlation_agreement, order_statistics

EQUAL_RULE = "eq13"
"""The rule of the second Table II, where every method gets the same calibration."""
DECODING = ("n_orders", "order_entropy_bits", "w_co_phi_spearman")
"""Quantities of a whole decoding, in the steps frame with step 0."""

NEEDED_ARRAYS = ("scores", "labels", "train_label_frequencies")
"""Without these a finished record cannot be read again; the others are a method's own."""

Entry = tuple[Record, Mapping[str, Array]]


@dataclass(frozen=True)
class DatasetRow:
    """One row of Table I, and what captions must say of the data set."""

    id: str
    title: str
    shape: Shape
    provenance: Provenance
    note: str = ""

    @classmethod
    def of(cls, spec: DatasetSpec, provenance: Provenance, note: str = "") -> DatasetRow:
        """Take the row from a registered data set."""
        return cls(spec.id, spec.title, spec.expected, provenance, note)


@dataclass(frozen=True)
class Results:
    """All that tables are made of. Frames are long, in the order of `datasets`, `methods`, seed, metric."""

    as_printed: pd.DataFrame
    """`PER_SEED_COLUMNS`, each method read with its own scoring and rule."""
    equal: pd.DataFrame
    """The same seeds read with `EQUAL_RULE` for every method."""
    steps: pd.DataFrame
    """`PER_SEED_COLUMNS` and `step`: metrics after steps 1..m, and `DECODING` as step 0."""
    datasets: tuple[DatasetRow, ...]
    methods: tuple[MethodSpec, ...]
    profile: str
    profile_note: str = ""
    """The profile's own sentence on what it leaves out, for captions."""
    seeds: tuple[int, ...] = ()
    """Seeds that were asked for: a cell that lacks one of them is incomplete."""
    missing_reason: str = "not run"
    """What to say of a registered method without a record."""
    extraction: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PER_SEED_COLUMNS)))
    """`PER_SEED_COLUMNS`: what reading modalities one by one cost, metrics as in `EXTRACTION`."""

    @property
    def per_seed(self) -> pd.DataFrame:
        """Both readings, rows that are the same in both only once."""
        keys = ["dataset", "method", "seed", "metric", "threshold", "scoring"]
        return pd.concat([self.as_printed, self.equal], ignore_index=True).drop_duplicates(keys)


@dataclass
class Entries:
    """Current records with their arrays, read one at a time; what cannot be read is told apart."""

    inventory: Inventory
    store: RecordStore
    unreadable: list[str] = field(default_factory=list)

    def __iter__(self) -> Iterator[Entry]:
        for record in self.inventory.records():
            try:
                arrays = self.store.arrays(record) if record.status == "done" else {}
                _check_whole(record, arrays)
            except RecordError as error:
                self.unreadable.append(str(error))
                continue
            # Profiles that limit nothing for a cell share its record; it then counts for each of them.
            yield replace(record, profile=self.inventory.profile.name), arrays


def _check_whole(record: Record, arrays: Mapping[str, Array]) -> None:
    """Raise `RecordError` if a finished record lacks what every reading needs."""
    missing = [name for name in NEEDED_ARRAYS if name not in arrays]
    if record.status == "done" and missing:
        where = f"{record.dataset}/{record.method}/{record.seed}-{record.config_hash}"
        raise RecordError(f"{where} lacks {', '.join(missing)}; delete its folder and run again")


def results_of(
    bench: Bench, inventory: Inventory, missing_reason: str = "not run"
) -> tuple[Results, tuple[str, ...]]:
    """Read every current record again under both threshold rules.

    Returns
    -------
    results, unreadable
        What tables are made of, and a message for each record whose scores could not be read.
    """
    entries = Entries(inventory, bench.store)
    # Today's wording, not that of the day the record was made: a note changes no number.
    notes = {slot.job.dataset: slot.setup.facts.note for slot in inventory.slots}
    results = build_results(
        entries,
        methods=tuple(bench.registry.methods.values()),
        datasets=[
            DatasetRow.of(spec, spec.provenance(bench.data_dir), notes.get(spec.id, ""))
            for spec in bench.registry.datasets.values()
        ],
        profile=inventory.profile.name,
        profile_note=inventory.profile.description,
        seeds=sorted({slot.job.seed for slot in inventory.slots}),
        missing_reason=missing_reason,
    )
    return results, tuple(entries.unreadable)


def build_results(
    entries: Iterable[Entry],
    *,
    methods: Sequence[MethodSpec],
    datasets: Sequence[DatasetRow],
    profile: str,
    profile_note: str = "",
    seeds: Sequence[int] = (),
    missing_reason: str = "not run",
) -> Results:
    """Read every record under both threshold rules.

    Parameters
    ----------
    entries : iterable of (Record, arrays)
        Records current under the profile, one per (data set, method, seed); consumed once, so that
        arrays may be loaded lazily. Arrays of records that are not `done` are not looked at.
    methods : sequence of MethodSpec
        The whole registry: a paper's method that is not in it is printed as not implemented. A method's
        scoring, rule and preset's name are taken from here, not from the record, since none of them enters
        a record's hash; the record's own serve methods that are no longer registered.
    datasets : sequence of DatasetRow
        Rows of Table I, of all registered data sets; an empty `note` is filled from the records.
    profile, profile_note : str
        Name of the profile, and its sentence for captions. Every row gets this name: a record that
        another profile left behind is current where that profile's limits changed nothing.
    seeds : sequence of int
        Seeds that were asked for; a cell with fewer is printed with `k/n` and never bold.
    missing_reason : str
        What to say of a registered method that has no record among `entries`.
    """
    specs = {spec.id: spec for spec in methods}
    frames: dict[str, list[dict[str, Any]]] = {
        name: [] for name in ("as_printed", "equal", "steps", "extraction")
    }
    notes: dict[str, str] = {}
    for stored, arrays in entries:
        spec = specs.get(stored.method)
        record = replace(stored, profile=profile, preset=spec.preset if spec else stored.preset)
        scoring, rule = (spec.scoring, spec.threshold) if spec else (record.scoring, record.threshold)
        frames["as_printed"] += _metric_rows(record, arrays, scoring, rule)
        frames["equal"] += _metric_rows(record, arrays, scoring, EQUAL_RULE)
        frames["steps"] += _step_rows(record, arrays, scoring, rule)
        frames["extraction"] += _extraction_rows(record, arrays, scoring, rule)
        notes.setdefault(record.dataset, record.data_note)
    order = _Order([row.id for row in datasets], list(specs))
    return Results(
        as_printed=order.frame(frames["as_printed"], PER_SEED_COLUMNS),
        equal=order.frame(frames["equal"], PER_SEED_COLUMNS),
        steps=order.frame(frames["steps"], (*PER_SEED_COLUMNS, "step")),
        extraction=order.frame(frames["extraction"], PER_SEED_COLUMNS),
        datasets=tuple(replace(row, note=row.note or notes.get(row.id, "")) for row in datasets),
        methods=tuple(methods),
        profile=profile,
        profile_note=profile_note,
        seeds=tuple(seeds),
        missing_reason=missing_reason,
    )


def _metric_rows(
    record: Record, arrays: Mapping[str, Array], scoring: Scoring, rule: str
) -> list[dict[str, Any]]:
    metrics: Mapping[str, float] = {}
    if record.status == "done":
        metrics = read_scores(arrays, scoring, rule).metrics
    shared = _shared(record, scoring, rule)
    return [shared | {"metric": m.id, "value": metrics.get(m.id, float("nan"))} for m in METRICS]


def _step_rows(
    record: Record, arrays: Mapping[str, Array], scoring: Scoring, rule: str
) -> list[dict[str, Any]]:
    if record.status != "done":
        return []
    shared = _shared(record, scoring, rule)
    rows = [
        shared | {"step": step, "metric": name, "value": value}
        for step, metrics in enumerate(read_steps(arrays, scoring, rule), start=1)
        for name, value in metrics.items()
    ]
    decoding: dict[str, float] = {}
    if "orders" in arrays:
        statistics = order_statistics(arrays["orders"])
        decoding |= {"n_orders": statistics.n_distinct, "order_entropy_bits": statistics.entropy_bits}
    if "w_co" in arrays and "train_phi" in arrays:
        decoding["w_co_phi_spearman"] = correlation_agreement(arrays["w_co"], arrays["train_phi"])
    return rows + [shared | {"step": 0, "metric": k, "value": float(v)} for k, v in decoding.items()]


def _extraction_rows(
    record: Record, arrays: Mapping[str, Array], scoring: Scoring, rule: str
) -> list[dict[str, Any]]:
    if record.status != "done":
        return []
    shared = _shared(record, scoring, rule)
    return [shared | {"metric": name, "value": value} for name, value in read_extraction(arrays).items()]


def _shared(record: Record, scoring: Scoring, rule: str) -> dict[str, Any]:
    return {
        "dataset": record.dataset,
        "method": record.method,
        "seed": record.seed,
        "provenance": str(record.provenance),
        "profile": record.profile,
        "preset": record.preset,
        "threshold": rule,
        "scoring": scoring,
        "status": record.status,
        "config_hash": record.config_hash,
        "data_hash": record.data_hash,
        "score_digest": record.score_digest,
    }


@dataclass(frozen=True)
class _Order:
    """Sorts rows as the registry lists things, whatever order the jobs ended in; unknown ids come last."""

    datasets: list[str]
    methods: list[str]

    def frame(self, rows: list[dict[str, Any]], columns: Sequence[str]) -> pd.DataFrame:
        # The sort is stable: metrics and steps of one job stay in the order in which they were read.
        ordered = sorted(
            rows,
            key=lambda row: (
                _place(self.datasets, row["dataset"]),
                _place(self.methods, row["method"]),
                row["seed"],
            ),
        )
        return pd.DataFrame(ordered, columns=list(columns))


def _place(known: list[str], name: str) -> tuple[int, str]:
    return (known.index(name), "") if name in known else (len(known), name)
