"""What was measured over data sets, as small tables that are committed, so that they outlive the records.

A row of `jobs.csv` says of one job what it was made of and what it took, `per_seed.csv` what it gave. It
judges nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from benchmark.contracts import MethodSpec, Provenance, Shape
from benchmark.paper.evidence import Evidence
from benchmark.run.bench import Bench
from benchmark.tables.aggregate import PER_SEED_COLUMNS
from benchmark.tables.reference import METRIC_COLUMNS, lengthen
from benchmark.tables.results import EQUAL_RULE, ListedDataset

JOBS_FILE, PER_SEED_FILE, STEPS_FILE = "jobs.csv", "per_seed.csv", "steps.csv"
DATASETS_FILE, SETTINGS_FILE, ENVIRONMENTS_FILE = "datasets.csv", "settings.json", "environments.json"
JOB = ("dataset", "method", "seed", "config_hash")
"""What a job's numbers are of."""
PAIR = JOB[:2]
READING = ("threshold", "scoring")
VERSION = ("config_hash", *READING)
"""What all seeds of a method on a data set must share."""
COMMON = tuple(name for name in PER_SEED_COLUMNS if name not in ("metric", "value"))
"""What all numbers of a job share; its reading is the method's own."""
COST = ("seconds", "processor_seconds", "peak_mib")
JOB_COLUMNS = (*COMMON, *COST, "environment")
PER_SEED_WIDE = (*JOB, *READING, *METRIC_COLUMNS)
"""Each job under its method's own rule, and under `EQUAL_RULE` where that is another."""
STEP_COLUMNS = (*JOB, "step", *METRIC_COLUMNS)
DATASET_SIZES = ("n", "q", "n_train", "n_test")
DATASET_COLUMNS = ("dataset", "title", *DATASET_SIZES, "dims", "provenance", "note", "in_paper")


