"""CS3G's objectives, in coordinates in which they are well conditioned; it knows no solver and no grid.

Rotating the features of one modality, or the labels in the basis of the Laplacian, changes neither a
Frobenius norm nor the Laplacian term. In the bases of each modality's singular vectors and of the
Laplacian's eigenvectors both quadratic terms are diagonal, and nearly so is the curvature of the loss.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from scipy.linalg import eigh, svd
from scipy.special import expit, log_expit, logit
from scipy.stats import chi2

from benchmark.contracts import Array, Modalities

MAX_NEWTON_STEPS = 100
"""Far more than the proximal operator takes; convergence is quadratic."""


class Strengths(NamedTuple):
    """Weights of the three penalties."""

    ridge: float
    laplacian: float
    lasso: float

    def quadratic(self, eigenvalues: Array) -> Array:
        """Return (q,), the curvature of ridge and Laplacian term along the Laplacian's eigenvectors."""
        return self.ridge + self.laplacian * eigenvalues

    def lasso_weights(self, design: Design) -> Array:
        """Return (m,), the weight of each modality's norm: lasso * sqrt(d_k), d_k all its features."""
        return self.lasso * np.sqrt([len(basis) for basis in design.bases])


def label_relations(labels: Array, threshold: float, significance: float) -> Array:
    """Return R: phi coefficients of pairs of labels, 0 where they are small or may be chance.

    Parameters
    ----------
    labels : ndarray of shape (n, q)
        In {0, 1}; a constant label has no relation.
    threshold : float
        Smallest |phi| that counts.
    significance : float
        Level of the chi-square test of independence (n phi^2, one degree of freedom, each pair on its own).

    Returns
    -------
    ndarray of shape (q, q)
        Symmetric, diagonal 0.
    """
    n, q = labels.shape
    centred = labels - labels.mean(axis=0, dtype=np.float64)
    covariance = centred.T @ centred
    deviation = np.sqrt(np.diag(covariance))
    norm = np.outer(deviation, deviation)
    phi = np.divide(covariance, norm, out=np.zeros((q, q)), where=norm > 0)
    np.fill_diagonal(phi, 0.0)
    related = (np.abs(phi) >= threshold) & (chi2.sf(n * phi**2, 1) <= significance)
    return np.where(related, phi, 0.0)


def signed_laplacian(relations: Array) -> Array:
    """Return diag(sum_k |R_jk|) - R, so that tr(W L W^T) = sum_{j<k} |R_jk| ||w_j - sign(R_jk) w_k||^2."""
    return np.diag(np.abs(relations).sum(axis=1)) - relations


@dataclass(frozen=True)
class Design:
    """Rows of a fit in the basis of each modality's right singular vectors."""

    rows: Array
    """(n, r): the modalities side by side, r the sum of their ranks."""
    blocks: tuple[slice, ...]
    """Columns of each modality in `rows`."""
    bases: tuple[Array, ...]
    """(d_k, r_k) each, with orthonormal columns."""
    curvature: Array
    """(r,): mean square of each column."""

    @classmethod
    def of(cls, modalities: Modalities, device: str | None = None) -> Design:
        """Rotate modalities (n, d_k); directions in which the rows do not vary are dropped.

        The ridge makes the weights of every such direction zero. A device finds the singular vectors.
        """
        rows, blocks, bases, start = [], [], [], 0
        for x in modalities:
            u, s, vt = _svd(np.asarray(x, dtype=np.float64), device)
            rank = int(np.count_nonzero(s > s.max(initial=0.0) * max(x.shape) * np.finfo(float).eps))
            rows.append(u[:, :rank] * s[:rank])
            bases.append(vt[:rank].T)
            blocks.append(slice(start, start + rank))
            start += rank
        joined = np.ascontiguousarray(np.concatenate(rows, axis=1))
        return cls(joined, tuple(blocks), tuple(bases), np.mean(joined**2, axis=0))

    def rotated(self, modalities: Modalities) -> Array:
        """Return other rows in the same bases, (n, r)."""
        return np.concatenate([x @ basis for x, basis in zip(modalities, self.bases, strict=True)], axis=1)


def _svd(x: Array, device: str | None) -> tuple[Array, Array, Array]:
    if device is None:
        u, s, vt = svd(x, full_matrices=False)
        return u, s, vt
    import torch  # only where a device is, as it takes long to load

    found = torch.linalg.svd(torch.from_numpy(x).to(device), full_matrices=False)
    u, s, vt = (part.cpu().numpy() for part in found)
    return u, s, vt


