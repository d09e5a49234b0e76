"""The stages of `run_all.py ablate`: one change at a time, then the largest together; it judges nothing."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

import pandas as pd
from rich.console import Console

from benchmark.contracts import DatasetSpec, MethodSpec, Provenance, data_directory
from benchmark.exit_codes import CANNOT, FINDING, INTERRUPTED, OK
from benchmark.paper.printed import PAPER, read_cells
from benchmark.registry import Registry, select
from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError
from benchmark.run.describe import describe_failures, describe_mixed_versions, describe_plan
from benchmark.run.devices import available_pool
from benchmark.run.flags import running_of
from benchmark.run.plan import Plan, expected_total
from benchmark.run.pool import run_plan
from benchmark.run.progress import Progress, about
from benchmark.run.split import sizes
from benchmark.studies.ablate.configurations import (
    Configuration,
    Stage,
    declared_factors,
    factorial,
    one_at_a_time,
    registry_of,
)
from benchmark.studies.ablate.effects import Findings, examine, largest
from benchmark.studies.ablate.measured import of_stage, read_kept, updated
from benchmark.studies.ablate.report import KEPT_FILE, Outcome, print_outcome, write_kept, write_outcome
from benchmark.studies.ablate.text import Setting
from benchmark.studies.ablate.values import READINGS, Key, collect_values, fill_kept
from benchmark.tables.names import PROVENANCE_TEXTS
from benchmark.tables.results import Entries

METHOD, DATASET = "M3LA", "ml2000"
DDOF = "ddof"
PROTOCOL = "paper"
"""The profile without caps."""
SCREENING, FINAL = "screening", "final"
"""The stages, and the folders of their records."""


@dataclass(frozen=True)
class Study:
    """What all stages share."""

    args: argparse.Namespace
    registry: Registry
    base: MethodSpec
    dataset: DatasetSpec
    factors: tuple[str, ...]
    printed: pd.DataFrame
    data_dir: Path
    kept: pd.DataFrame
    """Of jobs measured earlier, maybe elsewhere; see `benchmark.studies.ablate.measured`."""

    @property
    def out(self) -> TextIO:
        """Return where progress is printed."""
        return sys.stderr if self.args.json else sys.stdout

    def stage(self, name: str, configurations: tuple[Configuration, ...]) -> Stage:
        """Join configurations with the flags of a stage."""
        seeds = self.args.final_seeds if name == FINAL else self.args.seeds
        bench = Bench.of(
            registry_of(configurations, self.dataset),
            profile=self.args.profile,
            seeds=seeds,
            data_dir=self.data_dir,
            results_dir=folder_of(self.args),
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
        return Stage(configurations, bench, running_of(self.args), of_stage(self.kept, name))


def folder_of(args: argparse.Namespace) -> Path:
    """Return the study's folder; with a profile's caps one of its own, so that a trial spoils no report."""
    folder: Path = args.results / "ablate"
    return folder if args.profile.lower() == PROTOCOL else folder / args.profile.lower()


def conduct(args: argparse.Namespace, registry: Registry) -> int:
    """Plan, train and judge what the flags ask for."""
    study = make_study(args, registry)
    screening = study.stage(SCREENING, one_at_a_time(study.base, args.epochs, study.factors))
    if args.final:  # so that a wrong flag ends the command now rather than after the screening
        study.stage(FINAL, factorial(study.base, args.final_epochs, {}))
    if args.dry_run:
        return _announce(study, screening)
    _refuse_look_alike(screening)
    if not train(study, screening):
        return _interrupted(args, screening, SCREENING)
    first = judge(study, screening, SCREENING)
    outcomes = [first]
    # While a job of the screening is missing, the largest factors may yet become others.
    final = None if _missing(screening) else final_stage(study, screening, first.findings)
    if final is not None:
        if args.final:
            write_outcome(outcomes, folder_of(args), study.kept)  # the rest takes hours
            if not train(study, final):
                return _interrupted(args, final, FINAL)
        if args.final or _begun(final):  # without --final: what was recorded of it before
            chosen = [(c.factor, c.level) for c in final.configurations if len(c.changes) == 1]
            outcomes.append(judge(study, final, FINAL, chosen))
    elif args.final:
        first.problems.append("no final stage: " + _why_no_final(screening))
    code = _exit_code(outcomes)
    written = write_outcome(outcomes, folder_of(args), study.kept)
    print_outcome(outcomes, code, written, as_json=args.json)
    return code


def _interrupted(args: argparse.Namespace, stage: Stage, name: str) -> int:
    """Keep what is finished, so that the study can go on elsewhere too."""
    folder = folder_of(args)
    write_kept(updated(read_kept(folder / KEPT_FILE), name, stage.plan(), stage.bench.store), folder)
    return INTERRUPTED


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
    names = [*(factor.name for factor in declared_factors(base)), *READINGS, DDOF]
    cells = read_cells(PAPER)
    printed = cells[(cells["table"] == "II") & (cells["dataset"] == DATASET) & (cells["method"] == METHOD)]
    if printed.empty:
        raise ConfigError(f"{PAPER / 'table2.csv'} prints no row of {METHOD} on {DATASET}")
    return Study(
        args=args,
        registry=registry,
        base=base,
        dataset=registry.datasets[DATASET],
        factors=select(args.factors, names, "factor").ids,
        printed=printed,
        data_dir=data_directory(args.data),
        kept=read_kept(folder_of(args) / KEPT_FILE),
    )


def train(study: Study, stage: Stage) -> bool:
    """Run what a stage's store lacks; False after Ctrl-C."""
    plan = stage.plan()
    stage.bench.store.require_writable()
    print(describe_plan(plan, stage.running), file=study.out, flush=True)
    devices = available_pool(stage.running.device)
    progress = Progress(plan.to_run(), stage.running.jobs, Console(file=study.out))
    if run_plan(plan, stage.bench, stage.running, devices, progress).interrupted:
        print("interrupted; finished jobs are kept, and the same command goes on from there", file=sys.stderr)
        return False
    return True


