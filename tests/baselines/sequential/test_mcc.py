"""MCC: its chain, its loss against one instance at a time, training side by side, and what it acquires."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_acquisition import plain_mcc_loss

from baselines.sequential.mcc import MCC, METHODS, chain_margins, gini_order
from baselines.sequential.modality_terms import margin_targets
from baselines.sequential.neighbours import class_margins
from baselines.sequential.network import AcquisitionNetwork, NetworkOptions
from benchmark.contracts import Holdout, Streams
from benchmark.learning.training import DivergenceError, make_optimiser, train

DIMS, Q, N = (3, 2, 4), 3, 8


def toy(n: int = N, q: int = Q, dims: tuple[int, ...] = DIMS) -> tuple[list[np.ndarray], np.ndarray]:
    """Labels of distinct frequencies, the middle column the most balanced."""
    drawn = np.random.default_rng(0)
    modalities = [drawn.normal(size=(n, d)).astype(np.float32) for d in dims]
    shares = np.linspace(0.25, 0.75, q + 2)[1:-1] ** np.array([2, 1, 3, 4, 5][:q])
    labels = np.stack([np.arange(n) < max(1, round(share * n)) for share in shares], axis=1)
    return modalities, drawn.permuted(labels, axis=0).astype(np.uint8)


def small(**options: object) -> MCC:
    given = {"hidden": 4, "epochs": 2, "batch_size": 8, "selection": "last", **options}
    return MCC(**given)  # type: ignore[arg-type]


FAST = {"optimiser": "adam", "learning_rate": 0.05, "batch_size": 24, "epochs": 6}
"""Enough to learn what a small example shows."""


def test_the_most_balanced_label_comes_first_and_a_constant_one_last() -> None:
    labels = np.zeros((10, 5), np.uint8)
    for j, positive in enumerate((1, 5, 10, 9, 4)):  # Gini 0.18, 0.5, 0, 0.18, 0.48
        labels[:positive, j] = 1
    assert gini_order(labels).tolist() == [1, 4, 0, 3, 2]


def test_margins_of_the_chain_are_those_of_features_and_of_earlier_labels() -> None:
    modalities, labels = toy(30)
    margins = chain_margins(modalities, labels, 3)
    assert margins.shape == (4, 30, Q)
    for k, x in enumerate(modalities):
        np.testing.assert_array_equal(margins[k], class_margins(x, labels, 3))
    assert (margins[3, :, 0] == 0).all()
    signed = 2.0 * labels - 1
    for j in (1, 2):
        for i in range(30):
            distance = np.sqrt(((signed[:, :j] - signed[i, :j]) ** 2).sum(1))
            same = (labels[:, j] == labels[i, j]) & (np.arange(30) != i)
            other = labels[:, j] != labels[i, j]
            expected = np.sort(distance[other])[:3].mean() - np.sort(distance[same])[:3].mean()
            assert margins[3, i, j] == pytest.approx(expected, abs=1e-4)


def test_a_modalitys_worth_is_its_margin_in_its_own_spread_less_its_cost() -> None:
    margins = np.array([[[1.0], [3.0]], [[100.0], [100.0]]])  # two modalities, two rows, one label
    worth = margin_targets(margins, (0.5, 2.0))
    np.testing.assert_allclose(worth, [[[1 - 0.5, -2.0], [3 - 0.5, -2.0]]])  # no spread: no evidence


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"confidence": 0.6},
        {"confidence": None},
        {"first_modality": "labels", "confidence": None},
        {"modality_loss": "none"},
        {"budget": 2.0, "regularisation": 0.01},
    ],
    ids=str,
)
def test_loss_and_gradient_equal_those_of_one_instance_at_a_time(options, monkeypatch) -> None:
    monkeypatch.setattr(
        "baselines.sequential.classifier.scale", lambda _, given: [np.asarray(x, np.float64) for x in given]
    )
    monkeypatch.setattr(MCC, "_tensor", lambda _, values: torch.from_numpy(np.asarray(values, np.float64)))
    modalities, labels = toy()
    method = small(scaling="none", initialisation="uniform", **options)
    loss = method.prepare(modalities, labels)
    method.network_.double()
    with torch.no_grad():
        for weight in (*method.network_.V_modal, *method.network_.V):
            weight.mul_(4)
    ours = loss(torch.arange(N))
    ours.backward()
    gradients = {name: p.grad.clone() for name, p in method.network_.named_parameters()}
    method.network_.zero_grad()
    chained = labels[:, method.chain_order_].astype(np.float64)
    costs = method.network_.options.costs
    worth = torch.from_numpy(margin_targets(chain_margins(modalities, chained, 3), costs)).double()
    if method.modality_loss == "none":
        worth = None
    plain = plain_mcc_loss(
        method.network_,
        [torch.from_numpy(x).double() for x in modalities],
        torch.from_numpy(chained),
        worth,
        method.regularisation,
    )
    plain.backward()
    assert ours.item() == pytest.approx(plain.item(), rel=1e-9)
    for name, parameter in method.network_.named_parameters():
        theirs = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        torch.testing.assert_close(
            gradients[name], theirs, atol=1e-9, rtol=1e-6, msg=lambda m, name=name: f"{name}: {m}"
        )


def alone(network: AcquisitionNetwork, j: int) -> AcquisitionNetwork:
    """A network of one label with copy j's weights; the labels before it are an ordinary modality."""
    dims = [*DIMS, j] if j else list(DIMS)
    options = NetworkOptions(**{**network.options.__dict__, "costs": network.options.costs[: len(dims)]})
    single = AcquisitionNetwork(dims, 1, network.h, options).double()
    columns = slice(4 * network.h * j, 4 * network.h * (j + 1))
    M = len(dims)
    with torch.no_grad():
        for k in range(len(DIMS)):
            single.W_in[k].copy_(network.W_in[k][:, columns])
        if j:
            single.W_in[-1].copy_(network.W_earlier[:j, columns])
        single.b_in.copy_(network.b_in[columns])
        single.U.copy_(network.U[j : j + 1])
        single.peepholes.copy_(network.peepholes[j : j + 1])
        for t in range(M):
            single.V[t].copy_(network.V[t][j : j + 1])
            single.b_V[t].copy_(network.b_V[t][j : j + 1])
            single.V_modal[t].copy_(network.V_modal[t][j : j + 1, :, :M])
            single.b_modal[t].copy_(network.b_modal[t][j : j + 1, :, :M])
    return single


