"""The command line: the table of commands, and how arguments and faults are answered; it computes nothing.

Each room lists its own commands, with their flags, in its `command` module.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

from benchmark.audit import command as audit
from benchmark.data import command as data
from benchmark.drift import command as drift
from benchmark.exit_codes import CANNOT, INTERRUPTED, OK
from benchmark.paper import command as paper
from benchmark.report import command as report
from benchmark.run import command as run
from benchmark.run.flags import with_what_the_user_brings
from benchmark.studies.ablate import command as ablate
from benchmark.studies.beyond import command as beyond
from benchmark.studies.speed import command as speed
from benchmark.tables import command as tables
from benchmark.words import one_line, show_every_character

if TYPE_CHECKING:
    from benchmark.registry import Registry

COMMANDS = {
    name: command
    for room in (tables, run, data, drift, paper, audit, report, ablate, beyond, speed)
    for name, command in room.COMMANDS.items()
}

GROUPS = {
    "run": ("run", "data", "check-method", "verify", "clean"),
    "look": ("report", "tables", "status", "explain", "factors", "conventions"),
    "judge": ("compare", "significance", "drift", "reference", "audit"),
    "study": ("ablate", "beyond", "speed"),
}
"""The commands by what one wants, as `--help` lists them; one that is new stands here too."""
HELP = """Run M3LA and its baselines, write the paper's tables, say what reproduces.

  python run_all.py --profile quick               all of it once, in minutes
  python run_all.py --datasets all --seeds 10     the paper's protocol, in hours
"""

PLUGINS = "m3la_reproducibility.methods"
"""Group of entry points, each the dotted name of a module that declares METHODS."""


class _Parser(argparse.ArgumentParser):
    """Answers a wrong flag or value in one line that says how to mend it."""

    def error(self, message: str) -> NoReturn:
        self.exit(CANNOT, f"{self.prog}: {one_line(_in_full(message))}\n")


def _in_full(message: str) -> str:
    """Say what argparse leaves out: what to do about it."""
    wordings = {
        "expected one argument": "needs a value, and none was given",
        "the following arguments are required": "missing, and needed",
    }
    for bare, full in wordings.items():
        message = message.replace(bare, full)
    return message.removeprefix("argument ") + "; see --help"


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of all commands."""
    listed = [
        f"{group}\n" + "".join(f"  {name:14}{COMMANDS[name].summary}\n" for name in names)
        for group, names in GROUPS.items()
    ]
    parser = _Parser(
        prog="run_all.py",
        usage="run_all.py [COMMAND] [FLAG ...]",
        description="\n".join([HELP, *listed]),
        epilog="Flags of a command: run_all.py run --help. Flags alone are those of run.\n"
        "Exit codes: 0 fine, 1 a finding or failed jobs, 2 cannot run or judge,\n130 interrupted.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
        allow_abbrev=False,
    )
    parser.add_argument("-h", "--help", action="help", help=argparse.SUPPRESS)
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="COMMAND", help=argparse.SUPPRESS, parser_class=_Parser
    )
    for name, command in COMMANDS.items():
        prog = f"{parser.prog} {name}"
        sub = commands.add_parser(name, prog=prog, description=command.summary, allow_abbrev=False)
        sub.set_defaults(parser=sub)
        command.add_flags(sub)
    return parser


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
    show_every_character(sys.stdout, sys.stderr)
    arguments = list(sys.argv[1:] if argv is None else argv)
    if not arguments or (arguments[0].startswith("-") and arguments[0] not in ("-h", "--help")):
        arguments.insert(0, "run")
    parser = build_parser()
    try:
        if arguments[0] not in (*COMMANDS, "-h", "--help"):
            parser.error(_unknown("command", arguments[0], tuple(COMMANDS)))
        args, unknown = parser.parse_known_args(arguments)
        if unknown:
            flags = [option for action in args.parser._actions for option in action.option_strings]
            args.parser.error(_unknown("argument", unknown[0].partition("=")[0], flags))
    except SystemExit as stop:
        return int(stop.code or 0)
    try:
        with _ended_by_sigterm_as_by_ctrl_c():
            found = with_what_the_user_brings(args, _discovered() if registry is None else registry)
            return COMMANDS[args.command].run(args, found)
    except KeyboardInterrupt:
        print("interrupted; the same command starts again, and keeps what had been finished", file=sys.stderr)
        return INTERRUPTED
    except BrokenPipeError:  # whoever reads our output, such as `head`, has enough of it
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # or Python complains at exit
        return OK
    except Exception as error:
        if not isinstance(error, _errors_to_act_on()):
            raise
        print(f"run_all.py: {one_line(error)}", file=sys.stderr)
        return CANNOT


@contextmanager
def _ended_by_sigterm_as_by_ctrl_c() -> Iterator[None]:
    """Let SIGTERM, once, raise `KeyboardInterrupt`: who ends at once leaves semaphores and folders behind."""

    def interrupt(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():  # only there can it be heard
        yield
        return
    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _discovered() -> Registry:
    from importlib.metadata import entry_points

    from benchmark.registry import discover

    registry = discover()
    for point in entry_points(group=PLUGINS):
        from benchmark.run.check_method import declared_methods

        registry = registry.with_methods(declared_methods(point.value, registry))
    return registry


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
