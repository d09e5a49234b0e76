"""CS3G as a method: choice on the hold-out, constructed data, invariances, degenerate input."""

from __future__ import annotations

import numpy as np
import pytest
from cs3g_examples import FIT, HELD, TEST, TRAIN, holdout_of, one, problem, rows
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import f1_score
from sklearn.preprocessing import StandardScaler

from baselines.cs3g.choice import micro_f1
from baselines.cs3g.estimator import CS3G, METHODS
from benchmark.contracts import Holdout


class TestPlainModel:
    @pytest.mark.parametrize("ridge", [0.1, 0.001])
    def test_it_is_logistic_regression_with_the_equivalent_penalty(self, ridge: float) -> None:
        modalities, labels = problem()
        scaler = StandardScaler().fit(np.concatenate(modalities, axis=1)[TRAIN].astype(np.float64))
        x = scaler.transform(np.concatenate(modalities, axis=1).astype(np.float64))
        ours = one(ridge, tol=1e-7).fit(rows(modalities, TRAIN), labels[TRAIN])
        scores = ours.predict_scores(rows(modalities, TEST))
        for j in range(4):
            oracle = LogisticRegression(C=1 / (120 * ridge), tol=1e-10, max_iter=5000)
            expected = oracle.fit(x[TRAIN], labels[TRAIN, j]).predict_proba(x[TEST])[:, 1]
            np.testing.assert_allclose(scores[:, j], expected, atol=1e-5)

    def test_balanced_costs_are_balanced_class_weights(self) -> None:
        modalities, labels = problem()
        x = StandardScaler().fit_transform(np.concatenate(modalities, axis=1).astype(np.float64))
        scores = one(0.01, costs="balanced", tol=1e-7).fit(modalities, labels).predict_scores(modalities)
        oracle = LogisticRegression(C=1 / 1.6, tol=1e-10, max_iter=5000, class_weight="balanced")
        for j in range(4):
            expected = oracle.fit(x, labels[:, j]).predict_proba(x)[:, 1]
            np.testing.assert_allclose(scores[:, j], expected, atol=1e-5)

    def test_the_registered_plain_row_tries_neither_laplacian_nor_lasso(self) -> None:
        full, plain = METHODS
        assert (full.id, full.reconstructed, full.in_paper) == ("CS3G", True, True)
        assert (plain.id, plain.reconstructed, plain.in_paper) == ("CS3G-plain", False, False)
        candidates = CS3G(**plain.options)._candidates()
        assert {(c.laplacian, c.lasso) for c in candidates} == {(0.0, 0.0)}
        assert {c.ridge for c in candidates} == {c.ridge for c in CS3G()._candidates()}


