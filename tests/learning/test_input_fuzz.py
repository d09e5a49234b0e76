"""Generated modalities, labels, hold-outs and options against a description of what is right of them."""

from __future__ import annotations

import resource
import tracemalloc
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from doors import METHODS, small
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from sklearn.exceptions import NotFittedError

from benchmark.learning.estimator import MultiModalEstimator

REAL_KINDS = ("f8", "f4", "f2", "i1", "u1", "i8", "u8", "?", "longdouble", ">f8", ">i4")
OTHER_KINDS = ("c16", "U3", "S3", "M8[D]", "m8[s]", "f4,f4")
READ = (
    *("array", "list", "tuple", "frame", "objects", "by column", "strided", "read-only", "tensor"),
    *("numpy alone", "unmasked"),
)
NOT_READ = ("sparse", "masked", "ragged", "gradient", "vector", "cube", "number", "none", "text")
TORCH_KINDS = ("f8", "f4", "f2", "i1", "u1", "i8", "?")


@dataclass(frozen=True)
class Table:
    """A matrix (n, d) to be made, of features or of labels."""

    n: int
    d: int
    labels: bool
    kind: str = "f8"
    form: str = "array"
    poison: object = None
    """A value for one cell; None leaves it."""
    shifted: bool = False
    """Whether a frame's index is another than that of most."""
    seed: int = 0

    @property
    def is_read(self) -> bool:
        """Whether it is a matrix of what it should hold."""
        return (
            min(self.n, self.d) > 0
            and self.kind in REAL_KINDS
            and self.form in READ
            and (self.poison is None or (self.labels and self.poison is True))
        )

    def values(self):
        generator = np.random.default_rng(self.seed)
        if self.labels:
            return generator.integers(0, 2, (self.n, self.d))
        return generator.integers(0, 2, (self.n, self.d)) + generator.integers(0, 100, (self.n, self.d))

    def made(self):
        array = self.values()
        array = array.astype(np.longdouble if self.kind == "longdouble" else self.kind)
        if self.poison is not None and array.size:
            array = array.astype(object)
            array[self.n // 2, self.d // 2] = self.poison
        return FORMS[self.form](array, self)


class NumpyAlone:
    def __init__(self, array):
        self.array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self.array, dtype=dtype)


def read_only(array, _):
    array = array.copy()
    array.setflags(write=False)
    return array


def tensor(array, table):
    return torch.tensor(array) if array.dtype == np.dtype(table.kind) and table.kind in TORCH_KINDS else array


FORMS = {
    "array": lambda array, _: array,
    "list": lambda array, _: array.tolist(),
    "tuple": lambda array, _: tuple(map(tuple, array.tolist())),
    "frame": lambda array, table: frame(array, table),
    "objects": lambda array, _: array.astype(object),
    "by column": lambda array, _: np.asfortranarray(array),
    "strided": lambda array, _: np.repeat(array, 2, axis=0)[::2],
    "read-only": read_only,
    "tensor": tensor,
    "numpy alone": lambda array, _: NumpyAlone(array),
    "unmasked": lambda array, _: np.ma.asarray(array),
    "sparse": lambda array, _: scipy.sparse.csr_matrix(np.ones(array.shape)),
    "masked": lambda array, _: np.ma.masked_array(array, np.ones(array.shape, bool)) if array.size else None,
    "ragged": lambda array, _: [*array.tolist(), [0] * (array.shape[1] + 1)] if array.size else [],
    "gradient": lambda array, _: torch.ones(array.shape, requires_grad=True),
    "vector": lambda array, _: array.reshape(-1),
    "cube": lambda array, _: array[None],
    "number": lambda _array, _: 3,
    "none": lambda _array, _: None,
    "text": lambda _array, _: "text",
}


def frame(array, table):
    made = pd.DataFrame(
        list(map(tuple, array)) if array.dtype.names else array.astype(array.dtype.newbyteorder("="))
    )
    made.index = made.index + 7 if table.shifted else made.index
    return made


@st.composite
def tables(draw, n, d, labels):
    """Tables that are read, but for one in some fifteen."""
    table = Table(
        n, d, labels, draw(st.sampled_from(REAL_KINDS)), draw(st.sampled_from(READ)), seed=draw(SEEDS)
    )
    match draw(st.integers(0, 60)):
        case 0:
            return replace(table, form=draw(st.sampled_from(NOT_READ)))
        case 1:
            return replace(table, kind=draw(st.sampled_from(OTHER_KINDS)))
        case 2:
            wrong = (2, -1, 0.5, True) if labels else ("x", 10**400, 1j, [1])
            return replace(table, poison=draw(st.sampled_from((*wrong, np.nan, np.inf, -np.inf, pd.NA))))
        case 3:
            return replace(table, n=draw(st.integers(0, 12)))
        case 4:
            return replace(table, d=draw(st.integers(0, 4)))
        case 5:
            return replace(table, form="frame", shifted=True)
        case _:
            return table


