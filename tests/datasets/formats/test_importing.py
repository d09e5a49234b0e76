"""From files to a data set: what is chosen, joined, turned, left out, refused; real sets by one command."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from benchmark.contracts import DataError
from datasets.formats.arrays import data_hash
from datasets.formats.importing import Wish, understand
from datasets.formats.mulan import load_mulan
from datasets.formats.selection import positions, resolve
from datasets.formats.sources import detect, read_sources

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"
TABLES = {
    "a": pd.DataFrame(np.zeros((2, 4)), columns=["t_1", "t_2", "x, y", "GO:1"]),
    "b": pd.DataFrame(np.zeros((2, 3)), columns=["t_9", "7", "c*"]),
    "view{1}": pd.DataFrame(np.zeros((2, 5))),
    "view{2}": pd.DataFrame(np.zeros((2, 5))),
}


@pytest.mark.parametrize(
    ("text", "chosen"),
    [
        ("a", [("a", "")]),
        ("view*", [("view{1}", ""), ("view{2}", "")]),
        ("view{1}/1:3,b", [("view{1}", "1:3"), ("b", "")]),
        ("x, y", [("a", "x, y")]),
        ("a/x, y", [("a", "x, y")]),
        ("GO:1, 7", [("a", "GO:1"), ("b", "7")]),
        ("a/t_*", [("a", "t_*")]),
    ],
)
def test_a_choice_names_tables_and_columns(text, chosen):
    assert resolve(text, TABLES) == chosen


@pytest.mark.parametrize(
    ("table", "columns", "at"),
    [
        ("a", "t_*", [0, 1]),
        ("a", "1:3", [1, 2]),
        ("a", ":2", [0, 1]),
        ("a", "2:", [2, 3]),
        ("a", "last:3", [1, 2, 3]),
        ("a", "first:1", [0]),
        ("a", "3", [3]),
        ("b", "7", [1]),
        ("b", "c*", [2]),
        ("view{1}", "4", [4]),
    ],
)
def test_columns_are_names_globs_or_numbers(table, columns, at):
    assert positions(TABLES[table], columns, table) == at


@pytest.mark.parametrize(
    "columns", ["2:9", "3:3", "3:1", "last:0", "last:9", "9", "-1", "z*", "zebra", "1-3", "a:b"]
)
def test_what_is_not_there_is_refused(columns):
    with pytest.raises(DataError, match="names no column of a 2 x 4"):
        positions(TABLES["a"], columns, "a")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("t_*", "names columns of a, b; write a/t_"),
        ("zebra", r"there are a 2 x 4 \('t_1', 't_2', 'x, y', ...\); b"),
        ("a,zebra", "'zebra' names no table"),
        ("1:3", "names no table"),
    ],
)
def test_a_choice_that_is_not_clear_is_refused_with_what_there_is(text, message):
    with pytest.raises(DataError, match=message):
        resolve(text, TABLES)


@pytest.mark.parametrize(
    ("name", "content", "format"),
    [
        ("x", b"\x93NUMPY\1\0", "npy"),
        ("x.csv", b"PK\3\4", "npz"),
        ("x", b"PAR1", "parquet"),
        ("x.mat", b"MATLAB 5.0 MAT-file", "matlab"),
        ("x.mat", b"MATLAB 7.3 MAT-file", "matlab73"),
        ("x.mat", b"\0\0\0\0\1\0\0\0", "matlab"),
        ("x.txt", b"\xef\xbb\xbf\n% a,b\n @Relation r\n", "arff"),
        ("x.arff", b"% a comment\n" * 9000, "arff"),
        ("x.txt", b"1,2 3:0.5 7:1e-3\n", "libsvm"),
        ("x.txt", b" 3:1 # none\n", "libsvm"),
        ("x", b"3 5 2\n0,1 0:1 4:1\n", "libsvm"),
        ("x.svm", b"3\n", "libsvm"),
        ("x.arff", b"a,b\n1,2\n", "arff"),
        ("x", b"a,b\n1,2\n", "csv"),
        ("x", b"1:2,3\n", "csv"),
        ("x", b"\n" * 60_000, "csv"),
        ("x", "a,b\n".encode("utf-16"), "csv"),
    ],
)
def test_formats_are_known_by_what_a_file_begins_with(tmp_path, name, content, format):
    (tmp_path / name).write_bytes(content)
    assert detect(tmp_path / name) == format


@pytest.mark.parametrize(
    ("content", "message"), [(b"\x1f\x8b\0\0", "unpack"), (b"<?xml?><labels/>", "--labels x")]
)
def test_what_nothing_reads_is_refused_with_what_to_do(tmp_path, content, message):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(DataError, match=message):
        detect(tmp_path / "x")


@pytest.fixture
def csv(tmp_path):
    def write(name, text):
        (tmp_path / name).write_text(text)
        return str(tmp_path / name)

    return write


FIRST, LABELS = "id,a,b\n1,0.5,3\n2,1.5,4\n3,2.5,3\n", "id,y,z\n3,1,1\n1,0,1\n2,1,0\n"


def test_rows_of_several_files_are_joined_by_ids(csv):
    found = understand(Wish((csv("x.csv", FIRST), csv("y.csv", LABELS)), labels="y", index="id"))
    assert found.modalities["x"].tolist() == [[0.5, 3], [1.5, 4], [2.5, 3]]
    assert found.labels.tolist() == [[0, 1], [1, 0], [1, 1]]
    assert found.label_names == ("y", "z")
    assert found.notes == (
        "y: rows brought into the order of x by their ids",
        "rows are joined by the ids in column id",
    )
    assert found.left_out == ()


@pytest.mark.parametrize(
    ("labels", "index", "message"),
    [
        (LABELS.replace("3,1,1", "4,1,1"), "id", "2 ids are not in both, such as '3'"),
        (LABELS.replace("3,1,1", "2,1,1"), "id", "the id '2' is there twice"),
        (LABELS, "name", "one column 'name', found 'id', 'a', 'b'"),
    ],
)
def test_ids_that_do_not_join_are_refused(csv, labels, index, message):
    with pytest.raises(DataError, match=message):
        understand(Wish((csv("x.csv", FIRST), csv("y.csv", labels)), labels="y", index=index))


def test_a_plus_appends_rows_of_the_same_columns(csv):
    one, two = csv("one+more.csv", FIRST), csv("two.csv", FIRST)
    found = read_sources([f"{one}+{two}"])
    assert len(found.tables["one+more"]) == 6
    assert found.notes == ["one+more: 3 rows, then the 3 of two.csv"]
    with pytest.raises(DataError, match=r"the columns of one\+more.csv"):
        read_sources([f"{one}+{csv('y.csv', LABELS)}"])


def test_tables_of_one_name_are_called_by_their_files(tmp_path):
    for name in ("a", "b"):
        np.savez(tmp_path / f"{name}.npz", x=np.zeros((3, 2)), y=np.eye(3)[:, :2])
    sources = (str(tmp_path / "a.npz"), str(tmp_path / "b.npz"))
    found = understand(Wish(sources, {"first": "a/x", "second": "b/x/1"}, "a/y"))
    assert [x.shape for x in found.modalities.values()] == [(3, 2), (3, 1)]
    assert found.left_out == ("tables: b/y 3 x 2", "1 columns of b/x: 0")
    with pytest.raises(DataError, match="two sources are called"):
        read_sources([sources[0], sources[0]])


def test_without_choices_each_table_of_as_many_rows_is_a_modality(tmp_path):
    path = tmp_path / "toy.npz"
    np.savez(path, **{"my x": np.ones((3, 4)), "z": np.ones((5, 3)), "n": np.array([3]), "y": np.eye(3)[:2]})
    found = understand(Wish((str(path),), labels="y"))
    assert {name: x.shape for name, x in found.modalities.items()} == {"my_x": (3, 4), "z": (3, 5)}
    assert found.left_out == ("tables: n 1 x 1",)
    np.savez(path, x=np.ones((3, 4)), w=np.ones((2, 4)), y=np.eye(3)[:2])
    with pytest.raises(DataError, match="say with --modality"):
        understand(Wish((str(path),), labels="y"))


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({}, "say with --labels what are labels; there are x 3 x 3 .'id', 'a', 'b'.$"),
        ({"labels": "a", "modalities": {"m": "0:3"}}, "'0:3' of x holds the label or id 'a'"),
        ({"labels": "b"}, "labels 0 and 1 only"),
        ({"labels": "x"}, "all columns are labels"),
        ({"labels": "id", "index": "id", "modalities": {"m": "a"}}, "holds the ids"),
        ({"labels": "y", "modalities": {"m": "a"}}, "'y' names no column"),
    ],
)
def test_wishes_that_cannot_be_granted_are_refused(csv, wish, message):
    with pytest.raises(DataError, match=message):
        understand(
            Wish((csv("x.csv", FIRST.replace("0.5", "1").replace("1.5", "0").replace("2.5", "1")),), **wish)
        )


def test_tables_of_names_too_much_alike_need_others(tmp_path):
    np.savez(tmp_path / "toy.npz", **{"a b": np.ones((3, 2)), "a_b": np.ones((3, 1)), "y": np.eye(3)[:, :2]})
    with pytest.raises(DataError, match="too much alike"):
        understand(Wish((str(tmp_path / "toy.npz"),), labels="y"))


def test_tables_without_rows_in_common_are_refused(tmp_path):
    np.savez(tmp_path / "toy.npz", x=np.ones((3, 4)), y=np.ones((5, 2)))
    with pytest.raises(DataError, match="y 5 x 2; x 3 x 4 have no number of rows in common"):
        understand(Wish((str(tmp_path / "toy.npz"),), {"m": "x"}, "y"))


def test_rare_labels_are_left_out_and_counted(csv):
    path = csv("x.csv", "a,y,z,w\n1,1,0,1\n2,1,0,0\n3,1,1,1\n")
    found = understand(Wish((path,), {"x": "a"}, "y,z,w", min_positives=2))
    assert found.label_names == ("y", "w")
    assert found.labels.tolist() == [[1, 1], [1, 0], [1, 1]]
    assert found.left_out == ("1 labels with fewer than 2 positives",)
    with pytest.raises(DataError, match="no label has 9 positives"):
        understand(Wish((path,), {"x": "a"}, "y,z", min_positives=9))


def test_views_that_repeat_the_labels_give_them_once_and_never_as_features(csv):
    text = "@relation '{}: -C 1'\n@attribute y {{0,1}}\n@attribute {} numeric\n@data\n1,2\n0,3\n"
    sources = (csv("a.arff", text.format("a", "p")), csv("b.arff", text.format("b", "q")))
    found = understand(Wish(sources))
    assert {name: x.tolist() for name, x in found.modalities.items()} == {"a": [[2], [3]], "b": [[2], [3]]}
    assert found.labels.tolist() == [[1], [0]]
    csv("b.arff", text.format("b", "q").replace("1,2", "0,2"))
    with pytest.raises(DataError, match="the labels of a and b differ"):
        understand(Wish(sources))


def test_labels_that_the_file_names_are_no_features_though_others_were_chosen(csv):
    csv("a.xml", '<labels><label name="y"/><label name="z"/></labels>')
    path = csv(
        "a.arff", "@relation a\n@attribute x real\n@attribute y {0,1}\n@attribute z {0,1}\n@data\n1,0,1\n"
    )
    found = understand(Wish((path,), labels="z"))
    assert found.modalities["a"].tolist() == [[1]]
    assert found.left_out == ("1 label columns that were not chosen of a: 'y'",)


def test_digits_that_single_precision_would_lose_are_kept(csv):
    path = csv("x.csv", "a,y\n1000000000.25,1\n1000000000.5,0\n")
    found = understand(Wish((path,), labels="y"))
    assert found.modalities["x"].tolist() == [[1000000000.25], [1000000000.5]]
    assert found.notes == ("x: kept in double precision, single would lose its digits",)


needs_shared = pytest.mark.skipif(not SHARED.is_dir(), reason="the data are not beside this checkout")
DRUGS = tuple(str(SHARED / "drugs" / f"drug_{name}_mat.txt") for name in ("fp", "domain", "gobp", "pt"))
SCENE = "+".join(str(SHARED / "mulan" / "scene" / f"scene-{part}.arff") for part in ("train", "test"))


def hash_of(found):
    return data_hash(tuple(found.modalities.values()), found.labels)


@needs_shared
@pytest.mark.parametrize(
    ("id", "wish"),
    [
        (
            "emotions",
            Wish(
                (str(SHARED / "matlab" / "emotions.mat"),),
                {"rhythm": "view{1}", "timbre": "view{2}"},
                "label",
            ),
        ),
        (
            "emotions",
            Wish(
                (str(SHARED / "mulan" / "emotions" / "emotions.arff"),), {"rhythm": "64:72", "timbre": "0:64"}
            ),
        ),
        (
            "yeast",
            Wish((str(SHARED / "mulan" / "yeast" / "yeast.arff"),), {"gene": "0:79", "phylo": "79:103"}),
        ),
        (
            "scene",
            Wish(
                (SCENE,),
                {"L": "0:98", "U": "98:196", "V": "196:294"},
                str(SHARED / "mulan" / "scene" / "scene.xml"),
            ),
        ),
    ],
    ids=["emotions in MATLAB", "emotions in ARFF", "yeast", "scene"],
)
def test_every_way_into_a_real_set_ends_in_the_same_numbers(id, wish):
    assert hash_of(understand(wish)) == load_mulan(id, SHARED / "mulan").data_hash


@needs_shared
def test_the_drug_data_are_joined_and_keep_their_frequent_labels():
    choices = {name: f"drug_{name}_mat" for name in ("fp", "domain", "gobp")}
    found = understand(Wish(DRUGS, choices, "drug_pt_mat", index="0", min_positives=100))
    assert [x.shape for x in found.modalities.values()] == [(501, 881), (501, 1307), (501, 3336)]
    assert found.labels.shape == (501, 167)
    assert found.labels.sum(axis=0).min() >= 100
    assert found.label_names[0] == "C0000737"
    assert found.left_out == ("3093 labels with fewer than 100 positives",)


def test_the_line_that_pandas_writes_of_columns_without_names_is_no_row(tmp_path):
    import pandas as pd

    from datasets.formats.delimited import read_delimited

    table = pd.DataFrame([[5.0, 1.5], [6.0, 2.5], [7.0, 3.5]])
    for index in (True, False):
        table.to_csv(tmp_path / "x.csv", index=index)
        content = read_delimited(tmp_path / "x.csv")
        assert content.tables["x"].iloc[:, -2:].to_numpy().tolist() == table.to_numpy().tolist()
        assert content.notes == []
    table.to_csv(tmp_path / "x.csv", index=False, header=False)
    content = read_delimited(tmp_path / "x.csv")
    assert len(content.tables["x"]) == 3
    assert isinstance(content.tables["x"].columns, pd.RangeIndex)
    assert content.notes == ["x.csv: no line of names, as its first line holds numbers alone"]
