"""The network as the paper writes it, by its parts; `test_model` holds the whole to a plain program."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from networks import (
    DIMS,
    OPTIONS,
    Q,
    assert_same_pass,
    batch,
    model_options,
    named,
    one_pass,
    reference_form,
    seeded,
    wide_network,
)
from torch import Tensor

from m3la import reference
from m3la.model import M3LANet
from m3la.reference import Steps


def test_a_gru_step_is_that_of_torch() -> None:
    """Against nn.GRUCell, whose recurrent columns are reset | update | candidate."""
    inputs, hidden = torch.randn(2, 3, 4, generator=seeded(0))
    cell = torch.nn.GRUCell(4, 4)
    with torch.no_grad():
        in_columns = torch.nn.functional.linear(inputs, cell.weight_ih, cell.bias_ih)
        U, b = cell.weight_hh.T.roll(4, 1), cell.bias_hh.roll(4)
        torch.testing.assert_close(reference.gru(in_columns, hidden, U, b), cell(inputs, hidden))


@pytest.mark.parametrize("options", OPTIONS, ids=named)
def test_networks_side_by_side_are_each_alone(options: dict[str, object]) -> None:
    generators, masks = [seeded(0), seeded(1)], [seeded(5), seeded(6)]
    together = wide_network(generator=generators, **options)
    x, y, noise = batch(DIMS, 2)
    with reference_form():
        steps, grads = one_pass(together, x, y, noise, masks)
        for i, seed in enumerate((5, 6)):
            alone = M3LANet(DIMS, Q, together.h, together.options).double()
            alone.load_state_dict({name: each[i] for name, each in together.state_dict().items()})
            expected = one_pass(alone, [each[i] for each in x], y[i], noise[i], seeded(seed))
            own = Steps(*(getattr(steps, name)[i] for name in Steps.__dataclass_fields__))
            assert_same_pass((own, {n: None if g is None else g[i] for n, g in grads.items()}), expected)


def label_predictions(own: Tensor, activation: str, feedback: str) -> list[tuple[Tensor, Tensor]]:
    """(11) from own logits ([m,] B, q): with W_label the identity, they are the states."""
    q = own.shape[-1]
    weights = SimpleNamespace(
        W_label=[torch.eye(q).to(own)],
        b_label=[torch.zeros(q).to(own)],
        W_co=0.1 * torch.arange(q * q).to(own).reshape(q, q),
    )
    options = replace(model_options(), label_activation=activation, feedback=feedback)
    found: list[tuple[Tensor, Tensor]] = []
    for t, s in enumerate(own):
        found.append(reference.predict(t, s, found, weights, options))  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("feedback", ["probabilities", "logits"])
def test_gradients_of_confident_labels_do_not_cancel(feedback: str) -> None:
    """A wrongly confident label is pushed down however confident it is; against double precision."""
    z = torch.stack([torch.tensor([float(gap), 0.0, 1.0, -1.0]) for gap in torch.arange(0, 80, 0.5)])
    grads = []
    for dtype in (torch.float32, torch.float64):
        own = torch.stack([z, z.roll(1, -1)]).to(dtype).requires_grad_()
        predictions = label_predictions(own, "softmax", feedback)
        log_p, log_complement = (torch.stack(x) for x in zip(*predictions, strict=True))
        (log_complement[..., :2].sum() + log_p[..., 2:].sum()).backward()
        assert own.grad is not None
        grads.append(own.grad.double())
    torch.testing.assert_close(grads[0], grads[1], atol=1e-4, rtol=1e-4)


def test_log_complements_stay_finite_and_true_to_what_is_not_a_number() -> None:
    own = torch.tensor([[[200.0, 0.0, 0.0], [torch.nan, 0.0, 0.0]]])  # one step, two rows
    for scores in label_predictions(own, "softmax", "probabilities")[0]:
        assert torch.isfinite(scores[0]).all()
        assert torch.isnan(scores[1]).all()


def test_saturated_softmax_keeps_a_finite_complement_and_gradient() -> None:
    z = torch.tensor([[40.0, 0.0, -3.0]], requires_grad=True)
    log_p, log_complement = reference.log_probabilities(z, "softmax")
    exact = torch.logsumexp(z[:, 1:].double(), 1) - torch.logsumexp(z.double(), 1)
    assert float(log_complement[0, 0].detach()) == pytest.approx(float(exact.detach()), abs=1e-4)
    log_complement.sum().backward()
    assert z.grad is not None
    assert torch.isfinite(z.grad).all()
    assert torch.isfinite(log_p).all()
