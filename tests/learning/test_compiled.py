"""What all kernels share: functions of the C library, in vectors."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit

from benchmark.contracts import Array
from benchmark.learning.compiled import sigmoid, tanh


@njit
def tanh_and_sigmoid(x: Array, of_tanh: Array, of_sigmoid: Array) -> None:
    for j in range(len(x)):
        of_tanh[j] = tanh(x[j])
        of_sigmoid[j] = sigmoid(x[j])


@pytest.mark.parametrize(("dtype", "bound"), [(np.float32, 5e-7), (np.float64, 1e-15)])
def test_tanh_and_sigmoid_are_those_of_the_c_library(dtype: type, bound: float) -> None:
    x = np.concatenate([np.linspace(-20, 20, 400_001), [0, 1e-30, -1e-30, np.inf, -np.inf]]).astype(dtype)
    of_tanh, of_sigmoid = np.empty_like(x), np.empty_like(x)
    tanh_and_sigmoid(x, of_tanh, of_sigmoid)
    exact = x.astype(np.float64)
    assert np.abs(of_tanh - np.tanh(exact)).max() <= bound
    assert np.abs(of_sigmoid - 1 / (1 + np.exp(-exact))).max() <= bound
    small = (np.abs(exact) < 1) & (exact != 0)
    assert np.abs(of_tanh[small] / np.tanh(exact[small]) - 1).max() <= bound


def test_what_is_not_a_number_stays_that() -> None:
    for dtype in (np.float32, np.float64):
        x = np.array([np.nan], dtype)
        of_tanh, of_sigmoid = np.zeros_like(x), np.zeros_like(x)
        tanh_and_sigmoid(x, of_tanh, of_sigmoid)
        assert np.isnan([of_tanh[0], of_sigmoid[0]]).all()