class TestWhatThePenaltiesDo:
    def test_the_lasso_drops_a_modality_of_noise_and_keeps_the_informative_ones(self) -> None:
        rng = np.random.default_rng(0)
        informative = [rng.normal(size=(400, 5)), rng.normal(size=(400, 30))]
        noise = [rng.normal(size=(400, 40)), rng.normal(size=(400, 3))]
        z = informative[0] @ rng.normal(size=(5, 3)) + informative[1] @ rng.normal(size=(30, 3)) / 2
        labels = (z > 0).astype(np.uint8)
        modalities = [noise[0], informative[0], noise[1], informative[1]]
        norms = one(0.001, lasso=0.03).fit(modalities, labels).trace(modalities)["modality_norms"]
        np.testing.assert_array_equal(norms > 0, [False, True, False, True])
        without = one(0.001).fit(modalities, labels).trace(modalities)["modality_norms"]
        assert (without > 0).all()

    def test_exclusive_labels_oppose_and_co_occurring_ones_resemble_one_another(self) -> None:
        """Rare evidence for labels 1 and 2: the Laplacian lends them, signed, what is known of label 0."""
        rng = np.random.default_rng(1)
        x = rng.normal(size=(300, 20))
        first = (x @ rng.normal(size=20) + rng.normal(size=300) > 0).astype(np.uint8)
        flip = rng.random((300, 2)) < 0.2
        labels = np.column_stack([first, first ^ flip[:, 0], (1 - first) ^ flip[:, 1]])

        def cosines(laplacian: float) -> tuple[float, float]:
            (w,) = one(0.001, laplacian=laplacian).fit([x], labels).model_.weights
            unit = w / np.linalg.norm(w, axis=0)
            return float(unit[:, 0] @ unit[:, 1]), float(unit[:, 0] @ unit[:, 2])

        together, apart = zip(*(cosines(pull) for pull in (0.0, 0.1, 100.0)), strict=True)
        assert together[0] < together[1] < together[2]
        assert apart[0] > apart[1] > apart[2]
        assert together[2] > 0.999
        assert apart[2] < -0.999

    def test_the_laplacian_acts_in_every_modality(self) -> None:
        modalities, labels = problem()
        for w in one(0.001, laplacian=1000.0).fit(modalities, labels).model_.weights:
            relation = np.sign(one().fit(modalities, labels).model_.relations[0, 1])
            assert relation == 1
            assert np.linalg.norm(w[:, 0] - w[:, 1]) < 0.01 * np.linalg.norm(w[:, 0] + w[:, 1])


class TestChoice:
    def test_it_is_the_procedure_written_out(self) -> None:
        modalities, labels = problem()
        grids = {"ridge_grid": (0.1, 0.001), "laplacian_grid": (0.0, 0.1), "lasso_grid": (0.0, 0.01)}
        ours = CS3G(**grids, tol=1e-7).fit(
            rows(modalities, FIT), labels[FIT], holdout_of(modalities, labels, HELD)
        )
        f1s, held_out = [], []
        for ridge, laplacian, lasso in ours.candidates_:
            fitted = one(ridge, laplacian, lasso, tol=1e-7).fit(rows(modalities, FIT), labels[FIT])
            held_out.append(fitted.predict_scores(rows(modalities, HELD)))
            f1s.append(f1_score(labels[HELD], held_out[-1] >= 0.5, average="micro"))
        np.testing.assert_allclose(ours.holdout_micro_f1_, f1s)
        best = int(np.argmax(f1s))
        assert tuple(ours.candidates_[best]) == ours.strengths_
        np.testing.assert_allclose(ours.holdout_scores_, held_out[best], atol=1e-5)
        final = one(*ours.strengths_, tol=1e-7).fit(rows(modalities, TRAIN), labels[TRAIN])
        np.testing.assert_allclose(
            ours.predict_scores(rows(modalities, TEST)),
            final.predict_scores(rows(modalities, TEST)),
            atol=1e-12,
        )

    def test_candidates_stand_from_the_strongest_to_the_weakest(self) -> None:
        method = CS3G(ridge_grid=(0.1, 1.0), laplacian_grid=(0.0, 2.0), lasso_grid=(0.3, 0.0))
        assert [(c.lasso, c.laplacian, c.ridge) for c in method._candidates()] == [
            (0.3, 2.0, 1.0), (0.3, 2.0, 0.1), (0.3, 0.0, 1.0), (0.3, 0.0, 0.1),
            (0.0, 2.0, 1.0), (0.0, 2.0, 0.1), (0.0, 0.0, 1.0), (0.0, 0.0, 0.1),
        ]  # fmt: skip

    def test_of_equals_the_strongest_is_taken(self) -> None:
        # One feature and one balanced label: every penalty short of the null model predicts the same rows.
        x = np.linspace(-1, 1, 40)[np.random.default_rng(0).permutation(40)][:, None]
        label = (x > 0).astype(np.uint8)
        method = CS3G(lasso_grid=(0.0, 0.01)).fit([x[:30]], label[:30], Holdout((x[30:],), label[30:]))
        assert np.ptp(method.holdout_micro_f1_) == 0
        assert method.strengths_ == (0.1, 0.1, 0.01)

    def test_a_missing_holdout_is_refused(self) -> None:
        modalities, labels = problem(40)
        with pytest.raises(ValueError, match="CS3G chooses on a hold-out and got none; pass holdout="):
            CS3G().fit(modalities, labels)

    def test_one_candidate_needs_none_and_uses_one(self) -> None:
        modalities, labels = problem()
        method = one()
        assert not method.needs_holdout
        given = method.fit(rows(modalities, FIT), labels[FIT], holdout_of(modalities, labels, HELD))
        joined = one().fit(rows(modalities, TRAIN), labels[TRAIN])
        assert given.holdout_scores_.shape == (30, 4)
        for ours, theirs in zip(given.model_.weights, joined.model_.weights, strict=True):
            np.testing.assert_array_equal(ours, theirs)

    @settings(max_examples=25)
    @given(st.integers(0, 10_000), st.integers(2, 5))
    def test_micro_f1_is_scikit_learns(self, seed: int, q: int) -> None:
        rng = np.random.default_rng(seed)
        labels, predictions = rng.random((2, 6, q)) < rng.random()
        expected = f1_score(labels, predictions, average="micro", zero_division=0)
        assert micro_f1(labels, predictions) == pytest.approx(expected)

    def test_micro_f1_of_nothing_is_zero(self) -> None:
        assert micro_f1(np.zeros((3, 1)), np.zeros((3, 1), dtype=bool)) == 0.0


