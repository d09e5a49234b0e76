"""The plain programs that speed is measured against compute what the real models compute."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from plain_forms import paired_gradients
from torch import Tensor

from baselines.sequential.dmp import DMP
from baselines.sequential.mcc import MCC
from baselines.sequential.modality_terms import Neighbourhood
from benchmark.contracts import Streams
from benchmark.studies.plain import dmp, m3la, mcc
from benchmark.studies.plain.forms import block_masks, copy_weights
from m3la.estimator import M3LA

DIMS, Q, N, H = (3, 2, 4), 4, 24, 6
PRECISIONS = [(torch.float32, 1e-5), (torch.float64, 1e-9)]


def toy(n: int = N) -> tuple[list[np.ndarray], np.ndarray]:
    drawn = np.random.default_rng(0)
    modalities = [drawn.normal(size=(n, d)).astype(np.float32) for d in DIMS]
    return modalities, (drawn.random((n, Q)) < 0.4).astype(np.uint8)


def tensors(
    modalities: list[np.ndarray], labels: np.ndarray, dtype: torch.dtype
) -> tuple[list[Tensor], Tensor]:
    return [torch.from_numpy(x).to(dtype) for x in modalities], torch.from_numpy(labels).to(dtype)


def test_masks_zero_all_blocks_but_one() -> None:
    assert block_masks((2, 1, 3)).tolist() == [[1, 1, 0, 0, 0, 0], [0, 0, 1, 0, 0, 0], [0, 0, 0, 1, 1, 1]]


@pytest.mark.parametrize(("dtype", "bound"), PRECISIONS, ids=str)
def test_dmp_has_the_scores_the_loss_and_the_gradients_of_its_plain_form(
    dtype: torch.dtype, bound: float
) -> None:
    modalities, labels = toy()
    method = DMP(hidden=H, selection="last", dropout=0.0, scaling="none", modality_weight=0.5)
    method.prepare(modalities, labels)
    reader = method.network_.to(dtype)
    with torch.no_grad():  # wide enough that rows choose differently
        for weight in reader.V_modal:
            weight.mul_(8)
    plain = dmp.PlainDMP(DIMS, Q, H, dropout=0.0).to(dtype)
    copy_weights(dmp.pairs(plain, reader))
    x, y = tensors(modalities, labels, dtype)
    found = (np.arange(N)[:, None] + [1, 5, 7]) % N
    near = Neighbourhood.of(x, labels, found, "jaccard")
    near = Neighbourhood(near.indices, near.norms, near.products, near.signs.to(dtype))
    rows = torch.arange(8)
    read = torch.cat((rows, near.indices[rows].flatten()))
    readings = reader([a[read] for a in x])
    logits, weights, orders = plain([a[read] for a in x])
    assert torch.equal(orders, torch.stack([choice[0] for choice in readings.choices], 1))
    assert len(orders.unique(dim=0)) > 1
    ours_logits = torch.stack([z[0] for z in readings.logits])
    torch.testing.assert_close(ours_logits, torch.stack(logits), atol=bound, rtol=0)
    ours = method._loss(readings, rows, y[rows], near.norms[rows], near)
    costs = torch.tensor(method.modality_costs_, dtype=dtype)
    theirs = dmp.plain_loss(logits, weights, rows, y[rows], near, costs, 0.5, method.cost_weight)
    # The reader keeps its costs in single precision.
    torch.testing.assert_close(ours, theirs, atol=max(bound, 1e-8), rtol=0)
    ours.backward()
    theirs.backward()
    for plain_gradient, gradient in paired_gradients(plain, reader, dmp.pairs):
        torch.testing.assert_close(gradient, plain_gradient, atol=bound, rtol=0)


@pytest.mark.parametrize("confidence", [None, 0.6])
@pytest.mark.parametrize(("dtype", "bound"), PRECISIONS, ids=str)
def test_mcc_has_the_scores_the_loss_and_the_gradients_of_its_plain_form(
    dtype: torch.dtype, bound: float, confidence: float | None
) -> None:
    modalities, labels = toy()
    method = MCC(hidden=H, selection="last", scaling="none", confidence=confidence)
    method.prepare(modalities, labels)
    reader = method.network_.to(dtype)
    with torch.no_grad():
        for weight in (*reader.V_modal, *reader.V):
            weight.mul_(4)
        assert reader.peepholes is not None
        reader.peepholes.normal_(generator=torch.Generator().manual_seed(1))
    plain = mcc.PlainMCC(DIMS, Q, H, confidence).to(dtype)
    copy_weights(mcc.pairs(plain, reader))
    x, y = tensors(modalities, labels[:, method.chain_order_], dtype)
    worth = torch.randn(Q, N, len(DIMS) + 1, generator=torch.Generator().manual_seed(2), dtype=dtype)
    readings, runs = reader(x, 2 * y - 1), plain(x, 2 * y - 1)
    orders = set()
    for j, run in enumerate(runs):
        for t, step in enumerate(run):
            active = readings.active(t)[j]
            assert torch.equal(step.active, active)
            assert torch.equal(step.choice[active], readings.choices[t][j][active])
            torch.testing.assert_close(
                readings.logits[t][j, active, 0], step.logits[active], atol=bound, rtol=0
            )
        orders |= set(map(tuple, torch.stack([step.choice for step in run], 1).tolist()))
    assert len(orders) > 1
    assert bool(readings.active(1).all()) == (confidence is None)
    ours = method._loss(readings, y.T, worth)
    costs = (reader.offered * reader.costs).to(dtype)
    theirs = mcc.plain_loss(plain, runs, y, worth, costs, method.regularisation)
    torch.testing.assert_close(ours, theirs, atol=bound, rtol=1e-6)
    ours.backward()
    theirs.backward()
    for plain_gradient, gradient in paired_gradients(plain, reader, mcc.pairs):
        torch.testing.assert_close(gradient, plain_gradient, atol=bound, rtol=0)


@pytest.mark.parametrize("module", [m3la, dmp, mcc], ids=["M3LA", "DMP", "MCC"])
def test_rivals_with_default_options_lose_the_same_over_some_steps(module) -> None:
    """Dropout takes the same units, as both draw from generators with one seed."""
    modalities, labels = toy(40)
    streams = Streams("speed", 0)
    rivals = module.rivals(modalities, labels, streams)
    torch.manual_seed(streams.integer("dropout"))
    before = torch.cat([p.detach().flatten().clone() for p in rivals.ours.module.parameters()])
    for rows in torch.arange(40).split(8):
        assert rivals.plain.step(rows) == pytest.approx(rivals.ours.step(rows), rel=2e-4)
    after = torch.cat([p.detach().flatten() for p in rivals.ours.module.parameters()])
    assert not torch.equal(before, after)


ESTIMATORS = {
    "M3LA": (m3la, M3LA, {}),
    "DMP": (dmp, DMP, {"selection": "last"}),
    "MCC": (mcc, MCC, {"selection": "last"}),
}


@pytest.mark.parametrize("name", ESTIMATORS)
def test_what_is_timed_is_what_a_fit_runs(name: str) -> None:
    """Two epochs of steps on the same batches give the weights of a fit of two epochs, bit for bit."""
    module, estimator, options = ESTIMATORS[name]
    modalities, labels = toy(16)
    streams = Streams("speed", 3)
    fitted = (
        estimator(epochs=2, decay_rate=1.0, random_state=streams)
        if name == "M3LA"
        else estimator(epochs=2, random_state=streams, **options)
    )
    fitted.fit(modalities, labels)
    ours = module.rivals(modalities, labels, streams).ours
    shuffling = streams.generator("shuffling")
    for _ in range(2):
        ours.step(torch.from_numpy(shuffling.permutation(16)))
    network = fitted.model_ if name == "M3LA" else fitted.network_
    for found, expected in zip(ours.module.parameters(), network.parameters(), strict=True):
        assert torch.equal(found, expected)
