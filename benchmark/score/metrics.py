"""The ten metrics of Tables II and III from labels, scores and predictions; it knows no threshold rule.

Conventions (the paper states none of them; reasons in brackets):

- AUC: ties count half, as in scikit-learn. Macro-AUC skips labels, example-AUC skips rows, that have
  one class only, for which a ROC curve does not exist [as the published measures of the authors' group
  do]. If nothing is left the value is nan.
- F1: a label (macro) or row (example) without any true or predicted label counts 0, as scikit-learn's
  `zero_division=0`.
- Ranking loss: the share of (relevant, irrelevant) pairs with score_relevant <= score_irrelevant, so that
  a tie is a full error; a row without such pairs counts 0; mean over all rows.
- Coverage: the rank of the worst-placed relevant label, counted from 1, with ties at their worst; a row
  without labels counts 0. [Ranking loss and coverage: the printed rows of BR and CC can be explained by
  this convention alone, see the audit of Table II.]

All of them agree with scikit-learn where it is defined (the tests' oracle). They are vectorised here because
tables re-read every record under several rules and after every decoding step, where scikit-learn's loops over
labels and rows and its input checks would take ten times as long as the numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

import numpy as np

from benchmark.contracts import Array


@dataclass(frozen=True)
class Metric:
    """One column of the tables."""

    id: str
    direction: Literal["up", "down"]
    """`up`: larger is better."""


METRICS: tuple[Metric, ...] = (
    Metric("macro_auc", "up"),
    Metric("micro_auc", "up"),
    Metric("example_auc", "up"),
    Metric("macro_f1", "up"),
    Metric("micro_f1", "up"),
    Metric("example_f1", "up"),
    Metric("ranking_loss", "down"),
    Metric("hamming_loss", "down"),
    Metric("coverage", "down"),
    Metric("subset_accuracy", "up"),
)
Ranks = tuple[Array, Array]
"""See `ranks`."""
DIRECTIONS: Mapping[str, Literal["up", "down"]] = {metric.id: metric.direction for metric in METRICS}


def compute_metrics(labels: Array, scores: Array, predictions: Array) -> dict[str, float]:
    """Compute the ten metrics of one test set.

    Parameters
    ----------
    labels : (n, q) array in {0, 1}, q >= 2
    scores : (n, q) float array
        Larger means more relevant. Only their order counts; 0/1 scores are allowed and tie heavily.
    predictions : (n, q) array in {0, 1}

    Returns
    -------
    dict of str to float
        Keys as in `METRICS`, in that order; nan where a metric is undefined.

    Raises
    ------
    ValueError
        If shapes differ, q < 2, n = 0, a score is not finite, or labels or predictions are not 0/1.
    """
    _check(labels, scores, predictions)
    truth = labels.astype(bool)
    predicted = predictions.astype(bool)
    values = {
        **_of_order(truth.tobytes(), scores.tobytes(), scores.dtype.str, scores.shape),
        "macro_f1": _f1(truth, predicted, axis=0).mean(),
        "micro_f1": _f1(truth.ravel(), predicted.ravel(), axis=0),
        "example_f1": _f1(truth, predicted, axis=1).mean(),
        "hamming_loss": (truth != predicted).mean(),
        "subset_accuracy": (truth == predicted).all(axis=1).mean(),
    }
    return {metric.id: float(values[metric.id]) for metric in METRICS}


@lru_cache(maxsize=8)
def _of_order(labels: bytes, scores: bytes, dtype: str, shape: tuple[int, int]) -> Mapping[str, float]:
    """Return the metrics that only the order of the scores decides, from the arrays' bytes.

    One test set is read under several threshold rules in a row, and ranking takes most of the time.
    """
    truth = np.frombuffer(labels, bool).reshape(shape)
    given = np.frombuffer(scores, np.dtype(dtype)).reshape(shape)
    by_row, by_label, by_all = (ranks(one) for one in (given, given.T, given.ravel()))
    return {
        "macro_auc": _mean_defined(_auc(truth.T, by_label)),
        "micro_auc": float(_auc(truth.ravel(), by_all)),
        "example_auc": _mean_defined(_auc(truth, by_row)),
        "ranking_loss": _ranking_loss(truth, given, by_row),
        "coverage": _coverage(truth, given),
    }


def ranks(scores: Array) -> Ranks:
    """Rank scores along the last axis, from 1; tied scores share all places that they take together.

    Parameters
    ----------
    scores : (..., k) float array

    Returns
    -------
    lowest, highest : (..., k) int arrays
        First and last of the places that a score shares. Their mean is the rank that counts ties half.
    """
    k = scores.shape[-1]
    rows = np.ascontiguousarray(scores).reshape(-1, k)
    # In whatever order tied scores come out, they get the same places. Places are those in the flat array.
    order = np.argsort(rows, axis=-1) + k * np.arange(len(rows))[:, None]
    ascending = rows.ravel()[order]
    places = np.broadcast_to(np.arange(1, k + 1, dtype=np.int32), order.shape)
    new = ascending[:, 1:] != ascending[:, :-1]
    if new.all():  # as scores of networks mostly are; it saves two thirds of the time
        lowest = _put_back(order, places, scores.shape)
        return lowest, lowest
    starts = np.ones((len(rows), k + 1), bool)  # of a run of tied scores; one more starts at the end
    starts[:, 1:-1] = new
    first = np.maximum.accumulate(np.where(starts[:, :-1], places, 1), axis=-1)
    last = np.minimum.accumulate(np.where(starts[:, 1:], places, k)[:, ::-1], axis=-1)[:, ::-1]
    return _put_back(order, first, scores.shape), _put_back(order, last, scores.shape)


def _put_back(order: Array, values: Array, shape: tuple[int, ...]) -> Array:
    found = np.empty(order.size, values.dtype)
    found[order] = values
    return found.reshape(shape)


def _ranking_loss(relevant: Array, scores: Array, by_row: Ranks) -> float:
    # Labels whose score is >= that of label j: all of them, less the relevant ones.
    among_relevant, _ = ranks(np.where(relevant, scores, -np.inf))
    wrong = np.where(relevant, among_relevant - by_row[0], 0).sum(axis=1)
    pairs = relevant.sum(axis=1) * (~relevant).sum(axis=1)
    return float(np.mean(wrong / np.maximum(pairs, 1)))


def _coverage(relevant: Array, scores: Array) -> float:
    worst = np.where(relevant, scores, np.inf).min(axis=1)
    return float((scores >= worst[:, None]).sum(axis=1).mean())


def _f1(labels: Array, predictions: Array, axis: int) -> Array:
    """2 TP / (2 TP + FP + FN) along `axis`; 0 where nothing is relevant or predicted."""
    doubled_hits = 2 * (labels & predictions).sum(axis=axis)
    total = labels.sum(axis=axis) + predictions.sum(axis=axis)
    return doubled_hits / np.maximum(total, 1)


def _auc(labels: Array, places: Ranks) -> Array:
    """Area under the ROC curve along the last axis by the rank-sum identity; nan where there is one class."""
    n_positive = labels.sum(axis=-1, dtype=np.int64)
    n_negative = labels.shape[-1] - n_positive
    rank_sum = ((places[0] + places[1]) / 2 * labels).sum(axis=-1)
    pairs = n_positive * n_negative
    area = (rank_sum - n_positive * (n_positive + 1) / 2) / np.maximum(pairs, 1)
    return np.where(pairs > 0, area, np.nan)


def _mean_defined(values: Array) -> float:
    """Mean of the values that are not nan, nan if there is none."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else float("nan")


def _check(labels: Array, scores: Array, predictions: Array) -> None:
    if not labels.shape == scores.shape == predictions.shape or labels.ndim != 2:
        raise ValueError(
            f"labels {labels.shape}, scores {scores.shape} and predictions {predictions.shape} must share "
            "one shape (n, q)"
        )
    n, q = labels.shape
    if n == 0 or q < 2:
        raise ValueError(f"metrics need at least one row and two labels, got shape {labels.shape}")
    if not np.isfinite(scores).all():
        raise ValueError(
            f"{int((~np.isfinite(scores)).sum())} scores are not finite; the method has diverged"
        )
    for name, values in (("labels", labels), ("predictions", predictions)):
        if not ((values == 0) | (values == 1)).all():
            raise ValueError(f"{name} must be 0 or 1, found {np.setdiff1d(values, (0, 1))[0]}")