INVARIANT = [
    {"laplacian": 0.1, "lasso": 0.005},
    {"lasso": 0.002, "variant": "learned", "rounds": 2, "n_folds": 2},
]


class TestInvariance:
    @pytest.mark.parametrize("options", INVARIANT, ids=["laplacian", "learned"])
    def test_labels_have_no_order(self, options: dict) -> None:
        modalities, labels = problem()
        order = [2, 0, 3, 1]
        scores = one(**options, tol=1e-7).fit(modalities, labels).predict_scores(modalities)
        permuted = one(**options, tol=1e-7).fit(modalities, labels[:, order]).predict_scores(modalities)
        np.testing.assert_allclose(permuted, scores[:, order], atol=1e-5)

    @pytest.mark.parametrize("options", INVARIANT, ids=["laplacian", "learned"])
    def test_modalities_have_no_order(self, options: dict) -> None:
        modalities, labels = problem()
        mirrored = modalities[::-1]
        scores = one(**options, tol=1e-7).fit(modalities, labels).predict_scores(modalities)
        permuted = one(**options, tol=1e-7).fit(mirrored, labels).predict_scores(mirrored)
        np.testing.assert_allclose(permuted, scores, atol=1e-5)

    def test_features_have_no_unit(self) -> None:
        modalities, labels = problem()
        scaled = [x.astype(np.float64) * 2.0 ** (k + 3) - 5 for k, x in enumerate(modalities)]
        scores = one(lasso=0.005, tol=1e-7).fit(modalities, labels).predict_scores(modalities)
        again = one(lasso=0.005, tol=1e-7).fit(scaled, labels).predict_scores(scaled)
        np.testing.assert_allclose(again, scores, atol=1e-5)

    def test_unscaled_features_are_taken_as_they_are(self) -> None:
        modalities, labels = problem()
        scaled = [StandardScaler().fit_transform(x.astype(np.float64)) for x in modalities]
        scores = one(lasso=0.005).fit(modalities, labels).predict_scores(modalities)
        as_given = one(lasso=0.005, scaling="none").fit(scaled, labels).predict_scores(scaled)
        np.testing.assert_allclose(as_given, scores, atol=1e-12)
        doubled = one(lasso=0.005, scaling="none").fit([2 * x for x in scaled], labels)
        assert np.abs(doubled.predict_scores([2 * x for x in scaled]) - scores).max() > 0.01

    def test_nothing_is_random(self) -> None:
        modalities, labels = problem()
        given = (rows(modalities, FIT), labels[FIT], holdout_of(modalities, labels, HELD))
        method = CS3G(ridge_grid=(0.1, 0.001), laplacian_grid=(0.0, 0.1), lasso_grid=(0.0, 0.01))
        first = method.fit(*given).predict_scores(rows(modalities, TEST))
        np.random.default_rng().random()
        again = clone(method).fit(*given).predict_scores(rows(modalities, TEST))
        np.testing.assert_array_equal(first, again)
        assert "random_state" not in method.get_params()


