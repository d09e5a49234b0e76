"""CSV, its kin and Parquet: every digit, every row, and names where there are names."""

import numpy as np
import pandas as pd
import psutil
import pytest

from benchmark.contracts import DataError
from datasets.formats.delimited import read_delimited
from datasets.formats.importing import Wish, understand
from datasets.formats.parquet import read_parquet


def read(tmp_path, text, index=None, **encoding):
    path = tmp_path / "toy.csv"
    path.write_text(text, newline="", **encoding)
    return read_delimited(path, index).tables["toy"]


@pytest.mark.parametrize(
    ("text", "names", "rows"),
    [
        ("a,b\n1,2\n3,4\n", ["a", "b"], [[1, 2], [3, 4]]),
        ("a\tb\r\n1\t2\r\n", ["a", "b"], [[1, 2]]),
        ("a;b;c\n1;2;3", ["a", "b", "c"], [[1, 2, 3]]),
        ('"a, b";"c\nd";e\n1;2;3\n', ["a, b", "c d", "e"], [[1, 2, 3]]),
        ("1,2\n3,4\n", [0, 1], [[1, 2], [3, 4]]),
        ("1.5 -2e3\n  3   4\n", [0, 1], [[1.5, -2000], [3, 4]]),
        ("nan,2\n3,4\n", [0, 1], [[np.nan, 2], [3, 4]]),
        ("a,b\nr1,1,2\nr2,3,4\n", ["", "a", "b"], [["r1", 1, 2], ["r2", 3, 4]]),
        ("\ta\nx\t1\n", ["", "a"], [["x", 1]]),
        ("a\n1\n2\n", ["a"], [[1], [2]]),
        ("a,a\n1,2\n", ["a", "a"], [[1, 2]]),
        ("a,b\n1,2\n\n", ["a", "b"], [[1, 2]]),
    ],
)
def test_separators_names_and_rows_are_found(tmp_path, text, names, rows):
    table = read(tmp_path, text)
    assert [*table.columns] == names
    np.testing.assert_equal(table.to_numpy().tolist(), rows)


def test_every_digit_of_a_number_is_kept(tmp_path):
    given = np.random.default_rng(1).normal(size=(400, 5)) * 10.0 ** np.arange(-2, 3)
    pd.DataFrame(given, columns=list("abcde")).to_csv(tmp_path / "x.csv", index=False)
    assert read_delimited(tmp_path / "x.csv").tables["x"].to_numpy().tolist() == given.tolist()


@pytest.mark.parametrize("index", ["id", "0"])
def test_ids_are_text(tmp_path, index):
    assert [*read(tmp_path, "id,a\n007,1\n7,2\nNA,3\n", index).iloc[:, 0]] == ["007", "7", "NA"]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_any_usual_encoding_is_read(tmp_path, encoding):
    assert [*read(tmp_path, "größe,b\n1,2\n", encoding=encoding).columns] == ["größe", "b"]


@pytest.mark.parametrize("text", ["", "\n1,2\n", "a,b\n1,2,3\n1,2,3,4\n", "a,b\n1,2\n1,2,3\n", 'a,b\n"1,2\n'])
def test_what_is_no_table_is_refused_in_one_line(tmp_path, text):
    with pytest.raises(DataError, match="expected a complete CSV file") as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_text_in_a_feature_is_refused_by_column_and_value(tmp_path):
    (tmp_path / "toy.csv").write_text('a;b;y\n"1,5";2;1\n"2,5";3;0\n')
    with pytest.raises(DataError, match=r"column 'a' holds '1,5', no number"):
        understand(Wish((str(tmp_path / "toy.csv"),), labels="y"))


@pytest.mark.parametrize(("yes", "no"), [("true", "false"), ("Yes", "no"), ("1.0", "0"), ("1", "-1")])
def test_labels_in_words_or_signs_become_numbers(tmp_path, yes, no):
    path = tmp_path / "toy.csv"
    path.write_text(f"a,y,z\n1,{yes},{no}\n2,{no},{yes}\n")
    assert understand(Wish((str(path),), labels="y,z")).labels.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("values", "message"),
    [("12", "labels 0 and 1 only"), (["1", ""], "0 or 1"), ("ab", "holds 'a', no label")],
)
def test_other_labels_are_refused(tmp_path, values, message):
    path = tmp_path / "toy.csv"
    path.write_text(f"a,y\n1,{values[0]}\n2,{values[1]}\n")
    with pytest.raises(DataError, match=message):
        understand(Wish((str(path),), labels="y"))


def test_parquet_keeps_types_and_a_saved_index(tmp_path):
    path = tmp_path / "toy.parquet"
    frame = pd.DataFrame(
        {
            "x": np.array([1.5, 2.5], dtype=np.float32),
            "n": pd.array([1, 2], dtype="Int64"),
            "y": [True, False],
        },
        index=pd.Index(["r1", "r2"], name="id"),
    )
    frame.to_parquet(path)
    table = read_parquet(path).tables["toy"]
    assert [*table.columns] == ["id", "x", "n", "y"]
    found = understand(Wish((str(path),), {"all": "x,n"}, "y"))
    assert found.modalities["all"].tolist() == [[1.5, 1], [2.5, 2]]
    assert found.labels.tolist() == [[1], [0]]
    assert found.left_out == ("1 columns of toy: 'id'",)
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match="expected a complete Parquet file"):
        read_parquet(path)


def test_parquet_that_declares_more_than_memory_is_refused(tmp_path, monkeypatch):
    path = tmp_path / "toy.parquet"
    pd.DataFrame(np.zeros((100_000, 20)), columns=list("abcdefghijklmnopqrst")).to_parquet(path)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Free", (), {"available": 20_000_000}))
    with pytest.raises(DataError, match="memory for twice"):
        read_parquet(path)