SEEDS = st.integers(0, 2**20)


@st.composite
def doors(draw, n, dims, q):
    """Modalities and labels, as one call takes them; some dims are forgotten or come twice."""
    dims = draw(st.sampled_from([dims] * 12 + [dims[::-1], dims[1:], (*dims, dims[0])]))
    return [draw(tables(n, d, False)) for d in dims], draw(tables(n, q, True))


@st.composite
def cases(draw):
    """What is passed to a fit, maybe with a hold-out, and to a prediction."""
    dims, q = tuple(draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))), draw(st.integers(1, 4))
    fit = draw(doors(draw(st.integers(1, 12)), dims, q))
    held = draw(st.none() | doors(draw(st.integers(1, 6)), dims, q))
    new, _ = draw(doors(draw(st.integers(1, 6)), dims, q))
    return fit, held, new


def belong_together(modalities, *others):
    """Whether tables are all read, with the same rows in the same order."""
    every = [*modalities, *others]
    frames = {table.shifted for table in every if table.form == "frame"}
    return (
        bool(modalities)
        and all(table.is_read for table in every)
        and len({table.n for table in every}) == 1
        and len(frames) < 2
    )


def widths(modalities):
    return [table.d for table in modalities]


class Nothing(MultiModalEstimator):
    """A method that does nothing but check."""


def accepted(call, *arguments):
    """Return whether a call returned, and what; a refusal is a ValueError of one line."""
    try:
        return True, call(*arguments)
    except ValueError as error:
        message = str(error)
    assert "\n" not in message
    assert len(message) < 500
    return False, None


def made_of(door):
    return [table.made() for table in door[0]], door[1].made()


def check_a_case(case):
    fit, held, new = case
    estimator, expected = Nothing(), belong_together(fit[0], fit[1])
    if held is not None:
        expected = expected and belong_together(held[0], held[1])
        expected = expected and widths(held[0]) == widths(fit[0]) and held[1].d == fit[1].d
    modalities, labels = made_of(fit)
    was_accepted, found = accepted(
        estimator.begin, modalities, labels, None if held is None else made_of(held)
    )
    assert was_accepted == expected
    event(f"fit {'accepted' if expected else 'refused'}")
    if not expected:
        with pytest.raises(NotFittedError):
            estimator.predict(NEW_ROWS)
        return
    for table, array in zip((*fit[0], fit[1]), (*found[0], found[1]), strict=True):
        assert array.dtype in ((np.uint8,) if table.labels else (np.float32, np.float64))
        assert np.array_equal(array, expected_values(table))
    estimator.label_frequencies_ = np.full(fit[1].d, 0.5)
    fits = belong_together(new) and widths(new) == widths(fit[0])
    was_accepted, found = accepted(estimator._checked, [table.made() for table in new])
    assert was_accepted == fits
    event(f"prediction {'accepted' if fits else 'refused'}")
    if fits:
        for table, array in zip(new, found, strict=True):
            assert np.array_equal(array, expected_values(table))


NEW_ROWS = [np.ones((1, 1))]


def expected_values(table):
    """Return the numbers of a table that is read, from plain Python."""
    values = table.values().astype(np.longdouble if table.kind == "longdouble" else table.kind).astype(float)
    if table.poison is not None:
        values[table.n // 2, table.d // 2] = float(table.poison)
    return values


def form_of(examples):
    return settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=examples < 1000,
        suppress_health_check=list(HealthCheck),
    )


def peak_mib():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


@form_of(60)
@given(cases())
def test_what_belongs_together_is_read_and_nothing_else(case):
    check_a_case(case)


@pytest.mark.full
@pytest.mark.parametrize("thousands", [3] * 20)  # what hypothesis itself remembers grows
def test_what_belongs_together_is_read_and_nothing_else_in_full(thousands):
    before = peak_mib()
    form_of(1_000 * thousands)(given(cases())(check_a_case))()
    assert peak_mib() - before < 64


