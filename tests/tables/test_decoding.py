"""Orders and label correlations of a decoding, by hand."""

import warnings

import numpy as np
import pytest

from benchmark.tables.decoding import correlation_agreement, order_statistics


def test_one_order_has_no_entropy():
    found = order_statistics(np.tile([2, 0, 1], (7, 1)))
    assert (found.n_distinct, found.entropy_bits) == (1, 0.0)
    assert not np.signbit(found.entropy_bits)


def test_entropy_of_orders_by_hand():
    """Shares 1/2, 1/4, 1/4: 1.5 bits."""
    found = order_statistics(np.array([[0, 1], [1, 0], [0, 1], [-1, 0]]))
    assert found.n_distinct == 3
    assert found.entropy_bits == pytest.approx(1.5)


def test_all_orders_equally_often_reach_log2_of_their_number():
    found = order_statistics(np.array([[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] * 4))
    assert found.entropy_bits == pytest.approx(np.log2(6))


def test_agreement_is_a_rank_correlation_off_the_diagonal():
    phi = np.array([[1, 0.5, -0.2], [0.5, 1, 0.1], [-0.2, 0.1, 1]])
    learned = phi**3 + np.diag([-100.0, 50, 0])
    assert correlation_agreement(learned, phi) == pytest.approx(1)
    assert correlation_agreement(-learned, phi) == pytest.approx(-1)


def test_agreement_by_hand_without_symmetry():
    """In the order (0,1) (1,0) (0,2) (2,0) (1,2) (2,1) W ranks 1..6, phi 1.5 1.5 3.5 3.5 5.5 5.5."""
    phi = np.array([[1, 0.1, 0.2], [0.1, 1, 0.3], [0.2, 0.3, 1]])
    learned = np.array([[0, 1, 3], [2, 0, 5], [4, 6, 0]])
    a, b = np.array([1, 2, 3, 4, 5, 6]), np.array([1.5, 1.5, 3.5, 3.5, 5.5, 5.5])
    expected = ((a - 3.5) * (b - 3.5)).sum() / np.sqrt(((a - 3.5) ** 2).sum() * ((b - 3.5) ** 2).sum())
    assert correlation_agreement(learned, phi) == pytest.approx(expected)


def test_labels_without_a_phi_coefficient_are_left_out():
    phi = np.array([[1, 0.5, -0.2, np.nan], [0.5, 1, 0.1, np.nan], [-0.2, 0.1, 1, np.nan], [np.nan] * 4])
    learned = np.where(np.isnan(phi), 9.0, phi)
    assert correlation_agreement(learned, phi) == pytest.approx(1)


def test_a_matrix_that_never_moved_has_no_correlation_and_warns_of_nothing():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert np.isnan(correlation_agreement(np.zeros((4, 4)), np.random.default_rng(0).random((4, 4))))
        assert np.isnan(correlation_agreement(np.eye(2), np.eye(2)))
