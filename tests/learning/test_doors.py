"""What every method refuses, and by what name; what it reads, and to the same bits."""

from __future__ import annotations

import functools
import warnings
from contextlib import contextmanager
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import sklearn
import torch
from doors import METHODS, small
from doors import rows as draw
from sklearn.exceptions import NotFittedError

from benchmark.learning.checks import NUMBERS
from benchmark.learning.scaling import LostDigitsWarning
from benchmark.learning.training import DivergenceError

X, Y = draw()
NEW, NEW_Y = draw(n=11, seed=1)

pytestmark = pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)


@pytest.fixture(scope="module")
def fitted():
    """Return a fitted estimator of a class, made once; a test leaves it as it is."""
    return functools.cache(lambda method: small(method).fit(X, Y))


@pytest.fixture(scope="module")
def reference():
    """Scores of new rows by class."""
    return functools.cache(lambda method: scores_of(method, X, Y))


def scores_of(method, modalities, labels, held=(NEW, NEW_Y), new=NEW):
    return small(method).fit(modalities, labels, holdout=held).predict_scores(new)


def changed(values, place, value):
    copy = np.array(values, dtype=object if isinstance(value, str) else float)
    copy[place] = value
    return copy


FEW, MORE = [X[0], X[1][:-1]], [X[0], np.concatenate([X[1], X[1][:2]])]
MIXED = [NEW[0], NEW[1][:-1]]
ROWS = {
    "a modality": ((FEW, Y), "modality 1 has 29 rows and modality 0 has 30"),
    "a modality with more": ((MORE, Y), "modality 1 has 32 rows and modality 0 has 30"),
    "labels": ((X, Y[:-1]), "labels has 29 rows and modality 0 has 30"),
    "all modalities": (([x[:1] for x in X], Y), "labels has 30 rows and modality 0 has 1;"),
    "a modality of the hold-out": (
        (X, Y, (MIXED, NEW_Y)),
        "hold-out: modality 1 has 10 .* modality 0 has 11",
    ),
    "labels of the hold-out": ((X, Y, (NEW, NEW_Y[:5])), "the hold-out's labels has 5 rows and .* 11"),
}
WIDTHS = {
    "a narrower modality": ([NEW[0][:, :2], NEW[1]], r"\(2, 2\) features where the fit had \(3, 2\)"),
    "a wider modality": ([NEW[0], NEW[0]], r"\(3, 3\) features where the fit had \(3, 2\)"),
    "modalities in another order": (NEW[::-1], r"\(2, 3\) features where the fit had \(3, 2\)"),
    "one modality": (NEW[:1], "fitted on 2 modalities, got 1"),
    "three modalities": ([*NEW, NEW[0]], "fitted on 2 modalities, got 3"),
    "none": ([], "there are no modalities"),
}


class TestRowsThatDoNotBelongTogether:
    @pytest.mark.parametrize("case", ROWS)
    def test_are_refused_by_a_fit_that_names_both(self, method, case):
        given, message = ROWS[case]
        with pytest.raises(ValueError, match=message):
            small(method).fit(*given)

    def test_are_refused_by_predictions_that_stay_the_same(self, method, fitted):
        estimator = fitted(method)
        before = estimator.predict_scores(NEW)
        for predict in (estimator.predict_scores, estimator.predict, estimator.trace):
            for wrong in ([NEW[0], NEW[1][:-1]], [NEW[0], X[1]], [NEW[0], NEW[1][:1]]):
                with pytest.raises(ValueError, match=r"modality 1 has \d+ rows and modality 0 has 11"):
                    predict(wrong)
                assert np.array_equal(estimator.predict_scores(NEW), before)

    @pytest.mark.parametrize("case", WIDTHS)
    def test_other_modalities_are_refused_at_both_doors(self, method, case, fitted):
        modalities, message = WIDTHS[case]
        for predict in (fitted(method).predict_scores, fitted(method).predict, fitted(method).trace):
            with pytest.raises(ValueError, match=message):
                predict(modalities)
        with pytest.raises(ValueError, match=message):
            small(method).fit(X, Y, holdout=(modalities, NEW_Y))

    def test_other_labels_of_a_hold_out_are_refused(self, method):
        with pytest.raises(ValueError, match=r"the hold-out's labels have 2 columns and labels have 3"):
            small(method).fit(X, Y, holdout=(NEW, NEW_Y[:, :2]))
        for wrong in (3, NEW, (NEW,), {"modalities": NEW, "labels": NEW_Y}):
            with pytest.raises(ValueError, match=r"holdout is a .*; give a pair \(modalities, labels\)"):
                small(method).fit(X, Y, holdout=wrong)

    def test_frames_of_other_rows_or_columns_are_refused(self, method):
        frames = [pd.DataFrame(x).add_prefix("f") for x in X]
        with pytest.raises(ValueError, match=r"modality 1 and modality 0 .* other indices"):
            small(method).fit([frames[0], frames[1].iloc[::-1]], Y)
        with pytest.raises(ValueError, match=r"labels and modality 0 .* other indices"):
            small(method).fit(frames, pd.DataFrame(Y).iloc[::-1])
        estimator = small(method).fit(frames, Y)
        with pytest.raises(ValueError, match=r"modality 0 has the column 'f2' where the fit had 'f0'"):
            estimator.predict([frames[0].iloc[:, ::-1], frames[1]])


