"""Data sets of the user's own, each a folder with `dataset.toml`; it knows none of them by name."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmark.contracts import DataError, Dataset, Provenance, Shape
from datasets.formats.manifest import MANIFEST, load_folder, read_manifest
from datasets.formats.npy import read_shape


@dataclass(frozen=True)
class FolderDataset:
    """One of them; satisfies `benchmark.contracts.DatasetSpec`."""

    in_paper: ClassVar[bool] = False

    id: str
    title: str
    expected: Shape
    modality_names: tuple[str, ...]
    fault: str = ""
    """Why it cannot be used, which is said when it is chosen."""

    @classmethod
    def of(cls, folder: Path) -> FolderDataset:
        """Read its manifest and the shapes of its arrays."""
        try:
            manifest = read_manifest(folder)
            n, q = read_shape(folder / manifest.labels)
            dims = tuple(read_shape(folder / file)[1] for file in manifest.modalities.values())
        except DataError as error:
            return cls(folder.name, folder.name, Shape(0, 0, ()), (), str(error))
        return cls(folder.name, manifest.title, Shape(n, q, dims), tuple(manifest.modalities))

    def user_folder(self, data_dir: Path) -> Path | None:
        """Return where it is."""
        return data_dir / self.id

    def provenance(self, data_dir: Path) -> Provenance:
        """Say what its manifest says."""
        self._refuse_faults()
        return read_manifest(data_dir / self.id).provenance

    def load(self, data_dir: Path) -> Dataset:
        """Load it.

        Raises
        ------
        DataError
            If manifest and arrays do not fit one another, or cannot be used.
        """
        self._refuse_faults()
        return load_folder(data_dir / self.id)

    def _refuse_faults(self) -> None:
        if self.fault:
            raise DataError(self.fault)


def find_datasets(data_dir: Path) -> tuple[FolderDataset, ...]:
    """Return the data sets that lie in a folder, by name."""
    if not data_dir.is_dir():
        return ()
    folders = (folder for folder in sorted(data_dir.iterdir()) if os.path.lexists(folder / MANIFEST))
    return tuple(FolderDataset.of(folder) for folder in folders)


FIND_DATASETS = find_datasets
