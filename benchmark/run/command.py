"""The commands that look at jobs and methods but run no job; heavy imports wait for the call."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from benchmark.exit_codes import FINDING, OK
from benchmark.run import flags
from benchmark.run.flags import Command

if TYPE_CHECKING:
    from benchmark.registry import Registry
    from benchmark.run.bench import Bench


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
    return FINDING if inventory.broken else OK


def _verify_flags(parser: argparse.ArgumentParser) -> None:
    flags.add_choice(parser)
    flags.add_places(parser)
    parser.add_argument(
        "--bitwise",
        metavar="N",
        type=flags.whole_number(),
        help="also run N of the finished jobs again, drawn at random, and compare every bit of their arrays",
    )
    flags.add_jobs(parser)


def verify(args: argparse.Namespace, registry: Registry) -> int:
    """Check every record below the results folder, and say what lies beside them.

    Raises
    ------
    ConfigError
        If there is no record.
    """
    from benchmark.run.lacking import no_records
    from benchmark.run.verify import survey

    bench = flags.bench_of(args, registry)
    found = survey(bench)
    if not found.counts["records"]:
        raise no_records(bench)
    print(", ".join(f"{number} {what}" for what, number in found.counts.items()))
    for fault in found.faults:
        print(f"damaged: {fault}")
    for left in found.leftovers:
        print(f"left over: {left.path}: {left.why}")
    if found.leftovers:
        choice = flags.chosen(args, [name for name in flags.CHOICE if name not in ("seeds", "yes")])
        print(f"to remove what is left over: python run_all.py clean {choice}".rstrip())
    if found.faults:
        print(f"to replace what is damaged, run again: {bench.command('run')}")
    repeated = _repeat(bench, args) if args.bitwise else OK
    return FINDING if found.faults else repeated


def _repeat(bench: Bench, args: argparse.Namespace) -> int:
    """Run some finished jobs again and name those of which a bit differs."""
    import random

    from rich.console import Console

    from benchmark.run.config import Running
    from benchmark.run.lacking import no_records
    from benchmark.run.progress import Progress
    from benchmark.run.verify import can_be_repeated, differing, planned

    slots = [slot for slot in bench.inventory(bench.recorded_pairs()).slots if can_be_repeated(slot)]
    if not slots:
        raise no_records(bench, otherwise="only jobs that ran alone on a CPU are repeated; ")
    drawn = random.SystemRandom().sample(slots, min(args.bitwise, len(slots)))
    running = Running.of(jobs=args.jobs, device="cpu")
    found = differing(bench, drawn, running, Progress(planned(drawn), running.jobs, Console()))
    for job, how in found.items():
        print(f"differs: {job.dataset} {job.method} seed {job.seed}: {how}")
    print(f"{len(drawn) - len(found)} of {len(drawn)} jobs gave the same bits again")
    return FINDING if found else OK


def _clean_flags(parser: argparse.ArgumentParser) -> None:
    flags.add_names(parser)
    flags.add_places(parser)
    parser.set_defaults(seeds=None)
    parser.add_argument(
        "--stale",
        action="store_true",
        help="also what was recorded with other code, options or data than the chosen profile has now",
    )
    parser.add_argument("--yes", action="store_true", help="remove what is named")


def clean(args: argparse.Namespace, registry: Registry) -> int:
    """Name what no command reads, and remove it where --yes says so."""
    from benchmark.run.leftovers import leftovers, stale_checkpoints, stale_leftovers, stores_in

    bench = flags.bench_of(args, registry)
    named = [left for store in stores_in(bench) for left in leftovers(store)]
    if args.stale:
        named += stale_leftovers(bench.store, bench.inventory(bench.recorded_pairs()).stale)
        named += stale_checkpoints(bench)
    if args.datasets:
        named = [left for left in named if left.job.dataset in bench.datasets.ids]
    if args.methods:
        named = [left for left in named if left.job.method in bench.methods.ids]
    for left in named:
        print(f"{left.path}: {left.why}")
    if not named:
        print(f"{bench.results_dir} holds nothing to remove")
    elif not args.yes:
        stale = " --stale" if args.stale else ""
        print(f"to remove these {len(named)}: {bench.command('clean')}{stale} --yes")
    else:
        kept = [left.path for left in named if not left.remove()]
        print(f"removed {len(named) - len(kept)} of {len(named)}")
        for path in kept:
            print(f"kept, as a process is at its job now: {path}")
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
    "verify": Command("check that records are whole, and repeat to the bit", _verify_flags, verify),
    "clean": Command("name and remove what killed runs left", _clean_flags, clean),
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
