"""0/1 predictions: thresholds from training rows by default, the paper's transductive rules by name."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmark.contracts import Array, Holdout
from benchmark.learning.estimator import MultiModalEstimator
from benchmark.score.thresholds import choose_thresholds


class FirstColumns(MultiModalEstimator):
    """Scores are the first modality itself."""

    needs_holdout = False

    def _fit(self, modalities: list[Array], labels: Array, holdout: Holdout | None) -> None:  # noqa: ARG002
        if holdout is not None:
            self.holdout_scores_ = self._scores(list(holdout.modalities))

    def _scores(self, modalities: list[Array]) -> Array:
        return modalities[0]

    def _trace(self, modalities: list[Array]) -> dict[str, Array]:  # noqa: ARG002
        return {}

    def _state(self) -> dict[str, Any]:
        return {}

    def _restore(self, state: Any) -> None:
        pass


TRAINING = [np.array([[0.1, 0.9], [0.2, 0.8], [0.3, 0.7], [0.4, 0.6]])]
LABELS = np.array([[0, 1], [0, 0], [0, 0], [1, 0]])
"""One row in four has each label."""
NEW = [np.array([[0.35, 0.95], [0.39, 0.85], [0.5, 0.2]])]


def test_thresholds_are_calibrated_on_the_training_rows_by_default():
    method = FirstColumns().fit(TRAINING, LABELS)
    # One row in four is predicted for each label where 0.3 < t <= 0.4 and 0.8 < t <= 0.9; next to 0.5 are:
    np.testing.assert_allclose(method.thresholds_, [0.4, 0.81])
    assert method.predict(NEW).tolist() == [[0, 1], [0, 1], [1, 0]]
    assert method.predict(NEW).dtype == np.uint8
    assert method.predict([NEW[0][:1]]).tolist() == [[0, 1]]  # a row's prediction is its own


def test_a_holdout_is_what_thresholds_are_calibrated_on():
    held = ([TRAINING[0] / 2], LABELS)
    method = FirstColumns().fit(TRAINING, LABELS, holdout=held)
    np.testing.assert_allclose(method.thresholds_, [0.2, 0.45])
    assert method.label_frequencies_.tolist() == [0.25, 0.25]
    uneven = FirstColumns().fit(TRAINING, LABELS, holdout=([TRAINING[0][:1]], [[1, 1]]))
    np.testing.assert_allclose(uneven.label_frequencies_, [0.4, 0.4])  # of all five training rows


def test_a_fixed_threshold_is_one_half():
    assert FirstColumns().fit(TRAINING, LABELS).predict(NEW, "fixed").tolist() == [[0, 1], [0, 1], [1, 0]]


@pytest.mark.parametrize("rule", ["eq13", "eq16a", "eq16b"])
def test_the_papers_rules_look_at_the_rows_that_are_passed_and_are_named_for_it(rule):
    method = FirstColumns().fit(TRAINING, LABELS)
    values = choose_thresholds(rule, NEW[0], np.array([0.25, 0.25])).values
    assert np.array_equal(method.predict(NEW, f"transductive_{rule}"), NEW[0].astype(np.float32) >= values)


def test_an_unknown_threshold_is_refused_with_those_that_there_are():
    with pytest.raises(
        ValueError, match="threshold='eq13' is not offered; choose one of 'calibrated', 'fixed'"
    ):
        FirstColumns().fit(TRAINING, LABELS).predict(NEW, "eq13")


def test_a_holdout_is_a_pair_and_its_labels_keep_their_names():
    import pandas as pd

    with pytest.raises(ValueError, match=r"holdout is a list of 2; give a pair .*, a tuple"):
        FirstColumns().fit(TRAINING, LABELS, holdout=[TRAINING, LABELS])
    with pytest.raises(ValueError, match="holdout is a tuple of 3; give a pair"):
        FirstColumns().fit(TRAINING, LABELS, holdout=(TRAINING, LABELS, LABELS))
    named = pd.DataFrame(LABELS, columns=["a", "b"])
    with pytest.raises(ValueError, match="give the same labels in one order"):
        FirstColumns().fit(TRAINING, named, holdout=(TRAINING, named[["b", "a"]]))


@pytest.mark.parametrize("name", ["DMP", "MCC", "M3LA"])
def test_threads_that_share_an_estimator_get_what_one_gets(name):
    from concurrent.futures import ThreadPoolExecutor

    import baselines
    import m3la

    rng = np.random.default_rng(0)
    x = [rng.normal(size=(400, d)) for d in (5, 3)]
    y = np.stack([x[j % 2][:, 0] > 0 for j in range(3)], axis=1)
    method = getattr(baselines, name, None) or getattr(m3la, name)
    fitted = method(hidden=16, epochs=1, selection="last").fit([m[:60] for m in x], y[:60])
    expected = fitted.predict_scores(x)
    with ThreadPoolExecutor(4) as pool:
        assert all(np.array_equal(found, expected) for found in pool.map(fitted.predict_scores, [x] * 24))


def test_threads_share_what_torch_keeps_for_all_of_them():
    from concurrent.futures import ThreadPoolExecutor

    import torch

    from m3la import M3LA

    rng = np.random.default_rng(0)
    x, y = [rng.normal(size=(40, 3))], rng.random((40, 2)) < 0.5
    torch.set_default_dtype(torch.float64)
    try:
        with ThreadPoolExecutor(4) as pool:
            fits = list(pool.map(lambda _: M3LA(hidden=4, epochs=2).fit(x, y).predict_scores(x), range(8)))
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)
    assert all(np.array_equal(found, fits[0]) for found in fits)
    assert fits[0].dtype == np.float32


def test_columns_in_another_order_are_refused_whatever_they_are_called():
    import pandas as pd

    rng = np.random.default_rng(0)
    for columns in ([3, 1, 2], pd.MultiIndex.from_tuples([("a", 1), ("a", 2), ("b", 1)]), range(3)):
        frame = pd.DataFrame(rng.random((4, 3)), columns=columns)
        fitted = FirstColumns().fit([frame], LABELS[:, [0, 1, 0]])
        with pytest.raises(ValueError, match="give the columns in the order of the fit"):
            fitted.predict_scores([frame.iloc[:, ::-1]])
        assert fitted.predict_scores([frame.to_numpy()]).shape == (4, 3)
        fitted.predict_scores([pd.DataFrame(frame.to_numpy())])


def test_a_fit_for_scores_alone_scores_the_same_and_has_no_thresholds(tmp_path):
    from sklearn.exceptions import NotFittedError

    scored, whole = FirstColumns().fit_scores(TRAINING, LABELS), FirstColumns().fit(TRAINING, LABELS)
    assert np.array_equal(scored.predict_scores(NEW), whole.predict_scores(NEW))
    for use in (lambda: scored.predict(NEW), lambda: scored.save(tmp_path / "model")):
        with pytest.raises(NotFittedError):
            use()
    whole.fit_scores(TRAINING, LABELS)
    with pytest.raises(NotFittedError):
        whole.predict(NEW)
