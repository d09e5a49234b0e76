"""Applies a recipe to a folder of images, says which rows its unsupervised parts see; it writes no file."""

from __future__ import annotations

import math

from benchmark.contracts import Array, Streams
from datasets.recipes.catalogue import Recipe
from datasets.recipes.folder import ImageFolder
from datasets.recipes.parts import Parts
from datasets.recipes.pipeline import ALONE, SEEN_AT_MOST, Runner, encode_images, learn_parts


def fit_rows(choice: str, n: int, split_id: str) -> Array | None:
    """Return the rows that the unsupervised parts may see under `--fit-on`, or None for all.

    Parameters
    ----------
    choice
        `all`, or `train:SEED` for the training rows of that seed's split.
    n
        How many rows there are.
    split_id
        Whose split it is: the data set's id, unless several data sets share one split.

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
    order = Streams(split_id, int(seed)).generator("split").permutation(n)
    return order[math.ceil(n / 10) :]


def check_fit_on(recipe: Recipe, choice: str) -> None:
    """Raise ValueError if `--fit-on` is not understood, or the recipe fits nothing."""
    if fit_rows(choice, 1, "") is not None and not recipe.learns:
        raise ValueError(f"--fit-on {choice}: recipe {recipe.name} fits nothing; leave --fit-on out")


def what_was_seen(choice: str, count: int) -> str:
    """Say in words which of `count` images the unsupervised parts saw under `--fit-on`."""
    if choice == "all":
        words, seen = f"all {count} images", count
    else:
        words = f"the training images of the split of seed {choice.removeprefix('train:')}"
        seen = count - math.ceil(count / 10)
    return words if seen <= SEEN_AT_MOST else f"{SEEN_AT_MOST} images drawn from {words}"


def build(
    recipe: Recipe,
    images: ImageFolder,
    fit_on: str,
    split_id: str,
    runner: Runner = ALONE,
    learnt: Parts | None = None,
) -> tuple[dict[str, Array], Parts | None]:
    """Compute the features of all images; return them by modality, and the parts if it learns.

    `learnt` are parts fitted before, to encode with instead of fitting.
    """
    if not recipe.learns:
        learnt = None
    elif learnt is None:
        rows = fit_rows(fit_on, len(images.paths), split_id)
        seen = images.paths if rows is None else [images.paths[row] for row in sorted(rows)]
        learnt = learn_parts(seen, runner)
    return encode_images(recipe, images.paths, learnt, runner), learnt
