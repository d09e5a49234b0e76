"""LIBSVM with several labels: none lost, no row lost, columns alike over files."""

import pytest

from benchmark.contracts import DataError
from datasets.formats.importing import Wish, understand
from datasets.formats.libsvm import read_libsvm


def read(tmp_path, *texts):
    paths = []
    for k, text in enumerate(texts):
        paths.append(tmp_path / f"part{k}.svm")
        paths[-1].write_text(text)
    return read_libsvm(paths)


def rows(content, name="part0"):
    return content.tables[name].to_numpy().tolist()


@pytest.mark.parametrize(
    ("text", "features"),
    [
        ("2,7 1:0.5 3:2\n7 2:1\n", [[0.5, 0, 2], [0, 1, 0]]),
        ("2,7 0:0.5 3:2 # note\n7 2:1\n\n", [[0.5, 0, 0, 2], [0, 0, 1, 0]]),
    ],
)
def test_features_count_from_0_or_from_1_and_labels_are_called_by_number(tmp_path, text, features):
    content = read(tmp_path, text)
    assert rows(content) == features
    assert rows(content, "labels") == [[1, 1], [0, 1]]
    assert [*content.tables["labels"].columns] == ["2", "7"]


def test_a_row_without_labels_stays(tmp_path):
    assert rows(read(tmp_path, "1 1:1\n 1:2\n3:3\n"), "labels") == [[1], [0], [0]]


def test_parts_agree_in_columns_and_labels(tmp_path):
    content = read(tmp_path, "1 0:1\n", "4,1 2:5\n")
    assert rows(content) == [[1, 0, 0], [0, 0, 5]]
    assert rows(content, "labels") == [[1, 0], [1, 1]]


def test_a_line_of_sizes_keeps_columns_and_labels_that_no_row_has(tmp_path):
    content = read(tmp_path, "2 5 4\n1 0:1\n3,1 2:5\n")
    assert rows(content) == [[1, 0, 0, 0, 0], [0, 0, 5, 0, 0]]
    assert rows(content, "labels") == [[0, 1, 0, 0], [0, 1, 0, 1]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 1:1\n\n2 1:1\n", "line 2 blank"),
        ("a 1:1\n", "expected a complete LIBSVM file"),
        ("1 1:x\n", "expected a complete LIBSVM file"),
        ("1 3:1 1:1\n", "sorted and unique"),
        ("3 5 4\n1 0:1\n", "the 3 rows of its first line"),
        ("1 1:1\n2 999999999:1\n" * 10, "memory for twice"),
    ],
)
def test_what_would_lose_rows_or_is_something_else_is_refused(tmp_path, text, message):
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_rows_without_any_label_are_no_data_set(tmp_path):
    path = tmp_path / "toy.svm"
    path.write_text(" 1:1\n 2:1\n")
    with pytest.raises(DataError, match="no labels"):
        understand(Wish((str(path),)))


def test_labels_need_not_be_said(tmp_path):
    path = tmp_path / "toy.txt"
    path.write_text("2,7 1:0.5 3:2\n7 2:1\n")
    found = understand(Wish((str(path),), {"late": "toy/1:3", "first": "toy/0"}))
    assert found.modalities["late"].tolist() == [[0, 2], [1, 0]]
    assert found.label_names == ("2", "7")
