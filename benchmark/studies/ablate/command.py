"""`run_all.py ablate`: trains what the study lacks, has it judged, prints and writes the outcome.

Heavy imports wait for the call.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmark.run import flags
from benchmark.run.flags import Command

if TYPE_CHECKING:
    from benchmark.registry import Registry


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's flags."""
    what = parser.add_argument_group("what")
    what.add_argument("--factors", metavar="NAMES", help="names and globs, comma-separated; default: all")
    what.add_argument(
        "--epochs", type=flags.whole_number(), default=100, help="of one change at a time; default: 100"
    )
    flags.add_seeds(what, default="3")
    what.add_argument(
        "--final",
        action="store_true",
        help="then run the three largest factors of training in all combinations",
    )
    what.add_argument("--final-epochs", type=flags.whole_number(), default=300, help="of that stage; 300")
    what.add_argument("--final-seeds", default="10", metavar="SEEDS", help="of that stage; 10")
    flags.add_places(parser)
    flags.add_running(parser)
    parser.add_argument(
        "--dry-run", action="store_true", help="print the jobs and the expected time, and stop"
    )
    flags.add_json(parser)


def run(args: argparse.Namespace, registry: Registry) -> int:
    """Run the study; 0 fine, 1 configurations without a result, 2 cannot judge, 130 interrupted."""
    from benchmark.studies.ablate.conduct import conduct

    return conduct(args, registry)


COMMANDS = {"ablate": Command("measure what M3LA's results depend on", add_arguments, run)}
