"""`run_all.py beyond`: ranks and claims over the data sets of its rules; it alone prints.

It judges records and, of the other jobs, the tables that it wrote before. It trains nothing: it prints the
commands that make what is missing. Heavy imports wait for the call.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.exit_codes import CANNOT, FINDING, OK
from benchmark.run import flags
from benchmark.run.flags import Command

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.registry import Registry
    from benchmark.studies.beyond.gather import Gathered, Part
    from benchmark.studies.beyond.rules import Rules

HERE = flags.ROOT / "results" / "beyond"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    flags.add_places(parser)
    parser.set_defaults(profile="beyond")
    parser.add_argument(
        "--rules",
        metavar="FILE",
        type=Path,
        default=HERE / "rules.toml",
        help="default: results/beyond/rules.toml",
    )
    parser.add_argument(
        "--out",
        metavar="DIR",
        type=Path,
        help="where tables are written; jobs of those there are kept that no record replaces; default: "
        "the folder of the rules",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what is missing and how to make it, and stop"
    )


def run(args: argparse.Namespace, registry: Registry) -> int:
    """Write the tables of what there is, and say what is missing; 0 all is there, 1 not all, 2 nothing."""
    from benchmark.files import write_text
    from benchmark.run.features import data_directory
    from benchmark.studies.beyond.gather import Where, gather
    from benchmark.studies.beyond.rules import read_rules

    rules, out = read_rules(args.rules), args.out or args.rules.parent
    specs = [registry.datasets[id] for id in rules.seeds if id in registry.datasets]
    data_dir = data_directory(args.data, specs)
    where = Where(args.profile, args.data, data_dir, args.results, out)
    gathered = gather(rules, registry, where)
    for part in gathered.parts:
        if part.lacking or part.outdated:
            print(f"{part.dataset}: {_lacks(part)}; {part.command}")
    if args.dry_run:
        return OK
    if gathered.measured.jobs.empty:
        print("cannot judge: no record of any data set; run the commands above", file=sys.stderr)
        return CANNOT
    files = _files(rules, gathered)
    for name, text in files.items():
        write_text(out / name, text)
    print(f"wrote {', '.join(files)} to {out}")
    for message in gathered.messages:
        print(message, file=sys.stderr)
    return OK if gathered.complete and not gathered.messages else FINDING


def _lacks(part: Part) -> str:
    lacks = [f"{part.lacking} of {part.wanted} jobs lacking"] if part.lacking else []
    return ", ".join(lacks + ([f"{part.outdated} of another version"] if part.outdated else []))


def _files(rules: Rules, gathered: Gathered) -> dict[str, str]:
    """Return the text of each file by its name."""
    from benchmark.paper.claim import parse_claims
    from benchmark.paper.printed import read_paper
    from benchmark.studies.beyond.judge import judge_claims, pairs_frame, rank_all, ranks_frame
    from benchmark.studies.beyond.text import report
    from benchmark.tables.aggregate import aggregate

    evidence = gathered.evidence()
    rankings = rank_all(rules, evidence)
    claims = judge_claims(rules, parse_claims(read_paper().claims), evidence)
    frames = {
        "metrics.csv": aggregate(evidence.as_printed),
        "ranks.csv": ranks_frame(rankings),
        "pairs.csv": pairs_frame(rankings),
        "claims.csv": claims,
    }
    return {
        "beyond.md": report(rules, gathered, rankings, claims),
        **{name: _csv(frame) for name, frame in frames.items()},
        **gathered.measured.files(),
    }


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n", float_format="%.6g")


COMMANDS = {"beyond": Command("judge claims and rank methods over eight real data sets", add_arguments, run)}
