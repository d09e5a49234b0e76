"""Chooses a candidate on a hold-out, solving to the end those that can win; it knows no solver's inside."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from baselines.cs3g.model import TrainingRows
from baselines.cs3g.problem import Strengths
from baselines.cs3g.screening import Screening
from benchmark.contracts import Array, Holdout

LADDER = (1e-3, 1e-4, 1e-5)
"""Tolerances to which candidates are solved side by side before any is solved to the end."""
SAFETY = 4.5
"""How much further a score may still move than in proportion to its residual. After a tenfold smaller
residual, that is half as far as the score that moved most meanwhile."""


@dataclass(frozen=True)
class Choice:
    """The chosen candidate, and what the choice took."""

    strengths: Strengths
    scores: Array
    """(n_holdout, q), of the chosen candidate, solved to the end."""
    micro_f1: Array
    """(candidates,); of one that could no longer win, as it stood when that was clear."""
    n_iterations: int
    n_not_converged: int


def choose(
    rows: TrainingRows, candidates: Sequence[Strengths], holdout: Holdout, ladder: Sequence[float] = LADDER
) -> Choice:
    """Choose the highest micro-F1 at 0.5 on the hold-out, and the first of equals.

    Candidates are solved side by side from tolerance to tolerance, and left out once they can no longer
    win. The others are solved to the end, the most promising first, until none can beat the best.

    Parameters
    ----------
    rows : TrainingRows
    candidates : sequence of Strengths
        Strongest first.
    holdout : Holdout
    ladder : sequence of float
        Falling tolerances; where there are none, every candidate is solved to the end.
    """
    standings = Standings(holdout.labels, len(candidates))
    running = list(range(len(candidates)))
    screening = rows.screening(candidates) if ladder else None
    if screening:
        running = screen(rows, screening, candidates, holdout, ladder, standings)
    best, scores = -1, np.empty(0)
    n_iterations, n_not_converged = screening.n_iterations if screening else 0, 0
    for i in running:
        if best >= 0 and not standings.can_beat(i, best):
            break
        model = rows.fit(candidates[i], screening.natural(i) if screening else None)
        n_iterations += model.n_iterations
        n_not_converged += model.n_not_converged
        solved = model.scores(holdout.modalities)
        standings.note(i, solved, 0.0)
        if best < 0 or standings.can_beat(i, best):
            best, scores = i, solved
    return Choice(candidates[best], scores, standings.value, n_iterations, n_not_converged)


def screen(
    rows: TrainingRows,
    screening: Screening,
    candidates: Sequence[Strengths],
    holdout: Holdout,
    ladder: Sequence[float],
    standings: Standings,
) -> list[int]:
    """Solve candidates from tolerance to tolerance, and return those that can win, most promising first."""
    rotated, max_iter = rows.rotated(holdout.modalities), rows.settings.max_iter
    running = list(range(len(candidates)))
    seen: dict[int, tuple[Array, float]] = {}
    for tol in ladder:
        if tol <= rows.settings.tol:
            break
        if seen:
            screening.advance(running, tol, max_iter)
        else:
            along_ridges(screening, candidates, tol, max_iter)
        for i in running:
            residual, scores = screening.residual(i), rows.scores(screening.natural(i), rotated)
            rest = math.inf
            if i in seen and residual <= tol and residual < seen[i][1]:
                before, larger = seen[i]
                rest = SAFETY * float(np.max(np.abs(scores - before))) * residual / (larger - residual)
            standings.note(i, scores, rest)
            seen[i] = scores, residual
        running = standings.can_win(running)
    return running


def along_ridges(screening: Screening, candidates: Sequence[Strengths], tol: float, max_iter: int) -> None:
    """Solve for one ridge after the other, from strong to weak, each from the solution of the one before."""
    for ridge in sorted({candidate.ridge for candidate in candidates}, reverse=True):
        which = [i for i, candidate in enumerate(candidates) if candidate.ridge == ridge]
        for i in which:
            if i > 0 and candidates[i - 1][1:] == candidates[i][1:]:
                screening.put(i, i - 1)
        screening.advance(which, tol, max_iter)


class Standings:
    """Each candidate's micro-F1: as it stands, and between which two values it will end."""

    def __init__(self, labels: Array, n_candidates: int) -> None:
        self._labels = labels
        self.value = np.full(n_candidates, np.nan)
        self._low, self._high = np.full(n_candidates, -np.inf), np.full(n_candidates, np.inf)

    def note(self, candidate: int, scores: Array, rest: float) -> None:
        """Note scores (n, q) none of which will move by more than `rest`."""
        low, self.value[candidate], high = micro_f1_range(self._labels, scores, rest)
        if rest == 0:
            self._low[candidate], self._high[candidate] = low, high
        else:
            # What was known before stays known.
            self._low[candidate] = max(low, self._low[candidate])
            self._high[candidate] = min(high, self._high[candidate])

    def can_beat(self, candidate: int, other: int) -> bool:
        """Return whether the candidate may end before the other one, as that stands."""
        return (self._high[candidate], -candidate) > (self.value[other], -other)

    def can_win(self, candidates: Sequence[int]) -> list[int]:
        """Return those that are not sure to be beaten, most promising first."""
        sure = max((self._low[i], -i) for i in candidates)
        possible = [i for i in candidates if (self._high[i], -i) >= sure]
        return sorted(possible, key=lambda i: (-self._high[i], i))


def micro_f1_range(labels: Array, scores: Array, rest: float) -> tuple[float, float, float]:
    """Return the micro-F1 at 0.5, at worst, as it stands and at best, if scores move by at most `rest`."""
    present, predicted = labels == 1, scores >= 0.5
    unsure = np.abs(scores - 0.5) <= rest
    worst, best = np.where(unsure, ~present, predicted), np.where(unsure, present, predicted)
    return micro_f1(labels, worst), micro_f1(labels, predicted), micro_f1(labels, best)


def micro_f1(labels: Array, predictions: Array) -> float:
    """Return 2 TP / (2 TP + FP + FN) over all cells of two (n, q) arrays; 0 where both are empty."""
    positives = np.count_nonzero(labels) + np.count_nonzero(predictions)
    return 2.0 * np.count_nonzero((labels == 1) & predictions) / positives if positives else 0.0
