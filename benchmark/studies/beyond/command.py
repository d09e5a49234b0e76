"""`run_all.py beyond`: ranks and claims over the data sets of its rules, from records; it alone prints.

It trains nothing: it prints the commands that make what is missing. Heavy imports wait for the call.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.exit_codes import CANNOT, FINDING, OK
from benchmark.run import flags
from benchmark.run.flags import Command

if TYPE_CHECKING:
    import pandas as pd

    from benchmark.contracts import Record
    from benchmark.registry import Registry
    from benchmark.studies.beyond.gather import Part

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
        default=HERE,
        help="where tables are written; default: results/beyond",
    )
    parser.add_argument(
        "--dry-run", action="store_true", help="print what is missing and how to make it, and stop"
    )


def run(args: argparse.Namespace, registry: Registry) -> int:
    """Write the tables of what there is, and say what is missing; 0 all is there, 1 not all, 2 nothing."""
    from benchmark.run.features import data_directory
    from benchmark.studies.beyond.gather import Where, gather_parts
    from benchmark.studies.beyond.rules import read_rules

    rules = read_rules(args.rules)
    specs = [registry.datasets[id] for id in rules.seeds if id in registry.datasets]
    data_dir = data_directory(args.data, specs)
    parts = gather_parts(rules, registry, Where(args.profile, args.data, data_dir, args.results))
    for part in parts:
        if part.bench is None:
            print(f"{part.dataset}: not imported; {part.command}")
        elif part.lacking:
            print(f"{part.dataset}: {part.lacking} of {part.wanted} jobs lacking; {part.command}")
    complete = all(part.bench is not None and not part.lacking for part in parts)
    if args.dry_run:
        return OK
    if not any(part.gathered for part in parts):
        print("cannot judge: no record of any data set; run the commands above", file=sys.stderr)
        return CANNOT
    files = _files(rules, parts)
    from benchmark.files import write_text

    for name, text in files.items():
        write_text(args.out / name, text)
    print(f"wrote {', '.join(files)} to {args.out}")
    messages = [text for part in parts if part.gathered for text in part.gathered.evidence.messages]
    for message in messages:
        print(message, file=sys.stderr)
    return OK if complete and not messages else FINDING


def _files(rules: Any, parts: Sequence[Part]) -> dict[str, str]:
    """Return the text of each file by its name."""
    import pandas as pd

    from benchmark.paper.claim import parse_claims
    from benchmark.paper.printed import read_paper
    from benchmark.studies.beyond.gather import evidence_of
    from benchmark.studies.beyond.judge import judge_claims, pairs_frame, rank_all, ranks_frame
    from benchmark.studies.beyond.text import report
    from benchmark.tables.aggregate import aggregate
    from benchmark.tables.reference import distinct_environments, distinct_settings

    evidence = evidence_of(parts)
    rankings = rank_all(rules, evidence)
    claims = judge_claims(rules, parse_claims(read_paper().claims), evidence)
    records = [record for part in parts if part.gathered for record in part.gathered.records or ()]
    jobs = pd.DataFrame([_job(record) for record in records])
    settings = {
        part.dataset: distinct_settings(part.gathered.records or ()) for part in parts if part.gathered
    }
    frames = {
        "metrics.csv": aggregate(evidence.as_printed),
        "ranks.csv": ranks_frame(rankings),
        "pairs.csv": pairs_frame(rankings),
        "claims.csv": claims,
        "jobs.csv": jobs,
    }
    return {
        "beyond.md": report(rules, parts, rankings, claims, jobs),
        **{name: _csv(frame) for name, frame in frames.items()},
        "settings.json": json.dumps(settings, indent=1, sort_keys=True) + "\n",
        "environment.json": json.dumps(distinct_environments(records), indent=1, sort_keys=True) + "\n",
    }


def _csv(frame: pd.DataFrame) -> str:
    return frame.to_csv(index=False, lineterminator="\n", float_format="%.6g")


def _job(record: Record) -> dict[str, Any]:
    return {
        "dataset": record.dataset,
        "method": record.method,
        "seed": record.seed,
        "status": record.status,
        "config_hash": record.config_hash,
        "score_digest": record.score_digest,
        "seconds": round(sum(record.seconds.values()), 1),
        "processor_seconds": round(record.processor_seconds, 3),
        "peak_mib": round(record.peak_mib),
    }


COMMANDS = {"beyond": Command("judge claims and rank methods over eight real data sets", add_arguments, run)}
