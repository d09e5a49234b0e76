"""CS3G reconstructed: additive linear predictors with signed label relations; it knows no other method.

Of the paper only title, authors and one-line descriptions were found; `baselines/README.md` says what is
a guess.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import fields
from itertools import product
from typing import Any, ClassVar

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from baselines.cs3g.choice import choose
from baselines.cs3g.factors import FACTORS, LAPLACIAN_GRID, LASSO_GRID, RIDGE_GRID, TOLERANCE
from baselines.cs3g.model import Model, Settings, TrainingRows
from baselines.cs3g.problem import Strengths
from benchmark.contracts import Array, Factor, Holdout, MethodSpec, Modalities
from benchmark.learning.estimator import MultiModalEstimator


class CS3G(MultiModalEstimator):
    """Additive linear predictors per modality; related labels share, exclusive labels oppose predictors.

    Each candidate of the three penalties is fitted on the fit rows; the best micro-F1 at 0.5 on the
    hold-out (the strongest of equals: lasso, then Laplacian, then ridge) is fitted again on all rows.
    Nothing is random.

    Parameters
    ----------
    variant : {"laplacian", "learned"}
    ridge_grid, laplacian_grid, lasso_grid : sequence of float
        Candidates; every combination is tried, and several need a hold-out. A ridge is positive, the others
        may be 0.
    relation_threshold, relation_significance : float
        Which phi coefficients are relations.
    costs : {"one", "balanced"}
    scaling : {"standard", "none"}
    interaction_penalty, rounds, n_folds : float, int, int
        Of the variant "learned".
    tol : float
        Bound on the norm of the smallest subgradient, relative to the gradient at the null model. A fit
        that does not reach it warns and is counted.
    max_iter : int
        Iterations per convex problem.
    device : str, default="cpu"
        The torch device that solves them, in double precision, all candidates at once.

    Attributes
    ----------
    strengths_ : Strengths
        The chosen penalties.
    candidates_ : ndarray of shape (n_candidates, 3)
        Ridge, Laplacian and lasso of every candidate, strongest first.
    holdout_micro_f1_ : ndarray of shape (n_candidates,)
        Only if there was a choice; of a candidate that could no longer win, as it stood when that was clear.
    holdout_scores_ : ndarray of shape (n_holdout, q)
        Out-of-sample scores of the hold-out rows by the chosen candidate, before the refit.
    n_not_converged_ : int
        Convex problems, of candidates and of the final fit, that stopped at `max_iter`.

    See Also
    --------
    BinaryRelevance : Labels that know nothing of one another.
    m3la.M3LA : Learns a matrix of label correlations.

    Notes
    -----
    `trace` returns the chosen and all candidate strengths, `modality_norms` (m,), `label_relations` (q, q),
    and how well the problem was solved.

    Examples
    --------
    >>> import numpy as np
    >>> from baselines import CS3G
    >>> rng = np.random.default_rng(0)
    >>> image, text = rng.normal(size=(60, 5)), rng.normal(size=(60, 3))
    >>> labels = np.stack([image[:, 0] > 0, text[:, 0] > 0], axis=1)
    >>> method = CS3G(ridge_grid=(0.01,), laplacian_grid=(0.0,), lasso_grid=(0.01,))
    >>> method = method.fit([image, text], labels)
    >>> method.trace([image, text])["modality_norms"].shape
    (2,)
    """

    FACTORS: ClassVar[tuple[Factor, ...]] = FACTORS

    def __init__(
        self,
        variant: str = "laplacian",
        ridge_grid: tuple[float, ...] = RIDGE_GRID,
        laplacian_grid: tuple[float, ...] = LAPLACIAN_GRID,
        lasso_grid: tuple[float, ...] = LASSO_GRID,
        relation_threshold: float = 0.05,
        relation_significance: float = 0.05,
        costs: str = "one",
        scaling: str = "standard",
        interaction_penalty: float = 1e-3,
        rounds: int = 5,
        n_folds: int = 5,
        tol: float = TOLERANCE,
        max_iter: int = 2000,
        device: str = "cpu",
    ) -> None:
        self.variant = variant
        self.ridge_grid = ridge_grid
        self.laplacian_grid = laplacian_grid
        self.lasso_grid = lasso_grid
        self.relation_threshold = relation_threshold
        self.relation_significance = relation_significance
        self.costs = costs
        self.scaling = scaling
        self.interaction_penalty = interaction_penalty
        self.rounds = rounds
        self.n_folds = n_folds
        self.tol = tol
        self.max_iter = max_iter
        self.device = device

    @property
    def needs_holdout(self) -> bool:
        """Whether `fit` has a choice to make."""
        return len(self._candidates()) > 1

    def _fit(self, modalities: list[Array], labels: Array, holdout: Holdout | None) -> None:
        candidates = self._candidates()
        self.candidates_ = np.array(candidates)
        self.strengths_ = candidates[0]
        self.n_iterations_ = self.n_not_converged_ = 0
        if holdout is not None:
            choice = choose(self._prepare(modalities, labels), candidates, holdout)
            self.strengths_, self.holdout_scores_ = choice.strengths, choice.scores
            self.holdout_micro_f1_ = choice.micro_f1
            self.n_iterations_, self.n_not_converged_ = choice.n_iterations, choice.n_not_converged
            modalities = [np.concatenate(pair) for pair in zip(modalities, holdout.modalities, strict=True)]
            labels = np.concatenate([labels, holdout.labels])
        self.model_ = self._prepare(modalities, labels).fit(self.strengths_)
        self.n_iterations_ += self.model_.n_iterations
        self.n_not_converged_ += self.model_.n_not_converged
        if self.n_not_converged_:
            warnings.warn(
                f"{self.n_not_converged_} convex problems of CS3G did not reach tol={self.tol:g} in "
                f"max_iter={self.max_iter} iterations; raise max_iter or the smallest ridge",
                ConvergenceWarning,
                stacklevel=3,
            )

    def _scores(self, modalities: list[Array]) -> Array:
        """Return probabilities (n, q)."""
        return self.model_.scores(modalities)

    def _state(self) -> dict[str, Any]:
        return {**{name: getattr(self, name, None) for name in KEPT}, "model": self.model_.state()}

    def _restore(self, state: Mapping[str, Any]) -> None:
        for name in KEPT:
            if state[name] is not None:
                setattr(self, name, state[name])
        self.strengths_ = Strengths(*self.strengths_)
        self.model_ = Model.restored(state["model"], self.scaling)

    def _trace(self, modalities: list[Array]) -> dict[str, Array]:  # noqa: ARG002 (the base's signature)
        """Return what the record keeps beside the scores: the choice, and how well it was solved."""
        model = self.model_
        trace = {
            "chosen_strengths": np.array(self.strengths_),
            "candidate_strengths": self.candidates_,
            "modality_norms": model.modality_norms,
            "label_relations": model.relations,
            "objective": np.array(model.objective),
            "residual": np.array(model.residual),
            "n_iterations": np.array(self.n_iterations_),
            "n_not_converged": np.array(self.n_not_converged_),
            "n_constant": np.array(np.count_nonzero(~np.isnan(model.constants))),
        }
        if hasattr(self, "holdout_micro_f1_"):
            trace["holdout_micro_f1"] = self.holdout_micro_f1_
        for name in ("interactions", "objectives", "interaction_objectives"):
            if (value := getattr(model, name)) is not None:
                trace[name] = value
        return trace

    def _candidates(self) -> tuple[Strengths, ...]:
        """Return the combinations, strongest first: by lasso, then Laplacian, then ridge."""
        laplacian = self.laplacian_grid if self.variant == "laplacian" else (0.0,)
        grids = [
            sorted(map(float, grid), reverse=True) for grid in (self.lasso_grid, laplacian, self.ridge_grid)
        ]
        return tuple(Strengths(ridge, pull, lasso) for lasso, pull, ridge in product(*grids))

    def _prepare(self, modalities: Modalities, labels: Array) -> TrainingRows:
        return TrainingRows.of(
            Settings(**{f.name: getattr(self, f.name) for f in fields(Settings)}),
            modalities,
            labels,
            None if str(self.device) == "cpu" else str(self.device),
        )


KEPT = ("candidates_", "strengths_", "n_iterations_", "n_not_converged_", "holdout_micro_f1_")
"""Attributes that a file keeps as they are."""


METHODS = (
    MethodSpec(
        "CS3G",
        CS3G,
        preset="reconstructed",
        reconstructed=True,
        note="additive logistic predictors with a signed label Laplacian and a modality group lasso",
    ),
    MethodSpec(
        "CS3G-plain",
        CS3G,
        {"laplacian_grid": (0.0,), "lasso_grid": (0.0,)},
        preset="plain",
        in_paper=False,
        note="CS3G without label Laplacian and modality lasso: additive logistic predictors with a ridge",
    ),
)
