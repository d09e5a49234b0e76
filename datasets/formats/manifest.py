"""A data set as a folder of `dataset.toml` and arrays: read, checked, written; it knows no source format."""

from __future__ import annotations

import json
import re
import tempfile
import tomllib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark import inputs
from benchmark.contracts import Array, Dataset, Provenance
from benchmark.files import naming, write_text
from datasets.formats.arrays import as_features, as_labels, data_hash
from datasets.formats.checksums import verify_checksums
from datasets.formats.files import file_sha256, read_text, refusal
from datasets.formats.folder import FIT_ON
from datasets.formats.npy import read_array

MANIFEST = "dataset.toml"
LABELS = "labels.npy"
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
NAME_RULE = "letters, digits, _ . - (not first: . -), at most 100 of them"
PROVENANCES = (Provenance.REAL, Provenance.REBUILT, Provenance.LOOK_ALIKE)
TEXTS = ("title", "provenance", "terms", "citation", "note", "split_id", "fit_on")
"""Keys of the manifest that hold text, in the order in which they are written."""
REQUIRED: dict[str, type] = {"title": str, "provenance": str, "modalities": list, "labels": dict}
CORRECT = f"correct {MANIFEST}"
KINDS: dict[type, str] = {str: "text in quotes", list: "a list", dict: "a table"}


@dataclass(frozen=True)
class Manifest:
    """What `dataset.toml` says of a data set beside its numbers."""

    title: str
    provenance: Provenance
    modalities: Mapping[str, str]
    """File by name, in the data set's order."""
    labels: str = LABELS
    label_names: tuple[str, ...] = ()
    """Empty: nobody gave names, and labels are called by their columns."""
    terms: str = ""
    citation: str = ""
    note: str = ""
    split_id: str = ""
    """Data sets of the same rows share it, so that their splits and randomness are the same."""
    fit_on: str = "all"
    """Rows that the features' unsupervised parts saw: all, or train:SEED."""
    sha256: Mapping[str, str] = field(default_factory=dict)
    """By file; empty, or it covers every array."""

    @property
    def files(self) -> tuple[str, ...]:
        """Name the arrays' files: one per modality, then the labels."""
        return (*self.modalities.values(), self.labels)

    @property
    def fit_seed(self) -> int | None:
        """The seed whose training rows alone the features' unsupervised parts saw; None if all rows."""
        seed = FIT_ON.fullmatch(self.fit_on)
        return int(seed[1]) if seed and seed[1] is not None else None


def check_name(name: str, what: str) -> str:
    """Return a name that may become a file, a flag's value and a column; DataError if it may not."""
    if not NAME.fullmatch(name):
        raise refusal(what, f"a name of {NAME_RULE}", repr(name[:120]), "choose another")
    return name


def as_provenance(value: str, what: str) -> Provenance:
    """Return one of `PROVENANCES`; DataError for another value."""
    if value not in PROVENANCES:
        raise refusal(what, ", ".join(PROVENANCES), repr(value[:80]), "choose one of them")
    return Provenance(value)


def read_manifest(folder: Path) -> Manifest:
    """Read `folder/dataset.toml`.

    Raises
    ------
    DataError
        If it or a file that it names is missing, or a key is missing, unknown, of another type or of a value
        that it cannot have.
    """
    path = folder / MANIFEST
    content = _checked(path, "", _parsed(path), REQUIRED, {**dict.fromkeys(TEXTS, str), "sha256": dict})
    labels = _checked(path, "labels.", content["labels"], {"file": str}, {"names": list})
    names = [_text(path, "labels.names", name) for name in labels.get("names", [])]
    manifest = Manifest(
        **{key: content[key] for key in (*TEXTS, "sha256") if key in content and key != "provenance"},
        provenance=as_provenance(content["provenance"], f"{path}, provenance"),
        modalities=_modalities(path, content["modalities"]),
        labels=labels["file"],
        label_names=tuple(names),
    )
    check_statement(manifest, path)
    _check_files(path, manifest)
    return manifest if manifest.split_id else replace(manifest, split_id=folder.absolute().name)


