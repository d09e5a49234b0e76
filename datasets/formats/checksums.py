"""Reads a list of SHA-256 checksums in whatever form people write it, and holds files to it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from datasets.formats.files import file_sha256, read_text, refusal

CHECKSUMS = "SHA256SUMS"
"""Optional file beside the user's features, as written by `sha256sum *.npy`; it must cover every array."""
OTHER_LISTS = re.compile(r"sha-?\d|md5|checksum", re.IGNORECASE)
"""In the name of a file that somebody may think is verified."""
GNU = re.compile(r"(?P<escaped>\\?)(?P<digest>[0-9a-fA-F]{8,})[ \t]+\*?(?P<name>\S.*)")
BSD = re.compile(r"(?P<escaped>\\?)(?P<kind>[\w/-]+) ?\((?P<name>.+)\) ?= ?(?P<digest>[0-9a-fA-F]+)")
LINE_END = re.compile(r"\r\n|\n|\r")
ESCAPES = {r"\n": "\n", r"\r": "\r", r"\\": "\\"}


@dataclass(frozen=True)
class Entry:
    """One file's digest, and the line that gives it."""

    digest: str
    line: int


def verify_checksums(folder: Path, names: Sequence[str]) -> None:
    """Compare files with `SHA256SUMS` in the same folder, where there is one.

    Every file that it lists must be here and have its digest, and every one of `names` must be listed.

    Raises
    ------
    DataError
        If that is not so, a line is not understood, or there is only a list of another name.
    """
    listing = folder / CHECKSUMS
    if not os.path.lexists(listing):
        if others := _other_lists(folder):
            remedy = "rename it if it has SHA-256 sums, else move it away"
            raise refusal(folder, f"checksums in {CHECKSUMS}", ", ".join(others), remedy)
        return
    entries = read_checksums(listing)
    if missing := [name for name in names if name not in entries]:
        listed = ", ".join(entries) or "no file"
        raise refusal(listing, f"a line for {', '.join(missing)}", listed, "write it again: sha256sum *.npy")
    for name, entry in entries.items():
        if (found := file_sha256(folder / name)) != entry.digest:
            remedy = f"the file was altered; restore it or update {CHECKSUMS}, line {entry.line}"
            raise refusal(folder / name, f"SHA-256 {entry.digest}", found, remedy)


def _other_lists(folder: Path) -> list[str]:
    names = sorted(path.name for path in folder.iterdir() if path.suffix != ".npy")
    return [name for name in names if OTHER_LISTS.search(name)]


def read_checksums(listing: Path) -> dict[str, Entry]:
    """Read the digests of files in the list's own folder by their names.

    It may be written by `sha256sum` (also `--tag`, or in the folder above), `shasum`, BSD's `sha256` or
    `openssl`, with any line ends, in UTF-8 or UTF-16. Blank lines and lines that begin with `#` say nothing.

    Raises
    ------
    DataError
        With the line's number, if it is none of these, names no file in the folder, or two lines differ.
    """
    entries: dict[str, Entry] = {}
    for number, text in enumerate(LINE_END.split(read_text(listing)), start=1):
        text = text.strip()
        if not text or text.startswith("#"):
            continue
        digest, name = _parse(text, f"{listing}, line {number}")
        name = _in_folder(name, listing.parent, f"{listing}, line {number}")
        if name == listing.name:  # of itself a list can say nothing; `sha256sum *` lists it all the same
            continue
        earlier = entries.setdefault(name, Entry(digest, number))
        if earlier.digest != digest:
            found = f"{digest}, and {earlier.digest} in line {earlier.line}"
            raise refusal(f"{listing}, line {number}", f"one digest of {name}", found, "keep the right line")
    return entries


def _parse(text: str, where: str) -> tuple[str, str]:
    """Return digest and name of one line."""
    found = BSD.fullmatch(text) or GNU.fullmatch(text)
    shown = repr(text[:100])
    if found is None:
        raise refusal(where, "a SHA-256 and a file name", shown, "correct the line, or begin it with #")
    kind = found.groupdict().get("kind")
    if (kind and not re.fullmatch(r"sha2?-?256", kind, re.IGNORECASE)) or len(found["digest"]) != 64:
        raise refusal(where, "a SHA-256 of 64 digits", shown, "list SHA-256 sums alone")
    name = found["name"]
    if found["escaped"]:
        name = re.sub(r"\\.", lambda pair: ESCAPES.get(pair[0], pair[0]), name)
    return found["digest"].lower(), name


def _is_there(path: Path) -> bool:
    return os.path.exists(path)  # noqa: PTH110 - `Path.exists` raises for names that are too long for a file


def _in_folder(name: str, folder: Path, where: str) -> str:
    """Return the bare name of a file of this folder, which the list may name by its path."""
    path = PurePosixPath(name if _is_there(folder / name) else name.replace("\\", "/"))
    here = path.parent == PurePosixPath() or path.parent.name in (
        folder.absolute().name,
        folder.resolve().name,
    )
    if not here or not _is_there(folder / path.name):
        remedy = "remove the line, or restore the file"
        raise refusal(where, f"a file in {folder.name}", repr(name), remedy)
    return path.name
