"""Images to features in two passes, sample-and-fit then encode, on several processes; it knows no descriptor.

Images are worked on in blocks, and what a block gave is kept in a folder (`datasets.cache`) whose name
follows from all that can change it: the recipe and its version, the libraries, the parts, the bytes of the
images. A run that was killed finds the blocks that it had finished, and one on a folder that grew computes
the new blocks alone.
"""

from __future__ import annotations

import functools
import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import cv2
import joblib
import numpy as np
from threadpoolctl import threadpool_limits

from benchmark.contracts import Array, DataError
from datasets.cache import cached_arrays
from datasets.recipes.catalogue import Recipe
from datasets.recipes.descriptors import PATCHES, LocalDescriptors, describe, grid
from datasets.recipes.images import SIDE, file_digests, read_image
from datasets.recipes.parts import LOCAL_SETTINGS, PARTS_VERSION, SAMPLED_ROWS, WORDS, Parts, fit_parts
from datasets.recipes.store import to_half

BLOCK = 20
"""Images to a block: what a killed run can lose, for each process."""
SEEN_AT_MOST = 5000
"""Images that the parts are fitted on; of more a sample, so that their descriptors fit into memory."""
SHOWN = 5
"""How many unreadable images an error names of those it counts."""
LIBRARIES = {
    "opencv": cv2.getVersionString(),  # several packages carry it
    **{name: version(name) for name in ("numpy", "pillow", "scikit-image", "scikit-learn")},
}

Report = Callable[[Iterable[Any], int, str], Iterable[Any]]
"""Passes items on and shows how far it is: (items, how many there will be, what is being done)."""


def silent(items: Iterable[Any], total: int, label: str) -> Iterable[Any]:  # noqa: ARG001 - same signature as a progress bar
    """Report nothing."""
    return items


@dataclass(frozen=True)
class Runner:
    """How images are worked on; nothing here can change a result."""

    jobs: int = 1
    report: Report = silent
    cache: Path | None = None
    """Where finished blocks are kept; None keeps none."""

    def over(
        self, work: Callable[[Any], dict[str, Array]], items: Sequence[Any], keys: Sequence[str], stage: str
    ) -> dict[str, Array]:
        """Return what `work` gives for each item, stacked by name.

        Parameters
        ----------
        work
            Returns arrays whose names and shapes are the same for all items.
        items, keys
            What to work on, and for each what its result follows from.
        stage
            What is being done, in words.

        Raises
        ------
        DataError
            If `work` refuses items with one; after the others, and with how many there are.
        """
        places = [range(start, min(start + BLOCK, len(items))) for start in range(0, len(items), BLOCK)]
        folders = [self.folder("block", [keys[i] for i in block]) for block in places]
        kept = sum(len(block) for block, at in zip(places, folders, strict=True) if at and at.exists())
        calls = (
            joblib.delayed(_block)(work, [items[i] for i in block], at)
            for block, at in zip(places, folders, strict=True)
        )
        results = joblib.Parallel(n_jobs=self.jobs, return_as="generator")(calls)
        label = f"{stage}, {kept} kept" if kept else stage
        shown = self.report(_once_per_item(results, places), len(items), label)
        found = [result for result in shown if result is not None]
        faults = [fault for _, refused in found for fault in refused]
        if faults:
            count = f"{len(faults)} images cannot be used, first: " if len(faults) > 1 else ""
            raise DataError(count + " | ".join(faults[:SHOWN]))
        return {name: np.concatenate([arrays[name] for arrays, _ in found]) for name in found[0][0]}

    def folder(self, kind: str, follows_from: Any) -> Path | None:
        """Return the folder in the cache for what follows from JSON-like values."""
        if self.cache is None:
            return None
        return self.cache / f"{kind}-{_short_sha256(follows_from)}"


ALONE = Runner()
"""One process that shows and keeps nothing."""


