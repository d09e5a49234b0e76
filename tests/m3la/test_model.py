"""The network against a plain program of the equations, and its choice of modalities."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import pytest
import torch
from networks import loss_options, model_options, reference_form
from plain_forms import paired_gradients
from torch import Tensor
from transcription import literal_loss

from benchmark.studies.plain.forms import copy_weights
from benchmark.studies.plain.m3la import PlainM3LA, pairs, plain_loss
from m3la.loss import m3la_loss
from m3la.model import M3LANet

DIMS, Q, H, B = (7, 5, 11), 4, 16, 9


def batch(dtype: torch.dtype = torch.float32) -> tuple[list[Tensor], Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = [torch.randn(B, d, generator=generator, dtype=dtype) for d in DIMS]
    return x, (torch.rand(B, Q, generator=generator) < 0.4).to(dtype)


def network(**options: object) -> M3LANet:
    net = M3LANet(DIMS, Q, H, model_options(**{"w_co_init": "small_normal", **options}))
    with torch.no_grad():  # wide enough that orders differ between rows and W_co matters
        net.W_modal.mul_(8)
        net.W_co.mul_(50)
    return net


@pytest.mark.parametrize("form", [nullcontext, reference_form], ids=["fast", "reference"])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize(("dtype", "bound"), [(torch.float32, 1e-5), (torch.float64, 1e-9)], ids=str)
def test_scores_orders_and_gradients_equal_the_plain_program(
    activation: str, dtype: torch.dtype, bound: float, form: Callable[[], AbstractContextManager[None]]
) -> None:
    torch.manual_seed(1)
    net = network(label_activation=activation).to(dtype)
    plain = PlainM3LA(DIMS, Q, H, activation).to(dtype)
    copy_weights(pairs(plain, net))
    x, y = batch(dtype)
    with form():
        steps = net(x)
        loss = m3la_loss(steps, y, 1.6, loss_options())
    predictions, orders = plain(x)
    assert torch.equal(steps.orders, orders)
    assert len({tuple(o) for o in orders.tolist()}) > 1
    torch.testing.assert_close(steps.scores(), torch.stack(predictions, 1), atol=bound, rtol=0)
    literal = literal_loss(predictions, y)
    torch.testing.assert_close(loss, literal, atol=bound, rtol=1e-6)
    torch.testing.assert_close(plain_loss(predictions, y), literal, atol=bound, rtol=1e-6)
    loss.backward()
    literal.backward()
    for theirs, ours in paired_gradients(plain, net, pairs):
        torch.testing.assert_close(ours, theirs, atol=bound, rtol=0)


def test_two_hundred_steps_stay_with_the_plain_program_in_double_precision() -> None:
    torch.manual_seed(1)
    net, plain = network().double(), PlainM3LA(DIMS, Q, H).double()
    copy_weights(pairs(plain, net))
    x, y = batch(torch.float64)
    settings = {"lr": 0.05, "weight_decay": 2e-4}
    ours, theirs = (
        torch.optim.SGD(net.parameters(), **settings),
        torch.optim.SGD(plain.parameters(), **settings),
    )
    for _ in range(200):
        for optimiser, loss in (
            (ours, lambda: m3la_loss(net(x), y, 1.6, loss_options())),
            (theirs, lambda: literal_loss(plain(x)[0], y)),
        ):
            optimiser.zero_grad()
            loss().backward()
            optimiser.step()
    torch.testing.assert_close(net(x).scores(), torch.stack(plain(x)[0], 1), atol=1e-9, rtol=0)


@pytest.mark.parametrize(
    ("gradient", "moves"),
    [("straight_through", True), ("prob_ratio", True), ("prob_scale", True), ("none", False)],
)
def test_whether_the_modality_head_is_trained_depends_on_the_order_gradient(
    gradient: str, moves: bool
) -> None:
    torch.manual_seed(1)
    net = network(order_gradient=gradient)
    x, y = batch()
    m3la_loss(net(x), y, 1.6, loss_options()).backward()
    size = 0.0 if net.W_modal.grad is None else float(net.W_modal.grad.abs().max())
    assert (size > 1e-6) == moves


@pytest.mark.parametrize("gradient", ["none", "straight_through", "prob_ratio"])
def test_order_gradients_share_their_forward_values(gradient: str) -> None:
    torch.manual_seed(1)
    reference = network(order_gradient="none")
    net = network(order_gradient=gradient)
    net.load_state_dict(reference.state_dict())
    x, _ = batch()
    assert torch.equal(net(x).scores(), reference(x).scores())


def test_every_modality_is_read_once_unless_repeats_are_allowed() -> None:
    torch.manual_seed(1)
    x, _ = batch()
    orders = network()(x).orders
    assert torch.equal(orders.sort(1).values, torch.arange(3).expand(B, 3))
    fixed = network(order="fixed")(x).orders
    assert torch.equal(fixed, torch.arange(3).expand(B, 3))
    noise = torch.rand(B, 3, 3, generator=torch.Generator().manual_seed(0))
    random = network(order="random")(x, noise).orders
    assert torch.equal(random.sort(1).values, torch.arange(3).expand(B, 3))
    assert len(random.unique(dim=0)) > 1
    assert torch.equal(network(first_input="first")(x).orders[:, 0], torch.zeros(B, dtype=torch.long))
    start = network(first_input="zeros")(x).orders
    assert torch.equal(start[:, 0], torch.full((B,), -1))
    assert all(len(set(o)) == 3 for o in start.tolist())


def test_log_probabilities_of_the_order_alone_send_gradients_to_the_modality_head() -> None:
    net = network(order_gradient="reinforce")
    x, _ = batch()
    noise = torch.rand(B, len(DIMS), len(DIMS), generator=torch.Generator().manual_seed(0))
    net(x, noise).order_log_probability.sum().backward()
    assert net.W_modal.grad is not None
    assert net.W_modal.grad.abs().max() > 0


def test_the_softmax_of_one_label_is_refused() -> None:
    with pytest.raises(ValueError, match=r"use label_activation='sigmoid'"):
        M3LANet(DIMS, 1, H, model_options())


def test_equation_8_reads_the_block_that_equation_10_chose() -> None:
    """Changing a modality that was read last leaves the earlier steps' decoder inputs alone."""
    torch.manual_seed(1)
    net = network(attention="mean", order="fixed", s0_source="mean")
    with torch.no_grad():
        net.W_att.zero_()
        net.W_init.zero_()
    x, _ = batch()
    before = net(x).scores()
    x[2] = x[2] + 1
    after = net(x).scores()
    torch.testing.assert_close(before[:, :2], after[:, :2], atol=0, rtol=0)
    assert not torch.allclose(before[:, 2], after[:, 2])


