"""Public data sets by name: where their files are found and how these are read; `known.toml` lists them."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from benchmark.contracts import Array, DataError, cache_directory
from datasets.formats.files import file_sha256, refusal
from datasets.formats.importing import Imported, Wish, understand

TABLE = Path(__file__).parent / "known.toml"


@dataclass(frozen=True)
class Expected:
    """What of a data set has been counted."""

    rows: int
    labels: int
    cardinality: float
    """Labels per row, to three decimals."""


@dataclass(frozen=True)
class Known:
    """One of them."""

    name: str
    title: str
    folder: str
    """Of its files, in a folder of data."""
    address: str
    """Where the files are published, of one version for ever."""
    sha256: Mapping[str, str]
    """By file: all that are needed."""
    tables: tuple[str, ...]
    """Sources, as `data import` takes them."""
    labels: str
    modalities: Mapping[str, str]
    expected: Expected
    terms: str
    citation: str
    note: str = ""
    index: str | None = None
    min_positives: int = 0
    square_root_of_shares: bool = False
    """Whether each modality holds counts, of which the square root of their share of the row is taken."""

    def wish(self, folder: Path) -> Wish:
        """Say how the files in a folder are read."""
        sources = ("+".join(str(folder / file) for file in table.split("+")) for table in self.tables)
        labels = str(folder / self.labels) if self.labels in self.sha256 else self.labels
        return Wish(
            tuple(sources), self.modalities, labels, index=self.index, min_positives=self.min_positives
        )


def known_datasets(table: Path = TABLE) -> dict[str, Known]:
    """Return all of them by name."""
    content = tomllib.loads(table.read_text(encoding="utf-8"))
    return {
        name: Known(
            name=name,
            **{**entry, "tables": tuple(entry["tables"]), "expected": Expected(**entry["expected"])},
        )
        for name, entry in content.items()
    }


def find_files(known: Known, data_dir: Path) -> Path:
    """Return the folder that holds all files of a data set, each with its SHA-256.

    They are looked for in `data_dir`, then among what was downloaded before, and downloaded last.

    Raises
    ------
    DataError
        If a file is another one, or none can be had; the message says from where.
    """
    downloads = cache_directory() / "downloads"
    for folder in (data_dir / known.folder, downloads / known.folder):
        if all((folder / file).is_file() for file in known.sha256):
            break
    else:
        _download(known, folder, data_dir / known.folder)
    for file, digest in known.sha256.items():
        if (found := file_sha256(folder / file)) != digest:
            remedy = f"put the file of {known.address}/{file} there, or remove it"
            raise refusal(folder / file, f"SHA-256 {digest}", found, remedy)
    return folder


def _download(known: Known, folder: Path, place: Path) -> None:
    """Fetch the files that a folder lacks; a message names `place` for those that the user fetches."""
    by_hand = f"put {', '.join(known.sha256)} of {known.address} into {place}"
    try:
        import pooch
    except ImportError as error:
        remedy = f"pip install -e '.[import]' -c constraints.txt to have them downloaded, or {by_hand}"
        raise refusal(
            place, f"the files of {known.title}", f"none, and no pooch ({error})", remedy
        ) from error
    try:
        for file, digest in known.sha256.items():
            pooch.retrieve(f"{known.address}/{file}", f"sha256:{digest}", file, folder)
    except (OSError, ValueError) as error:  # no network, no such file any more, another file
        what = f"none, and no download ({error})"
        raise refusal(place, f"the files of {known.title}", what, by_hand) from error


def import_known(known: Known, folder: Path) -> Imported:
    """Read the files of a data set, and take the roots of counts where it asks for that.

    Raises
    ------
    DataError
        If what comes of it is not what has been counted.
    """
    imported = understand(known.wish(folder))
    (n, q), per_row = imported.labels.shape, round(float(imported.labels.sum(axis=1).mean()), 3)
    if (found := Expected(n, q, per_row)) != known.expected:
        raise DataError(f"{known.name}: expected {known.expected}, found {found}; tell the project")
    if not known.square_root_of_shares:
        return imported
    modalities = {name: square_root_of_shares(x) for name, x in imported.modalities.items()}
    note = "all modalities: square root of each count's share of its row"
    return replace(imported, modalities=modalities, notes=(*imported.notes, note))


def square_root_of_shares(counts: Array) -> Array:
    """Return the square roots of counts (n, d) divided by their row's sum; a row of zeros stays one."""
    totals = counts.sum(axis=1, keepdims=True, dtype=np.float64)
    return np.sqrt(counts / np.where(totals > 0, totals, 1)).astype(np.float32)
