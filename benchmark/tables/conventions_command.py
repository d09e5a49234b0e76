"""`run_all.py conventions`: re-reads stored scores under other libraries' rules; imported when called."""

from __future__ import annotations

import argparse
import json
import sys

from benchmark.registry import Registry
from benchmark.run.config import ConfigError, RunConfig
from benchmark.run.plan import Catalogue, make_plan, recorded_pairs
from benchmark.run.store import RecordStore
from benchmark.tables.collect import Entries
from benchmark.tables.conventions import under_conventions
from benchmark.tables.conventions_text import render_conventions


def run(args: argparse.Namespace, registry: Registry, config: RunConfig) -> int:
    """Print the metrics of the chosen records under every convention.

    Raises
    ------
    ConfigError
        If no current record of the chosen methods and data sets is finished.
    """
    store = RecordStore(config.results_dir / "runs")
    pairs = [
        (dataset, method)
        for dataset, method in recorded_pairs(registry, store)
        if dataset in config.datasets.ids and method in config.methods.ids
    ]
    plan = make_plan(config, registry, store, Catalogue(config.data_dir), pairs)
    if not any(record.status == "done" for record in plan.records()):
        raise ConfigError(
            f"{store.root} holds no current finished record of the chosen data sets, methods and seeds at "
            f"profile {config.profile.name} ({len(plan.stale)} are stale); run them first, or correct "
            "--results, --profile, --datasets, --methods or --seeds"
        )
    entries = Entries(plan, store)
    methods = tuple(registry.methods.values())
    summary = under_conventions(entries, methods)
    if args.json:
        undefined_as_none = summary.astype(object).where(summary.notna(), None)
        print(json.dumps(undefined_as_none.to_dict("records"), indent=1))
    else:
        print(render_conventions(summary, methods).rstrip("\n"))
    damaged = (*plan.broken, *entries.unreadable)
    for message in damaged:
        print(f"left out: {message}", file=sys.stderr)
    return 1 if damaged else 0