def judge(study: Study, stage: Stage, name: str, chosen: Sequence[tuple[str, str]] = ()) -> Outcome:
    """Read a stage's records and measure every configuration against the baseline."""
    plan = stage.plan()
    entries = Entries(plan.inventory, stage.bench.store)
    keys = {c.spec.id: (c.kind, c.factor, c.level) for c in stage.configurations}
    readings = [factor for factor in study.factors if factor in READINGS]
    values = collect_values(entries, keys, stage.bench.seeds, stage.configurations[0].spec, readings)
    values = fill_kept(values, kept_values(plan, stage, keys))
    setting = _setting(study, stage, plan)
    ratio = setting.n_test / setting.n_train
    findings = examine(values, study.printed, chosen, DDOF in study.factors, ratio)
    problems = [*(f"left out: {message}" for message in (*plan.inventory.broken, *entries.unreadable))]
    problems += [
        text
        for text in (describe_failures(plan.inventory), describe_mixed_versions(plan.inventory.records()))
        if text
    ]
    if lacking := sum(planned.state == "missing" for planned in plan.jobs):
        problems.append(f"{name}: {lacking} of {len(plan.jobs)} jobs were not run, or left to another run")
    kept = updated(study.kept, name, plan, stage.bench.store)
    return Outcome(name, setting, values, findings, kept[kept["stage"] == name], problems)


def kept_values(
    plan: Plan, stage: Stage, keys: Mapping[str, Key]
) -> dict[tuple[Key, int], Mapping[str, float]]:
    """Return the metrics of the plan's jobs that were measured elsewhere, by configuration and seed."""
    return {
        (keys[p.job.method], p.job.seed): stage.kept[p.job.method, p.job.seed, p.setup.config_hash]
        for p in plan.jobs
        if p.state == "done" and p.record is None
    }