WRONG_LABELS = {
    "-1 and 1": (Y * 2.0 - 1, r"the first is -1.0 in row 0, column 1 \(values: -1.0, 1.0\)"),
    "counts": (Y * 2, r"the first is 2 in row 0, column 0 \(values: 0, 2\); map absent to 0"),
    "many counts": (np.arange(90).reshape(30, 3), r"88 are not, .* \(values: 0, 1, 2, 3, 4, \.\.\.\)"),
    "probabilities": (Y * 0.5, r"the first is 0.5 in row 0, column 0"),
    "NaN": (changed(Y, (4, 2), np.nan), r"the first is nan in row 4, column 2"),
    "infinity": (changed(Y, (4, 2), np.inf), r"the first is inf in row 4, column 2"),
    "strings": (Y.astype(str), r"holds values of type <U\d, the first is '1'; map"),
    "a string": (changed(Y, (4, 2), "yes"), r"holds 'yes', a str, in row 4, column 2; map"),
    "a list": (Y[:, 0], r"shape \(30,\); give a matrix of rows and labels"),
    "None": (None, r"shape \(\); give a matrix"),
    "no labels": (Y[:, :0], r"is empty, of shape \(30, 0\)"),
    "a sparse matrix": (scipy.sparse.csr_matrix(Y), r"is a sparse matrix; .* \.toarray\(\)"),
    "masked": (np.ma.masked_equal(Y, 1), r"is a masked array with masked values"),
}  # fmt: skip
RIGHT_LABELS = {
    "booleans": lambda y: y.astype(bool),
    "floats": lambda y: y.astype(float),
    "half floats": lambda y: y.astype(np.float16),
    "big-endian": lambda y: y.astype(">i4"),
    "objects": lambda y: y.astype(object),
    "lists": lambda y: y.tolist(),
    "a tensor": torch.tensor,
    "a frame": pd.DataFrame,
    "a frame of booleans": lambda y: pd.DataFrame(y.astype(bool)),
    "a frame of nullable booleans": lambda y: pd.DataFrame(y.astype(bool)).astype("boolean"),
    "a frame of mixed types": lambda y: pd.DataFrame(y).astype({0: bool, 1: float}),
    "by column": np.asfortranarray,
    "read-only": lambda y: np.broadcast_to(y, (1, *y.shape))[0],
    "a masked array without masked values": np.ma.asarray,
}


class TestLabels:
    @pytest.mark.parametrize("case", WRONG_LABELS)
    def test_that_are_no_zeros_and_ones_are_refused(self, method, case):
        wrong, message = WRONG_LABELS[case]
        with pytest.raises(ValueError, match=f"^labels .*{message}"):
            small(method).fit(X, wrong)
        with pytest.raises(ValueError, match=f"^the hold-out's labels .*{message}"):
            small(method).fit(NEW, NEW_Y, holdout=(X, wrong))

    @pytest.mark.parametrize("case", RIGHT_LABELS)
    def test_of_other_types_give_the_same_bits(self, method, case, reference):
        of_type = RIGHT_LABELS[case]
        found = scores_of(method, X, of_type(Y), held=(NEW, of_type(NEW_Y)))
        assert np.array_equal(found, reference(method))


def with_value(value):
    return [changed(NEW[0], (5, 1), value), NEW[1]]


class NumpyAlone:
    """What only numpy knows how to read."""

    def __init__(self, values):
        self.values = values

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.values, dtype=dtype)


