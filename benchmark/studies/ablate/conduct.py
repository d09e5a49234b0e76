"""The course of `run_all.py ablate`: one change at a time, then the largest together, trained and judged.

How a value is read, measured against the baseline and worded is known in the modules that it calls.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any, TextIO

import pandas as pd
from rich.console import Console

from benchmark.exit_codes import CANNOT, FINDING, INTERRUPTED, OK
from benchmark.registry import Registry
from benchmark.run.describe import describe_failures, describe_mixed_versions, describe_plan
from benchmark.run.devices import available_pool
from benchmark.run.phrases import about
from benchmark.run.plan import Plan, PlannedJob
from benchmark.run.pool import run_plan
from benchmark.run.progress import Progress
from benchmark.run.schedule import expected_total
from benchmark.run.split import sizes
from benchmark.studies.ablate.effects import MOST_COMBINED, examine
from benchmark.studies.ablate.measured import read_measured, renewed, write_measured
from benchmark.studies.ablate.report import JudgedStage, print_report, write_report
from benchmark.studies.ablate.study import DDOF, FINAL, Stage, Study, make_study, refuse_look_alike
from benchmark.studies.ablate.text import Conditions
from benchmark.studies.ablate.values import collect_values, fill_measured, metrics_of_jobs
from benchmark.tables.names import PROVENANCE_TEXTS
from benchmark.tables.results import Entries

NOT_CHOSEN_YET = "its factors are chosen when every job of the screening has run; start again then"
NONE_TO_CHOOSE = "no factor of training has an effect on two seeds, so none can be combined"


def conduct(args: argparse.Namespace, registry: Registry) -> int:
    """Plan, train and judge what the flags ask for."""
    study = make_study(args, registry)
    screening = study.screening()
    if args.final:  # so that a wrong flag ends the command now rather than after the screening
        study.final({})
    if args.dry_run:
        return _announce(study, screening)
    refuse_look_alike(screening)
    if not train(study, screening):
        return INTERRUPTED
    judged = [judge(study, screening)]
    # While a job of the screening is missing, the largest factors may yet become others.
    lacking = _missing(screening.plan())
    final = None if lacking else study.final_after(screening, judged[0].findings.ranking)
    if final is not None:
        if args.final:
            write_report(judged, study.folder, study.measured)  # the rest takes hours
            if not train(study, final):
                return INTERRUPTED
        if args.final or _begun(final):  # without --final: what was recorded of it before
            judged.append(judge(study, final))
    elif args.final:
        judged[0].problems.append(f"no final stage: {NOT_CHOSEN_YET if lacking else NONE_TO_CHOOSE}")
    code = _exit_code(judged)
    written = write_report(judged, study.folder, study.measured)
    print_report(judged, code, written, as_json=args.json)
    return code


def train(study: Study, stage: Stage) -> bool:
    """Run what a stage's store lacks; False after Ctrl-C, when the table of finished jobs is up to date."""
    plan = stage.plan()
    stage.bench.store.require_writable()
    out = _progress_to(study)
    print(describe_plan(plan, stage.running), file=out, flush=True)
    devices = available_pool(stage.running.local_device)
    progress = Progress(plan.to_run(), stage.running.jobs, Console(file=out), plan.accelerators)
    if not run_plan(plan, stage.bench, stage.running, devices, progress).interrupted:
        return True
    print("interrupted; finished jobs are kept, and the same command goes on from there", file=sys.stderr)
    plan = stage.plan()
    values = _values(stage, plan, _entries(stage, plan))
    # Read anew: the first stage's report may have been written since.
    write_measured(_renewed(read_measured(study.folder), stage, plan, values), study.folder)
    return False


def judge(study: Study, stage: Stage) -> JudgedStage:
    """Read a stage's records and measure every configuration against the baseline."""
    plan = stage.plan()
    entries = _entries(stage, plan)
    values = _values(stage, plan, entries, study.after_training)
    conditions = _conditions(study, stage, plan)
    single = [(c.factor, c.level) for c in stage.configurations if len(c.changes) == 1]
    combined = single if stage.name == FINAL else []
    ratio = conditions.n_test / conditions.n_train
    findings = examine(values, study.printed, combined, DDOF in study.factors, ratio)
    measured = _renewed(study.measured, stage, plan, values)
    problems = [*(f"left out: {message}" for message in (*plan.inventory.broken, *entries.unreadable))]
    told = (describe_failures(plan.inventory), describe_mixed_versions(plan.inventory.records()))
    problems += [text for text in told if text]
    if lacking := _missing(plan):
        problems.append(
            f"{stage.name}: {lacking} of {len(plan.jobs)} jobs were not run, or left to another run"
        )
    of_stage = measured[measured["stage"] == stage.name]
    return JudgedStage(stage.name, conditions, values, findings, of_stage, problems)


