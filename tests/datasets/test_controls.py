"""The controls hold what they promise, shown by readers far simpler than the methods they are for."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score

from datasets.controls import label_signal, order_indifferent, order_matters


def aucs(x, y, classifier=None):
    """AUC of each label on the last quarter, of a classifier fitted on the rest."""
    cut = 3 * len(x) // 4
    model = classifier or LogisticRegression(C=0.1)
    return np.array(
        [
            roc_auc_score(y[cut:, j], model.fit(x[:cut], y[:cut, j]).predict_proba(x[cut:])[:, 1])
            for j in range(y.shape[1])
        ]
    )


def forgetful_reading(control, order, decay=0.3):
    """State after reading the modalities in each row's order: state <- decay * state + what is read."""
    d = max(x.shape[1] for x in control.modalities)
    padded = np.stack([np.pad(x, ((0, 0), (0, d - x.shape[1]))) for x in control.modalities])
    state = np.zeros((len(control.labels), d))
    for t in range(order.shape[1]):
        state = decay * state + padded[order[:, t], np.arange(len(state))]
    return state


def reading_orders(control, last):
    """The data set's order, a random one per row, and one that ends in the modality `last` of each row."""
    m, n = len(control.modalities), len(control.labels)
    given = np.tile(np.arange(m), (n, 1))
    shuffled = np.random.default_rng(1).permuted(given, axis=1)
    chosen = np.array([[*(k for k in reversed(range(m)) if k != end), end] for end in last])
    return given, shuffled, chosen


def test_where_order_matters_a_chosen_order_beats_fixed_and_random_ones():
    control = order_matters()
    given, shuffled, chosen = (
        aucs(forgetful_reading(control, order), control.labels).mean()
        for order in reading_orders(control, control.truth)
    )
    assert chosen > 0.95
    assert max(given, shuffled) < 0.8


def test_where_order_matters_a_linear_reader_of_everything_stays_below_the_chosen_order():
    control = order_matters()
    assert 0.6 < aucs(np.hstack(control.modalities), control.labels).mean() < 0.85


def test_the_guide_names_the_telling_modality_and_shows_no_label():
    control = order_matters()
    guide = control.modalities[-1]
    assert (guide.argmax(axis=1) == control.truth).mean() > 0.95
    assert abs(aucs(guide, control.labels).mean() - 0.5) < 0.05
    assert np.bincount(control.truth).min() > 0.25 * len(guide)


def test_where_order_does_not_matter_all_orders_read_equally_well():
    control = order_indifferent(n=8000)
    last = np.random.default_rng(2).integers(len(control.modalities), size=len(control.labels))
    means = [
        aucs(forgetful_reading(control, order), control.labels).mean()
        for order in reading_orders(control, last)
    ]
    assert min(means) > 0.75
    assert np.ptp(means) < 0.02


def test_where_order_does_not_matter_every_modality_is_equally_good():
    control = order_indifferent(n=8000)
    assert np.ptp([aucs(x, control.labels).mean() for x in control.modalities]) < 0.02


@pytest.fixture(scope="module")
def dependent():
    return label_signal()


def test_dependent_labels_are_functions_of_the_shown_ones(dependent):
    for a, b, both, either in dependent.groups:
        y = dependent.labels
        np.testing.assert_array_equal(y[:, both], y[:, a] * y[:, b])
        np.testing.assert_array_equal(y[:, either], y[:, a] != y[:, b])


def test_no_modality_alone_shows_the_exclusive_or_even_to_trees(dependent):
    columns = [group[3] for group in dependent.groups]
    for x in dependent.modalities:
        trees = HistGradientBoostingClassifier(max_iter=5)
        assert abs(aucs(x, dependent.labels[:, columns], trees).mean() - 0.5) < 0.08


def test_independent_linear_classifiers_are_at_chance_where_fed_back_labels_are_not(dependent):
    x, y = np.hstack(dependent.modalities), dependent.labels
    columns = [group[3] for group in dependent.groups]
    cut = 3 * len(x) // 4
    first_stage = np.column_stack(
        [LogisticRegression(C=0.1).fit(x[:cut], y[:cut, j]).predict_proba(x)[:, 1] for j in range(y.shape[1])]
    )
    assert np.abs(aucs(x, y)[columns] - 0.5).max() < 0.1
    assert aucs(first_stage, y)[columns].min() > 0.95


def test_a_linear_function_of_labels_gives_each_dependent_label_exactly(dependent):
    """What W_co can hold: thresholds of linear functions of the labels predicted a step before."""
    y = dependent.labels.astype(int)
    for a, b, both, either in dependent.groups:
        np.testing.assert_array_equal(y[:, a] + y[:, b] > 1, y[:, both])
        np.testing.assert_array_equal(y[:, a] + y[:, b] - 2 * y[:, both], y[:, either])


@pytest.mark.parametrize("make", [order_matters, order_indifferent, label_signal])
def test_controls_are_functions_of_their_seed(make):
    first, again, other = make(n=50, seed=3), make(n=50, seed=3), make(n=50, seed=4)
    assert all((x == z).all() for x, z in zip(first.modalities, again.modalities, strict=True))
    assert (first.labels == again.labels).all()
    assert (first.modalities[0] != other.modalities[0]).any()
    assert {x.dtype for x in first.modalities} == {np.dtype(np.float32)}
    assert first.labels.dtype == np.uint8