WRONG_FEATURES = {
    "NaN": (with_value(np.nan), "modality 0 holds 1 NaN or infinite values, the first in row 5, column 1"),
    "infinity": (with_value(-np.inf), "modality 0 holds 1 NaN or infinite values, .* row 5, column 1"),
    "too large a number": (
        [np.array(NEW[0], np.longdouble) * np.longdouble("1e4000"), NEW[1]],
        "modality 0 holds 33 NaN or infinite values, the first in row 0, column 0",
    ),
    "a nullable frame": (
        [pd.DataFrame(NEW[0]).astype("Float64").replace(NEW[0][5, 1], pd.NA), NEW[1]],
        "modality 0 holds 1 NaN or infinite values, the first in row 5, column 1",
    ),
    "a named column": (
        [pd.DataFrame(with_value(np.nan)[0], columns=list("abc")), NEW[1]],
        r"row 5, column 1 \('b'\)",
    ),
    "large integers": (
        [np.full((11, 3), 2**53 + 1), NEW[1]],
        r"modality 0 holds 33 integers beyond 2\*\*53, the first in row 0, column 0",
    ),
    "large integers as objects": ([np.full((11, 3), 10**400), NEW[1]], r"beyond 2\*\*53"),
    "a string": (with_value("high"), "modality 0 holds 'high', a str, in row 5, column 1; give real numbers"),
    "strings": ([NEW[0].astype(str), NEW[1]], "modality 0 holds values of type <U"),
    "a long string": ([np.full((11, 3), "x" * 9999), NEW[1]], r"the first is .{60,64}; give real numbers$"),
    "decimals": ([np.full((11, 3), Decimal(1)), NEW[1]], r"holds Decimal\('1'\), a Decimal, in row 0"),
    "complex numbers": ([NEW[0] + 0j, NEW[1]], "modality 0 holds values of type complex128"),
    "dates": ([np.zeros((11, 3), "M8[D]"), NEW[1]], r"modality 0 holds values of type datetime64\[D\]"),
    "spans": ([np.zeros((11, 3), "m8[D]"), NEW[1]], r"modality 0 holds values of type timedelta64\[D\]"),
    "records": ([np.zeros((11, 3), "f4,f4"), NEW[1]], r"modality 0 holds values of type \[\('f0'"),
    "masked records": ([np.ma.asarray(np.zeros((11, 3), "f4,f4")), NEW[1]], r"of type \[\('f0'"),
    "a sparse matrix": ([scipy.sparse.csr_matrix(NEW[0]), NEW[1]], "modality 0 is a sparse matrix; give"),
    "a sparse array": ([scipy.sparse.coo_array(NEW[0]), NEW[1]], "modality 0 is a sparse matrix; give"),
    "a sparse tensor": ([torch.tensor(NEW[0]).to_sparse(), NEW[1]], "modality 0 is a sparse matrix; give"),
    "a compressed tensor": ([torch.tensor(NEW[0]).to_sparse_csr(), NEW[1]], "modality 0 is no matrix of num"),
    "a tensor with gradient": ([torch.ones(11, 3, requires_grad=True), NEW[1]], r"\.detach\(\)\.numpy\(\)"),
    "a tensor without memory": ([torch.ones(11, 3, device="meta"), NEW[1]], "modality 0 is no matrix of num"),
    "ragged lists": ([[[1, 2, 3]] * 10 + [[1, 2]], NEW[1]], "modality 0 is no matrix of numbers"),
    "masked": ([np.ma.masked_less(NEW[0], 0), NEW[1]], "modality 0 is a masked array with masked values"),
    "a vector": ([NEW[0][:, 0], NEW[1]], r"modality 0 has shape \(11,\); give a matrix"),
    "a number": ([3.0, NEW[1]], r"modality 0 has shape \(\); give a matrix"),
    "None": ([None, NEW[1]], r"modality 0 has shape \(\); give a matrix"),
    "a cube": ([NEW[0][:, None], NEW[1]], r"modality 0 has shape \(11, 1, 3\); give a matrix"),
    "no rows": ([x[:0] for x in NEW], r"modality 0 is empty, of shape \(0, 3\)"),
    "no columns": ([NEW[0][:, :0], NEW[1]], r"modality 0 is empty, of shape \(11, 0\)"),
    "one matrix": (NEW[0], r"modalities are one ndarray of shape \(11, 3\); give a list"),
    "one frame": (pd.DataFrame(NEW[0]), r"modalities are one DataFrame of shape \(11, 3\); give a list"),
    "one sparse matrix": (scipy.sparse.eye(3), r"modalities are one \w+ of shape \(3, 3\); give a list"),
    "a mapping": (dict(enumerate(NEW)), r"modalities are a mapping of \[0, 1\]; give a list"),
    "a name": ("image", "modalities are a str; give a list"),
    "nothing": (None, "modalities are a NoneType; give a list"),
}  # fmt: skip
RIGHT_FEATURES = {
    "lists": lambda x: x.tolist(),
    "tuples": lambda x: tuple(map(tuple, x.tolist())),
    "a frame": pd.DataFrame,
    "a frame of mixed types": lambda x: pd.DataFrame(x).astype({0: object}),
    "a nullable frame": lambda x: pd.DataFrame(x).astype("Float64"),
    "a tensor": torch.tensor,
    "what numpy alone can read": NumpyAlone,
    "objects": lambda x: x.astype(object),
    "fractions": lambda x: np.vectorize(Fraction, otypes=[object])(x),
    "long doubles": lambda x: x.astype(np.longdouble),
    "big-endian": lambda x: x.astype(">f8"),
    "by column": np.asfortranarray,
    "every other row": lambda x: np.repeat(x, 2, axis=0)[::2],
    "backwards": lambda x: x[::-1, ::-1].copy()[::-1, ::-1],
    "read-only": lambda x: np.broadcast_to(x, (1, *x.shape))[0],
    "a masked array without masked values": np.ma.asarray,
    "a matrix of numpy": lambda x: np.asmatrix(x) if hasattr(np, "asmatrix") else x,
}


