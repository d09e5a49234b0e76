"""Scaling keeps the digits that features are given with, and says where a column is lost."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from benchmark.inputs import single_precision_suffices
from benchmark.learning.scaling import LostDigitsWarning, fit_scalers, scale

PLAIN = np.random.default_rng(3).normal(size=(50, 4))
"""Of every column, exact multiples of 2 ** -20, so that an offset of 2 ** 30 loses none of it."""
PLAIN = np.round(PLAIN * 2**20) / 2**20


def scaled(features, scaling: str, precision=np.float32):
    return scale(fit_scalers([features], scaling, precision), [features])[0]


@pytest.mark.parametrize("precision", [np.float32, np.float64])
@pytest.mark.parametrize("scaling", ["zscore", "standard", "minmax"])
@pytest.mark.parametrize("moved", ["2 ** 30 added", "in units of 1e-60", "in units of 1e-160", "times 1e300"])
def test_offset_and_unit_of_a_column_do_not_matter(moved, scaling, precision):
    features = {
        "2 ** 30 added": PLAIN + 2.0**30,
        "in units of 1e-60": PLAIN * 1e-60,
        "in units of 1e-160": PLAIN * 1e-160,
        "times 1e300": PLAIN * 1e300,
    }[moved]
    assert not single_precision_suffices(features)
    expected = {"minmax": MinMaxScaler}.get(scaling, StandardScaler)().fit_transform(PLAIN)
    found = scaled(features, scaling, precision)
    assert found.dtype == precision
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("scaling", ["zscore", "minmax", "l2", "none"])
def test_features_whose_digits_single_precision_keeps_are_scaled_in_it(scaling):
    from benchmark.learning.scaling import SCALINGS

    single = PLAIN.astype(np.float32)
    expected = SCALINGS[scaling]().fit(single).transform(single).astype(np.float32)
    assert np.array_equal(scaled(PLAIN, scaling), expected)
    assert np.array_equal(scaled(single, scaling), expected)


def test_what_single_precision_keeps():
    constant = np.full((5, 1), 0.1)
    assert single_precision_suffices(constant)
    assert single_precision_suffices(PLAIN + 100)
    assert not single_precision_suffices(np.array([[1e9], [1e9 + 1]]))
    assert single_precision_suffices(np.array([[1e9], [1e9 + 1]], dtype=np.float32))
    assert not single_precision_suffices(np.array([[0.0], [1e-60]]))
    assert not single_precision_suffices(np.array([[-1e308], [1e308]]))
    assert not single_precision_suffices(np.full((5, 1), 1e300))


@pytest.mark.parametrize("scaling", ["l2", "none"])
def test_a_column_that_varied_and_no_longer_does_is_named(scaling):
    features = PLAIN.copy()
    features[:, 2] = 2.0**40 + 1e-3 * features[:, 2]
    features[:, :2] = 1.0
    with pytest.warns(LostDigitsWarning, match=r"modality 0: 1 columns .*\(columns 2\)"):
        fit_scalers([features], "none")
    varied = PLAIN * np.array([1.0, 1.0, 1.0, 1e-60])
    with pytest.warns(LostDigitsWarning, match=r"columns 3\)"):
        fit_scalers([varied], scaling)


@pytest.mark.filterwarnings("error")
def test_a_constant_column_is_no_lost_one():
    assert not scaled(np.full((5, 1), 1e9 + 0.1), "zscore").any()


def test_a_value_that_scaling_cannot_hold_is_refused_by_its_place():
    scalers = fit_scalers([PLAIN, PLAIN], "zscore")
    other = PLAIN.copy()
    other[7, 1] = 1e300
    with pytest.raises(ValueError, match=r"modality 1 holds 1e\+300 in row 7, column 1"):
        scale(scalers, [PLAIN, other])
