"""Classifier chain on the concatenated modalities; it knows of no other method."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from baselines.problem_transform.transformation import (
    FAIR_C_GRID,
    LBFGS_TOLERANCE,
    SHARED_FACTORS,
    ConstantGuard,
    ProblemTransformation,
)
from benchmark.contracts import Array, Factor, MethodSpec, RandomState


class ClassifierChain(ProblemTransformation):
    """One classifier per label that also sees the earlier labels, through scikit-multilearn's chain.

    In the fit the earlier labels are the true ones, in prediction the earlier members' 0/1 predictions,
    also where probabilities are asked for: each score is p(label | features, predicted earlier labels), as
    in scikit-learn's `chain_method="predict"`. Label columns enter as 0/1, unscaled. C is one for the whole
    chain and is judged by running the chain on the hold-out with its own predictions.

    Parameters
    ----------
    base_learner : {"gaussian_nb", "logistic_regression"}
    scaling : {"standard", "none"}
    C_grid : sequence of float
        Candidates for the inverse penalty of the logistic regression; unused by naive Bayes. Several need a
        hold-out.
    chain_order : {"columns", "random"}
        The order of the labels in the chain. The columns are permuted here, because `order=` of
        scikit-multilearn 0.2.0 returns its results in the chain's order.
    tol, max_iter : float, int
        The logistic regression's stopping rule (L-BFGS). A fit that reaches `max_iter` warns and is
        counted in `n_not_converged_`.
    random_state : int, Streams, RandomState, Generator or None, default=0
        Draws the order (stream "choices") if it is random; nothing else here is.

    Attributes
    ----------
    order_ : ndarray of shape (q,)
        Labels in the order of the chain.
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
    BinaryRelevance : One independent classifier per label.
    MCC : A chain of networks, each of which acquires the modalities that it needs.

    References
    ----------
    J. Read, B. Pfahringer, G. Holmes and E. Frank, Classifier chains for multi-label classification,
    Machine Learning 85, 2011.

    Notes
    -----
    Scores are probabilities. The row `CC` of the tables is this class read from its 0/1 predictions at 0.5.
    `trace` returns `n_not_converged`, `n_constant` and what chose C.

    Examples
    --------
    >>> import numpy as np
    >>> from baselines import ClassifierChain
    >>> rng = np.random.default_rng(0)
    >>> image, text = rng.normal(size=(60, 5)), rng.normal(size=(60, 3))
    >>> labels = np.stack([image[:, 0] > 0, text[:, 0] > 0], axis=1)
    >>> method = ClassifierChain(chain_order="random", random_state=1).fit([image, text], labels)
    >>> sorted(method.order_.tolist())
    [0, 1]
    """

    FACTORS: ClassVar[tuple[Factor, ...]] = (
        *SHARED_FACTORS,
        Factor(
            "chain_order",
            ("columns", "random"),
            "The paper does not give the order of the chain; the libraries' default is the order of columns.",
        ),
    )

    def __init__(
        self,
        base_learner: str = "gaussian_nb",
        scaling: str = "standard",
        C_grid: tuple[float, ...] = FAIR_C_GRID,
        chain_order: str = "columns",
        tol: float = LBFGS_TOLERANCE,
        max_iter: int = 1000,
        random_state: RandomState = 0,
    ) -> None:
        self.base_learner = base_learner
        self.scaling = scaling
        self.C_grid = C_grid
        self.chain_order = chain_order
        self.tol = tol
        self.max_iter = max_iter
        self.random_state = random_state

    def _transformation(self, learner: ConstantGuard) -> Any:
        from skmultilearn.problem_transform import ClassifierChain as Transformation

        return Transformation(classifier=learner, require_dense=[True, True])

    def _label_order(self, q: int) -> Array:
        if self.chain_order == "columns":
            return np.arange(q)
        return self.streams_.generator("choices").permutation(q)


METHODS = (
    MethodSpec(
        "CC",
        ClassifierChain,
        preset="paper-like",
        scoring="hard",
        note="Gaussian naive Bayes, scored from its 0/1 predictions; labels chained in column order",
    ),
    MethodSpec(
        "CC-fair",
        ClassifierChain,
        {"base_learner": "logistic_regression"},
        preset="fair",
        in_paper=False,
        note="standardised logistic regression, C chosen on a training hold-out, scored from probabilities; "
        "labels chained in column order",
    ),
)
