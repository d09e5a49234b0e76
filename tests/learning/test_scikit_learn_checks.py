"""scikit-learn's own checks, on every method as a classifier of one matrix that is cut into modalities."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.utils.estimator_checks import estimator_checks_generator

from baselines import CS3G, DMP, MCC, BinaryRelevance, ClassifierChain
from m3la import M3LA

LEFT_OUT = {
    "check_n_features_in": "the number of features is `dims_`, one for each modality",
    "check_n_features_in_after_fitting": "as above, and other numbers are refused in words of our own",
    "check_complex_data": "complex numbers are refused, in words of our own",
    "check_dtype_object": "objects that are no numbers are a ValueError here, not a TypeError",
    "check_estimators_empty_data_messages": "empty matrices are refused, in words of our own",
    "check_fit2d_predict1d": "a row that is no matrix is refused, in words of our own",
    "check_requires_y_none": "labels that are None are refused, in words of our own",
    "check_classifiers_regression_target": "labels are a 0/1 matrix; its classes are made by this file",
    "check_supervised_y_no_nan": "as above",
    "check_supervised_y_2d": "a column of the classes 0, 1, 2 is no 0/1 matrix, and is refused",
}
"""Checks that must fail, and why; what they are after is tested in `test_doors`."""
LEFT_OUT_WITH_MAX_ITER = {
    "check_non_transformer_estimators_n_iter": "one fit solves many problems, with an iteration count each",
}
"""Further ones, of methods that have this parameter."""


class OneMatrix:
    """A method that reads one matrix, left columns and right ones as modalities, and predicts classes."""

    def fit(self, X, y):
        column = np.asarray(y)
        if column.ndim != 1:
            return super().fit(cut(X), y)
        classes = np.unique(column)
        super().fit(cut(X), column[:, None] == classes)
        self.classes_ = classes
        return self

    def predict(self, X):
        if hasattr(self, "classes_"):
            return self.classes_[self.predict_scores(cut(X)).argmax(axis=1)]
        return super().predict(cut(X)).astype(np.int64)  # scikit-learn expects the type of y

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = True
        tags.target_tags.single_output = True
        tags.classifier_tags.poor_score = True  # of one epoch
        return tags


class Half:
    """Some columns of what only numpy knows how to read."""

    def __init__(self, X, columns):
        self.X, self.columns = X, columns

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.X, dtype=dtype)[:, self.columns]


def cut(X):
    """Return the halves of a matrix in its own type; what is no matrix of two columns stays whole."""
    shape = () if hasattr(X, "tocsr") else np.asarray(X).shape
    if len(shape) != 2 or shape[1] < 2:
        return [X]
    columns = (slice(None, shape[1] // 2), slice(shape[1] // 2, None))
    if hasattr(X, "iloc"):
        return [X.iloc[:, part] for part in columns]
    if isinstance(X, list):
        return [[row[part] for row in X] for part in columns]
    return [X[:, part] if isinstance(X, np.ndarray) else Half(X, part) for part in columns]


class OneM3LA(OneMatrix, M3LA): ...


class OneBinaryRelevance(OneMatrix, BinaryRelevance): ...


class OneClassifierChain(OneMatrix, ClassifierChain): ...


class OneDMP(OneMatrix, DMP): ...


class OneMCC(OneMatrix, MCC): ...


class OneCS3G(OneMatrix, CS3G): ...


ESTIMATORS = (
    OneM3LA(hidden=4, epochs=1, label_activation="sigmoid"),
    OneBinaryRelevance(),
    OneClassifierChain(),
    OneDMP(hidden=4, epochs=1, selection="last"),
    OneMCC(hidden=4, epochs=1, selection="last"),
    OneCS3G(ridge_grid=(0.01,), laplacian_grid=(0.0,), lasso_grid=(0.0,)),
)


def name_of(check):
    return getattr(check, "func", check).__name__


def checks():
    for original in ESTIMATORS:
        left_out = LEFT_OUT | (LEFT_OUT_WITH_MAX_ITER if hasattr(original, "max_iter") else {})
        for estimator, check in estimator_checks_generator(original):
            name = name_of(check)
            yield pytest.param(estimator, check, name in left_out, id=f"{type(original).__name__}-{name}")


@pytest.mark.parametrize(("estimator", "check", "left_out"), list(checks()))
@pytest.mark.filterwarnings("ignore")
def test_a_check_of_scikit_learn_passes_unless_it_is_left_out(estimator, check, left_out):
    if not left_out:
        check(estimator)
    else:
        with pytest.raises((AssertionError, AttributeError, ValueError)):
            check(estimator)


def test_every_check_that_is_left_out_exists():
    there = {name_of(check) for _, check in estimator_checks_generator(ESTIMATORS[0])}
    assert LEFT_OUT.keys() | LEFT_OUT_WITH_MAX_ITER.keys() <= there
