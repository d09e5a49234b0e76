"""Chooses a candidate on a hold-out, leaving out on the way those that cannot win; it knows no solver."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from baselines.cs3g.candidates import Candidates
from baselines.cs3g.model import FINAL, Model, TrainingRows
from baselines.cs3g.problem import Strengths
from benchmark.contracts import Array, Holdout

if TYPE_CHECKING:
    from baselines.cs3g.device import DeviceCandidates

LADDER = (1e-3, 1e-4, 1e-5)
"""Tolerances at which candidates are compared on the way to the final one."""
SAFETY = 9.0
"""How much further than in proportion to the step a score may still move. When steps have become tenfold
shorter, that is as far as that score of the same label which moved most meanwhile."""
PATIENCE = 500
"""Iterations that a candidate is given from tolerance to tolerance; one that needs more is solved alone."""
MOST = 0.1
"""Part to which a step counts as shortened if it is even shorter, as not all scores follow it that far."""


@dataclass(frozen=True)
class Choice:
    """The chosen candidate, and what the choice took."""

    strengths: Strengths
    scores: Array
    """(n_holdout, q), of the chosen candidate."""
    micro_f1: Array
    """(candidates,); of one that could no longer win, as it stood when that was clear."""
    n_iterations: int
    n_not_converged: int


def choose(rows: TrainingRows, candidates: Sequence[Strengths], holdout: Holdout) -> Choice:
    """Choose the highest micro-F1 at 0.5 on the hold-out, and the first of equals.

    Parameters
    ----------
    rows : TrainingRows
    candidates : sequence of Strengths
        Strongest first.
    holdout : Holdout
    """
    together = rows.side_by_side(candidates)
    if together is None:
        return choose_one_by_one(rows, candidates, holdout)
    return choose_side_by_side(rows, candidates, holdout, together)


def choose_one_by_one(rows: TrainingRows, candidates: Sequence[Strengths], holdout: Holdout) -> Choice:
    """Choose among candidates each of which is solved to the final tolerance."""
    models = [rows.fit(candidate) for candidate in candidates]
    scores = [model.scores(holdout.modalities) for model in models]
    f1 = np.array([micro_f1(holdout.labels, held >= 0.5) for held in scores])
    best = int(np.argmax(f1))
    return Choice(
        candidates[best],
        scores[best],
        f1,
        sum(model.n_iterations for model in models),
        sum(model.n_not_converged for model in models),
    )


def choose_side_by_side(
    rows: TrainingRows,
    candidates: Sequence[Strengths],
    holdout: Holdout,
    together: Candidates | DeviceCandidates,
) -> Choice:
    """Choose among candidates of which only those that can still win go on to the next tolerance.

    One that does not get to a tolerance beside the others is solved alone. Solved are in the end all that are
    not beaten by a solved one: also those that an unsolved one had seemed sure to beat.
    """
    rotated, tol = rows.rotated(holdout.modalities), rows.settings.tol
    max_iter = min(PATIENCE, rows.settings.max_iter)
    ladder = [step for step in LADDER if step > tol]
    standings = Standings(holdout.labels, len(candidates))
    along_ridges(together, candidates, [*ladder, FINAL * tol][0], max_iter)
    running, held, stuck = standings.can_win(), dict[int, Held](), set[int]()
    for step in ladder:
        if held:
            together.advance([i for i in running if i not in stuck], step, max_iter)
        stuck.update(i for i in running if not together.step(i) <= step)
        for i in running:
            now = Held(rows.scores(together.point(i), rotated), together.step(i))
            standings.note(i, now.scores, still_to_move(held.get(i), now, step))
            held[i] = now
        running = [i for i in running if i in standings.can_win()]
    scores, alone = dict[int, Array](), dict[int, Model]()
    while running := [i for i in standings.can_win() if i not in scores]:
        together.advance([i for i in running if i not in stuck], FINAL * tol, max_iter)
        for i in running:
            scores[i] = rows.scores(together.point(i), rotated)
            if not together.residual(i) <= tol:
                alone[i] = rows.fit(candidates[i])
                scores[i] = alone[i].scores(holdout.modalities)
            standings.note(i, scores[i], 0.0)
    best = standings.can_win()[0]
    return Choice(
        candidates[best],
        scores[best],
        standings.value,
        together.n_iterations + sum(model.n_iterations for model in alone.values()),
        sum(model.n_not_converged for model in alone.values()),
    )


def along_ridges(
    together: Candidates | DeviceCandidates, candidates: Sequence[Strengths], tol: float, max_iter: int
) -> None:
    """Solve for one ridge after the other, from strong to weak, each from the solution of the one before."""
    for ridge in sorted({candidate.ridge for candidate in candidates}, reverse=True):
        which = [i for i, candidate in enumerate(candidates) if candidate.ridge == ridge]
        for i in which:
            if i > 0 and candidates[i - 1][1:] == candidates[i][1:]:
                together.put(i, i - 1)
        together.advance(which, tol, max_iter)


@dataclass(frozen=True)
class Held:
    """A candidate's scores on the hold-out, and the relative norm of its last step."""

    scores: Array
    step: float


def still_to_move(before: Held | None, now: Held, tol: float) -> Array:
    """Return how far each label's scores may still move, (q,); infinite if that cannot be said."""
    moved = np.full(now.scores.shape[1], np.inf)
    if before is not None and now.step <= tol and now.step < before.step < math.inf:
        left = max(MOST, now.step / before.step)
        moved = SAFETY * left / (1 - left) * np.max(np.abs(now.scores - before.scores), axis=0)
    return moved


class Standings:
    """Each candidate's micro-F1 on the hold-out: as it stands, and between which values it will end."""

    def __init__(self, labels: Array, n_candidates: int) -> None:
        self._labels = labels
        self.value = np.full(n_candidates, np.nan)
        self._low, self._high = np.full(n_candidates, -np.inf), np.full(n_candidates, np.inf)

    def note(self, candidate: int, scores: Array, rest: Array | float) -> None:
        """Note scores (n, q) that will move by at most `rest`; if that is infinite, nothing new is known."""
        low, self.value[candidate], high = micro_f1_range(self._labels, scores, rest)
        if np.isfinite(rest).all():
            self._low[candidate], self._high[candidate] = low, high

    def can_win(self) -> list[int]:
        """Return those that are not sure to be beaten, most promising first; of equals the first wins."""
        order = range(len(self.value))
        sure = max((self._low[i], -i) for i in order)
        return sorted((i for i in order if (self._high[i], -i) >= sure), key=lambda i: (-self._high[i], i))


def micro_f1_range(labels: Array, scores: Array, rest: Array | float) -> tuple[float, float, float]:
    """Return the micro-F1 at 0.5, at worst, as it stands and at best, if scores move by at most `rest`."""
    present, predicted = labels == 1, scores >= 0.5
    unsure = np.abs(scores - 0.5) <= rest
    worst, best = np.where(unsure, ~present, predicted), np.where(unsure, present, predicted)
    return micro_f1(labels, worst), micro_f1(labels, predicted), micro_f1(labels, best)


def micro_f1(labels: Array, predictions: Array) -> float:
    """Return 2 TP / (2 TP + FP + FN) over all cells of two (n, q) arrays; 0 where both are empty."""
    positives = np.count_nonzero(labels) + np.count_nonzero(predictions)
    return 2.0 * np.count_nonzero((labels == 1) & predictions) / positives if positives else 0.0
