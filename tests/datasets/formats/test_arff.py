"""ARFF as people write it: every trap of names, values and labels, against cases worked by hand."""

import numpy as np
import pytest

from benchmark.contracts import DataError
from datasets.formats.arff import read_arff
from datasets.formats.importing import Wish, understand

DENSE = """% a comment of 100 %
@relation toy
@attribute x1 numeric
@attribute b {0,1}
@attribute x2 real
@attribute a {1,0}
@data
1,0,2.5,1
% another
3,1,-4e-2,0
"""
SPARSE = """@RELATION toy
@ATTRIBUTE x1 NUMERIC
@ATTRIBUTE a {0,1}
@ATTRIBUTE b {1,0}
@ATTRIBUTE last NUMERIC
@DATA
{0 1.5, 1 1, 2 0}
{}
{2 1}
"""


def read(tmp_path, text, name="toy.arff", **encoding):
    path = tmp_path / name
    path.write_text(text, **encoding)
    return read_arff(path)


def numbers(content):
    return content.tables["toy"].to_numpy().tolist()


def test_labels_stand_between_features_and_are_read_by_name(tmp_path):
    (tmp_path / "toy.xml").write_text('<labels><label name="a"/><label name="b"></label></labels>')
    (tmp_path / "toy.arff").write_text(DENSE)
    found = understand(Wish((str(tmp_path / "toy.arff"),)))
    assert found.modalities["toy"].tolist() == [[1.0, 2.5], [3.0, np.float32(-0.04)]]
    assert found.label_names == ("a", "b")
    assert found.labels.tolist() == [[1, 0], [0, 1]]
    assert found.notes == ("toy.arff: labels are those that toy.xml lists",)


def test_empty_rows_and_an_empty_last_column_stay(tmp_path):
    assert numbers(read(tmp_path, SPARSE)) == [[1.5, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 0]]


def test_a_value_is_what_it_says_and_not_where_it_is_declared(tmp_path):
    assert [row[3] for row in numbers(read(tmp_path, DENSE))] == [1, 0]
    # In sparse rows an omitted nominal value is, as in Weka, the first that its attribute declares.
    content = read(tmp_path, SPARSE)
    assert [row[2] for row in numbers(content)] == [0, 1, 1]
    assert content.notes == ["toy.arff: where a sparse row omits it, b is 1, its first value"]


@pytest.mark.parametrize(
    ("written", "name"),
    [
        ("'a b'", "a b"),
        ('"a b"', "a b"),
        (r"'it\'s'", "it's"),
        ('"it\'s"', "it's"),
        (r"'a\\b'", "a\\b"),
        ("'{0,1}'", "{0,1}"),
        ("ü%x", "ü%x"),
        ("'a  b'", "a b"),
    ],
)
def test_names_lose_their_quotes_and_nothing_else(tmp_path, written, name):
    text = DENSE.replace("@attribute x1 numeric", f"@Attribute\t{written}\tnumeric")
    assert read(tmp_path, text).tables["toy"].columns[0] == name


def test_whole_number_attributes_are_not_cut_off(tmp_path):
    assert numbers(read(tmp_path, DENSE.replace("x2 real", "x2 integer")))[0][2] == 2.5


def test_a_declaration_needs_no_blank_before_its_values(tmp_path):
    assert numbers(read(tmp_path, DENSE.replace("b {0,1}", "b{0,1}"))) == [[1, 0, 2.5, 1], [3, 1, -0.04, 0]]


@pytest.mark.parametrize(("count", "at"), [("2", (0, 1)), ("-2", (2, 3)), ("-1", (3,))])
@pytest.mark.parametrize("relation", ["'toy: -C {}'", '"toy: -C {} -split 5"', "toy:-C\t{}"])
def test_meka_counts_labels_from_either_end(tmp_path, relation, count, at):
    content = read(tmp_path, DENSE.replace("@relation toy", f"@relation {relation.format(count)}"))
    assert content.labels == {"toy": at}


def test_missing_values_are_refused_as_features_and_text_by_its_column(tmp_path):
    text = DENSE.replace("3,1", "?,1").replace("x2 real", "x2 string").replace("2.5", "'a, b'")
    path = tmp_path / "toy.arff"
    path.write_text(text)
    for modality, message in (("x1", "1 NaN"), ("x2", "column 'x2' holds 'a, b', no number")):
        with pytest.raises(DataError, match=message):
            understand(Wish((str(path),), {"x": modality}, "a,b"))


def test_a_feature_in_words_becomes_a_column_for_each(tmp_path):
    path = tmp_path / "toy.arff"
    text = DENSE.replace("x2 real", "x2 {red, 'dark green'}")
    path.write_text(text.replace("2.5", "red").replace("-4e-2", "'dark green'"))
    found = understand(Wish((str(path),), {"x": "x2,x1"}, "a,b"))
    assert found.modalities["x"].tolist() == [[1, 0, 1], [0, 1, 3]]
    assert "(red, dark green)" in found.notes[0]


def test_labels_in_words_become_numbers(tmp_path):
    path = tmp_path / "toy.arff"
    text = DENSE.replace("a {1,0}", "a {YES,NO}").replace("2.5,1", "2.5,YES").replace("-4e-2,0", "-4e-2,NO")
    path.write_text(text)
    assert understand(Wish((str(path),), labels="a")).labels.tolist() == [[1], [0]]


@pytest.mark.parametrize(
    ("old", "new", "line"),
    [
        ("1,0,2.5,1", "1,0,2.5", 8),
        ("1,0,2.5,1", "1,0,2.5,1,1", 8),
        ("1,0,2.5,1", "1,7,2.5,1", 8),
        ("1,0,2.5,1", "1,0,word %d,1", 8),
        ("1,0,2.5,1", "{9 1}", 8),
        ("@data\n", "", 7),
        ("@attribute x2 real", "@attribute x2 relational", 5),
        ("@attribute x2 real", "@attribute x2", 5),
        ("@attribute x2 real", "@attribute x1 real", 5),
        ("@attribute x2 real", "@attribute x2 real\nattribute x3 real", 6),
        ("1,0,2.5,1", "1_0,0,2.5,1", 8),
        ("1,0,2.5,1\n% another\n3,1,-4e-2,0\n", "", None),
    ],
)
def test_a_wrong_line_is_refused_with_its_number(tmp_path, old, new, line):
    assert old in DENSE
    with pytest.raises(DataError, match=rf"in line {line} " if line else "rows after @data") as caught:
        read(tmp_path, DENSE.replace(old, new))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "latin-1", "utf-16"])
def test_any_usual_encoding_is_read(tmp_path, encoding):
    content = read(tmp_path, DENSE.replace("x1", "größe"), encoding=encoding)
    assert content.tables["toy"].columns[0] == "größe"


def test_an_xml_of_other_labels_or_with_entities_is_refused(tmp_path):
    (tmp_path / "toy.xml").write_text('<labels><label name="c"/></labels>')
    with pytest.raises(DataError, match="such as c, found none or several"):
        read(tmp_path, DENSE)
    (tmp_path / "toy.xml").write_text('<!DOCTYPE l [<!ENTITY a "b">]><labels><label name="&a;"/></labels>')
    with pytest.raises(DataError, match="document type"):
        read(tmp_path, DENSE)


def test_what_would_not_fit_in_memory_is_refused_before_it_is_read(tmp_path):
    header = "".join(f"@attribute a{k} numeric\n" for k in range(20_000))
    with pytest.raises(DataError, match="memory"):
        read(tmp_path, f"@relation r\n{header}@data\n" + "{}\n" * 2_000_000)