def check_statement(manifest: Manifest, where: Path | str) -> None:
    """Raise DataError for names, a split id or rows fitted on that a manifest cannot have."""
    for name in manifest.modalities:
        check_name(name, f"{where}, modalities")
    _distinct(where, "modalities", [name.casefold() for name in manifest.modalities])
    _distinct(where, "labels.names", manifest.label_names)
    if manifest.split_id:
        check_name(manifest.split_id, f"{where}, split_id")
    if not FIT_ON.fullmatch(manifest.fit_on):
        raise refusal(where, "fit_on all or train:SEED, such as train:0", repr(manifest.fit_on), CORRECT)


def load_folder(folder: Path) -> Dataset:
    """Load a data set from its folder; features stay float64 where float32 would lose their digits.

    Raises
    ------
    DataError
        If the manifest is refused, or an array is not what it and the other arrays make of it.
    """
    manifest = read_manifest(folder)
    verify_checksums(folder, manifest.files)
    for name, digest in manifest.sha256.items():
        if (found := file_sha256(folder / name)) != digest.lower():
            raise refusal(folder / name, f"SHA-256 {digest}", found, f"restore the file, or {CORRECT}")
    path = folder / manifest.labels
    labels = as_labels(read_array(path, (None, None)), path)
    paths = [folder / file for file in manifest.modalities.values()]
    modalities = tuple(as_features(read_array(path, (len(labels), None)), path) for path in paths)
    return Dataset(
        id=check_name(folder.absolute().name, str(folder)),
        modalities=modalities,
        labels=labels,
        modality_names=tuple(manifest.modalities),
        label_names=manifest.label_names or tuple(f"label{j}" for j in range(labels.shape[1])),
        provenance=manifest.provenance,
        data_hash=data_hash(modalities, labels),
        note=manifest.note,
        citation=manifest.citation,
        terms=manifest.terms,
        fit_seed=manifest.fit_seed,
        split_id=manifest.split_id,
    )