@pytest.mark.parametrize("confidence", [None, 0.6])
def test_training_side_by_side_equals_training_each_label_alone(confidence, monkeypatch) -> None:
    monkeypatch.setattr(
        "baselines.sequential.classifier.scale", lambda _, given: [np.asarray(x, np.float64) for x in given]
    )
    monkeypatch.setattr(MCC, "_tensor", lambda _, values: torch.from_numpy(np.asarray(values, np.float64)))
    modalities, labels = toy(24)
    method = small(epochs=3, confidence=confidence, eps=1e-3)  # a large eps makes AdaDelta move
    loss = method.prepare(modalities, labels)
    method.network_.double()
    singles = [alone(method.network_, j) for j in range(Q)]
    start = [single.U.detach().clone() for single in singles]
    settings, chained = method.training_settings(), labels[:, method.chain_order_].astype(np.float64)
    train(
        method.network_,
        make_optimiser(method.network_, settings),
        loss,
        len(labels),
        settings,
        np.random.default_rng(7),
    )
    y, x = torch.from_numpy(chained), method._tensors(modalities)
    worth = torch.from_numpy(
        margin_targets(chain_margins([a.numpy() for a in x], chained, 3), method.network_.options.costs)
    ).double()
    for j, single in enumerate(singles):
        judge = small(confidence=confidence)
        judge.network_ = single
        inputs = [*x, 2 * y[:, :j] - 1] if j else x

        def loss_alone(rows, j=j, single=single, judge=judge, inputs=inputs):
            acquisitions = single([a[rows] for a in inputs])
            return judge._loss(acquisitions, y[rows, j : j + 1].T, worth[j : j + 1, rows, : single.M])

        train(
            single,
            make_optimiser(single, settings),
            loss_alone,
            len(labels),
            settings,
            np.random.default_rng(7),
        )
        assert not torch.allclose(single.U, start[j], atol=1e-3), "nothing was learned"
        torch.testing.assert_close(single.U[0], method.network_.U[j], atol=1e-9, rtol=0)
        together = method.network_.eval()(x, 2 * y - 1, copies=slice(j, j + 1)).final_logits()
        torch.testing.assert_close(single.eval()(inputs).final_logits(), together, atol=1e-8, rtol=0)


