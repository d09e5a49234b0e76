"""What a sequential method did on its way to the scores; it knows arrays alone."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import spearmanr

from benchmark.contracts import Array


@dataclass(frozen=True)
class OrderStatistics:
    """How varied the chosen orders of modalities are."""

    n_distinct: int
    entropy_bits: float
    """Shannon entropy of the empirical distribution of orders; at most log2 of m! and of n."""


def order_statistics(orders: Array) -> OrderStatistics:
    """Count the distinct orders of a test set and their entropy.

    Parameters
    ----------
    orders : (n, m) int array
        Row i lists the modalities of instance i in the order in which the decoder took them.

    Returns
    -------
    OrderStatistics
    """
    _, counts = np.unique(orders, axis=0, return_counts=True)
    shares = counts / counts.sum()
    return OrderStatistics(len(counts), float(abs((shares * np.log2(shares)).sum())))


def correlation_agreement(w_co: Array, train_phi: Array) -> float:
    """Spearman's rank correlation of learned and observed label correlations, off the diagonal.

    Parameters
    ----------
    w_co : (q, q) float array
        W_co of eq. (11): entry (i, j) is the effect of label i on label j.
    train_phi : (q, q) float array
        Phi coefficients of the training labels; entries that are not finite (a constant label) are left out.

    Returns
    -------
    float
        nan where either side is constant or fewer than three entries remain.
    """
    entries = ~np.eye(len(w_co), dtype=bool) & np.isfinite(train_phi)
    learned, observed = w_co[entries], train_phi[entries]
    if len(learned) < 3 or np.ptp(learned) == 0 or np.ptp(observed) == 0:
        return float("nan")
    return float(spearmanr(learned, observed).statistic)
