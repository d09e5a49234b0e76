"""ML2000: 2000 natural scenes, labels real, features rebuilt; it must not know how they were extracted.

The features are kept beside this file (`datasets/recipes/` makes them), with a manifest that says
how they came about and holds their SHA-256.
"""

from __future__ import annotations

import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from benchmark.contracts import Array, Dataset, Provenance, Shape
from datasets.formats.arrays import as_features, as_labels
from datasets.formats.files import file_sha256, refusal
from datasets.formats.folder import read_fit_on
from datasets.user_first import UserFirst

HERE = Path(__file__).parent
MANIFEST_KEYS = frozenset(
    {"recipe_version", "sha256", "source", "citation", "terms", "unsupervised_fit", "label_names", "dims"}
)


def rebuilt_note(recipe_version: str, seen: str) -> str:
    """Say in a caption's words how the features were made; `seen` is the manifest's `unsupervised_fit`."""
    return (
        f"Features rebuilt from the real images by recipe version {recipe_version}; its PCA, "
        f"k-means and Gaussian mixture were fitted on {seen}, without labels."
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

    features_file: Path = HERE / "ml2000_features.npz"
    manifest_file: Path = HERE / "ml2000_manifest.json"

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
        note = rebuilt_note(manifest["recipe_version"], manifest["unsupervised_fit"])
        fit_seed = read_fit_on(manifest.get("fit_on", "all"), self.manifest_file)
        return self.dataset(modalities, labels, self.own_provenance, note, fit_seed)

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


DATASET = RebuiltFeatures(
    id="ml2000",
    title="ML2000",
    expected=Shape(n=2000, q=5, dims=(500, 1040, 576)),
    modality_names=("bow", "fv", "hog"),
    citation=(
        "Z.-H. Zhou, M.-L. Zhang, Multi-instance multi-label learning with application to scene "
        "classification, NIPS 2006"
    ),
    label_names=("desert", "mountains", "sea", "sunset", "trees"),
)
