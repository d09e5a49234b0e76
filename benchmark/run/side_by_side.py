"""The trials of several seeds of one method on one data set, fitted side by side; it knows no method.

Each trial is that of `run_trial`, called twice: once with a stand-in that only takes the training rows, and,
once all estimators are fitted together, with one that has nothing left to fit. So there is one place that
splits, caps, holds out and checks.
"""

from __future__ import annotations

import inspect
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar

from benchmark.contracts import (
    Array,
    Dataset,
    Factor,
    FitTogether,
    Holdout,
    Modalities,
    MultiModalClassifier,
    Problem,
)
from benchmark.run.trial import Trial, run_trial


def run_trials_together(
    methods: Sequence[MultiModalClassifier],
    fit_together: FitTogether,
    dataset: Dataset,
    seeds: Sequence[int],
    max_train_rows: int | None = None,
    max_test_rows: int | None = None,
    width: int | None = None,
) -> list[Trial | Exception]:
    """Fit unfitted estimators, one per seed, side by side, and score each on its own test rows.

    Parameters
    ----------
    methods, seeds
        As many of each; estimators that differ in their random state alone.
    fit_together
        Of their `MethodSpec`.
    dataset, max_train_rows, max_test_rows
        As of `run_trial`.
    width
        For a `fit_together` that takes it: side by side at most so many, with no room for more.

    Returns
    -------
    list
        For each seed its trial, whose seconds of the fit are an equal share of the whole, or why there is
        none.
    """
    caps = (max_train_rows, max_test_rows)
    problems = [
        _training_rows(method, dataset, seed, caps) for method, seed in zip(methods, seeds, strict=True)
    ]
    started = time.perf_counter()
    narrower = {"width": width} if width and takes_width(fit_together) else {}
    outcomes = fit_together(methods, problems, **narrower)
    share = (time.perf_counter() - started) / len(methods)
    trials: list[Trial | Exception] = []
    for method, seed, failure in zip(methods, seeds, outcomes, strict=True):
        if failure is not None:
            trials.append(failure)
            continue
        trial = run_trial(_Fitted(method), dataset, seed, *caps)
        trials.append(replace(trial, seconds={**trial.seconds, "fit": share}))
    return trials


def takes_width(fit_together: FitTogether | None) -> bool:
    """Return whether a method trains in groups whose width can be chosen."""
    return fit_together is not None and "width" in inspect.signature(fit_together).parameters


def _training_rows(
    method: MultiModalClassifier, dataset: Dataset, seed: int, caps: tuple[int | None, int | None]
) -> Problem:
    stand_in = _Taking(method)
    try:
        run_trial(stand_in, dataset, seed, *caps)
    except _Taken as taken:
        return taken.problem
    raise AssertionError("a trial came to its end without a fit")


class _Taken(Exception):  # noqa: N818 - no error: it ends a trial once its training rows are known
    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.problem = problem


class _StandIn:
    """What `run_trial` asks of a method, answered by another one."""

    FACTORS: ClassVar[tuple[Factor, ...]] = ()

    def __init__(self, method: MultiModalClassifier) -> None:
        self.method = method

    def __getattr__(self, name: str) -> Any:
        # `trace` and `holdout_scores_` exist where the method has them.
        return getattr(self.method, name)

    def predict_scores(self, modalities: Modalities) -> Array:
        return self.method.predict_scores(modalities)


class _Taking(_StandIn):
    def fit(self, modalities: Modalities, labels: Array, holdout: Holdout | None = None) -> _Taking:
        raise _Taken((modalities, labels, holdout))


class _Fitted(_StandIn):
    def fit(self, *_: Any, **__: Any) -> _Fitted:
        return self