def write_dataset(
    folder: Path, manifest: Manifest, modalities: Sequence[Array], labels: Array, overwrite: bool = False
) -> None:
    """Write a data set with its checksums, whole or not at all.

    Parameters
    ----------
    folder : its name becomes the data set's id.
    manifest : its `sha256` is filled in.
    modalities : arrays (n, d_k) in the manifest's order.
    labels : (n, q) in {0, 1}.
    overwrite : whether to replace an earlier data set; another folder is never replaced.

    Raises
    ------
    DataError
        If a name or an array is not what it must be, or something is there already.
    """
    check_name(folder.absolute().name, str(folder))
    check_statement(manifest, folder)
    checked = [
        *(as_features(x, folder / file) for x, file in zip(modalities, manifest.files[:-1], strict=True)),
        as_labels(labels, folder / manifest.labels),
    ]
    inputs.check_same_rows(dict(zip(manifest.files, checked, strict=True)))
    check_free(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as workplace:
        fresh, former = Path(workplace) / folder.name, Path(workplace) / "former"
        fresh.mkdir()
        for file, array in zip(manifest.files, checked, strict=True):
            with naming(folder / file):
                np.save(fresh / file, array, allow_pickle=False)
        sums = {file: file_sha256(fresh / file) for file in manifest.files}
        write_text(fresh / MANIFEST, to_toml(replace(manifest, sha256=sums)))
        read_manifest(fresh)
        if folder.exists():
            folder.rename(former)
        try:
            fresh.rename(folder)
        except OSError:
            if former.exists():
                former.rename(folder)
            raise


def check_free(folder: Path, overwrite: bool) -> None:
    """Raise DataError if a data set cannot be written there without harm to what is there."""
    if not folder.exists() and not folder.is_symlink():
        return
    held = [path.name for path in folder.iterdir()] if folder.is_dir() else [folder.name]
    foreign = sorted(name for name in held if name != MANIFEST and not name.endswith(".npy"))
    if foreign or folder.is_symlink() or (held and MANIFEST not in held):
        found = ", ".join(foreign[:5]) or "another folder"
        raise refusal(folder, "no such folder, or a data set", found, "choose another name, or move it away")
    if held and not overwrite:
        raise refusal(folder, "no such folder", "a data set", "choose another name, or say --overwrite")


def to_toml(manifest: Manifest) -> str:
    """Return the text of `dataset.toml`."""
    texts = {key: getattr(manifest, key) for key in TEXTS}
    lines = [f"{key} = {_quoted(value)}" for key, value in texts.items() if value]
    for name, file in manifest.modalities.items():
        lines += ["", "[[modalities]]", f"name = {_quoted(name)}", f"file = {_quoted(file)}"]
    lines += ["", "[labels]", f"file = {_quoted(manifest.labels)}"]
    if manifest.label_names:
        lines += ["names = [", *(f"    {_quoted(name)}," for name in manifest.label_names), "]"]
    lines += ["", "[sha256]", *(f"{_quoted(name)} = {_quoted(sum)}" for name, sum in manifest.sha256.items())]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Return a basic string of TOML, which JSON's are, but for one character."""
    return json.dumps(str(text), ensure_ascii=False).replace("\x7f", "\\u007f")


def _parsed(path: Path) -> dict[str, Any]:
    text = read_text(path)
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise refusal(path, "a readable TOML file", str(error) or "too deep a nesting", CORRECT) from error


def _checked(
    path: Path, prefix: str, content: Any, required: Mapping[str, type], optional: Mapping[str, type]
) -> dict[str, Any]:
    """Return a table whose keys are known and of their types; text comes back in one line."""
    kinds = {**required, **optional}
    if not isinstance(content, dict):
        raise refusal(path, f"a table for {prefix.rstrip('.')}", repr(content)[:80], CORRECT)
    if unknown := sorted(content.keys() - kinds.keys()):
        known = ", ".join(prefix + key for key in kinds)
        raise refusal(path, f"no key beside {known}", prefix + unknown[0], CORRECT)
    if missing := [key for key in required if key not in content]:
        raise refusal(path, f"the key {prefix}{missing[0]}", "none", CORRECT)
    for key, value in content.items():
        if not isinstance(value, kinds[key]):
            raise refusal(path, f"{KINDS[kinds[key]]} for {prefix}{key}", repr(value)[:80], CORRECT)
    return {
        key: _text(path, prefix + key, value) if kinds[key] is str else value
        for key, value in content.items()
    }


def _text(path: Path, key: str, value: Any) -> str:
    text = " ".join(value.split()) if isinstance(value, str) else "\0"
    if not text.isprintable():
        raise refusal(path, f"printable text for {key}", repr(value)[:80], CORRECT)
    return text


def _modalities(path: Path, content: Sequence[Any]) -> dict[str, str]:
    keys = {"name": str, "file": str}
    entries = [_checked(path, f"modalities[{k}].", entry, keys, {}) for k, entry in enumerate(content)]
    if not entries:
        raise refusal(path, "at least one [[modalities]]", "none", CORRECT)
    _distinct(path, "modalities", [entry["name"] for entry in entries])
    return {entry["name"]: entry["file"] for entry in entries}


def _distinct(path: Path | str, key: str, names: Sequence[str]) -> None:
    counts = Counter(names)
    for name in names:
        if not name or counts[name] > 1:
            raise refusal(path, f"a name of its own for each of {key}", repr(name), CORRECT)


def _check_files(path: Path, manifest: Manifest) -> None:
    files = manifest.files
    for file in files:
        if not file.endswith(".npy"):
            raise refusal(path, "files that end in .npy", repr(file[:80]), CORRECT)
        check_name(file, f"{path}, file")
        if not (path.parent / file).is_file():
            raise refusal(path, f"the file {file} beside it", "none", f"add it, or {CORRECT}")
    _distinct(path, "files", [file.casefold() for file in files])  # one file, where case means nothing
    for file, digest in manifest.sha256.items():
        if file not in files or not re.fullmatch(r"[0-9a-fA-F]{64}", str(digest)):
            what = f"{file} = {digest!r}"[:120]
            raise refusal(path, "in sha256 64 digits for each array and nothing else", what, CORRECT)
    if manifest.sha256 and (missing := [file for file in files if file not in manifest.sha256]):
        raise refusal(path, f"{missing[0]} in sha256", "other files alone", CORRECT)