def _setting(study: Study, stage: Stage, plan: Plan) -> Setting:
    facts, settings = plan.jobs[0].setup.facts, plan.jobs[0].setup.settings
    n_train, n_test = sizes(facts.shape.n, settings["max_train_rows"], settings["max_test_rows"])
    return Setting(
        method=study.base.id,
        preset=study.base.preset,
        dataset=facts.spec.id,
        features="; ".join(filter(None, (PROVENANCE_TEXTS[facts.provenance], facts.note.rstrip(". ")))),
        protocol=f"profile {stage.bench.profile.name}",
        epochs=settings["options"]["epochs"],
        n_seeds=len(stage.bench.seeds),
        threshold=study.base.threshold,
        n_train=n_train,
        n_test=n_test,
    )


def final_stage(study: Study, screening: Stage, findings: Findings) -> Stage | None:
    """Return all combinations of the largest factors of training, each at its strongest level."""
    by_name: Mapping[tuple[str, str], Mapping[str, Any]] = {
        (c.factor, c.level): c.changes for c in screening.configurations
    }
    changes: dict[str, Any] = {}
    for row in largest(findings.ranking).to_dict("records"):
        changes |= by_name[row["factor"], row["level"]]
    if not changes:
        return None
    return study.stage(FINAL, factorial(study.base, study.args.final_epochs, changes))


def _missing(stage: Stage) -> int:
    return sum(planned.state == "missing" for planned in stage.plan().jobs)


def _begun(stage: Stage) -> bool:
    """Return whether every configuration has a record, of one seed at least."""
    recorded = {planned.job.method for planned in stage.plan().jobs if planned.state != "missing"}
    return recorded == {configuration.spec.id for configuration in stage.configurations}


def _why_no_final(screening: Stage) -> str:
    if _missing(screening):
        return "its factors are chosen when every job of the screening has run; start again then"
    return "no factor of training has an effect on two seeds, so none can be combined"


def _refuse_look_alike(stage: Stage) -> None:
    (dataset,) = stage.bench.registry.datasets
    facts = stage.bench.facts(dataset)
    if facts.provenance is Provenance.LOOK_ALIKE:
        raise ConfigError(
            f"cannot judge: only the look-alike of {dataset} is here, and it says nothing about the "
            "paper; put features below --data DIR (see the README), or see the jobs with --dry-run"
        )


def _exit_code(outcomes: Sequence[Outcome]) -> int:
    if not outcomes[0].findings.ranking["effect"].notna().any():
        outcomes[0].problems.append(
            "cannot judge: no configuration and the baseline have two finished seeds in common"
        )
        return CANNOT
    return FINDING if any(outcome.problems for outcome in outcomes) else OK


def _announce(study: Study, screening: Stage) -> int:
    """Print the jobs and the time they should take, and run none."""
    plan = screening.plan()
    plans = [(screening, plan)]
    later = ""
    if study.args.final:
        done = not plan.to_run() and any(planned.state == "done" for planned in plan.jobs)
        found = judge(study, screening, SCREENING).findings if done else None
        final = final_stage(study, screening, found) if found is not None else None
        if final is not None:
            plans.append((final, final.plan()))
        else:
            later = _later(study)
    if study.args.json:
        print(json.dumps([_job(planned) for _, one in plans for planned in one.jobs], indent=1))
    else:
        print(
            "\n\n".join(
                [*(describe_plan(one, stage.running) for stage, one in plans), *filter(None, [later])]
            )
        )
    return OK


def _later(study: Study) -> str:
    """Estimate the final stage before its factors are known: every job like the baseline's."""
    stage = study.stage(FINAL, factorial(study.base, study.args.final_epochs, {}))
    jobs = stage.plan().jobs * 2**3
    expected, unknown = expected_total(jobs, stage.running.cores)
    time = "unknown time"
    if expected is not None and not unknown:
        time = f"{about(expected)} if each takes as long as the baseline"
    return (
        "then the combinations of the three largest factors, chosen when the jobs above are done: "
        f"{len(jobs)} jobs, {time}"
    )


def _job(planned: Any) -> dict[str, Any]:
    return {
        "dataset": planned.job.dataset,
        "method": planned.job.method,
        "seed": planned.job.seed,
        "options": dict(planned.setup.settings["options"]),
        "state": planned.state,
        "to_run": planned.to_run,
        "expected_seconds": None if planned.expected is None else planned.expected.seconds,
    }
