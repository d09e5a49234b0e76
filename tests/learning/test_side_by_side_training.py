"""A loop whose steps are replayed keeps the books, and every bit, of one whose steps run one by one."""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
import pytest
import torch
from tape import pretended_capture
from torch import Tensor, nn

from benchmark.learning import replay
from benchmark.learning.checkpoint import Checkpoint, keeping
from benchmark.learning.side_by_side import train_side_by_side
from benchmark.learning.training import TrainingSettings, make_optimiser, train
from benchmark.learning.training_state import History

N_ROWS, BATCH, D = 23, 5, 3
SEEDS = (0, 1, 2)
X = torch.randn(len(SEEDS), N_ROWS, D, generator=torch.Generator().manual_seed(1))
Y = X.sum(2) + torch.randn(len(SEEDS), N_ROWS, generator=torch.Generator().manual_seed(2))
SETTINGS = TrainingSettings(epochs=4, batch_size=BATCH, learning_rate=0.05, decay_rate=0.8, weight_decay=0.01)


class Lines(nn.Module):
    """Linear regressions by element-wise operations, so that side by side and alone have the same bits."""

    def __init__(self, members: list[int]) -> None:
        super().__init__()
        drawn = [torch.randn(D, generator=torch.Generator().manual_seed(SEEDS[i])) for i in members]
        self.w = nn.Parameter(torch.stack(drawn))
        self.b_out = nn.Parameter(torch.zeros(len(members)))

    def losses(self, x: Tensor, y: Tensor) -> Tensor:
        found = self.b_out.unsqueeze(1)
        for k in range(D):
            found = found + x[:, :, k] * self.w[:, k : k + 1]
        return (found - y).square().mean(1)


def shuffling(members: list[int]) -> list[np.random.Generator]:
    return [np.random.default_rng(SEEDS[i]) for i in members]


def side_by_side(
    members: list[int],
    settings: TrainingSettings,
    x: Tensor = X,
    generators: list[torch.Generator] | None = None,
) -> tuple[list[History], dict[str, Tensor]]:
    lines, at = Lines(members), torch.arange(len(members)).unsqueeze(1)
    x, y = x[members], Y[members]

    def losses(rows: Tensor) -> Tensor:
        inputs = x[at, rows]
        if generators:
            kept = [torch.empty(inputs.shape[1:]).bernoulli_(0.5, generator=g) for g in generators]
            inputs = inputs * torch.stack(kept)
        return lines.losses(inputs, y[at, rows])

    histories = train_side_by_side(
        lines,
        losses,
        N_ROWS,
        settings,
        shuffling(members),
        monitor=lambda: (lines.w.detach() - 0.8).square().sum(1),
        carried=generators or (),
    )
    return histories, {name: p.detach().clone() for name, p in lines.named_parameters()}


def alone(i: int, settings: TrainingSettings) -> tuple[History, dict[str, Tensor]]:
    """Train by the loop of one network, which knows no replay; the rate is in single precision there too."""
    lines = Lines([i])
    history = train(
        lines,
        make_optimiser(lines, settings),
        lambda rows: lines.losses(X[[i]][:, rows], Y[[i]][:, rows])[0],
        N_ROWS,
        settings,
        shuffling([i])[0],
        monitor=lambda: float((lines.w.detach() - 0.8).square().sum(1)),
    )
    return history, {name: p.detach()[0] for name, p in lines.named_parameters()}


VARIANTS: list[dict[str, object]] = [
    {},
    {"schedule": "per_step"},
    {"schedule": "none"},
    {"clip_norm": 0.1},
    {"patience": 1, "epochs": 30, "learning_rate": 0.2},
    {"optimiser": "sgd_momentum"},
    {"optimiser": "adam"},
    {"optimiser": "adam", "decay_form": "decoupled", "schedule": "per_step"},
    {"decay_form": "coupled_no_bias"},
    {"optimiser": "rmsprop", "schedule": "none"},
    {"optimiser": "adadelta", "schedule": "none", "optimiser_options": {"rho": 0.95, "eps": 1e-6}},
    {"batch_size": 100},
    {"batch_size": 23},
]


def named(options: dict[str, object]) -> str:
    return ",".join(f"{k}={v}" for k, v in options.items()) or "plain"


