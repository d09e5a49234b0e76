"""The commands drift and reference; heavy imports wait for the call."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.exit_codes import FINDING, OK
from benchmark.run import flags
from benchmark.run.flags import Command

if TYPE_CHECKING:
    from collections.abc import Iterable

    from benchmark.contracts import Record
    from benchmark.drift.accept import Refitting
    from benchmark.registry import Registry
    from benchmark.run.bench import Bench


def _drift_flags(parser: argparse.ArgumentParser) -> None:
    flags.add_choice(parser)
    flags.add_places(parser)
    flags.add_json(parser)
    parser.add_argument("--junit", metavar="FILE", type=Path, help="write the outcome as JUnit XML")
    parser.add_argument("--summary", metavar="FILE", type=Path, help="write the outcome as Markdown")
    accept = parser.add_argument_group("accepting")
    accept.add_argument("--accept", action="store_true", help="make the current records the reference")
    accept.add_argument("--reason", metavar="TEXT", help="why; kept in accepted.md beside the reference")
    _refit_flags(parser)


def _refit_flags(parser: argparse.ArgumentParser) -> None:
    """Declare the flags that measure refit noise, for a reference that is being written."""
    refits = parser.add_argument_group("refit noise, stored with a reference")
    refits.add_argument(
        "--refit-noise",
        type=flags.whole_number(least=0, most=1_000),
        metavar="N",
        help="fit every method N times more per split, with other seeds of its own; resumable",
    )
    refits.add_argument(
        "--refit-seeds", metavar="SEEDS", help="splits to refit on; default: those of before, else all"
    )
    flags.add_running(parser, "refits")


def _refitting(args: argparse.Namespace) -> Refitting:
    """Return how the flags want refits to be measured."""
    from benchmark.drift.accept import Refitting
    from benchmark.registry import parse_seeds

    seeds = None if args.refit_seeds is None else parse_seeds(args.refit_seeds, yes=args.yes)
    return Refitting(args.refit_noise, seeds, flags.running_of(args))


def drift(args: argparse.Namespace, registry: Registry) -> int:
    """Judge the current records, or accept them."""
    import json

    from benchmark.drift.accept import accept
    from benchmark.drift.gather import gather
    from benchmark.drift.judge import judge
    from benchmark.drift.text import as_json, drift_text, junit
    from benchmark.files import write_text
    from benchmark.run.config import ConfigError

    bench = flags.bench_of(args, registry)
    if args.accept:
        print("\n".join(accept(bench, args.reason or "", _refitting(args))))
        return OK
    unused = [flag for flag in ("reason", "refit_noise", "refit_seeds") if getattr(args, flag) is not None]
    if unused:
        raise ConfigError(f"--{unused[0].replace('_', '-')} goes with --accept")
    both, messages = gather(bench)
    outcome = judge(both)
    name = bench.with_sources(f"profile {bench.profile.name}")
    print(json.dumps({"of": name, **as_json(outcome)}, indent=1) if args.json else drift_text(outcome, name))
    for path, text in ((args.junit, junit(outcome, name)), (args.summary, drift_text(outcome, name))):
        if path is not None:
            write_text(path, text)
    for message in messages:
        print(message, file=sys.stderr)
    if lacking := sum(bool(reason) for reason in both.missing.values()):
        print(
            f"{lacking} methods without current numbers; to make them: {bench.command('run')}",
            file=sys.stderr,
        )
    elif outcome.exit_code == FINDING:
        print(f"if the change is meant: {bench.command('drift')} --accept --reason TEXT", file=sys.stderr)
    return outcome.exit_code


def _reference_flags(parser: argparse.ArgumentParser) -> None:
    flags.add_choice(parser)
    flags.add_places(parser)
    _refit_flags(parser)


def reference(args: argparse.Namespace, registry: Registry) -> int:
    """Write the numbers of current records to the references of their data sets."""
    from benchmark.run.describe import describe_mixed_versions
    from benchmark.tables.accepted import accepted_of, read_accepted, write_reference
    from benchmark.tables.results import results_of

    bench = flags.bench_of(args, registry)
    code = OK
    for dataset in bench.datasets.ids:
        inventory = bench.inventory([pair for pair in bench.chosen_pairs() if pair[0] == dataset])
        results, unreadable = results_of(bench, inventory)
        n_jobs = len(inventory.slots)
        not_done = sum(slot.state != "done" for slot in inventory.slots) + len(unreadable)
        if not_done == n_jobs:
            print(
                f"{dataset}: no finished job at profile {bench.profile.name}; nothing written; to run them: "
                f"{bench.command('run')}",
                file=sys.stderr,
            )
            code = FINDING
            continue
        folder = bench.references_dir / dataset
        accepted = accepted_of(results, inventory.records())
        if others := _others(bench, folder, inventory.records()):
            accepted = accepted.beside(read_accepted(folder, results), others)
        write_reference(accepted, folder)
        if args.refit_noise is not None:
            _measure_refits(_refitting(args), bench, dataset, args.refit_noise)
        print(f"{dataset}: {n_jobs - not_done} of {n_jobs} jobs written to {folder}")
        if text := describe_mixed_versions(inventory.records()):
            print(f"{dataset}: {text}", file=sys.stderr)
        code = FINDING if not_done else code
    return code


def _others(bench: Bench, folder: Path, records: Iterable[Record]) -> set[str]:
    """Return the methods of a reference that stay where not all were asked for: those without records."""
    from benchmark.drift.reference import read_reference_folder
    from benchmark.tables.reference import PER_SEED_FILE

    if set(bench.methods.ids) == set(bench.registry.methods) or not (folder / PER_SEED_FILE).is_file():
        return set()
    return set(read_reference_folder(folder, folder.name).methods) - {record.method for record in records}


def _measure_refits(refitting: Refitting, bench: Bench, dataset: str, n: int) -> None:
    """Measure and store the refits of a data set's reference, for the chosen methods that it has."""
    from benchmark.drift.reference import read_reference_folder, write_refits

    folder = bench.references_dir / dataset
    methods = [name for name in read_reference_folder(folder, dataset).methods if name in bench.methods.ids]
    write_refits(folder, refitting.measure(bench, [(dataset, name) for name in methods], n))


COMMANDS = {
    "reference": Command(
        "make a reference of the current records' numbers",
        _reference_flags,
        reference,
    ),
    "drift": Command(
        "fail where records moved away from the reference, and say why",
        _drift_flags,
        drift,
    ),
}
