"""The ten metrics under the rules of other libraries, from the same labels, scores and predictions.

It knows no method and no file. Where libraries differ:

- **ties** of scores: full errors (scikit-learn), or broken by position. MULAN and the LAMDA group's code sort
  the scores of a row in ascending order, keeping ties in their order, so that of two tied labels the one with
  the larger index stands higher;
- **coverage** counts from 1 (scikit-learn) or from 0;
- **rows without labels, or with all**: ranking loss counts them as 0 or leaves them out;
- **labels (rows) with one class**: AUC is left out, or undefined as a whole;
- **F1 where nothing is to be found**: 0, 1, or a division by zero.

Hamming loss and subset accuracy are the same everywhere.

Sources, read as code:

- scikit-learn 1.9, `metrics/_ranking.py` and `metrics/_classification.py`, default arguments;
- MULAN, github tsoumakas/mulan: `evaluation/measure` (`Coverage`, `MacroAUC`, `MicroAUC`,
  `InformationRetrievalMeasures`), `evaluation/loss/RankingLoss`, `classifier/MultiLabelOutput`
  (`ranksFromValues`); weka `core/Utils` (`stableSort`, `SMALL`), `ThresholdCurve.getROCArea`;
- LAMDA group, Nanjing University: folder `measure` of their M3DN code (KDD 2018), github njustkmg/KDD18_M3DN
  and sunshiding/M3DNS. Its `argsort` is numpy's default, which keeps the order of ties in short rows only;
  here it always does. It thresholds scores at 0.5, here predictions are given. It has no subset accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import nan
from typing import Literal

import numpy as np

from benchmark.contracts import Array
from benchmark.score.metrics import METRICS, compute_metrics

OneClass = Literal["left out", "undefined", "no such measure"]


@dataclass(frozen=True)
class Convention:
    """One library's answers to the questions above."""

    id: str
    title: str
    tie_width: float | None
    """Ties in ranking loss and coverage are broken by position; scores this close tie. None: full errors."""
    auc_ties_by_position: bool
    """Otherwise tied pairs count half."""
    one_class_labels: OneClass
    """What macro-AUC does with labels that have one class; micro-AUC is undefined if that is all there is."""
    one_class_rows: OneClass
    """What example-AUC does with rows that have one class."""
    loss_skips_rows: bool
    """Whether ranking loss leaves out rows without or with all labels, rather than counting 0."""
    coverage_start: Literal[0, 1]
    unlabelled_last: bool
    """Whether coverage counts a row without labels as if the last place held one, rather than 0."""
    empty_f1: float
    """F1 of a label, row or table without true or predicted labels; nan: the code fails."""
    f1_needs_both: bool
    """Whether F1 fails already where there is no true, or no predicted, label."""


SUITE = Convention(
    id="suite",
    title="as in our tables",
    tie_width=None,
    auc_ties_by_position=False,
    one_class_labels="left out",
    one_class_rows="left out",
    loss_skips_rows=False,
    coverage_start=1,
    unlabelled_last=False,
    empty_f1=0.0,
    f1_needs_both=False,
)
"""scikit-learn's rules with one-class labels and rows left out; equals `metrics.compute_metrics`."""
SKLEARN = replace(
    SUITE, id="sklearn", title="scikit-learn", one_class_labels="undefined", one_class_rows="undefined"
)
MULAN = Convention(
    id="mulan",
    title="MULAN",
    tie_width=1e-6,
    auc_ties_by_position=False,
    one_class_labels="undefined",
    one_class_rows="no such measure",
    loss_skips_rows=False,
    coverage_start=0,
    unlabelled_last=False,
    empty_f1=1.0,
    f1_needs_both=False,
)
LAMDA = Convention(
    id="lamda",
    title="LAMDA",
    tie_width=0.0,
    auc_ties_by_position=True,
    one_class_labels="left out",
    one_class_rows="left out",
    loss_skips_rows=True,
    coverage_start=0,
    unlabelled_last=True,
    empty_f1=nan,
    f1_needs_both=True,
)
CONVENTIONS: Mapping[str, Convention] = {c.id: c for c in (SUITE, SKLEARN, MULAN, LAMDA)}


def metrics_under(
    convention: Convention, labels: Array, scores: Array, predictions: Array
) -> dict[str, float]:
    """Compute the ten metrics of one test set under one convention.

    Parameters
    ----------
    convention : Convention
    labels : (n, q) array in {0, 1}, q >= 2
    scores : (n, q) float array
    predictions : (n, q) array in {0, 1}

    Returns
    -------
    dict of str to float
        Keys as in `metrics.METRICS`; nan where the convention leaves a metric undefined.

    Raises
    ------
    ValueError
        As `metrics.compute_metrics`.
    """
    values = compute_metrics(labels, scores, predictions)
    truth, predicted = labels.astype(bool), predictions.astype(bool)
    values |= _areas(convention, values, truth, scores, predictions)
    values |= _losses(convention, values, truth, scores, predictions)
    values |= {
        "macro_f1": _f1(convention, truth, predicted, axis=0),
        "micro_f1": _f1(convention, truth.ravel()[:, None], predicted.ravel()[:, None], axis=0),
        "example_f1": _f1(convention, truth, predicted, axis=1),
    }
    return {metric.id: float(values[metric.id]) for metric in METRICS}


