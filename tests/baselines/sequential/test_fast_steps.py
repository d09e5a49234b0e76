"""The compiled steps against the reference for every option, and what surrounds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy

import pytest
import torch
from torch import Tensor

from baselines.sequential import fast
from baselines.sequential.network import AcquisitionNetwork, Acquisitions, NetworkOptions
from benchmark.run.fingerprint import reachable_definitions

DIMS, H, Q, B, N = (3, 2, 4, 5), 5, 3, 11, 4

OPTIONS: list[dict[str, object]] = [
    {},
    {"peepholes": True, "modality_head": "history"},
    {"peepholes": True},
    {"modality_head": "history"},
    {"budget": 2.0},
    {"confidence": 0.62},
    {"n_steps": 2},
    {"n_steps": 1},
    {"dropout": 0.4},
]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def network(dims: tuple[int, ...] = DIMS, chained: bool = False, **options: object) -> AcquisitionNetwork:
    """A network in double precision whose weights are so large that rows choose differently."""
    built = AcquisitionNetwork(
        dims,
        1 if chained else Q,
        H,
        NetworkOptions(costs=(1.0,) * (len(dims) + chained), **options),  # type: ignore[arg-type]
        n_copies=Q if chained else 1,
        chained=chained,
        generator=generator(),
    ).double()
    with torch.no_grad():
        for weight in built.parameters():
            weight.add_(torch.randn(weight.shape, generator=generator(1), dtype=weight.dtype), alpha=0.5)
        for weight in built.V_modal:
            weight.mul_(4)
    return built


def batch(
    net: AcquisitionNetwork, dims: tuple[int, ...] = DIMS, n: int = B
) -> tuple[list[Tensor], Tensor | None]:
    drawn = generator(3)
    x = [torch.randn(n, d, generator=drawn).to(net.U) for d in dims]
    labels = torch.where(torch.rand(n, Q, generator=drawn) < 0.5, -1.0, 1.0).to(net.U)
    return x, labels if net.chained else None


@contextmanager
def reference_form() -> Iterator[None]:
    """The form that runs on other devices, on the CPU."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fast, "runs_on", lambda _: False)
        yield


def one_pass(net: AcquisitionNetwork, n: int | None) -> tuple[Acquisitions, Tensor, dict[str, Tensor]]:
    x, labels = batch(net, tuple(W.shape[0] for W in net.W_in))
    net.zero_grad()
    done = net(x, labels, generator(5), n_labelled=n)
    labelled = B if n is None else n
    active = (done.choices >= 0).to(net.U).unsqueeze(3)
    others = [(done.preferences[:-1] * active[:-1]).sin().sum()]
    others += [(done.preferences[-1, :, :labelled] * active[-1, :, :labelled]).cos().sum()]
    loss = (done.logits.sin() * active[:, :, : done.logits.shape[2]]).sum() + sum(others)
    loss.backward()
    return done, loss.detach(), {name: p.grad for name, p in net.named_parameters()}


@pytest.mark.parametrize("n", [None, N], ids=["all", "some"])
@pytest.mark.parametrize("chained", [False, True], ids=["one", "chain"])
@pytest.mark.parametrize("dims", [DIMS, DIMS[:1]], ids=["four", "single"])
@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_what_is_said_and_every_gradient_equal_those_of_the_reference(
    options: dict[str, object], dims: tuple[int, ...], chained: bool, n: int | None
) -> None:
    net = network(dims, chained, **options)
    twin = deepcopy(net)
    ours, our_loss, our_gradients = one_pass(net, n)
    with reference_form():
        theirs, their_loss, their_gradients = one_pass(twin, n)
    assert torch.equal(ours.choices, theirs.choices)
    torch.testing.assert_close(our_loss, their_loss, atol=1e-11, rtol=0)
    active = (ours.choices >= 0)[:, :, : ours.logits.shape[2]]
    torch.testing.assert_close(ours.logits[active], theirs.logits[active], atol=1e-11, rtol=0)
    for name, gradient in their_gradients.items():
        if gradient is not None:
            torch.testing.assert_close(
                our_gradients[name], gradient, atol=1e-11, rtol=0, msg=lambda m, name=name: f"{name}: {m}"
            )


