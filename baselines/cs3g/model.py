"""One CS3G model: training rows prepared once, fitted for given penalties; it knows no hold-out."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from baselines.cs3g.candidates import SINGLE, Candidates
from baselines.cs3g.interactions import alternate
from baselines.cs3g.problem import (
    Design,
    Problem,
    Strengths,
    balanced_costs,
    label_relations,
    problem_of,
    raw_decision,
)
from baselines.cs3g.solver import Solution, checked, solve
from benchmark.contracts import Array, Modalities
from benchmark.learning.scaling import Scaler, fit_scalers, restore_scalers, scale

if TYPE_CHECKING:
    from baselines.cs3g.device import DeviceCandidates  # elsewhere only where it runs, as torch loads slowly

FINAL = 0.5
"""Part of the final tolerance that steps are to be within, so that the residual after them is within it."""


@dataclass(frozen=True)
class Settings:
    """What all candidates share; the parameters of `CS3G` of the same names."""

    variant: str
    relation_threshold: float
    relation_significance: float
    costs: str
    scaling: str
    interaction_penalty: float
    rounds: int
    n_folds: int
    tol: float
    max_iter: int


@dataclass(frozen=True)
class Model:
    """A fitted model; labels that were constant in the fit's rows are predicted as they were."""

    scalers: tuple[Scaler, ...]
    constants: Array
    """(q,): 0 or 1 for a constant label, NaN for the others."""
    weights: tuple[Array, ...]
    """(d_k, q') each, q' the labels that are not constant."""
    intercepts: Array
    interactions: Array | None
    """S, (q', q'); None unless learned."""
    relations: Array
    """R, (q, q)."""
    objective: float = 0.0
    residual: float = 0.0
    objectives: Array | None = None
    interaction_objectives: Array | None = None
    """How the objectives went, see `interactions.Alternation`; None unless interactions were learned."""
    n_iterations: int = 0
    n_not_converged: int = 0
    """Convex problems that did not reach the tolerance."""

    def scores(self, modalities: Modalities) -> Array:
        """Return probabilities (n, q)."""
        varying = np.isnan(self.constants)
        scores = np.tile(self.constants, (len(modalities[0]), 1))
        if varying.any():
            z = raw_decision(scale(self.scalers, modalities), self.weights, self.intercepts)
            scores[:, varying] = expit(z if self.interactions is None else z + z @ self.interactions)
        return scores

    def state(self) -> dict[str, Any]:
        """Return what `restored` needs beside the parameters."""
        state = {field.name: getattr(self, field.name) for field in fields(self)}
        state["scalers"] = [scaler.state() for scaler in self.scalers]
        return state

    @classmethod
    def restored(cls, state: Mapping[str, Any], scaling: str) -> Model:
        """Return the model whose state it is."""
        scalers = tuple(restore_scalers(state["scalers"], scaling, np.float64))
        return cls(**{**state, "scalers": scalers, "weights": tuple(state["weights"])})

    @property
    def modality_norms(self) -> Array:
        """Return ||W_k||_F / sqrt(d_k), (m,): exactly 0 where the lasso dropped the modality."""
        return np.array([np.linalg.norm(w) / np.sqrt(max(len(w), 1)) for w in self.weights])


