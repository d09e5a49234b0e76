"""Turns the local descriptors of one image into a bag of words and a Fisher vector; it fits nothing."""

from __future__ import annotations

import numpy as np
from skimage.feature import fisher_vector

from benchmark.contracts import Array
from datasets.recipes.parts import GAUSSIANS, LOCAL_DIM, WORDS, Parts

BOW_DIM = WORDS
FISHER_DIM = GAUSSIANS * (1 + 2 * LOCAL_DIM)


def bag_of_words(local: Array, parts: Parts) -> Array:
    """Return the (500,) square roots of the share of each visual word among the (p, 32) descriptors.

    The square root is the power normalisation (0.5); the shares sum to one, so the result has unit L2 norm.
    """
    # |x - c|^2 without |x|^2, which is the same for every word.
    distances = np.square(parts.words).sum(axis=1) - 2.0 * (local @ parts.words.T)
    counts = np.bincount(distances.argmin(axis=1), minlength=len(parts.words))
    return np.sqrt(counts / len(local))


def fisher(local: Array, parts: Parts) -> Array:
    """Return the (1040,) improved Fisher vector: power 0.5, then unit L2 norm (Perronnin et al. 2010)."""
    return fisher_vector(local.astype(np.float64), parts.mixture, improved=True, alpha=0.5)
