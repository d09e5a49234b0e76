"""The unsupervised parts (PCA, k-means, Gaussian mixture): fitted, kept and read; no label enters."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from functools import cached_property
from pathlib import Path

import numpy as np
from sklearn.cluster import MiniBatchKMeans
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from benchmark.contracts import Array, DataError
from datasets.recipes.descriptors import COLOUR_DIM, PATCHES, STEP, LocalDescriptors

LOCAL_DIM = 32
"""26 principal components of SIFT and 6 numbers of colour."""
WORDS = 500
GAUSSIANS = 16
SAMPLED_ROWS = 60
"""Descriptors that each image gives to the fit."""
PARTS_VERSION = "1"
"""Raise it and the versions of the recipes that learn with any change that moves a part beyond rounding."""
LOCAL_SETTINGS = {
    "grid_step": STEP,
    "patch_sides": list(PATCHES),
    "local_dim": LOCAL_DIM,
    "sampled_descriptors_per_image": SAMPLED_ROWS,
}


@dataclass(frozen=True)
class Parts:
    """What was learnt from images without labels; float32, so that a stored copy encodes to the same bits."""

    sift_mean: Array
    """(384,)"""
    sift_axes: Array
    """(26, 384): principal axes over the standard deviation along the first one."""
    colour_mean: Array
    """(6,)"""
    colour_deviation: Array
    """(6,)"""
    words: Array
    """(500, 32): centres of k-means."""
    weights: Array
    """(16,): mixture weights."""
    means: Array
    """(16, 32)"""
    variances: Array
    """(16, 32): diagonal covariances."""

    def project(self, local: LocalDescriptors) -> Array:
        """Return the (p, 32) local descriptors that both bag of words and Fisher vector encode."""
        sift = (local.sift - self.sift_mean) @ self.sift_axes.T
        colour = (local.colour - self.colour_mean) / self.colour_deviation
        return np.concatenate([sift, colour], axis=1)

    @cached_property
    def mixture(self) -> GaussianMixture:
        """The mixture as scikit-learn's estimator, which `skimage.feature.fisher_vector` asks for."""
        mixture = GaussianMixture(len(self.weights), covariance_type="diag")
        mixture.weights_ = self.weights.astype(np.float64)
        mixture.means_ = self.means.astype(np.float64)
        mixture.covariances_ = self.variances.astype(np.float64)
        mixture.precisions_cholesky_ = 1.0 / np.sqrt(mixture.covariances_)
        return mixture

    def arrays(self) -> dict[str, Array]:
        return asdict(self)

    @classmethod
    def read(cls, path: Path) -> Parts:
        """Read parts written from `arrays`.

        Raises
        ------
        DataError
            If the file lacks an array.
        """
        with np.load(path, allow_pickle=False) as stored:
            missing = {item.name for item in fields(cls)} - set(stored.files)
            if missing:
                raise DataError(
                    f"{path}: expected the arrays of a parts file, found none named {sorted(missing)}"
                )
            return cls(**{item.name: stored[item.name] for item in fields(cls)})


def fit_parts(sample: LocalDescriptors, seed: int = 0) -> Parts:
    """Fit PCA, k-means and mixture on descriptors sampled from images.

    Single precision input, one thread and a fixed seed make the result a function of the sample alone
    (k-means adds up in an order that depends on the number of threads: the caller limits it to one).
    """
    pca = PCA(LOCAL_DIM - COLOUR_DIM, svd_solver="covariance_eigh").fit(sample.sift)
    # One factor for all keeps the components' relative weight; whitening would raise the noisy last ones.
    axes = pca.components_ / (np.sqrt(pca.explained_variance_[0]) or 1.0)  # zero where all images are flat
    deviation = sample.colour.std(axis=0, dtype=np.float64)
    bare = {
        "sift_mean": pca.mean_,
        "sift_axes": axes,
        "colour_mean": sample.colour.mean(axis=0, dtype=np.float64),
        "colour_deviation": np.where(deviation > 0, deviation, 1.0),
    }
    empty = np.empty(0)
    frame = Parts(**_single(bare), words=empty, weights=empty, means=empty, variances=empty)
    local = frame.project(sample)
    words = MiniBatchKMeans(WORDS, batch_size=4096, max_iter=30, n_init=1, random_state=seed).fit(local)
    mixture = GaussianMixture(
        GAUSSIANS, covariance_type="diag", reg_covar=1e-4, max_iter=200, random_state=seed
    ).fit(local)
    learnt = {
        "words": words.cluster_centers_,
        "weights": mixture.weights_,
        "means": mixture.means_,
        "variances": mixture.covariances_,
    }
    return Parts(**_single(bare), **_single(learnt))


def _single(arrays: dict[str, Array]) -> dict[str, Array]:
    return {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in arrays.items()}
