"""Gradients left as factors: the optimiser that applies them, and whoever comes after it."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from networks import loss_options, model_options
from torch import Tensor

from benchmark.learning.training import TrainingSettings, training_step
from m3la.fast import FactoredSGD, make_factored_optimiser
from m3la.fast.factored import TILE_ROWS
from m3la.fast.workspace import LARGE
from m3la.loss import m3la_loss
from m3la.model import M3LANet

DIMS, Q, H, B = (2 * TILE_ROWS + 3, 5), 4, 8, 12
SETTINGS = TrainingSettings(epochs=1, learning_rate=0.05, weight_decay=0.1)


def network() -> M3LANet:
    return M3LANet(DIMS, Q, H, model_options(), torch.Generator().manual_seed(0)).double()


def loss_of(net: M3LANet) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    x = [torch.randn(B, d, generator=generator, dtype=torch.float64) for d in DIMS]
    y = (torch.rand(B, Q, generator=generator) < 0.4).double()
    return m3la_loss(net(x), y, 1.6, loss_options())


def steps(net: M3LANet, optimiser: torch.optim.Optimizer, n: int = 5) -> None:
    for _ in range(n):
        training_step(net, optimiser, lambda _: loss_of(net), torch.arange(B))


def large(net: M3LANet) -> dict[str, Tensor]:
    return {n: p.detach().clone() for n, p in net.named_parameters() if n.split(".")[0] in LARGE}


def test_applied_factors_are_the_steps_of_plain_sgd_with_decay_also_in_tiles() -> None:
    ours, plain = network(), network()
    optimiser = make_factored_optimiser(ours, SETTINGS)
    assert isinstance(optimiser, FactoredSGD)
    steps(ours, optimiser)
    steps(plain, torch.optim.SGD(plain.parameters(), lr=0.05, weight_decay=0.1))
    start = dict(network().named_parameters())
    for name, parameter in plain.named_parameters():
        torch.testing.assert_close(dict(ours.named_parameters())[name], parameter, atol=1e-13, rtol=0)
        assert not torch.equal(parameter, start[name]), name


def test_another_optimiser_afterwards_trains_every_matrix() -> None:
    net = network()
    steps(net, make_factored_optimiser(net, SETTINGS), 1)
    before = large(net)
    steps(net, make_factored_optimiser(net, TrainingSettings(epochs=1, optimiser="adam")), 2)
    for name, old in before.items():
        assert not torch.equal(dict(net.named_parameters())[name], old), name


def test_gradients_are_formed_again_once_the_optimiser_lets_go() -> None:
    net = network()
    optimiser = make_factored_optimiser(net, SETTINGS)
    assert isinstance(optimiser, FactoredSGD)
    loss_of(net).backward()
    assert net.U_dec.grad is None
    optimiser.release()
    loss_of(net).backward()
    assert net.U_dec.grad is not None
    assert net.U_dec.grad.abs().max() > 0


def test_a_frozen_matrix_stays_as_it_is() -> None:
    net = network()
    net.U_enc.requires_grad_(False)
    net.W_in[0].requires_grad_(False)
    before = large(net)
    steps(net, make_factored_optimiser(net, SETTINGS))
    moved = {n for n, p in net.named_parameters() if n in before and not torch.equal(p, before[n])}
    assert moved == set(before) - {"U_enc", "W_in.0"}


def test_options_of_sgd_reach_the_large_matrices_too() -> None:
    settings = TrainingSettings(epochs=1, learning_rate=0.05, optimiser_options={"momentum": 0.9})
    ours, plain = network(), network()
    steps(ours, make_factored_optimiser(ours, settings))
    steps(plain, torch.optim.SGD(plain.parameters(), lr=0.05, momentum=0.9))
    torch.testing.assert_close(ours.U_dec, plain.U_dec, atol=1e-13, rtol=0)


def test_a_second_backward_pass_before_the_step_is_refused() -> None:
    net = network()
    make_factored_optimiser(net, SETTINGS)
    loss_of(net).backward()
    with pytest.raises(RuntimeError, match=r"before the optimiser's step; call step\(\) or zero_grad\(\)"):
        loss_of(net).backward()


def test_clipping_with_factors_is_refused() -> None:
    net = network()
    optimiser = make_factored_optimiser(net, SETTINGS)
    with pytest.raises(ValueError, match="clipping needs every gradient"):
        training_step(net, optimiser, lambda _: loss_of(net), torch.arange(B), clip_norm=1.0)


def test_a_copy_made_while_training_trains_its_own_weights() -> None:
    net = network()
    make_factored_optimiser(net, SETTINGS)
    copy, before = deepcopy(net), large(net)
    steps(copy, make_factored_optimiser(copy, SETTINGS), 1)
    assert all(torch.equal(dict(net.named_parameters())[name], old) for name, old in before.items())
    assert not torch.equal(copy.U_dec, net.U_dec)