@pytest.mark.parametrize("variant", ["laplacian", "learned"])
class TestDegenerateInput:
    def small(self, variant: str) -> CS3G:
        return one(laplacian=0.1, lasso=0.001, variant=variant, rounds=2, n_folds=3)

    def test_constant_labels_are_predicted_and_leave_the_others_alone(self, variant: str) -> None:
        modalities, labels = problem()
        some = self.small(variant).fit(modalities, labels[:, :2]).predict_scores(modalities)
        constant = np.zeros((160, 1), dtype=np.uint8)
        labels = np.column_stack([constant, labels[:, 0], 1 - constant, labels[:, 1]])
        method = self.small(variant).fit(modalities, labels)
        scores = method.predict_scores(modalities)
        assert (scores[:, 0] == 0).all()
        assert (scores[:, 2] == 1).all()
        np.testing.assert_array_equal(scores[:, [1, 3]], some)
        assert method.trace(modalities)["n_constant"] == 2

    def test_all_labels_constant(self, variant: str) -> None:
        modalities, _ = problem(30)
        labels = np.tile(np.array([0, 1, 1], dtype=np.uint8), (30, 1))
        method = self.small(variant).fit(modalities, labels)
        np.testing.assert_array_equal(method.predict_scores(modalities), labels)
        assert (method.trace(modalities)["modality_norms"] == 0).all()

    @pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
    @pytest.mark.parametrize("n", [1, 2, 3])
    def test_hardly_any_rows(self, variant: str, n: int) -> None:
        modalities, labels = problem(8)
        labels[:n, 0] = np.arange(n) % 2
        method = self.small(variant).set_params(max_iter=20)
        scores = method.fit(rows(modalities, slice(n)), labels[:n]).predict_scores(modalities)
        assert scores.shape == (8, 4)
        assert ((scores >= 0) & (scores <= 1)).all()

    def test_one_label_and_one_modality(self, variant: str) -> None:
        modalities, labels = problem()
        scores = self.small(variant).fit(modalities[:1], labels[:, :1]).predict_scores(modalities[:1])
        # One label has no relations: the Laplacian and the interactions have nothing to act on.
        alone = one(lasso=0.001).fit(modalities[:1], labels[:, :1]).predict_scores(modalities[:1])
        np.testing.assert_allclose(scores, alone, atol=1e-4)

    def test_a_label_with_one_positive_row(self, variant: str) -> None:
        modalities, labels = problem()
        labels[:, 3] = 0
        labels[17, 3] = 1
        method = self.small(variant).set_params(tol=1e-4)
        scores = method.fit(modalities, labels).predict_scores(modalities)
        assert np.isfinite(scores).all()
        assert scores[:, 3].argmax() == 17

    def test_features_that_do_not_vary(self, variant: str) -> None:
        modalities, labels = problem()
        constant = np.full((160, 3), 4.0, dtype=np.float32)
        scores = (
            self.small(variant).fit([*modalities, constant], labels).predict_scores([*modalities, constant])
        )
        without = self.small(variant).fit(modalities, labels).predict_scores(modalities)
        np.testing.assert_allclose(scores, without, atol=1e-5)


