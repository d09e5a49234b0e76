"""The ten metrics under the rules of other libraries, from the same labels, scores and predictions.

It knows no method and no file. Where libraries differ:

- **ties** of scores: full errors in ranking loss and coverage and half ones in AUC (scikit-learn), or broken
  by position. MULAN, torchmetrics and the LAMDA group's code sort the scores of a row in ascending order,
  keeping ties in their order, so that of two tied labels the one with the larger index stands higher;
- **coverage** counts from 1 (scikit-learn) or from 0;
- **rows without labels, or with all**: ranking loss counts them as 0 or leaves them out;
- **labels (rows) with one class**: AUC is left out, 0, or undefined as a whole;
- **F1 where nothing is to be found**: 0, 1, or a division by zero;
- **F1 of scores**: of the predictions that are given, or of scores above a threshold of the library's own.

Hamming loss and subset accuracy are the same wherever they exist.

Sources, read as code:

- scikit-learn 1.9, `metrics/_ranking.py` and `metrics/_classification.py`, default arguments;
- MULAN, github tsoumakas/mulan, commit 43f6389: `evaluation/measure` (`Coverage`, `MacroAUC`, `MicroAUC`,
  `InformationRetrievalMeasures`), `evaluation/loss/RankingLoss`, `classifier/MultiLabelOutput`
  (`ranksFromValues`); weka `core/Utils` (`stableSort`), `ThresholdCurve.getROCArea`. Its version matters:
  `stableSort` of 3.9.3, 3.9.6 and 3.9.7 compares exactly, so that only equal scores tie, as here; in old
  sources it compares by `Utils.eq`, which ties scores within 1e-6. MULAN's build file names weka-dev 3.7.12,
  which was not checked;
- torchmetrics 1.9.0, `functional/classification` (`ranking`, `auroc`, `f_beta`, `hamming`, `exact_match`),
  default arguments. Its F1 over rows exists for (n, q, ...) alone. Its `argsort` keeps the order of ties in
  rows of up to 16 labels only; here it always does. Here the test set is one batch: accumulated, its ranking
  loss counts a batch in which no row has both kinds of labels as one row. Scores outside [0, 1] it takes for
  logits;
- libmultilabel 0.10.0, `linear/metrics`: of the ten it has macro- and micro-F1 alone, of scores above 0, so
  that probabilities predict nearly everything;
- LAMDA group, Nanjing University: folder `measure` of their M3DN code (KDD 2018), github njustkmg/KDD18_M3DN
  and sunshiding/M3DNS. Its `argsort` is numpy's default, which keeps the order of ties in short rows only;
  here it always does. It thresholds scores at 0.5, here predictions are given. It has no subset accuracy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from math import isnan, nan
from typing import Literal

import numpy as np

from benchmark.contracts import Array
from benchmark.score.metrics import METRICS, compute_metrics

OneClass = Literal["left out", "0", "undefined"]


@dataclass(frozen=True)
class Convention:
    """One library's answers to the questions above; by default those of the suite."""

    id: str
    title: str
    version: str = ""
    """Of the library, where versions differ or the code was compared with it."""
    lacks: frozenset[str] = frozenset()
    """Metrics that the library does not have."""
    ties_by_position: frozenset[str] = frozenset()
    """Metrics that break ties by position. In others tied pairs are full errors, and count half in AUC."""
    one_class_labels: OneClass = "left out"
    """What macro-AUC does with labels that have one class, and micro-AUC where that is all there is; it is
    undefined then unless this is 0."""
    one_class_rows: OneClass = "left out"
    """What example-AUC does with rows that have one class."""
    loss_skips_rows: bool = False
    """Whether ranking loss leaves out rows without or with all labels, rather than counting 0."""
    coverage_start: Literal[0, 1] = 1
    unlabelled_last: bool = False
    """Whether coverage counts a row without labels as if the last place held one, rather than 0."""
    empty_f1: float = 0.0
    """F1 of a label, row or table without true or predicted labels; nan: the code fails."""
    f1_needs_both: bool = False
    """Whether F1 fails already where there is no true, or no predicted, label."""
    f1_threshold: float | None = None
    """F1 is of the scores above it; None: of the predictions."""

    @property
    def heading(self) -> str:
        """Return title and version."""
        return f"{self.title} ({self.version})" if self.version else self.title


