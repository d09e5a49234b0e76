"""From records to the frames behind all tables, read again from stored scores; it knows no layout."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from math import nan
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from benchmark.contracts import Array, DatasetSpec, Job, MethodSpec, Provenance, Record, Shape, users_folder
from benchmark.run.bench import Bench, Inventory
from benchmark.run.features import DatasetFacts
from benchmark.run.record_file import RecordError
from benchmark.run.store import RecordStore
from benchmark.score.acquisition import read_acquisition
from benchmark.score.metrics import METRICS
from benchmark.score.reading import read_scores, read_steps
from benchmark.tables.aggregate import PER_SEED_COLUMNS
from benchmark.tables.decoding import correlation_agreement, order_statistics
from benchmark.tables.reference import RESOURCE_COLUMNS, environment_name, resources_frame
from benchmark.tables.traces import Pair, Traces, by_pair, trace_of

EQUAL_RULE = "eq13"
"""The rule of the second Table II, where every method gets the same calibration."""
READERS = 2
"""Threads that read records; more of them wait for each other."""
DECODING = ("n_orders", "order_entropy_bits", "w_co_phi_spearman")
"""Quantities of a whole decoding, in the steps frame with step 0."""
NEEDED_ARRAYS = ("scores", "labels", "train_label_frequencies")
"""Without these a finished record cannot be read again; the others are a method's own."""

NO_METRICS = {metric.id: nan for metric in METRICS}
"""Of a job that failed or timed out."""

Arrays = Mapping[str, Array]
Rows = list[dict[str, Any]]
T = TypeVar("T")


@dataclass(frozen=True)
class ListedDataset:
    """A data set as Table I lists it, and what captions must say of it."""

    id: str
    title: str
    shape: Shape
    provenance: Provenance
    note: str = ""
    in_paper: bool = True

    @classmethod
    def of(cls, spec: DatasetSpec, bench: Bench, facts: DatasetFacts | None) -> ListedDataset:
        """Take what a registered data set declares, and what is known of it where it was loaded."""
        if facts:
            return cls(spec.id, spec.title, spec.expected, facts.provenance, facts.note, spec.in_paper)
        note = "The user's own features." if users_folder(spec, bench.data_dir) else ""
        provenance = spec.provenance(bench.data_dir)
        return cls(spec.id, spec.title, spec.expected, provenance, note, spec.in_paper)


