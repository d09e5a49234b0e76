"""The commands that end in tables: run, tables, conventions; heavy imports wait for the call.

What a run writes beside tables is for `benchmark.report.command`, which has the command itself.
"""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.exit_codes import FINDING, INTERRUPTED, OK
from benchmark.run import flags
from benchmark.run.flags import Command

if TYPE_CHECKING:
    from benchmark.registry import Registry
    from benchmark.run.bench import Bench
    from benchmark.run.config import Running
    from benchmark.run.devices import DevicePool
    from benchmark.run.plan import Plan
    from benchmark.run.pool import Summary
    from benchmark.tables.results import Results


def _choice_flags(parser: argparse.ArgumentParser) -> None:
    flags.add_choice(parser)
    flags.add_places(parser)


def _tables_flags(parser: argparse.ArgumentParser) -> None:
    _choice_flags(parser)
    parser.add_argument(
        "--reference",
        action="store_true",
        help="tables of results/reference/<profile>/, beside its folders, instead of current records",
    )


def run_flags(parser: argparse.ArgumentParser) -> None:
    _choice_flags(parser)
    flags.add_running(parser)
    more = parser.add_argument_group("how much")
    more.add_argument(
        "--time-budget",
        metavar="TIME",
        help="run what fits into TIME (2h, 90m, 1h30m), seed by seed, stop then, and name what is left out",
    )
    more.add_argument("--dry-run", action="store_true", help="print the plan and stop")


def run(args: argparse.Namespace, registry: Registry, write_page: Callable[[Bench], Path]) -> int:
    """Run what is missing, then write the tables and the page; with --dry-run only say what that would be."""
    from rich.console import Console

    from benchmark.run.describe import describe_fractions, describe_plan, describe_start
    from benchmark.run.devices import available_pool
    from benchmark.run.pool import run_plan
    from benchmark.run.progress import Progress

    started = time.time()
    bench, running = flags.bench_of(args, registry), flags.running_of(args)
    devices = available_pool(running.local_device)
    if not args.dry_run:
        bench.store.require_writable()  # before hours of work rather than after
    plan = _plan(bench, running, devices)
    describe = describe_plan if args.dry_run else describe_start
    print("\n".join(filter(None, [describe(plan, running), describe_fractions(plan, running)])), flush=True)
    if args.dry_run:
        return OK
    progress = Progress(plan.to_run(), running.jobs, Console(), plan.accelerators)
    end = None if running.time_budget is None else started + running.time_budget
    summary = run_plan(plan, bench, running, devices, progress, end)
    if summary.interrupted:
        print(
            "interrupted; finished jobs are kept, and the same command goes on from there; tables of them: "
            f"{bench.command('tables')}",
            file=sys.stderr,
        )
        return INTERRUPTED
    return _end(args, bench, plan, summary, time.time() - started, write_page)


def _plan(bench: Bench, running: Running, devices: DevicePool) -> Plan:
    """Plan what is missing, after methods from outside have shown that they keep their promises."""
    from benchmark.run.budget import within_budget
    from benchmark.run.check_method import require_promises
    from benchmark.run.plan import make_plan
    from benchmark.run.times import Machine

    outsiders = [
        bench.registry.methods[name] for name in bench.methods.ids if name in bench.registry.outsiders
    ]
    require_promises(outsiders, tuple(bench.registry.datasets))
    plan = make_plan(bench, retry_failed=running.retry_failed, machine=Machine.of(running, devices))
    if running.time_budget is None:
        return plan
    return within_budget(plan, running.cores, running.time_budget)


def _end(
    args: argparse.Namespace,
    bench: Bench,
    plan: Plan,
    summary: Summary,
    seconds: float,
    write_page: Callable[[Bench], Path],
) -> int:
    """Write tables and page after a run, and say in at most 25 lines what it came to and what to do next."""
    from benchmark.run.describe import (
        describe_failures,
        describe_left_out,
        describe_missing,
        describe_outcome,
    )
    from benchmark.tables.captions import profile_sentence
    from benchmark.tables.summary import best_rows

    inventory = bench.inventory()
    # First, as a full disk ends what follows; nor does a run of nothing look as if it hung.
    print(f"\n{describe_outcome(inventory, summary.counts, seconds)}; writing tables and page", flush=True)
    results, _, code = _write_tables(bench, everything=True)
    lines = [
        *best_rows(results),
        profile_sentence(results),
        "",
        f"tables: {bench.tables_dir}; to print them: {bench.command('tables')}",
    ]
    if len(results.as_printed):
        lines.append(f"the page: {write_page(bench)}; open it in a browser")
    left_out = plan.without_time(summary.left_out)
    if left_out:
        lines.append(describe_left_out(left_out, most=3))
    print("\n".join(lines))
    tracebacks = f"{bench.command('status')} --tracebacks"
    if text := describe_failures(inventory, summary.failures, tracebacks=tracebacks, most=3):
        print(text, file=sys.stderr)
        return FINDING
    late = {planned.job for planned in left_out}
    if missing := [slot for slot in inventory.slots if slot.state == "missing" and slot.job not in late]:
        print(describe_missing(missing, bench.command("run"), most=3), file=sys.stderr)
        return FINDING
    print(f"next, {_what_next(args, bench, results)}")
    return code


