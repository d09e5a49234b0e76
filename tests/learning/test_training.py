"""The training loop on small problems whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from benchmark.learning import training
from benchmark.learning.training import DivergenceError, TrainingSettings, batches, make_optimiser, train


def line() -> nn.Linear:
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 2.0)
    return module


X = torch.tensor([[1.0], [2.0], [-1.0], [0.5]])


def test_one_plain_step_is_the_gradient_step_worked_by_hand() -> None:
    """Loss mean((w x)^2) + l2 w^2: w' = w - lr (2 w mean(x^2) + 2 l2 w)."""
    module = line()
    settings = TrainingSettings(epochs=1, batch_size=4, learning_rate=0.1, weight_decay=2 * 0.05)
    history = train(
        module,
        make_optimiser(module, settings),
        lambda r: (module(X[r]) ** 2).mean(),
        4,
        settings,
        np.random.default_rng(0),
    )
    mean_square = float((X**2).mean())
    assert float(module.weight.detach()) == pytest.approx(2 - 0.1 * (4 * mean_square + 0.1 * 2))
    assert history.loss == pytest.approx([4 * mean_square])


def test_decay_per_epoch_multiplies_the_rate_once_an_epoch() -> None:
    """A constant gradient of 1 moves the weight by lr, lr/2, lr/4."""
    module = line()
    settings = TrainingSettings(epochs=3, batch_size=4, learning_rate=1.0, decay_rate=0.5)
    train(
        module,
        make_optimiser(module, settings),
        lambda _: module.weight.sum(),
        4,
        settings,
        np.random.default_rng(0),
    )
    assert float(module.weight.detach()) == pytest.approx(2 - 1.75)


def test_a_rate_that_has_vanished_counts_as_zero_and_changes_no_bit(monkeypatch) -> None:
    lower = training.lower_rate

    def trained(bound: float) -> tuple[list[torch.Tensor], float]:
        rates = []

        def noted(scheduler) -> None:
            lower(scheduler)
            rates.append(scheduler.optimizer.param_groups[0]["lr"])

        monkeypatch.setattr(training, "VANISHED", bound)
        monkeypatch.setattr(training, "lower_rate", noted)
        torch.manual_seed(0)
        module, x = nn.Linear(3, 2), torch.randn(4, 3)
        settings = TrainingSettings(epochs=9, batch_size=4, decay_rate=1e-5, weight_decay=0.1)
        train(
            module,
            make_optimiser(module, settings),
            lambda r: (module(x[r]) ** 2).mean(),
            4,
            settings,
            np.random.default_rng(0),
        )
        return [p.detach() for p in module.parameters()], rates[-1]

    (ours, rate), (plain, tiny) = trained(training.VANISHED), trained(0.0)
    assert rate == 0
    assert 0 < tiny < 1e-40
    assert all(torch.equal(one, other) for one, other in zip(ours, plain, strict=True))


def test_every_epoch_sees_every_row_once_in_another_order() -> None:
    generator = np.random.default_rng(0)
    first, second = ([b.tolist() for b in batches(10, 4, generator)] for _ in range(2))
    assert [len(b) for b in first] == [4, 4, 2]
    assert all(
        sorted(row for batch in epoch for row in batch) == list(range(10)) for epoch in (first, second)
    )
    assert first != second


def test_a_loss_that_is_not_finite_ends_training_with_epoch_and_step() -> None:
    module = line()
    seen = iter([1.0, 1.0, float("nan")])
    settings = TrainingSettings(epochs=5, batch_size=2)
    with pytest.raises(DivergenceError, match=r"nan in epoch 2, step 1 .*learning rate"):
        train(
            module,
            make_optimiser(module, settings),
            lambda _: module.weight.sum() * next(seen),
            4,
            settings,
            np.random.default_rng(0),
        )


def test_early_stopping_restores_the_best_epoch() -> None:
    module = line()
    values = iter([3.0, 1.0, 2.0, 2.0, 0.0])
    weights = []

    def monitor() -> float:
        weights.append(float(module.weight.detach()))
        return next(values)

    settings = TrainingSettings(epochs=5, batch_size=4, learning_rate=0.01, patience=2)
    history = train(
        module,
        make_optimiser(module, settings),
        lambda r: (module(X[r]) ** 2).mean(),
        4,
        settings,
        np.random.default_rng(0),
        monitor,
    )
    assert history.best_epoch == 1
    assert len(history.loss) == 4
    assert float(module.weight.detach()) == weights[1]


def test_patience_without_anything_to_monitor_is_refused() -> None:
    module, settings = line(), TrainingSettings(1, patience=3)
    optimiser = make_optimiser(module, settings)
    with pytest.raises(ValueError, match="hold-out"):
        train(module, optimiser, lambda _: X.sum(), 4, settings, np.random.default_rng(0))


def test_clipping_bounds_the_step() -> None:
    module = line()
    settings = TrainingSettings(epochs=1, batch_size=4, learning_rate=1.0, clip_norm=0.25)
    train(
        module,
        make_optimiser(module, settings),
        lambda _: 100 * module.weight.sum(),
        4,
        settings,
        np.random.default_rng(0),
    )
    assert float(module.weight.detach()) == pytest.approx(1.75, abs=1e-5)


def test_weight_decay_spares_biases_where_asked() -> None:
    module = nn.Linear(2, 2)
    settings = TrainingSettings(epochs=1, weight_decay=0.5, decay_form="coupled_no_bias")
    groups = make_optimiser(module, settings).param_groups
    decays = {id(p): g["weight_decay"] for g in groups for p in g["params"]}
    assert decays == {id(module.weight): 0.5, id(module.bias): 0.0}


def test_an_optimiser_that_is_not_offered_is_named() -> None:
    settings = TrainingSettings(epochs=1, optimiser="lion")
    with pytest.raises(ValueError, match=r"'lion'.*adadelta"):
        make_optimiser(line(), settings)


def test_adadelta_takes_its_own_options() -> None:
    module = torch.nn.Linear(2, 1)
    settings = TrainingSettings(epochs=1, optimiser="adadelta", optimiser_options={"rho": 0.95, "eps": 1e-8})
    optimiser = make_optimiser(module, settings)
    assert (optimiser.defaults["rho"], optimiser.defaults["eps"]) == (0.95, 1e-8)