class TestErrors:
    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"variant": "b"}, "variant='b' is not offered; choose one of 'laplacian', 'learned'"),
            ({"costs": "balance"}, "costs='balance' is not offered; choose one of 'one', 'balanced'"),
            ({"scaling": "l2"}, "scaling='l2' is not offered"),
            ({"ridge_grid": (0.0, 1.0)}, r"ridge_grid=\(0.0, 1.0\) .* each a positive number"),
            ({"lasso_grid": ()}, r"lasso_grid=\(\); give one or more"),
            ({"laplacian_grid": (-1.0,)}, "laplacian_grid=.* each a number of at least 0"),
            ({"rounds": -1}, "rounds=-1 is out of range; give an integer of at least 0"),
            ({"n_folds": 0}, "n_folds=0 is out of range; give an integer of at least 1"),
        ],
    )
    def test_wrong_options_are_refused(self, options: dict, message: str) -> None:
        modalities, labels = problem(40)
        with pytest.raises(ValueError, match=message):
            CS3G(**options).fit(modalities, labels, holdout_of(modalities, labels, slice(0, 10)))

    def test_values_that_are_not_finite_are_refused(self) -> None:
        modalities, labels = problem(40)
        modalities[1][3, 2] = np.nan
        with pytest.raises(ValueError, match="modality 1 holds 1 NaN or infinite values"):
            one().fit(modalities, labels)

    def test_other_modalities_than_those_of_the_fit_are_refused(self) -> None:
        modalities, labels = problem(40)
        with pytest.raises(
            ValueError, match=r"modalities have \(4, 6, 3\) features where the fit had \(6, 4, 3\)"
        ):
            one().fit(modalities, labels).predict_scores([modalities[k] for k in (1, 0, 2)])

    @pytest.mark.filterwarnings("ignore::RuntimeWarning")
    def test_features_too_large_to_be_computed_with_are_refused(self) -> None:
        modalities, labels = problem(40)
        huge = [x.astype(np.float64) * 1e200 for x in modalities]
        with pytest.raises(ValueError, match="overflows; standardise the features"):
            one(lasso=0.001, scaling="none").fit(huge, labels)

    def test_a_fit_that_stops_early_warns_and_is_counted(self) -> None:
        modalities, labels = problem()
        method = CS3G(ridge_grid=(0.1, 1e-4), laplacian_grid=(0.0,), lasso_grid=(0.0, 0.01), max_iter=2)
        with pytest.warns(ConvergenceWarning, match="5 convex problems of CS3G did not reach tol=1e-06"):
            method.fit(rows(modalities, FIT), labels[FIT], holdout_of(modalities, labels, HELD))
        trace = method.trace(modalities)
        assert trace["n_not_converged"] == 5
        assert trace["residual"] > 1e-6


@pytest.mark.parametrize("options", INVARIANT, ids=["laplacian", "learned"])
def test_the_recorded_objective_is_that_of_the_scores(options: dict) -> None:
    modalities, labels = problem()
    method = one(0.02, **options).fit(modalities, labels)
    scores, trace = method.predict_scores(modalities), method.trace(modalities)
    weights, relations = method.model_.weights, trace["label_relations"]
    loss = -np.sum(np.where(labels == 1, np.log(scores), np.log1p(-scores))) / 160
    ridge = 0.01 * sum(np.sum(w**2) for w in weights)
    lasso = options["lasso"] * sum(np.sqrt(len(w)) * np.linalg.norm(w) for w in weights)
    laplacian = np.diag(np.abs(relations).sum(axis=0)) - relations
    pull = options.get("laplacian", 0.0) / 2 * sum(np.trace(w @ laplacian @ w.T) for w in weights)
    sparse = 1e-3 * np.abs(trace["interactions"]).sum() if "interactions" in trace else 0.0
    objective = trace["objectives"][-1] if "objectives" in trace else trace["objective"]
    assert objective == pytest.approx(loss + ridge + lasso + pull + sparse, rel=1e-9)
