"""Command that turns a folder of labelled images into a data set of one's own; it computes no feature itself.

`python -m datasets.recipes NAME --images DIR --labels FILE --out DATA/ID`, then `run_all.py --data DATA`.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Sequence
from pathlib import Path

import joblib
from rich.console import Console

import datasets
from benchmark.contracts import DataError, Provenance, cache_directory
from benchmark.words import one_line, show_every_character
from datasets.formats.manifest import Manifest, check_free, check_name, write_dataset
from datasets.rebuilt import rebuilt_note
from datasets.recipes import ml2000
from datasets.recipes.build import build, check_fit_on, what_was_seen
from datasets.recipes.catalogue import RECIPES, Recipe
from datasets.recipes.folder import ImageFolder, open_folder
from datasets.recipes.images import digest
from datasets.recipes.pipeline import Runner
from datasets.recipes.progress import progress_on


def check_out(folder: Path, overwrite: bool) -> str:
    """Return the data set's id, the name of its folder.

    Raises
    ------
    DataError
        If it is no name, is that of a data set of the project, or something is there already.
    """
    name = check_name(folder.absolute().name, str(folder))
    for module in pkgutil.iter_modules(datasets.__path__):
        spec = getattr(importlib.import_module(f"datasets.{module.name}"), "DATASET", None)
        if spec is not None and spec.id == name.lower():
            raise DataError(f"--out {folder}: {spec.id} is a data set of this project; choose another name")
    check_free(folder, overwrite)
    return name


def describe(recipe: Recipe, images: ImageFolder, options: argparse.Namespace, name: str) -> Manifest:
    """Return what `dataset.toml` says of the features; ML2000's images bring their citation and terms."""
    known = digest(images.paths) == ml2000.REFERENCE_DIGEST
    made = {
        "recipe_version": f"{recipe.version} of {recipe.name}",
        "unsupervised_parts": recipe.fitted,
        "unsupervised_fit": what_was_seen(options.fit_on, len(images.paths)),
    }
    return Manifest(
        title=options.title or name,
        provenance=Provenance.REBUILT,
        modalities={modality: f"{modality}.npy" for modality in recipe.dims},
        label_names=images.label_names,
        terms=options.terms or (ml2000.TERMS if known else ""),
        citation=options.citation or (ml2000.CITATION if known else ""),
        note=rebuilt_note(made),
        split_id=options.split_id or name,
        fit_on=options.fit_on,
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m datasets.recipes",
        description="Turn a folder of labelled images into a data set: one array for each kind of features.",
        epilog="Finished images are kept in the cache folder ($M3LA_CACHE), so that a run that was stopped "
        "goes on where it was. Run the data set with: python run_all.py --data DATA --datasets ID",
    )
    parser.add_argument("recipe", choices=sorted(RECIPES), help="whose kinds of features")
    parser.add_argument(
        "--images", type=Path, required=True, metavar="DIR", help="images, in sub-folders or not"
    )
    parser.add_argument(
        "--labels",
        type=Path,
        metavar="FILE",
        help="CSV with a header: the image's name, then one 0/1 column for each label "
        "(default: labels.csv in or above DIR)",
    )
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DATA/ID", help="folder to write; its name becomes the id"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier data set of that name")
    parser.add_argument(
        "--fit-on",
        default="all",
        metavar="all|train:SEED",
        help="images that unsupervised parts see; no labels in any case (default: all)",
    )
    parser.add_argument(
        "--split-id",
        default="",
        metavar="ID",
        help="give data sets of the same rows the same, for the same splits (default: the id)",
    )
    for flag, what in (("title", "as tables print it"), ("terms", "of use"), ("citation", "of the images")):
        parser.add_argument(f"--{flag}", default="", metavar="TEXT", help=what)
    parser.add_argument(
        "--jobs", type=int, default=joblib.cpu_count(), metavar="N", help="processes (default: all)"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return 0, or 2 if the input cannot be used or the data set not be written."""
    show_every_character(sys.stdout, sys.stderr)
    options = _parser().parse_args(arguments)
    console = Console(stderr=True)
    recipe = RECIPES[options.recipe]
    try:
        name = check_out(options.out, options.overwrite)
        check_fit_on(recipe, options.fit_on)
        split_id = check_name(options.split_id or name, "--split-id")
        images = open_folder(options.images, options.labels)
        counts = images.labels.sum(axis=1)
        console.print(
            f"{len(counts)} images, {len(images.label_names)} labels, {counts.mean():.2f} to an image",
            markup=False,
        )
        runner = Runner(options.jobs, progress_on(console), cache_directory() / "recipes")
        features, _ = build(recipe, images, options.fit_on, split_id, runner)
        manifest = describe(recipe, images, options, name)
        write_dataset(options.out, manifest, list(features.values()), images.labels, options.overwrite)
    except (ValueError, OSError) as error:  # DataError is a ValueError
        console.print(f"error: {one_line(error)}", style="red", markup=False, soft_wrap=True)
        return 2
    shapes = ", ".join(f"{name} {x.shape[1]}" for name, x in features.items())
    print(f"{options.out}: {len(images.paths)} rows; {shapes}; labels {len(images.label_names)}")
    return 0
