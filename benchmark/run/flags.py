"""What a command is, and the flags that several commands share, each declared once; it runs no command.

Heavy imports wait until a command runs, so that `--help` answers at once.
"""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from benchmark.registry import Registry
    from benchmark.run.bench import Bench
    from benchmark.run.config import Running

ROOT = Path(__file__).resolve().parents[2]
NAMES = "names and globs, comma-separated, any case; default: all"
MOST_JOBS = 1_024
SEEDS = "10 means 0 to 9; 0-4 a range; 3,5 a list"


@dataclass(frozen=True)
class Command:
    """One command of the command line; a room's `command` module lists its own in `COMMANDS`."""

    summary: str
    add_flags: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace, Registry], int]
    """Returns one of `benchmark.exit_codes`."""


def add_choice(parser: argparse.ArgumentParser) -> None:
    """Declare which methods, data sets and seeds a command is about."""
    add_seeds(add_names(parser))


def add_names(parser: argparse.ArgumentParser) -> argparse._ActionsContainer:
    """Declare which methods and data sets a command is about, and return the group of these flags."""
    choice = parser.add_argument_group("what")
    choice.add_argument("--datasets", metavar="NAMES", help=NAMES)
    choice.add_argument("--methods", metavar="NAMES", help=NAMES)
    add_plugin(choice)
    return choice


def add_plugin(parser: argparse._ActionsContainer) -> None:
    """Declare files with further methods."""
    parser.add_argument(
        "--plugin",
        metavar="FILE",
        action="append",
        default=[],
        help="also take the methods that a Python file of yours declares; may be given again",
    )


def add_seeds(parser: argparse._ActionsContainer, default: str | None = None) -> None:
    """Declare the seeds, and that many of them are meant."""
    otherwise = default or "the profile's"
    parser.add_argument("--seeds", default=default, help=f"{SEEDS}; default: {otherwise}")
    parser.add_argument("--yes", action="store_true", help="more than 1,000 seeds are meant")


def add_places(parser: argparse.ArgumentParser) -> None:
    """Declare the profile, and where features and results are."""
    where = parser.add_argument_group("where")
    where.add_argument(
        "--profile", default="paper", help="paper (as printed), beyond, quick or tiny; default: %(default)s"
    )
    add_data(where)
    where.add_argument(
        "--allow-leak",
        action="store_true",
        help="also take seeds that test on rows which your features were fitted on, and mark every number",
    )
    where.add_argument(
        "--form",
        choices=("fast", "reference"),
        default="fast",
        help="fast, or reference: M3LA, DMP and MCC run on their readable reference; default: fast",
    )
    where.add_argument(
        "--results", metavar="DIR", type=Path, default=ROOT / "results", help="default: results/"
    )


def add_data(parser: argparse._ActionsContainer) -> None:
    """Declare where the user's features are."""
    parser.add_argument("--data", metavar="DIR", help="your own features; default: $M3LA_DATA, else a cache")


def add_running(parser: argparse.ArgumentParser, what: str = "jobs") -> None:
    """Declare how jobs, or what a command calls so, are run."""
    how = parser.add_argument_group("how")
    add_jobs(how, what)
    how.add_argument("--device", default="auto", help="auto, cpu, cuda, cuda:0,1; default: auto")
    how.add_argument("--backend", default="loky", help="loky, or dask (needs the extra); default: loky")
    how.add_argument(
        "--scheduler",
        metavar="ADDRESS",
        help="with --backend dask: run on this cluster, one job at a time on each worker",
    )
    how.add_argument("--retry-failed", action="store_true", help=f"run {what} again that have failed twice")
    how.add_argument(
        "--fail-fast", action="store_true", help=f"start no more {what} after the first that fails"
    )
    how.add_argument(
        "--job-timeout", metavar="TIME", help=f"stop each of the {what} after TIME (90m, 45s); default: never"
    )
    how.add_argument(
        "--job-memory",
        metavar="SIZE",
        help=f"stop each of the {what} that uses more memory than SIZE (2G, 500M); default: never",
    )


def add_jobs(parser: argparse._ActionsContainer, what: str = "jobs") -> None:
    """Declare how many jobs run at a time."""
    parser.add_argument(
        "--jobs",
        type=whole_number(most=MOST_JOBS),
        metavar="N",
        help=f"{what} at a time, one thread each; default: all cores",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare output for programs."""
    parser.add_argument("--json", action="store_true", help="print for programs")


def whole_number(least: int = 1, most: int = 1_000_000) -> Callable[[str], int]:
    """Return what reads a flag's whole number, for `type=`.

    It raises `argparse.ArgumentTypeError`, with the value and the remedy, for anything else and beyond its
    ends.
    """

    def read(text: str) -> int:
        try:
            number = int(text)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number; write one like 4") from None
        if not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text} is out of range; write {least} to {most:,}")
        return number

    return read


CHOICE = ("datasets", "methods", "plugin", "seeds", "yes", "profile", "data", "allow_leak", "form", "results")
"""Names of the flags that make a choice."""


def chosen(args: argparse.Namespace, names: Sequence[str] = CHOICE) -> str:
    """Return the flags that made a choice, so that another command can be given with them."""
    words = []
    for name in names:
        given = getattr(args, name, None)
        if not given or given == args.parser.get_default(name):
            continue
        flag = f"--{name.replace('_', '-')}"
        values = given if isinstance(given, list) else [given]
        words += [part for value in values for part in ([flag] if value is True else [flag, str(value)])]
    return shlex.join(words)


def bench_of(args: argparse.Namespace, registry: Registry) -> Bench:
    """Return the bench that the flags choose."""
    from benchmark.run.bench import Bench
    from benchmark.run.features import data_directory

    datasets = registry.select_datasets(args.datasets)
    return Bench.of(
        registry,
        profile=args.profile,
        methods=args.methods,
        datasets=args.datasets,
        seeds=args.seeds,
        yes=args.yes,
        data_dir=data_directory(args.data, [registry.datasets[id] for id in datasets.ids], datasets.named),
        results_dir=args.results,
        allow_leak=args.allow_leak,
        form=args.form,
        flags=chosen(args),
    )


def with_what_the_user_brings(args: argparse.Namespace, registry: Registry) -> Registry:
    """Add the methods of `--plugin` and the data sets that lie in the folder of `--data`.

    Raises
    ------
    RegistryError, DataError
        If a file declares no methods, a folder no data set, or an id is taken.
    """
    if getattr(args, "plugin", None):
        from benchmark.run.check_method import declared_methods

        for source in args.plugin:
            registry = registry.with_methods(declared_methods(source, registry))
    if "data" in args:
        from benchmark.run.features import given_directory

        registry = registry.with_datasets_of(given_directory(args.data)[0])
    return registry


def running_of(args: argparse.Namespace) -> Running:
    """Return how the flags want jobs to be run.

    Raises
    ------
    ConfigError
        For a value that cannot be used, or two that exclude each other.
    BackendError
        If the cluster that they name cannot be used.
    """
    from benchmark.run.config import ConfigError, Running

    names = (
        *("jobs", "device", "backend", "scheduler", "retry_failed", "time_budget"),
        *("job_timeout", "job_memory", "fail_fast"),
    )
    running = Running.of(**{name: getattr(args, name) for name in names if name in args})
    if running.scheduler is None:
        return running
    from benchmark.run.backends import count_workers

    if args.jobs is not None:
        raise ConfigError(
            f"--jobs {args.jobs} with --scheduler: each of its workers runs one job at a time; leave it out"
        )
    return replace(running, jobs=count_workers(running.scheduler))
