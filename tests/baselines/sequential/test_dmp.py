"""DMP: its loss against one instance at a time, its options, what it acquires and how it stops."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_acquisition import plain_dmp_loss

from baselines.sequential.dmp import AS_IN_CODE, DMP, METHODS, NEAR_PRINT
from baselines.sequential.modality_terms import Neighbourhood, hinge, masked_softmax, pair_signs
from benchmark.contracts import Holdout, Streams
from benchmark.learning.training import DivergenceError

DIMS, Q, N = (3, 2, 4), 3, 7


def toy(n: int = N, seed: int = 0, dims: tuple[int, ...] = DIMS, q: int = Q) -> tuple[list, np.ndarray]:
    drawn = np.random.default_rng(seed)
    modalities = [drawn.normal(size=(n, d)).astype(np.float32) for d in dims]
    return modalities, (drawn.random((n, q)) < 0.5).astype(np.uint8)


def small(**options: object) -> DMP:
    given = {"hidden": 4, "epochs": 2, "batch_size": 8, "selection": "last", "dropout": 0.0, **options}
    return DMP(**given)  # type: ignore[arg-type]


def prepared(**options: object) -> tuple[DMP, object, list[torch.Tensor], torch.Tensor, list[np.ndarray]]:
    """Return an untrained method in double precision, its loss, and its inputs and labels as tensors."""
    modalities, labels = toy()
    method = small(scaling="none", **options)
    loss = method.prepare(modalities, labels)
    method.network_.double()
    with torch.no_grad():
        for weight in (*method.network_.V_modal, *method.network_.V):
            weight.mul_(8)
    return (
        method,
        loss,
        [torch.from_numpy(x).double() for x in modalities],
        torch.from_numpy(labels),
        modalities,
    )


FAST = {"optimiser": "adam", "learning_rate": 0.03, "batch_size": 20, "epochs": 8}
"""Enough to learn what a small example shows."""

CASES = {
    "default": ({}, {"weight": 1e-3, "cost_weight": 0.1}),
    "strong": ({"modality_weight": 1.0, "cost_weight": 0.9}, {"weight": 1.0, "cost_weight": 0.9}),
    "code": (AS_IN_CODE, {"weight": 1e-3, "cost_weight": 0.1, "code": True}),
    "near print": (NEAR_PRINT, {"weight": 1.0, "cost_weight": 0.1, "printed": True, "l2": 0.1}),
    "budget": ({"budget": 0.2, "modality_weight": 1.0}, {"weight": 1.0, "cost_weight": 0.1}),
    "confidence": ({"confidence": 0.62, "modality_weight": 1.0}, {"weight": 1.0, "cost_weight": 0.1}),
    "same set": ({"neighbour_sign": "same_set", "modality_weight": 1.0}, {"weight": 1.0, "cost_weight": 0.1}),
}


@pytest.mark.parametrize("case", CASES)
def test_loss_and_gradient_equal_those_of_one_instance_at_a_time(case: str, monkeypatch) -> None:
    options, plain_options = CASES[case]
    # The whole loss in double precision: inputs, neighbours and targets are made by `prepare` as float32.
    monkeypatch.setattr(
        "baselines.sequential.classifier.scale", lambda _, given: [np.asarray(x, np.float64) for x in given]
    )
    monkeypatch.setattr(DMP, "_tensor", lambda _, values: torch.from_numpy(np.asarray(values, np.float64)))
    method, loss, x, y, raw = prepared(**options)
    rows = torch.arange(N)
    ours = loss(rows)
    ours.backward()
    if case == "confidence":
        with torch.no_grad():
            second = method.network_(x).active(1)
        assert second.any(), "all rows stopped at once"
        assert not second.all(), "no row stopped"
    gradients = {name: p.grad.clone() for name, p in method.network_.named_parameters() if p.grad is not None}
    method.network_.zero_grad()
    together = np.concatenate(raw, axis=1).astype(np.float64)
    distance = ((together[:, None] - together[None]) ** 2).sum(2) + np.diag([np.inf] * N)
    neighbours = np.argsort(distance, axis=1)[:, :3].tolist()
    signs = [[_sign(method.neighbour_sign, y[i], y[n]) for n in neighbours[i]] for i in range(N)]
    plain = plain_dmp_loss(method.network_, x, y.double(), neighbours, signs, **plain_options)
    plain.backward()
    assert ours.item() == pytest.approx(plain.item(), rel=1e-6)
    assert "W_in.2" in gradients
    for name, parameter in method.network_.named_parameters():
        theirs = parameter.grad if parameter.grad is not None else torch.zeros_like(parameter)
        mine = gradients.get(name, torch.zeros_like(parameter))
        torch.testing.assert_close(
            mine, theirs, atol=1e-7, rtol=1e-5, msg=lambda m, name=name: f"{name}: {m}"
        )


def _sign(rule: str, one: torch.Tensor, other: torch.Tensor) -> float:
    if rule == "always_minus":
        return -1.0
    mine, theirs = set(one.nonzero().flatten().tolist()), set(other.nonzero().flatten().tolist())
    if rule == "same_set":
        return 1.0 if mine == theirs else -1.0
    return 2 * len(mine & theirs) / len(mine | theirs) - 1 if mine | theirs else 1.0


def test_signs_worked_out_by_hand() -> None:
    labels = np.array([[1, 1, 0], [1, 0, 0], [0, 0, 1], [0, 0, 0], [0, 0, 0]])
    indices = np.array([[1, 2], [1, 0], [3, 2], [4, 0], [3, 1]])
    jaccard = [[0, -1], [1, 0], [-1, 1], [1, -1], [1, -1]]
    np.testing.assert_array_equal(pair_signs(labels, indices, "jaccard"), jaccard)
    same = [[-1, -1], [1, -1], [-1, 1], [1, -1], [1, -1]]
    np.testing.assert_array_equal(pair_signs(labels, indices, "same_set"), same)
    assert (pair_signs(labels, indices, "always_minus") == -1).all()


def test_a_softmax_over_nothing_is_zero_and_finite_backwards() -> None:
    preferences = torch.zeros(2, 3, requires_grad=True)
    selectable = torch.tensor([[False, False, False], [True, False, True]])
    weights = masked_softmax(preferences, selectable)
    assert weights.tolist() == [[0, 0, 0], [0.5, 0, 0.5]]
    weights.square().sum().backward()
    assert torch.isfinite(preferences.grad).all()


def test_a_hinge_worked_out_by_hand() -> None:
    preferences = torch.tensor([[[0.5, 2.0, 1.0], [0.5, 2.0, 1.0]]])
    worth = torch.tensor([[[9.0, 1.0, 2.0], [9.0, 1.0, 2.0]]])
    selectable = torch.tensor([[[False, True, True], [False, False, True]]])
    # Modality 2 is worth more than 1 but scores 1 less: max(0, 1 - 1 + 2) = 2; with 2 alone nothing is lost.
    assert hinge(preferences, selectable, worth, torch.tensor([4])).tolist() == [[0.5, 0.0]]


def test_equal_costs_have_no_gradient_under_the_softmax_over_the_unread() -> None:
    gradients = []
    for costs in (None, (0.1, 0.9, 0.3)):
        method = small(modality_loss="none", cost_weight=50.0, costs=costs)
        loss = method.prepare(*toy())
        loss(torch.arange(N)).backward()
        gradients.append(
            max(float(W.grad.abs().max()) for W in method.network_.V_modal if W.grad is not None)
        )
    assert gradients[0] < 1e-6 < 1e-3 < gradients[1]


def neighbour_data(n: int = 80) -> tuple[list[np.ndarray], np.ndarray]:
    """Two classes; modality 1 is nearly equal within a class, modality 2 is wide noise.

    To pull rows of a class together, acquiring 1 after 0 is best; to push them apart, 2.
    """
    drawn = np.random.default_rng(1)
    y = np.arange(n) % 2
    centre = np.where(y[:, None] == 1, 1.0, -1.0)
    modalities = [
        6 * centre + 0.1 * drawn.normal(size=(n, 2)),
        0.3 * centre + 0.01 * drawn.normal(size=(n, 3)),
        2 * drawn.normal(size=(n, 3)),
    ]
    return [x.astype(np.float32) for x in modalities], np.stack((y, 1 - y), axis=1).astype(np.uint8)


@pytest.mark.parametrize(("sign", "second"), [("jaccard", 1), ("always_minus", 2)])
def test_the_neighbours_decide_what_is_acquired_second(sign: str, second: int) -> None:
    modalities, labels = neighbour_data()
    method = small(
        neighbour_sign=sign,
        modality_weight=1.0,
        scaling="none",
        **FAST,
    )
    orders = method.fit(modalities, labels).trace(modalities)["orders"]
    assert (orders[:, 0] == 0).all()
    assert (orders[:, 1] == second).mean() > 0.95


def test_a_cheaper_modality_is_acquired_before_a_dear_one() -> None:
    modalities, labels = neighbour_data()
    for costs, second in (((0.1, 0.1, 2.0), 1), ((0.1, 2.0, 0.1), 2)):
        method = small(costs=costs, modality_loss="none", **FAST)
        orders = method.fit(modalities, labels).trace(modalities)["orders"]
        assert (orders[:, 1] == second).all()


def test_the_trace_adds_up_with_a_budget() -> None:
    modalities, labels = toy(40)
    method = small(budget=0.5, costs=(0.2, 0.3, 0.4)).fit(modalities, labels)
    trace = method.trace(modalities)
    costs = np.array([0.2, 0.3, 0.4])
    np.testing.assert_allclose(trace["modality_costs"], costs, rtol=1e-6)
    np.testing.assert_allclose(trace["reading_cost"][:, 0], trace["extracted"] @ costs, rtol=1e-6)
    assert trace["reading_cost"].dtype == np.float32
    assert trace["n_read"].dtype == np.int32
    assert (trace["n_read"] == 2).all()  # 0.2 is below the budget, any second modality reaches it
    np.testing.assert_array_equal((trace["orders"] >= 0).sum(1), trace["n_read"][:, 0])
    assert trace["orders"].shape == (40, 3)
    assert (trace["orders"][:, 2] == -1).all()
    assert trace["step_scores"].shape == (40, 3, Q)
    np.testing.assert_array_equal(trace["step_scores"][:, 2], trace["step_scores"][:, 1])
    np.testing.assert_array_equal(method.predict_scores(modalities), trace["step_scores"][:, -1])


def test_confidence_stops_the_sure_ones_early() -> None:
    modalities, labels = neighbour_data()
    modalities[0][:20] = 0  # these rows' first modality says nothing
    method = small(confidence=0.9, **{**FAST, "epochs": 14}).fit(modalities, labels)
    trace = method.trace(modalities)
    first = trace["step_scores"][:, 0]
    sure = np.maximum(first, 1 - first).mean(1) > 0.9
    assert sure.tolist() == [False] * 20 + [True] * 60
    np.testing.assert_array_equal(trace["n_read"][:, 0] == 1, sure)


def test_repeats_are_paid_once_and_can_leave_modalities_out() -> None:
    modalities, labels = toy(40)
    trace = small(**{**AS_IN_CODE, "hidden": 4}).fit(modalities, labels).trace(modalities)
    assert (trace["orders"] >= 0).all(), "the code never stops"
    assert len({len(set(order)) for order in trace["orders"].tolist()}) >= 1
    assert (trace["n_read"][:, 0] == [len(set(order)) for order in trace["orders"].tolist()]).all()
    assert (trace["n_read"] < 3).any(), "no repeat in 40 rows of an almost untrained network"
    np.testing.assert_allclose(trace["reading_cost"], 0.1 * trace["n_read"], rtol=1e-5)


def test_a_hidden_size_of_none_is_the_number_of_features() -> None:
    modalities, labels = toy()
    method = small(hidden=None)
    method.prepare(modalities, labels)
    assert method.network_.h == sum(DIMS)


def test_early_stopping_keeps_the_best_epoch_of_the_hold_out() -> None:
    modalities, labels = toy(60)
    holdout = Holdout(tuple(x[40:] for x in modalities), labels[40:])
    given = {"selection": "holdout", "patience": 3, "epochs": 60, "optimiser": "adam", "learning_rate": 0.05}
    method = small(**given).fit([x[:40] for x in modalities], labels[:40], holdout)
    watched = method.history_.monitored
    assert len(watched) < 60, "labels are noise, so the hold-out must get worse"
    assert method.history_.best_epoch == int(np.argmin(watched))
    y = holdout.labels.astype(bool)
    p = np.where(y, method.holdout_scores_, 1 - method.holdout_scores_).astype(np.float64)
    assert -np.log(p).mean() == pytest.approx(min(watched), rel=1e-5)
    np.testing.assert_array_equal(method.predict_scores(holdout.modalities), method.holdout_scores_)


def test_hamming_loss_can_be_watched() -> None:
    modalities, labels = toy(60)
    holdout = Holdout(tuple(x[40:] for x in modalities), labels[40:])
    method = small(selection="holdout", monitor="hamming").fit(
        [x[:40] for x in modalities], labels[:40], holdout
    )
    wrong = ((method.holdout_scores_ >= 0.5) != labels[40:].astype(bool)).mean()
    assert wrong == pytest.approx(min(method.history_.monitored))


def test_permuted_labels_with_permuted_heads_lose_the_same() -> None:
    modalities, labels = toy()
    one, other, order = small(), small(), [2, 0, 1]
    loss, permuted_loss = one.prepare(modalities, labels), other.prepare(modalities, labels[:, order])
    state = one.network_.state_dict()
    for t in range(3):
        state[f"V.{t}"] = state[f"V.{t}"][..., order]
        state[f"b_V.{t}"] = state[f"b_V.{t}"][..., order]
    other.network_.load_state_dict(state)
    rows = torch.arange(N)
    torch.testing.assert_close(permuted_loss(rows), loss(rows))


def test_seeds_decide_the_result_and_nothing_else() -> None:
    modalities, labels = toy(16)
    runs = [
        small(random_state=Streams("x", seed), dropout=0.5).fit(modalities, labels).predict_scores(modalities)
        for seed in (0, 0, 1)
    ]
    np.testing.assert_array_equal(runs[0], runs[1])
    assert not np.array_equal(runs[0], runs[2])


@pytest.mark.parametrize("modality_loss", ["neighbours", "distance"])
def test_the_printed_linear_head_is_refused_with_the_reason(modality_loss: str) -> None:
    modalities, labels = toy()
    with pytest.raises(ValueError, match="unbounded below"):
        small(modality_activation="linear", modality_loss=modality_loss).fit(modalities, labels)
    small(modality_activation="linear", modality_loss="none").fit(modalities, labels)


def test_the_printed_loss_does_fall_without_bound() -> None:
    """The reason given for the refusal, checked on the loss itself."""
    modalities, labels = toy()
    method = small(**{**NEAR_PRINT, "hidden": 4, "modality_activation": "linear", "scaling": "none"})
    method._check_options = lambda: None  # type: ignore[method-assign]
    loss = method.prepare(modalities, labels)
    losses = []
    for size in (1, 10, 100, 1000):
        with torch.no_grad():
            for bias in method.network_.b_modal:
                bias.fill_(size)
        losses.append(float(loss(torch.arange(N)).detach()))
    assert losses[1] < 0
    assert losses[2] < 50 * losses[1]
    assert losses[3] < 50 * losses[2]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"loss_form": "printed"}, "without their minus"),
        ({"loss_form": "code", "budget": 0.2}, "stopped instances"),
        ({"neighbour_sign": "plus"}, "choose one of 'jaccard'"),
        ({"costs": (0.1, 0.2)}, "3 modalities"),
        ({"costs": (0.1, -0.2, 0.1)}, "at least 0"),
        ({"costs": (0.1, float("nan"), 0.1)}, "at least 0"),
        ({"budget": 0.0}, "a positive number"),
        ({"confidence": float("nan")}, "a positive number"),
        ({"n_steps": 0}, "n_steps"),
        ({"dropout": 1.0}, "dropout"),
        ({"n_neighbors": 0}, "at least 1"),
        ({"selection": "holdout"}, "pass holdout="),
        ({"optimiser": "momentum"}, "adadelta"),
        ({"hidden": 0}, "hidden=0 is out of range"),
        ({"batch_size": 0}, "batch_size=0 is out of range"),
        ({"learning_rate": -1.0}, "learning_rate=-1.0 is out of range"),
    ],
    ids=str,
)
def test_options_that_make_no_sense_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        small(**options).fit(*toy())


def test_other_modalities_than_fitted_are_refused() -> None:
    modalities, labels = toy(20)
    with pytest.raises(ValueError, match="fitted on 3 modalities"):
        small().fit(modalities, labels).predict_scores(modalities[:2])


def test_a_loss_that_is_no_number_ends_the_fit() -> None:
    modalities, labels = toy(20)
    with pytest.raises(DivergenceError, match="epoch 1"):
        small(modality_loss="none", l2=1e38).fit(modalities, labels)


@pytest.mark.parametrize("n", [1, 2])
def test_one_or_two_training_rows_have_too_few_neighbours_but_train(n: int) -> None:
    modalities, labels = toy(n)
    scores = small().fit(modalities, labels).predict_scores(modalities)
    assert scores.shape == (n, Q)
    assert np.isfinite(scores).all()


def test_neighbour_distances_equal_their_definition() -> None:
    modalities, labels = toy()
    inputs = [torch.from_numpy(x) for x in modalities]
    indices = np.array([[(i + 1) % N, (i + 3) % N] for i in range(N)])
    neighbourhood = Neighbourhood.of(inputs, labels, indices, "jaccard")
    drawn = torch.Generator().manual_seed(0)
    own, theirs = torch.rand(N, 3, generator=drawn), torch.rand(N, 2, 3, generator=drawn)
    found = neighbourhood.distances(torch.arange(N), own, theirs)
    for i in range(N):
        for r, n in enumerate(indices[i]):
            blocks = [theirs[i, r, k] * inputs[k][n] - own[i, k] * inputs[k][i] for k in range(3)]
            assert found[i, r].item() == pytest.approx(float(torch.cat(blocks).square().sum()), rel=1e-4)


def test_the_row_is_registered_as_in_the_paper() -> None:
    (spec,) = METHODS
    assert (spec.id, spec.in_paper, spec.scoring, spec.threshold) == ("DMP", True, "soft", "fixed")
