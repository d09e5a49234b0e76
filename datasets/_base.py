"""Finds, reads and checks the user's own features; it must not know any data set by name."""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import platformdirs

from benchmark.contracts import Array, DataError, Dataset, Provenance, Shape

APPLICATION = "m3la-reproducibility"
CHECKSUMS = "SHA256SUMS"
"""Optional file beside the user's features, as written by `sha256sum *.npy`; what it lists is verified."""
PROVENANCE_FILE = "provenance.json"
"""Optional file beside the user's features; without it they are taken for the real ones."""
PROVENANCE_KEYS = ("provenance", "recipe_version", "fit_on", "note")
"""What that file may hold, all strings; only the first is required."""


def refusal(path: Path, expected: str, found: str, remedy: str) -> DataError:
    """Word an error about input data the same way everywhere."""
    return DataError(f"{path}: expected {expected}, found {found}; {remedy}")


def cache_directory() -> Path:
    """Return the folder for what the project makes itself: $M3LA_CACHE, else the user's cache folder."""
    override = os.environ.get("M3LA_CACHE")
    return Path(override).expanduser() if override else platformdirs.user_cache_path(APPLICATION)


def data_directory(flag: str | Path | None = None) -> Path:
    """Return the folder that holds `<data set>/<modality>.npy`.

    Parameters
    ----------
    flag : str or Path, optional
        The value of `--data`. Without it $M3LA_DATA is taken, else `data/` in `cache_directory()`.

    Raises
    ------
    DataError
        If `flag` or $M3LA_DATA names a folder that is not there: going on would quietly give
        look-alikes to somebody who has the real features.
    """
    for given, name in ((flag, "--data"), (os.environ.get("M3LA_DATA"), "$M3LA_DATA")):
        if given:
            folder = Path(given).expanduser()
            if not folder.is_dir():
                raise refusal(folder, f"the folder that {name} names", "no such folder", f"correct {name}")
            return folder
    return cache_directory() / "data"