def learn_parts(paths: Sequence[Path], runner: Runner = ALONE) -> Parts:
    """Fit the unsupervised parts on `SAMPLED_ROWS` descriptors of each of the images `paths`.

    Which rows an image gives depends on its place in `paths` alone, so that the result does not depend on who
    works on it. Of more than `SEEN_AT_MOST` images a fixed random sample is seen.

    Raises
    ------
    DataError
        If there are too few images to tell `WORDS` visual words apart.
    """
    least = math.ceil(WORDS / SAMPLED_ROWS)
    if len(paths) < least:
        raise DataError(
            f"{len(paths)} images to fit {WORDS} visual words on: expected at least {least}; add images"
        )
    if len(paths) > SEEN_AT_MOST:
        chosen = np.random.default_rng(0).choice(len(paths), SEEN_AT_MOST, replace=False)
        paths = [paths[row] for row in sorted(chosen)]
    common = [PARTS_VERSION, SIDE, LOCAL_SETTINGS, LIBRARIES]
    keys = [_short_sha256([common, place, found]) for place, found in enumerate(file_digests(paths))]
    samples = runner.folder("samples", keys)
    fit = functools.partial(_fit, paths, keys, replace(runner, cache=samples))
    folder = runner.folder("parts", keys)
    kept = fit() if folder is None else cached_arrays(folder, fit)
    if samples is not None:
        shutil.rmtree(samples, ignore_errors=True)  # large, and of no more use
    return Parts(**{name: np.array(values) for name, values in kept.items()})


def encode_images(
    recipe: Recipe, paths: Sequence[Path], learnt: Parts | None = None, runner: Runner = ALONE
) -> dict[str, Array]:
    """Return one array (n, d_k), float16, for each modality; a recipe that learns needs the parts."""
    fitted = {} if learnt is None else learnt.arrays()
    digests = [hashlib.sha256(values.tobytes()).hexdigest() for values in fitted.values()]
    common = [recipe.name, recipe.version, recipe.dims, recipe.settings, digests, LIBRARIES]
    keys = [_short_sha256([common, found]) for found in file_digests(paths)]
    stage = "encode (pass 2 of 2)" if recipe.learns else "encode"
    return runner.over(functools.partial(_encode, recipe, learnt), paths, keys, stage)


def _fit(paths: Sequence[Path], keys: Sequence[str], runner: Runner) -> dict[str, Array]:
    found = runner.over(_sample, list(enumerate(paths)), keys, "describe (pass 1 of 2)")
    sample = LocalDescriptors(**{name: x.reshape(-1, x.shape[-1]) for name, x in found.items()})
    (parts,) = runner.report(_fitted(sample), 1, "fit PCA, k-means, mixture")
    return parts.arrays()


def _fitted(sample: LocalDescriptors) -> Iterator[Parts]:
    with _one_thread():
        yield fit_parts(sample)


def _sample(item: tuple[int, Path]) -> dict[str, Array]:
    place, path = item
    rows = len(PATCHES) * len(grid(SIDE))
    chosen = np.random.default_rng(place).choice(rows, SAMPLED_ROWS, replace=False)
    local = describe(read_image(path), chosen)
    return {"sift": local.sift, "colour": local.colour}


def _encode(recipe: Recipe, learnt: Parts | None, path: Path) -> dict[str, Array]:
    return {name: to_half(x) for name, x in recipe.compute(read_image(path), learnt).items()}


def _block(
    work: Callable[[Any], dict[str, Array]], items: Sequence[Any], folder: Path | None
) -> tuple[dict[str, Array], list[str]]:
    """Return the stacked results of one block, or none and why; keep them in `folder`, or take them."""
    faults: list[str] = []

    def build() -> dict[str, Array]:
        results = []
        for item in items:
            try:
                results.append(work(item))
            except DataError as error:
                faults.append(str(error))
        if faults:
            raise DataError(faults[0])
        return {name: np.stack([result[name] for result in results]) for name in results[0]}

    with _one_thread():
        try:
            arrays = build() if folder is None else cached_arrays(folder, build)
        except DataError:
            if not faults:
                raise  # the cache cannot be written
            return {}, faults
    return {name: np.array(values) for name, values in arrays.items()}, []


def _once_per_item(results: Iterable[Any], blocks: Iterable[Sequence[Any]]) -> Iterator[Any]:
    """Yield each block's result, then None for each further image of it, so that a bar counts images."""
    for result, block in zip(results, blocks, strict=True):
        yield result
        yield from [None] * (len(block) - 1)


def _short_sha256(value: Any) -> str:
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:32]


@contextmanager
def _one_thread() -> Iterator[None]:
    """Keep every library on one thread: one process per core, and the same bits whatever `jobs` is."""
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1):
            yield
    finally:
        cv2.setNumThreads(before)