class TestFeatures:
    @pytest.mark.parametrize("case", WRONG_FEATURES)
    def test_that_are_no_matrices_of_numbers_are_refused_at_every_door(self, method, case, fitted):
        wrong, message = WRONG_FEATURES[case]
        doors = [
            lambda: small(method).fit(wrong, NEW_Y),
            lambda: small(method).fit(X, Y, holdout=(wrong, NEW_Y)),
            lambda: fitted(method).predict_scores(wrong),
            lambda: fitted(method).predict(wrong),
            lambda: fitted(method).trace(wrong),
        ]
        for door in doors:
            with pytest.raises(ValueError, match=message) as error:
                door()
            assert "\n" not in str(error.value)

    @pytest.mark.parametrize("case", RIGHT_FEATURES)
    @pytest.mark.filterwarnings("ignore:the matrix subclass:PendingDeprecationWarning")
    def test_of_other_types_give_the_same_bits(self, method, case, reference):
        def of_type(modalities):
            return [RIGHT_FEATURES[case](x) for x in modalities]

        found = scores_of(method, of_type(X), Y, held=(of_type(NEW), NEW_Y), new=of_type(NEW))
        assert np.array_equal(found, reference(method))

    @pytest.mark.parametrize("kind", [np.int8, np.int64, np.uint16, np.float16, np.float32, bool])
    def test_of_few_bits_are_the_numbers_that_they_are(self, method, kind):
        modalities, new = ([np.abs(x * 2).astype(kind) for x in given] for given in (X, NEW))
        plain, plain_new = ([x.astype(float) for x in given] for given in (modalities, new))
        found = scores_of(method, modalities, Y, held=(new, NEW_Y), new=new)
        assert np.array_equal(found, scores_of(method, plain, Y, held=(plain_new, NEW_Y), new=plain_new))

    def test_a_cube_or_another_iterable_of_matrices_is_a_list_of_them(self, method):
        modalities = [X[0], X[0] ** 2]
        expected = scores_of(method, modalities, Y, held=None, new=modalities)
        for given in (np.stack(modalities), torch.tensor(np.stack(modalities)), tuple(modalities)):
            assert np.array_equal(scores_of(method, given, Y, held=None, new=given), expected)
        found = scores_of(method, iter(modalities), Y, held=None, new=(x for x in modalities))
        assert np.array_equal(found, expected)

    def test_and_labels_are_left_alone(self, method):
        given = [x.copy() for x in (*X, Y, *NEW, NEW_Y)]
        estimator = small(method).fit(given[:2], given[2], holdout=(given[3:5], given[5]))
        estimator.predict_scores(given[3:5]), estimator.predict(given[3:5]), estimator.trace(given[3:5])
        for array, copy in zip(given, (*X, Y, *NEW, NEW_Y), strict=True):
            assert np.array_equal(array, copy)


MOVED = {
    "times 2 ** -200": lambda x: x * 2.0**-200,
    "times 2 ** 990": lambda x: x * 2.0**990,
    "plus 2 ** 30": lambda x: x + 2.0**30,
}
"""Of features of ten bits after the point, with nothing lost."""


