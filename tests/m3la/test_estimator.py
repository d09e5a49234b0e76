"""M3LA as an estimator: it learns, repeats itself, keeps what the claims need, and stays on its device."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.base import clone
from sklearn.exceptions import NotFittedError

from benchmark.contracts import Array, Holdout, Streams
from benchmark.learning.training import DivergenceError, training_step
from m3la.estimator import M3LA
from m3la.fast import make_factored_optimiser
from m3la.rows import METHODS

SMALL = {"hidden": 16, "epochs": 6, "batch_size": 16, "learning_rate": 0.1}


def data(n: int = 80, q: int = 3) -> tuple[list[Array], Array]:
    """Labels that are halfspaces of single modalities."""
    rng = np.random.default_rng(5)
    x = [rng.standard_normal((n, d)).astype(np.float32) for d in (4, 3)]
    return x, np.stack([x[j % 2][:, j % 3] > 0 for j in range(q)], axis=1).astype(np.uint8)


@pytest.fixture(scope="module")
def fitted() -> M3LA:
    """With the defaults; for tests that read it."""
    return M3LA(**SMALL).fit(*data())


def test_training_loss_falls_and_scores_separate_the_labels() -> None:
    x, y = data(200)
    method = M3LA(**SMALL, label_activation="sigmoid").set_params(epochs=40).fit(x, y)
    assert method.history_.loss[-1] < 0.5 * method.history_.loss[0]
    scores = method.predict_scores(x)
    assert scores.shape == y.shape
    assert all(scores[y[:, j] == 1, j].mean() > scores[y[:, j] == 0, j].mean() + 0.3 for j in range(3))


def test_training_loss_of_the_printed_settings_falls_from_epoch_to_epoch() -> None:
    x, y = data(200)
    loss = M3LA(hidden=32, epochs=12).fit(x, y).history_.loss
    assert loss == sorted(loss, reverse=True)
    assert loss[-1] < 0.99 * loss[0]


def test_the_same_streams_give_the_same_bits_and_other_seeds_do_not() -> None:
    x, y = data()
    first, again, other = (
        M3LA(**SMALL, random_state=Streams("toy", seed)).fit(x, y).predict_scores(x) for seed in (0, 0, 1)
    )
    assert np.array_equal(first, again)
    assert not np.allclose(first, other)


def test_ablations_share_their_initial_weights_with_the_full_model() -> None:
    x, y = data()
    full, fixed, without = (
        M3LA(**SMALL, **options).set_params(epochs=0).fit(x, y).model_.state_dict()
        for options in ({}, {"order": "fixed"}, {"label_correlation": False})
    )
    assert all(torch.equal(full[name], fixed[name]) for name in full)
    assert all(torch.equal(full[name], without[name]) for name in without)
    assert set(full) - set(without) == {"W_co"}


def test_trace_keeps_orders_attention_step_scores_and_w_co(fitted: M3LA) -> None:
    x, y = data()
    trace = fitted.trace(x)
    assert trace["step_scores"].shape == (80, 2, 3)
    assert np.array_equal(trace["step_scores"][:, -1], fitted.predict_scores(x))
    assert np.array_equal(np.sort(trace["orders"], axis=1), np.tile([0, 1], (80, 1)))
    np.testing.assert_allclose(trace["attention"].sum(2), 1, atol=1e-6)
    assert trace["w_co"].shape == (3, 3)
    assert trace["loss_history"].shape == (6,)
    assert "w_co" not in M3LA(**SMALL, label_correlation=False).fit(x, y).trace(x)


def test_prediction_does_not_depend_on_how_rows_are_grouped(
    fitted: M3LA, monkeypatch: pytest.MonkeyPatch
) -> None:
    x, _ = data()
    whole = fitted.predict_scores(x)
    monkeypatch.setattr("m3la.estimator.PREDICTION_ROWS", 7)
    np.testing.assert_allclose(fitted.predict_scores(x), whole, atol=1e-6)


def test_holdout_selection_keeps_the_epoch_with_the_lowest_holdout_loss() -> None:
    x, y = data(120)
    held = Holdout(tuple(m[80:] for m in x), y[80:])
    rows = [m[:80] for m in x]
    method = M3LA(**SMALL, label_activation="sigmoid", selection="holdout", patience=3)
    assert method.needs_holdout
    method.set_params(epochs=60, learning_rate=1.0).fit(rows, y[:80], held)
    assert method.history_.best_epoch == int(np.argmin(method.history_.monitored))
    p = method.holdout_scores_.astype(np.float64)
    by_hand = -np.mean(held.labels * np.log(p) + (1 - held.labels) * np.log1p(-p))
    assert min(method.history_.monitored) == pytest.approx(by_hand, abs=1e-5)
    assert not M3LA().needs_holdout


@pytest.mark.parametrize(
    "options",
    [
        {"order": "random"},
        {"order_gradient": "gumbel"},
        {"order_gradient": "reinforce"},
        {"weight_refresh": 2},
        {"dropout": 0.5},
        {"loss_steps": "last"},
        {"reduction": "mean"},
        {"encoder_order": "random"},
        {"cost": "none"},
        {"cost_prediction": "soft"},
        {"decay_form": "coupled_no_bias", "l2": 0.1},
    ],
)
def test_an_option_of_training_changes_the_result_and_repeats_itself(
    fitted: M3LA, options: dict[str, object]
) -> None:
    x, y = data()
    default = fitted.predict_scores(x)
    first, again = (M3LA(**SMALL, **options).fit(x, y).predict_scores(x) for _ in range(2))
    assert np.array_equal(first, again)
    assert not np.allclose(first, default, atol=1e-6)


def test_a_step_creates_no_tensor_off_the_methods_device() -> None:
    """On `meta` any mixing of devices raises; the step runs forward, loss, backward and update."""
    x, y = data()
    for options in (
        {},
        {"order": "random", "dropout": 0.5, "label_activation": "sigmoid", "cost": "rank"},
        {"order_gradient": "reinforce", "first_input": "zeros", "feedback": "hard", "w_co_diagonal": "zero"},
        {"clip_norm": 1.0, "attention": "dot", "label_head": "per_step", "cost_prediction": "top_lcard"},
        {"optimiser": "adam", "weight_refresh": 10, "order": "fixed", "attention": "mean"},
    ):
        method = M3LA(**SMALL, **options, device="meta")
        rows = method.training_rows(*method.begin(x, y))
        method.model_ = method._build(rows.dims, rows.streams).to(method.device)
        loss_of_rows, refresh, _ = method._objective(rows)
        refresh(0)
        optimiser = make_factored_optimiser(method.model_, method.settings())
        batch = torch.arange(8, device="meta")
        loss = training_step(method.model_, optimiser, loss_of_rows, batch, method.clip_norm)
        assert loss.device.type == "meta"
        assert {p.grad.device.type for p in method.model_.parameters() if p.grad is not None} == {"meta"}


def test_unknown_levels_single_labels_and_missing_holdouts_are_refused() -> None:
    x, y = data()
    with pytest.raises(ValueError, match=r"attention='cosine'.*'additive'"):
        M3LA(**SMALL, attention="cosine").fit(x, y)
    with pytest.raises(ValueError, match=r"label_activation='sigmoid'"):
        M3LA(**SMALL).fit(x, y[:, :1])
    with pytest.raises(ValueError, match="pass holdout="):
        M3LA(**SMALL, selection="holdout").fit(x, y)
    with pytest.raises(ValueError, match="labels must be 0 or 1; 3 are not, the first is 2"):
        M3LA(**SMALL).fit(x, np.where(np.arange(y.size).reshape(y.shape) < 3, 2, y))


def test_nothing_of_an_earlier_fit_outlives_the_next_one() -> None:
    x, y = data()
    held = Holdout(tuple(m[60:] for m in x), y[60:])
    method = M3LA(**SMALL, scaling="none").fit([m[:60] for m in x], y[:60], held)
    assert method.holdout_scores_.shape == (20, 3)
    method.fit(x, y)
    assert not hasattr(method, "holdout_scores_")
    x[0][:] = 3e38
    with pytest.raises(DivergenceError):
        method.fit(x, y)
    with pytest.raises(NotFittedError):
        method.predict_scores(x)


def test_a_trace_can_be_written_to_without_changing_the_model(fitted: M3LA) -> None:
    x, _ = data()
    before = fitted.predict_scores(x)
    np.fill_diagonal(fitted.trace(x)["w_co"], 100.0)
    assert np.array_equal(fitted.predict_scores(x), before)


def test_a_fitted_network_gives_gradients_of_all_its_weights() -> None:
    x, y = data()
    net = M3LA(**SMALL).fit(x, y).model_
    net([torch.from_numpy(m) for m in x]).log_scores.sum().backward()
    assert all(p.grad is not None for name, p in net.named_parameters() if name != "v")


def test_rows_of_the_tables_are_options_of_the_same_estimator() -> None:
    specs = {spec.id: spec for spec in METHODS}
    assert {spec.estimator for spec in METHODS} == {M3LA}
    assert dict(specs["M3LA"].options) == {}
    assert dict(specs["M3LA-order"].options) == {"order": "fixed"}
    assert dict(specs["M3LA-Wco"].options) == {"label_correlation": False}
    printed = M3LA().get_params()
    settings = {"hidden": 256, "batch_size": 64, "epochs": 300, "learning_rate": 0.01, "decay_rate": 0.99}
    assert settings.items() <= printed.items()
    assert clone(M3LA(**SMALL)).get_params() == M3LA(**SMALL).get_params()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("clip_norm", 0),
        ("epochs", -1),
        ("hidden", 0),
        ("batch_size", 0),
        ("learning_rate", 0),
        ("learning_rate", float("nan")),
        ("decay_rate", 1.5),
        ("l2", -1e-4),
    ],
)
def test_a_number_out_of_range_is_refused_by_name(name, value):
    x, y = [np.zeros((4, 2), np.float32)], np.eye(4, 2, dtype=np.uint8)
    with pytest.raises(ValueError, match=f"{name}=.* out of range; give"):
        M3LA(**{name: value}).fit(x, y)
