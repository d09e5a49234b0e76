"""`Dataset`: whoever builds one, nothing that does not belong together gets in."""

import numpy as np
import pytest

from benchmark.contracts import DataError, Dataset, Provenance

X, Y = np.arange(12.0, dtype=np.float32).reshape(4, 3), np.array([[0, 1], [1, 1], [0, 0], [1, 0]])


def dataset(modalities=(X, X[:, :1]), labels=Y, names=("left", "right"), label_names=("a", "b")):
    return Dataset("toy", tuple(modalities), labels, names, label_names, Provenance.REAL, "hash")


def spoilt(value):
    x = X.copy()
    x[2, 1] = value
    return x


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"modalities": (X, X[:3])}, r"modality right has 3 rows and .*modality left has 4"),
        ({"labels": Y[:3]}, r"labels has 3 rows and .*modality left has 4"),
        ({"modalities": (X[:, 0], X)}, r"modality left has shape \(4,\)"),
        ({"labels": Y[:, 0]}, r"labels has shape \(4,\)"),
        ({"modalities": (X, X[:, :0])}, r"modality right is empty"),
        ({"modalities": (X, spoilt(np.nan))}, r"modality right holds 1 NaN .* row 2, column 1"),
        ({"modalities": (X, spoilt(-np.inf))}, r"modality right holds 1 NaN .* row 2, column 1: -inf"),
        ({"labels": 2 * Y - 1}, r"labels must be 0 or 1; 4 are not"),
        ({"labels": Y.astype(str)}, r"labels holds values of type <U"),
        ({"names": ("left",)}, r"2 modalities, named left; give each its own name"),
        ({"names": ("left", "left")}, r"2 modalities, named left, left; give each its own name"),
        ({"modalities": (), "names": ()}, r"0 modalities"),
        ({"label_names": ("a", "b", "c")}, r"2 columns of labels, 3 names"),
    ],
)
def test_what_does_not_belong_together_is_refused_by_name(wrong, message):
    with pytest.raises(DataError, match=f"data set toy: {message}"):
        dataset(**wrong)


def test_arrays_are_read_only_and_of_the_promised_types_while_the_callers_stay_as_they_are():
    x, y = X.astype(">f8"), Y.astype(bool)
    made = dataset((x, X[:, :1]), y)
    assert [one.dtype for one in (*made.modalities, made.labels)] == [np.float64, np.float32, np.uint8]
    assert not any(one.flags.writeable for one in (*made.modalities, made.labels))
    assert x.flags.writeable
    assert y.flags.writeable
    np.testing.assert_array_equal(made.modalities[0], X)
    np.testing.assert_array_equal(made.labels, Y)


def test_arrays_that_need_no_conversion_are_not_copied():
    assert np.shares_memory(dataset().modalities[0], X)
