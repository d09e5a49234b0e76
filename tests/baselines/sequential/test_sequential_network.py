"""The network that acquires modality after modality: gates, acquisitions, stops and what it may see."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_acquisition import acquire_one

from baselines.sequential.network import AcquisitionNetwork, NetworkOptions

DIMS, H, Q = (3, 2, 4), 4, 3
COSTS = (1.0, 1.0, 1.0)


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rows(n: int, dims: tuple[int, ...] = DIMS, seed: int = 3) -> list[torch.Tensor]:
    drawn = generator(seed)
    return [2 * torch.randn(n, d, generator=drawn, dtype=torch.float64) for d in dims]


def network(
    n_outputs: int = Q, chained: bool = False, start: int = 0, **options: object
) -> AcquisitionNetwork:
    costs = (*COSTS, 0.1) if chained else COSTS
    built = AcquisitionNetwork(
        DIMS,
        1 if chained else n_outputs,
        H,
        NetworkOptions(**{"costs": costs, "initialisation": "uniform", **options}),  # type: ignore[arg-type]
        n_copies=Q if chained else 1,
        chained=chained,
        start=start,
        generator=generator(),
    ).double()
    with torch.no_grad():  # wide enough that rows choose differently
        for weight in built.V_modal:
            weight.mul_(8)
    return built


def zeroed(dims: tuple[int, ...], h: int, **options: object) -> AcquisitionNetwork:
    costs = options.pop("costs", (1.0,) * len(dims))
    built = AcquisitionNetwork(dims, 1, h, NetworkOptions(costs=costs, **options))  # type: ignore[arg-type]
    with torch.no_grad():
        for weight in built.parameters():
            weight.zero_()
    return built.eval()


def test_two_steps_worked_out_by_hand() -> None:
    """One hidden unit, two modalities of one feature, peepholes, modality head on the history."""
    net = zeroed((1, 1), 1, peepholes=True, modality_head="history")
    with torch.no_grad():
        net.W_in[0].copy_(torch.tensor([[1.0, -1.0, 0.5, 2.0]]))  # input, forget, output, candidate
        net.W_in[1].copy_(torch.tensor([[-0.5, 1.0, 1.0, -1.0]]))
        net.b_in.copy_(torch.tensor([0.1, 0.2, 0.3, 0.4]))
        net.U[0].copy_(torch.tensor([[0.7, -0.3, 0.2, 0.6]]))
        assert net.peepholes is not None
        net.peepholes[0, 0].copy_(torch.tensor([0.5, -0.4, 0.3]))
        net.V[0][0, 0, 0], net.b_V[0][0, 0, 0] = 2.0, -0.1
        net.V[1][0, :, 0] = torch.tensor([1.5, -2.5])
        net.V_modal[0][0, 0] = torch.tensor([3.0, 1.0])

    def sigmoid(a: float) -> float:
        return 1 / (1 + np.exp(-a))

    a, b = 0.8, -1.2
    i1, g1 = sigmoid(0.8 + 0.1), np.tanh(1.6 + 0.4)
    c1 = i1 * g1
    h1 = sigmoid(0.4 + 0.3 + 0.3 * c1) * np.tanh(c1)
    i2 = sigmoid(0.6 + 0.1 + 0.7 * h1 + 0.5 * c1)
    f2 = sigmoid(-1.2 + 0.2 - 0.3 * h1 - 0.4 * c1)
    c2 = f2 * c1 + i2 * np.tanh(1.2 + 0.4 + 0.6 * h1)
    h2 = sigmoid(-1.2 + 0.3 + 0.2 * h1 + 0.3 * c2) * np.tanh(c2)
    acquisitions = net([torch.tensor([[a]]), torch.tensor([[b]])])
    assert acquisitions.logits[0].item() == pytest.approx(2 * h1 - 0.1, abs=1e-6)
    assert acquisitions.logits[1].item() == pytest.approx(1.5 * h1 - 2.5 * h2, abs=1e-6)
    assert acquisitions.preferences[0][0, 0].tolist() == pytest.approx([3 * h1, h1], abs=1e-6)
    assert [int(choice) for choice in acquisitions.choices] == [0, 1]
    assert acquisitions.cost.item() == 2


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"peepholes": True, "modality_head": "history"},
        {"allow_repeats": True},
        {"budget": 2.0},
        {"confidence": 0.62},
        {"n_steps": 2},
        {"initialisation": "orthogonal"},
    ],
    ids=str,
)
@pytest.mark.parametrize("chained", [False, True])
def test_acquisitions_equal_those_of_one_instance_at_a_time(
    options: dict[str, object], chained: bool
) -> None:
    net, x = network(chained=chained, **options).eval(), rows(12)
    labels = torch.where(torch.rand(12, Q, generator=generator(5)) < 0.5, -1.0, 1.0).double()
    acquisitions = net(x, labels if chained else None)
    orders = set()
    for j in range(net.L):
        for i in range(12):
            steps = acquire_one(net, j, [a[i] for a in x], labels[i] if chained else None)
            order = [int(choice[j, i]) for choice in acquisitions.choices]
            assert [k for k in order if k >= 0] == [step.choice for step in steps]
            assert all(k < 0 for k in order[len(steps) :])
            for t, step in enumerate(steps):
                torch.testing.assert_close(acquisitions.logits[t][j, i], step.z)
                torch.testing.assert_close(acquisitions.preferences[t][j, i], step.preference)
                assert acquisitions.selectable[t][j, i].nonzero().flatten().tolist() == step.left
            torch.testing.assert_close(acquisitions.final_logits()[j, i], steps[-1].z)
            spent = sum(net.options.costs[k] for k in {step.choice for step in steps})
            assert acquisitions.cost[j, i].item() == pytest.approx(spent)
            orders.add(tuple(order))
    assert len(orders) > 1, "all rows take one order: the comparison shows little"


def test_a_copy_run_alone_does_what_it_does_among_all() -> None:
    net, x = network(chained=True, peepholes=True, confidence=0.6).eval(), rows(9)
    labels = torch.ones(9, Q, dtype=torch.float64)
    together = net(x, labels)
    for j in range(Q):
        alone = net(x, labels, copies=slice(j, j + 1))
        torch.testing.assert_close(alone.final_logits()[0], together.final_logits()[j])
        torch.testing.assert_close(alone.cost[0], together.cost[j])


def test_a_copy_never_sees_its_own_or_a_later_label() -> None:
    net, x = network(chained=True, start=len(DIMS)).eval(), rows(9)
    labels = torch.ones(9, Q, dtype=torch.float64)
    before = net(x, labels)
    for changed in range(Q):
        other = labels.clone()
        other[:, changed] *= -1
        after = net(x, other)
        for j in range(Q):
            same = torch.equal(before.logits[-1][j], after.logits[-1][j])
            assert same == (j <= changed), f"copy {j} and label {changed}"


def test_a_later_labels_weights_get_no_gradient() -> None:
    net, x = network(chained=True), rows(9)
    net(x, torch.ones(9, Q, dtype=torch.float64)).final_logits().square().sum().backward()
    gradient = net.W_earlier.grad.view(Q, Q, 4 * H)  # label i, copy j
    for i in range(Q):
        for j in range(Q):
            assert (gradient[i, j].abs().sum() > 0) == (i < j)


def test_the_first_of_a_chain_has_no_labels_to_acquire() -> None:
    for start in (0, len(DIMS)):
        acquisitions = network(chained=True, start=start).eval()(
            rows(9), torch.ones(9, Q, dtype=torch.float64)
        )
        choices = acquisitions.choices
        assert not (choices[:, 0] == len(DIMS)).any()
        assert (choices[:, 1:] == len(DIMS)).any(0).all()
        assert (choices[0, 1:] == start).all()
        assert acquisitions.cost[0].tolist() == pytest.approx([3.0] * 9)
        assert acquisitions.cost[1].tolist() == pytest.approx([3.1] * 9)


@pytest.mark.parametrize(("budget", "order"), [(0.5, [0]), (1.0, [0]), (3.0, [0, 2, 1]), (None, [0, 2, 1])])
def test_the_budget_stops_once_it_is_reached(budget: float | None, order: list[int]) -> None:
    net = zeroed((2, 2, 2), 2, costs=(1.0, 2.0, 1.5), budget=budget)
    with torch.no_grad():
        net.b_modal[0][0, 0] = torch.tensor([9.0, 0.0, 1.0])  # 0 is acquired already, 2 beats 1
    acquisitions = net([torch.ones(1, 2)] * 3)
    assert [int(choice) for choice in acquisitions.choices] == order
    assert acquisitions.cost.item() == pytest.approx(sum((1.0, 2.0, 1.5)[k] for k in order))


def test_tenths_that_reach_a_budget_only_up_to_rounding_stop() -> None:
    net = zeroed((1,) * 10, 1, costs=(0.1,) * 10, budget=0.7)
    assert len(net([torch.ones(1, 1)] * 10).choices) == 7


def test_a_confident_row_stops_and_keeps_its_scores_while_others_read_on() -> None:
    net = zeroed((1, 1), 1, confidence=0.9)
    with torch.no_grad():
        net.b_in[2] = 50.0  # output gate open
        net.b_in[0] = 50.0  # input gate open
        net.W_in[0][0, 3] = 1.0
        net.V[0][0, 0, 0] = 5.0
        net.b_V[1][0, 0, 0] = -0.5
    acquisitions = net([torch.tensor([[9.0], [0.1]]), torch.zeros(2, 1)])
    sure = np.tanh(np.tanh(9.0)) * 5.0
    assert acquisitions.choices[1].tolist() == [[-1, 1]]
    assert acquisitions.final_logits()[0, :, 0].tolist() == pytest.approx([sure, -0.5], abs=1e-5)
    assert acquisitions.cost.tolist() == [[1.0, 2.0]]


def test_the_order_of_the_modalities_does_not_matter() -> None:
    net, x, order = network(peepholes=True), rows(11), [2, 0, 1]
    moved = AcquisitionNetwork([DIMS[k] for k in order], Q, H, net.options, start=order.index(0)).double()
    state = net.state_dict()
    for k, old in enumerate(order):
        state[f"W_in.{k}"] = net.W_in[old]
    for t in range(3):
        state[f"V_modal.{t}"] = net.V_modal[t][..., order]
        state[f"b_modal.{t}"] = net.b_modal[t][..., order]
    moved.load_state_dict(state)
    here, there = net(x), moved([x[k] for k in order])
    torch.testing.assert_close(there.final_logits(), here.final_logits())
    for mine, theirs in zip(here.choices, there.choices, strict=True):
        assert torch.equal(torch.tensor(order)[theirs], mine)


def test_orthogonal_columns_span_all_modalities() -> None:
    net = AcquisitionNetwork((5, 9), 2, 4, NetworkOptions(costs=(1.0, 1.0)), generator=generator())
    for block in torch.cat(list(net.W_in)).split(4, dim=1):
        torch.testing.assert_close(block.T @ block, torch.eye(4), atol=1e-5, rtol=0)
    for block in net.U[0].split(4, dim=1):
        torch.testing.assert_close(block.T @ block, torch.eye(4), atol=1e-5, rtol=0)


def test_dropout_scales_what_it_keeps_and_is_off_without_a_generator() -> None:
    net = network(dropout=0.75)
    masks = net.masks(generator(), 1, 400, 400)
    assert masks is not None
    assert [tuple(mask.shape) for mask in masks] == [(1, 400, H), (1, 400, 2 * H), (1, 400, 3 * H)]
    for mask in masks:
        assert set(mask.unique().tolist()) == {0.0, 4.0}
        assert mask.mean().item() == pytest.approx(1, abs=0.15)
    assert net.masks(None, 1, 400, 400) is None


def test_costs_must_fit_the_modalities() -> None:
    with pytest.raises(ValueError, match="2 costs for 3 modalities"):
        AcquisitionNetwork(DIMS, Q, H, NetworkOptions(costs=(1.0, 1.0)))


def test_a_chain_refuses_to_run_without_labels() -> None:
    with pytest.raises(ValueError, match="needs labels"):
        network(chained=True)(rows(2))