def _areas(
    convention: Convention, tied: Mapping[str, float], truth: Array, scores: Array, predictions: Array
) -> dict[str, float]:
    """Areas under ROC curves; `tied` holds those that count ties half and leave out one-class units."""
    areas = {name: tied[name] for name in ("macro_auc", "micro_auc", "example_auc")}
    if convention.auc_ties_by_position:
        for name, axis in (("macro_auc", 0), ("example_auc", 1)):
            areas[name] = compute_metrics(truth, positions(scores, axis), predictions)[name]
        flat = positions(scores.reshape(1, -1), 1).reshape(scores.shape)
        areas["micro_auc"] = compute_metrics(truth, flat, predictions)["micro_auc"]
    for name, rule, axis in (
        ("macro_auc", convention.one_class_labels, 0),
        ("example_auc", convention.one_class_rows, 1),
    ):
        one_class = truth.all(axis=axis) | ~truth.any(axis=axis)
        if rule == "no such measure" or (rule == "undefined" and one_class.any()):
            areas[name] = np.nan
    return areas


def _losses(
    convention: Convention, tied: Mapping[str, float], truth: Array, scores: Array, predictions: Array
) -> dict[str, float]:
    """Ranking loss and coverage; `tied` holds those with ties as full errors, all rows, counted from 1."""
    if convention.tie_width is not None:
        tied = compute_metrics(truth, positions(scores, 1, convention.tie_width), predictions)
    loss, depth = tied["ranking_loss"], tied["coverage"]
    unlabelled = float((~truth.any(axis=1)).mean())
    if convention.loss_skips_rows:
        ranked = float((truth.any(axis=1) & ~truth.all(axis=1)).mean())
        loss = loss / ranked if ranked else np.nan
    if convention.unlabelled_last:
        depth += unlabelled * truth.shape[1]
        unlabelled = 0.0
    # Rows without labels that count 0 do so from either start.
    return {"ranking_loss": loss, "coverage": depth - (1 - convention.coverage_start) * (1 - unlabelled)}


def _f1(convention: Convention, truth: Array, predicted: Array, axis: int) -> float:
    """2 TP / (2 TP + FP + FN) per unit along `axis`, averaged."""
    n_true, n_predicted = truth.sum(axis=axis), predicted.sum(axis=axis)
    total = n_true + n_predicted
    hits = (truth & predicted).sum(axis=axis)
    values = np.where(total > 0, 2 * hits / np.maximum(total, 1), convention.empty_f1)
    if convention.f1_needs_both:
        values = np.where((n_true > 0) & (n_predicted > 0), values, np.nan)
    return float(values.mean())


def positions(scores: Array, axis: int, tie_width: float = 0.0) -> Array:
    """Rank scores without ties: ascending, tied scores in their order.

    Parameters
    ----------
    scores : (n, q) float array
    axis : int
        The axis along which scores compete.
    tie_width : float
        A score ties with the smallest of a run of scores if it is less than this above it, as in weka's
        `stableSort`; 0 for equal scores only.

    Returns
    -------
    (n, q) int array
        0 for the lowest place.
    """
    moved = np.moveaxis(scores, axis, -1)
    order = np.argsort(moved, axis=-1, kind="stable")
    if tie_width > 0:
        ascending = np.take_along_axis(moved, order, axis=-1).astype(np.float64)
        runs = np.empty(moved.shape, np.int64)  # number of the run that each score belongs to
        np.put_along_axis(runs, order, _runs(ascending, tie_width), axis=-1)
        order = np.argsort(runs, axis=-1, kind="stable")
    places = np.empty(moved.shape, np.int64)
    np.put_along_axis(places, order, np.arange(moved.shape[-1]), axis=-1)
    return np.moveaxis(places, -1, axis)


def _runs(ascending: Array, width: float) -> Array:
    """Number the runs of ascending scores that lie less than `width` above the first of their run."""
    runs = np.zeros(ascending.shape, np.int64)
    start = ascending[..., 0]
    for j in range(1, ascending.shape[-1]):
        starts = ascending[..., j] - start >= width
        start = np.where(starts, ascending[..., j], start)
        runs[..., j] = runs[..., j - 1] + starts
    return runs