class TestDigits:
    @pytest.mark.parametrize("case", MOVED)
    def test_unit_and_offset_of_features_do_not_matter(self, method, case, reference):
        modalities, new = ([MOVED[case](x) for x in given] for given in (X, NEW))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            found = scores_of(method, modalities, Y, held=(new, NEW_Y), new=new)
        np.testing.assert_allclose(found, reference(method), rtol=0, atol=2e-6)

    def test_columns_that_no_longer_vary_are_named(self, method):
        if "form" not in method().get_params():
            pytest.skip("it computes in double precision")
        tiny = [X[0] * [1, 1e-320, 1], X[1]]
        with pytest.warns(LostDigitsWarning, match=r"modality 0: 1 columns vary .* \(columns 1\)"):
            small(method, scaling="none").fit(tiny, Y)

    def test_scores_are_numbers_where_nothing_varies(self, method):
        constant = [np.full_like(x, 7.0) for x in X]
        scores = scores_of(method, constant, Y, held=None, new=constant)
        assert ((scores >= 0) & (scores <= 1)).all()

    @pytest.mark.parametrize("factor", [1e30, 1e300])
    @pytest.mark.parametrize("scaling", ["none", "l2", "standard"])
    @pytest.mark.filterwarnings("ignore")
    def test_scores_are_numbers_or_refused(self, method, factor, scaling):
        far, wide = ([x * factor for x in given] for given in (NEW, X))
        for door in (
            lambda: small(method).fit(X, Y).predict_scores(far),
            lambda: small(method, scaling=scaling).fit(wide, Y).predict_scores(far),
        ):
            try:
                scores = door()
            except (ValueError, DivergenceError):
                continue
            assert ((scores >= 0) & (scores <= 1)).all()


class TestBeforeAFit:
    def test_nothing_can_be_asked_for(self, method, tmp_path):
        for ask in (
            lambda estimator: estimator.predict_scores(NEW),
            lambda estimator: estimator.predict(NEW),
            lambda estimator: estimator.trace(NEW),
            lambda estimator: estimator.save(tmp_path / "model"),
        ):
            with pytest.raises(NotFittedError):
                ask(small(method))
            estimator = small(method).fit(X, Y)
            with pytest.raises(ValueError, match="labels has 5 rows"):
                estimator.fit(X, Y[:5])
            with pytest.raises(NotFittedError):
                ask(estimator)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.parametrize("threshold", ["eq13", ["fixed"], np.array([0.5, 0.5]), 0.5, None, True])
    def test_an_unknown_threshold_is_refused(self, method, threshold, fitted):
        with pytest.raises(ValueError, match="is not offered; choose one of 'calibrated', 'fixed'"):
            fitted(method).predict(NEW, threshold)


def options_of(method, default):
    return [name for name, value in method().get_params(deep=False).items() if default(name, value)]


