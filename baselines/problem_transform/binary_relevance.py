"""Binary relevance (one classifier per label) on the concatenated modalities; it knows of no other method."""

from __future__ import annotations

from typing import Any, ClassVar

from baselines.problem_transform.transformation import (
    FAIR_C_GRID,
    LBFGS_TOLERANCE,
    SHARED_FACTORS,
    ConstantGuard,
    ProblemTransformation,
)
from benchmark.contracts import Factor, MethodSpec


class BinaryRelevance(ProblemTransformation):
    """One independent classifier per label, through scikit-multilearn's `BinaryRelevance`.

    Parameters
    ----------
    base_learner : {"gaussian_nb", "logistic_regression"}
    scaling : {"standard", "none"}
    C_grid : tuple of float
        Candidates for the inverse penalty of the logistic regression; unused by naive Bayes.
    tol, max_iter : float, int
        The logistic regression's stopping rule (L-BFGS). A fit that reaches `max_iter` warns and is
        counted in `n_not_converged_`.
    """

    FACTORS: ClassVar[tuple[Factor, ...]] = SHARED_FACTORS

    def __init__(
        self,
        base_learner: str = "gaussian_nb",
        scaling: str = "standard",
        C_grid: tuple[float, ...] = FAIR_C_GRID,
        tol: float = LBFGS_TOLERANCE,
        max_iter: int = 1000,
    ) -> None:
        self.base_learner = base_learner
        self.scaling = scaling
        self.C_grid = C_grid
        self.tol = tol
        self.max_iter = max_iter

    def _transformation(self, learner: ConstantGuard) -> Any:
        from skmultilearn.problem_transform import BinaryRelevance as Transformation

        return Transformation(classifier=learner, require_dense=[True, True])


METHODS = (
    MethodSpec(
        "BR",
        BinaryRelevance,
        preset="paper-like",
        scoring="hard",
        note="Gaussian naive Bayes, scored from its 0/1 predictions",
    ),
    MethodSpec(
        "BR-fair",
        BinaryRelevance,
        {"base_learner": "logistic_regression"},
        preset="fair",
        in_paper=False,
        note="standardised logistic regression, C chosen on a training hold-out, scored from probabilities",
    ),
)
