"""The commands that make records and write them out: run, status, tables, reference; they parse nothing."""

from __future__ import annotations

import argparse
import sys

from rich.console import Console

from benchmark.drift import command as drift_command
from benchmark.exit_codes import FINDING, INTERRUPTED, OK
from benchmark.registry import Registry
from benchmark.run.budget import within_budget
from benchmark.run.config import ConfigError, RunConfig
from benchmark.run.describe import (
    describe_failures,
    describe_mixed_versions,
    describe_plan,
    describe_status,
)
from benchmark.run.devices import available_pool
from benchmark.run.pace import Pace, measured_pace
from benchmark.run.plan import Catalogue, Plan, chosen_pairs, make_plan, recorded_pairs
from benchmark.run.pool import run_plan
from benchmark.run.progress import Progress
from benchmark.run.store import RecordStore
from benchmark.tables.collect import bundle_of, write_reference
from benchmark.tables.write import main_tables, write_all
from datasets._base import cache_directory


def run(args: argparse.Namespace, registry: Registry, config: RunConfig) -> int:
    """Run what is missing, then write the tables; with --dry-run only say what that would be."""
    store, catalogue = RecordStore(config.results_dir / "runs"), Catalogue(config.data_dir)
    pool = available_pool(config.device)
    if not args.dry_run:
        store.require_writable()  # before hours of work rather than after
    plan = make_plan(config, registry, store, catalogue)
    if pace := _pace(plan, config):
        plan = make_plan(config, registry, store, catalogue, pace=pace)
    if config.time_budget is not None:
        plan = within_budget(plan, config.cores, config.time_budget)
    left_out = len(plan.left_out)
    print(describe_plan(plan, config), flush=True)
    if args.dry_run:
        return OK
    summary = run_plan(plan, config, store, pool, Progress(plan.to_run(), config.jobs, Console()))
    if summary.interrupted:
        print("interrupted; finished jobs are kept, and the same command goes on from there", file=sys.stderr)
        return INTERRUPTED
    code = _write_tables(config, registry, catalogue, everything=True)
    if summary.counts:
        plan = make_plan(config, registry, store, catalogue)
    if left_out:
        print(f"{left_out} jobs were left out, as the time budget had no room for them; run again to go on")
    if text := describe_failures(plan, summary.failures):
        print(text, file=sys.stderr)
        return FINDING
    return code


def _pace(plan: Plan, config: RunConfig) -> Pace:
    """Time short fits of the methods that this run is the first to time on this machine."""
    unknown = {job.cell.method.id: job.cell.method for job in plan.to_run() if not job.cell.measured}
    return measured_pace(unknown.values(), config.cores, cache_directory())


def status(_args: argparse.Namespace, registry: Registry, config: RunConfig) -> int:
    """Show done, missing, failed and stale jobs."""
    plan = make_plan(config, registry, RecordStore(config.results_dir / "runs"), Catalogue(config.data_dir))
    print(describe_status(plan, config))
    if text := describe_failures(plan):
        print(text)
        return FINDING
    return OK


def tables(_args: argparse.Namespace, registry: Registry, config: RunConfig) -> int:
    """Write the tables of the chosen records again."""
    return _write_tables(config, registry, Catalogue(config.data_dir), everything=False)


def _write_tables(config: RunConfig, registry: Registry, catalogue: Catalogue, *, everything: bool) -> int:
    """Write and print the tables of all recorded cells, or of those that the flags choose.

    Raises
    ------
    ConfigError
        If there is no record to make a table of.
    """
    store = RecordStore(config.results_dir / "runs")
    pairs = [
        (dataset, method)
        for dataset, method in recorded_pairs(registry, store)
        if everything or (dataset in config.datasets.ids and method in config.methods.ids)
    ]
    if not pairs and not everything:
        raise ConfigError(
            f"{config.results_dir / 'runs'} holds no record of the chosen data sets and methods; "
            "run them first, or correct --results, --datasets or --methods"
        )
    plan = make_plan(config, registry, store, catalogue, pairs)
    reason = "not run" if everything else "not run, or left out by --datasets or --methods"
    bundle, unreadable = bundle_of(plan, store, registry, config.data_dir, reason)
    out_dir = config.results_dir / "tables"
    written = write_all(bundle, out_dir)
    print(main_tables(bundle))
    print(f"wrote {len(written)} files to {out_dir}")
    if text := describe_mixed_versions(plan.records()):
        print(text, file=sys.stderr)
    damaged = (*plan.broken, *unreadable)
    for message in damaged:
        print(f"left out: {message}", file=sys.stderr)
    return FINDING if damaged else OK


def reference(args: argparse.Namespace, registry: Registry, config: RunConfig) -> int:
    """Write the numbers of current records to the references of their data sets."""
    store, catalogue = RecordStore(config.results_dir / "runs"), Catalogue(config.data_dir)
    code = OK
    for dataset in config.datasets.ids:
        pairs = [pair for pair in chosen_pairs(config, registry) if pair[0] == dataset]
        plan = make_plan(config, registry, store, catalogue, pairs)
        bundle, unreadable = bundle_of(plan, store, registry, config.data_dir)
        not_done = sum(job.state != "done" for job in plan.jobs) + len(unreadable)
        if not_done == len(plan.jobs):
            print(
                f"{dataset}: no finished job at profile {config.profile.name}; nothing written",
                file=sys.stderr,
            )
            code = FINDING
            continue
        folder = config.results_dir / "reference" / config.profile.name / dataset
        write_reference(bundle, plan.records(), folder)
        if args.refit_noise is not None:
            drift_command.measure_noise(args, registry, config, dataset)
        print(f"{dataset}: {len(plan.jobs) - not_done} of {len(plan.jobs)} jobs written to {folder}")
        if text := describe_mixed_versions(plan.records()):
            print(f"{dataset}: {text}", file=sys.stderr)
        code = FINDING if not_done else code
    return code
