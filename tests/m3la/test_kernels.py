"""The compiled kernels in single precision, in which they run, and what surrounds them."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from numba import njit
from test_fused import DIMS, B, Q, batch, twins
from torch import Tensor

from benchmark.contracts import Array
from benchmark.execute.fingerprint import reachable_definitions
from m3la import kernels
from m3la.loss import LossOptions, m3la_loss
from m3la.model import M3LANet
from m3la.row_kernels import _sigmoid, _tanh


@njit
def tanh_and_sigmoid(x: Array, of_tanh: Array, of_sigmoid: Array) -> None:
    for j in range(len(x)):
        of_tanh[j] = _tanh(x[j])
        of_sigmoid[j] = _sigmoid(x[j])


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


@pytest.mark.parametrize("name", ["W_in.0", "U_enc", "U_dec", "W_key", "v_score"])
def test_a_weight_that_is_not_a_number_shows_in_the_loss(name: str) -> None:
    net = twins(DIMS, {})[0].float()
    with torch.no_grad():
        dict(net.named_parameters())[name].fill_(torch.nan)
    assert torch.isnan(loss_of(net))


def loss_of(net: M3LANet) -> Tensor:
    dtype = next(net.parameters()).dtype
    x, y, _ = batch(DIMS)
    return m3la_loss(net([each.to(dtype) for each in x]), y.to(dtype), 1.6, LossOptions())


def step(net: M3LANet) -> Iterator[tuple[str, Tensor]]:
    """The loss and every gradient of one step."""
    net.zero_grad()
    loss = loss_of(net)
    loss.backward()
    yield "loss", loss.detach()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        yield name, parameter.grad.clone()


def test_both_forms_agree_in_single_precision(monkeypatch: pytest.MonkeyPatch) -> None:
    net = twins(DIMS, {})[0].float()
    ours = dict(step(net))
    monkeypatch.setattr(kernels, "compiles_for", lambda _: False)
    for name, other in step(net):
        torch.testing.assert_close(ours[name], other, atol=1e-5, rtol=1e-5, msg=lambda m, n=name: f"{n}: {m}")


def test_weights_that_moved_to_other_memory_are_the_ones_used() -> None:
    net = twins(DIMS, {})[0]
    first = float(loss_of(net).detach())
    net.float()
    assert float(loss_of(net).detach()) == pytest.approx(first, rel=1e-5)
    other = twins(DIMS, {})[0].float()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.5)
    net.load_state_dict(other.state_dict())
    assert float(loss_of(net).detach()) == float(loss_of(other).detach()) != pytest.approx(first, rel=1e-3)


def test_batches_of_other_sizes_take_turns() -> None:
    """Working memory is kept by size; the last batch of an epoch is smaller."""
    net = twins(DIMS, {})[0]
    x, _, _ = batch(DIMS)
    whole = net(x).scores()
    for rows in (slice(0, 4), slice(0, B), slice(4, B)):
        torch.testing.assert_close(net([each[rows] for each in x]).scores(), whole[rows], atol=1e-12, rtol=0)
    assert whole.shape == (B, len(DIMS), Q)


def test_a_method_s_hash_sees_the_kernels() -> None:
    reached = reachable_definitions([("m3la.estimator", "M3LA")])
    sources = [source for module, source in reached if module == "m3la.row_kernels"]
    for name in ("encoder_step", "decoder_step_backward", "_gates", "_tanh_of", "_FAST"):
        assert any(name in source.partition("\n")[0] or f"def {name}(" in source for source in sources), name
