"""What BR and CC share: one adapter to scikit-multilearn on the concatenated modalities; it knows no metric
but the one that chooses C, no threshold and no data set."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.naive_bayes import GaussianNB

from benchmark.contracts import Array, Factor, Holdout, Modalities
from benchmark.learning.estimator import MultiModalEstimator
from benchmark.learning.saving import fitted_attributes, permutation, set_fitted_attributes
from benchmark.learning.scaling import Scaler

FAIR_C_GRID = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
LBFGS_TOLERANCE = 1e-5
"""Ten times below scikit-learn's default, which stops so early at large C that it acts as another penalty.

Measured on random data of ML2000's shape, largest difference of a test probability to a tolerance of 1e-7:
C = 0.01, 0.003 at 1e-4 and 0.0003 at 1e-5; C = 1, 0.23 and 0.011; C = 10, 0.63 and 0.14.
"""

SHARED_FACTORS = (
    Factor(
        "base_learner",
        ("gaussian_nb", "logistic_regression"),
        "The paper names BR and CC and no base learner. Gaussian naive Bayes with 0/1 predictions is the "
        "only simple candidate for the predicted labels per image that its numbers imply: 23.5 for BR on "
        "MSRA, and on TAOBAO the fall from 6.3 (BR) to 1.1 (CC).",
    ),
    Factor(
        "scaling",
        ("standard", "none"),
        "The paper does not mention scaling. Standardised on the rows of each fit, as for every method here.",
    ),
    Factor(
        "C_grid",
        (FAIR_C_GRID, (1.0,)),
        "Not in the paper. With logistic regression: candidates for the inverse penalty, one for all labels, "
        "by macro-AUC on the hold-out; a grid of one value needs no hold-out.",
    ),
)


def refuse_fork() -> None:
    """Refuse to run beside scikit-multilearn-ng, which installs the same import name `skmultilearn`.

    Raises
    ------
    ImportError
        If the fork is installed: whichever was installed last has overwritten the other's files.
    """
    try:
        version = metadata.version("scikit-multilearn-ng")
    except metadata.PackageNotFoundError:
        return
    raise ImportError(
        f"scikit-multilearn-ng {version} is installed and shares the import name skmultilearn with "
        "scikit-multilearn 0.2.0, which BR and CC are defined by; run `pip uninstall -y scikit-multilearn-ng "
        "scikit-multilearn` and then `pip install scikit-multilearn==0.2.0`"
    )


class ConstantGuard(ClassifierMixin, BaseEstimator):
    """A binary classifier that predicts the only class it saw, where the wrapped learner would raise.

    Parameters
    ----------
    learner : classifier
        Cloned and fitted when both classes are present.

    Attributes
    ----------
    constant_ : int or None
        The only class of the training rows; None where there were two.
    learner_ : classifier
        The fitted clone; absent where the label was constant.
    """

    def __init__(self, learner: Any = None) -> None:
        self.learner = learner

    def fit(self, X: Array, y: Array) -> Self:
        """Fit on X (n, d) and y (n,) in {0, 1}."""
        seen = np.unique(y)
        self.classes_ = np.array([0, 1])
        self.constant_ = int(seen[0]) if len(seen) == 1 else None
        if self.constant_ is None:
            self.learner_ = clone(self.learner).fit(X, y)
            if getattr(self.learner_, "epsilon_", 1) == 0:  # naive Bayes on features that do not vary
                self.learner_.var_[:] = 1  # else 0 / 0; so the classes' frequencies decide
        return self

    def predict(self, X: Array) -> Array:
        """Return classes (n,)."""
        if self.constant_ is not None:
            return np.full(len(X), self.constant_)
        return np.asarray(self.learner_.predict(X))

    def predict_proba(self, X: Array) -> Array:
        """Return probabilities (n, 2) of the classes 0 and 1, also for a constant label."""
        if self.constant_ is not None:
            return np.tile(np.eye(2)[self.constant_], (len(X), 1))
        return np.asarray(self.learner_.predict_proba(X))


def defined_macro_auc(labels: Array, scores: Array) -> float:
    """Return the mean ROC AUC over the labels (columns) that have both classes.

    Raises
    ------
    ValueError
        If no label has both classes.
    """
    columns = [j for j in range(labels.shape[1]) if len(np.unique(labels[:, j])) == 2]
    if not columns:
        raise ValueError(
            f"no label has both classes among the {len(labels)} hold-out rows, so no C can be chosen; "
            "use more training rows or a C_grid of one value"
        )
    return float(np.mean([roc_auc_score(labels[:, j], scores[:, j]) for j in columns]))


class ProblemTransformation(MultiModalEstimator):
    """BR and CC as multi-modal classifiers; a subclass supplies scikit-multilearn's transformation.

    Modalities are concatenated in the data set's order and standardised on the rows of the fit. With
    logistic regression and several values in `C_grid`, each candidate is fitted on the fit rows and scored
    on the hold-out; the C with the highest macro-AUC there (the smallest of equals) is refitted on both
    together. Test rows enter nothing but `predict_scores`.

    Attributes
    ----------
    C_ : float or None
        The chosen inverse penalty; None for Gaussian naive Bayes.
    holdout_macro_auc_ : ndarray of shape (len(candidates),)
        What each candidate reached on the hold-out; only if there was one.
    holdout_scores_ : ndarray of shape (n_holdout, q)
        Out-of-sample scores of the hold-out rows by the chosen candidate, before the refit.
    n_not_converged_ : int
        Logistic regressions of the final fit that stopped at `max_iter`.
    n_constant_ : int
        Labels that were constant in the final fit.
    """

    FACTORS: ClassVar[tuple[Factor, ...]] = SHARED_FACTORS

    base_learner: str
    scaling: str
    C_grid: tuple[float, ...]
    tol: float
    max_iter: int

    def _transformation(self, learner: ConstantGuard) -> Any:
        """Return scikit-multilearn's unfitted classifier around `learner`."""
        raise NotImplementedError

    def _label_order(self, q: int) -> Array:
        """Return the columns of the labels in the order in which the transformation sees them, (q,)."""
        return np.arange(q)

    @property
    def needs_holdout(self) -> bool:
        """Whether `fit` has a choice to make."""
        return len(self._candidates()) > 1

    def _fit(self, modalities: list[Array], labels: Array, holdout: Holdout | None) -> None:
        """Fit on checked rows.

        Raises
        ------
        ValueError
            For a hold-out on which no candidate can be judged.
        ImportError
            If scikit-multilearn-ng is installed.
        """
        refuse_fork()
        candidates = self._candidates()
        self.C_ = candidates[0]
        rows = _concatenated(modalities)
        if holdout is not None:
            self._choose(candidates, rows, labels, holdout)
            rows = np.concatenate([rows, _concatenated(holdout.modalities)])
            labels = np.concatenate([labels, holdout.labels])
        self._fit_candidate(self.C_, rows, labels)

    def _scores(self, modalities: list[Array]) -> Array:
        """Return probabilities (n, q); in a chain, given the 0/1 predictions of the earlier labels."""
        return self._scores_of(_concatenated(modalities))

    def _trace(self, modalities: list[Array]) -> dict[str, Array]:  # noqa: ARG002 (the base's signature)
        """Return what the record keeps beside the scores: the choice of C and what went wrong in the fit."""
        trace = {"n_not_converged": np.array(self.n_not_converged_), "n_constant": np.array(self.n_constant_)}
        if self.C_ is not None:
            trace["chosen_C"] = np.array(self.C_)
        if hasattr(self, "holdout_macro_auc_"):
            trace["holdout_macro_auc"] = self.holdout_macro_auc_
        return trace

    def _state(self) -> dict[str, Any]:
        guards = self.transformation_.classifiers_
        return {
            **{name: getattr(self, name, None) for name in KEPT},
            "scaler": self.scaler_.state(),
            "guards": [
                {
                    "constant": guard.constant_,
                    "learned": None if guard.constant_ is not None else fitted_attributes(guard.learner_),
                }
                for guard in guards
            ],
        }

    def _restore(self, state: Mapping[str, Any]) -> None:
        for name in KEPT:
            if state[name] is not None or name == "C_":
                setattr(self, name, state[name])
        permutation(state["order_"], self.n_labels_)
        self.scaler_ = Scaler(self.scaling, np.float64).restored(state["scaler"])
        guards = [self._restored_guard(**guard) for guard in state["guards"]]
        self.transformation_ = self._transformation(guards[0])
        self.transformation_.classifiers_ = guards
        # What scikit-multilearn's own fit sets beside them.
        self.transformation_._label_count = self.transformation_.model_count_ = len(guards)
        self.transformation_.partition_ = list(range(len(guards)))

    def _restored_guard(self, constant: int | None, learned: Mapping[str, Any] | None) -> ConstantGuard:
        guard = ConstantGuard(self._learner(self.C_))
        guard.classes_, guard.constant_ = np.array([0, 1]), constant
        if learned is not None:
            guard.learner_ = set_fitted_attributes(self._learner(self.C_), learned)
            permutation(learned["classes_"], 2)
        return guard

    def _candidates(self) -> tuple[float | None, ...]:
        if self.base_learner == "gaussian_nb":
            return (None,)
        return tuple(sorted(float(c) for c in self.C_grid))

    def _choose(
        self, candidates: tuple[float | None, ...], rows: Array, labels: Array, holdout: Holdout
    ) -> None:
        holdout_rows = _concatenated(holdout.modalities)
        reached: list[float] = []
        for candidate in candidates:
            self._fit_candidate(candidate, rows, labels)
            scores = self._scores_of(holdout_rows)
            # Nothing is chosen among one candidate, so no AUC has to be defined.
            auc = defined_macro_auc(holdout.labels, scores) if len(candidates) > 1 else np.nan
            if not reached or auc > max(reached):
                self.C_, self.holdout_scores_ = candidate, scores
            reached.append(auc)
        self.holdout_macro_auc_ = np.array(reached)

    def _fit_candidate(self, candidate: float | None, rows: Array, labels: Array) -> None:
        self.scaler_ = Scaler(self.scaling, np.float64).fit(rows, TOGETHER)
        self.order_ = self._label_order(labels.shape[1])
        self.transformation_ = self._transformation(ConstantGuard(self._learner(candidate)))
        self.transformation_.fit(self._scale(rows), labels[:, self.order_])
        guards = self.transformation_.classifiers_
        learners = [guard.learner_ for guard in guards if guard.constant_ is None]
        self.n_constant_ = len(guards) - len(learners)
        self.n_not_converged_ = sum(int(np.max(getattr(c, "n_iter_", 0)) >= self.max_iter) for c in learners)

    def _learner(self, candidate: float | None) -> Any:
        if candidate is None:
            return GaussianNB()
        return LogisticRegression(C=candidate, tol=self.tol, max_iter=self.max_iter)

    def _scores_of(self, rows: Array) -> Array:
        in_order = self.transformation_.predict_proba(self._scale(rows)).toarray()
        scores = np.empty_like(in_order)
        scores[:, self.order_] = in_order
        return scores

    def _scale(self, rows: Array) -> Array:
        return self.scaler_.transform(rows, TOGETHER)


TOGETHER = "the concatenated modalities"
KEPT = ("C_", "n_not_converged_", "n_constant_", "order_", "holdout_macro_auc_")
"""Attributes that a file keeps as they are."""


def _concatenated(modalities: Modalities) -> Array:
    # float64: the solver's tolerance and naive Bayes' variances are tighter than float32 sums.
    return np.concatenate([np.asarray(x, dtype=np.float64) for x in modalities], axis=1)
