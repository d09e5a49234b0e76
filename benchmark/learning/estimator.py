"""What every method does around its fit and scores: checks, 0/1 predictions, saving; it knows no method."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils.validation import check_is_fitted

from benchmark.contracts import Array, Factor, Holdout, Modalities, Streams
from benchmark.inputs import as_labels, column_names, quoted
from benchmark.learning.checks import check_options
from benchmark.learning.rows import check_same_columns, checked_holdout, checked_modalities, with_index
from benchmark.learning.saving import MOST_FEATURES, SavedModelError, read_model, write_model
from benchmark.learning.surroundings import own_surroundings
from benchmark.score.thresholds import apply_thresholds, choose_thresholds
from benchmark.words import one_line

CALIBRATED = "calibrated"
DECISIONS: Mapping[str, str] = {
    "fixed": "fixed",
    "transductive_eq13": "eq13",
    "transductive_eq16a": "eq16a",
    "transductive_eq16b": "eq16b",
}
"""What `predict` offers beside `CALIBRATED`, and the rule of `benchmark.score.thresholds` that it is."""


class MultiModalEstimator(ClassifierMixin, BaseEstimator):
    """Base of the methods: several modalities, several labels, scikit-learn's conventions.

    A subclass lists in `FACTORS` what its constructor leaves open, and states `_fit`, `_scores`, `_state` and
    `_restore`. All input passes here, so that these see checked arrays alone.

    Attributes
    ----------
    dims_ : tuple of int
        d_1..d_m of the fit.
    n_labels_ : int
        q.
    label_frequencies_ : ndarray of shape (q,)
        Share of all training rows, a hold-out's among them, that have each label.
    thresholds_ : ndarray of shape (q,)
        With them each label is predicted as often, among the hold-out's rows where there is one, else among
        the training rows, as it occurs in training.
    """

    FACTORS: ClassVar[tuple[Factor, ...]] = ()

    def fit(
        self,
        modalities: Modalities,
        labels: Array,
        holdout: Holdout | tuple[Modalities, Array] | None = None,
    ) -> Self:
        """Fit on the training rows.

        Parameters
        ----------
        modalities : sequence of m array-likes of shape (n, d_k)
            Finite real numbers.
        labels : array-like of shape (n, q)
            In {0, 1}.
        holdout : Holdout or pair (modalities, labels), optional
            Further training rows for what a method chooses, such as when to stop; needed where
            `needs_holdout`. Never test rows.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            For an option that is not offered, input that is no such array, rows that do not belong together,
            or a hold-out that is needed and missing.
        """
        with own_surroundings():
            given = self._trained(modalities, labels, holdout)
            self._calibrate(*given)
            self.end(*given[1:])
        return self

    def fit_scores(
        self,
        modalities: Modalities,
        labels: Array,
        holdout: Holdout | tuple[Modalities, Array] | None = None,
    ) -> Self:
        """Fit as `fit` does, without the thresholds of `predict`, for whoever takes scores alone.

        Raises
        ------
        ValueError
            As of `fit`.
        """
        with own_surroundings():
            self.end(*self._trained(modalities, labels, holdout)[1:])
        return self

    def begin(
        self,
        modalities: Modalities,
        labels: Array,
        holdout: Holdout | tuple[Modalities, Array] | None = None,
    ) -> tuple[list[Array], Array, Holdout | None]:
        """Check options and training rows, forget an earlier fit, and return the rows as arrays.

        Raises
        ------
        ValueError
            As of `fit`.
        """
        for name in [name for name in vars(self) if name.endswith("_") and not name.startswith("_")]:
            delattr(self, name)  # nothing of an earlier fit may outlive one that fails
        self._check_options()
        y = as_labels(labels)
        given, columns = checked_modalities(modalities, {"labels": with_index(labels, y)})
        held = None if holdout is None else checked_holdout(holdout, given, columns, y, column_names(labels))
        self.dims_ = tuple(x.shape[1] for x in given)
        self.columns_ = columns
        self.n_labels_ = y.shape[1]
        self.streams_ = Streams.of(getattr(self, "random_state", 0))
        self.parameters_ = self.get_params(deep=False)
        return given, y, held

    def end(self, labels: Array, holdout: Holdout | None) -> None:
        """Say that the model is fitted."""
        self.label_frequencies_ = _frequencies(labels, holdout)

    def predict_scores(self, modalities: Modalities) -> Array:
        """Return soft scores of shape (n, q) in [0, 1] for m array-likes of shape (n, d_k).

        Raises
        ------
        NotFittedError
            Before `fit`.
        ValueError
            For input that is no such array, or other modalities or columns than those of the fit.
        """
        with own_surroundings():
            return _finite(self._scores(self._checked(modalities)))

    def predict(self, modalities: Modalities, threshold: str = CALIBRATED) -> Array:
        """Return 0/1 predictions (n, q), uint8: 1 where a score reaches the threshold of its label.

        Parameters
        ----------
        modalities : sequence of m array-likes of shape (n, d_k)
        threshold : str
            `calibrated`, by default: `thresholds_`, for which only training rows were looked at. `fixed`:
            0.5. The paper's own rules look at the scores of all rows that are passed, so that a row's
            prediction depends on the others: `transductive_eq13`, one threshold for all labels, and
            `transductive_eq16a` and `transductive_eq16b`, one per label, in two readings of (16).

        Raises
        ------
        NotFittedError, ValueError
            As of `predict_scores`, after `fit_scores` alone, and for an unknown threshold.
        """
        if not isinstance(threshold, str) or threshold not in (CALIBRATED, *DECISIONS):
            offered = ", ".join(map(repr, (CALIBRATED, *DECISIONS)))
            raise ValueError(f"threshold={quoted(threshold)} is not offered; choose one of {offered}")
        check_is_fitted(self, "thresholds_")
        scores = self.predict_scores(modalities)
        values = self.thresholds_
        with own_surroundings():
            if threshold != CALIBRATED:
                values = choose_thresholds(DECISIONS[threshold], scores, self.label_frequencies_).values
            return apply_thresholds(scores, values)

    def trace(self, modalities: Modalities) -> dict[str, Array]:
        """Return what the method did on the way to its scores of m array-likes (n, d_k), by name.

        Raises
        ------
        NotFittedError, ValueError
            As of `predict_scores`.
        """
        with own_surroundings():
            return self._trace(self._checked(modalities))

    def save(self, path: str | Path) -> None:
        """Write the estimator as it was fitted to a safetensors file, whole or not at all.

        Of a `random_state` that is no integer the file keeps what was drawn from it, and None in its place.

        Raises
        ------
        NotFittedError
            Before `fit`, and after `fit_scores` alone.
        OSError
            If the file cannot be written.
        """
        check_is_fitted(self, "thresholds_")
        if Path(path).is_dir():
            raise IsADirectoryError(f"{path}: is a folder; give the name of a file")
        shared = {name: getattr(self, name) for name in SHARED_STATE}
        streams = {"dataset": self.streams_.dataset, "seed": self.streams_.seed}
        tree = {"parameters": self._saved_parameters(), **shared, "streams": streams, "own": self._state()}
        tree["holdout_scores"] = getattr(self, "holdout_scores_", None)
        write_model(path, type(self).__name__, tree)

    @classmethod
    def load(cls, path: str | Path, device: str | None = None) -> Self:
        """Return the estimator that `save` wrote; it scores bit for bit as before.

        Parameters
        ----------
        path : of the file. Reading it runs no code.
        device : of a method that has one, instead of the one it was fitted on; there, scores are the same up
            to rounding.

        Raises
        ------
        SavedModelError
            If the file is damaged, of another format or class, or its arrays do not fit its parameters.
        OSError
            If it cannot be opened.
        """
        tree = read_model(path, cls.__name__)
        if "device" not in _defaults(cls) and device == "cpu":
            device = None  # where it computes in any case
        if "device" not in _defaults(cls) and device is not None:
            raise ValueError(f"{cls.__name__} computes on the processor alone; leave out device={device!r}")
        if device is not None:
            check_options({"device": device}, {"device": "cpu"}, ())
        try:
            parameters = _restored_parameters(cls, tree["parameters"])
            if device is not None:
                parameters["device"] = device
            loaded = cls(**parameters)
            loaded._check_options()
            with own_surroundings():
                loaded._become(tree)
        except SavedModelError:
            raise
        except Exception as error:  # whatever arrays of other shapes, or values of other types, lead to
            why = one_line(f"{type(error).__name__}: {error}")
            raise SavedModelError(
                f"{path}: does not fit {cls.__name__} ({why}); fit and save again"
            ) from error
        return loaded

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "label_frequencies_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.target_tags.single_output = False
        tags.target_tags.multi_output = True
        tags.target_tags.two_d_labels = True
        return tags

    def _trained(
        self, modalities: Any, labels: Any, holdout: Any
    ) -> tuple[list[Array], Array, Holdout | None]:
        given = self.begin(modalities, labels, holdout)
        if holdout is None and getattr(self, "needs_holdout", False):
            raise ValueError(
                f"{type(self).__name__} chooses on a hold-out and got none; pass holdout=(modalities, "
                "labels) of further training rows to fit, or options that leave no choice"
            )
        self._fit(*given)
        return given

    def _calibrate(self, modalities: list[Array], labels: Array, holdout: Holdout | None) -> None:
        scores = getattr(self, "holdout_scores_", None)
        scores = _finite(self._scores(modalities) if scores is None else scores)
        # Eq. (16) without its first term: each label is predicted as often as it occurs.
        frequencies = _frequencies(labels, holdout)
        self.thresholds_ = choose_thresholds("eq16a", scores, frequencies, l1=0.0, l2=1.0).values

    def _fit(self, modalities: list[Array], labels: Array, holdout: Holdout | None) -> None:
        """Fit on checked rows; `holdout_scores_` where there is a hold-out."""
        raise NotImplementedError

    def _scores(self, modalities: list[Array]) -> Array:
        """Return scores (n, q) of checked rows."""
        raise NotImplementedError

    def _trace(self, modalities: list[Array]) -> dict[str, Array]:  # noqa: ARG002
        """Return arrays by name, of checked rows; by default there is nothing to tell."""
        return {}

    def _state(self) -> dict[str, Any]:
        """Return what `_restore` needs beside parameters and the attributes that all methods have."""
        raise NotImplementedError(f"{type(self).__name__} has no _state and _restore, and cannot be saved")

    def _restore(self, state: Mapping[str, Any]) -> None:
        """Become as fitted as the estimator whose `_state` it is."""
        raise NotImplementedError

    def _check_options(self) -> None:
        check_options(self.get_params(deep=False), _defaults(type(self)), self.FACTORS)

    def _checked(self, modalities: Modalities) -> list[Array]:
        check_is_fitted(self)
        given, columns = checked_modalities(modalities, {})
        check_same_columns(given, columns, self.dims_, self.columns_)
        return given

    def _saved_parameters(self) -> dict[str, Any]:
        parameters = dict(self.parameters_)  # those of the fit, whatever was set since
        if not isinstance(parameters.get("random_state", 0), int | np.integer):
            parameters["random_state"] = None  # what was drawn from it is in the saved streams
        if "device" in parameters:
            parameters["device"] = str(parameters["device"])
        return parameters

    def _become(self, tree: Mapping[str, Any]) -> None:
        _check_shared_state(tree)
        for name in SHARED_STATE:
            setattr(self, name, tree[name])
        self.dims_ = tuple(tree["dims_"])
        self.columns_ = tuple(None if names is None else tuple(names) for names in tree["columns_"])
        self.streams_ = Streams(**tree["streams"])
        self.parameters_ = self.get_params(deep=False)
        if tree["holdout_scores"] is not None:
            self.holdout_scores_ = tree["holdout_scores"]
        self._restore(tree["own"])
        found = np.asarray(self._scores([np.zeros((1, d), dtype=np.float32) for d in self.dims_]))
        if found.shape != (1, self.n_labels_) or found.dtype.kind != "f":
            raise ValueError(f"scores have shape {found.shape} for one row and {self.n_labels_} labels")


SHARED_STATE = ("dims_", "columns_", "n_labels_", "label_frequencies_", "thresholds_")
"""Attributes that every fitted method has and a file keeps."""


def _check_shared_state(tree: Mapping[str, Any]) -> None:
    """Refuse values of a file that `begin` and `end` never leave."""
    dims, columns, q = tree["dims_"], tree["columns_"], tree["n_labels_"]
    counts = [*dims, q]
    if not dims or any(type(count) is not int or count < 1 for count in counts) or sum(dims) > MOST_FEATURES:
        raise ValueError(f"{quoted(dims)} features and {quoted(q)} labels")
    if [d if names is None else len(names) for d, names in zip(dims, columns, strict=True)] != dims:
        raise ValueError("column names for other numbers of features")
    if any(type(name) is not str for names in columns for name in names or ()):
        raise ValueError("column names that are no texts")
    for name in ("thresholds_", "label_frequencies_"):
        if tree[name].shape != (q,) or tree[name].dtype.kind != "f" or np.isnan(tree[name]).any():
            raise ValueError(f"{name} are not {q} numbers")
    scores = tree["holdout_scores"]
    if scores is not None and (scores.ndim != 2 or scores.shape[1] != q or scores.dtype.kind != "f"):
        raise ValueError(f"hold-out scores of other labels than {q}")
    streams = tree["streams"]
    if type(streams["dataset"]) is not str or type(streams["seed"]) is not int or streams["seed"] < 0:
        raise ValueError(f"streams {quoted(streams)}")


def _frequencies(labels: Array, holdout: Holdout | None) -> Array:
    """Return the share of all training rows, a hold-out's among them, that have each label."""
    held = () if holdout is None else (holdout.labels,)
    return np.asarray(np.concatenate([labels, *held]).mean(axis=0, dtype=np.float64))


def _finite(scores: Any) -> Array:
    scores = np.asarray(scores)
    if not np.isfinite(scores).all():
        rows = np.flatnonzero(~np.isfinite(scores).all(axis=1))
        raise ValueError(
            f"scores of {len(rows)} rows are no finite numbers, the first of row {rows[0]}: its features are "
            "too large, or too far from those of the fit; correct them, or scale them by column"
        )
    return scores


def _defaults(estimator: type) -> dict[str, Any]:
    parameters = inspect.signature(estimator).parameters.values()
    return {parameter.name: parameter.default for parameter in parameters}


def _restored_parameters(estimator: type, saved: Mapping[str, Any]) -> dict[str, Any]:
    """Return constructor arguments; JSON knows no tuples."""
    if (known := _defaults(estimator).keys()) != saved.keys():
        differing = ", ".join(sorted(known ^ saved.keys()))
        raise ValueError(f"parameters differ: {differing}")
    return {name: tuple(value) if isinstance(value, list) else value for name, value in saved.items()}
