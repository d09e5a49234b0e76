"""The hand-written derivatives against autograd, for every option of the network."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from autograd_network import AutogradNet
from torch import Tensor

from m3la import kernels
from m3la.choice import ChoiceMemory, ModalityChoice
from m3la.gru import Block, gru_backward, gru_forward
from m3la.loss import LossOptions, m3la_loss
from m3la.model import M3LANet, ModelOptions

DIMS, Q, H, B = (7, 5, 11, 3), 4, 8, 9

OPTIONS: list[dict[str, object]] = [
    {},
    *({"order_gradient": g} for g in ("none", "prob_ratio", "prob_scale", "gumbel", "reinforce")),
    *({"order_gradient": g, "allow_repeats": True} for g in ("straight_through", "prob_ratio", "prob_scale")),
    *(
        {"first_input": "first", "order_gradient": g, "allow_repeats": True}
        for g in ("straight_through", "prob_scale")
    ),
    *(
        {"first_input": f, "order_gradient": g}
        for f in ("first", "zeros")
        for g in ("straight_through", "prob_ratio")
    ),
    {"first_input": "zeros", "order_gradient": "prob_scale"},
    {"first_input": "zeros", "order_gradient": "reinforce"},
    {"order": "fixed"},
    {"order": "random"},
    *({"attention": a} for a in ("general", "dot", "mean")),
    *({"s0_source": s, "s0_activation": "tanh"} for s in ("h_m", "final_states", "mean")),
    {"encoder_order": (2, 0, 3, 1)},
    *({"feedback": f} for f in ("detach", "logits", "hard")),
    *({"feedback": f, "label_activation": "sigmoid"} for f in ("probabilities", "logits", "hard")),
    {"label_correlation": False},
    {"w_co_diagonal": "zero"},
    {"label_head": "per_step"},
    {"dropout": 0.3},
]


def named(options: dict[str, object]) -> str:
    return ",".join(f"{k}={v}" for k, v in options.items()) or "literal"


def twins(dims: tuple[int, ...], options: dict[str, object]) -> tuple[M3LANet, M3LANet]:
    """The network and its autograd twin in double precision, wide enough that orders differ between rows."""
    torch.manual_seed(1)
    given = ModelOptions(**{"w_co_init": "small_normal", **options})  # type: ignore[arg-type]
    ours, oracle = M3LANet(dims, Q, H, given).double(), AutogradNet(dims, Q, H, given).double()
    with torch.no_grad():
        ours.W_modal.mul_(8)
        for parameter in ours.parameters():
            parameter.mul_(1.5)
        if ours.options.label_correlation:
            ours.W_co.mul_(50)
    oracle.load_state_dict(ours.state_dict())
    return ours, oracle


def batch(dims: tuple[int, ...]) -> tuple[list[Tensor], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(3)
    x = [torch.randn(B, d, generator=generator, dtype=torch.float64) for d in dims]
    y = (torch.rand(B, Q, generator=generator) < 0.4).double()
    return x, y, torch.rand(B, len(dims), len(dims), generator=generator, dtype=torch.float64)


@pytest.mark.parametrize("form", ["rows", "tensors"])
@pytest.mark.parametrize("dims", [DIMS, DIMS[:2], DIMS[:1]], ids=["four", "two", "one"])
@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_scores_and_every_gradient_equal_those_of_autograd(
    options: dict[str, object], dims: tuple[int, ...], form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(kernels, "compiles_for", lambda _: form == "rows")
    if "encoder_order" in options and len(dims) < 4:
        pytest.skip("the order names four modalities")
    ours, oracle = twins(dims, options)
    x, y, noise = batch(dims)
    stochastic = options.get("order") == "random" or options.get("order_gradient") in ("gumbel", "reinforce")
    loss_options = LossOptions(reinforce=options.get("order_gradient") == "reinforce")
    steps = []
    for net in (ours, oracle):
        generator = torch.Generator().manual_seed(5) if "dropout" in options else None
        steps.append(net(x, noise if stochastic else None, generator))
        m3la_loss(steps[-1], y, 1.6, loss_options).backward()
    assert torch.equal(steps[0].orders, steps[1].orders)
    torch.testing.assert_close(steps[0].scores(), steps[1].scores(), atol=1e-12, rtol=0)
    torch.testing.assert_close(steps[0].attention, steps[1].attention, atol=1e-12, rtol=0)
    theirs = dict(oracle.named_parameters())
    for name, parameter in ours.named_parameters():
        expected = theirs[name].grad
        if expected is None:
            assert parameter.grad is None, name
            continue
        assert parameter.grad is not None, name
        torch.testing.assert_close(
            parameter.grad, expected, atol=1e-11, rtol=1e-9, msg=lambda m, n=name: f"{n}: {m}"
        )


def test_orders_differ_between_the_rows_of_the_oracle_s_batch() -> None:
    ours, _ = twins(DIMS, {})
    assert len(ours(batch(DIMS)[0]).orders.unique(dim=0)) > 2


class GRUStep(torch.autograd.Function):
    """One step of two cells, as autograd sees it."""

    @staticmethod
    def forward(ctx: Any, block: Tensor, hidden: Tensor) -> Tensor:
        ctx.block, ctx.hidden, out = block.clone(), hidden, torch.empty_like(hidden)
        gru_forward(Block(ctx.block), hidden, out)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        block = ctx.block.clone()  # the check goes backwards more than once
        grad_hidden = torch.empty_like(grad)
        gru_backward(grad, Block(block), ctx.hidden, grad_hidden)
        return block, grad_hidden


def test_a_gru_step_matches_finite_differences() -> None:
    generator = torch.Generator().manual_seed(0)
    inputs = [
        torch.randn(s, generator=generator, dtype=torch.float64, requires_grad=True)
        for s in ((2, 3, 16), (2, 3, 4))
    ]
    assert torch.autograd.gradcheck(GRUStep.apply, inputs)


def test_a_gru_step_is_that_of_torch() -> None:
    """Both windows of a block, against nn.GRUCell with its columns reset | update | candidate."""
    generator = torch.Generator().manual_seed(0)
    x, hidden = torch.randn(2, 3, 4, generator=generator)
    cell = torch.nn.GRUCell(4, 4)
    block, out = Block(torch.zeros(1, 3, 16)), torch.empty(1, 3, 4)
    with torch.no_grad():
        block.i.add_(torch.nn.functional.linear(x, cell.weight_ih, cell.bias_ih))
        recurrent = torch.nn.functional.linear(hidden, cell.weight_hh, cell.bias_hh)
        block.all[0, :, :12].add_(recurrent.roll(4, -1))
        gru_forward(block, hidden, out)
        torch.testing.assert_close(out[0], cell(x, hidden))


def test_a_second_backward_pass_is_refused_instead_of_using_overwritten_blocks() -> None:
    ours, _ = twins(DIMS, {})
    x, y, _ = batch(DIMS)
    loss = m3la_loss(ours(x), y, 1.6, LossOptions())
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="run the network again"):
        loss.backward()


def test_modality_head_gets_the_straight_through_gradient_on_two_modalities() -> None:
    """dL/du_j = sum_k c_k pi_k (delta_kj - pi_j) with c_k = dL/dw_k, computed by hand."""
    choice = ModalityChoice(2)
    u = torch.tensor([[0.3, -0.4], [1.0, 1.5]], dtype=torch.float64)
    credit = torch.tensor([[2.0, -1.0], [0.5, 3.0]], dtype=torch.float64)
    memory = ChoiceMemory(u, 2, 2)
    memory.u[0], memory.credit[:] = u, credit
    memory.available.fill_(True)
    picked = choice(0, memory, None)
    assert picked.index.tolist() == [0, 1]
    assert choice.weight(picked) is None
    assert choice.logit_gradient(0, picked, memory, None)
    found = memory.grad_u[0]
    for i in range(2):
        e = np.exp(u[i].numpy())
        pi, c = e / e.sum(), credit[i].numpy()
        by_hand = [sum(c[k] * pi[k] * ((k == j) - pi[j]) for k in range(2)) for j in range(2)]
        np.testing.assert_allclose(found[i].numpy(), by_hand, atol=1e-12)
    assert float(found.abs().min()) > 1e-3
