"""From scores to 0/1 predictions by the rules of eq. (13) and (16); it must not see test labels.

Calibration matches the number of predicted labels to the cardinality of the training labels. Eq. (13) and
(16) do so on the scores of the test set, which makes them transductive: they need the whole test batch,
though none of its labels. `@holdout` calibrates on held-out training rows instead.

Precision: a score and a threshold are compared in float32, the precision in which scores are stored, both
when a threshold is chosen and when it is applied. So the grid point 0.7 and the score 0.7 are equal, and
eq. (17)'s `>=` gives the same predictions on the fly and from a record.

Ties: several thresholds often reach the minimum; the one closest to 0.5 is taken, then the lower.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from benchmark.contracts import Array

RULES: tuple[str, ...] = (
    "fixed",
    "eq13",
    "eq16a",
    "eq16b",
    "eq13@holdout",
    "eq16a@holdout",
    "eq16b@holdout",
)
GRID_EQ13 = np.linspace(0, 1, 1001)
"""Eq. (13) prints {0, 0.00, 0.001, ..., 1.00}: step 0.001."""
GRID_EQ16 = np.linspace(0, 1, 101)
"""Eq. (16) prints {0.00, 0.01, ..., 1.00}: step 0.01."""
TIE_DECIMALS = 12
"""Objectives that agree to 12 decimals tie: the rest is rounding of sums of label frequencies."""
MAX_SWEEPS = 1000
"""Far above need: each change of reading B lowers its objective, or keeps it and moves a threshold by the
tie rule, so that the sweeps end after finitely many; a handful is usual."""


@dataclass(frozen=True)
class Thresholds:
    """One threshold per label, and where it comes from."""

    values: Array
    """(q,) float32."""
    rule: str
    transductive: bool
    """Whether the scores of the test set entered."""


def choose_thresholds(
    rule: str,
    test_scores: Array,
    train_label_frequencies: Array,
    holdout_scores: Array | None = None,
    l1: float = 0.5,
    l2: float = 0.5,
    grid: Array | None = None,
) -> Thresholds:
    """Choose a threshold for every label.

    Parameters
    ----------
    rule : str
        One of `RULES`. `fixed` is 0.5 for every label; `eq13` one calibrated threshold for all labels;
        `eq16a` and `eq16b` one per label, in two readings of eq. (16) (see `_eq16a`, `_eq16b`).
    test_scores : (n, q) float array
    train_label_frequencies : (q,) float array
        Share of all training rows with each label, L(D, j) of eq. (15); their sum is LCard(D), eq. (14).
    holdout_scores : (n_holdout, q) float array, optional
        Scores of held-out training rows, for the rules that end in `@holdout`.
    l1, l2 : float
        lambda_1 and lambda_2 of eq. (16).
    grid : (g,) float array, optional
        Rising candidates; default: the printed ones, `GRID_EQ13` or `GRID_EQ16`.

    Returns
    -------
    Thresholds

    Raises
    ------
    ValueError
        If the rule is unknown, needs hold-out scores that are absent, or the shapes do not match.
    """
    if rule not in RULES:
        raise ValueError(f"unknown threshold rule {rule!r}; choose one of {', '.join(RULES)}")
    q = test_scores.shape[1]
    name, _, source = rule.partition("@")
    if name == "fixed":
        return Thresholds(np.full(q, 0.5, np.float32), rule, is_transductive(rule))
    if source and holdout_scores is None:
        raise ValueError(f"rule {rule!r} needs scores of held-out rows and the record has none; use {name!r}")
    scores = holdout_scores if source and holdout_scores is not None else test_scores
    frequencies = np.asarray(train_label_frequencies, np.float64)
    if frequencies.shape != (q,) or scores.shape[1:] != (q,) or len(scores) == 0:
        raise ValueError(
            f"scores {scores.shape} and train_label_frequencies {frequencies.shape} do not fit {q} labels"
        )
    if grid is None:
        grid = GRID_EQ13 if name == "eq13" else GRID_EQ16
    if name == "eq13":
        values = np.full(q, _eq13(scores, frequencies, grid))
    elif name == "eq16a":
        values = _eq16a(scores, frequencies, grid, l1, l2)
    else:
        values = _eq16b(scores, frequencies, grid, l1, l2)
    return Thresholds(values.astype(np.float32), rule, is_transductive(rule))


def is_transductive(rule: str) -> bool:
    """Return whether a rule looks at the scores of the test set, though at none of its labels."""
    name, _, source = rule.partition("@")
    return name != "fixed" and not source


def apply_thresholds(scores: Array, values: Array) -> Array:
    """Predict label i where its score is >= its threshold, eq. (17).

    Parameters
    ----------
    scores : (n, q) float array
    values : (q,) float array

    Returns
    -------
    (n, q) uint8 array in {0, 1}
    """
    return (np.asarray(scores, np.float32) >= np.asarray(values, np.float32)).astype(np.uint8)


def harden(scores: Array, thresholds: Thresholds) -> Array:
    """Replace scores by their 0/1 predictions, as the paper must have done for BR and CC.

    Returns
    -------
    (n, q) float32 array in {0, 1}
    """
    return apply_thresholds(scores, thresholds.values).astype(np.float32)


def predicted_frequencies(scores: Array, grid: Array) -> Array:
    """Share of rows predicted positive, for every threshold of a grid and every label.

    Parameters
    ----------
    scores : (n, q) float array
    grid : (g,) float array

    Returns
    -------
    (g, q) float array
        L(H_t(T), j) of eq. (15); its sum over labels is LCard(H_t(T)).
    """
    ordered = np.sort(np.asarray(scores, np.float32), axis=0)
    below = [np.searchsorted(column, grid.astype(np.float32), side="left") for column in ordered.T]
    return (len(scores) - np.stack(below, axis=1)) / len(scores)


def _eq13(scores: Array, frequencies: Array, grid: Array) -> float:
    """One threshold for all labels: argmin_t |LCard(D) - LCard(H_t(T))|."""
    predicted = predicted_frequencies(scores, grid).sum(axis=1)
    return float(grid[_argmin(np.abs(frequencies.sum() - predicted))])


def _eq16a(scores: Array, frequencies: Array, grid: Array, l1: float, l2: float) -> Array:
    """Reading A (literal): H_{t_i}(T) thresholds every label at t_i, so all i share the first term."""
    predicted = predicted_frequencies(scores, grid)  # (g, q)
    cardinality_gap = np.abs(frequencies.sum() - predicted.sum(axis=1))
    objective = l1 * cardinality_gap[:, None] + l2 * np.abs(frequencies - predicted)
    return grid[_argmin(objective)]


def _eq16b(scores: Array, frequencies: Array, grid: Array, l1: float, l2: float) -> Array:
    """Reading B (coordinate): only entry i of the current vector is replaced by t_i.

    Starts from 0.5 for every label and sweeps the labels in their order until a sweep changes nothing.
    """
    predicted = predicted_frequencies(scores, grid)
    own_gap = l2 * np.abs(frequencies - predicted)  # (g, q)
    q = len(frequencies)
    chosen = np.full(q, len(grid) // 2)
    for _ in range(MAX_SWEEPS):
        before = chosen.copy()
        for i in range(q):
            others = predicted[chosen, np.arange(q)].sum() - predicted[chosen[i], i]
            objective = l1 * np.abs(frequencies.sum() - others - predicted[:, i]) + own_gap[:, i]
            chosen[i] = _argmin(objective)
        if np.array_equal(before, chosen):
            return grid[chosen]
    raise RuntimeError(
        f"thresholds of eq. (16), reading B, still change after {MAX_SWEEPS} sweeps over {q} labels"
    )


def _argmin(objective: Array) -> Array:
    """Index of the minimum over the grid (axis 0); ties go to the middle of the grid, then to the lower."""
    rounded = objective.round(TIE_DECIMALS)
    g = len(rounded)
    middle_first = np.argsort(np.abs(2 * np.arange(g) - (g - 1)), kind="stable")
    return middle_first[np.argmin(rounded[middle_first], axis=0)]