class TestOptions:
    @pytest.mark.parametrize("state", [None, 0, np.int64(3), 2**40])
    def test_a_random_state_of_scikit_learn_works(self, method, state):
        assert np.isfinite(scores_of(method, X, Y) if state is None else self.by(method, state)).all()

    @staticmethod
    def by(method, state):
        return small(method, random_state=state).fit(X, Y).predict_scores(NEW)

    def test_equal_random_states_give_equal_scores(self, method):
        assert np.array_equal(self.by(method, 3), self.by(method, np.int64(3)))
        for make in (np.random.RandomState, np.random.default_rng):
            assert np.array_equal(self.by(method, make(5)), self.by(method, make(5)))
        assert np.isfinite(self.by(method, None)).all()

    @pytest.mark.parametrize("state", [-1, True, 1.5, "a", [1]])
    def test_another_random_state_is_refused(self, method, state):
        if "random_state" not in method().get_params():
            pytest.skip("nothing in it is random")
        with pytest.raises(ValueError, match=r"random_state=.*; give an integer from 0 up, None or a numpy"):
            self.by(method, state)

    def test_numbers_of_other_types_count_by_value_and_nothing_else_does(self, method):
        names = options_of(method, lambda name, _: name in NUMBERS)
        for name in names:
            default = small(method).get_params()[name]
            wrong = [
                "8",
                "false",
                True,
                False,
                np.True_,
                np.nan,
                np.inf,
                -np.inf,
                -1,
                [1],
                1j,
                Fraction(1, 2),
            ]
            wrong += [Decimal(1), 10**400, np.array(1), torch.tensor(1)]
            wrong += [8.0, np.float32(8)] if isinstance(default, int) else []
            wrong += [] if default is None or name in ("clip_norm", "budget", "confidence") else [None]
            if method.__name__ == "DMP" and name == "hidden":
                wrong.remove(None)
            for value in wrong:
                with pytest.raises(ValueError, match=f"^{name}=") as error:
                    small(method, **{name: value}).fit(X, Y)
                assert "\n" not in str(error.value)
            if isinstance(default, int):
                estimator = small(method, **{name: np.int64(default)})
            elif default is not None:
                estimator = small(method, **{name: np.float64(default)})
                small(method, **{name: np.float32(default)}).fit(X, Y)
            else:
                continue
            assert np.array_equal(
                estimator.fit(X, Y).predict_scores(NEW), small(method).fit(X, Y).predict_scores(NEW)
            )

    def test_words_and_switches_are_what_they_are(self, method):
        for name in options_of(method, lambda _, value: isinstance(value, bool)):
            for value in ("false", 0, 1, None, np.array([True])):
                with pytest.raises(ValueError, match=f"^{name}=.*; give True or False"):
                    small(method, **{name: value}).fit(X, Y)
        for name in options_of(method, lambda name, value: isinstance(value, str) and name != "device"):
            for value in ("", "red", 1, None, ["none"], b"none"):
                with pytest.raises(ValueError, match=f"^{name}=.* is not offered; choose one of '"):
                    small(method, **{name: value}).fit(X, Y)
        for name in options_of(method, lambda _, value: isinstance(value, tuple)):
            for value in (
                (),
                1.0,
                "1",
                [True],
                np.array(1.0),
                np.ones((1, 1)),
                {1.0},
                [np.nan],
                [[1.0]],
                None,
            ):
                with pytest.raises(ValueError, match=f"^{name}=.*; give one or more numbers"):
                    small(method, **{name: value}).fit(X, Y)

    @pytest.mark.parametrize("device", ["gpu", "cuda:99", 5, None, True, ""])
    def test_a_device_that_is_not_there_is_refused(self, method, device):
        if "device" not in method().get_params():
            pytest.skip("it computes on the processor alone")
        with pytest.raises(ValueError, match=r"^device=.*; give ") as error:
            small(method, device=device).fit(X, Y)
        assert "\n" not in str(error.value)


@contextmanager
def default_type():
    torch.set_default_dtype(torch.float64)
    yield
    assert torch.get_default_dtype() == torch.float64
    torch.set_default_dtype(torch.float32)


@contextmanager
def default_device():
    with torch.device("meta"):
        yield
        assert torch.get_default_device().type == "meta"


@contextmanager
def precision_of_products():
    torch.set_float32_matmul_precision("medium")
    yield
    assert torch.get_float32_matmul_precision() == "medium"
    torch.set_float32_matmul_precision("highest")


@contextmanager
def pandas_output():
    with sklearn.config_context(transform_output="pandas", assume_finite=True):
        yield
        assert sklearn.get_config()["transform_output"] == "pandas"


@contextmanager
def no_grad():
    with torch.no_grad():
        yield
        assert not torch.is_grad_enabled()


@contextmanager
def autocast():
    with torch.autocast("cpu", dtype=torch.bfloat16):
        yield
        assert torch.is_autocast_enabled("cpu")


@contextmanager
def inference_mode():
    with torch.inference_mode():
        yield
        assert torch.is_inference_mode_enabled()


@contextmanager
def raising():
    with np.errstate(all="raise"):
        yield
        assert set(np.geterr().values()) == {"raise"}


SURROUNDINGS = [
    default_type, default_device, precision_of_products, pandas_output, no_grad, autocast, inference_mode,
    raising,
]  # fmt: skip


@pytest.mark.parametrize("surroundings", SURROUNDINGS, ids=lambda surroundings: surroundings.__name__)
def test_what_a_caller_has_set_changes_no_bit_and_stays(method, surroundings, reference, tmp_path):
    expected = reference(method)
    with surroundings():
        estimator = small(method).fit(X, Y, holdout=(NEW, NEW_Y))
        scores = estimator.predict_scores(NEW)
        for rule in ("calibrated", "transductive_eq13", "transductive_eq16a", "transductive_eq16b"):
            assert estimator.predict(NEW, rule).shape == NEW_Y.shape
        estimator.trace(NEW)
        estimator.save(tmp_path / "model")
        loaded = method.load(tmp_path / "model").predict_scores(NEW)
    assert np.array_equal(scores, expected)
    assert np.array_equal(loaded, expected)