@pytest.mark.parametrize("options", VARIANTS, ids=named)
def test_a_replayed_loop_has_every_bit_of_an_eager_one(options, monkeypatch) -> None:
    settings = replace(SETTINGS, **options)
    eager, weights = side_by_side([0, 1, 2], settings)
    monkeypatch.setattr(replay, "capture", pretended_capture)
    replayed, again = side_by_side([0, 1, 2], settings)
    assert replayed == eager
    assert all(torch.equal(weights[name], again[name]) for name in weights)


@pytest.mark.parametrize("options", VARIANTS, ids=named)
def test_books_and_weights_are_those_of_a_training_alone(options, monkeypatch) -> None:
    settings = replace(SETTINGS, **options)
    monkeypatch.setattr(replay, "capture", pretended_capture)
    histories, weights = side_by_side([0, 1, 2], settings)
    for i in range(3):
        history, own = alone(i, settings)
        assert histories[i].best_epoch == history.best_epoch
        assert histories[i].loss == pytest.approx(history.loss, rel=2e-6)
        assert histories[i].monitored == pytest.approx(history.monitored, rel=2e-5)
        for name, value in own.items():
            torch.testing.assert_close(weights[name][i], value, rtol=1e-5, atol=1e-6)


def test_networks_stop_at_epochs_of_their_own() -> None:
    histories, _ = side_by_side([0, 1, 2], replace(SETTINGS, patience=1, epochs=30, learning_rate=0.2))
    assert len({len(history.loss) for history in histories}) > 1


def test_a_network_has_the_same_bits_whoever_stands_beside_it() -> None:
    together, all_weights = side_by_side([0, 1, 2], SETTINGS)
    apart, weights = side_by_side([1], SETTINGS)
    assert apart[0] == together[1]
    assert all(torch.equal(weights[name][0], all_weights[name][1]) for name in weights)


@pytest.mark.parametrize("replayed", [False, True])
def test_a_planted_divergence_is_told_with_its_epoch_and_step(replayed, monkeypatch) -> None:
    if replayed:
        monkeypatch.setattr(replay, "capture", pretended_capture)
    row = np.random.default_rng(SEEDS[1]).permutation(N_ROWS)[2 * BATCH + 1]
    x = X.clone()
    x[1, row] = torch.inf
    histories, weights = side_by_side([0, 1, 2], replace(SETTINGS, patience=9), x)
    assert "in epoch 1, step 3 " in (histories[1].diverged or "")
    assert histories[1].loss == []
    assert histories[1].best_epoch is None
    healthy, others = side_by_side([0, 1, 2], replace(SETTINGS, patience=9))
    for i in (0, 2):
        assert histories[i] == healthy[i]
        assert all(torch.equal(weights[name][i], others[name][i]) for name in weights)


def test_warming_up_draws_no_random_number_and_moves_no_average(monkeypatch) -> None:
    def trained(warm_ups: int) -> tuple[list[History], dict[str, Tensor]]:
        monkeypatch.setattr(replay, "WARM_UPS", warm_ups)
        generators = [torch.Generator().manual_seed(seed) for seed in SEEDS]
        return side_by_side([0, 1, 2], replace(SETTINGS, optimiser="adam"), generators=generators)

    none, many = trained(0), trained(3)
    assert none[0] == many[0]
    assert all(torch.equal(none[1][name], many[1][name]) for name in none[1])


def test_a_training_that_was_killed_goes_on_with_the_same_bits(tmp_path, monkeypatch) -> None:
    from benchmark.learning import checkpoint

    monkeypatch.setattr(checkpoint, "FIRST_SECONDS", 0.0)
    monkeypatch.setattr(checkpoint, "SHARE", float("inf"))
    settings = replace(SETTINGS, optimiser="adam", schedule="per_step", patience=5, epochs=6)
    expected = side_by_side([0, 1, 2], settings)
    path = tmp_path / "three.safetensors"
    with keeping(Checkpoint(path, {"a": 1})):
        side_by_side([0, 1, 2], replace(settings, epochs=3))
    with keeping(kept := Checkpoint(path, {"a": 1})):
        found = side_by_side([0, 1, 2], settings)
    assert kept.epochs_before == 3
    assert found[0] == expected[0]
    assert all(torch.equal(found[1][name], expected[1][name]) for name in expected[1])


def test_what_is_not_warned_about_is_not_hidden() -> None:
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        side_by_side([0], SETTINGS)
    assert not said