def data_hash(modalities: Sequence[Array], labels: Array) -> str:
    """Return the SHA-256 over shapes, dtypes and bytes (C order) of modalities and labels."""
    digest = hashlib.sha256()
    for array in (*modalities, labels):
        digest.update(f"{array.dtype.str}{array.shape};".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_array(path: Path, shape: tuple[int, int]) -> Array:
    """Read a numeric `.npy` file of a known shape; nothing is unpickled, and dtype stays as stored.

    Raises
    ------
    DataError
        If the file is missing, is no plain `.npy` array (pickled objects, an archive, text), is
        shorter or longer than its header says, or has another shape or a non-numeric dtype.
    """
    size = path.stat().st_size if path.is_file() else None
    if size is None:
        raise refusal(path, f"an array of shape {shape}", "no such file", "add it (see the README)")
    try:
        # Mapping reads the header alone, so that a wrong shape is refused before its data are read.
        array = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        raise refusal(
            path,
            f"a complete .npy file with a numeric array of shape {shape}",
            f"a truncated, pickled or foreign file of {size} bytes ({error})",
            "write it again with numpy.save(path, array, allow_pickle=False)",
        ) from error
    if not isinstance(array, np.memmap):
        raise refusal(path, "one array", "an .npz archive", "save each array with numpy.save")
    if array.dtype.kind not in "biuf":
        raise refusal(path, "real numbers", f"dtype {array.dtype}", "convert with astype('float32')")
    if array.shape != shape:
        raise refusal(path, f"shape {shape} (Table I)", f"shape {array.shape}", "check rows and columns")
    if array.offset + array.nbytes != size:
        extra = size - array.offset - array.nbytes
        raise refusal(path, f"{size - extra} bytes", f"{size} bytes", "the file was altered; save it again")
    return np.array(array)


def as_features(stored: Array, origin: Path) -> Array:
    """Return one modality as read-only float32 `(N, d_k)`; a value that is not finite raises DataError."""
    with np.errstate(over="ignore"):  # a float64 too large for float32 becomes inf and is refused below
        features = np.ascontiguousarray(stored, dtype="<f4")
    bad = ~np.isfinite(features)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise refusal(
            origin,
            "finite float32 values",
            f"{int(bad.sum())} that are not, the first in row {row}, column {column}: {stored[row, column]}",
            "impute or drop them before saving",
        )
    features.setflags(write=False)
    return features


def as_labels(stored: Array, origin: Path) -> Array:
    """Return labels as read-only uint8 `(N, q)`; a value other than 0 and 1 raises DataError."""
    bad = (stored != 0) & (stored != 1)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise refusal(
            origin,
            "labels 0 and 1 only",
            f"{stored[row, column]} in row {row}, column {column} ({int(bad.sum())} such values)",
            "map the labels to 0 (absent) and 1 (present)",
        )
    labels = np.ascontiguousarray(stored, dtype=np.uint8)
    labels.setflags(write=False)
    return labels


def verify_checksums(folder: Path, names: Sequence[str]) -> None:
    """Compare files with `SHA256SUMS` in the same folder, where there is one.

    Raises
    ------
    DataError
        If a listed file's bytes are others than when the list was written.
    """
    listing = folder / CHECKSUMS
    if not listing.is_file():
        return
    sums: dict[str, str] = {}
    for line in listing.read_text(encoding="utf-8").splitlines():
        digest, _, name = line.strip().partition(" ")
        sums[name.strip().lstrip("*")] = digest.lower()
    for name in names:
        if name in sums and (found := file_sha256(folder / name)) != sums[name]:
            remedy = f"the file was altered; restore it or update {CHECKSUMS}"
            raise refusal(folder / name, f"SHA-256 {sums[name]}", found, remedy)


def user_folder(data_dir: Path, id: str, modality_names: Sequence[str]) -> Path | None:
    """Return `data_dir/<id>` if the user put anything there; then it must be right, and is never ignored.

    Raises
    ------
    DataError
        If it holds files, though no `.npy` one, or is no folder, or is named in another case: going on
        would quietly give a look-alike to somebody who meant to give features.
    """
    folder = data_dir / id
    names = sorted(path.name for path in data_dir.iterdir()) if data_dir.is_dir() else []
    for name in names:
        if name != id and name.lower() == id and (data_dir / name).is_dir():
            raise refusal(data_dir, f"a folder {id}", f"a folder {name}", f"rename {name} to {id}")
    if id not in names:
        return None
    if not folder.is_dir():
        raise refusal(folder, "a folder of .npy files", "a file", "move it away or make it a folder")
    held = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
    if held and not any(name.endswith(".npy") for name in held):
        wanted = ", ".join(array_files(modality_names))
        raise refusal(folder, wanted, ", ".join(held), "save each array with numpy.save, or empty the folder")
    return folder if held else None


@dataclass(frozen=True)
class Origin:
    """Where the user's features come from, and what captions must say of them."""

    provenance: Provenance = Provenance.REAL
    note: str = "The user's own features."


def read_origin(folder: Path) -> Origin:
    """Read `PROVENANCE_FILE`; DataError if it is unreadable or holds an unknown key or value."""
    path = folder / PROVENANCE_FILE
    if not path.exists():
        return Origin()
    remedy = "correct it, or write the features again with the recipe"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise refusal(path, "a readable JSON file", str(error), remedy) from error
    if (
        not isinstance(content, dict)
        or "provenance" not in content
        or not content.keys() <= {*PROVENANCE_KEYS}
    ):
        found = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        raise refusal(path, f"provenance and no key beside {', '.join(PROVENANCE_KEYS)}", found, remedy)
    for key, value in content.items():
        if not isinstance(value, str):
            raise refusal(path, f"a string for {key}", f"{value!r}", remedy)
    if content["provenance"] not in [*Provenance]:
        raise refusal(path, f"provenance {' or '.join(Provenance)}", repr(content["provenance"]), remedy)
    fitted = f" Unsupervised parts fitted on: {content['fit_on']}." if content.get("fit_on") else ""
    return Origin(Provenance(content["provenance"]), content.get("note") or Origin.note + fitted)


def array_files(modality_names: Sequence[str]) -> list[str]:
    """Name the files of the user's features: one per modality, then the labels."""
    return [f"{name}.npy" for name in (*modality_names, "labels")]


def check_file_names(folder: Path, modality_names: Sequence[str]) -> list[str]:
    """Return the file names to read; raise DataError unless the folder holds exactly these arrays."""
    wanted = array_files(modality_names)
    found = {path.name for path in folder.glob("*.npy")}
    missing = [name for name in wanted if name not in found]
    surplus = sorted(found - set(wanted))
    if missing or surplus:
        parts = (["no " + ", ".join(missing)] if missing else []) + surplus
        what = f"{len(modality_names)} modalities and the labels: {', '.join(wanted)}"
        raise refusal(folder, what, " and ".join(parts), "rename, add or move files to match")
    return wanted


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

    def provenance(self, data_dir: Path) -> Provenance:
        """Say what `load` would give, without loading it."""
        folder = user_folder(data_dir, self.id, self.modality_names)
        return read_origin(folder).provenance if folder else self.own_provenance

    def load(self, data_dir: Path) -> Dataset:
        """Load `data_dir/<id>/*.npy` if any is there, else the project's own.

        Raises
        ------
        DataError
            If the user's features are incomplete or differ from Table I; there is no fallback then.
        """
        folder = user_folder(data_dir, self.id, self.modality_names)
        return self.load_user(folder) if folder else self.load_own()

    def load_user(self, folder: Path) -> Dataset:
        """Load and check the user's features; modalities float32 `(N, d_k)`, labels uint8 `(N, q)`."""
        names = check_file_names(folder, self.modality_names)
        origin = read_origin(folder)
        verify_checksums(folder, names)
        n = self.expected.n
        arrays = {
            name: as_features(read_array(folder / name, (n, d)), folder / name)
            for name, d in zip(names[:-1], self.expected.dims, strict=True)
        }
        labels = as_labels(read_array(folder / names[-1], (n, self.expected.q)), folder / names[-1])
        return self.dataset(arrays, labels, origin.provenance, origin.note)

    def dataset(
        self, modalities: Mapping[str, Array], labels: Array, provenance: Provenance, note: str
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
        )

    @abstractmethod
    def load_own(self) -> Dataset:
        """Load what the project itself can offer."""