@dataclass(frozen=True)
class Results:
    """All that tables are made of. Frames are long, in the order of `datasets`, `methods`, seed, metric."""

    as_printed: pd.DataFrame
    """`PER_SEED_COLUMNS`, each method read with its own scoring and rule."""
    equal: pd.DataFrame
    """The same seeds read with `EQUAL_RULE` for every method."""
    steps: pd.DataFrame
    """`PER_SEED_COLUMNS` and `step`: metrics after steps 1..m, and `DECODING` as step 0."""
    datasets: tuple[ListedDataset, ...]
    methods: tuple[MethodSpec, ...]
    profile: str
    profile_note: str = ""
    """The profile's own sentence on what it leaves out, for captions."""
    seeds: tuple[int, ...] = ()
    """Seeds that were asked for: a cell that lacks one of them is incomplete."""
    missing_reason: str = "not run"
    """What to say of a registered method without a record."""
    acquisition: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(PER_SEED_COLUMNS)))
    """`PER_SEED_COLUMNS`: what acquiring modalities one by one cost, metrics as in `ACQUISITION`."""
    traces: Mapping[Pair, Traces] = field(default_factory=dict)
    """What decoding looked like, by data set and method."""
    resources: pd.DataFrame = field(default_factory=lambda: pd.DataFrame(columns=list(RESOURCE_COLUMNS)))
    """`RESOURCE_COLUMNS`, and seconds by the clock, of all or of each phase: a row for each job."""
    environments: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What finished jobs ran in, by the name that `resources` has."""

    @property
    def done(self) -> pd.DataFrame:
        """The rows of `resources` whose jobs finished."""
        return self.resources[self.resources["status"] == "done"]

    def ran_in(self) -> list[dict[str, Any]]:
        """Return each environment that finished jobs ran in, with their number; usually there is one."""
        counts = self.done["environment"].value_counts(sort=False)
        known = self.environments
        return [{**known[str(name)], "jobs": int(n)} for name, n in counts.items() if name in known]

    @cached_property
    def mixed_devices(self) -> Mapping[Pair, str]:
        """By data set and method, what its finished seeds ran on, where they did not all run on the same."""
        ran = self.done[["dataset", "method", "environment"]]
        return mixed_devices(
            ((dataset, method), self.environments.get(name, {}))
            for dataset, method, name in ran.itertuples(index=False, name=None)
        )

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
    """A message for each record that was left out, known once the entries were consumed."""

    def __iter__(self) -> Iterator[tuple[Record, Arrays]]:
        return self.read(lambda record, arrays: (record, arrays))

    def read(
        self, how: Callable[[Record, Arrays], T], mapped: Callable[..., Iterator[Any]] = map
    ) -> Iterator[T]:
        """Yield what `how` makes of each record and its arrays (none if it is not `done`).

        A record whose file is damaged, or in which `how` misses an array or finds one that it cannot use
        (KeyError, ValueError), becomes a message that names its folder.

        Parameters
        ----------
        how : callable
        mapped : callable
            As `map`; that of a pool of threads reads ahead of who takes the results.
        """

        def attempt(stored: Record) -> tuple[list[T], str]:
            # Profiles that limit nothing for a cell share its record; it then counts for each of them.
            record = replace(stored, profile=self.inventory.profile.name)
            try:
                return [how(record, self._arrays(record))], ""
            except RecordError as error:
                return [], str(error)
            except (KeyError, ValueError) as error:
                return [], (
                    f"{self._folder(record)} cannot be read as its method asks ({error}); correct the "
                    "method's threshold rule or its trace, or delete the folder and run again"
                )

        for made, message in mapped(attempt, self.inventory.records()):
            yield from made
            if message:
                self.unreadable.append(message)

    def _arrays(self, record: Record) -> Arrays:
        if record.status != "done":
            return {}
        arrays = self.store.arrays(record)
        if missing := [name for name in NEEDED_ARRAYS if name not in arrays]:
            raise RecordError(
                f"{self._folder(record)} lacks {', '.join(missing)}; delete the folder and run again"
            )
        return arrays

    def _folder(self, record: Record) -> Path:
        return self.store.folder(Job(record.dataset, record.method, record.seed), record.config_hash)


@dataclass(frozen=True)
class RecordRows:
    """The rows of one record, by frame of `Results`."""

    record: Record
    as_printed: Rows
    equal: Rows
    steps: Rows
    acquisition: Rows
    trace: Traces | None = None


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
    methods = bench.registry.methods
    # Today's wording, not that of the day the record was made: a note changes no number.
    facts = {slot.job.dataset: slot.setup.facts for slot in inventory.slots}
    with ThreadPoolExecutor(READERS) as pool:
        rows = list(
            entries.read(lambda record, arrays: rows_of(record, arrays, methods[record.method]), pool.map)
        )
    results = build_results(
        rows,
        methods=tuple(methods.values()),
        datasets=[
            ListedDataset.of(spec, bench, facts.get(spec.id))
            for spec in bench.registry.datasets.values()
            if spec.in_paper or spec.id in facts
        ],
        profile=inventory.profile.name,
        profile_note=inventory.profile.description,
        seeds=sorted({slot.job.seed for slot in inventory.slots}),
        missing_reason=missing_reason,
    )
    return results, tuple(entries.unreadable)


def build_results(
    records: Iterable[RecordRows],
    *,
    methods: Sequence[MethodSpec],
    datasets: Sequence[ListedDataset],
    profile: str,
    profile_note: str = "",
    seeds: Sequence[int] = (),
    missing_reason: str = "not run",
) -> Results:
    """Join the rows of all records, as the registry lists things, in whatever order the jobs ended.

    Parameters
    ----------
    records : iterable of RecordRows
        Of records current under the profile, one per (data set, method, seed).
    methods : sequence of MethodSpec
        The whole registry: a paper's method that is not in it is printed as not implemented.
    datasets : sequence of ListedDataset
        All registered data sets, in the order of Table I.
    profile, profile_note : str
        Name of the profile, and its sentence for captions.
    seeds : sequence of int
        Seeds that were asked for; a cell with fewer is printed with `k/n` and never bold.
    missing_reason : str
        What to say of a registered method that has no record.
    """
    dataset_place = {listed.id: place for place, listed in enumerate(datasets)}
    method_place = {spec.id: place for place, spec in enumerate(methods)}
    in_order = sorted(
        records,
        key=lambda rows: (
            dataset_place[rows.record.dataset],
            method_place[rows.record.method],
            rows.record.seed,
        ),
    )

    def frame(name: str, *more: str) -> pd.DataFrame:
        rows = [row for record in in_order for row in getattr(record, name)]
        return pd.DataFrame(rows, columns=[*PER_SEED_COLUMNS, *more])

    return Results(
        as_printed=frame("as_printed"),
        equal=frame("equal"),
        steps=frame("steps", "step"),
        acquisition=frame("acquisition"),
        traces=by_pair(((one.record.dataset, one.record.method), one.trace) for one in in_order),
        resources=resources_frame(one.record for one in in_order),
        environments={
            environment_name(one.record.environment): one.record.environment
            for one in in_order
            if one.record.status == "done"
        },
        datasets=tuple(datasets),
        methods=tuple(methods),
        profile=profile,
        profile_note=profile_note,
        seeds=tuple(seeds),
        missing_reason=missing_reason,
    )


def rows_of(record: Record, arrays: Arrays, spec: MethodSpec) -> RecordRows:
    """Read one record under its method's own rule and under `EQUAL_RULE`, each rule once.

    Scoring, rule and preset's name are those of the method today, not of the record, since none of them
    enters a record's hash. A record that is not `done` has ten values of nan; its arrays are not looked at.

    Raises
    ------
    KeyError, ValueError
        As `read_scores`, `read_steps` and `read_acquisition`.
    """
    done, rule = record.status == "done", spec.threshold
    arrays = arrays if done else {}
    metrics = {
        one: read_scores(arrays, spec.scoring, one).metrics if done else NO_METRICS
        for one in dict.fromkeys((rule, EQUAL_RULE))
    }
    common = _common_columns(record, spec, rule)
    steps = enumerate(read_steps(arrays, spec.scoring, rule), start=1)
    return RecordRows(
        record,
        as_printed=_rows(common, metrics[rule]),
        equal=_rows(common | {"threshold": EQUAL_RULE}, metrics[EQUAL_RULE]),
        steps=[row for step, values in steps for row in _rows(common | {"step": step}, values)]
        + _rows(common | {"step": 0}, _decoding(arrays)),
        acquisition=_rows(common, read_acquisition(arrays)),
        trace=trace_of(arrays, record.seed),
    )


def mixed_devices(environments: Iterable[tuple[Pair, Mapping[str, Any]]]) -> dict[Pair, str]:
    """Say of each pair whose finished jobs ran on more than one device how many ran on which."""
    devices: dict[Pair, Counter[str]] = {}
    for pair, environment in environments:
        devices.setdefault(pair, Counter())[environment.get("accelerator", "CPU")] += 1
    return {
        pair: "a mean over " + " and ".join(f"{n} of its seeds on {name}" for name, n in found.items())
        for pair, found in devices.items()
        if len(found) > 1
    }


def _rows(common: Mapping[str, Any], values: Mapping[str, float]) -> Rows:
    return [{**common, "metric": metric, "value": value} for metric, value in values.items()]


def _decoding(arrays: Arrays) -> dict[str, float]:
    """Return those of `DECODING` that the arrays allow."""
    values: dict[str, float] = {}
    if "orders" in arrays:
        statistics = order_statistics(arrays["orders"])
        values |= {
            "n_orders": float(statistics.n_distinct),
            "order_entropy_bits": float(statistics.entropy_bits),
        }
    if "w_co" in arrays and "train_phi" in arrays:
        values["w_co_phi_spearman"] = float(correlation_agreement(arrays["w_co"], arrays["train_phi"]))
    return values


def _common_columns(record: Record, spec: MethodSpec, rule: str) -> dict[str, Any]:
    return {
        "dataset": record.dataset,
        "method": record.method,
        "seed": record.seed,
        "provenance": str(record.provenance),
        "profile": record.profile,
        "preset": spec.preset,
        "threshold": rule,
        "scoring": spec.scoring,
        "status": record.status,
        "config_hash": record.config_hash,
        "data_hash": record.data_hash,
        "score_digest": record.score_digest,
    }
