"""The commands that look at jobs and methods but run no job; heavy imports wait for the call."""

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
    parser.add_argument("--tracebacks", action="store_true", help="print the traceback of each failed job")


def status(args: argparse.Namespace, registry: Registry) -> int:
    """Show done, missing, failed and stale jobs."""
    from benchmark.run.describe import describe_failures, describe_status, describe_tracebacks

    bench = flags.bench_of(args, registry)
    inventory = bench.inventory()
    print(describe_status(inventory, bench.seeds))
    if missing := sum(slot.state == "missing" for slot in inventory.slots):
        print(f"{missing} jobs are missing; to run them: {bench.command('run')}")
    tracebacks = f"{bench.command('status')} --tracebacks"
    if text := describe_failures(inventory, tracebacks=tracebacks):
        print(describe_tracebacks(inventory) if args.tracebacks else text)
        return FINDING
    return OK


def _factors_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--methods", metavar="NAMES", help=flags.NAMES)
    flags.add_plugin(parser)


def factors(args: argparse.Namespace, registry: Registry) -> int:
    """List the choices that papers leave open."""
    from benchmark.run.factors import collect_factors, describe_factors

    chosen = registry.select_methods(args.methods)
    print(describe_factors(collect_factors(registry.methods[name] for name in chosen.ids)))
    return OK


def _check_method_flags(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "file", metavar="FILE", help="a Python file or module with METHODS, such as baselines/my_method.py"
    )


def check_method(args: argparse.Namespace, registry: Registry) -> int:
    """Print one line for each check of each method that a file declares."""
    from benchmark.run.check_method import check_method, declared_methods

    code = OK
    for spec in declared_methods(args.file, registry):
        for check, problem in check_method(spec, tuple(registry.datasets)):
            print(f"FAIL  {spec.id}: {check}: {problem}" if problem else f"ok    {spec.id}: {check}")
            code = FINDING if problem else code
    return code


COMMANDS = {
    "status": Command("show which jobs are done, missing, failed or stale", _status_flags, status),
    "factors": Command(
        "list what the papers leave open, with default and source",
        _factors_flags,
        factors,
    ),
    "check-method": Command(
        "check what the methods of a file promise",
        _check_method_flags,
        check_method,
    ),
}
