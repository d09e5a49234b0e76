"""The base of every data set: the user's own features first, else what the project offers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from benchmark.contracts import Array, Dataset, Provenance, Shape
from datasets.formats.arrays import as_features, as_labels, data_hash
from datasets.formats.checksums import verify_checksums
from datasets.formats.folder import check_file_names, read_origin, user_folder
from datasets.formats.npy import read_array


def numbered_names(labels: Array) -> tuple[str, ...]:
    """Name labels by column, where nobody gave names."""
    return tuple(f"label{j}" for j in range(labels.shape[1]))


@dataclass(frozen=True)
class UserFirst(ABC):
    """A data set that takes the user's own features where there are any, else what the project offers.

    Subclasses state `own_provenance` and `load_own`; instances satisfy `benchmark.contracts.DatasetSpec`.
    """

    own_provenance: ClassVar[Provenance]

    id: str
    title: str
    expected: Shape
    modality_names: tuple[str, ...]
    citation: str
    label_names: tuple[str, ...] = ()
    split_id: str = ""
    """The data set whose rows these are and whose split and streams they therefore take; empty: its own."""
    in_paper: bool = True

    def user_folder(self, data_dir: Path) -> Path | None:
        """Return the folder of the user's features, or None if there is nothing in it."""
        return user_folder(data_dir, self.id, self.modality_names)

    def provenance(self, data_dir: Path) -> Provenance:
        """Say what `load` would give, without loading it."""
        folder = self.user_folder(data_dir)
        return read_origin(folder).provenance if folder else self.own_provenance

    def load(self, data_dir: Path) -> Dataset:
        """Load `data_dir/<id>/*.npy` if any is there, else the project's own.

        Raises
        ------
        DataError
            If the user's features are incomplete or differ from Table I; there is no fallback then.
        """
        folder = self.user_folder(data_dir)
        return self.load_user(folder) if folder else self.load_own()

    def load_user(self, folder: Path) -> Dataset:
        """Load and check the user's features; modalities `(N, d_k)`, labels uint8 `(N, q)`."""
        names = check_file_names(folder, self.modality_names)
        origin = read_origin(folder)
        verify_checksums(folder, names)
        n = self.expected.n
        arrays = {
            name: as_features(read_array(folder / name, (n, d)), folder / name)
            for name, d in zip(names[:-1], self.expected.dims, strict=True)
        }
        labels = as_labels(read_array(folder / names[-1], (n, self.expected.q)), folder / names[-1])
        return self.dataset(arrays, labels, origin.provenance, origin.note, origin.fit_seed)

    def dataset(
        self,
        modalities: Mapping[str, Array],
        labels: Array,
        provenance: Provenance,
        note: str,
        fit_seed: int | None = None,
        terms: str = "",
    ) -> Dataset:
        """Bundle checked arrays, modalities in the data set's order."""
        arrays = tuple(modalities.values())
        return Dataset(
            id=self.id,
            modalities=arrays,
            labels=labels,
            modality_names=self.modality_names,
            label_names=self.label_names or numbered_names(labels),
            provenance=provenance,
            data_hash=data_hash(arrays, labels),
            note=note,
            citation=self.citation,
            terms=terms,
            fit_seed=fit_seed,
            split_id=self.split_id,
        )

    @abstractmethod
    def load_own(self) -> Dataset:
        """Load what the project itself can offer."""