@pytest.mark.parametrize("options", [{"confidence": 0.62}, {"n_steps": 2}, {}], ids=str)
def test_no_number_comes_from_memory_that_nobody_wrote(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not written is not a number here: rows that stopped, or have no labels, must not pass it on."""
    net = network(**options)

    def poisoned(like: Tensor, *size: int) -> Tensor:
        return like.new_full(size, torch.nan)

    monkeypatch.setattr(Tensor, "new_empty", poisoned)
    done, loss, gradients = one_pass(net, N)
    assert torch.isfinite(done.logits).all()
    assert torch.isfinite(loss)
    for name, gradient in gradients.items():
        assert gradient is None or torch.isfinite(gradient).all(), name


@pytest.mark.parametrize("rows", [1, 2, 64])
def test_batches_of_any_size_and_single_copies_agree(rows: int) -> None:
    """A last batch is smaller; predicting along a chain runs one copy after another."""
    net = network(chained=True, peepholes=True, modality_head="history", confidence=0.62)
    x, labels = batch(net, n=rows)
    for copies in (slice(None), *(slice(j, j + 1) for j in range(Q))):
        ours = net(x, labels, copies=copies)
        with reference_form():
            theirs = net(x, labels, copies=copies)
        assert torch.equal(ours.choices, theirs.choices)
        torch.testing.assert_close(ours.final_logits(), theirs.final_logits(), atol=1e-11, rtol=0)


def test_where_modalities_may_be_read_twice_the_reference_runs() -> None:
    net = network(allow_repeats=True)
    ours = one_pass(net, None)[0]
    with reference_form():
        theirs = one_pass(net, None)[0]
    assert torch.equal(ours.logits, theirs.logits)
    assert any(len(set(order)) < len(order) for order in ours.choices[:, 0].T.tolist())


def test_the_reference_is_another_computation() -> None:
    """Or the comparison above would compare the fast form with itself."""
    net = network()
    ours = net(batch(net)[0])
    with reference_form():
        theirs = net(batch(net)[0])
    assert type(ours.logits.grad_fn) is not type(theirs.logits.grad_fn)


def test_rows_of_the_comparison_choose_differently_and_stop() -> None:
    orders = network()(batch(network())[0]).choices[:, 0].T
    assert len(orders.unique(dim=0)) > 2
    assert (one_pass(network(confidence=0.62), None)[0].choices[1] < 0).any()


@pytest.mark.parametrize("chained", [False, True], ids=["one", "chain"])
def test_gradients_match_finite_differences(chained: bool) -> None:
    """Along a random direction of all parameters, without the reference or autograd's own derivatives."""
    net = network(chained=chained, peepholes=True, modality_head="history")
    gradients = {name: g.clone() for name, g in one_pass(net, None)[2].items()}
    drawn = generator(7)
    directions = {
        name: torch.randn(p.shape, generator=drawn, dtype=p.dtype) for name, p in net.named_parameters()
    }
    step, losses = 1e-6, []
    for sign in (1, -1):
        moved = deepcopy(net)
        with torch.no_grad():
            for name, parameter in moved.named_parameters():
                parameter.add_(directions[name], alpha=sign * step)
        losses.append(float(one_pass(moved, None)[1]))
    expected = sum(float((gradients[name] * directions[name]).sum()) for name in gradients)
    assert (losses[0] - losses[1]) / (2 * step) == pytest.approx(expected, rel=1e-7)


@pytest.mark.parametrize("chained", [False, True], ids=["one", "chain"])
def test_both_forms_agree_in_single_precision(chained: bool) -> None:
    net = network(chained=chained, peepholes=chained).float()
    twin = deepcopy(net)
    ours, _, our_gradients = one_pass(net, None)
    with reference_form():
        theirs, _, their_gradients = one_pass(twin, None)
    active = ours.choices >= 0
    torch.testing.assert_close(ours.logits[active], theirs.logits[active], atol=1e-5, rtol=1e-5)
    for name, gradient in their_gradients.items():
        torch.testing.assert_close(our_gradients[name], gradient, atol=1e-4, rtol=1e-4)


def test_a_second_backward_pass_is_refused() -> None:
    net = network()
    total = net(batch(net)[0]).logits.sum()
    total.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="run the network again"):
        total.backward()


def test_passes_overlap() -> None:
    """Two forward passes and an evaluation between them, then both backward passes."""
    net, parts = network(), (slice(0, 5), slice(4, B))
    expected: dict[str, Tensor] = {}
    for rows in parts:
        twin = deepcopy(net)
        twin([x[rows] for x in batch(net)[0]]).logits.sum().backward()
        for name, p in twin.named_parameters():
            if p.grad is not None:
                expected[name] = expected.get(name, 0) + p.grad
    totals = [net([x[parts[0]] for x in batch(net)[0]]).logits.sum()]
    with torch.no_grad():
        net(batch(net)[0])
    totals.append(net([x[parts[1]] for x in batch(net)[0]]).logits.sum())
    for total in totals:
        total.backward()
    for name, p in net.named_parameters():
        if name in expected:
            torch.testing.assert_close(p.grad, expected[name], atol=1e-12, rtol=0)


@pytest.mark.parametrize("name", ["W_in.1", "U", "V.1", "peepholes"])
def test_a_weight_that_is_not_a_number_shows_in_the_logits(name: str) -> None:
    net = network(peepholes=True).float()
    with torch.no_grad():
        dict(net.named_parameters())[name].fill_(torch.nan)
    assert torch.isnan(net(batch(net)[0]).logits).any()


def test_half_precision_takes_the_form_that_knows_it() -> None:
    net = network().to(torch.bfloat16)
    assert torch.isfinite(net(batch(net)[0]).logits).all()


@pytest.mark.parametrize("method", [("baselines.sequential.dmp", "DMP"), ("baselines.sequential.mcc", "MCC")])
def test_a_method_s_hash_sees_the_kernels(method: tuple[str, str]) -> None:
    sources = "\n".join(source for _, source in reachable_definitions([method]))
    for name in (
        "lstm_step",
        "lstm_step_backward",
        "_activate",
        "clear_unread",
        "_tanh_of",
        "_one_pass",
        "_draw",
    ):
        assert f"def {name}(" in sources, name
