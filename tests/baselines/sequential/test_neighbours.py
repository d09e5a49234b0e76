"""Nearest rows and class margins against a brute-force oracle."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from baselines.sequential.neighbours import class_margins, nearest

# Quarters on a short range: duplicates and ties in nearly every example.
COORDINATES = st.integers(-6, 6).map(lambda quarter: quarter / 4)


@st.composite
def problems(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray]:
    """Draw rows (n, d) and labels (n, q) with duplicates, ties and constant labels."""
    n, d, q = draw(st.integers(1, 14)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rows = draw(arrays(np.float32, (n, d), elements=COORDINATES))
    labels = draw(arrays(np.uint8, (n, q), elements=st.integers(0, 1)))
    return rows, labels


def margins_by_hand(rows: np.ndarray, labels: np.ndarray, k: int) -> np.ndarray:
    """Follow the definition: all distances, one row and one label at a time."""
    distances = cdist(rows, rows)
    margins = np.zeros(labels.shape)
    for i, j in np.ndindex(*labels.shape):
        others = np.arange(len(rows)) != i
        same = np.sort(distances[i, others & (labels[:, j] == labels[i, j])])[:k]
        other = np.sort(distances[i, others & (labels[:, j] != labels[i, j])])[:k]
        if len(same) and len(other):
            margins[i, j] = other.mean() - same.mean()
    return margins


class TestNearest:
    def test_on_a_line(self) -> None:
        rows = np.array([[0.0], [1.0], [3.0], [7.0]])
        assert_array_equal(nearest(rows, 2), [[1, 2], [0, 2], [1, 0], [2, 1]])

    @settings(max_examples=40)
    @given(problems(), st.integers(1, 20))
    def test_are_the_nearest_and_never_the_row_itself(self, problem: tuple, k: int) -> None:
        rows, _ = problem
        n = len(rows)
        found = nearest(rows, k)
        assert found.shape == (n, min(k, n - 1))
        assert np.issubdtype(found.dtype, np.integer)
        for i, listed in enumerate(found):
            assert i not in listed
            assert len(set(listed)) == len(listed)
            others = np.sort(np.delete(cdist(rows[i : i + 1], rows)[0], i))
            assert_allclose(cdist(rows[i : i + 1], rows)[0, listed], others[: len(listed)], atol=1e-6)

    def test_duplicates_list_each_other_even_when_there_are_more_than_k(self) -> None:
        rows = np.vstack([np.ones((30, 5)), np.zeros((1, 5))])
        found = nearest(rows, 3)
        assert not (found == np.arange(31)[:, None]).any()
        assert (found[:30] < 30).all()

    def test_ties_fall_the_same_way_whatever_the_number_of_threads(self) -> None:
        rows = np.random.default_rng(0).integers(0, 2, (2000, 6)).astype(np.float32)
        first = nearest(rows, 5)
        with threadpool_limits(2):
            assert_array_equal(nearest(rows, 5), first)

    def test_far_from_zero(self) -> None:
        rows = np.random.default_rng(0).normal(size=(200, 4))
        assert_array_equal(nearest(rows + 1e6, 3), nearest(rows, 3))

    @pytest.mark.parametrize("k", [1, 3])
    def test_one_row_and_none(self, k: int) -> None:
        assert nearest(np.ones((1, 4)), k).shape == (1, 0)
        assert nearest(np.ones((0, 4)), k).shape == (0, 0)


class TestClassMargins:
    def test_on_a_line(self) -> None:
        rows = np.array([[0.0], [1.0], [2.0], [5.0], [9.0]])
        labels = np.array([[1], [1], [0], [0], [1]])
        # Row 0: other (2 + 5) / 2, same (1 + 9) / 2.  Row 2: other (1 + 2) / 2, same 3 alone.
        expected = [[3.5 - 5.0], [2.5 - 4.5], [1.5 - 3.0], [4.0 - 3.0], [5.5 - 8.5]]
        assert_allclose(class_margins(rows, labels, 2), expected, atol=1e-6)

    @settings(max_examples=50)
    @given(problems(), st.integers(1, 6), st.integers(1, 20))
    def test_agree_with_the_definition_whatever_the_length_of_the_list(
        self, problem: tuple, k: int, n_listed: int
    ) -> None:
        rows, labels = problem
        found = class_margins(rows, labels, k, n_listed=n_listed)
        assert found.dtype == np.float32
        assert_allclose(found, margins_by_hand(rows, labels, k), atol=1e-6)

    def test_agree_with_the_definition_where_most_lists_lack_the_rare_class(self) -> None:
        rng = np.random.default_rng(1)
        rows = rng.normal(size=(700, 20)).astype(np.float32)
        rows[300:330] = rows[0]  # a row with more duplicates than k
        frequencies = np.array([0.004, 0.02, 0.1, 0.5, 0.98])
        labels = (rng.random((700, 5)) < frequencies).astype(np.uint8)
        labels[650:, 3] = 1
        rows[650:] += 8  # a cluster of its own: the other class is common, and in no member's list
        assert_allclose(class_margins(rows, labels, 3), margins_by_hand(rows, labels, 3), atol=1e-5)

    def test_constant_labels_and_single_rows_give_zero(self) -> None:
        rows = np.random.default_rng(0).normal(size=(20, 3))
        labels = np.zeros((20, 2), np.uint8)
        labels[:, 1] = 1
        assert_array_equal(class_margins(rows, labels, 3), np.zeros((20, 2)))
        assert_array_equal(class_margins(rows[:1], labels[:1], 3), np.zeros((1, 2)))

    def test_the_only_positive_has_no_same_class_and_the_others_are_measured(self) -> None:
        rows = np.array([[0.0], [1.0], [3.0]])
        labels = np.array([[1], [0], [0]])
        assert_allclose(class_margins(rows, labels, 3), [[0.0], [1.0 - 2.0], [3.0 - 2.0]], atol=1e-6)

    @settings(max_examples=20)
    @given(problems(), st.randoms(use_true_random=False))
    def test_follow_a_permutation_of_rows_and_of_labels(self, problem: tuple, random: object) -> None:
        rows, labels = problem
        order = np.random.default_rng(random.randint(0, 9)).permutation(len(rows))  # type: ignore[attr-defined]
        margins = class_margins(rows, labels, 2, n_listed=2)
        permuted = class_margins(rows[order], labels[order][:, ::-1], 2, n_listed=2)
        assert_allclose(permuted, margins[order][:, ::-1], atol=1e-6)

    def test_swapping_the_values_of_a_label_changes_nothing(self) -> None:
        rng = np.random.default_rng(2)
        rows, labels = rng.normal(size=(90, 4)), rng.integers(0, 2, (90, 3))
        assert_array_equal(class_margins(rows, labels, 3), class_margins(rows, 1 - labels, 3))


class TestRefusals:
    def test_no_neighbours_asked_for(self) -> None:
        with pytest.raises(ValueError, match="k is 0; it must be at least 1"):
            nearest(np.ones((3, 2)), 0)
        with pytest.raises(ValueError, match="k is -1"):
            class_margins(np.ones((3, 2)), np.ones((3, 1)), -1)
        with pytest.raises(ValueError, match="n_listed is 0"):
            class_margins(np.ones((3, 2)), np.ones((3, 1)), 3, n_listed=0)

    @pytest.mark.parametrize("labels", [np.ones(3), np.ones((2, 1))])
    def test_labels_that_do_not_fit(self, labels: np.ndarray) -> None:
        with pytest.raises(ValueError, match="give one row of labels per row"):
            class_margins(np.ones((3, 2)), labels, 3)

    def test_rows_that_are_no_finite_matrix(self) -> None:
        with pytest.raises(ValueError, match=r"rows of shape \(3,\)"):
            nearest(np.ones(3), 1)
        with pytest.raises(ValueError, match="NaN"):
            nearest(np.array([[0.0], [np.nan], [1.0]]), 1)