def test_prediction_feeds_each_network_the_hard_predictions_before_it() -> None:
    modalities, labels = toy(60)
    method = small(**FAST, regularisation=0.0).fit(modalities, labels)
    scores = method.predict_scores(modalities)[:, method.chain_order_]
    given = torch.from_numpy(np.where(scores >= 0.5, 1, -1)).float()
    with torch.no_grad():
        acquisitions = method.network_(method._tensors(modalities), given)
    together = torch.sigmoid(acquisitions.final_logits().squeeze(2)).T.numpy()
    assert 0.1 < (scores >= 0.5).mean() < 0.9
    np.testing.assert_allclose(together, scores, atol=1e-6)


def test_permuted_label_columns_give_permuted_scores() -> None:
    modalities, labels = toy(30)
    assert len(set(labels.sum(0).tolist())) == Q
    order = [2, 0, 1]
    scores = small().fit(modalities, labels).predict_scores(modalities)
    permuted = small().fit(modalities, labels[:, order]).predict_scores(modalities)
    np.testing.assert_array_equal(permuted, scores[:, order])


def informative(n: int = 96) -> tuple[list[np.ndarray], np.ndarray]:
    """Modalities 0 and 1 are noise; 2 and 3 tell label 0; label 1 equals label 0, label 2 is noise."""
    drawn = np.random.default_rng(2)
    y = drawn.permutation(n) < n // 2
    told = np.where(y, 2.0, -2.0)[:, None]
    modalities = [
        drawn.normal(size=(n, 3)),
        drawn.normal(size=(n, 3)),
        told + 0.3 * drawn.normal(size=(n, 3)),
        told + 0.3 * drawn.normal(size=(n, 3)),
    ]
    labels = np.stack((y, y, drawn.random(n) < 0.3), axis=1)
    return [x.astype(np.float32) for x in modalities], labels.astype(np.uint8)


def second_choices(costs: tuple[float, ...], label_cost: float) -> tuple[torch.Tensor, torch.Tensor]:
    modalities, labels = informative()
    method = small(costs=costs, label_cost=label_cost, confidence=None, **FAST).fit(modalities, labels)
    assert method.chain_order_.tolist() == [0, 1, 2]
    with torch.no_grad():
        acquisitions = method.network_(method._tensors(modalities), 2 * torch.from_numpy(labels).float() - 1)
    return acquisitions.choices[1][0], acquisitions.choices[1][1]


@pytest.mark.parametrize(("costs", "best"), [((1, 1, 1, 9), 2), ((1, 1, 9, 1), 3)])
def test_the_modality_that_tells_a_label_at_least_cost_is_acquired_next(costs, best) -> None:
    first, second = second_choices(costs, label_cost=50.0)
    assert (first == best).float().mean() > 0.95
    assert (second == best).float().mean() > 0.95


def test_an_earlier_label_that_tells_everything_is_acquired_next_where_features_are_dear() -> None:
    _, second = second_choices((1.0, 50.0, 50.0, 50.0), label_cost=0.1)
    assert (second == 4).float().mean() > 0.95


def test_the_trace_is_by_label_and_adds_up() -> None:
    modalities, labels = toy(60)
    method = small(confidence=0.8, label_cost=0.1, regularisation=0.0, **FAST).fit(modalities, labels)
    trace = method.trace(modalities)
    assert trace["chain_order"].tolist() == gini_order(labels).tolist()
    assert trace["n_read"].shape == trace["reading_cost"].shape == (60, Q)
    assert (trace["n_read"].dtype, trace["reading_cost"].dtype) == (np.int32, np.float32)
    assert trace["extracted"].shape == (60, 3)
    assert trace["extracted"][:, 0].all(), "every network starts with modality 0"
    np.testing.assert_array_equal(trace["modality_costs"], np.ones(3, np.float32))
    first = trace["chain_order"][0]
    np.testing.assert_array_equal(trace["reading_cost"][:, first], trace["n_read"][:, first])
    others = [j for j in range(Q) if j != first]
    read_labels = trace["n_read"][:, others] - trace["reading_cost"][:, others]  # 0, or 1 - 0.1
    assert np.isin(np.round(read_labels, 4), [0, 0.9]).all()
    assert (read_labels > 0.5).any()
    assert len(np.unique(trace["n_read"])) > 1, "nothing stopped early"
    assert (trace["extracted"].sum(1) >= trace["n_read"][:, first]).all()


