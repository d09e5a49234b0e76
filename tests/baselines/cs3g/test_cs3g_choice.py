"""The choice on the hold-out: the same as if every candidate were solved to the end, for less."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from cs3g_examples import holdout_of, problem, rows
from hypothesis import given, settings
from hypothesis import strategies as st

from baselines.cs3g import choice as module
from baselines.cs3g.candidates import Candidates
from baselines.cs3g.choice import (
    Held,
    Standings,
    choose,
    choose_one_by_one,
    micro_f1,
    micro_f1_range,
    still_to_move,
)
from baselines.cs3g.estimator import CS3G
from baselines.cs3g.model import TrainingRows
from baselines.cs3g.problem import Strengths
from benchmark.contracts import Holdout

FIT, HELD = slice(0, 100), slice(100, 160)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"laplacian_grid": (0.0,), "lasso_grid": (0.0,)},
        {"costs": "balanced", "ridge_grid": (0.1, 1e-3), "laplacian_grid": (0.0, 0.01)},
        {"scaling": "none", "ridge_grid": (0.1, 1e-3), "lasso_grid": (0.0, 0.01)},
        {"tol": 1e-4, "ridge_grid": (0.1, 1e-2)},
    ],
    ids=["default", "plain", "balanced", "not-scaled", "tolerance-on-the-ladder"],
)
def test_it_is_that_of_candidates_solved_to_the_end(seed: int, options: dict) -> None:
    modalities, labels = problem(seed=seed, dims=(12, 9, 3), q=5)
    if "scaling" in options:
        modalities = [(x - x.mean(axis=0)) / x.std(axis=0) for x in modalities]
    labels[:, 4] = 0  # a constant label counts in the hold-out's micro-F1
    labels[HELD.start + 3, 4] = 1
    method = CS3G(**options)
    training = method._prepare(rows(modalities, FIT), labels[FIT])
    holdout, candidates = holdout_of(modalities, labels, HELD), method._candidates()
    ours = choose(training, candidates, holdout)
    plain = choose_one_by_one(training, candidates, holdout)
    assert ours.strengths == plain.strengths
    assert ours.n_not_converged == plain.n_not_converged == 0
    best = candidates.index(ours.strengths)
    assert int(np.argmax(ours.micro_f1)) == best
    assert ours.micro_f1[best] == plain.micro_f1[best]
    # A residual of 1e-6 leaves the more the weaker the ridge is, see `factors.TOLERANCE`.
    np.testing.assert_allclose(ours.scores, plain.scores, atol=5 * method.tol / ours.strengths.ridge)


def test_a_tolerance_looser_than_any_on_the_ladder_is_kept() -> None:
    modalities, labels = problem()
    method = CS3G(tol=0.01)
    training = method._prepare(rows(modalities, FIT), labels[FIT])
    found = choose(training, method._candidates(), holdout_of(modalities, labels, HELD))
    assert np.isfinite(found.micro_f1).all()
    assert found.n_not_converged == 0


def test_candidates_that_cannot_win_are_not_solved_to_the_end() -> None:
    modalities, labels = problem()
    training = CS3G()._prepare(rows(modalities, FIT), labels[FIT])
    candidates, holdout = CS3G()._candidates(), holdout_of(modalities, labels, HELD)
    every = training.side_by_side(candidates)
    assert every is not None
    every.advance(range(len(candidates)), 1e-6, 2000)
    assert choose(training, candidates, holdout).n_iterations < 0.8 * every.n_iterations


def test_candidates_that_do_not_get_anywhere_are_not_left_out_and_solved_alone() -> None:
    """With one step each nothing is known of any of them but where they stand."""
    modalities, labels = problem()
    method = CS3G(max_iter=1)
    training = method._prepare(rows(modalities, FIT), labels[FIT])
    found = choose(training, method._candidates(), holdout_of(modalities, labels, HELD))
    assert found.n_not_converged == 64
    assert found.n_iterations == (1 + 1) * 64


def test_a_candidate_that_is_stuck_beside_the_others_is_solved_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    modalities, labels = problem()
    method = CS3G(ridge_grid=(0.1, 1e-3), laplacian_grid=(0.0,), lasso_grid=(0.0,))
    training = method._prepare(rows(modalities, FIT), labels[FIT])
    holdout = holdout_of(modalities, labels, HELD)
    plain = choose_one_by_one(training, method._candidates(), holdout)
    monkeypatch.setattr(Candidates, "advance", lambda *_: None)
    found = choose(training, method._candidates(), holdout)
    assert found.n_not_converged == 0
    np.testing.assert_array_equal(found.micro_f1, plain.micro_f1)
    np.testing.assert_array_equal(found.scores, plain.scores)


def test_one_that_needs_too_long_beside_the_others_does_not_go_on_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    modalities, labels = problem()
    method = CS3G(ridge_grid=(0.1, 1e-3), laplacian_grid=(0.0,), lasso_grid=(0.0,))
    training = method._prepare(rows(modalities, FIT), labels[FIT])
    holdout = holdout_of(modalities, labels, HELD)
    plain = choose_one_by_one(training, method._candidates(), holdout)
    monkeypatch.setattr(module, "PATIENCE", 2)
    found = choose(training, method._candidates(), holdout)
    np.testing.assert_array_equal(found.scores, plain.scores)
    assert found.n_iterations == 2 * 2 + plain.n_iterations


def test_who_was_left_out_comes_back_when_the_one_that_beat_it_does_not_end_as_it_seemed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    labels = np.array([[1, 1, 0, 0]])
    right, half, wrong = (np.array([row]) for row in ([0.9, 0.9, 0.1, 0.1], [0.9] * 4, [0.1] * 4))

    class Scripted:
        """Candidates whose scores are their points, at each of their tolerances in turn."""

        n_iterations = 0
        ways = ([half] * 4, [right, right, right, wrong])
        at = np.array([-1, -1])

        def advance(self, which: list[int], *_: float) -> None:
            self.at[list(which)] += 1

        def point(self, which: int) -> np.ndarray:
            return self.ways[which][self.at[which]]

        def step(self, which: int) -> float:  # noqa: ARG002
            return 0.0

        residual = step

    training = CS3G(tol=1e-6)._prepare([np.eye(4)], np.eye(4, dtype=np.uint8))
    monkeypatch.setattr(TrainingRows, "rotated", lambda *_: None)
    monkeypatch.setattr(TrainingRows, "scores", lambda _, point, __: point)
    monkeypatch.setattr(module, "still_to_move", lambda *_: np.zeros(4))
    together, candidates = Scripted(), [Strengths(0.1, 0.0, 0.0), Strengths(0.01, 0.0, 0.1)]
    found = module.choose_side_by_side(training, candidates, Holdout((np.eye(4)[:1],), labels), together)
    assert found.strengths == candidates[0]
    np.testing.assert_array_equal(found.scores, half)


class TestStillToMove:
    @pytest.mark.parametrize(
        ("residual", "share"), [(1e-3, 1.0), (5e-3, 9.0), (1e-7, 1.0)], ids=["tenth", "half", "less"]
    )
    def test_it_is_a_share_of_each_labels_largest_move(self, residual: float, share: float) -> None:
        before = Held(np.array([[0.2, 0.7], [0.5, 0.5]]), 1e-2)
        now = Held(np.array([[0.3, 0.3], [0.5, 0.8]]), residual)
        np.testing.assert_allclose(still_to_move(before, now, 5e-3), share * np.array([0.1, 0.4]))

    @pytest.mark.parametrize(
        ("before", "now"),
        [(1e-3, 1e-3), (1e-4, 1e-3), (math.inf, 1e-3), (math.nan, 1e-3), (1e-1, 1e-2), (1e-2, math.nan)],
        ids=["as-before", "worse", "undone", "overflowed", "not-there", "overflows"],
    )
    def test_it_cannot_be_said_without_progress_to_the_tolerance(self, before: float, now: float) -> None:
        scores = np.array([[0.2]])
        assert still_to_move(Held(scores, before), Held(scores, now), 1e-3) == math.inf

    def test_nor_of_the_first_scores(self) -> None:
        assert still_to_move(None, Held(np.array([[0.2]]), 1e-4), 1e-3) == math.inf


class TestMicroF1Range:
    @settings(max_examples=40)
    @given(st.integers(0, 10_000), st.floats(0, 0.4))
    def test_it_is_that_of_all_ways_in_which_unsure_cells_may_fall(self, seed: int, rest: float) -> None:
        rng = np.random.default_rng(seed)
        labels, scores = (rng.random((3, 3)) < 0.4).astype(np.uint8), rng.random((3, 3))
        unsure = np.flatnonzero(np.abs(scores - 0.5) <= rest)
        values = []
        for fall in product((False, True), repeat=len(unsure)):
            predictions = (scores >= 0.5).ravel()
            predictions[unsure] = fall
            values.append(micro_f1(labels, predictions.reshape(3, 3)))
        expected = (min(values), micro_f1(labels, scores >= 0.5), max(values))
        assert micro_f1_range(labels, scores, rest) == pytest.approx(expected)

    def test_with_all_to_move_nothing_is_sure(self) -> None:
        assert micro_f1_range(np.array([[1, 0]]), np.array([[0.9, 0.1]]), math.inf) == (0.0, 1.0, 1.0)


class TestStandings:
    LABELS = np.array([[1, 1, 0, 0]])

    def noted(self, *notes: tuple[list[float], float]) -> Standings:
        standings = Standings(self.LABELS, len(notes))
        for i, (scores, rest) in enumerate(notes):
            standings.note(i, np.array([scores]), rest)
        return standings

    def test_who_is_sure_to_be_beaten_is_left_out(self) -> None:
        right, wrong = [0.9, 0.9, 0.1, 0.1], [0.9, 0.1, 0.9, 0.1]
        assert self.noted((wrong, 0.1), (right, 0.1)).can_win() == [1]
        assert self.noted((wrong, 0.4), (right, 0.1)).can_win() == [0, 1]
        assert self.noted((wrong, math.inf), (right, 0.1)).can_win() == [0, 1]

    def test_of_equals_the_first_wins(self) -> None:
        right = [0.9, 0.9, 0.1, 0.1]
        assert self.noted((right, 0.0), (right, 0.0)).can_win() == [0]

    def test_what_was_known_stays_known(self) -> None:
        right, wrong = [0.9, 0.9, 0.1, 0.1], [0.9, 0.1, 0.9, 0.1]
        standings = self.noted((wrong, 0.1), (right, 0.1))
        standings.note(0, np.array([wrong]), math.inf)
        assert standings.can_win() == [1]


def test_nothing_is_put_side_by_side_where_no_label_varies() -> None:
    modalities, labels = problem(30)
    constant = np.zeros_like(labels)
    method = CS3G().fit(
        [x[:20] for x in modalities], constant[:20], Holdout(tuple(x[20:] for x in modalities), constant[20:])
    )
    assert method.strengths_ == (0.1, 0.1, 0.03)
    assert (method.holdout_micro_f1_ == 0).all()
