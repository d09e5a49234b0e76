"""CS3G's variant with learned interactions between labels."""

from __future__ import annotations

import numpy as np
from cs3g_examples import one, problem

from baselines.cs3g.estimator import CS3G
from baselines.cs3g.interactions import InteractionProblem
from baselines.cs3g.solver import accelerated_proximal_gradient


def test_with_one_fold_every_half_round_lowers_the_joint_objective() -> None:
    modalities, labels = problem(dims=(6, 4), q=4)
    method = one(0.01, variant="learned", n_folds=1, rounds=6, interaction_penalty=1e-3)
    objectives = method.fit(modalities, labels).trace(modalities)["objectives"]
    assert len(objectives) == 13
    assert (np.diff(objectives) <= 1e-9).all()
    assert objectives[-1] < objectives[0] - 1e-3


def test_with_folds_the_interactions_lower_their_own_objective_each_round() -> None:
    modalities, labels = problem(dims=(6, 4), q=4)
    method = one(0.01, variant="learned", rounds=4, interaction_penalty=1e-3).fit(modalities, labels)
    trace = method.trace(modalities)
    before, after = trace["interaction_objectives"].T
    assert len(before) == 4
    assert (after <= before + 1e-9).all()
    assert after[0] < before[0] - 1e-3
    # Given the interactions, the predictors lower the joint objective.
    assert (np.diff(trace["objectives"])[1::2] <= 1e-9).all()


def test_a_row_of_interactions_acts_on_the_columns_labels() -> None:
    """Score 0 alone says anything of label 1, which repeats label 0, and of label 2, its opposite."""
    z = np.random.default_rng(2).normal(size=(500, 4))
    first = z[:, 0] > 0
    labels = np.column_stack([first, first, ~first, z[:, 3] > 0])
    interactions = InteractionProblem(z, 2.0 * labels - 1, np.asarray(1.0), 0.05)
    s = accelerated_proximal_gradient(interactions, np.zeros((4, 4)), 1e-7, 2000).point
    assert s[0, 1] > 0.5
    assert s[0, 2] < -0.5
    s[0, [1, 2]] = 0
    assert np.abs(s).max() < 0.2


def test_a_large_penalty_leaves_the_plain_model() -> None:
    modalities, labels = problem()
    learned = one(variant="learned", interaction_penalty=10.0, tol=1e-7).fit(modalities, labels)
    plain = one(tol=1e-7).fit(modalities, labels)
    assert not learned.trace(modalities)["interactions"].any()
    np.testing.assert_allclose(
        learned.predict_scores(modalities), plain.predict_scores(modalities), atol=1e-6
    )


def test_no_laplacian_is_tried_beside_learned_interactions() -> None:
    assert {c.laplacian for c in CS3G(variant="learned")._candidates()} == {0.0}
