"""Public data sets by name: found, checked, downloaded or refused, and what the real ones are."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import main
from benchmark.contracts import DataError
from benchmark.exit_codes import CANNOT, OK
from datasets.formats import known
from datasets.formats.known import find_files, import_known, known_datasets, square_root_of_shares
from datasets.formats.manifest import load_folder
from datasets.formats.mulan import LAYOUTS, load_mulan

SHARED = Path(__file__).resolve().parents[3].parent / "shared" / "data"
TEXT = b"id,a,b,c,sea,wood\n" + b"".join(b"r%d,%d,%d,0,%d,0\n" % (k, k, 1, k % 2) for k in range(6))
TABLE = f"""
[toy]
title = "Toy"
folder = "toys/toy"
address = "ADDRESS"
tables = ["toy.csv"]
labels = "sea,wood"
index = "id"
modalities = {{ m = "a,b,c" }}
expected = {{ rows = 6, labels = 2, cardinality = 0.5 }}
terms = "free"
citation = "us"
square_root_of_shares = true
[toy.sha256]
"toy.csv" = "{hashlib.sha256(TEXT).hexdigest()}"
"""


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("M3LA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("M3LA_DATA", raising=False)
    return tmp_path / "cache"


@pytest.fixture
def toy(cache, monkeypatch):
    """The one known data set, of which no address answers."""
    table = cache.parent / "known.toml"
    table.write_text(TABLE.replace("ADDRESS", "http://127.0.0.1:9/none"))
    monkeypatch.setattr(known.known_datasets, "__defaults__", (table,))
    return known_datasets()["toy"]


@pytest.fixture
def data(tmp_path):
    folder = tmp_path / "data" / "toys" / "toy"
    folder.mkdir(parents=True)
    (folder / "toy.csv").write_bytes(TEXT)
    return tmp_path / "data"


def call(*words):
    return main(["data", "import", *map(str, words)])


@pytest.mark.usefixtures("toy")
def test_files_in_the_data_folder_become_a_data_set_where_data_sets_are_looked_for(data, cache, capsys):
    assert call("--known", "toy", "--files", data) == OK
    dataset = load_folder(cache / "data" / "toy")
    assert (dataset.terms, dataset.citation) == ("free", "us")
    np.testing.assert_allclose(dataset.modalities[0][3], np.sqrt([0.75, 0.25, 0]), rtol=1e-6)
    assert f"--data {cache / 'data'} --datasets toy" in capsys.readouterr().out


@pytest.mark.usefixtures("toy")
def test_the_data_folder_may_be_the_environments_and_the_words_the_users(data, tmp_path, monkeypatch):
    monkeypatch.setenv("M3LA_DATA", str(data))
    assert call("--known", "toy", "--out", tmp_path / "mine" / "other", "--title", "Mine") == OK
    assert 'title = "Mine"' in (tmp_path / "mine" / "other" / "dataset.toml").read_text()


def test_another_file_of_that_name_is_refused(toy, data):
    (data / "toys" / "toy" / "toy.csv").write_bytes(TEXT + b"\n")
    with pytest.raises(DataError, match=r"toy\.csv: expected SHA-256 .* found .* or remove it"):
        find_files(toy, data)


def test_what_is_not_there_is_downloaded_once(toy, data, tmp_path, cache):
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=data / "toys" / "toy")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        served = dataclasses.replace(toy, address=f"http://127.0.0.1:{server.server_port}")
        altered = dataclasses.replace(served, sha256={"toy.csv": "0" * 64})
        with pytest.raises(DataError, match="none, and no download"):
            find_files(altered, tmp_path / "none")
        folder = find_files(served, tmp_path / "none")
        server.shutdown()
    assert folder == cache / "downloads" / "toys" / "toy"
    assert (folder / "toy.csv").read_bytes() == TEXT
    assert find_files(served, tmp_path / "none") == folder


@pytest.mark.parametrize("lacking", ["network", "pooch"])
def test_what_cannot_be_downloaded_is_said_with_where_to_get_it(toy, tmp_path, monkeypatch, lacking):
    if lacking == "pooch":
        monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(DataError) as caught:
        find_files(toy, tmp_path / "data")
    for fact in ("Toy", toy.address, "toy.csv", str(tmp_path / "data" / "toys" / "toy")):
        assert fact in str(caught.value)
    assert ("pip install" in str(caught.value)) is (lacking == "pooch")


def test_other_numbers_than_were_counted_are_refused(toy, data):
    wrong = dataclasses.replace(toy, expected=dataclasses.replace(toy.expected, cardinality=0.6))
    with pytest.raises(DataError, match=r"toy: expected .*0\.6.* found .*0\.5"):
        import_known(wrong, find_files(wrong, data))


def test_a_row_without_counts_stays_zero():
    assert square_root_of_shares(np.array([[0, 0], [1, 3]])).tolist() == [
        [0, 0],
        [0.5, pytest.approx(0.75**0.5)],
    ]


@pytest.mark.usefixtures("toy")
@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--known", "toys"), "did you mean 'toy'"),
        (("--known", "toy", "x.csv"), "SOURCE"),
        (("--known", "toy", "--min-positives", "5"), "--min-positives"),
        (("--known", "toy", "--modality", "a=b"), "--modality"),
        (("--known", "toy", "--files", "nowhere"), "--files nowhere: no such folder"),
        (("x.csv",), "--known NAME"),
        (("--out", "mine/toy"), "--known NAME"),
    ],
)
def test_a_wrong_call_is_refused_in_one_line(cache, capsys, words, message):
    assert call(*words) == CANNOT
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
    assert not (cache / "data").exists()


def test_help_names_every_known_data_set(capsys):
    call("--help")
    told = capsys.readouterr().out
    assert all(name in told for name in known_datasets())


def test_every_known_data_set_names_its_files_and_no_other():
    for name, entry in known_datasets().items():
        wish = entry.wish(Path("in"))
        used = {file for source in wish.sources for file in source.split("+")}
        used |= {wish.labels} if wish.labels.endswith(".xml") else set()
        assert used == {str(Path("in") / file) for file in entry.sha256}, name
        assert "/main/" not in entry.address  # a version that nobody moves
        assert "/master/" not in entry.address


here = pytest.mark.skipif(not SHARED.is_dir(), reason="the published files are not here: ../shared/data")
SHAPES = {
    "emotions": ((8, 64), 6),
    "yeast": ((79, 24), 14),
    "scene": ((98, 98, 98), 6),
    "corel5k": ((100, 1000, 4096, 4096), 17),
    "drugs": ((881, 1307, 3336), 62),
}


@here
@pytest.mark.usefixtures("cache")
@pytest.mark.parametrize("name", SHAPES)
def test_the_real_ones_are_what_has_been_published(name):
    entry = known_datasets()[name]
    found = import_known(entry, find_files(entry, SHARED))
    assert (tuple(x.shape[1] for x in found.modalities.values()), found.labels.shape[1]) == SHAPES[name]
    assert found.labels.sum(axis=0).min() >= entry.min_positives
    if name == "corel5k":
        for features in found.modalities.values():
            np.testing.assert_allclose(np.square(features.astype(float)).sum(axis=1), 1, atol=1e-5)
    if name in LAYOUTS:
        loaded = load_mulan(name, SHARED / "mulan")
        for mine, theirs in zip(found.modalities.values(), loaded.modalities, strict=True):
            np.testing.assert_array_equal(mine, theirs)
        np.testing.assert_array_equal(found.labels, loaded.labels)
