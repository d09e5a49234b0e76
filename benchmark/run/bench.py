"""A folder of results with what belongs to it, which every command asks; it runs and judges nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from benchmark.contracts import Job, MethodSpec, Provenance, Record, users_folder
from benchmark.registry import Registry, Selection, parse_seeds
from benchmark.run import components
from benchmark.run.config import ConfigError, Limits, Profile, is_number, load_profile
from benchmark.run.features import LEAKED, DatasetFacts, leaking_seeds
from benchmark.run.fingerprint import canonical, code_digest, code_roots, config_hash
from benchmark.run.record_file import is_outdated
from benchmark.run.source import WHOLE
from benchmark.run.split import SPLIT_VERSION, sizes
from benchmark.run.store import RecordStore
from benchmark.run.trial import PASSED_BY_HARNESS

State = Literal["done", "missing", "failed"]
Pair = tuple[str, str]
"""Data set and method, by id."""
RUNS = "runs"
"""The folder of records in a folder of results."""


@dataclass(frozen=True)
class Setup:
    """One method on one data set under one profile: all that its seeds have in common."""

    method: MethodSpec
    facts: DatasetFacts
    limits: Limits
    options: Mapping[str, Any]
    """For the constructor, after the profile's caps."""
    code_roots: tuple[tuple[str, str], ...]
    """Where the code begins that the hash is made of; see `benchmark.run.fingerprint`."""
    settings: Mapping[str, Any]
    config_hash: str

    @cached_property
    def uses_device(self) -> bool:
        """Return whether the method can run on an accelerator."""
        return "device" in self.method.estimator(**self.options).get_params(deep=False)

    @property
    def seeds_train_together(self) -> bool:
        """Return whether seeds can train side by side; not those that each have components of their own."""
        return self.method.fit_together is not None and "components" not in self.settings


@dataclass(frozen=True)
class Slot:
    """One job that is asked for, and its current record where there is one."""

    job: Job
    setup: Setup
    record: Record | None

    @property
    def state(self) -> State:
        """Return whether its record is there and whole."""
        if self.record is None:
            return "missing"
        return "done" if self.record.status == "done" else "failed"


@dataclass(frozen=True)
class Inventory:
    """Which of the jobs asked for have a current record, and what lies beside them."""

    profile: Profile
    slots: tuple[Slot, ...]
    """Real data first, then by seed, so that a whole table of the real data exists after the first seed."""
    stale: tuple[Record, ...]
    """Records of this profile that are not of the current hash, or not of the current schema."""
    broken: tuple[str, ...]
    """A message for each record folder that cannot be read."""

    def records(self) -> tuple[Record, ...]:
        """Return the current records, done or failed."""
        return tuple(slot.record for slot in self.slots if slot.record is not None)