@dataclass(frozen=True)
class Problem:
    """The convex objective of METHODS' variant A, or of variant B given its interactions.

    A point is (r + 1, q): weights in the rotated bases, then the intercepts in the labels' own basis.
    """

    design: Design
    signs: Array
    """(n, q) in {-1, 1}."""
    costs: Array
    """c_ij; (n, q), or a scalar."""
    strengths: Strengths
    eigenvalues: Array
    """(q,) of the signed Laplacian."""
    eigenvectors: Array
    """(q, q), in columns."""
    mixing: Array | None = None
    """I + S, (q, q), of variant B."""
    scale: float = field(init=False)
    """Norm of the loss's gradient at the null model; residuals are relative to it."""
    metric: Array = field(init=False)
    """(r + 1, q): diagonal estimate of the objective's curvature, at the null model."""

    def __post_init__(self) -> None:
        null = self.null_point()
        decision = self.decision(null)
        # The null model has no weights, so that its gradient is that of the loss alone.
        norm = float(np.linalg.norm(self.gradient(null, decision)[:-1]))
        object.__setattr__(self, "scale", max(norm, 1e-8))
        object.__setattr__(self, "metric", self.metric_at(decision, self.strengths))
        if not (np.isfinite(norm) and np.isfinite(self.metric).all()):
            raise ValueError("the curvature of the objective overflows; standardise the features")

    @property
    def lasso_weights(self) -> Array:
        """Weight of each modality's norm."""
        return self.strengths.lasso_weights(self.design)

    def null_point(self) -> Array:
        """Return zero weights and the intercepts that give each label its frequency."""
        n, q = self.signs.shape
        weight = np.broadcast_to(self.costs, (n, q))
        positive = np.sum(weight * (self.signs > 0), axis=0) / np.sum(weight, axis=0)
        # A label of one class, as a fold may have one, would start at infinity.
        positive = np.clip(positive, 0.5 / n, 1 - 0.5 / n)
        return np.vstack([np.zeros((self.design.rows.shape[1], q)), logit(positive)])

    def natural(self, point: Array) -> Array:
        """Return the point with its weights in the labels' own basis."""
        return np.vstack([point[:-1] @ self.eigenvectors.T, point[-1:]])

    def decision(self, point: Array) -> Array:
        """Return Z (n, q), linear in `point`; in variant B, Z (I + S)."""
        z = self.design.rows @ (point[:-1] @ self.eigenvectors.T) + point[-1]
        return z if self.mixing is None else z @ self.mixing

    def smooth(self, point: Array, decision: Array) -> float:
        """Return loss, ridge and Laplacian term."""
        loss = -np.mean(np.sum(self.costs * log_expit(self.signs * decision), axis=1))
        return float(loss + 0.5 * np.sum(self._quadratic * point[:-1] ** 2))

    def gradient(self, point: Array, decision: Array) -> Array:
        """Return the gradient of `smooth`."""
        slope = -self.costs * self.signs * expit(-self.signs * decision) / len(self.signs)
        if self.mixing is not None:
            slope = slope @ self.mixing.T
        result = np.empty_like(point)
        result[:-1] = (self.design.rows.T @ slope) @ self.eigenvectors + self._quadratic * point[:-1]
        result[-1] = slope.sum(axis=0)
        return result

    def penalty(self, point: Array) -> float:
        """Return the modality group lasso."""
        norms = [np.linalg.norm(point[block]) for block in self.design.blocks]
        return float(self.lasso_weights @ norms)

    def proximal(self, point: Array, metric: Array) -> Array:
        """Return argmin over U of 1/2 sum(metric * (U - point)^2) + penalty(U)."""
        result = point.copy()
        for block, weight in zip(self.design.blocks, self.lasso_weights, strict=True):
            result[block] = shrink_norm(point[block], metric[block], weight)
        return result

    def residual(self, point: Array, gradient: Array) -> float:
        """Return the norm of the smallest subgradient of smooth + penalty, relative to `scale`."""
        parts = [float(np.linalg.norm(gradient[-1]))]
        for block, weight in zip(self.design.blocks, self.lasso_weights, strict=True):
            norm = float(np.linalg.norm(point[block]))
            if norm > 0:
                parts.append(float(np.linalg.norm(gradient[block] + weight / norm * point[block])))
            else:
                parts.append(max(0.0, float(np.linalg.norm(gradient[block])) - weight))
        return float(np.linalg.norm(parts)) / self.scale

    def metric_at(self, decision: Array, strengths: Strengths) -> Array:
        """Return the Hessian's diagonal (r + 1, q) at a decision, as if all rows of a label were alike."""
        p = expit(decision)
        by_label = np.maximum(np.mean(self.costs * p * (1 - p), axis=0), 1e-8)
        if self.mixing is not None:
            by_label = self.mixing**2 @ by_label
        rotated = self.eigenvectors.T**2 @ by_label
        quadratic = strengths.quadratic(self.eigenvalues)
        return np.vstack([np.outer(self.design.curvature, rotated) + quadratic, by_label])

    def weights(self, point: Array) -> list[Array]:
        """Return W_k (d_k, q) of each modality in its own features and labels."""
        pairs = zip(self.design.bases, self.design.blocks, strict=True)
        return [basis @ point[block] @ self.eigenvectors.T for basis, block in pairs]

    @property
    def _quadratic(self) -> Array:
        return self.strengths.quadratic(self.eigenvalues)


