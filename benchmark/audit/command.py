"""`run_all.py audit`: reads tables, has them audited, prints the report; heavy imports wait for the call."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.exit_codes import FINDING, OK
from benchmark.run import flags
from benchmark.run.flags import Command

if TYPE_CHECKING:
    from benchmark.registry import Registry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    parser.add_argument(
        "--table",
        metavar="CSV",
        type=Path,
        action="append",
        help="a published table, or metrics.csv or per_seed.csv of ours; may be repeated; default: Tables II "
        "and III of the paper",
    )
    parser.add_argument("--dataset", metavar="NAME", help="data set of a --table without such a column")
    parser.add_argument(
        "--hard",
        metavar="NAMES",
        help="methods of a published table that were scored by their 0/1 predictions, comma-separated; "
        "default: those of the registry",
    )
    parser.add_argument(
        "--runs",
        metavar="N",
        type=flags.whole_number(),
        help="how many runs a published --table is of; default: not known",
    )
    flags.add_data(parser)
    parser.add_argument("--json", action="store_true", help="print JSON instead of Markdown")


def run(args: argparse.Namespace, registry: Registry) -> int:
    """Print the audit of the tables; 0 without a finding, 1 with one."""
    from benchmark.audit.gather import (
        PAPER_TABLES,
        facts_of,
        name_of,
        one_frame,
        paper_runs,
        read_audit_table,
    )
    from benchmark.audit.judge import audit
    from benchmark.audit.text import render_audit
    from benchmark.run.features import data_directory

    scored_from_predictions = (
        [name.strip() for name in args.hard.split(",")]
        if args.hard is not None
        else [spec.id for spec in registry.methods.values() if spec.scoring == "hard"]
    )
    chosen = [(path, args.dataset) for path in args.table] if args.table else PAPER_TABLES
    tables = [
        read_audit_table(path, name_of(path), scored_from_predictions, dataset, args.runs or paper_runs(path))
        for path, dataset in chosen
    ]
    about = {name for table in tables for name in table.frame["dataset"]}
    wanted = [spec for spec in registry.datasets.values() if spec.id in about]
    report = audit(one_frame(tables), facts_of(tables, registry, data_directory(args.data, wanted)))
    names = [name_of(path) for path, _ in chosen]
    print(json.dumps(report.to_json(), indent=1) if args.json else render_audit(report, names).rstrip("\n"))
    return FINDING if report.findings else OK


COMMANDS = {
    "audit": Command(
        "find numbers of a table that cannot be true together",
        add_arguments,
        run,
    )
}
