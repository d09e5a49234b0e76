"""What to say, with the command that helps, where records or references are not there; it reads none."""

from __future__ import annotations

from pathlib import Path

from benchmark.run.bench import Bench
from benchmark.run.config import ConfigError

OWN = Path(__file__).resolve().parents[2] / "results" / "reference"
"""The references that come with the project."""


def no_records(bench: Bench, stale: int = 0, otherwise: str = "") -> ConfigError:
    """Return the error that nothing of what was chosen is recorded, or all of it is stale or failed.

    Parameters
    ----------
    bench
    stale
        How many records there are of other code, options or data.
    otherwise
        What else would help.
    """
    old = f" ({stale} are stale: of other code, options or data; or give the --data of then)" if stale else ""
    return ConfigError(
        f"{bench.store.root} holds no finished, current record of the chosen data sets, methods and seeds at "
        f"profile {bench.profile.name}{old}; to make them: {bench.command('run')}; --dry-run says how long "
        f"that takes; {otherwise}or correct --profile, --results, --datasets, --methods or --seeds"
    )


def with_reference(bench: Bench) -> list[str]:
    """Return the chosen data sets of which there is a reference.

    Raises
    ------
    ConfigError
        If there is none at all, or none of a data set that was named.
    """
    root = bench.references_dir
    found = [name for name in bench.datasets.ids if (root / name).is_dir()]
    missing = [name for name in bench.datasets.ids if name in bench.datasets.named and name not in found]
    if found and not missing:
        return found
    others = sorted(path for path in root.parent.glob("*/*/") if path.is_dir())
    known = ", ".join(f"{path.parent.name}/{path.name}" for path in others) or "none"
    wanted = missing or bench.datasets.ids
    committed = root != OWN / root.name and all((OWN / root.name / name).is_dir() for name in wanted)
    copied = f"copy those that come with the project, {OWN}, to {root.parent}, " if committed else ""
    raise ConfigError(
        f"cannot judge: {root} holds no reference of {', '.join(wanted)} (in "
        f"{root.parent} there are: {known}); {copied}correct --profile, --results or "
        f"--datasets, or make one: {bench.command('run')} and then {bench.command('reference')}"
    )
