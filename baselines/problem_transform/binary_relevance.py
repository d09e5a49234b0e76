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
    C_grid : sequence of float
        Candidates for the inverse penalty of the logistic regression; unused by naive Bayes. Several need a
        hold-out.
    tol, max_iter : float, int
        The logistic regression's stopping rule (L-BFGS). A fit that reaches `max_iter` warns and is
        counted in `n_not_converged_`.

    Attributes
    ----------
    C_ : float or None
        The chosen inverse penalty; None for naive Bayes.
    holdout_macro_auc_ : ndarray of shape (n_candidates,)
        Of every candidate, where there was a hold-out.
    holdout_scores_ : ndarray of shape (n_holdout, q)
        Of the chosen candidate, before it was fitted again on all rows.
    n_not_converged_, n_constant_ : int
        Logistic regressions that stopped at `max_iter`, and labels that had one class.

    See Also
    --------
    ClassifierChain : Each label's classifier also sees the labels before it.
    m3la.M3LA : Reads modalities one by one.

    Notes
    -----
    Scores are probabilities. The row `BR` of the tables is this class read from its 0/1 predictions at 0.5.
    `trace` returns `n_not_converged`, `n_constant` and what chose C.

    Examples
    --------
    >>> import numpy as np
    >>> from baselines import BinaryRelevance
    >>> rng = np.random.default_rng(0)
    >>> image, text = rng.normal(size=(60, 5)), rng.normal(size=(60, 3))
    >>> labels = np.stack([image[:, 0] > 0, text[:, 0] > 0], axis=1)
    >>> BinaryRelevance().fit([image, text], labels).predict_scores([image, text]).shape
    (60, 2)
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
