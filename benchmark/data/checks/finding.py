"""What a check returns, and how chance enters it; it knows no words and no files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.special import gammaln, ndtr

from benchmark.contracts import Array

FALSE_ALARMS = 0.001
"""Largest chance that a check which asks for it finds something in data where there is nothing."""
AWAY = 0.05
"""How far from .5 an AUC must be, beside significant, to be worth a word."""
SHOWN = 5
"""Instances that a finding holds at most."""


@dataclass(frozen=True)
class Finding:
    """One kind of fault, with its count."""

    kind: str
    count: int
    first: tuple[Mapping[str, Any], ...]
    """The first few instances."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further numbers of it."""

    @classmethod
    def of(cls, kind: str, instances: Sequence[Mapping[str, Any]], **more: Any) -> list[Finding]:
        """Return one finding, or none without an instance."""
        return [cls(kind, len(instances), tuple(instances[:SHOWN]), more)] if instances else []


def aucs(ranks: Array, labels: Array) -> Array:
    """Return the AUC (q, d) of each column for each label, nan for a label with one class.

    Parameters
    ----------
    ranks : (n, d), from 1, tied values share their mean.
    labels : (n, q) in {0, 1}.
    """
    positives = labels.sum(axis=0, dtype=np.int64)[:, None]
    pairs = (positives * (len(labels) - positives)).astype(float)
    pairs[pairs == 0] = np.nan
    return (labels.astype(float).T @ ranks - positives * (positives + 1) / 2) / pairs


def chance(auc: Array, positives: Array, n: int) -> Array:
    """Return no less than the two-sided chance of such an AUC where a label is shuffled.

    The smaller of two bounds: the normal one, which is too large at both ends because ranks are bounded,
    and one by counting, for labels so rare that the normal one says nothing. Of the orders of n rows,
    C(n, p), at most C(D + p, p) leave at most D of the pairs of a positive and a negative wrong.
    """
    negatives = n - positives
    good = np.maximum(auc, 1 - auc)
    with np.errstate(divide="ignore", invalid="ignore"):
        normal = ndtr(-(good - 0.5) / np.sqrt((n + 1) / (12 * positives * negatives)))
    few = np.minimum(positives, negatives)
    wrong = np.floor(positives * negatives * (1 - good) + 1e-6)
    counted = np.exp(np.minimum(_log_choose(wrong + few, few) - _log_choose(n, few), 0.0))
    return 2 * np.minimum(normal, counted)


def _log_choose(n: Any, k: Any) -> Any:
    return gammaln(n + 1) - gammaln(k + 1) - gammaln(n - k + 1)