ODD = (
    *(
        8,
        8.0,
        0,
        -1,
        True,
        False,
        None,
        "8",
        "",
        "none",
        b"8",
        1j,
        np.nan,
        np.inf,
        10**400,
        2**31,
        0.5,
        1e-320,
    ),
    *(np.int64(8), np.uint8(8), np.float32(0.5), np.float64(0.5), np.longdouble(0.5), np.bool_(True)),
    *(np.array(8), np.array([0.5]), np.ones((1, 1)), torch.tensor(1), torch.ones(1), pd.NA, pd.Series([1.0])),
    *((), (1.0,), [0.5, 1], [True], ["1"], {1.0}, {}, object(), float, "x" * 1000),
)


@st.composite
def options(draw):
    method = draw(st.sampled_from(METHODS))
    name = draw(st.sampled_from(sorted(method().get_params(deep=False))))
    return method, name, draw(st.sampled_from(ODD))


def could_be_right(default, value):
    """Whether a value is at least of the kind of an option's default."""
    if isinstance(default, bool):
        return isinstance(value, bool | np.bool_)
    if isinstance(default, str):
        return isinstance(value, str)
    is_sequence = isinstance(value, list | tuple | np.ndarray) and np.ndim(value) == 1 and len(value) > 0
    if isinstance(default, tuple):
        return is_sequence and all(could_be_right(1.0, item) for item in value)
    is_integer = isinstance(value, int | np.integer) and not isinstance(value, bool)
    if isinstance(default, int):
        return is_integer or value is None
    is_real = is_integer or isinstance(value, float | np.floating)
    if default is None:
        return value is None or is_real or is_sequence
    return is_real and bool(np.isfinite(value)) and value >= 0


def check_an_option(drawn):
    method, name, value = drawn
    default = method().get_params(deep=False)[name]
    was_accepted, _ = accepted(small(method, **{name: value}).begin, *ROWS)
    event("option accepted" if was_accepted else "option refused")
    is_left_out = value is None and name in ("hidden", "confidence")  # None is a level of theirs
    assert not was_accepted or is_left_out or could_be_right(default, value), (name, value)


ROWS = [np.ones((2, 1))], np.ones((2, 1))


@form_of(40)
@given(options())
def test_an_option_of_another_kind_is_refused(drawn):
    check_an_option(drawn)


@pytest.mark.full
def test_an_option_of_another_kind_is_refused_in_full():
    form_of(20_000)(given(options())(check_an_option))()


def check_a_fit(method, case):
    fit, held, new = case
    expected = belong_together(fit[0], fit[1])
    if held is not None:
        expected = expected and belong_together(held[0], held[1])
        expected = expected and widths(held[0]) == widths(fit[0]) and held[1].d == fit[1].d
    estimator = small(method, label_activation="sigmoid")  # a softmax of one label is refused
    was_accepted, _ = accepted(estimator.fit, *made_of(fit), None if held is None else made_of(held))
    assert was_accepted == expected
    if not expected:
        return
    modalities = [table.made() for table in new]
    was_accepted, scores = accepted(estimator.predict_scores, modalities)
    assert was_accepted == (belong_together(new) and widths(new) == widths(fit[0]))
    if was_accepted:
        assert ((scores >= 0) & (scores <= 1)).all()
        assert set(np.unique(estimator.predict(modalities))) <= {0, 1}


@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
@pytest.mark.filterwarnings("ignore")
def test_a_method_scores_what_is_right(method):
    form_of(4)(given(cases())(lambda case: check_a_fit(method, case)))()


@pytest.mark.full
@pytest.mark.parametrize("method", METHODS, ids=lambda method: method.__name__)
@pytest.mark.filterwarnings("ignore")
def test_a_method_scores_what_is_right_in_full(method):
    before = peak_mib()
    form_of(1_000)(given(cases())(lambda case: check_a_fit(method, case)))()
    assert peak_mib() - before < 128


@pytest.mark.parametrize("kind", [np.uint8, np.float32, np.float64])
@pytest.mark.parametrize("value", [2, np.nan])
def test_what_is_wrong_everywhere_takes_little_memory(kind, value):
    """A list of all wrong places would be larger than the array."""
    if kind == np.uint8 and value != 2:
        pytest.skip("there is no such number")
    wrong = np.full((4000, 1000), value, kind)
    tracemalloc.start()
    with pytest.raises(ValueError, match=r"^labels must be 0 or 1; 4000000 are not"):
        Nothing().begin([wrong], wrong)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * wrong.nbytes + 2**24
