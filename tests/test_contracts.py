"""What every registered method and data set must keep; a new one is covered without a further line here."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from sklearn.base import clone

from benchmark.contracts import DatasetSpec, Holdout, MultiModalClassifier, Provenance, Streams
from benchmark.registry import discover
from benchmark.run.fingerprint import canonical
from benchmark.run.trial import build_estimator
from benchmark.score.metrics import METRICS
from benchmark.score.reading import read_scores
from benchmark.score.thresholds import RULES

REGISTRY = discover()
METHODS = list(REGISTRY.methods.values())
DATASETS = list(REGISTRY.datasets.values())
each_method = pytest.mark.parametrize("spec", METHODS, ids=lambda spec: spec.id)
each_estimator = pytest.mark.parametrize(
    "estimator", list({spec.estimator: None for spec in METHODS}), ids=lambda estimator: estimator.__name__
)
each_dataset = pytest.mark.parametrize("spec", DATASETS, ids=lambda spec: spec.id)


def toy(dims=(3, 2), q=3, n=30):
    generator = np.random.default_rng(0)
    modalities = [generator.normal(size=(n, d)).astype(np.float32) for d in dims]
    labels = (modalities[0][:, :1] + generator.normal(size=(n, q)) > 0).astype(np.uint8)
    return modalities, labels


def build(spec, seed=0):
    """Return a method as a job builds it, small enough for a test."""
    small = {"epochs": 1, "hidden": 4, "batch_size": 16}
    taken = spec.estimator(**spec.options).get_params(deep=False)
    options = {**spec.options, **{name: value for name, value in small.items() if name in taken}}
    return build_estimator(spec.estimator, options, Streams("toy", seed), "cpu")


def fit_and_score(spec, modalities, labels, seed=0):
    method, test = build(spec, seed), slice(0, 8)
    holdout = None
    if getattr(method, "needs_holdout", False):
        holdout = Holdout(tuple(x[8:14] for x in modalities), labels[8:14])
    with warnings.catch_warnings():
        warnings.simplefilter("error", RuntimeWarning)
        method.fit([x[14:] for x in modalities], labels[14:], holdout=holdout)
        return method, method.predict_scores([x[test] for x in modalities])


def assert_scores(scores, shape):
    assert scores.shape == shape
    assert np.isfinite(scores).all()
    assert scores.min() >= 0
    assert scores.max() <= 1


@each_estimator
def test_declared_factors_are_parameters_whose_default_is_a_level(estimator):
    params = estimator().get_params(deep=False)
    names = [factor.name for factor in estimator.FACTORS]
    assert len(set(names)) == len(names)
    for factor in estimator.FACTORS:
        assert factor.name in params, f"{factor.name} is no parameter"
        assert params[factor.name] in factor.levels, factor.name
        assert len(factor.levels) > 1, f"{factor.name} leaves nothing open"
        assert factor.source.strip(), factor.name


@each_estimator
def test_an_estimator_is_a_classifier_of_the_contract_and_can_be_cloned(estimator):
    original = estimator()
    assert isinstance(original, MultiModalClassifier)
    copy = clone(original)
    assert copy is not original
    assert copy.get_params() == original.get_params()


@each_method
def test_a_spec_names_a_known_rule_data_sets_and_stable_options(spec):
    assert spec.threshold in RULES
    assert spec.scoring in ("soft", "hard")
    assert set(spec.datasets or ()) <= set(REGISTRY.datasets)
    params = spec.estimator(**spec.options).get_params(deep=False)
    canonical({name: value for name, value in params.items() if name not in ("random_state", "device")})
    levels = {factor.name: factor.levels for factor in spec.estimator.FACTORS}
    for name, value in spec.options.items():
        assert value in levels.get(name, (value,)), f"{name}={value} is not among the declared levels"


@each_method
@pytest.mark.parametrize("dims", [(3, 2), (4,)], ids=["two-modalities", "one-modality"])
def test_scores_are_soft_of_the_right_shape_and_readable(spec, dims):
    modalities, labels = toy(dims)
    method, scores = fit_and_score(spec, modalities, labels)
    assert_scores(scores, (8, 3))
    arrays = {"scores": scores, "labels": labels[:8], "train_label_frequencies": labels[8:].mean(axis=0)}
    if getattr(method, "needs_holdout", False):
        assert_scores(method.holdout_scores_, (6, 3))
        arrays["holdout_scores"] = method.holdout_scores_
    assert set(read_scores(arrays, spec.scoring, spec.threshold).metrics) == {metric.id for metric in METRICS}


@each_method
def test_a_single_label_is_scored_or_refused_with_a_remedy(spec):
    modalities, labels = toy(q=1)
    scores, refusal = None, ""
    try:
        _, scores = fit_and_score(spec, modalities, labels)
    except ValueError as error:
        refusal = str(error)
    if scores is None:
        assert "one label" in refusal
        assert "use " in refusal
    else:
        assert_scores(scores, (8, 1))


@each_method
def test_the_same_seed_gives_the_same_bits(spec):
    modalities, labels = toy()
    _, first = fit_and_score(spec, modalities, labels, seed=3)
    np.random.default_rng().random()
    _, again = fit_and_score(spec, modalities, labels, seed=3)
    np.testing.assert_array_equal(first, again)


@each_method
def test_labels_that_are_constant_in_training_are_scored(spec):
    modalities, labels = toy()
    labels[:, 0] = 0
    labels[:, 1] = 1
    _, scores = fit_and_score(spec, modalities, labels)
    assert_scores(scores, (8, 3))


@each_method
def test_input_arrays_are_left_alone_even_when_read_only(spec):
    modalities, labels = toy()
    for array in (*modalities, labels):
        array.setflags(write=False)
    before = [array.copy() for array in (*modalities, labels)]
    fit_and_score(spec, modalities, labels)
    for array, copy in zip((*modalities, labels), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@each_dataset
def test_a_data_set_declares_table_1_consistently(spec):
    assert isinstance(spec, DatasetSpec)
    assert spec.id == spec.id.lower()
    assert spec.expected.m == len(spec.modality_names) == len(set(spec.modality_names))
    assert "labels" not in spec.modality_names


@each_dataset
def test_a_data_set_says_what_it_would_load_without_the_users_features(spec, tmp_path):
    assert spec.provenance(tmp_path) in (Provenance.REBUILT, Provenance.LOOK_ALIKE)
