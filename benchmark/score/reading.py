"""From a record's arrays to ten numbers under a threshold rule; it knows no method and no file."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from benchmark.contracts import Array, Scoring
from benchmark.score.metrics import compute_metrics
from benchmark.score.thresholds import Thresholds, apply_thresholds, choose_thresholds, harden


@dataclass(frozen=True)
class Evaluation:
    """What the scores of one job come to under one scoring and one threshold rule."""

    metrics: dict[str, float]
    """The ten metrics, keys as in `metrics.METRICS`."""
    predictions: Array
    """(n, q) uint8."""


def read_scores(arrays: Mapping[str, Array], scoring: Scoring, rule: str) -> Evaluation:
    """Threshold the stored scores and compute the ten metrics.

    Parameters
    ----------
    arrays : mapping
        `scores` (n, q), `labels` (n, q), `train_label_frequencies` (q,) and, for rules that end in
        `@holdout`, `holdout_scores` (n_holdout, q).
    scoring : {"soft", "hard"}
        `hard` replaces the scores by the 0/1 predictions before any metric sees them.
    rule : str
        One of `thresholds.RULES`; chosen on the soft scores under either scoring.

    Raises
    ------
    KeyError
        If an array is absent.
    ValueError
        If the rule is unknown or cannot be applied, or scores are not finite.
    """
    scores = _stored(arrays["scores"])
    thresholds = _choose(arrays, scores, rule)
    return _read(arrays["labels"], scores, scoring, thresholds)


def read_steps(arrays: Mapping[str, Array], scoring: Scoring, rule: str) -> tuple[dict[str, float], ...]:
    """Compute the ten metrics after each decoding step.

    Thresholds are chosen anew from the scores of each step. Rules that end in `@holdout` are the
    exception: hold-out scores are kept for the last step only, whose thresholds then serve all steps.

    Parameters
    ----------
    arrays : mapping
        As for `read_scores`, and `step_scores` (n, m, q); without it the result is empty.
    scoring, rule
        As for `read_scores`.

    Returns
    -------
    tuple of dict
        One per step, first to last.
    """
    if "step_scores" not in arrays:
        return ()
    step_scores = _stored(arrays["step_scores"])
    metrics = []
    for step in range(step_scores.shape[1]):
        scores = step_scores[:, step, :]
        thresholds = _choose(arrays, scores, rule)
        metrics.append(_read(arrays["labels"], scores, scoring, thresholds).metrics)
    return tuple(metrics)


def _stored(scores: Array) -> Array:
    """Scores in the precision of the record, so that a job and a later re-reading agree to the bit."""
    return np.asarray(scores, np.float32)


def _choose(arrays: Mapping[str, Array], scores: Array, rule: str) -> Thresholds:
    return choose_thresholds(rule, scores, arrays["train_label_frequencies"], arrays.get("holdout_scores"))


def _read(labels: Array, scores: Array, scoring: Scoring, thresholds: Thresholds) -> Evaluation:
    predictions = apply_thresholds(scores, thresholds.values)
    used = harden(scores, thresholds) if scoring == "hard" else scores
    return Evaluation(compute_metrics(labels, used, predictions), predictions)