def test_the_budget_bounds_what_a_network_spends() -> None:
    modalities, labels = toy(40)
    trace = small(confidence=None, budget=2.0).fit(modalities, labels).trace(modalities)
    assert (trace["reading_cost"] >= 2.0 - 1e-5).all()
    assert (trace["reading_cost"] < 2.0 + 1.0).all()
    assert trace["n_read"].max() <= 3


def test_early_stopping_judges_the_chain_as_it_predicts() -> None:
    modalities, labels = toy(80)
    holdout = Holdout(tuple(x[50:] for x in modalities), labels[50:])
    method = small(selection="holdout", patience=3, epochs=60, optimiser="adam", learning_rate=0.05)
    method.fit([x[:50] for x in modalities], labels[:50], holdout)
    watched = method.history_.monitored
    assert len(watched) < 60
    y = holdout.labels.astype(bool)
    p = np.where(y, method.holdout_scores_, 1 - method.holdout_scores_).astype(np.float64)
    assert -np.log(p).mean() == pytest.approx(min(watched), rel=1e-5)
    np.testing.assert_array_equal(method.predict_scores(holdout.modalities), method.holdout_scores_)


def test_seeds_decide_the_result_and_nothing_else() -> None:
    modalities, labels = toy(16)
    runs = [
        small(random_state=Streams("x", seed)).fit(modalities, labels).predict_scores(modalities)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


def test_constant_labels_are_learned_as_such() -> None:
    modalities, labels = toy(60)
    labels[:, 0], labels[:, 2] = 0, 1
    method = small(**FAST).fit(modalities, labels)
    scores = method.predict_scores(modalities)
    assert method.chain_order_.tolist() == [1, 0, 2]
    assert (scores[:, 0] < 0.5).all()
    assert (scores[:, 2] > 0.5).all()


@pytest.mark.parametrize("q", [1, 3])
@pytest.mark.parametrize("dims", [(3,), (3, 2)])
def test_one_label_and_one_modality_are_enough(q: int, dims: tuple[int, ...]) -> None:
    modalities, labels = toy(20, q, dims)
    trace = small(confidence=None).fit(modalities, labels).trace(modalities)
    assert trace["reading_cost"].shape == (20, q)
    assert trace["n_read"].max() == len(dims) + (q > 1)


def test_a_single_training_row_trains() -> None:
    modalities, labels = toy(1)
    assert np.isfinite(small().fit(modalities, labels).predict_scores(modalities)).all()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"first_modality": "cheapest"}, "choose one of 'first'"),
        ({"modality_loss": "dmp"}, "choose one of 'hinge'"),
        ({"costs": (1.0,)}, "3 modalities"),
        ({"label_cost": -1.0}, "label_cost"),
        ({"confidence": 0.0}, "a positive number"),
        ({"n_neighbors": 0}, "at least 1"),
        ({"selection": "holdout"}, "pass holdout="),
        ({"hidden": 0}, "hidden=0 is out of range"),
        ({"batch_size": 0}, "batch_size=0 is out of range"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0 is out of range"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options).fit(*toy())


def test_a_loss_that_is_no_number_ends_the_fit() -> None:
    modalities, labels = toy(20)
    with pytest.raises(DivergenceError, match="epoch 1"):
        small(modality_loss="none", regularisation=1e38).fit(modalities, labels)


def test_the_row_is_registered_as_in_the_paper() -> None:
    (spec,) = METHODS
    assert (spec.id, spec.in_paper, spec.scoring, spec.threshold) == ("MCC", True, "soft", "fixed")
