"""The only harness code between data and scores: split, cap, hold out, fit, predict; it knows no metric.

Its syntax tree is part of every record's hash, so only what can change a number belongs here.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmark.contracts import Array, Dataset, Holdout, MultiModalClassifier, Streams
from benchmark.run.split import carve_holdout, split

PASSED_BY_HARNESS = ("random_state", "device", "form")
"""Parameters that a job sets; they are not settings of a method."""


@dataclass(frozen=True)
class Trial:
    """Everything one fit and one prediction gave."""

    arrays: Mapping[str, Array]
    seconds: Mapping[str, float] = field(default_factory=dict)


def build_estimator(
    estimator: type, options: Mapping[str, Any], streams: Streams, device: str
) -> MultiModalClassifier:
    """Construct a method with its options, the job's randomness and the leased device."""
    accepted = inspect.signature(estimator.__init__).parameters  # type: ignore[misc]
    given = {"random_state": streams, "device": device}
    return estimator(**dict(options), **{name: given[name] for name in given if name in accepted})


def run_trial(
    method: MultiModalClassifier,
    dataset: Dataset,
    seed: int,
    max_train_rows: int | None = None,
    max_test_rows: int | None = None,
) -> Trial:
    """Fit `method` on one split of `dataset` and score the test rows.

    Parameters
    ----------
    method
        Unfitted; when its `needs_holdout` is true, a tenth of the training rows goes to `fit` as `holdout`.
    dataset
        n instances, m modalities, q labels.
    seed
        The repetition: split and hold-out are functions of (data set, seed) alone.
    max_train_rows, max_test_rows
        A profile's caps: the first rows of either part of the split are kept.

    Returns
    -------
    Trial
        Arrays `scores` (n_test, q) float32, `labels` (n_test, q) uint8, `test_index` (n_test,),
        `train_label_frequencies` (q,) over all training rows, `train_phi` (q, q); `holdout_scores` and
        `holdout_labels` where there was a hold-out; and what the method's `trace` gives.

    Raises
    ------
    ValueError
        If the method's scores have the wrong shape, are not finite, or leave [0, 1].
    """
    parts = split(dataset.rows_id, len(dataset.labels), seed)
    train, test = parts.train[:max_train_rows], parts.test[:max_test_rows]
    q = dataset.labels.shape[1]
    train_labels = dataset.labels[train]
    arrays: dict[str, Array] = {
        "labels": dataset.labels[test],
        "test_index": test,
        "train_label_frequencies": train_labels.mean(axis=0, dtype=np.float64),
        "train_phi": phi_coefficients(train_labels),
    }
    fit = getattr(method, "fit_scores", method.fit)
    seconds: dict[str, float] = {}
    started = time.perf_counter()
    if getattr(method, "needs_holdout", False):
        fit_rows, holdout_rows = carve_holdout(dataset.rows_id, train, seed)
        holdout = Holdout(_rows(dataset, holdout_rows), dataset.labels[holdout_rows])
        fit(_rows(dataset, fit_rows), dataset.labels[fit_rows], holdout=holdout)
        arrays["holdout_labels"] = holdout.labels
        if (holdout_scores := getattr(method, "holdout_scores_", None)) is not None:
            arrays["holdout_scores"] = _checked(holdout_scores, (len(holdout_rows), q), "holdout_scores_")
    else:
        fit(_rows(dataset, train), train_labels)
    seconds["fit"] = time.perf_counter() - started
    test_modalities = _rows(dataset, test)
    started = time.perf_counter()
    arrays["scores"] = _checked(method.predict_scores(test_modalities), (len(test), q), "predict_scores")
    seconds["predict"] = time.perf_counter() - started
    if hasattr(method, "trace"):
        started = time.perf_counter()
        arrays |= {name: np.asarray(value) for name, value in method.trace(test_modalities).items()}
        seconds["trace"] = time.perf_counter() - started
    return Trial(arrays, seconds)


def _rows(dataset: Dataset, rows: Array) -> tuple[Array, ...]:
    return tuple(np.asarray(modality[rows]) for modality in dataset.modalities)


def _checked(scores: Any, shape: tuple[int, int], name: str) -> Array:
    found = np.asarray(scores)
    if found.shape != shape:
        raise ValueError(f"{name} has shape {found.shape}, not (rows, labels) = {shape}")
    if not np.isfinite(found).all():
        raise ValueError(
            f"{name} holds {np.count_nonzero(~np.isfinite(found))} values that are NaN or infinite"
        )
    if found.min(initial=0) < 0 or found.max(initial=0) > 1:
        raise ValueError(f"{name} leaves [0, 1]: smallest {found.min():g}, largest {found.max():g}")
    return found.astype(np.float32)


def phi_coefficients(labels: Array) -> Array:
    """Return the phi coefficient (Pearson's correlation of 0/1 columns) of each pair of labels.

    Parameters
    ----------
    labels
        (n, q) in {0, 1}.

    Returns
    -------
    Array
        (q, q) float64, symmetric; NaN in row and column of a label that is constant.
    """
    centred = labels - labels.mean(axis=0, dtype=np.float64)
    covariance = centred.T @ centred
    deviation = np.sqrt(np.diag(covariance))
    norm = np.outer(deviation, deviation)
    return np.divide(covariance, norm, out=np.full_like(norm, np.nan), where=norm > 0)
