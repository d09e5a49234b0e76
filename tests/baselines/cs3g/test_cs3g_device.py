"""The form for an accelerator, run on a CPU, against the form that a CPU runs."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from cs3g_examples import holdout_of, problem, rows

from baselines.cs3g.choice import choose
from baselines.cs3g.device import _Shared, shrink_norms
from baselines.cs3g.estimator import CS3G
from baselines.cs3g.model import TrainingRows
from baselines.cs3g.problem import shrink_norm

FIT, HELD, TEST = slice(0, 100), slice(100, 160), slice(160, None)


def prepared(method: CS3G, data: tuple, part: slice, device: str | None) -> TrainingRows:
    modalities, labels = data
    training = method._prepare(rows(modalities, part), labels[part])
    return TrainingRows.of(training.settings, rows(modalities, part), labels[part], device)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"laplacian_grid": (0.0,), "lasso_grid": (0.0,)},
        {"costs": "balanced", "ridge_grid": (0.1, 1e-3), "laplacian_grid": (0.0, 0.01)},
        {"scaling": "none", "ridge_grid": (0.1, 1e-3), "lasso_grid": (0.0, 0.01)},
    ],
    ids=["default", "plain", "balanced", "not-scaled"],
)
def test_choice_and_scores_are_those_of_the_other_form(seed: int, options: dict) -> None:
    modalities, labels = problem(n=220, seed=seed, dims=(12, 9, 3), q=5)
    modalities = [(x - x.mean(axis=0)) / x.std(axis=0) for x in modalities]
    data, method = (modalities, labels), CS3G(**options)
    holdout, candidates = holdout_of(modalities, labels, HELD), method._candidates()
    ours, theirs = (choose(prepared(method, data, FIT, d), candidates, holdout) for d in ("cpu", None))
    assert ours.strengths == theirs.strengths
    assert ours.n_not_converged == 0
    exact = CS3G(**options, tol=1e-9)  # where a ridge is weak, scores follow the default tolerance to 1e-4
    fits = [prepared(exact, data, slice(0, 160), d).fit(ours.strengths) for d in ("cpu", None)]
    scores = [fit.scores(rows(modalities, TEST)) for fit in fits]
    np.testing.assert_allclose(*scores, atol=1e-5)
    assert fits[0].residual <= exact.tol
    assert fits[0].objective == pytest.approx(fits[1].objective, rel=1e-9)


def test_it_computes_in_double_precision_and_takes_other_steps() -> None:
    """Or the comparisons above would compare a form with itself."""
    modalities, labels = problem(seed=0, dims=(12, 9, 3), q=5)
    method = CS3G()
    ours = prepared(method, (modalities, labels), FIT, "cpu").side_by_side(method._candidates())
    theirs = prepared(method, (modalities, labels), FIT, None).side_by_side(method._candidates())
    assert type(ours) is not type(theirs)
    for each in (ours, theirs):
        each.advance(range(4), 1e-3, 500)
        assert all(each.step(i) <= 1e-3 for i in range(4))
    assert ours._points.dtype == torch.float64
    np.testing.assert_allclose(ours.point(0), theirs.point(0), atol=1e-2)


def test_one_that_gets_nowhere_in_its_iterations_is_solved_by_the_other_form() -> None:
    modalities, labels = problem(seed=0, dims=(12, 9, 3), q=5)
    method = CS3G(max_iter=1)
    training = prepared(method, (modalities, labels), FIT, "cpu")
    assert training.fit(method._candidates()[0]).n_not_converged == 1


@pytest.mark.parametrize("scale", [0.01, 1.0, 30.0])
def test_all_norms_shrink_at_once_as_each_alone(scale: float) -> None:
    drawn = np.random.default_rng(0)
    sizes, q, K = (4, 3, 5), 3, 2
    point, metric = scale * drawn.normal(size=(K, q, 12)), drawn.uniform(0.1, 2, size=(K, q, 12))
    weights = np.array([[0.5, 0.0, 2.0], [0.0, 9.0, 1e-3]])
    starts = np.cumsum((0, *sizes))
    block = torch.repeat_interleave(torch.arange(3), torch.tensor(sizes))
    empty = torch.zeros(3, dtype=torch.float64)
    shared = _Shared(*[empty] * 6, block, empty)
    found = shrink_norms(*map(torch.from_numpy, (point, metric, weights)), shared).numpy()
    for k in range(K):
        for b in range(3):
            part = slice(starts[b], starts[b + 1])
            expected = shrink_norm(point[k, :, part], metric[k, :, part], float(weights[k, b]))
            np.testing.assert_allclose(found[k, :, part], expected, rtol=1e-10, atol=1e-14)
