"""The commands that look at jobs and methods without running any; heavy imports wait for the call."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmark.exit_codes import FINDING, OK
from benchmark.run import flags
from benchmark.run.flags import Command

if TYPE_CHECKING:
    from benchmark.registry import Registry


def _status_flags(parser: argparse.ArgumentParser) -> None:
    flags.add_choice(parser)
    flags.add_places(parser)


def status(args: argparse.Namespace, registry: Registry) -> int:
    """Show done, missing, failed and stale jobs."""
    from benchmark.run.describe import describe_failures, describe_status

    bench = flags.bench_of(args, registry)
    inventory = bench.inventory()
    print(describe_status(inventory, bench.seeds))
    if text := describe_failures(inventory):
        print(text)
        return FINDING
    return OK


def _factors_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", metavar="NAMES", help=flags.NAMES)


def factors(args: argparse.Namespace, registry: Registry) -> int:
    """List the choices that papers leave open."""
    from benchmark.registry import select
    from benchmark.run.factors import collect_factors, describe_factors

    chosen = select(args.methods, tuple(registry.methods), "method")
    print(describe_factors(collect_factors(registry.methods[name] for name in chosen.ids)))
    return OK


COMMANDS = {
    "status": Command(
        "show done, missing, failed and stale jobs per data set and method", _status_flags, status
    ),
    "factors": Command(
        "list the choices that the papers leave open, with levels, default and source",
        _factors_flags,
        factors,
    ),
}
