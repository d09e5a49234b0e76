"""The command line: each command parses, calls one function, prints; it computes nothing itself.

Heavy imports wait until a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from benchmark.config import RunConfig
    from benchmark.execute.store import RecordStore
    from benchmark.registry import Registry

OK, FINDING, CANNOT, INTERRUPTED = 0, 1, 2, 130
ROOT = Path(__file__).resolve().parent.parent

Command = Callable[[argparse.Namespace, "Registry | None"], int]


class _Parser(argparse.ArgumentParser):
    """Answers a wrong flag or command with the closest right one."""

    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(CANNOT, f"{self.prog}: {message}\n")


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    parser = _Parser(
        prog="run_all.py",
        description="Run M3LA and its baselines over data sets and seeds, and write the paper's tables.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name, text in _COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        if name == "factors":
            continue
        _add_selection(sub)
        if name == "run":
            _add_running(sub)
    return parser


_COMMANDS = {
    "run": "run what is missing, then write the tables (the default command)",
    "status": "show done, missing, failed and stale jobs per data set and method",
    "tables": "write the tables again from the records",
}


def _add_selection(parser: argparse.ArgumentParser) -> None:
    choice = parser.add_argument_group("what")
    choice.add_argument(
        "--datasets", metavar="NAMES", help="names and globs, comma-separated, any case; default: all"
    )
    choice.add_argument(
        "--methods", metavar="NAMES", help="names and globs, comma-separated, any case; default: all"
    )
    choice.add_argument(
        "--seeds", help="10 means seeds 0 to 9; 0-4 a range; 3,5 a list; default: the profile's"
    )
    choice.add_argument(
        "--profile", default="paper", help="paper (the printed protocol), quick or tiny; default: paper"
    )
    where = parser.add_argument_group("where")
    where.add_argument(
        "--data", metavar="DIR", help="folder of your own features; default: $M3LA_DATA, else a cache"
    )
    where.add_argument(
        "--results", metavar="DIR", type=Path, default=ROOT / "results", help="default: results/"
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("how")
    how.add_argument(
        "--jobs", type=int, metavar="N", help="jobs at a time, one thread each; default: all cores"
    )
    how.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0,1; default: auto")
    how.add_argument("--backend", default="loky", help="loky, or dask (needs the extra); default: loky")
    how.add_argument("--retry-failed", action="store_true", help="run jobs again that have failed twice")
    how.add_argument("--dry-run", action="store_true", help="print the plan and stop")


def main(argv: Sequence[str] | None = None, registry: Registry | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    argv
        Arguments without the program's name; by default those of the process.
    registry
        Methods and data sets; by default all that the project has. Tests pass their own.

    Returns
    -------
    int
        0 fine, 1 a finding or failed jobs, 2 cannot run or judge, 130 interrupted.
    """
    arguments = list(sys.argv[1:] if argv is None else argv)
    parser = build_parser()
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments.insert(0, "run")
    try:
        args, unknown = parser.parse_known_args(arguments)
        if unknown:
            parser.error(_unknown_flag(unknown[0], arguments[0]))
    except SystemExit as stop:
        return int(stop.code or 0)
    handlers: dict[str, Command] = {"run": _run, "status": _status, "tables": _tables}
    try:
        return handlers[args.command](args, registry)
    except (
        ValueError
    ) as error:  # ConfigError, SelectionError, DeviceError, DataError: the user can act on these
        print(f"run_all.py: {error}", file=sys.stderr)
        return CANNOT
    except KeyboardInterrupt:
        return INTERRUPTED


def _unknown_flag(flag: str, command: str) -> str:
    from benchmark.registry import suggestion

    flags = ["--datasets", "--methods", "--seeds", "--profile", "--data", "--results"]
    if command == "run":
        flags += ["--jobs", "--device", "--backend", "--retry-failed", "--dry-run"]
    hint = suggestion(flag.partition("=")[0], flags)
    return f"unknown argument {flag!r}{hint} (see run_all.py {command} --help)"


def _config(args: argparse.Namespace, registry: Registry) -> RunConfig:
    from benchmark import config
    from datasets._base import data_directory

    running = {
        name: getattr(args, name) for name in ("jobs", "device", "backend", "retry_failed") if name in args
    }
    return config.build(
        registry,
        profile=args.profile,
        methods=args.methods,
        datasets=args.datasets,
        seeds=args.seeds,
        data_dir=data_directory(args.data),
        results_dir=args.results,
        **running,
    )


def _registry(given: Registry | None) -> Registry:
    if given is not None:
        return given
    from benchmark.registry import discover

    return discover()


def _run(args: argparse.Namespace, registry: Registry | None) -> int:
    from rich.console import Console

    from benchmark.execute.devices import available_pool
    from benchmark.execute.plan import make_plan
    from benchmark.execute.progress import Progress
    from benchmark.execute.report import describe_failures, describe_plan
    from benchmark.execute.runner import run_plan
    from benchmark.execute.store import RecordStore

    found = _registry(registry)
    config = _config(args, found)
    store = RecordStore(config.results_dir / "runs")
    pool = available_pool(config.device)
    plan = make_plan(config, found, store)
    print(describe_plan(plan, config), flush=True)
    if args.dry_run:
        return OK
    workers = min(config.jobs, max(len(plan.to_run()), 1))
    progress = Progress(plan.to_run(), workers, Console())
    summary = run_plan(plan, config, store, pool, progress)
    if summary.interrupted:
        print("interrupted; finished jobs are kept, and the same command goes on from there", file=sys.stderr)
        return INTERRUPTED
    _write_tables(config, found, store)
    if text := describe_failures(make_plan(config, found, store)):
        print(text, file=sys.stderr)
        return FINDING
    return OK


def _status(args: argparse.Namespace, registry: Registry | None) -> int:
    from benchmark.execute.plan import make_plan
    from benchmark.execute.report import describe_failures, describe_status
    from benchmark.execute.store import RecordStore

    found = _registry(registry)
    config = _config(args, found)
    plan = make_plan(config, found, RecordStore(config.results_dir / "runs"))
    print(describe_status(plan, config))
    if text := describe_failures(plan):
        print(text)
        return FINDING
    return OK


def _tables(args: argparse.Namespace, registry: Registry | None) -> int:
    from benchmark.execute.store import RecordStore

    found = _registry(registry)
    config = _config(args, found)
    _write_tables(config, found, RecordStore(config.results_dir / "runs"))
    return OK


def _write_tables(config: RunConfig, registry: Registry, store: RecordStore) -> None:
    from benchmark.execute.collect import per_seed_frame
    from benchmark.execute.plan import make_plan

    plan = make_plan(config, registry, store)
    frame = per_seed_frame(plan, store)
    if len(frame):
        means = frame.pivot_table(index=["dataset", "metric"], columns="method", values="value", sort=False)
        print(means.round(3).to_markdown())
