"""`run_all.py ablate`: trains what the study lacks, has it judged, prints and writes the outcome.

Heavy imports wait for the call.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.registry import Registry

ROOT = Path(__file__).resolve().parents[3]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    what = parser.add_argument_group("what")
    what.add_argument("--factors", metavar="NAMES", help="names and globs, comma-separated; default: all")
    what.add_argument("--epochs", type=int, default=100, help="of one change at a time; default: 100")
    what.add_argument("--seeds", default="3", help="3 means 0 to 2; 0-4 a range; 3,5 a list; default: 3")
    what.add_argument(
        "--final",
        action="store_true",
        help="then run the three largest factors of training in all combinations",
    )
    what.add_argument("--final-epochs", type=int, default=300, help="of that stage; default: 300")
    what.add_argument("--final-seeds", default="10", metavar="SEEDS", help="of that stage; default: 10")
    what.add_argument("--profile", default="paper", help="whose caps apply: paper (none), quick or tiny")
    where = parser.add_argument_group("where")
    where.add_argument("--data", metavar="DIR", help="your own features; default: $M3LA_DATA, else a cache")
    where.add_argument(
        "--results", metavar="DIR", type=Path, default=ROOT / "results", help="default: results/"
    )
    how = parser.add_argument_group("how")
    how.add_argument("--jobs", type=int, metavar="N", help="jobs at a time; default: all cores")
    how.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0,1; default: auto")
    how.add_argument("--backend", default="loky", help="loky, or dask (needs the extra); default: loky")
    how.add_argument("--retry-failed", action="store_true", help="run jobs again that have failed twice")
    how.add_argument("--dry-run", action="store_true", help="print the jobs and the expected time, and stop")
    how.add_argument("--json", action="store_true", help="print for programs; progress goes to stderr")


def run(args: argparse.Namespace, registry: Registry) -> int:
    """Run the study; 0 fine, 1 configurations without a result, 2 cannot judge, 130 interrupted."""
    from benchmark.studies.ablate.stages import conduct

    return conduct(args, registry)