def test_without_w_co_no_step_sees_the_previous_prediction() -> None:
    torch.manual_seed(1)
    net = network()
    plain = M3LANet(DIMS, Q, H, model_options(label_correlation=False))
    plain.load_state_dict({k: v for k, v in net.state_dict().items() if k != "W_co"})
    x, _ = batch()
    with_co, without = net(x).scores(), plain(x).scores()
    torch.testing.assert_close(with_co[:, 0], without[:, 0], atol=0, rtol=0)
    assert not torch.allclose(with_co[:, 1], without[:, 1])
    with torch.no_grad():
        net.W_co.zero_()
    torch.testing.assert_close(net(x).scores(), without, atol=0, rtol=0)


@pytest.mark.parametrize(
    "options",
    [
        {"feedback": "detach"},
        {"feedback": "logits"},
        {"feedback": "hard"},
        {"w_co_diagonal": "zero"},
        {"label_head": "per_step"},
        {"attention": "general"},
        {"attention": "dot"},
        {"attention": "mean"},
        {"s0_source": "final_states"},
        {"s0_source": "mean"},
        {"s0_activation": "tanh"},
        {"encoder_order": (2, 0, 1)},
        {"w_co_init": "xavier"},
        {"w_co_init": "identity"},
        {"initialisation": "orthogonal"},
        {"label_activation": "sigmoid"},
    ],
)
def test_an_option_changes_what_it_names_and_gradients_flow(options: dict[str, object]) -> None:
    x, y = batch()
    seen = []
    for chosen in ({}, options):
        torch.manual_seed(1)
        net = network(**chosen)
        steps = net(x)
        m3la_loss(steps, y, 1.6, loss_options()).backward()
        assert all(p.grad is None or torch.isfinite(p.grad).all() for p in net.parameters())
        assert net.b_dec.grad is not None
        seen.append(torch.cat((steps.scores()[:, -1].detach().flatten(), net.b_dec.grad)))
    assert not torch.allclose(seen[0], seen[1], atol=1e-6)


def test_zero_diagonal_keeps_a_label_from_predicting_itself() -> None:
    torch.manual_seed(1)
    net = network(w_co_diagonal="zero")
    x, y = batch()
    m3la_loss(net(x), y, 1.6, loss_options()).backward()
    assert net.W_co.grad is not None
    assert torch.equal(torch.diagonal(net.W_co.grad), torch.zeros(Q))


def test_renaming_the_labels_renames_the_scores() -> None:
    torch.manual_seed(1)
    net = network()
    permuted = M3LANet(DIMS, Q, H, net.options)
    order = torch.tensor([2, 0, 3, 1])
    state = net.state_dict()
    state["W_label.0"], state["b_label.0"] = state["W_label.0"][order], state["b_label.0"][order]
    state["W_co"] = state["W_co"][order][:, order]
    permuted.load_state_dict(state)
    x, _ = batch()
    torch.testing.assert_close(permuted(x).scores(), net(x).scores()[:, :, order], atol=1e-6, rtol=0)


@pytest.mark.parametrize("form", [nullcontext, reference_form], ids=["fast", "reference"])
@pytest.mark.parametrize(
    "wrong",
    [
        lambda x: [x[0], x[1][:-1], x[2]],
        lambda x: [x[0], x[1][:1], x[2]],  # would be repeated for all rows
        lambda x: [x[0][:-1], *x[1:]],
        lambda x: [x[0], x[2], x[1]],
        lambda x: x[:2],
        lambda x: [*x, x[0]],
        lambda x: [each[0] for each in x],
        lambda x: [each[None] for each in x],
    ],
    ids=["fewer rows", "one row", "more rows", "widths", "fewer", "more", "vectors", "an axis too many"],
)
def test_modalities_of_other_shapes_are_refused(wrong, form) -> None:
    net, (x, _) = network(), batch()
    with form(), torch.no_grad():
        expected = net(x).scores()
        with pytest.raises(ValueError, match=r"modalities have shapes .*; give \(rows, 7\), "):
            net(wrong(x))
        assert torch.equal(net(x).scores(), expected)
