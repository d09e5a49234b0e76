"""Features that this project extracted from real images and keeps; it must not know how, nor which.

They lie beside this file (`datasets/recipes/` makes them), with a manifest that says how they came about and
holds their SHA-256.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmark.contracts import Array, Dataset, Provenance
from datasets.formats.arrays import as_features, as_labels
from datasets.formats.files import file_sha256, refusal
from datasets.formats.folder import read_fit_on
from datasets.user_first import UserFirst

MANIFEST_KEYS = frozenset(
    {
        "recipe_version",
        "sha256",
        "source",
        "citation",
        "terms",
        "unsupervised_parts",
        "unsupervised_fit",
        "label_names",
        "dims",
    }
)


def rebuilt_note(manifest: Mapping[str, Any]) -> str:
    """Say in a caption's words how the features of a manifest were made."""
    start = f"Features rebuilt from the real images by recipe version {manifest['recipe_version']}"
    if not manifest["unsupervised_parts"]:
        return f"{start}, each image by itself: nothing was fitted."
    return (
        f"{start}; its {manifest['unsupervised_parts']} were fitted on {manifest['unsupervised_fit']}, "
        "without labels."
    )


def read_manifest(path: Path) -> dict[str, Any]:
    """Read the manifest of the rebuilt features; DataError if it is missing, no JSON or lacks a key."""
    remedy = "restore it from the repository, or run the recipe again"
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise refusal(path, "a readable JSON manifest", str(error), remedy) from error
    if not isinstance(manifest, dict) or not manifest.keys() >= MANIFEST_KEYS:
        raise refusal(path, f"keys {sorted(MANIFEST_KEYS)}", f"{sorted(manifest)}", remedy)
    return manifest


@dataclass(frozen=True)
class RebuiltFeatures(UserFirst):
    """A data set of real instances whose features this project extracted and keeps."""

    own_provenance: ClassVar[Provenance] = Provenance.REBUILT

    features_file: Path = field(kw_only=True)
    manifest_file: Path = field(kw_only=True)

    def load_own(self) -> Dataset:
        """Load the kept features.

        Raises
        ------
        DataError
            If their SHA-256 is not the manifest's, or their content is not Table I's.
        """
        manifest = read_manifest(self.manifest_file)
        remedy = "restore both files from the repository, or run the recipe again"
        found = file_sha256(self.features_file) if self.features_file.is_file() else "no such file"
        if found != manifest["sha256"]:
            raise refusal(self.features_file, f"SHA-256 {manifest['sha256']}", found, remedy)
        arrays = self.read_npz()
        labels = as_labels(arrays.pop("labels"), self.features_file / "labels")
        modalities = {name: as_features(a, self.features_file / name) for name, a in arrays.items()}
        fit_seed = read_fit_on(manifest.get("fit_on", "all"), self.manifest_file)
        note, terms = rebuilt_note(manifest), manifest["terms"]
        return self.dataset(modalities, labels, self.own_provenance, note, fit_seed, terms)

    def read_npz(self) -> dict[str, Array]:
        """Read the arrays of `features_file`, modalities first; DataError if a name or shape is wrong."""
        e = self.expected
        shapes = {name: (e.n, d) for name, d in zip(self.modality_names, e.dims, strict=True)}
        shapes["labels"] = (e.n, e.q)
        try:
            with np.load(self.features_file, allow_pickle=False) as archive:
                arrays = {name: archive[name] for name in shapes if name in archive}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            what = "an .npz archive of numeric arrays"
            raise refusal(self.features_file, what, str(error), "run the recipe again") from error
        found = {name: array.shape for name, array in arrays.items()}
        if found != shapes:
            raise refusal(self.features_file, f"{shapes} (Table I)", f"{found}", "run the recipe again")
        return arrays
