"""`run_all.py drift`: reads both sides, has them judged, prints and writes the outcome.

Heavy imports wait for the call.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.registry import Registry
    from benchmark.run.config import RunConfig


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags beside those that choose what is judged."""
    how = parser.add_argument_group("how")
    how.add_argument("--no-exact", action="store_true", help="do not compare scores bit by bit")
    how.add_argument(
        "--allow-other-seeds",
        action="store_true",
        help="compare sides with different seeds too, which finds large shifts only",
    )
    how.add_argument("--json", action="store_true", help="print for programs")
    how.add_argument("--junit", metavar="FILE", type=Path, help="write the outcome as JUnit XML")
    how.add_argument("--summary", metavar="FILE", type=Path, help="write the outcome as Markdown")
    accept = parser.add_argument_group("accepting")
    accept.add_argument("--accept", action="store_true", help="make the current records the reference")
    accept.add_argument("--reason", metavar="TEXT", help="why; kept in accepted.md beside the reference")
    add_refit_arguments(parser)


def add_refit_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that measure refit noise, for a reference that is being written."""
    refits = parser.add_argument_group("refit noise, stored with a reference")
    refits.add_argument(
        "--refit-noise",
        type=int,
        metavar="N",
        help="fit every method N times more per split, with other seeds of its own; resumable",
    )
    refits.add_argument("--refit-seeds", metavar="SEEDS", help="splits to refit on; default: all")
    refits.add_argument("--jobs", type=int, metavar="N", help="refits at a time; default: all cores")
    refits.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0,1; default: auto")
    refits.add_argument("--retry-failed", action="store_true", help="run refits again that failed twice")


def run(args: argparse.Namespace, registry: Registry, config: RunConfig) -> int:
    """Judge the current records, or accept them."""
    import json

    from benchmark.drift.accept import accept
    from benchmark.drift.gather import read_sides
    from benchmark.drift.judge import judge
    from benchmark.drift.text import as_json, drift_text, junit
    from benchmark.run.config import ConfigError

    if args.accept:
        return accept(args, registry, config)
    unused = [flag for flag in ("reason", "refit_noise", "refit_seeds") if getattr(args, flag) is not None]
    if unused:
        raise ConfigError(f"--{unused[0].replace('_', '-')} goes with --accept")
    sides, messages = read_sides(config, registry)
    drift = judge(sides, exact=not args.no_exact, other_seeds=args.allow_other_seeds)
    name = f"profile {config.profile.name}"
    print(json.dumps(as_json(drift), indent=1) if args.json else drift_text(drift, name))
    for path, text in ((args.junit, junit(drift, name)), (args.summary, drift_text(drift, name))):
        if path is not None:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8", newline="\n")
    for message in messages:
        print(message, file=sys.stderr)
    return drift.exit_code


def measure_noise(args: argparse.Namespace, registry: Registry, config: RunConfig, dataset: str) -> None:
    """Measure and store the refit noise of a data set's reference, for the chosen methods that it has."""
    from benchmark.drift.accept import refits
    from benchmark.drift.reference import read_reference_folder, write_noise

    folder = config.results_dir / "reference" / config.profile.name / dataset
    reference = read_reference_folder(folder, dataset)
    methods = [name for name in reference.methods if name in config.methods.ids]
    pairs = [(dataset, name) for name in methods]
    write_noise(folder, refits(args, registry, config, pairs, args.refit_noise))
