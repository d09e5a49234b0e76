"""What predicts labels and is no feature: the order of rows, and measures of their files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from scipy.stats import hypergeom, rankdata

from benchmark.contracts import Array
from benchmark.data.checks.finding import AWAY, FALSE_ALARMS, Finding, aucs, chance

FEWER = 0.9
"""Share of the expected runs from which on neighbours count as alike, where they are significantly few."""
FOLDS = 5
TOGETHER = "together"


def order_leaks(labels: Array, label_names: Sequence[str]) -> list[Finding]:
    """Find labels that the number of a row predicts, or the label of the row before it.

    Parameters
    ----------
    labels : (n, q) in {0, 1}.
    label_names : q.
    """
    q = labels.shape[1]
    number = np.arange(1.0, len(labels) + 1)[:, None]
    predicted = [
        {"label": label_names[j], "auc": round(float(auc), 3)}
        for j, auc in enumerate(_worth_a_word(number, labels, q)[:, 0])
        if not np.isnan(auc)
    ]
    runs = [
        {"label": label_names[j], **numbers}
        for j, column in enumerate(labels.T)
        if (numbers := _few_runs(column, FALSE_ALARMS / q))
    ]
    together = np.mean((labels[1:] == labels[:-1]).all(axis=1)) if len(labels) > 1 else 0.0
    return [
        *Finding.of("row_number_predicts_label", predicted, of=q),
        *Finding.of("neighbouring_rows_share_label", runs, of=q, same_label_set=round(float(together), 3)),
    ]


def file_leaks(measures: Mapping[str, Array], labels: Array, label_names: Sequence[str]) -> list[Finding]:
    """Find labels that measures of the rows' files predict, one by one or all together.

    Parameters
    ----------
    measures : arrays (n,) by name, such as width, height and bytes.
    labels : (n, q) in {0, 1}.
    label_names : q.
    """
    names, q = [*measures], labels.shape[1]
    tests = q * (len(names) + 1)
    found = _worth_a_word(np.stack([*measures.values()], axis=1), labels, tests)
    if len(names) > 1 and len(labels) >= 2 * FOLDS:
        names.append(TOGETHER)
        together = np.diag(_worth_a_word(_predicted(measures, labels), labels, tests))
        found = np.column_stack([found, together])
    kept = [
        {name: round(float(auc), 3) for name, auc in zip(names, row, strict=True) if not np.isnan(auc)}
        for row in found
    ]
    instances = [{"label": label, "auc": some} for label, some in zip(label_names, kept, strict=True) if some]
    return Finding.of("file_predicts_label", instances, of=q)


def _worth_a_word(columns: Array, labels: Array, tests: int) -> Array:
    """Return AUCs (q, d) that are significant, for as many tests, and `AWAY` from .5; nan for the others."""
    found = aucs(rankdata(columns, axis=0), labels)
    positives = labels.sum(axis=0, dtype=np.int64)[:, None]
    kept = (chance(found, positives, len(labels)) * tests <= FALSE_ALARMS) & (np.abs(found - 0.5) >= AWAY)
    return np.where(kept, found, np.nan)


def _few_runs(label: Array, false_alarms: float) -> dict[str, float]:
    """Return runs and what neighbours share where there are fewer runs than chance leaves.

    In shuffled rows the number of runs of positives is hypergeometric: p positives fall into runs that
    stand in some of the places around n - p negatives.
    """
    n, positives = len(label), int(label.sum())
    if not 0 < positives < n:
        return {}
    runs = int((np.diff(label.astype(np.int8), prepend=0) == 1).sum())
    places = n - positives + 1
    expected = positives * places / n
    if hypergeom.cdf(runs, n, places, positives) > false_alarms or runs > FEWER * expected:
        return {}
    share = positives / n
    return {
        "runs": runs,
        "expected_runs": round(expected, 1),
        "share": round(float(np.mean(label[1:] == label[:-1])), 3),
        "expected_share": round(1 - 2 * share * (1 - share) * n / (n - 1), 3),
    }


def _predicted(measures: Mapping[str, Array], labels: Array) -> Array:
    """Return scores (n, q) of a forest on the measures, of rows that it was not fitted on."""
    from sklearn.ensemble import RandomForestRegressor  # slow to import
    from sklearn.model_selection import KFold, cross_val_predict

    forest = RandomForestRegressor(100, min_samples_leaf=10, random_state=0)
    folds = KFold(FOLDS, shuffle=True, random_state=0)
    x = np.stack(list(measures.values()), axis=1)
    return cross_val_predict(forest, x, labels.astype(float), cv=folds).reshape(labels.shape)