SUITE = Convention("suite", "as in our tables")
"""scikit-learn's rules with one-class labels and rows left out; equals `metrics.compute_metrics`."""
SKLEARN = replace(
    SUITE,
    id="sklearn",
    title="scikit-learn",
    one_class_labels="undefined",
    one_class_rows="undefined",
)
MULAN = Convention(
    "mulan",
    "MULAN",
    "Weka 3.9.3 to 3.9.7",
    lacks=frozenset({"example_auc"}),
    ties_by_position=frozenset({"ranking_loss", "coverage"}),
    one_class_labels="undefined",
    coverage_start=0,
    empty_f1=1.0,
)
LAMDA = Convention(
    "lamda",
    "LAMDA",
    ties_by_position=frozenset({"macro_auc", "micro_auc", "example_auc", "ranking_loss", "coverage"}),
    loss_skips_rows=True,
    coverage_start=0,
    unlabelled_last=True,
    empty_f1=nan,
    f1_needs_both=True,
)
TORCHMETRICS = Convention(
    "torchmetrics",
    "torchmetrics",
    "1.9.0",
    lacks=frozenset({"example_auc", "example_f1"}),
    ties_by_position=frozenset({"ranking_loss"}),
    one_class_labels="0",
)
LIBMULTILABEL = Convention(
    "libmultilabel",
    "libmultilabel",
    "0.10.0",
    lacks=frozenset(metric.id for metric in METRICS) - {"macro_f1", "micro_f1"},
    f1_threshold=0.0,
)
CONVENTIONS: Mapping[str, Convention] = {
    c.id: c for c in (SUITE, SKLEARN, MULAN, LAMDA, TORCHMETRICS, LIBMULTILABEL)
}
_COMPETING = {"macro_auc": 0, "micro_auc": None, "example_auc": 1, "ranking_loss": 1, "coverage": 1}
"""The axis along which scores compete; None: all with each other."""


def metrics_under(
    convention: Convention, labels: Array, scores: Array, predictions: Array
) -> dict[str, float]:
    """Compute the ten metrics of one test set under one convention.

    Parameters
    ----------
    convention : Convention
    labels : (n, q) array in {0, 1}, q >= 2
    scores : (n, q) float array in [0, 1]
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
    for name in convention.ties_by_position:
        untied = positions(scores, _COMPETING[name])
        values[name] = compute_metrics(labels, untied, predictions)[name]
    truth = labels.astype(bool)
    predicted = (
        predictions.astype(bool) if convention.f1_threshold is None else scores > convention.f1_threshold
    )
    values |= _areas(convention, values, truth)
    values |= _losses(convention, values, truth)
    values |= {
        "macro_f1": _f1(convention, truth, predicted, axis=0),
        "micro_f1": _f1(convention, truth.ravel()[:, None], predicted.ravel()[:, None], axis=0),
        "example_f1": _f1(convention, truth, predicted, axis=1),
    }
    return {m.id: nan if m.id in convention.lacks else float(values[m.id]) for m in METRICS}


def _areas(convention: Convention, values: Mapping[str, float], truth: Array) -> dict[str, float]:
    """Areas under ROC curves, from `values` that leave out labels (rows) with one class."""
    areas = {
        name: _with_one_class(values[name], truth.min(axis=axis) == truth.max(axis=axis), rule)
        for name, rule, axis in (
            ("macro_auc", convention.one_class_labels, 0),
            ("example_auc", convention.one_class_rows, 1),
        )
    }
    nothing = convention.one_class_labels == "0" and isnan(values["micro_auc"])
    return areas | {"micro_auc": 0.0 if nothing else values["micro_auc"]}


def _with_one_class(mean: float, one_class: Array, rule: OneClass) -> float:
    """Turn the mean over labels (rows) with both classes into what the rule makes of the others."""
    if rule == "left out" or not one_class.any():
        return mean
    return nan if rule == "undefined" else np.nan_to_num(mean) * float((~one_class).mean())


def _losses(convention: Convention, values: Mapping[str, float], truth: Array) -> dict[str, float]:
    """Ranking loss and coverage, from `values` that count all rows, and from 1."""
    loss, depth = values["ranking_loss"], values["coverage"]
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


def positions(scores: Array, axis: int | None) -> Array:
    """Rank scores without ties: ascending, tied scores in their order.

    Parameters
    ----------
    scores : (n, q) float array
    axis : int or None
        The axis along which scores compete; None: all with each other, row after row.

    Returns
    -------
    (n, q) int array
        0 for the lowest place.
    """
    order = np.argsort(scores, axis=axis, kind="stable")
    places = np.argsort(order, axis=-1 if axis is None else axis, kind="stable")
    return places.reshape(scores.shape)