def _entries(stage: Stage, plan: Plan) -> Entries:
    return Entries(plan.inventory, stage.bench.store)


def _values(stage: Stage, plan: Plan, entries: Entries, after_training: Sequence[str] = ()) -> pd.DataFrame:
    """Return the metrics of a stage's jobs, of records and of those measured elsewhere."""
    base = stage.configurations[0].spec
    values = collect_values(entries, stage.keys, stage.bench.seeds, base, after_training)
    elsewhere = {
        (stage.keys[p.job.method], p.job.seed): stage.measured[p.job.method, p.job.seed, p.setup.config_hash]
        for p in plan.jobs
        if p.elsewhere
    }
    return fill_measured(values, elsewhere)


def _renewed(measured: pd.DataFrame, stage: Stage, plan: Plan, values: pd.DataFrame) -> pd.DataFrame:
    """Return the table of finished jobs with what a stage's records say."""
    return renewed(measured, stage.name, plan.inventory.records(), metrics_of_jobs(values, stage.keys))


def _conditions(study: Study, stage: Stage, plan: Plan) -> Conditions:
    facts, settings = plan.jobs[0].setup.facts, plan.jobs[0].setup.settings
    n_train, n_test = sizes(facts.shape.n, settings["max_train_rows"], settings["max_test_rows"])
    return Conditions(
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


def _missing(plan: Plan) -> int:
    return sum(planned.state == "missing" for planned in plan.jobs)


def _begun(stage: Stage) -> bool:
    """Return whether every configuration has a record, of one seed at least."""
    recorded = {planned.job.method for planned in stage.plan().jobs if planned.state != "missing"}
    return recorded == set(stage.keys)


def _exit_code(judged: Sequence[JudgedStage]) -> int:
    if not judged[0].findings.ranking["effect"].notna().any():
        judged[0].problems.append(
            "cannot judge: no configuration and the baseline have two finished seeds in common"
        )
        return CANNOT
    return FINDING if any(stage.problems for stage in judged) else OK


def _progress_to(study: Study) -> TextIO:
    return sys.stderr if study.args.json else sys.stdout


def _announce(study: Study, screening: Stage) -> int:
    """Print the jobs and the time they should take, and run none."""
    plan = screening.plan()
    plans, later = [(screening, plan)], ""
    if study.args.final:
        done = not plan.to_run() and any(planned.state == "done" for planned in plan.jobs)
        ranking = judge(study, screening).findings.ranking if done else None
        final = study.final_after(screening, ranking) if ranking is not None else None
        if final is None:
            later = _later(study)
        else:
            plans.append((final, final.plan()))
    if study.args.json:
        print(json.dumps([_job(planned) for _, one in plans for planned in one.jobs], indent=1))
    else:
        described = [describe_plan(one, stage.running) for stage, one in plans]
        print("\n\n".join([*described, *filter(None, [later])]))
    return OK


def _later(study: Study) -> str:
    """Estimate the final stage before its factors are known: every job like the baseline's."""
    stage = study.final({})
    plan = stage.plan()
    jobs = plan.jobs * 2**MOST_COMBINED
    expected, unknown = expected_total(jobs, stage.running.cores, plan.accelerators)
    time = "unknown time"
    if expected is not None and not unknown:
        time = f"{about(expected)} if each takes as long as the baseline"
    return (
        "then the combinations of the three largest factors, chosen when the jobs above are done: "
        f"{len(jobs)} jobs, {time}"
    )


def _job(planned: PlannedJob) -> dict[str, Any]:
    return {
        "dataset": planned.job.dataset,
        "method": planned.job.method,
        "seed": planned.job.seed,
        "options": dict(planned.setup.settings["options"]),
        "state": planned.state,
        "to_run": planned.to_run,
        "expected_seconds": None if planned.expected is None else planned.expected.seconds,
    }