def _what_next(args: argparse.Namespace, bench: Bench, results: Results) -> str:
    """Return what looks further than a run, and the command that does."""
    from benchmark.contracts import Provenance

    real = [listed for listed in results.datasets if listed.provenance is not Provenance.LOOK_ALIKE]
    run = [listed for listed in real if listed.id in set(results.as_printed["dataset"])]
    if any(bench.profile.limits_for(listed.id).cut for listed in run):
        command = ["python", "run_all.py", "--datasets", ",".join(listed.id for listed in run)]
        command += [*(["--data", args.data] if args.data else []), "--dry-run"]
        return f"how long the printed protocol takes: {shlex.join(command)}"
    if any(listed.in_paper for listed in run):
        return f"what of the paper that reproduces: {bench.command('compare')}"
    return f"which method is better than which: {bench.command('significance')}"


def tables(args: argparse.Namespace, registry: Registry) -> int:
    """Write the tables of the chosen records or references again, and print the main ones."""
    from benchmark.tables.write import main_tables

    bench = flags.bench_of(args, registry)
    if args.reference:
        return _tables_of_references(bench)
    results, files, code = _write_tables(bench, everything=False)
    print(main_tables(results, files))
    print(f"wrote {len(files)} files to {bench.tables_dir}")
    return code


def _tables_of_references(bench: Bench) -> int:
    """Print the tables of the references, and write them if they are of all that these hold."""
    from benchmark.tables.accepted import left_out_of_references, read_references
    from benchmark.tables.write import main_tables, render_layouts, write_texts

    results = read_references(bench)
    files = render_layouts(results)
    print(main_tables(results, files))
    if left_out := left_out_of_references(bench):
        print(f"nothing is written: {left_out}")
    else:
        write_texts(files, bench.references_dir)
        print(f"wrote {len(files)} files to {bench.references_dir}")
    return OK


def _write_tables(bench: Bench, *, everything: bool) -> tuple[Results, dict[str, str], int]:
    """Write the tables of all recorded pairs, or of those that the flags choose.

    Returns
    -------
    results, files, code
        What the tables are made of, their texts by name, and whether a record could not be read.

    Raises
    ------
    ConfigError
        If there is no record to make a table of.
    """
    from benchmark.run.describe import describe_mixed_versions
    from benchmark.run.lacking import no_records
    from benchmark.tables.results import results_of
    from benchmark.tables.write import write_all

    pairs = bench.recorded_pairs(everything=everything)
    inventory = bench.inventory(pairs)
    if not inventory.records() and not everything:
        raise no_records(bench, len(inventory.stale))
    reason = "not run" if everything else "not run, or left out by --datasets or --methods"
    results, unreadable = results_of(bench, inventory, reason)
    files = write_all(results, bench.tables_dir)
    if text := describe_mixed_versions(inventory.records()):
        print(text, file=sys.stderr)
    return results, files, _tell_left_out((*inventory.broken, *unreadable))


def _tell_left_out(messages: Sequence[str]) -> int:
    """Print why records are not in what was printed, and return the exit code that this asks for."""
    for message in messages:
        print(f"left out: {message}", file=sys.stderr)
    return FINDING if messages else OK


def _conventions_flags(parser: argparse.ArgumentParser) -> None:
    _choice_flags(parser)
    flags.add_json(parser)


def conventions(args: argparse.Namespace, registry: Registry) -> int:
    """Print the metrics of the chosen records under every convention.

    Raises
    ------
    ConfigError
        If no current record of the chosen methods and data sets is finished.
    """
    import json

    from benchmark.run.lacking import no_records
    from benchmark.tables.conventions import conventions_of, render_conventions

    bench = flags.bench_of(args, registry)
    inventory = bench.inventory(bench.recorded_pairs())
    if not any(record.status == "done" for record in inventory.records()):
        raise no_records(bench, len(inventory.stale))
    summary, unreadable = conventions_of(bench, inventory)
    if args.json:
        undefined_as_none = summary.astype(object).where(summary.notna(), None)
        print(json.dumps(undefined_as_none.to_dict("records"), indent=1))
    else:
        print(render_conventions(summary, tuple(registry.methods.values())).rstrip("\n"))
    return _tell_left_out((*inventory.broken, *unreadable))


COMMANDS = {
    "tables": Command("print the tables, and write them again from the records", _tables_flags, tables),
    "conventions": Command(
        "print the records' metrics under other libraries' rules",
        _conventions_flags,
        conventions,
    ),
}
