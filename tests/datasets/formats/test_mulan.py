"""Emotions, Scene and Yeast: columns grouped into modalities as documented, wrong files refused."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from benchmark.contracts import DataError, Provenance
from datasets.formats import mulan
from datasets.formats.mulan import LAYOUTS, Layout, load_mulan

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "mulan"

XML = '<labels xmlns="http://mulan.sourceforge.net/labels"><label name="b"/><label name="a"/></labels>'
ARFF = """@relation toy
@attribute x1 numeric
@attribute x2 numeric
@attribute x3 numeric
@attribute a {0,1}
@attribute b {0,1}
@data
1,2,3,1,0
4,5,6.5,0,0
"""


@pytest.fixture
def toy(tmp_path, monkeypatch):
    layout = Layout(("toy.arff",), n=2, q=2, columns={"late": (2, 3), "early": (0, 2)})
    monkeypatch.setattr(mulan, "LAYOUTS", {"toy": layout})
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "toy.arff").write_text(ARFF)
    (tmp_path / "toy" / "toy.xml").write_text(XML)
    return tmp_path


def test_columns_become_modalities_and_labels_follow_the_xml(toy):
    dataset = load_mulan("toy", toy)
    assert dataset.modality_names == ("late", "early")
    assert dataset.modalities[0].tolist() == [[3.0], [6.5]]
    assert dataset.modalities[1].tolist() == [[1.0, 2.0], [4.0, 5.0]]
    assert dataset.label_names == ("b", "a")
    assert dataset.labels.tolist() == [[0, 1], [0, 0]]
    assert dataset.provenance is Provenance.REAL


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("4,5,6.5,0,0\n", "", r"toy: expected .* \(2, 3, 2\), found \(1, 3, 2\)"),
        ("4,5,6.5,0,0\n", "4,5,6,0,0\n" * 2, r"toy: expected .* \(2, 3, 2\), found \(3, 3, 2\)"),
        ("x3 numeric", "x3 string", "column 'x3' holds '3', no number"),
        ("4,5,6.5,0,0", "4,5", r"toy\.arff: expected a complete ARFF file"),
        ("4,5,6.5,0,0", "4,5,nan,0,0", "finite"),
        ("4,5,6.5,0,0", "4,5,6.5,0,3", r"toy\.arff: expected a complete ARFF file"),
        (
            "@attribute b",
            "@attribute c",
            r"toy\.arff: expected one attribute for each label.* such as b,",
        ),
        (
            "{0,1}\n@data\n1,2,3,1,0\n4,5,6.5,0,0",
            "{0,2}\n@data\n1,2,3,1,0\n4,5,6.5,0,2",
            "labels 0 and 1 only",
        ),
    ],
)
def test_wrong_files_are_refused(toy, old, new, message):
    path = toy / "toy" / "toy.arff"
    assert old in ARFF
    path.write_text(ARFF.replace(old, new))
    with pytest.raises(DataError, match=message):
        load_mulan("toy", toy)


@pytest.mark.parametrize(
    ("old", "new", "found"),
    [
        ("4,5,6.5,0,0", "4,5,1_0,0,0", "'4,5,1_0,0,0' in line 9"),
        ("4,5,6.5,0,0", "4,5,red,0,0", "'4,5,red,0,0' in line 9"),
        ("x3 numeric", "x2 numeric", "'@attribute x2 numeric' in line 4"),
        ("x3 numeric", "x3 numeric\n@attribute x4 real", "'1,2,3,1,0' in line 9"),
        ("x3 numeric", "x3 {red,green}", "'1,2,3,1,0' in line 8"),
        ("@attribute x3 numeric\n", "", "'1,2,3,1,0' in line 7"),
        ("@data", "@end", "'@end' in line 7"),
        ("toy\n", "toy\n" + "x" * 2**21, "'xxx"),
    ],
)
def test_a_line_that_is_not_understood_is_refused_with_its_number(toy, old, new, found):
    path = toy / "toy" / "toy.arff"
    assert old in ARFF
    path.write_text(ARFF.replace(old, new))
    with pytest.raises(DataError, match=rf"toy\.arff: expected .*file.*found {re.escape(found)}"):
        load_mulan("toy", toy)


def test_labels_are_read_by_value_and_name_wherever_they_stand(toy):
    text = ARFF.replace("{0,1}", "{1, 0}").replace("x1", "'x 1'").replace("numeric", "REAL")
    lines = [line for line in text.splitlines() if "attribute a" not in line]
    lines.insert(1, "@ATTRIBUTE a {1,0}")
    rows = {"1,2,3,1,0": "1,1,2,3,0", "4,5,6.5,0,0": "0,4,5,6.5,0"}
    (toy / "toy" / "toy.arff").write_text("\ufeff% a comment\n" + "\n".join(rows.get(x, x) for x in lines))
    dataset = load_mulan("toy", toy)
    assert dataset.labels.tolist() == [[0, 1], [0, 0]]
    assert dataset.modalities[1].tolist() == [[1.0, 2.0], [4.0, 5.0]]


@pytest.mark.parametrize(
    "text",
    [
        "<labels/>",
        "<labels><label/></labels>",
        '<labels><label name="a"/><label name="a"/></labels>',
        '<!DOCTYPE labels [<!ENTITY a "aaaa">]><labels><label name="&a;"/></labels>',
        "<" * 100_000,
        "\0",
    ],
)
def test_a_list_of_labels_that_names_none_or_one_twice_or_is_no_xml_is_refused(toy, text):
    (toy / "toy" / "toy.xml").write_text(text)
    with pytest.raises(DataError, match=r"toy\.xml: expected"):
        load_mulan("toy", toy)


def test_missing_files_and_unknown_names_are_refused(toy):
    with pytest.raises(DataError, match="other: expected one of toy"):
        load_mulan("other", toy)
    (toy / "toy" / "toy.arff").unlink()
    with pytest.raises(DataError, match=r"toy\.arff"):
        load_mulan("toy", toy)
    (toy / "toy" / "toy.xml").write_text("<labels>")
    with pytest.raises(DataError, match=r"toy\.xml"):
        load_mulan("toy", toy)


@cache
def published(name):
    return load_mulan(name, SHARED)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the Mulan files are not beside this checkout")
@pytest.mark.parametrize(("name", "cardinality"), [("emotions", 1.869), ("scene", 1.074), ("yeast", 4.237)])
def test_the_published_sets_have_their_published_shape_and_cardinality(name, cardinality):
    dataset = published(name)
    assert dataset.shape == LAYOUTS[name].shape
    assert dataset.labels.sum() / len(dataset.labels) == pytest.approx(cardinality, abs=6e-4)
    assert all(x.dtype == np.float32 for x in dataset.modalities)


@pytest.mark.skipif(not SHARED.is_dir(), reason="the Mulan files are not beside this checkout")
def test_emotions_rhythm_and_scene_rows_are_where_the_files_have_them():
    lines = [line for line in (SHARED / "emotions" / "emotions.arff").read_text().splitlines() if line]
    fifth = [float(v) for v in lines[lines.index("@data") + 5].split(",")]
    emotions = published("emotions")
    np.testing.assert_allclose(emotions.modalities[0][4], fifth[64:72], rtol=1e-6)
    np.testing.assert_allclose(emotions.modalities[1][4], fifth[:64], rtol=1e-6)
    assert emotions.labels[4].tolist() == fifth[72:]
    lines = [line for line in (SHARED / "scene" / "scene-test.arff").read_text().splitlines() if line]
    first = [float(v) for v in lines[lines.index("@data") + 1].split(",")]
    scene = published("scene")
    np.testing.assert_allclose(scene.modalities[1][1211], first[98:196], rtol=1e-6)
