"""The compiled kernels in single precision, in which they run, and what surrounds them."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy

import pytest
import torch
from networks import B, batch, loss_options, reference_form, wide_network
from torch import Tensor

from benchmark.learning.training import TrainingSettings
from benchmark.run.fingerprint import reachable_definitions
from m3la.fast import make_factored_optimiser
from m3la.loss import m3la_loss
from m3la.model import M3LANet


@pytest.mark.parametrize("name", ["W_in.0", "U_enc", "U_dec", "W_key", "v_score"])
def test_a_weight_that_is_not_a_number_shows_in_the_loss(name: str) -> None:
    net = wide_network().float()
    with torch.no_grad():
        dict(net.named_parameters())[name].fill_(torch.nan)
    assert torch.isnan(loss_of(net))


def loss_of(net: M3LANet, rows: slice = slice(None)) -> Tensor:
    dtype = next(net.parameters()).dtype
    x, y, _ = batch()
    return m3la_loss(net([each[rows].to(dtype) for each in x]), y[rows].to(dtype), 1.6, loss_options())


def step(net: M3LANet, rows: slice = slice(None)) -> Iterator[tuple[str, Tensor]]:
    """The loss and every gradient of one step."""
    net.zero_grad()
    loss = loss_of(net, rows)
    loss.backward()
    yield "loss", loss.detach()
    for name, parameter in net.named_parameters():
        assert parameter.grad is not None, name
        yield name, parameter.grad.clone()


def test_both_forms_agree_in_single_precision() -> None:
    net = wide_network().float()
    ours = dict(step(net))
    with reference_form():
        theirs = dict(step(deepcopy(net)))
    for name, other in theirs.items():
        torch.testing.assert_close(ours[name], other, atol=1e-5, rtol=1e-5, msg=lambda m, n=name: f"{n}: {m}")
    assert not torch.equal(ours["U_dec"], theirs["U_dec"])


def test_weights_that_moved_to_other_memory_are_the_ones_used() -> None:
    net = wide_network()
    first = float(loss_of(net).detach())
    net.float()
    assert float(loss_of(net).detach()) == pytest.approx(first, rel=1e-5)
    other = wide_network().float()
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.mul_(0.5)
    net.load_state_dict(other.state_dict())
    assert float(loss_of(net).detach()) == float(loss_of(other).detach()) != pytest.approx(first, rel=1e-3)


def test_batches_of_other_sizes_take_turns() -> None:
    """Working memory is kept by size; the last batch of an epoch is smaller."""
    net = wide_network()
    for rows in (slice(0, 4), slice(0, B), slice(4, B), slice(0, 4), slice(0, 1)):
        fresh = dict(step(deepcopy(net), rows))
        for name, found in step(net, rows):
            torch.testing.assert_close(found, fresh[name], atol=0, rtol=0)


def test_passes_overlap() -> None:
    """Two forward passes and an evaluation between them, then both backward passes."""
    net = wide_network()
    first, second = slice(0, 5), slice(4, B)
    expected = {}
    for rows in (first, second):
        for name, grad in step(deepcopy(net), rows):
            expected[name] = expected.get(name, 0) + grad
    losses = [loss_of(net, first)]
    with torch.no_grad():
        loss_of(net, first)
    losses.append(loss_of(net, second))
    for loss in losses:
        loss.backward()
    for name, parameter in net.named_parameters():
        torch.testing.assert_close(parameter.grad, expected[name], atol=1e-12, rtol=0)


def test_orders_of_a_step_outlive_the_next_step() -> None:
    net = wide_network()
    x, _, _ = batch()
    returned, copied = [], []
    for row in range(B):
        steps = net([each[row : row + 1] for each in x])
        steps.log_scores.sum().backward()
        returned.append(steps.orders)
        copied.append(steps.orders.clone())
    assert len(torch.cat(copied).unique(dim=0)) > 1
    assert torch.equal(torch.cat(returned), torch.cat(copied))


def test_a_forward_pass_before_the_optimiser_s_step_leaves_its_gradients_alone() -> None:
    nets = [wide_network()]
    nets.append(deepcopy(nets[0]))
    settings = TrainingSettings(epochs=1, learning_rate=0.1)
    for net, disturbed in zip(nets, (False, True), strict=True):
        optimiser = make_factored_optimiser(net, settings)
        for _ in range(2):
            optimiser.zero_grad()
            loss_of(net).backward()
            if disturbed:
                loss_of(net, slice(0, B))
            optimiser.step()
    for ours, other in zip(*(net.parameters() for net in nets), strict=True):
        assert torch.equal(ours, other)


def test_half_precision_takes_the_form_that_knows_it() -> None:
    net = wide_network().to(torch.bfloat16)
    assert torch.isfinite(loss_of(net))


def test_a_method_s_hash_sees_the_kernels() -> None:
    reached = reachable_definitions([("m3la.estimator", "M3LA")])
    kernel_modules = ("m3la.fast.row_kernels", "m3la.fast.label_kernels", "benchmark.learning.compiled")
    sources = [source for module, source in reached if module in kernel_modules]
    for name in (
        "encoder_step",
        "decoder_step_backward",
        "_gates",
        "_tanh_of",
        "_FAST",
        "label_scores",
        "f1_weights",
    ):
        assert any(name in source.partition("\n")[0] or f"def {name}(" in source for source in sources), name
