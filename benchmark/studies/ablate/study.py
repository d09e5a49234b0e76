"""What the study asks: its method and data set, and the jobs of its two stages; it runs and judges nothing.

A stage has a store of its own, so that no table of a run ever sees its records.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from benchmark.contracts import DatasetSpec, MethodSpec, Provenance
from benchmark.paper.printed import PAPER, read_cells
from benchmark.registry import Registry, select
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError, Running
from benchmark.run.devices import available_pool
from benchmark.run.features import data_directory
from benchmark.run.flags import running_of
from benchmark.run.plan import Plan, make_plan
from benchmark.run.times import Machine
from benchmark.studies.ablate.configurations import (
    Configuration,
    ConfigurationKey,
    factorial,
    one_at_a_time,
    registry_of,
)
from benchmark.studies.ablate.effects import largest
from benchmark.studies.ablate.measured import Measured, measured_in, read_measured, without_measured
from benchmark.studies.ablate.values import FACTORS_AFTER_TRAINING

METHOD, DATASET = "M3LA", "ml2000"
DDOF = "ddof"
PROTOCOL = "paper"
"""The profile without caps."""
SCREENING, FINAL = "screening", "final"
"""The stages, and the folders of their records."""


@dataclass(frozen=True)
class Stage:
    """Configurations with the seeds, limits and folders that they share."""

    name: str
    configurations: tuple[Configuration, ...]
    """The baseline first."""
    bench: Bench
    """Of a registry with the configurations as methods, beside the one data set."""
    running: Running
    measured: Measured = field(default_factory=dict)
    """Jobs measured elsewhere, which need not run; the baseline's do, since its scores are read again."""

    @property
    def keys(self) -> dict[str, ConfigurationKey]:
        """Return the configurations by a record's method."""
        return {configuration.spec.id: configuration.key for configuration in self.configurations}

    def plan(self) -> Plan:
        """Compare the jobs of the stage with its store."""
        machine = Machine.of(self.running, available_pool(self.running.local_device))
        plan = make_plan(self.bench, retry_failed=self.running.retry_failed, machine=machine)
        return without_measured(plan, self.measured, self.configurations[0].spec.id)


@dataclass(frozen=True)
class Study:
    """What all stages share."""

    args: argparse.Namespace
    registry: Registry
    base: MethodSpec
    dataset: DatasetSpec
    factors: tuple[str, ...]
    printed: pd.DataFrame
    """The paper's row of the method on the data set."""
    data_dir: Path
    folder: Path
    measured: pd.DataFrame
    """Jobs measured earlier, maybe elsewhere; see `benchmark.studies.ablate.measured`."""

    @property
    def after_training(self) -> list[str]:
        """Return the chosen factors that need no training."""
        return [factor for factor in self.factors if factor in FACTORS_AFTER_TRAINING]

    def screening(self) -> Stage:
        """Return the stage of one change at a time."""
        return self._stage(SCREENING, one_at_a_time(self.base, self.args.epochs, self.factors))

    def final(self, changes: Mapping[str, Any]) -> Stage:
        """Return the stage of all combinations of some changes, each a level by factor."""
        return self._stage(FINAL, factorial(self.base, self.args.final_epochs, changes))

    def final_after(self, screening: Stage, ranking: pd.DataFrame) -> Stage | None:
        """Return the final stage of the largest factors of training, each at its strongest level."""
        by_name = {(c.factor, c.level): c.changes for c in screening.configurations}
        changes: dict[str, Any] = {}
        for row in largest(ranking).to_dict("records"):
            changes |= by_name[row["factor"], row["level"]]
        return self.final(changes) if changes else None

    def _stage(self, name: str, configurations: tuple[Configuration, ...]) -> Stage:
        """Join configurations with the flags of a stage."""
        seeds = self.args.final_seeds if name == FINAL else self.args.seeds
        bench = Bench.of(
            registry_of(configurations, self.dataset),
            profile=self.args.profile,
            seeds=seeds,
            yes=self.args.yes,
            data_dir=self.data_dir,
            results_dir=self.folder,
            allow_leak=self.args.allow_leak,
            form=self.args.form,
        )
        if len(bench.seeds) < 2:
            raise ConfigError(f"{seeds!r} is one seed; an effect's interval needs two at least")
        epochs = configurations[0].spec.options["epochs"]
        described = f"{bench.profile.description}; here {epochs} epochs at most ({name} of ablate)"
        bench = dataclasses.replace(
            bench,
            profile=dataclasses.replace(bench.profile, description=described),
            runs_dir=bench.store.root / name,
        )
        return Stage(name, configurations, bench, running_of(self.args), measured_in(self.measured, name))


def make_study(args: argparse.Namespace, registry: Registry) -> Study:
    """Find method, data set, printed row and factors.

    Raises
    ------
    ConfigError
        If method or data set is not registered, or the paper prints no such row.
    SelectionError
        If `--factors` names none.
    """
    if METHOD not in registry.methods or DATASET not in registry.datasets:
        raise ConfigError(f"ablate studies {METHOD} on {DATASET}, and the registry lacks one of them")
    base = registry.methods[METHOD]
    names = [*(factor.name for factor in base.factors), *FACTORS_AFTER_TRAINING, DDOF]
    cells = read_cells(PAPER)
    printed = cells[(cells["table"] == "II") & (cells["dataset"] == DATASET) & (cells["method"] == METHOD)]
    if printed.empty:
        raise ConfigError(f"{PAPER / 'table2.csv'} prints no row of {METHOD} on {DATASET}")
    folder = folder_of(args.results, args.profile)
    return Study(
        args=args,
        registry=registry,
        base=base,
        dataset=registry.datasets[DATASET],
        factors=select(args.factors, names, "factor").ids,
        printed=printed,
        data_dir=data_directory(args.data, [registry.datasets[DATASET]]),
        folder=folder,
        measured=read_measured(folder),
    )


def folder_of(results: Path, profile: str) -> Path:
    """Return the study's folder; with a profile's caps one of its own, so that a trial spoils no report."""
    folder = results / "ablate"
    return folder if profile.lower() == PROTOCOL else folder / profile.lower()


def refuse_look_alike(stage: Stage) -> None:
    """Raise `ConfigError` if there are no features of which the paper says anything."""
    (dataset,) = stage.bench.registry.datasets
    if stage.bench.facts(dataset).provenance is Provenance.LOOK_ALIKE:
        raise ConfigError(
            f"cannot judge: only the look-alike of {dataset} is here, and it says nothing about the "
            "paper; put features below --data DIR (see the README), or see the jobs with --dry-run"
        )
