"""Any scikit-learn classifier of several labels as a row of the tables; it knows no classifier by name."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
from scipy.special import expit
from sklearn.base import clone
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils import get_tags

from benchmark.contracts import Array, Factor, Holdout, MethodSpec, RandomState
from benchmark.learning.estimator import MultiModalEstimator


def sklearn_row(id: str, estimator: Any, **more: Any) -> MethodSpec:
    """Return a row of the tables for a scikit-learn classifier that takes label matrices (n, q).

    Parameters
    ----------
    id : how the row is called.
    estimator : unfitted, such as a random forest or `MultiOutputClassifier(LogisticRegression())`. It sees
        the concatenated modalities, standardised on the training rows.
    more : of `MethodSpec`: threshold, note, datasets.

    Examples
    --------
    >>> from sklearn.neighbors import KNeighborsClassifier
    >>> from benchmark.learning.adapter import sklearn_row
    >>> METHODS = (sklearn_row("kNN", KNeighborsClassifier(10)),)
    >>> METHODS[0].id
    'kNN'
    """
    options = {"estimator": estimator}
    return MethodSpec(id, Concatenated, options, **{"preset": "adapted", "in_paper": False, **more})


class Concatenated(MultiModalEstimator):
    """A scikit-learn classifier on the concatenated modalities.

    Parameters
    ----------
    estimator : classifier
        Takes labels (n, q). Each parameter of it, or of what it wraps, that is called `random_state` and is
        None is drawn from `random_state`.
    random_state : int, Streams, RandomState, Generator or None, default=0

    Attributes
    ----------
    pipeline_ : Pipeline or None
        Scaling and the classifier, fitted on the labels that vary in the training rows; None if none does.
    constants_ : ndarray of shape (q,)
        0 or 1 for a label that has one class in the training rows, which is predicted; NaN for the others.

    See Also
    --------
    sklearn.multioutput.MultiOutputClassifier : Makes one of a classifier of a single label.
    """

    FACTORS: ClassVar[tuple[Factor, ...]] = ()

    def __init__(self, estimator: Any = None, random_state: RandomState = 0) -> None:
        self.estimator = estimator
        self.random_state = random_state

    def _fit(self, modalities: list[Array], labels: Array, holdout: Holdout | None) -> None:  # noqa: ARG002 (the base's signature)
        if not hasattr(self.estimator, "predict_proba") and not hasattr(self.estimator, "decision_function"):
            raise ValueError(
                f"estimator={self.estimator!r} has neither predict_proba nor decision_function, and so gives "
                "no scores; choose or wrap one that has"
            )
        self.constants_ = np.where(labels.min(axis=0) == labels.max(axis=0), labels[0], np.nan)
        targets = labels[:, np.isnan(self.constants_)].astype(np.int64)  # some encode absent as -1
        self.pipeline_ = None
        if targets.shape[1]:
            classifier = self._seeded(clone(self.estimator))
            if targets.shape[1] == 1 and get_tags(classifier).target_tags.single_output:
                targets = targets[:, 0]
            self.pipeline_ = make_pipeline(StandardScaler(), classifier).fit(_joined(modalities), targets)

    def _seeded(self, classifier: Any) -> Any:
        parameters = classifier.get_params()
        seeds = self.streams_.generator("choices").integers(2**31, size=len(parameters))
        unset = {
            name: int(seed)
            for (name, value), seed in zip(sorted(parameters.items()), seeds, strict=True)
            if name.split("__")[-1] == "random_state" and value is None
        }
        return classifier.set_params(**unset)

    def _scores(self, modalities: list[Array]) -> Array:
        n = len(modalities[0])
        scores = np.tile(self.constants_, (n, 1))
        if self.pipeline_ is not None:
            rows = _joined(modalities)
            if hasattr(self.pipeline_, "predict_proba"):
                found = _positive(self.pipeline_.predict_proba(rows), int(np.isnan(self.constants_).sum()))
            else:
                found = expit(self.pipeline_.decision_function(rows))
            scores[:, np.isnan(self.constants_)] = found.reshape(n, -1)
        return scores


def _joined(modalities: list[Array]) -> Array:
    return np.concatenate([np.asarray(x, dtype=np.float64) for x in modalities], axis=1)


def _positive(probabilities: Any, n_labels: int) -> Array:
    """Return the probabilities (n, q) of class 1 from the forms that scikit-learn's classifiers give."""
    if isinstance(probabilities, list):  # one array (n, 2) for each label
        return np.stack([p[:, 1] for p in probabilities], axis=1)
    found = np.asarray(probabilities)
    return found[:, 1] if n_labels == 1 and found.shape[1] == 2 else found
