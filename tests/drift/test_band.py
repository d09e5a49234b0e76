"""Bands over many cells: against brute force, hand-worked cases, and other implementations."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.drift.band import (
    ALPHA,
    ENUMERATED,
    paired_bands,
    refits_needed,
    smallest_p,
)


def column(*values):
    return np.array(values, float)[:, None]


def statistics_of(draws, chosen):
    """Every cell's statistic if `chosen` were the current draws, written out as defined."""
    centred = [block - block.mean(axis=0) for block in draws]
    scale = np.sqrt(sum(np.mean(block**2, axis=0) for block in centred))
    return np.abs(sum(block[k] for block, k in zip(centred, chosen, strict=True))) / scale


def test_one_split_by_hand():
    """Deviations from the mean 4/3 are 5/3, -4/3, -1/3: one choice of three is as far as the current one."""
    (band,) = paired_bands([[column(3, 0, 1)]])
    assert band.p_values == pytest.approx([1 / 3])
    assert band.shift == pytest.approx([2.5])
    # The others, 0 and 1, have variance 1/2; a new draw less their mean has (1 + 1/2) times that.
    assert band.noise == pytest.approx([np.sqrt(0.75)])
    assert band.smallest_p == pytest.approx(1 / 3)


def test_with_two_draws_a_split_exchanging_all_only_turns_the_sign():
    (band,) = paired_bands([[column(1, 0), column(5, 4)]])
    assert band.p_values == pytest.approx([0.5])
    assert np.isnan(band.noise).all()
    assert band.smallest_p == smallest_p([2, 2]) == 0.5


def test_p_values_are_those_of_brute_force_over_all_data_sets_at_once():
    generator = np.random.default_rng(0)
    first = [generator.normal(size=(4, 3)), generator.normal(size=(3, 3)) * [1, 5, 0.1]]
    second = [generator.exponential(size=(3, 2)), generator.exponential(size=(2, 2))]
    bands = paired_bands([first, second])
    largest = [
        max(statistics_of(first, chosen[:2]).max(), statistics_of(second, chosen[2:]).max())
        for chosen in product(range(4), range(3), range(3), range(2))
    ]
    for band, draws in zip(bands, (first, second), strict=True):
        seen = statistics_of(draws, (0, 0))
        expected = [np.mean([value >= own - 1e-9 for value in largest]) for own in seen]
        assert band.p_values == pytest.approx(expected)


@pytest.mark.parametrize("heavy", [False, True])
def test_no_more_than_the_level_of_all_choices_raise_an_alarm(heavy):
    """The false-alarm rate itself, counted over every way to call one draw of each split current."""
    generator = np.random.default_rng(1)
    shape = (2, 5, 6)
    values = generator.standard_cauchy(shape) if heavy else generator.integers(0, 3, shape).astype(float)
    least = []
    for chosen in product(range(5), repeat=2):
        draws = [np.roll(block, -k, axis=0) for block, k in zip(values, chosen, strict=True)]
        least.append(paired_bands([draws])[0].p_values.min())
    for level in (0.04, 0.08, 0.2, 0.5):
        assert np.mean(np.array(least) <= level + 1e-12) <= level + 1e-12


@settings(max_examples=25)
@given(
    arrays(float, (3, 4, 2), elements=st.floats(-5, 5).map(lambda x: round(x, 3))),
    st.floats(0.1, 10),
    st.floats(-3, 3),
)
def test_units_and_the_level_of_a_split_do_not_matter(values, factor, offset):
    (band,) = paired_bands([list(values)])
    moved = [block * [factor, 1] + offset * (b + 1) for b, block in enumerate(values)]
    (other,) = paired_bands([moved])
    assert other.p_values == pytest.approx(band.p_values)
    assert (band.p_values > 0).all()
    assert (band.p_values <= 1).all()


def test_a_current_draw_that_repeats_the_reference_is_no_alarm():
    values = np.random.default_rng(2).normal(size=(4, 3, 8))
    draws = [np.vstack([block[0], block]) for block in values]
    assert paired_bands([draws])[0].p_values.min() > ALPHA


def test_a_draw_that_stands_out_in_another_cell_leaves_too_little_to_find_a_shift_of_any_size():
    """12 x 12 choices: the shift's own and that of the outlying draws are 2/144, above the level."""
    generator = np.random.default_rng(0)
    draws = []
    for outlier in (3, 7):
        block = np.column_stack([generator.normal(size=12), np.zeros(12)])
        block[0, 0] += 1e6
        block[outlier, 1] = 0.005
        draws.append(block)
    (band,) = paired_bands([draws])
    assert band.p_values[0] == pytest.approx(2 / 144)
    assert band.smallest_p == pytest.approx(2 / 144)
    assert band.smallest_p > ALPHA
    assert band.refits_needed == refits_needed(2, 2)
    need = band.refits_needed + 2 - 12
    wider = [
        np.vstack([block, np.column_stack([generator.normal(size=need), np.zeros(need)])]) for block in draws
    ]
    (band,) = paired_bands([wider])
    assert band.p_values[0] <= ALPHA
    assert band.smallest_p <= ALPHA


def test_many_splits_are_sampled_and_a_plain_shift_is_found_in_its_cell_alone():
    values = np.random.default_rng(3).normal(size=(10, 4, 30))
    values[:, 0, 7] += 6
    (band,) = paired_bands([list(values)])
    assert ENUMERATED < 4**10
    assert np.flatnonzero(band.p_values <= ALPHA).tolist() == [7]
    again = paired_bands([list(values)])[0]
    assert (again.p_values == band.p_values).all()


def test_a_cell_without_any_variation_is_never_called_moved():
    (band,) = paired_bands([[np.hstack([column(1, 1, 1), column(9, 0, 1)])] * 3])
    assert band.p_values[0] == 1


@pytest.mark.parametrize("n_splits", [1, 2, 3, 4, 5, 10, 20])
def test_the_number_of_refits_asked_for_is_the_fewest_that_can_find_a_shift(n_splits):
    needed = refits_needed(n_splits)
    assert smallest_p([needed + 2] * n_splits) <= 0.75 * ALPHA
    assert needed == 1 or smallest_p([needed + 1] * n_splits) > 0.75 * ALPHA


@pytest.mark.parametrize(
    ("datasets", "message"),
    [
        ([[]], "at least one split"),
        ([[column(1)]], "two draws"),
        ([[column(1, np.nan)]], "finite"),
        ([[column(1, 2)], [column(np.inf, 2)]], "finite"),
    ],
)
def test_what_is_no_draw_is_refused(datasets, message):
    with pytest.raises(ValueError, match=message):
        paired_bands(datasets)
