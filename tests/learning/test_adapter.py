"""A scikit-learn classifier becomes a row by one line, whatever form its probabilities have."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression, RidgeClassifier
from sklearn.multioutput import ClassifierChain, MultiOutputClassifier
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC

from benchmark.learning.adapter import Concatenated, sklearn_row
from benchmark.run.check_method import CHECKS, Subject, toy_data

CLASSIFIERS = {
    "forest": RandomForestClassifier(5),
    "kNN": KNeighborsClassifier(3),
    "ridge": RidgeClassifier(),
    "logistic": MultiOutputClassifier(LogisticRegression()),
    "chain": ClassifierChain(LogisticRegression()),
}


@pytest.mark.parametrize("check", CHECKS.values(), ids=lambda check: check.__name__)
@pytest.mark.parametrize("name", CLASSIFIERS)
def test_a_row_of_any_kind_keeps_every_promise(name, check):
    check(Subject(sklearn_row(name, CLASSIFIERS[name]), ()))


def test_scores_are_those_of_the_classifier_on_standardised_features():
    data = toy_data()
    joined = np.concatenate([x.astype(np.float64) for x in data.modalities], axis=1)
    expected = RandomForestClassifier(5, random_state=3).fit(
        StandardScaler().fit_transform(joined), data.labels
    )
    method = Concatenated(RandomForestClassifier(5, random_state=3)).fit(data.modalities, data.labels)
    by_label = expected.predict_proba(StandardScaler().fit_transform(joined))
    np.testing.assert_array_equal(
        method.predict_scores(data.modalities), np.stack([p[:, 1] for p in by_label], axis=1)
    )


def test_a_decision_is_turned_into_a_score_in_its_order():
    data = toy_data(q=1)
    method = Concatenated(LinearSVC()).fit(data.modalities, data.labels)
    decisions = method.pipeline_.decision_function(np.concatenate(data.modalities, axis=1).astype(np.float64))
    scores = method.predict_scores(data.modalities)[:, 0]
    assert np.array_equal(np.argsort(decisions), np.argsort(scores))


def test_its_randomness_is_the_jobs():
    data = toy_data()
    first, again, other = (
        Concatenated(RandomForestClassifier(5), random_state=seed)
        .fit(data.modalities, data.labels)
        .predict_scores(data.modalities)
        for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_what_gives_no_scores_is_refused():
    data = toy_data()
    with pytest.raises(
        ValueError, match=r"StandardScaler\(\) has neither predict_proba nor decision_function"
    ):
        Concatenated(StandardScaler()).fit(data.modalities, data.labels)
