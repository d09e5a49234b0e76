"""Finds and checks the user's own features, a folder of `.npy` files; it knows no data set by name."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.contracts import Provenance
from datasets.formats.arrays import file_sha256, refusal

CHECKSUMS = "SHA256SUMS"
"""Optional file beside the user's features, as written by `sha256sum *.npy`; what it lists is verified."""
PROVENANCE_FILE = "provenance.json"
"""Optional file beside the user's features; without it they are taken for the real ones."""
PROVENANCE_KEYS = ("provenance", "recipe_version", "fit_on", "note")
"""What that file may hold, all strings; only the first is required."""


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
