"""Command that makes the features of the ML2000 images that the repository keeps; it computes none itself.

`python -m datasets.recipes.ml2000 --images DIR --recipe NAME` writes features, fitted parts and manifest.
Labels are copied beside the features and used for nothing. Images of your own: `python -m datasets.recipes`.
"""

from __future__ import annotations

import argparse
import io
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from rich.console import Console

from benchmark.contracts import Array, DataError, Provenance, cache_directory
from benchmark.words import one_line, show_every_character
from datasets.formats.folder import PROVENANCE_FILE
from datasets.rebuilt import rebuilt_note
from datasets.recipes.build import build, check_fit_on, what_was_seen
from datasets.recipes.catalogue import RECIPES, Recipe
from datasets.recipes.folder import ImageFolder, open_folder
from datasets.recipes.images import digest
from datasets.recipes.parts import Parts
from datasets.recipes.pipeline import LIBRARIES, Runner
from datasets.recipes.progress import progress_on
from datasets.recipes.store import json_bytes, npz_bytes, write_atomically

ID = "ml2000"
"""Whose split all recipes share."""
LABEL_NAMES = ("desert", "mountains", "sea", "sunset", "trees")
FOLDER = Path(__file__).resolve().parents[1]
"""Where the kept files lie."""

REFERENCE_DIGEST = "dd1642bf2d5580b06c4eb822ebd423aefb8652de1b5b98d4f464e0457a895cae"
"""`images.digest` of the copy behind the committed features."""

UPSTREAM = "http://www.lamda.nju.edu.cn/data_MIMLimage.ashx"
SOURCE = f'LAMDA, "Image Data for Multi-Instance Multi-Label Learning", 2000 natural-scene JPEGs: {UPSTREAM}'
REFERENCE_COPY = (
    "GitHub itanvir/miml-classification, miml_dataset/, commit b03da2be3e4909b26c77856a8241603f119a22d5"
)
CITATION = (
    "Z.-H. Zhou and M.-L. Zhang, Multi-instance multi-label learning with application "
    "to scene classification, NIPS 2006"
)
TERMS = (
    "academic use only, with the citation; for other use ask Prof. Zhi-Hua Zhou, LAMDA, Nanjing University. "
    "These terms, and not this project's licence, apply to features and labels alike."
)


def open_ml2000(folder: Path, labels_file: Path | None = None, count: int = 2000) -> ImageFolder:
    """Open the images `1.jpg` to `<count>.jpg`, whose labels must stand in this order.

    Raises
    ------
    DataError
        If the folder or its labels hold something else.
    """
    images = open_folder(folder, labels_file)
    if images.label_names != LABEL_NAMES:
        expected, found = ", ".join(LABEL_NAMES), ", ".join(images.label_names)
        raise DataError(f"{folder}: expected the labels {expected}, found {found}; restore the label file")
    expected_names = [f"{i}.jpg" for i in range(1, count + 1)]
    if [path.name for path in images.paths] != expected_names:
        raise DataError(
            f"{folder}: expected labels of 1.jpg to {count}.jpg in this order, found {len(images.paths)} "
            f"from {images.paths[0].name} to {images.paths[-1].name}; unpack them again from {UPSTREAM}"
        )
    return images


def kept_file(recipe: str, kind: str) -> Path:
    """Return where the repository keeps features (`features.npz`), parts or manifest of a recipe."""
    return FOLDER / f"{ID if recipe == ID else f'{ID}_{recipe}'}_{kind}"


def manifest(recipe: Recipe, images_digest: str, fit_on: str, count: int) -> dict[str, Any]:
    """Return all of the manifest but the digests of the files written."""
    return {
        "recipe": recipe.name,
        "recipe_version": recipe.version,
        "source": SOURCE,
        "copy": REFERENCE_COPY if images_digest == REFERENCE_DIGEST else "not the reference copy",
        "citation": CITATION,
        "terms": TERMS,
        "unsupervised_parts": recipe.fitted,
        "unsupervised_fit": what_was_seen(fit_on, count) if recipe.learns else "",
        "fit_on": fit_on,
        "label_names": list(LABEL_NAMES),
        "dims": recipe.dims,
        "settings": recipe.settings,
        "images_sha256": images_digest,
        "versions": LIBRARIES,
    }