def shrink_norm(point: Array, metric: Array, weight: float) -> Array:
    """Return argmin over U of 1/2 sum(metric * (U - point)^2) + weight * ||U||_F.

    With a constant metric h this is group soft-thresholding, point * max(0, 1 - weight / (h ||point||)).
    Else U = metric * point / (metric + weight / r), where r = ||U|| solves
    ||pull / (metric * r + weight)|| = 1 with pull = metric * point.
    """
    if weight == 0:
        return point
    pull = metric * point
    left = float(np.linalg.norm(pull)) - weight
    if left <= 0:
        return np.zeros_like(point)
    # ||metric * U|| = ||pull|| - weight bounds r from below. 1 / ||pull / (metric * r + weight)|| is concave
    # in r, so that Newton's steps on it climb to the root without passing it, as in trust-region methods.
    r = left / float(metric.max())
    for _ in range(MAX_NEWTON_STEPS):
        denominator = metric * r + weight
        squares = (pull / denominator) ** 2
        norm = math.sqrt(float(np.sum(squares)))
        step = (norm - 1) * norm**2 / float(np.sum(squares * metric / denominator))
        r += max(step, 0.0)
        if step <= 1e-14 * r:
            break
    return pull * r / (metric * r + weight)


def problem_of(
    modalities: Modalities | Design,
    labels: Array,
    strengths: Strengths,
    relations: Array,
    costs: Array | float = 1.0,
    mixing: Array | None = None,
) -> Problem:
    """Put the objective together.

    Parameters
    ----------
    modalities : sequence of ndarray of shape (n, d_k), or Design
        Standardised features.
    labels : ndarray of shape (n, q)
        In {0, 1}, no column constant.
    strengths : Strengths
    relations : ndarray of shape (q, q)
        R of `label_relations`.
    costs : float or ndarray of shape (n, q)
    mixing : ndarray of shape (q, q), optional
    """
    design = modalities if isinstance(modalities, Design) else Design.of(modalities)
    if strengths.laplacian > 0:
        eigenvalues, eigenvectors = eigh(signed_laplacian(relations))
        eigenvalues = np.maximum(eigenvalues, 0.0)  # positive semi-definite up to rounding
    else:
        eigenvalues, eigenvectors = np.zeros(labels.shape[1]), np.eye(labels.shape[1])
    signs = 2.0 * labels - 1.0
    return Problem(design, signs, np.asarray(costs), strengths, eigenvalues, eigenvectors, mixing)


def balanced_costs(labels: Array) -> Array:
    """Return c_ij (n, q) that give both classes of each label half of the n rows' weight."""
    frequency = labels.mean(axis=0, dtype=np.float64)
    return np.where(labels == 1, 0.5 / frequency, 0.5 / (1 - frequency))


def raw_decision(modalities: Sequence[Array], weights: Sequence[Array], intercepts: Array) -> Array:
    """Return Z = sum_k X_k W_k + 1 b^T, (n, q)."""
    return sum((x @ w for x, w in zip(modalities, weights, strict=True)), start=intercepts[None, :])