@dataclass(frozen=True)
class Bench:
    """A folder of results, looked at through a profile and a choice of methods, data sets and seeds.

    Every command gets one, and asks it which records are current; only `run` and its like go on to plan jobs.
    """

    registry: Registry
    profile: Profile
    methods: Selection
    datasets: Selection
    seeds: tuple[int, ...]
    data_dir: Path
    results_dir: Path
    runs_dir: Path | None = None
    """Of the records, where not `results_dir/RUNS`: a study's own, or those of refits."""
    refit: int = 0
    """0 for the jobs themselves; k for their k-th refit: the same rows, other random numbers."""
    allow_leak: bool = False
    """Whether seeds may test on rows that the user's features were fitted on; `facts` says where some do."""
    form: str = "fast"
    """What methods that have several forms of one computation compute with."""
    flags: str = ""
    """What chose all this on the command line, for messages that give a further command."""
    _facts: dict[str, DatasetFacts] = field(default_factory=dict, compare=False, repr=False)
    _codes: dict[tuple[tuple[str, str], ...], str] = field(default_factory=dict, compare=False, repr=False)

    @classmethod
    def of(
        cls,
        registry: Registry,
        *,
        profile: str = "paper",
        methods: str | None = None,
        datasets: str | None = None,
        seeds: str | None = None,
        yes: bool = False,
        data_dir: Path,
        results_dir: Path,
        allow_leak: bool = False,
        form: str = "fast",
        flags: str = "",
    ) -> Bench:
        """Read what the command line chooses; what it leaves out is the profile's, else everything.

        `yes` says that however many seeds are meant.

        Raises
        ------
        ConfigError, SelectionError
            For a profile or a name that is not there; both are `ValueError`.
        """
        chosen = load_profile(profile)
        return cls(
            registry,
            chosen,
            registry.select_methods(methods),
            registry.select_datasets(datasets),
            parse_seeds(chosen.seeds if seeds is None else seeds, yes=yes),
            data_dir,
            results_dir,
            allow_leak=allow_leak,
            form=form,
            flags=flags,
        )

    def command(self, name: str) -> str:
        """Return the line of a command about the same data sets, methods, seeds and folders."""
        return f"python run_all.py {name} {self.flags}".rstrip()

    @cached_property
    def store(self) -> RecordStore:
        """The records."""
        return RecordStore(self.results_dir / RUNS if self.runs_dir is None else self.runs_dir)

    @property
    def tables_dir(self) -> Path:
        """Where tables of current records are written."""
        return self.results_dir / "tables"

    @property
    def references_dir(self) -> Path:
        """Where the references of the profile are, a folder for each data set."""
        return self.results_dir / "reference" / self.profile.name

    def facts(self, dataset: str) -> DatasetFacts:
        """Return shape, provenance and hash of a data set, which is loaded once; its arrays are not kept.

        Raises
        ------
        DataError
            If the data set cannot be used, or not for the seeds.
        """
        facts = self._loaded(dataset)
        others = leaking_seeds(dataset, facts.fit_seed, self.seeds, allowed=self.allow_leak)
        return facts.leaked(others) if others else facts

    def _loaded(self, dataset: str) -> DatasetFacts:
        if dataset not in self._facts:
            spec = self.registry.datasets[dataset]
            loaded = spec.load(self.data_dir)
            self._facts[dataset] = DatasetFacts(
                spec,
                loaded.shape,
                loaded.provenance,
                loaded.data_hash,
                loaded.note,
                users_folder(spec, self.data_dir),
                loaded.fit_seed,
                loaded.rows_id,
            )
        return self._facts[dataset]

    def with_sources(self, text: str) -> str:
        """Add to the name of what is judged which of the data sets looked at are not the project's."""
        known = [self.facts(name) for name in self.datasets.ids if name in self._facts]
        users = [facts.spec.id for facts in known if facts.folder]
        leaked = [facts.spec.id for facts in known if facts.provenance is Provenance.LEAKED]
        parts = [f"{', '.join(users)}: the user's own features"] if users else []
        parts += [f"{', '.join(leaked)}: {LEAKED}"] if leaked else []
        return f"{text} ({'; '.join(parts)})" if parts else text

    def chosen_pairs(self) -> list[Pair]:
        """Return the methods on the data sets meant for them, and methods named outright on all."""
        return [
            (dataset, name)
            for dataset in self.datasets.ids
            for name in self.methods.ids
            if (limited_to := self.registry.methods[name].datasets) is None
            or dataset in limited_to
            or name in self.methods.named
        ]

    def recorded_pairs(self, *, everything: bool = False) -> list[Pair]:
        """Return the pairs of which there is any record: the chosen ones, or also the paper's.

        The latter: all methods, on the chosen and the paper's data sets, as far as they suit the seeds.
        """
        specs = self.registry.datasets.values()
        shown = [spec.id for spec in specs if spec.in_paper or spec.id in self.datasets.ids]
        recorded = {(record.dataset, record.method) for record in self.store.scan().records}
        pairs = [
            (dataset, method)
            for dataset in (shown if everything else self.datasets.ids)
            for method in (self.registry.methods if everything else self.methods.ids)
            if (dataset, method) in recorded
        ]
        return [pair for pair in pairs if pair[0] in self.datasets.ids or self._suits_seeds(pair[0])]

    def _suits_seeds(self, dataset: str) -> bool:
        """Return whether `facts` would refuse no seed."""
        return self.allow_leak or not leaking_seeds(
            dataset, self._loaded(dataset).fit_seed, self.seeds, allowed=True
        )

    def setup(self, dataset: str, method: str) -> Setup:
        """Apply the profile to one method on one data set, and hash the outcome.

        Raises
        ------
        ConfigError
            If the method's estimator has no such option.
        """
        spec, facts = self.registry.methods[method], self.facts(dataset)
        limits = self.profile.limits_for(dataset)
        n_train, n_test = sizes(facts.shape.n)
        options = dict(spec.options)
        try:
            params = spec.estimator(**options).get_params(deep=False)
        except TypeError as error:
            raise ConfigError(f"the options of {method} do not fit its estimator: {error}") from error
        epochs = params.get("epochs")
        if limits.epochs is not None and is_number(epochs) and epochs > limits.epochs:
            params["epochs"] = options["epochs"] = limits.epochs
        if "form" in params and self.form != params["form"]:
            options["form"] = self.form
        settings = {
            "dataset": dataset,
            "estimator": canonical(spec.estimator),
            "options": canonical(
                {key: params[key] for key in sorted(params) if key not in PASSED_BY_HARNESS}
            ),
            "max_train_rows": _biting(limits.max_train_rows, n_train),
            "max_test_rows": _biting(limits.max_test_rows, n_test),
            "split_version": SPLIT_VERSION,
            "data_hash": facts.data_hash,
            "provenance": str(facts.provenance),
        }
        if "form" in options:
            settings["form"] = options["form"]
        if facts.rows_id != dataset:
            settings["split_id"] = facts.rows_id
        roots = code_roots(spec.estimator, options)
        if limits.components is not None and components.is_wide(facts.shape.dims):
            settings["components"] = limits.components
            roots = (*roots, (components.__name__, WHOLE))
        settings["code"] = self._code(roots)
        return Setup(spec, facts, limits, options, roots, settings, config_hash(settings))

    def _code(self, roots: tuple[tuple[str, str], ...]) -> str:
        if roots not in self._codes:
            self._codes[roots] = code_digest(*roots)
        return self._codes[roots]

    def inventory(self, pairs: Sequence[Pair] | None = None) -> Inventory:
        """Compare what is asked for with what the store holds.

        Parameters
        ----------
        pairs
            Data sets and methods to look for instead of `chosen_pairs`.

        Raises
        ------
        DataError
            If a data set cannot be used.
        """
        scan = self.store.scan()
        by_key = {_key(record): record for record in scan.records if not is_outdated(record)}
        setups = [self.setup(*pair) for pair in (self.chosen_pairs() if pairs is None else pairs)]
        groups = (
            [s for s in setups if (s.facts.provenance is Provenance.LOOK_ALIKE) is synthetic]
            for synthetic in (False, True)
        )
        slots = [_slot(setup, seed, by_key) for group in groups for seed in self.seeds for setup in group]
        current = {(setup.facts.spec.id, setup.method.id): setup.config_hash for setup in setups}
        stale = tuple(
            record
            for record in scan.records
            if record.profile == self.profile.name
            and (wanted := current.get((record.dataset, record.method)))
            and (wanted != record.config_hash or is_outdated(record))
        )
        return Inventory(self.profile, tuple(slots), stale, scan.broken)


def _key(record: Record) -> tuple[str, str, int, str]:
    return record.dataset, record.method, record.seed, record.config_hash


def _slot(setup: Setup, seed: int, records: Mapping[tuple[str, str, int, str], Record]) -> Slot:
    job = Job(setup.facts.spec.id, setup.method.id, seed)
    return Slot(job, setup, records.get((job.dataset, job.method, seed, setup.config_hash)))


def _biting(cap: int | None, rows: int) -> int | None:
    """Return a cap on rows only if it takes any away; otherwise it must not enter the hash."""
    return cap if cap is not None and cap < rows else None