def write(
    out: Path, arrays: dict[str, Array], learnt: Parts | None, document: dict[str, Any]
) -> tuple[Path, ...]:
    """Write features, parts and, last, the manifest that vouches for both; return the paths.

    `NAME_features.npz` gets `NAME_manifest.json` beside it, and `NAME_parts.npz` if the recipe learns.
    """
    stem = out.stem.removesuffix("_features")
    fitted, described = out.with_name(f"{stem}_parts.npz"), out.with_name(f"{stem}_manifest.json")
    digests = {"sha256": write_atomically(out, npz_bytes(arrays))}
    if learnt is not None:
        digests["parts_sha256"] = write_atomically(fitted, npz_bytes(learnt.arrays()))
    write_atomically(described, json_bytes({**document, **digests}))
    return (out, described) if learnt is None else (out, fitted, described)


def origin(document: dict[str, Any]) -> dict[str, str]:
    """Return what `provenance.json` says of features with this manifest."""
    fit_on: str = document["fit_on"]
    note = rebuilt_note(document)
    if fit_on != "all":
        seed = fit_on.removeprefix("train:")
        note += f" They are for seed {seed} alone: test images of other seeds are among these."
    return {
        "provenance": str(Provenance.REBUILT),
        "recipe_version": document["recipe_version"],
        "fit_on": fit_on,
        "note": note,
    }


def write_npy(folder: Path, arrays: dict[str, Array], document: dict[str, Any]) -> None:
    """Write one `.npy` per array into `folder`, as the project reads a user's own features.

    `provenance.json` goes first, so that no array of ours is ever taken for the authors' own.
    """
    write_atomically(folder / PROVENANCE_FILE, json_bytes(origin(document)))
    for name, values in arrays.items():
        stream = io.BytesIO()
        np.save(stream, values, allow_pickle=False)
        write_atomically(folder / f"{name}.npy", stream.getvalue())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m datasets.recipes.ml2000",
        description="Turn the 2000 ML2000 images into the features that the repository keeps.",
        epilog=f"The images: {UPSTREAM} (academic use only).",
    )
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="folder of 1.jpg to 2000.jpg"
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="label CSV (default: labels.csv in or above DIR)"
    )
    parser.add_argument(
        "--recipe", choices=sorted(RECIPES), default=ID, help=f"whose modalities (default: {ID})"
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FILE",
        help="features file, .npz (default: the project's own for --fit-on all, "
        "else ml2000-train-SEED_features.npz in the current folder)",
    )
    parser.add_argument(
        "--npy", type=Path, metavar="DIR", help="also write one .npy per array, and provenance.json, into DIR"
    )
    parser.add_argument(
        "--fit-on",
        default="all",
        metavar="all|train:SEED",
        help="images that PCA, k-means and mixture see; no labels in any case (default: all)",
    )
    parser.add_argument(
        "--parts",
        type=Path,
        metavar="FILE",
        help="encode with the parts fitted before, NAME_parts.npz, that saw what --fit-on says "
        "(fitting again elsewhere may round otherwise)",
    )
    parser.add_argument(
        "--jobs", type=int, default=joblib.cpu_count(), metavar="N", help="processes (default: all)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 if the input cannot be used or a file not be written."""
    show_every_character(sys.stdout, sys.stderr)
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    recipe = RECIPES[options.recipe]
    out = options.out or kept_file(recipe.name, "features.npz")
    if options.out is None and options.fit_on != "all":
        out = Path(out.name.replace("_features", f"-{options.fit_on.replace(':', '-')}_features"))
    try:
        if out.suffix != ".npz":
            raise ValueError(f"--out {out}: expected a file name that ends in .npz")
        check_fit_on(recipe, options.fit_on)
        images = open_ml2000(options.images, options.labels)
        found = digest(images.paths)
        if found != REFERENCE_DIGEST:
            console.print(
                "These are not the bytes behind the committed features; the new features may differ."
            )
        runner = Runner(options.jobs, progress_on(console), cache_directory() / "recipes")
        before = Parts.read(options.parts) if options.parts else None
        features, learnt = build(recipe, images, options.fit_on, ID, runner, before)
        arrays = {**features, "labels": images.labels}
        document = manifest(recipe, found, options.fit_on, len(images.paths))
        written = write(out, arrays, learnt, document)
        if options.npy:
            write_npy(options.npy, arrays, document)
    except (ValueError, OSError) as error:  # DataError is a ValueError
        console.print(f"error: {one_line(error)}", style="red", markup=False, soft_wrap=True)
        return 2
    for path in written:
        print(f"{path}  {path.stat().st_size / 1e6:.2f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