@dataclass(frozen=True)
class TrainingRows:
    """Standardised rows, and what every candidate's problem takes from them."""

    settings: Settings
    scalers: tuple[Scaler, ...]
    modalities: tuple[Array, ...]
    labels: Array
    """(n, q'), without constant columns."""
    constants: Array
    design: Design
    relations: Array
    """(q, q)."""
    device: str | None = None
    """Of an accelerator that solves the convex problems; None: the processor does."""

    @classmethod
    def of(
        cls, settings: Settings, modalities: Modalities, labels: Array, device: str | None = None
    ) -> TrainingRows:
        """Standardise modalities (n, d_k), rotate them, and relate the labels (n, q)."""
        # float64: the solver's tolerance is tighter than float32 sums.
        scalers = tuple(fit_scalers(modalities, settings.scaling, np.float64))
        scaled = tuple(scale(scalers, modalities))
        constants = np.where(labels.min(axis=0) == labels.max(axis=0), labels[0], np.nan)
        relations = label_relations(labels, settings.relation_threshold, settings.relation_significance)
        varying = np.ascontiguousarray(labels[:, np.isnan(constants)])
        return cls(
            settings, scalers, scaled, varying, constants, Design.of(scaled, device), relations, device
        )

    @property
    def varying(self) -> Array:
        """(q,): whether a label is not constant."""
        return np.isnan(self.constants)

    def fit(self, strengths: Strengths) -> Model:
        """Solve for one candidate."""
        if not self.varying.any():
            nothing = tuple(np.zeros((x.shape[1], 0)) for x in self.modalities)
            return Model(self.scalers, self.constants, nothing, np.zeros(0), None, self.relations)
        problem = self._problem(strengths)
        if self.settings.variant == "learned":
            return self._learned(problem)
        start, tol, max_iter = problem.null_point(), self.settings.tol, self.settings.max_iter
        n_before = 0
        if self.device is not None:
            from baselines.cs3g.device import DeviceCandidates

            alone = DeviceCandidates(problem, [strengths], self.device)
            alone.advance([0], FINAL * tol, max_iter)
            start, n_before = alone.rotated_point(0), alone.n_iterations
            found = checked(problem, start, tol, n_before)
            if found.converged:
                return self._solved(problem, found)
        found = solve(problem, start, tol, max_iter)
        return self._solved(problem, replace(found, n_iterations=found.n_iterations + n_before))

    def side_by_side(self, candidates: Sequence[Strengths]) -> Candidates | DeviceCandidates | None:
        """Put candidates, strongest first, side by side; None unless each is one convex problem."""
        if self.settings.variant == "learned" or not self.varying.any():
            return None
        if self.device is not None:
            from baselines.cs3g.device import DeviceCandidates

            return DeviceCandidates(self._problem(candidates[0]), candidates, self.device)
        # Nothing is known of the scale of rows that are not standardised.
        single = SINGLE if self.settings.scaling == "standard" else math.inf
        return Candidates(self._problem(candidates[0]), candidates, single)

    def rotated(self, modalities: Modalities) -> Array:
        """Return other rows as they stand in `design`."""
        return self.design.rotated(scale(self.scalers, modalities))

    def scores(self, natural_point: Array, rotated: Array) -> Array:
        """Return probabilities (n, q) of rows of `rotated` by weights in the labels' own basis."""
        scores = np.tile(self.constants, (len(rotated), 1))
        scores[:, self.varying] = expit(rotated @ natural_point[:-1] + natural_point[-1])
        return scores

    def _problem(self, strengths: Strengths) -> Problem:
        costs = balanced_costs(self.labels) if self.settings.costs == "balanced" else 1.0
        relations = self.relations[np.ix_(self.varying, self.varying)]
        return problem_of(self.design, self.labels, strengths, relations, costs)

    def _learned(self, problem: Problem) -> Model:
        settings = self.settings
        found = alternate(
            self.modalities,
            problem,
            penalty=settings.interaction_penalty,
            rounds=settings.rounds,
            n_folds=settings.n_folds,
            tol=settings.tol,
            max_iter=settings.max_iter,
        )
        model = self._solved(problem, found.solution)
        return replace(
            model,
            interactions=found.interactions,
            objectives=found.objectives,
            interaction_objectives=found.interaction_objectives,
            n_iterations=found.n_iterations,
            n_not_converged=found.n_not_converged,
        )

    def _solved(self, problem: Problem, solution: Solution) -> Model:
        return Model(
            self.scalers,
            self.constants,
            tuple(problem.weights(solution.point)),
            solution.point[-1],
            None,
            self.relations,
            objective=solution.objective,
            residual=solution.residual,
            n_iterations=solution.n_iterations,
            n_not_converged=int(not solution.converged),
        )
