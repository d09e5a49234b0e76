"""Networks trained side by side end where each would end alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import pytest
import torch
from networks import loss_options, model_options, reference_form
from sklearn.exceptions import NotFittedError
from tape import pretended_capture, refused
from torch import Tensor

from benchmark.contracts import Array, CannotTrainTogetherError, Holdout, Problem, Streams
from benchmark.learning import replay
from benchmark.learning.training import TrainingSettings, training_step
from m3la.estimator import M3LA, TrainingRows
from m3la.fast import make_factored_optimiser
from m3la.loss import m3la_loss
from m3la.model import M3LANet
from m3la.rows import REPAIRED
from m3la.together import fit_together, steps_of

DIMS, Q, N = (5, 3, 4), 4, 50
SEEDS = (0, 1, 2)


def problem(seed: int, holdout: bool = False) -> Problem:
    drawn = np.random.default_rng(seed)
    modalities = [drawn.normal(size=(N, d)).astype(np.float32) for d in DIMS]
    signal = modalities[0][:, :Q] + drawn.normal(size=(N, Q)) / 2
    labels = (signal > 0.4).astype(np.uint8)
    held = Holdout([x[:9] for x in modalities], labels[:9]) if holdout else None
    return modalities, labels, held


def estimators(**options: object) -> list[M3LA]:
    return [
        M3LA(**{"hidden": 6, "batch_size": 16, "epochs": 2, "random_state": Streams("toy", seed), **options})
        for seed in SEEDS
    ]


def scores(method: M3LA, data: Problem) -> Array:
    return method.trace(data[0])["step_scores"]


OPTIONS: list[dict[str, object]] = [
    {},
    {"order": "random"},
    {"order_gradient": "gumbel"},
    {"order_gradient": "reinforce"},
    {"order_gradient": "prob_scale", "allow_repeats": True},
    {"first_input": "zeros"},
    {"attention": "general"},
    {"attention": "dot"},
    {"attention": "mean"},
    {"s0_source": "final_states"},
    {"s0_source": "mean", "s0_activation": "tanh"},
    {"feedback": "logits"},
    {"label_correlation": False},
    {"w_co_diagonal": "zero", "w_co_init": "xavier"},
    {"label_head": "per_step"},
    {"cost_prediction": "top_lcard"},
    {"weight_normalisation": "mean_one"},
    {"weight_refresh": 2, "epochs": 3},
    {"dropout": 0.3},
    {"clip_norm": 0.1},
    {"optimiser": "sgd_momentum"},
    {"initialisation": "orthogonal"},
    {"decay_form": "coupled_no_bias"},
    # Adam divides by gradients near zero, so that single precision decides; it is compared in double below.
    {**REPAIRED, "epochs": 12, "patience": 2, "optimiser": "sgd", "learning_rate": 0.05},
]


@pytest.mark.parametrize("options", OPTIONS, ids=lambda o: ",".join(f"{k}={v}" for k, v in o.items())[:60])
def test_three_networks_side_by_side_equal_three_fits(options: dict[str, object]) -> None:
    together, alone = estimators(**options), estimators(**options)
    problems = [problem(seed, together[0].needs_holdout) for seed in SEEDS]
    assert fit_together(together, problems) == [None] * len(SEEDS)
    for ours, single, data in zip(together, alone, problems, strict=True):
        single.fit(*data)
        np.testing.assert_allclose(scores(ours, data), scores(single, data), atol=1e-5)
        np.testing.assert_allclose(ours.history_.loss, single.history_.loss, rtol=1e-5)
        assert ours.history_.best_epoch == single.history_.best_epoch
        assert len(ours.history_.monitored) == len(single.history_.monitored)
        if data[2] is not None:
            np.testing.assert_allclose(ours.holdout_scores_, single.holdout_scores_, atol=1e-5)
    assert not np.allclose(scores(together[0], problems[0]), scores(together[1], problems[0]))


def test_networks_with_early_stopping_stop_at_epochs_of_their_own() -> None:
    methods = estimators(**{**REPAIRED, "epochs": 30, "patience": 2, "learning_rate": 0.05})
    assert fit_together(methods, [problem(seed, True) for seed in SEEDS]) == [None] * 3
    assert len({method.history_.best_epoch for method in methods}) > 1


def test_a_network_that_diverges_says_so_and_leaves_the_others_as_they_would_be(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    problems = [problem(seed) for seed in SEEDS]
    order = Streams("toy", 1).generator("shuffling").permutation(N)
    prepared = M3LA.training_rows

    def planted(self: M3LA, *given: Any) -> TrainingRows:
        rows = prepared(self, *given)
        if self.streams_.seed == 1:
            rows.targets[order[2 * 16 + 3]] = torch.nan  # a row of the third batch
        return rows

    monkeypatch.setattr(M3LA, "training_rows", planted)
    methods = estimators()
    outcomes = fit_together(methods, problems)
    assert [o is None for o in outcomes] == [True, False, True]
    assert "training loss became nan in epoch 1, step 3" in str(outcomes[1])
    with pytest.raises(NotFittedError):
        methods[1].predict_scores(problems[1][0])
    (single,) = estimators()[2:]
    single.fit(*problems[2])
    np.testing.assert_allclose(scores(methods[2], problems[2]), scores(single, problems[2]), atol=1e-5)


@pytest.mark.parametrize(
    ("form", "optimiser", "clip_norm", "steps"),
    # Adam amplifies rounding: it divides by gradients that can be near zero.
    [
        (nullcontext, "sgd", None, 40),
        (nullcontext, "sgd", 0.3, 40),
        (nullcontext, "adam", 0.3, 20),
        (reference_form, "sgd", 0.3, 40),
        (reference_form, "adam", 0.3, 20),
    ],
)
def test_steps_in_double_precision_stay_with_separate_networks(
    form: Callable[[], AbstractContextManager[None]], optimiser: str, clip_norm: float | None, steps: int
) -> None:
    with form():
        _compare_steps(optimiser, clip_norm, steps)


def _compare_steps(optimiser: str, clip_norm: float | None, steps: int) -> None:
    def losses(net: M3LANet, rows: slice | int) -> Callable[[Tensor], Tensor]:
        return lambda _: m3la_loss(net([a[rows] for a in x]), y[rows], 1.6, loss_options())

    def generators() -> list[torch.Generator]:
        return [torch.Generator().manual_seed(seed) for seed in SEEDS]

    batched = M3LANet(DIMS, Q, 8, model_options(), generators()).double()
    singles = [M3LANet(DIMS, Q, 8, model_options(), g).double() for g in generators()]
    drawn = torch.Generator().manual_seed(9)
    x = [torch.randn(3, 12, d, generator=drawn, dtype=torch.float64) for d in DIMS]
    y = (torch.rand(3, 12, Q, generator=drawn) < 0.4).double()
    settings = TrainingSettings(
        epochs=1,
        optimiser=optimiser,
        learning_rate=0.01 if optimiser == "adam" else 0.05,
        weight_decay=2e-4,
        clip_norm=clip_norm,
    )
    with torch.no_grad():
        before = singles[0]([a[0] for a in x]).scores()
    for net, rows, n in [(batched, slice(None), 3), *((net, i, None) for i, net in enumerate(singles))]:
        stepper, loss = make_factored_optimiser(net, settings), losses(net, rows)
        for _ in range(steps):
            training_step(net, stepper, loss, torch.arange(12), clip_norm, n)
    with torch.no_grad():
        expected = torch.stack([net([a[i] for a in x]).scores() for i, net in enumerate(singles)])
        torch.testing.assert_close(batched(x).scores(), expected, atol=1e-9, rtol=0)
        assert float((expected[0] - before).abs().max()) > 0.02


def test_networks_that_differ_in_structure_are_fitted_one_by_one() -> None:
    methods, alone = estimators(encoder_order="random"), estimators(encoder_order="random")
    assert fit_together(methods, [problem(seed) for seed in SEEDS]) == [None] * 3
    for ours, single, seed in zip(methods, alone, SEEDS, strict=True):
        single.fit(*problem(seed))
        np.testing.assert_allclose(scores(ours, problem(seed)), scores(single, problem(seed)), atol=1e-5)


def digest(methods: list[M3LA], seed: int) -> bytes:
    (method,) = (one for one in methods if one.random_state.seed == seed)
    return scores(method, problem(seed)).tobytes() + method.holdout_scores_.tobytes()


def test_a_seed_has_the_same_bits_whoever_trains_beside_it() -> None:
    options = {**REPAIRED, "hidden": 6, "epochs": 3, "patience": 2, "dropout": 0.2}

    def fitted(seeds: Sequence[int]) -> list[M3LA]:
        methods = [M3LA(**options, batch_size=16, random_state=Streams("toy", seed)) for seed in seeds]
        assert fit_together(methods, [problem(seed, True) for seed in seeds]) == [None] * len(seeds)
        return methods

    alone, some, all_ten = fitted([7]), fitted(range(5, 10)), fitted(range(10))
    assert digest(alone, 7) == digest(some, 7) == digest(all_ten, 7)
    assert digest(some, 5) == digest(all_ten, 5)


@pytest.mark.parametrize("form", ["fast", "reference"])
@pytest.mark.parametrize(
    "options",
    [
        {},
        *({"order_gradient": kind} for kind in ("prob_ratio", "prob_scale", "gumbel", "reinforce", "none")),
        {"order": "random", "cost_prediction": "top_lcard", "w_co_diagonal": "zero"},
        {
            "label_head": "per_step",
            "feedback": "hard",
            "weight_normalisation": "mean_one",
            "weight_refresh": 1,
        },
    ],
)
def test_a_step_holds_nothing_that_a_capture_refuses(form: str, options: dict[str, object]) -> None:
    steps = steps_of(estimators(form=form, **options), [problem(seed) for seed in SEEDS])
    rows = torch.arange(16).expand(3, -1)
    assert refused(lambda: steps.losses_of_rows(rows)) == []


@pytest.mark.parametrize("form", ["fast", "reference"])
def test_a_step_makes_no_tensor_elsewhere_than_on_its_device(form: str) -> None:
    """Nor could it be captured: what comes from the host is frozen, or refused."""
    steps = steps_of(estimators(form=form), [problem(seed) for seed in SEEDS])
    batch = steps.losses_of_rows.__self__  # type: ignore[attr-defined]
    batch.net.to("meta")
    for name in ("targets", "network_index", "cardinalities"):
        setattr(batch, name, getattr(batch, name).to("meta"))
    batch.inputs = [x.to("meta") for x in batch.inputs]
    losses = steps.losses_of_rows(torch.zeros(3, 16, dtype=torch.int64, device="meta"))
    losses.sum().backward()
    assert losses.shape == (3,)
    assert {p.grad.device.type for p in batch.net.parameters() if p.grad is not None} == {"meta"}


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"order_gradient": "gumbel", "dropout": 0.3, "schedule": "per_step"},
        {"weight_refresh": 2, "epochs": 3, "clip_norm": 0.1},
        {**REPAIRED, "epochs": 4, "patience": 2},
    ],
    ids=["literal", "stochastic", "stale", "repaired"],
)
def test_replayed_steps_have_every_bit_of_eager_ones(
    options: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    eager, replayed = estimators(**options), estimators(**options)
    problems = [problem(seed, eager[0].needs_holdout) for seed in SEEDS]
    assert fit_together(eager, problems) == [None] * 3
    monkeypatch.setattr(replay, "capture", pretended_capture)
    assert fit_together(replayed, problems) == [None] * 3
    for one, other, data in zip(eager, replayed, problems, strict=True):
        assert one.history_ == other.history_
        assert scores(one, data).tobytes() == scores(other, data).tobytes()


def test_what_cannot_be_trained_side_by_side_is_refused() -> None:
    methods = estimators()
    methods[1].set_params(hidden=7)
    with pytest.raises(CannotTrainTogetherError, match="hidden is 6 and 7"):
        fit_together(methods, [problem(seed) for seed in SEEDS])
    shorter = problem(1)
    shorter = ([x[:-1] for x in shorter[0]], shorter[1][:-1], None)
    with pytest.raises(CannotTrainTogetherError, match="shapes"):
        fit_together(estimators(), [problem(0), shorter, problem(2)])
