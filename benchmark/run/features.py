"""Where features come from, and a refusal of those that are missing or are for other seeds; it reads none."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmark.contracts import DataError, DatasetSpec, Provenance, Shape, cache_directory, users_folder

SHOWN = 8
"""Names in a folder that a message lists."""
LEAKED = "leaked, as seeds test on rows that the features were fitted on"


@dataclass(frozen=True)
class DatasetFacts:
    """What must be known of a data set beside its arrays; found by loading it once."""

    spec: DatasetSpec
    shape: Shape
    provenance: Provenance
    data_hash: str
    note: str
    folder: Path | None = None
    """Of the user's features; None for what the project offers."""
    fit_seed: int | None = None
    """As `Dataset.fit_seed`."""

    @property
    def source(self) -> str:
        """Say in words where the features come from."""
        if self.folder is None:
            return "a look-alike" if self.provenance is Provenance.LOOK_ALIKE else "the project's own"
        return f"the user's own in {self.folder}"

    def leaked(self, seeds: Sequence[int]) -> DatasetFacts:
        """Return what must be known where some seeds test on rows that the features were fitted on."""
        seen = f"Run with --allow-leak: {seeds_text(seeds)} test on rows that the features were fitted on."
        note = f"{self.note.rstrip('. ')}. {seen}"
        synthetic = self.provenance is Provenance.LOOK_ALIKE
        return replace(self, provenance=self.provenance if synthetic else Provenance.LEAKED, note=note)


def data_directory(flag: str | None = None, wanted: Iterable[Any] = (), named: Collection[str] = ()) -> Path:
    """Return the folder that holds `<data set>/<modality>.npy`.

    Parameters
    ----------
    flag
        The value of `--data`. Without it $M3LA_DATA is taken, else `data/` in `cache_directory()`.
    wanted
        The `DatasetSpec` of each data set that is to be loaded.
    named
        Ids of those that were chosen by name, not by a pattern.

    Raises
    ------
    DataError
        If `flag` or $M3LA_DATA names no folder, or one without features of any of the data sets that take
        some, or without those of one that was chosen by name: going on would quietly give the project's own
        features to somebody who has others.
    """
    variable = os.environ.get("M3LA_DATA")
    given, name = (flag, "--data") if flag is not None else (variable or None, "$M3LA_DATA")
    if given is None:
        return cache_directory() / "data"
    try:
        folder = Path(given).expanduser()
        is_folder = bool(given.strip()) and folder.is_dir()
    except (OSError, RuntimeError, ValueError) as error:
        raise DataError(f"{given!r}: {name} names no folder ({error}); correct {name}") from error
    if not is_folder:
        raise DataError(
            f"{given or 'an empty text'}: expected the folder that {name} names, found no such folder; "
            f"correct {name}"
        )
    takers = [spec for spec in wanted if hasattr(spec, "user_folder")]
    missing = [spec for spec in takers if users_folder(spec, folder) is None]
    absent = missing if len(missing) == len(takers) else [spec for spec in missing if spec.id in named]
    if absent:
        raise _Nothing(folder, name, absent, mixed=len(missing) < len(takers)).refusal()
    return folder


@dataclass(frozen=True)
class _Nothing:
    """A folder that lacks the features of some data sets, and what may have gone wrong."""

    folder: Path
    name: str
    """What named it: the flag or the variable."""
    absent: Sequence[DatasetSpec]
    mixed: bool
    """Whether it has features of others."""

    def refusal(self) -> DataError:
        """Say what was looked for, what is there and what to do."""
        ids = [spec.id for spec in self.absent]
        held = sorted(path.name for path in self.folder.iterdir() if not path.name.startswith("."))
        found = ", ".join(held[:SHOWN]) + (f" and {len(held) - SHOWN} more" if len(held) > SHOWN else "")
        return DataError(
            f"{self.folder}: expected features in a folder {' or '.join(ids)}, as {self.name} names this "
            f"one, found {found or 'nothing'}; {self._remedy(held)}"
        )

    def _remedy(self, held: Sequence[str]) -> str:
        for guess in (self._own_folder, self._one_level_too_high, self._misspelt):
            if remedy := guess(held):
                return remedy
        also = " (a pattern such as '*' mixes both)" if self.mixed else ""
        own = f"leave out {self.name} for the project's own features{also}"
        return f"put them there (see the README), or {own}"

    def _own_folder(self, held: Sequence[str]) -> str:
        """Guess that the arrays themselves lie in the folder."""
        files = {spec.id: {f"{name}.npy" for name in spec.modality_names} & {*held} for spec in self.absent}
        most = max(files, key=lambda id: len(files[id]))
        if not files[most] and "labels.npy" not in held:
            return ""
        here = self.folder.absolute()
        if here.name in files:
            return f"these are a data set's own files: give {self.name} the folder above, {here.parent}"
        return f"move the files into {self.folder / most}" if files[most] else ""

    def _one_level_too_high(self, held: Sequence[str]) -> str:
        """Guess that one of the folders in it was meant."""
        for name in held:
            if any((self.folder / name / spec.id).is_dir() for spec in self.absent):
                return f"give {self.name} {self.folder / name}"
        return ""

    def _misspelt(self, held: Sequence[str]) -> str:
        """Guess that a data set's folder has a slip in its name."""
        folders = [name for name in held if (self.folder / name).is_dir()]
        for spec in self.absent:
            if close := difflib.get_close_matches(spec.id, folders, n=1, cutoff=0.7):
                return f"rename {close[0]} to {spec.id}" if close[0] != spec.id else f"fill {spec.id}"
        return ""


def leaking_seeds(
    dataset: str, fit_seed: int | None, seeds: Sequence[int], *, allowed: bool = False
) -> tuple[int, ...]:
    """Return the seeds that would test on rows which the unsupervised parts of the features have seen.

    Parameters
    ----------
    dataset, fit_seed
        Id and `Dataset.fit_seed`.
    seeds
        Those that are wanted.
    allowed
        Whether there may be any.

    Raises
    ------
    DataError
        If there is one and none is allowed.
    """
    others = tuple(seed for seed in seeds if fit_seed is not None and seed != fit_seed)
    if others and not allowed:
        raise DataError(
            f"{dataset}: its features are fitted on the training rows of seed {fit_seed} (fit_on: "
            f"train:{fit_seed} in provenance.json), and {seeds_text(others)} would test on some of them; "
            f"choose --seeds {fit_seed}-{fit_seed}, or --allow-leak, which marks every number"
        )
    return others


def seeds_text(seeds: Sequence[int]) -> str:
    """Name seeds, the first few of them."""
    listed = ", ".join(map(str, seeds[:SHOWN])) + (", ..." if len(seeds) > SHOWN else "")
    return f"seed{'s' if len(seeds) > 1 else ''} {listed}"
