"""The fast form against the reference, for every option of the network, and its parts by themselves."""

from __future__ import annotations

from copy import deepcopy

import numpy as np
import pytest
import torch
from networks import (
    DIMS,
    OPTIONS,
    assert_same_pass,
    batch,
    loss_options,
    model_options,
    named,
    one_pass,
    reference_form,
    seeded,
    wide_network,
)
from torch import Tensor

from m3la.fast.choice import ChoiceMemory, ModalityChoice
from m3la.fast.encoder import encode
from m3la.fast.labels import label_steps
from m3la.loss import m3la_loss


@pytest.mark.parametrize("dims", [DIMS, DIMS[:2], DIMS[:1]], ids=["four", "two", "one"])
@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_scores_and_every_gradient_equal_those_of_the_reference(
    options: dict[str, object], dims: tuple[int, ...]
) -> None:
    if "encoder_order" in options:
        options = {"encoder_order": tuple(k for k in (2, 0, 3, 1) if k < len(dims))}
    net = wide_network(dims, **options)
    twin = deepcopy(net)
    ours = one_pass(net, *batch(dims), seeded(5))
    with reference_form():
        theirs = one_pass(twin, *batch(dims), seeded(5))
    assert_same_pass(ours, theirs)


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_networks_side_by_side_equal_those_of_the_reference(options: dict[str, object]) -> None:
    net = wide_network(generator=[seeded(0), seeded(1)], **options)
    twin = deepcopy(net)
    ours = one_pass(net, *batch(DIMS, 2), [seeded(5), seeded(6)])
    with reference_form():
        theirs = one_pass(twin, *batch(DIMS, 2), [seeded(5), seeded(6)])
    assert_same_pass(ours, theirs)


def test_the_reference_is_another_computation() -> None:
    """Or the comparisons above would compare the fast form with itself."""
    net = wide_network()
    x, _, _ = batch()
    ours = net(x)
    with reference_form():
        theirs = net(x)
    assert type(ours.log_scores.grad_fn) is not type(theirs.log_scores.grad_fn)


def test_orders_differ_between_the_rows_of_the_batch() -> None:
    assert len(wide_network()(batch()[0]).orders.unique(dim=0)) > 2


def test_the_encoder_matches_finite_differences() -> None:
    """Along a random direction of all its parameters, without the reference or autograd's own derivatives."""
    net = wide_network(DIMS[:2])
    x = [each.requires_grad_(False) for each in batch(DIMS[:2])[0]]
    parameters = [*net.W_in, net.b_in, net.U_enc, net.b_enc]
    drawn = seeded(7)
    directions = [torch.randn(p.shape, generator=drawn, dtype=p.dtype) for p in parameters]
    weights = [
        torch.randn(s, generator=drawn, dtype=torch.float64) for s in ((9, 2, 16), (9, 16), (2, 9, 24))
    ]

    def value() -> Tensor:
        outputs = encode(x, list(net.W_in), net.b_in, net.U_enc, net.b_enc, (1, 0), net.workspace)
        return torch.stack([(w * out).sum() for w, out in zip(weights, outputs, strict=True)]).sum()

    value().backward()
    slope = sum((p.grad * d).sum() for p, d in zip(parameters, directions, strict=True))
    values, step = [], 1e-5
    with torch.no_grad():
        for size in (step, -2 * step):
            for p, d in zip(parameters, directions, strict=True):
                p.add_(size * d)
            values.append(float(value()))
    assert float(slope) == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-7)


def test_a_second_backward_pass_is_refused_instead_of_using_overwritten_blocks() -> None:
    x, y, _ = batch()
    loss = m3la_loss(wide_network()(x), y, 1.6, loss_options())
    loss.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="run the network again"):
        loss.backward()


def test_modality_head_gets_the_straight_through_gradient_on_two_modalities() -> None:
    """dL/du_j = sum_k c_k pi_k (delta_kj - pi_j) with c_k = dL/dw_k, computed by hand."""
    choice = ModalityChoice(2, model_options())
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


@pytest.mark.parametrize("feedback", ["probabilities", "logits"])
def test_gradients_of_confident_labels_do_not_cancel(feedback: str) -> None:
    """A wrongly confident label is pushed down however confident it is; against double precision."""
    z = torch.stack([torch.tensor([float(gap), 0.0, 1.0, -1.0]) for gap in torch.arange(0, 80, 0.5)])
    own = torch.stack([z, z.roll(1, -1)])  # (m, B, q)
    grads = []
    for dtype in (torch.float32, torch.float64):
        inputs = own.to(dtype, copy=True).requires_grad_()
        W_co = 0.1 * torch.arange(16, dtype=dtype).reshape(4, 4)
        log_p, log_complement = label_steps(inputs, W_co, "softmax", feedback)
        (log_complement[..., :2].sum() + log_p[..., 2:].sum()).backward()
        assert inputs.grad is not None
        grads.append(inputs.grad.double())
    torch.testing.assert_close(grads[0], grads[1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("feedback", ["probabilities", "logits"])
def test_log_complements_stay_finite_and_true_to_what_is_not_a_number(feedback: str) -> None:
    own = torch.tensor([[[200.0, 0.0, 0.0], [torch.nan, 0.0, 0.0]]])  # one step, two rows
    for scores in label_steps(own, None, "softmax", feedback):
        assert torch.isfinite(scores[0, 0]).all()
        assert torch.isnan(scores[0, 1]).all()
