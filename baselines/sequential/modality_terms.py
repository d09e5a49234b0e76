"""What teaches DMP and MCC which modality comes next: neighbour distances and costs; it knows no network.

Shapes: B rows, K neighbours per row, M modalities, L copies (MCC). x~^k is the instance with every block but
the k-th zeroed, so that distances between weighted instances split into one term per modality.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.contracts import Array

SIGNS = ("jaccard", "same_set", "always_minus")


class Neighbourhood(NamedTuple):
    """Nearest training rows with what their distances are made of, all on one device."""

    indices: Tensor  # (N, K)     nearest other rows
    norms: Tensor  # (N, M)     ||x_i^k||^2
    products: Tensor  # (N, K, M)  <x_i^k, x_n^k>
    signs: Tensor  # (N, K)     1: pull together, -1: push apart, and between

    @classmethod
    def of(cls, inputs: Sequence[Tensor], labels: Array, indices: Array, sign: str) -> Neighbourhood:
        """Precompute from m inputs (N, d_k), labels (N, q) in {0, 1} and neighbours (N, K)."""
        device = inputs[0].device
        found = torch.from_numpy(np.asarray(indices, dtype=np.int64)).to(device)
        products = [
            torch.stack([(x * x[found[:, r]]).sum(1) for x in inputs], 1) for r in range(len(found.T))
        ]
        if not products:  # a single training row has no neighbour
            products = [inputs[0].new_zeros(len(found), len(inputs))]
            found, signs = found.new_zeros(len(found), 1), np.zeros((len(found), 1))
        else:
            signs = pair_signs(labels, indices, sign)
        return cls(
            found,
            torch.stack([x.square().sum(1) for x in inputs], 1),
            torch.stack(products, 1),
            torch.from_numpy(signs.astype(np.float32)).to(device),
        )

    def distances(self, rows: Tensor, own: Tensor, theirs: Tensor) -> Tensor:
        """Return || sum_k pi_nk x~_n^k - sum_k pi_ik x~_i^k ||^2 of shape (.., B, K).

        Parameters
        ----------
        rows : (B,) training rows i.
        own : (.., B, M) their weights pi_i.
        theirs : (.., B, K, M) weights pi_n of their neighbours n.
        """
        own = own.unsqueeze(-2)
        squares = theirs.square() * self.norms[self.indices[rows]] + own.square() * self.norms[
            rows
        ].unsqueeze(1)
        return (squares - 2 * theirs * own * self.products[rows]).sum(-1)


def pair_signs(labels: Array, indices: Array, sign: str) -> Array:
    """Return s_in (N, K): how far row i and its neighbour n should be drawn together.

    `jaccard` 2 |both| / |either| - 1, and 1 where both have no label; `same_set` 1 for equal label sets,
    else -1; `always_minus` -1.
    """
    y = np.asarray(labels, dtype=np.float64)
    if sign == "always_minus":
        return -np.ones(indices.shape)
    signs = np.empty(indices.shape)
    for column, neighbours in enumerate(indices.T):
        both, either = np.minimum(y, y[neighbours]).sum(1), np.maximum(y, y[neighbours]).sum(1)
        jaccard = np.divide(both, either, out=np.ones_like(both), where=either > 0)
        signs[:, column] = 2 * jaccard - 1 if sign == "jaccard" else np.where(jaccard == 1, 1, -1)
    return signs


def masked_softmax(preferences: Tensor, selectable: Tensor) -> Tensor:
    """Softmax over what may be acquired; where nothing may, zeros."""
    none_left = ~selectable.any(-1, keepdim=True)
    return torch.softmax(preferences.masked_fill(~selectable & ~none_left, -torch.inf), dim=-1) * selectable


def current_distance(norms: Tensor, weights: Tensor, current: Tensor) -> Tensor:
    """Return || sum_k pi_k x~^k - x~^s ||^2 (T, B) from norms (B, M), weights (T, B, M), current s (T, B)."""
    at = current.unsqueeze(2) == torch.arange(weights.shape[2], device=weights.device)
    return (weights.square() * norms).sum(2) + (norms * at).sum(2) * (1 - 2 * (weights * at).sum(2))


def margin_targets(margins: Array, costs: Sequence[float]) -> Array:
    """Return what a modality is worth to a label, (L, N, M): class margins in their own spread, minus cost.

    Parameters
    ----------
    margins : (M, N, L)
        Distance to the other class minus distance to the same class. Divided by the standard deviation over
        rows, per modality and label, so that modalities of many features do not win by scale; not centred,
        since the mean says which modality separates the label.
    costs : c_1..c_M
    """
    spread = margins.std(axis=1, keepdims=True)
    scaled = np.divide(margins, spread, out=np.zeros_like(margins), where=spread > 0)
    return np.ascontiguousarray((scaled - np.reshape(costs, (-1, 1, 1))).transpose(2, 1, 0), dtype=np.float32)


def hinge(preferences: Tensor, selectable: Tensor, worth: Tensor, n_offered: Tensor) -> Tensor:
    """Return the mean over all modalities of [remaining k != k*] max(0, 1 - f_k* + f_k).

    k* is the worthiest remaining modality. The result is zero where fewer than two are left.

    Parameters
    ----------
    preferences, selectable : (.., L, B, M)
    worth : (L, B, M)
    n_offered : (L,) how many modalities a copy has at all.

    Returns
    -------
    Tensor of shape (.., L, B)
    """
    best = worth.masked_fill(~selectable, -torch.inf).argmax(-1, keepdim=True)
    # By masks: what gathers or scatters cannot be captured where kernels are to be deterministic.
    chosen = best == torch.arange(selectable.shape[-1], device=best.device)
    of_best = (preferences * chosen).sum(-1, keepdim=True)
    loss = (1 - of_best + preferences).clamp_min(0)
    return (loss * (selectable & ~chosen)).sum(-1) / n_offered.unsqueeze(1)
