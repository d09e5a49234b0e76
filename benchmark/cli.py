"""The command line: each command parses, calls one function, prints; it computes nothing itself.

Heavy imports wait until a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from benchmark.audit import command as audit_command
from benchmark.drift import command as drift_command
from benchmark.exit_codes import CANNOT, INTERRUPTED, OK
from benchmark.studies.ablate import command as ablate_command
from benchmark.studies.speed import command as speed_command

if TYPE_CHECKING:
    from benchmark.registry import Registry
    from benchmark.run.config import RunConfig

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
        epilog="Flags without a command belong to run: see run_all.py run --help. "
        "Exit codes: 0 fine, 1 a finding or failed jobs, 2 cannot run or judge, 130 interrupted.",
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND", parser_class=_Parser)
    for name, text in _COMMANDS.items():
        sub = commands.add_parser(name, help=text, description=text, allow_abbrev=False)
        sub.set_defaults(parser=sub)
        if name == "factors":
            sub.add_argument("--methods", metavar="NAMES", help=_NAMES_HELP)
            continue
        if name == "audit":
            audit_command.add_arguments(sub)
            continue
        if name == "speed":
            speed_command.add_arguments(sub)
            continue
        if name == "ablate":
            ablate_command.add_arguments(sub)
            continue
        _add_selection(sub, one_cell=name == "explain")
        if name == "conventions":
            sub.add_argument("--json", action="store_true", help="print for programs")
        if name == "run":
            _add_running(sub)
        if name == "reference":
            drift_command.add_refit_arguments(sub)
        if name == "drift":
            drift_command.add_arguments(sub)
        if name in _JUDGING:
            _add_judging(sub)
    return parser


_COMMANDS = {
    "run": "run what is missing, then write the tables (the default command)",
    "status": "show done, missing, failed and stale jobs per data set and method",
    "tables": "write the tables again from the records",
    "reference": "write the current records' numbers to results/reference/<profile>/<data set>/",
    "factors": "list the choices that the papers leave open, with levels, default and source",
    "compare": "say of each printed cell and each claim of the paper whether it was reproduced",
    "significance": "compare the methods with each other: ranks over data sets, or paired tests on each",
    "explain": "trace one number back to its records, settings, data and the paper's own number",
    "drift": "fail where current records moved away from the reference, and say what explains it",
    "audit": "check a results table, by default the paper's, for numbers that cannot be true together",
    "ablate": "measure what M3LA's results depend on where the paper leaves the choice open",
    "speed": "time training steps against plain PyTorch programs and this machine's own rate",
    "conventions": "print the records' metrics under other libraries' rules, with soft and with hard scores",
}


_JUDGING = ("compare", "significance", "explain")
"""Commands in modules of their own, imported when called."""
_NAMES_HELP = "names and globs, comma-separated, any case; default: all"


def _add_selection(parser: argparse.ArgumentParser, *, one_cell: bool = False) -> None:
    choice = parser.add_argument_group("what")
    if one_cell:
        choice.add_argument("methods", metavar="METHOD", help="id of a method, any case")
        choice.add_argument("datasets", metavar="DATASET", help="id of a data set, any case")
        choice.add_argument("metric", metavar="METRIC", help="id of a metric, any case, such as macro_auc")
    else:
        choice.add_argument("--datasets", metavar="NAMES", help=_NAMES_HELP)
        choice.add_argument("--methods", metavar="NAMES", help=_NAMES_HELP)
    choice.add_argument("--seeds", help="10 means 0 to 9; 0-4 a range; 3,5 a list; default: the profile's")
    choice.add_argument("--profile", default="paper", help="paper (as printed; the default), quick or tiny")
    where = parser.add_argument_group("where")
    where.add_argument("--data", metavar="DIR", help="your own features; default: $M3LA_DATA, else a cache")
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
    how.add_argument(
        "--time-budget",
        metavar="TIME",
        help="run what fits into TIME (2h, 90m, 1h30m), seed by seed, and name what is left out",
    )
    how.add_argument(
        "--batch-seeds",
        metavar="N",
        type=int,
        nargs="?",
        const=sys.maxsize,
        default=1,
        help="train up to N seeds of a method on a data set as one job, side by side, where the method can "
        "(M3LA); without N all of them; for accelerators, no gain on a CPU",
    )
    how.add_argument("--dry-run", action="store_true", help="print the plan and stop")


def _add_judging(parser: argparse.ArgumentParser) -> None:
    how = parser.add_argument_group("how")
    how.add_argument(
        "--reference",
        action="store_true",
        help="judge results/reference/<profile>/<data set>/ instead of current records",
    )
    how.add_argument("--json", action="store_true", help="print for programs")


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
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments.insert(0, "run")
    parser = build_parser()
    try:
        if arguments[0] not in (*_COMMANDS, "-h", "--help"):
            parser.error(_unknown("command", arguments[0], tuple(_COMMANDS)))
        args, unknown = parser.parse_known_args(arguments)
        if unknown:
            flags = [option for action in args.parser._actions for option in action.option_strings]
            args.parser.error(_unknown("argument", unknown[0].partition("=")[0], flags))
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        return _HANDLERS[args.command](args, registry)
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads our output, such as `head`, has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at exit
        return OK
    except Exception as error:
        if not isinstance(error, _errors_to_act_on()):
            raise
        print(f"run_all.py: {error}", file=sys.stderr)
        return CANNOT


def _errors_to_act_on() -> tuple[type[Exception], ...]:
    """Return the errors whose message is enough; any other is a fault of the program and keeps its trace."""
    from benchmark.registry import RegistryError
    from benchmark.run.backends import BackendError
    from benchmark.run.fingerprint import FingerprintError

    # ValueError: ConfigError, SelectionError, DeviceError, DataError, RecordError.
    return ValueError, OSError, BackendError, FingerprintError, RegistryError


def _unknown(kind: str, word: str, known: Sequence[str]) -> str:
    from benchmark.registry import suggestion

    return f"unknown {kind} {word!r}{suggestion(word, known)} (there are: {', '.join(known)})"


def _config(args: argparse.Namespace, registry: Registry) -> RunConfig:
    from benchmark.run import config
    from datasets._base import data_directory

    running = {
        name: getattr(args, name)
        for name in ("jobs", "device", "backend", "retry_failed", "time_budget", "batch_seeds")
        if name in args
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


def _factors(args: argparse.Namespace, registry: Registry | None) -> int:
    from benchmark.factors import collect_factors, describe_factors
    from benchmark.registry import select

    methods = _registry(registry).methods
    chosen = select(args.methods, tuple(methods), "method")
    print(describe_factors(collect_factors(methods[name] for name in chosen.ids)))
    return OK


def _imported(module: str, function: str = "run", *, selects: bool = True) -> Command:
    """Return a command, imported when called; one that selects gets a `RunConfig`."""

    def command(args: argparse.Namespace, registry: Registry | None) -> int:
        found = _registry(registry)
        called = getattr(importlib.import_module(f"benchmark.{module}"), function)
        return int(called(args, found, _config(args, found)) if selects else called(args, found))

    return command


_HANDLERS: dict[str, Command] = {
    "factors": _factors,
    **{name: _imported("tables.command", name) for name in ("run", "status", "tables", "reference")},
    "drift": _imported("drift.command"),
    "conventions": _imported("tables.conventions_command"),
    "compare": _imported("paper.compare"),
    "significance": _imported("paper.significance_command"),
    "explain": _imported("paper.explain"),
    "audit": _imported("audit.command", selects=False),
    "speed": _imported("studies.speed.command", selects=False),
    "ablate": _imported("studies.ablate.command", selects=False),
}
