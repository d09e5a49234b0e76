"""BR and CC against scikit-learn's own multi-label classifiers, and what the adapter adds to them."""

from __future__ import annotations

from importlib import metadata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import ClassifierChain as SklearnChain
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from baselines.problem_transform import binary_relevance, classifier_chain, transformation
from baselines.problem_transform.binary_relevance import BinaryRelevance
from baselines.problem_transform.classifier_chain import ClassifierChain
from benchmark.contracts import Holdout, MethodSpec, MultiModalClassifier, Streams

SPECS = (*binary_relevance.METHODS, *classifier_chain.METHODS)
GRID = (0.01, 1.0)


def correlated_problem(n: int, q: int = 4, seed: int = 0) -> tuple[list[np.ndarray], np.ndarray]:
    """Two modalities of very different scale, labels that follow them and one another."""
    rng = np.random.default_rng(seed)
    modalities = [rng.normal(3.0, 40.0, (n, 5)), rng.normal(0.0, 0.01, (n, 3))]
    hidden = StandardScaler().fit_transform(np.concatenate(modalities, axis=1))
    labels = (hidden @ rng.normal(size=(8, q)) + rng.normal(size=(n, q)) > 0).astype(np.uint8)
    labels[:, 1] |= labels[:, 0]
    return [x.astype(np.float32) for x in modalities], labels


def rows(modalities: list[np.ndarray], index: slice) -> list[np.ndarray]:
    return [x[index] for x in modalities]


