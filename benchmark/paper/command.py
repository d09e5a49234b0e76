"""The commands compare, significance and explain; heavy imports wait for the call."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmark.run import flags
from benchmark.run.flags import Command

if TYPE_CHECKING:
    from benchmark.registry import Registry


def _source_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--reference",
        action="store_true",
        help="judge results/reference/<profile>/<data set>/ instead of current records",
    )
    flags.add_json(parser)


def _judging_flags(parser: argparse.ArgumentParser) -> None:
    flags.add_choice(parser)
    flags.add_places(parser)
    _source_flags(parser)


def compare(args: argparse.Namespace, registry: Registry) -> int:
    """Give each printed cell and each claim a verdict."""
    from benchmark.paper.compare import run

    return run(args, flags.bench_of(args, registry))


def significance(args: argparse.Namespace, registry: Registry) -> int:
    """Compare the methods with each other."""
    from benchmark.paper.significance_command import run

    return run(args, flags.bench_of(args, registry))


def _cell_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("methods", metavar="METHOD", help="id of a method, any case")
    parser.add_argument("datasets", metavar="DATASET", help="id of a data set, any case")
    parser.add_argument("metric", metavar="METRIC", help="id of a metric, any case, such as macro_auc")
    parser.add_argument("--seeds", help=f"{flags.SEEDS}; default: the profile's")
    flags.add_places(parser)
    _source_flags(parser)


def explain(args: argparse.Namespace, registry: Registry) -> int:
    """Trace one number back."""
    from benchmark.paper.explain import run

    return run(args, flags.bench_of(args, registry))


COMMANDS = {
    "compare": Command(
        "say of each printed cell and each claim of the paper whether it was reproduced",
        _judging_flags,
        compare,
    ),
    "significance": Command(
        "compare the methods with each other: ranks over data sets, or paired tests on each",
        _judging_flags,
        significance,
    ),
    "explain": Command(
        "trace one number back to its records, settings, data and the paper's own number",
        _cell_flags,
        explain,
    ),
}
