"""Command that turns the ML2000 images into the paper's three modalities; it computes no feature itself.

`python -m datasets.recipes.ml2000 --images DIR` writes the features, the fitted parts and the manifest
that the repository keeps. Labels are copied beside the features and used for nothing.
"""

from __future__ import annotations

import argparse
import io
import math
import sys
from collections.abc import Iterable, Iterator, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import joblib
import numpy as np
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from benchmark.contracts import Array, Provenance, Streams
from benchmark.words import one_line, show_every_character
from datasets.formats.folder import PROVENANCE_FILE
from datasets.ml2000 import rebuilt_note
from datasets.recipes import descriptors, parts, pipeline
from datasets.recipes.images import LABEL_NAMES, SIDE, UPSTREAM, ImageFolder, digest, open_folder
from datasets.recipes.store import json_bytes, npz_bytes, write_atomically

RECIPE_VERSION = "1"
"""Raise it with any change that moves a feature by more than rounding."""

FEATURES = Path(__file__).resolve().parents[1] / "ml2000_features.npz"

REFERENCE_DIGEST = "dd1642bf2d5580b06c4eb822ebd423aefb8652de1b5b98d4f464e0457a895cae"
"""`images.digest` of the copy behind the committed features."""

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
LIBRARIES = {
    "opencv": cv2.getVersionString(),  # several packages carry it
    **{name: version(name) for name in ("numpy", "pillow", "scikit-image", "scikit-learn")},
}


def fit_rows(choice: str, n: int) -> Array | None:
    """Return the rows that the unsupervised parts may see under `--fit-on`, or None for all.

    Parameters
    ----------
    choice
        `all`, or `train:SEED` for the training rows of that seed's split of ML2000.

    Raises
    ------
    ValueError
        For any other text.
    """
    if choice == "all":
        return None
    kind, _, seed = choice.partition(":")
    if kind != "train" or not (seed.isascii() and seed.isdecimal()):
        raise ValueError(f"--fit-on {choice!r}: expected all, or train:SEED such as train:0")
    # The project's split (`benchmark.run.split`), restated because data sets import contracts alone;
    # a test compares the two.
    order = Streams("ml2000", int(seed)).generator("split").permutation(n)
    return order[math.ceil(n / 10) :]


def build(
    images: ImageFolder, fit_on: str = "all", jobs: int = 1, report: pipeline.Report = pipeline.silent
) -> tuple[dict[str, Array], parts.Parts]:
    """Compute the features of all images; return arrays `bow`, `fv`, `hog`, `labels` and the fitted parts."""
    rows = fit_rows(fit_on, len(images.paths))
    seen = images.paths if rows is None else [images.paths[row] for row in sorted(rows)]
    learnt = pipeline.learn_parts(seen, jobs, report)
    return {**pipeline.encode_images(images.paths, learnt, jobs, report), "labels": images.labels}, learnt


def manifest(images_digest: str, fit_on: str, count: int) -> dict[str, Any]:
    """Return all of the manifest but the digests of the files written."""
    seed = fit_on.removeprefix("train:")
    seen = f"all {count} images" if fit_on == "all" else f"the training images of the split of seed {seed}"
    return {
        "recipe_version": RECIPE_VERSION,
        "source": SOURCE,
        "copy": REFERENCE_COPY if images_digest == REFERENCE_DIGEST else "not the reference copy",
        "citation": CITATION,
        "terms": TERMS,
        "unsupervised_fit": seen,
        "fit_on": fit_on,
        "label_names": list(LABEL_NAMES),
        "dims": pipeline.DIMS,
        "settings": {
            "side": SIDE,
            "grid_step": descriptors.STEP,
            "patch_sides": list(descriptors.PATCHES),
            "local_dim": parts.LOCAL_DIM,
            "sampled_descriptors_per_image": pipeline.SAMPLED_ROWS,
        },
        "images_sha256": images_digest,
        "versions": LIBRARIES,
    }


def write(
    out: Path, arrays: dict[str, Array], learnt: parts.Parts, document: dict[str, Any]
) -> tuple[Path, Path, Path]:
    """Write features, parts and, last, the manifest that vouches for both; return the three paths.

    `NAME_features.npz` gets `NAME_parts.npz` and `NAME_manifest.json` beside it.
    """
    stem = out.stem.removesuffix("_features")
    fitted, described = out.with_name(f"{stem}_parts.npz"), out.with_name(f"{stem}_manifest.json")
    digests = {
        "sha256": write_atomically(out, npz_bytes(arrays)),
        "parts_sha256": write_atomically(fitted, npz_bytes(learnt.arrays())),
    }
    write_atomically(described, json_bytes({**document, **digests}))
    return out, fitted, described


def origin(document: dict[str, Any]) -> dict[str, str]:
    """Return what `provenance.json` says of features with this manifest."""
    fit_on: str = document["fit_on"]
    note = rebuilt_note(document["recipe_version"], document["unsupervised_fit"])
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


def progress_on(console: Console) -> pipeline.Report:
    """Return a report that draws one bar per stage on a terminal, and one line per stage elsewhere."""

    def report(items: Iterable[Any], total: int, label: str) -> Iterator[Any]:
        if not console.is_terminal:
            console.print(f"{label} ...")
            yield from items
            return
        columns = (
            TextColumn("{task.description:26}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
        )
        with Progress(*columns, console=console) as bars:
            yield from bars.track(items, total=total, description=label)

    return report


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m datasets.recipes.ml2000",
        description="Turn the 2000 ML2000 images into bag of words, Fisher vector and HOG features.",
        epilog=f"The images: {UPSTREAM} (academic use only).",
    )
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="folder of 1.jpg to 2000.jpg"
    )
    parser.add_argument(
        "--labels", type=Path, metavar="FILE", help="label CSV (default: labels.csv in or above DIR)"
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
        "--jobs", type=int, default=joblib.cpu_count(), metavar="N", help="processes (default: all)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 if the input cannot be used or a file not be written."""
    show_every_character(sys.stdout, sys.stderr)
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    out = options.out
    if out is None:
        name = f"ml2000-{options.fit_on.replace(':', '-')}_features.npz"
        out = FEATURES if options.fit_on == "all" else Path(name)
    try:
        if out.suffix != ".npz":
            raise ValueError(f"--out {out}: expected a file name that ends in .npz")
        fit_rows(options.fit_on, 1)
        images = open_folder(options.images, options.labels)
        found = digest(images.paths)
        if found != REFERENCE_DIGEST:
            console.print(
                "These are not the bytes behind the committed features; the new features may differ."
            )
        arrays, learnt = build(images, options.fit_on, options.jobs, progress_on(console))
        document = manifest(found, options.fit_on, len(images.paths))
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