@dataclass(frozen=True)
class Measured:
    """The jobs of some data sets; frames have the columns above."""

    jobs: pd.DataFrame
    per_seed: pd.DataFrame
    steps: pd.DataFrame
    datasets: pd.DataFrame
    settings: Mapping[str, Mapping[str, Any]]
    """By configuration hash, what it was made of."""
    environments: Mapping[str, Mapping[str, Any]]
    """By the name that `jobs` has for it."""

    def as_printed(self) -> pd.DataFrame:
        """Return `PER_SEED_COLUMNS`, each method under its own rule."""
        return self._long(self.per_seed.merge(self.jobs[list(COMMON)], on=[*JOB, *READING]))

    def equal(self) -> pd.DataFrame:
        """Return `PER_SEED_COLUMNS`, each method under `EQUAL_RULE`."""
        equal = self.per_seed[self.per_seed["threshold"] == EQUAL_RULE]
        others = [name for name in COMMON if name not in READING]
        return self._long(equal.merge(self.jobs[others], on=list(JOB)))

    def long_steps(self) -> pd.DataFrame:
        """Return `PER_SEED_COLUMNS` and `step`, each method under its own rule."""
        return self._long(self.steps.merge(self.jobs[list(COMMON)], on=list(JOB)), "step")

    def _long(self, wide: pd.DataFrame, *more: str) -> pd.DataFrame:
        return lengthen(wide, (*COMMON, *more))[[*PER_SEED_COLUMNS, *more]]

    def listed(self) -> tuple[ListedDataset, ...]:
        """Return the data sets as tables list them."""
        return tuple(
            ListedDataset(
                row["dataset"],
                row["title"],
                Shape(row["n"], row["q"], tuple(map(int, row["dims"].split()))),
                Provenance(row["provenance"]),
                row["note"],
                row["in_paper"] == "yes",
            )
            for row in self.datasets.to_dict("records")
        )

    def split_sizes(self) -> dict[str, tuple[int, int]]:
        """Return training and test rows of each split, by data set."""
        columns = (self.datasets[name] for name in ("dataset", "n_train", "n_test"))
        return {name: (n_train, n_test) for name, n_train, n_test in zip(*columns, strict=True)}

    def evidence(
        self, methods: Sequence[MethodSpec], seeds: Mapping[str, tuple[int, ...]], source: str
    ) -> Evidence:
        """Return the numbers as what is put before a judge.

        Methods shared their protocol, so that its limits forbid no comparison.

        Parameters
        ----------
        methods : sequence of MethodSpec
            All that are registered.
        seeds : mapping of str to tuple of int
            Those that every cell must have, by data set that is asked of, also one that was not run.
        source : str
            Where the numbers are from, in words.
        """
        return Evidence(
            as_printed=self.as_printed(),
            equal=self.equal(),
            steps=self.long_steps(),
            methods=tuple(methods),
            seeds=(),
            source=source,
            datasets=tuple(seeds),
            missing="not run, or not all of its jobs",
            split_sizes=self.split_sizes(),
            own_seeds=seeds,
        )

    def over(self, earlier: Measured) -> Measured:
        """Return these jobs, and of earlier ones those that they do not replace.

        A job that failed replaces none that finished. Seeds of one method on one data set are never of two
        versions: the one with more finished seeds stays, of two with as many that of these jobs.
        """
        both = _stacked(self.jobs.assign(newer=True), earlier.jobs.assign(newer=False))
        both = both.assign(done=both["status"] == "done")
        version = [both[name] for name in (*PAIR, *VERSION)]
        ordered = both.assign(
            finished=both["seed"].where(both["done"]).groupby(version).transform("nunique"),
            newest=both["newer"].groupby(version).transform("any"),
        ).sort_values(["finished", "newest", "done", "newer"], ascending=False, kind="stable")
        stays = ordered.merge(ordered.drop_duplicates([*PAIR])[[*PAIR, *VERSION]], on=[*PAIR, *VERSION])
        jobs = stays.drop_duplicates([*PAIR, "seed"], ignore_index=True)
        mine, theirs = jobs.loc[jobs["newer"], list(JOB)], jobs.loc[~jobs["newer"], list(JOB)]
        datasets = _stacked(self.datasets, earlier.datasets).drop_duplicates("dataset", ignore_index=True)
        return Measured(
            jobs[list(JOB_COLUMNS)],
            _stacked(self.per_seed.merge(mine), earlier.per_seed.merge(theirs)),
            _stacked(self.steps.merge(mine), earlier.steps.merge(theirs)),
            datasets,
            _used(jobs["config_hash"], {**earlier.settings, **self.settings}),
            _used(jobs["environment"], {**earlier.environments, **self.environments}),
        )

    def chosen(self, seeds: Mapping[str, Sequence[int]], methods: Sequence[str]) -> Measured:
        """Return the jobs of these data sets, seeds and methods, in this order."""
        wanted = {
            (name, method, seed): place
            for place, (name, method, seed) in enumerate(
                (name, method, seed) for name in seeds for method in methods for seed in seeds[name]
            )
        }

        def in_order(frame: pd.DataFrame, *more: str) -> pd.DataFrame:
            keys = zip(frame["dataset"], frame["method"], frame["seed"], strict=True)
            placed = frame.assign(place=[wanted.get(key, -1) for key in keys])
            placed = placed[placed["place"] >= 0].sort_values(["place", *more], kind="stable")
            return placed.drop(columns="place").reset_index(drop=True)

        jobs = in_order(self.jobs)
        datasets = self.datasets.set_index("dataset").loc[list(dict.fromkeys(jobs["dataset"]))].reset_index()
        return Measured(
            jobs,
            in_order(self.per_seed),
            in_order(self.steps, "step"),
            datasets,
            _used(jobs["config_hash"], self.settings),
            _used(jobs["environment"], self.environments),
        )

    def lacking(self, wanted: int) -> int:
        """Return how many of so many jobs have not finished."""
        return wanted - int((self.jobs["status"] == "done").sum())

    def unfinished(self, methods: Sequence[str], seeds: Sequence[int]) -> tuple[int, ...]:
        """Return the seeds that lack a method's finished job, of jobs of one data set."""
        done = self.jobs[self.jobs["status"] == "done"].groupby("seed")["method"].nunique()
        return tuple(seed for seed in seeds if done.get(seed, 0) < len(methods))

    def outdated(self, bench: Bench) -> int:
        """Return how many jobs are of another version than the bench would run and read."""
        current = {
            setup.method.id: (setup.config_hash, setup.method.threshold, setup.method.scoring)
            for setup in (bench.setup(*pair) for pair in bench.chosen_pairs())
        }
        jobs = self.jobs[self.jobs["dataset"].isin(bench.datasets.ids)]
        versions = jobs[list(VERSION)].itertuples(index=False, name=None)
        return sum(current.get(method) != one for method, one in zip(jobs["method"], versions, strict=True))

    def files(self) -> dict[str, str]:
        """Return the text of each file by its name."""
        return {
            JOBS_FILE: _csv(self.jobs),
            PER_SEED_FILE: _csv(self.per_seed),
            STEPS_FILE: _csv(self.steps),
            DATASETS_FILE: _csv(self.datasets),
            SETTINGS_FILE: _json(self.settings),
            ENVIRONMENTS_FILE: _json(self.environments),
        }


NOTHING = Measured(
    pd.DataFrame(columns=list(JOB_COLUMNS)),
    pd.DataFrame(columns=list(PER_SEED_WIDE)),
    pd.DataFrame(columns=list(STEP_COLUMNS)),
    pd.DataFrame(columns=list(DATASET_COLUMNS)),
    {},
    {},
)


def _stacked(first: pd.DataFrame, second: pd.DataFrame) -> pd.DataFrame:
    """Put one below the other; a frame without rows would make columns of numbers ones of objects."""
    filled = [frame for frame in (first, second) if len(frame)]
    return pd.concat(filled, ignore_index=True) if filled else first


def _used(names: Iterable[str], known: Mapping[str, Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    return {name: known[name] for name in dict.fromkeys(names) if name in known}


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n")


def _json(content: Mapping[str, Any]) -> str:
    return json.dumps(content, indent=1, sort_keys=True) + "\n"
