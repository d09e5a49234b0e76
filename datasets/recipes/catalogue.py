"""Which recipes there are: each a table of modalities; it knows neither files nor processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from benchmark.contracts import Array
from datasets.recipes import colour, edges, encode, faces, hog, texture
from datasets.recipes.descriptors import describe
from datasets.recipes.images import SIDE
from datasets.recipes.parts import LOCAL_SETTINGS, Parts


@dataclass(frozen=True)
class Modality:
    """One descriptor of an image: its name, its dimension, and the function that computes it."""

    name: str
    dim: int
    compute: Callable[..., Array]
    """Of the image (s, s, 3), uint8 RGB; where `learnt`, of its projected local descriptors and the parts."""
    learnt: bool = False


@dataclass(frozen=True)
class Recipe:
    """Modalities computed from one image each, nothing else of it being known."""

    name: str
    version: str
    """Raise it with any change that moves a feature by more than rounding."""
    modalities: tuple[Modality, ...]
    fitted: str = ""
    """The unsupervised parts that its features depend on, in words; empty for none."""

    @property
    def learns(self) -> bool:
        return any(modality.learnt for modality in self.modalities)

    @property
    def dims(self) -> dict[str, int]:
        return {modality.name: modality.dim for modality in self.modalities}

    @property
    def settings(self) -> dict[str, Any]:
        """What a manifest says beside the version; the docstrings of the descriptors say the rest."""
        return {"side": SIDE, **(LOCAL_SETTINGS if self.learns else {})}

    def compute(self, image: Array, learnt: Parts | None) -> dict[str, Array]:
        """Return the features of one image (s, s, 3), uint8 RGB, by modality."""
        found = {m.name: m.compute(image) for m in self.modalities if not m.learnt}
        if learnt is not None:
            local = learnt.project(describe(image))
            found |= {m.name: m.compute(local, learnt) for m in self.modalities if m.learnt}
        return {name: found[name] for name in self.dims}


BAG_OF_WORDS = Modality("bow", encode.BOW_DIM, encode.bag_of_words, learnt=True)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        Recipe(
            "ml2000",
            "1",
            (
                BAG_OF_WORDS,
                Modality("fv", encode.FISHER_DIM, encode.fisher, learnt=True),
                Modality("hog", hog.DIM, hog.lab_hog),
            ),
            fitted="PCA, k-means and Gaussian mixture",
        ),
        Recipe(
            "taobao",
            "1",
            (
                BAG_OF_WORDS,
                Modality("gabor", texture.GABOR_DIM, texture.gabor),
                Modality("hog", hog.COARSE_DIM, hog.coarse_hog),
                Modality("hsvhist", colour.HSV_MARGINAL_DIM, colour.hsv_marginals),
            ),
            fitted="PCA and k-means",
        ),
        Recipe(
            "msra",
            "1",
            (
                Modality("rgb_histogram", colour.RGB_DIM, colour.rgb_histogram),
                Modality("color_moments", colour.MOMENTS_DIM, colour.colour_moments),
                Modality("hsv_histogram", colour.HSV_DIM, colour.hsv_histogram),
                Modality("correlogram", colour.CORRELOGRAM_DIM, colour.correlogram),
                Modality("distribution_histogram", edges.DIM, edges.edge_distribution),
                Modality("wavelet", texture.WAVELET_DIM, texture.wavelet),
                Modality("face", faces.DIM, faces.face_features),
            ),
        ),
    )
}
"""Named after the paper's data set whose modalities and dimensions (Table I) each has."""
