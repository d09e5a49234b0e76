"""DMPs and MCCs trained side by side end where each would end alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from tape import pretended_capture, refused
from torch.utils._pytree import tree_map

from baselines import DMP, MCC
from baselines.sequential.together import fit_together, steps_of
from benchmark.contracts import Holdout, Problem, Streams
from benchmark.learning import replay

DIMS, Q, N = (5, 3, 4), 3, 44
SEEDS = (0, 1, 2)
Method = type[DMP] | type[MCC]

CASES: list[tuple[Method, dict[str, object]]] = [
    (DMP, {}),
    (DMP, {"dropout": 0.0, "selection": "last"}),
    (DMP, {"budget": 0.2, "confidence": 0.8, "monitor": "hamming"}),
    (DMP, {"peepholes": True, "modality_head": "history", "modality_loss": "distance", "l2": 0.1}),
    (DMP, {"modality_factor": "label_loss", "cost_term": "squared", "costs": (0.1, 0.2, 0.3)}),
    (DMP, {"allow_repeats": True, "loss_form": "code", "neighbour_sign": "always_minus", "hidden": None}),
    (DMP, {"optimiser": "adam", "learning_rate": 0.01}),
    (MCC, {}),
    (MCC, {"confidence": 0.6, "budget": 2.1, "monitor": "hamming"}),
    (MCC, {"modality_loss": "none", "selection": "last", "first_modality": "labels"}),
]


def problem(seed: int, holdout: bool) -> Problem:
    drawn = np.random.default_rng(seed)
    modalities = [drawn.normal(size=(N, d)).astype(np.float32) for d in DIMS]
    labels = (modalities[0][:, :Q] + drawn.normal(size=(N, Q)) / 2 > 0.4).astype(np.uint8)
    return modalities, labels, Holdout([x[:9] for x in modalities], labels[:9]) if holdout else None


def estimators(kind: Method, options: dict[str, object], seeds: Sequence[int] = SEEDS) -> list[DMP | MCC]:
    small = {"hidden": 5, "epochs": 3, "batch_size": 16, "patience": 2, **options}
    return [kind(**small, random_state=Streams("toy", seed)) for seed in seeds]


def fitted(kind: Method, options: dict[str, object], seeds: Sequence[int] = SEEDS) -> list[DMP | MCC]:
    methods = estimators(kind, options, seeds)
    problems = [problem(seed, methods[0].needs_holdout) for seed in seeds]
    assert fit_together(methods, problems) == [None] * len(seeds)
    return methods


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_three_side_by_side_equal_three_fits(kind: Method, options: dict[str, object]) -> None:
    for ours, single, seed in zip(fitted(kind, options), estimators(kind, options), SEEDS, strict=True):
        data = problem(seed, single.needs_holdout)
        single.fit(*data)
        np.testing.assert_allclose(ours.history_.loss, single.history_.loss, rtol=2e-5)
        np.testing.assert_allclose(ours.history_.monitored, single.history_.monitored, rtol=2e-4)
        assert ours.history_.best_epoch == single.history_.best_epoch
        np.testing.assert_allclose(ours.predict_scores(data[0]), single.predict_scores(data[0]), atol=2e-4)
        if data[2] is not None:
            np.testing.assert_allclose(ours.holdout_scores_, single.holdout_scores_, atol=2e-4)


@pytest.mark.parametrize(("kind", "options"), [(DMP, {}), (MCC, {})])
def test_a_seed_has_the_same_bits_whoever_trains_beside_it(kind: Method, options: dict[str, object]) -> None:
    def digests(seeds: Sequence[int]) -> dict[int, bytes]:
        methods = fitted(kind, options, seeds)
        return {
            seed: method.predict_scores(problem(seed, False)[0]).tobytes()
            for seed, method in zip(seeds, methods, strict=True)
        }

    alone, some, all_ten = digests([7]), digests(range(5, 10)), digests(range(10))
    assert alone[7] == some[7] == all_ten[7]
    assert some[5] == all_ten[5]


@pytest.mark.parametrize(("kind", "options"), [(DMP, {}), (MCC, {"optimiser": "adam"})])
def test_replayed_steps_have_every_bit_of_eager_ones(
    kind: Method, options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    options = {**options, "dropout": 0.0} if kind is DMP else options
    eager = fitted(kind, options)
    monkeypatch.setattr(replay, "capture", pretended_capture)
    for one, other, seed in zip(eager, fitted(kind, options), SEEDS, strict=True):
        rows = problem(seed, False)[0]
        assert one.history_ == other.history_
        assert one.predict_scores(rows).tobytes() == other.predict_scores(rows).tobytes()


@pytest.mark.parametrize("kind", [DMP, MCC])
def test_one_that_diverges_says_so_and_leaves_the_others_alone(
    kind: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    order = Streams("toy", 1).generator("shuffling").permutation(N)
    prepared = kind.start

    def planted(self: Any, *given: Any) -> Any:
        material = prepared(self, *given)
        if self.streams_.seed == 1:
            material[1][order[16 + 3]] = torch.nan  # labels of a row of the second batch
        return material

    monkeypatch.setattr(kind, "start", planted)
    methods = estimators(kind, {"selection": "last"})
    outcomes = fit_together(methods, [problem(seed, False) for seed in SEEDS])
    assert [outcome is None for outcome in outcomes] == [True, False, True]
    assert "training loss became nan in epoch 1, step 2 " in str(outcomes[1])
    (single,) = estimators(kind, {"selection": "last"})[2:]
    single.fit(*problem(2, False))
    rows = problem(2, False)[0]
    np.testing.assert_allclose(methods[2].predict_scores(rows), single.predict_scores(rows), atol=2e-4)


@pytest.mark.parametrize(("kind", "options"), CASES)
def test_a_step_holds_nothing_that_a_capture_refuses(kind: Method, options: dict[str, object]) -> None:
    steps = steps_of(estimators(kind, options), [problem(seed, False) for seed in SEEDS])
    rows = torch.arange(16).expand(3, -1)
    assert refused(lambda: steps.losses_of_rows(rows)) == []


@pytest.mark.parametrize("kind", [DMP, MCC])
def test_a_step_makes_no_tensor_elsewhere_than_on_its_device(kind: Method) -> None:
    """Nor could it be captured: what comes from the host is frozen, or refused."""
    methods = estimators(kind, {"selection": "last"})
    steps = steps_of(methods, [problem(seed, False) for seed in SEEDS])
    group = steps.losses_of_rows.__self__  # type: ignore[attr-defined]
    group.net.to("meta")
    group.one.network_.to("meta")
    group.material = tree_map(lambda x: x.to("meta"), group.material)
    losses = group.losses(torch.zeros(3, 16, dtype=torch.int64, device="meta"))
    losses.sum().backward()
    assert losses.shape == (3,)
    assert {p.grad.device.type for p in group.net.parameters() if p.grad is not None} == {"meta"}
