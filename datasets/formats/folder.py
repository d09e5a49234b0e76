"""Finds and checks the user's own features, a folder of `.npy` files; it knows no data set by name."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmark.contracts import DataError, Provenance
from datasets.formats.files import read_text, refusal

PROVENANCE_FILE = "provenance.json"
"""Optional file beside the user's features; without it they are taken for the real ones."""
PROVENANCE_KEYS = ("provenance", "recipe_version", "fit_on", "note")
"""What that file may hold, all strings; only the first is required."""
FIT_ON = re.compile(r"all|train:(\d{1,9})", re.ASCII)
"""Rows that the features' unsupervised parts saw: all, or the training rows of one seed."""
OWN = "The user's own features."
CORRECT = "correct it, or write the features again with the recipe"


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


@dataclass(frozen=True)
class Origin:
    """Where the user's features come from, and what captions must say of them."""

    provenance: Provenance = Provenance.REAL
    note: str = OWN
    fit_seed: int | None = None
    """The seed whose training rows alone the unsupervised parts saw; None if all rows, or unknown."""


def read_origin(folder: Path) -> Origin:
    """Read `PROVENANCE_FILE`; DataError if it is unreadable or holds an unknown key or value."""
    path = folder / PROVENANCE_FILE
    for name in sorted(found.name for found in folder.iterdir()):
        if name != PROVENANCE_FILE and name.lower().startswith("provenance"):
            raise refusal(folder, PROVENANCE_FILE, name, f"rename it to {PROVENANCE_FILE}, or move it away")
    if not os.path.lexists(path):
        return Origin()
    content = _read_statement(path)
    if content["provenance"] not in [*Provenance]:
        raise refusal(path, f"provenance {' or '.join(Provenance)}", repr(content["provenance"]), CORRECT)
    fit_seed = read_fit_on(content.get("fit_on", "all"), path)
    said, fitted = content.get("note", ""), f"Unsupervised parts fitted on: {content.get('fit_on')}."
    tells = "fit_on" in content and (fit_seed is not None or not said)
    note = " ".join(filter(None, (OWN, said, fitted if tells else "")))
    return Origin(Provenance(content["provenance"]), note, fit_seed)


def read_fit_on(fit_on: object, path: Path) -> int | None:
    """Return the seed whose training rows alone were seen, None for all rows; DataError for anything else."""
    found = FIT_ON.fullmatch(str(fit_on))
    if not found:
        raise refusal(path, "fit_on all or train:SEED, such as train:0", repr(fit_on)[:200], CORRECT)
    return None if found[1] is None else int(found[1])


def _read_statement(path: Path) -> dict[str, str]:
    """Read the file's keys, of which each is known and there once, and their strings."""
    try:
        content = json.loads(read_text(path), object_pairs_hook=_each_once)
        json.dumps(content, ensure_ascii=False).encode()  # halves of characters, which no file could hold
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        raise refusal(path, "a readable JSON file", str(error), CORRECT) from error
    if (
        not isinstance(content, dict)
        or "provenance" not in content
        or not content.keys() <= {*PROVENANCE_KEYS}
    ):
        found = ", ".join(content) if isinstance(content, dict) else type(content).__name__
        what = f"provenance and no key beside {', '.join(PROVENANCE_KEYS)}"
        raise refusal(path, what, found[:200] or "no key", CORRECT)
    for key, value in content.items():
        if not isinstance(value, str):
            raise refusal(path, f"a string for {key}", repr(value)[:200], CORRECT)
    return content


def _each_once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) < len(pairs):
        raise ValueError(f"a key is there twice among {', '.join(key for key, _ in pairs)}")
    return content