def joined(modalities: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([x.astype(np.float64) for x in modalities], axis=1)


def holdout_of(modalities: list[np.ndarray], labels: np.ndarray, index: slice) -> Holdout:
    return Holdout(tuple(rows(modalities, index)), labels[index])


FIT, HELD, TRAIN, TEST = slice(0, 120), slice(120, 160), slice(0, 160), slice(160, 200)


class TestAgainstScikitLearn:
    @pytest.mark.parametrize(
        ("options", "learner"),
        [
            ({}, GaussianNB()),
            ({"base_learner": "logistic_regression", "C_grid": (0.5,)}, LogisticRegression(C=0.5, tol=1e-5)),
        ],
    )
    def test_br_equals_one_vs_rest(self, options: dict, learner: object) -> None:
        modalities, labels = correlated_problem(200)
        ours = BinaryRelevance(**options).fit(rows(modalities, TRAIN), labels[TRAIN])
        scaler = StandardScaler().fit(joined(modalities)[TRAIN])
        train, test = (scaler.transform(joined(modalities)[part]) for part in (TRAIN, TEST))
        oracle = OneVsRestClassifier(learner).fit(train, labels[TRAIN]).predict_proba(test)
        np.testing.assert_allclose(ours.predict_scores(rows(modalities, TEST)), oracle, rtol=0, atol=1e-12)

    @pytest.mark.parametrize("order", ["columns", "random"])
    @pytest.mark.parametrize(
        ("options", "learner"),
        [
            ({}, GaussianNB()),
            ({"base_learner": "logistic_regression", "C_grid": (0.5,)}, LogisticRegression(C=0.5, tol=1e-5)),
        ],
    )
    def test_cc_equals_the_chain_of_the_same_order(self, options: dict, learner: object, order: str) -> None:
        modalities, labels = correlated_problem(200)
        ours = ClassifierChain(**options, chain_order=order, random_state=Streams("fcvid", 4))
        ours.fit(rows(modalities, TRAIN), labels[TRAIN])
        if order == "random":
            assert list(ours.order_) != [0, 1, 2, 3], "choose another seed: this one is the column order"
        scaler = StandardScaler().fit(joined(modalities)[TRAIN])
        train, test = (scaler.transform(joined(modalities)[part]) for part in (TRAIN, TEST))
        oracle = SklearnChain(learner, order=list(ours.order_)).fit(train, labels[TRAIN])
        scores = ours.predict_scores(rows(modalities, TEST))
        np.testing.assert_allclose(scores, oracle.predict_proba(test), rtol=0, atol=1e-12)
        # Hard scores: 0/1 decisions from our probabilities are the chain's own predictions.
        np.testing.assert_array_equal(scores >= 0.5, oracle.predict(test) == 1)

    @pytest.mark.parametrize(
        ("method", "wrap"), [(BinaryRelevance, OneVsRestClassifier), (ClassifierChain, SklearnChain)]
    )
    def test_fair_rows_equal_the_procedure_written_out(self, method: type, wrap: type) -> None:
        modalities, labels = correlated_problem(200, seed=3)
        ours = method(base_learner="logistic_regression", C_grid=GRID)
        ours.fit(rows(modalities, FIT), labels[FIT], holdout_of(modalities, labels, HELD))

        def pipeline(c: float) -> object:
            return make_pipeline(StandardScaler(), wrap(LogisticRegression(C=c, tol=1e-5)))

        held_out = {
            c: pipeline(c).fit(joined(modalities)[FIT], labels[FIT]).predict_proba(joined(modalities)[HELD])
            for c in GRID
        }
        aucs = {c: roc_auc_score(labels[HELD], held_out[c], average="macro") for c in GRID}
        best = max(GRID, key=aucs.__getitem__)
        final = pipeline(best).fit(joined(modalities)[TRAIN], labels[TRAIN])
        np.testing.assert_allclose(ours.holdout_macro_auc_, [aucs[c] for c in GRID], atol=1e-12)
        assert best == ours.C_
        np.testing.assert_allclose(ours.holdout_scores_, held_out[best], rtol=0, atol=1e-12)
        np.testing.assert_allclose(
            ours.predict_scores(rows(modalities, TEST)),
            final.predict_proba(joined(modalities)[TEST]),
            rtol=0,
            atol=1e-12,
        )


class TestChoiceOfC:
    def fitted(
        self, method: type, features: np.ndarray, labels: np.ndarray
    ) -> transformation.ProblemTransformation:
        half = len(features) // 2
        return method(base_learner="logistic_regression", C_grid=(10.0, 1e-3)).fit(
            [features[:half]], labels[:half], Holdout((features[half:],), labels[half:])
        )

    @pytest.mark.parametrize("method", [BinaryRelevance, ClassifierChain])
    def test_signal_in_a_direction_of_small_variance_asks_for_a_weak_penalty(self, method: type) -> None:
        # The label is the sign of a small difference of two large, nearly equal features; a strong
        # penalty keeps the weights too small to tell them apart from the third, misleading one.
        rng = np.random.default_rng(0)
        common, difference = rng.normal(size=400), 0.05 * rng.normal(size=400)
        label = (difference > 0).astype(np.uint8)
        misleading = label + rng.normal(size=400) * 1.5
        misleading[200:] = -misleading[200:]
        features = np.column_stack([common + difference, common - difference, misleading])
        ours = self.fitted(method, features, np.column_stack([label, 1 - label]))
        assert ours.C_ == 10.0

    @pytest.mark.parametrize("method", [BinaryRelevance, ClassifierChain])
    def test_few_rows_and_much_noise_ask_for_a_strong_penalty(self, method: type) -> None:
        # 100 fit rows, 80 independent features that each say little about the label: a strong penalty
        # weighs them by the class means, a weak one separates the fit rows by their noise.
        rng = np.random.default_rng(0)
        label = rng.integers(0, 2, 200).astype(np.uint8)
        features = 0.15 * (2.0 * label[:, None] - 1) + rng.normal(size=(200, 80))
        ours = self.fitted(method, features, np.column_stack([label, 1 - label]))
        assert ours.C_ == 1e-3

    def test_the_smallest_of_equally_good_values_is_taken(self) -> None:
        # One feature: every C ranks the rows alike.
        features = np.linspace(-1, 1, 40)[np.random.default_rng(0).permutation(40)][:, None]
        label = (features > 0).astype(np.uint8)
        assert self.fitted(BinaryRelevance, features, label).C_ == 1e-3

    def test_labels_that_the_holdout_lacks_do_not_enter_the_choice(self) -> None:
        labels = np.array([[0, 1], [1, 1], [0, 1], [1, 1]])
        scores = np.array([[0.1, 0.3], [0.2, 0.9], [0.3, 0.1], [0.4, 0.2]])
        assert transformation.defined_macro_auc(labels, scores) == 0.75

    def test_a_holdout_without_any_usable_label_is_refused(self) -> None:
        modalities, labels = correlated_problem(40)
        ones = Holdout(tuple(rows(modalities, slice(30, 40))), np.ones((10, 4), dtype=np.uint8))
        method = BinaryRelevance(base_learner="logistic_regression", C_grid=GRID)
        with pytest.raises(ValueError, match="no label has both classes among the 10 hold-out rows"):
            method.fit(rows(modalities, slice(0, 30)), labels[:30], ones)

    def test_a_missing_holdout_is_refused(self) -> None:
        modalities, labels = correlated_problem(40)
        with pytest.raises(ValueError, match="hold-out and got none"):
            BinaryRelevance(base_learner="logistic_regression").fit(modalities, labels)


@pytest.mark.parametrize("method", [BinaryRelevance, ClassifierChain])
@pytest.mark.parametrize("learner", ["gaussian_nb", "logistic_regression"])
class TestConstantLabels:
    def test_the_constant_is_predicted_and_the_other_labels_are_unharmed(
        self, method: type, learner: str
    ) -> None:
        modalities, labels = correlated_problem(200)
        labels[:160, 0], labels[:160, 3] = 0, 1
        ours = method(base_learner=learner, C_grid=(1.0,)).fit(rows(modalities, TRAIN), labels[TRAIN])
        scores = ours.predict_scores(rows(modalities, TEST))
        assert ours.n_constant_ == 2
        assert (scores[:, 0] == 0).all()
        assert (scores[:, 3] == 1).all()
        assert all(roc_auc_score(labels[TEST, j], scores[:, j]) > 0.6 for j in (1, 2))

    def test_all_labels_constant(self, method: type, learner: str) -> None:
        modalities, _ = correlated_problem(30)
        constant = np.tile(np.array([0, 1, 1, 0], dtype=np.uint8), (30, 1))
        ours = method(base_learner=learner, C_grid=(1.0,)).fit(modalities, constant)
        np.testing.assert_array_equal(ours.predict_scores(modalities), constant)

    def test_a_label_constant_in_the_fit_rows_alone_is_learned_in_the_refit(
        self, method: type, learner: str
    ) -> None:
        modalities, labels = correlated_problem(200)
        labels[FIT, 2] = 0
        ours = method(base_learner=learner, C_grid=GRID)
        ours.fit(rows(modalities, FIT), labels[FIT], holdout_of(modalities, labels, HELD))
        assert (ours.holdout_scores_[:, 2] == 0).all()
        assert np.ptp(ours.predict_scores(rows(modalities, TEST))[:, 2]) > 0


class TestWhatEveryRowKeeps:
    @pytest.mark.parametrize("spec", SPECS, ids=lambda spec: spec.id)
    def test_scores_are_a_function_of_the_row_and_the_fit_alone(self, spec: MethodSpec) -> None:
        modalities, labels = correlated_problem(200, q=2)
        method = spec.estimator(**spec.options)
        assert isinstance(method, MultiModalClassifier)
        given = (rows(modalities, FIT), labels[FIT], holdout_of(modalities, labels, HELD))
        together = method.fit(*given).predict_scores(rows(modalities, TEST))
        assert together.shape == (40, 2)
        assert together.min() >= 0
        assert together.max() <= 1
        alone = method.predict_scores(rows(modalities, slice(170, 171)))
        np.testing.assert_allclose(alone[0], together[10], rtol=0, atol=1e-12)
        again = clone(method).fit(*given).predict_scores(rows(modalities, TEST))
        np.testing.assert_array_equal(together, again)

    @settings(max_examples=8)
    @given(st.permutations(range(4)), st.integers(0, 50))
    def test_br_knows_no_order_of_labels(self, order: list[int], seed: int) -> None:
        modalities, labels = correlated_problem(60, seed=seed)
        scores = BinaryRelevance().fit(modalities, labels).predict_scores(modalities)
        permuted = BinaryRelevance().fit(modalities, labels[:, order]).predict_scores(modalities)
        np.testing.assert_array_equal(permuted, scores[:, order])

    def test_a_chain_does_know_it(self) -> None:
        modalities, labels = correlated_problem(60)
        order = [3, 2, 1, 0]
        scores = ClassifierChain().fit(modalities, labels).predict_scores(modalities)
        permuted = ClassifierChain().fit(modalities, labels[:, order]).predict_scores(modalities)
        assert np.abs(permuted - scores[:, order]).max() > 0.01

    def test_a_random_chain_is_drawn_from_the_choices_of_the_job(self) -> None:
        modalities, labels = correlated_problem(60, q=6)

        def order(seed: int) -> list[int]:
            chain = ClassifierChain(chain_order="random", random_state=Streams("msra", seed))
            return list(chain.fit(modalities, labels).order_)

        assert order(1) == list(Streams("msra", 1).generator("choices").permutation(6))
        assert order(1) != order(2)

    def test_fits_that_did_not_converge_warn_and_are_counted(self) -> None:
        modalities, labels = correlated_problem(60)
        method = BinaryRelevance(base_learner="logistic_regression", C_grid=(10.0,), max_iter=1)
        with pytest.warns(ConvergenceWarning):
            method.fit(modalities, labels)
        assert method.trace(modalities)["n_not_converged"] == 4

    def test_the_trace_names_the_choice(self) -> None:
        modalities, labels = correlated_problem(200)
        method = BinaryRelevance(base_learner="logistic_regression", C_grid=GRID)
        method.fit(rows(modalities, FIT), labels[FIT], holdout_of(modalities, labels, HELD))
        trace = method.trace(rows(modalities, TEST))
        assert trace["chosen_C"] == method.C_
        assert trace["holdout_macro_auc"].shape == (2,)
        assert trace["n_not_converged"] == 0


class TestRefusals:
    def test_swapped_modalities(self) -> None:
        modalities, labels = correlated_problem(30)
        method = BinaryRelevance().fit(modalities, labels)
        with pytest.raises(ValueError, match=r"\(3, 5\) features where the fit had \(5, 3\)"):
            method.predict_scores(modalities[::-1])

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"base_learner": "svm"}, "base_learner='svm' is not offered; choose one of 'gaussian_nb'"),
            ({"scaling": "minmax"}, "scaling='minmax' is not offered; choose one of 'standard', 'none'"),
            ({"chain_order": "gini"}, "chain_order='gini' is not offered; choose one of 'columns', 'random'"),
            ({"base_learner": "logistic_regression", "C_grid": ()}, "C_grid=.*give one or more numbers"),
            ({"base_learner": "logistic_regression", "C_grid": (0.0,)}, "C_grid=.*each a positive number"),
        ],
    )
    def test_unknown_options(self, options: dict, message: str) -> None:
        modalities, labels = correlated_problem(30)
        with pytest.raises(ValueError, match=message):
            ClassifierChain(**options).fit(modalities, labels)

    def test_the_fork_of_scikit_multilearn(self, monkeypatch: pytest.MonkeyPatch) -> None:
        installed = metadata.version
        monkeypatch.setattr(
            transformation.metadata,
            "version",
            lambda name: "0.0.8" if name == "scikit-multilearn-ng" else installed(name),
        )
        modalities, labels = correlated_problem(30)
        with pytest.raises(ImportError, match=r"scikit-multilearn-ng 0\.0\.8 is installed.*pip uninstall"):
            BinaryRelevance().fit(modalities, labels)


def test_the_rows_are_those_of_the_tables() -> None:
    described = {(s.id, s.preset, s.scoring, s.threshold, s.in_paper) for s in SPECS}
    assert described == {
        ("BR", "paper-like", "hard", "fixed", True),
        ("CC", "paper-like", "hard", "fixed", True),
        ("BR-fair", "fair", "soft", "fixed", False),
        ("CC-fair", "fair", "soft", "fixed", False),
    }
    assert {s.id for s in SPECS if s.estimator(**s.options).needs_holdout} == {"BR-fair", "CC-fair"}
