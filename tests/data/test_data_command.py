"""`data import` from the command line: what is said, what is written, and what is refused in one line."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmark.cli import main
from benchmark.exit_codes import CANNOT, OK
from datasets.formats.manifest import load_folder, read_manifest

ROOT = Path(__file__).resolve().parents[2]
TEXT = "id,t_1,t_2,sea,wood,y\n" + "".join(f"r{k},{k},{k / 4},{k % 2},{k // 3},0\n" for k in range(6))


@pytest.fixture
def source(tmp_path):
    path = tmp_path / "toy.csv"
    path.write_text(TEXT)
    return path


def call(*words):
    return main(["data", "import", *map(str, words)])


def wish(source, out, *more):
    return (source, "--out", out, "--modality", "t=t_*", "--labels", "sea,wood", *more)


def test_a_folder_is_made_and_what_was_understood_is_said(source, tmp_path, capsys):
    out = tmp_path / "mine" / "toy"
    said = (
        "--title",
        "My toy",
        "--terms",
        "free",
        "--split-id",
        "toys",
        "--fit-on",
        "train:2",
        "--note",
        "n",
    )
    assert call(*wish(source, out, *said)) == OK
    text = capsys.readouterr().out
    rows = ("toy: rows 6, modalities 1, features 2, labels 2", "2 rows have none", "1.000 (cardinality)")
    for fact in (*rows, "float32", "sea", "50.0%", "'id'"):
        assert fact in text
    dataset = load_folder(out)
    assert dataset.modality_names == ("t",)
    assert dataset.label_names == ("sea", "wood")
    np.testing.assert_array_equal(dataset.modalities[0][:, 1], np.arange(6) / 4)
    manifest = read_manifest(out)
    assert (manifest.title, manifest.terms, manifest.split_id, manifest.fit_seed) == (
        "My toy",
        "free",
        "toys",
        2,
    )
    assert sorted(path.name for path in out.iterdir()) == ["dataset.toml", "labels.npy", "t.npy"]


def test_a_dry_run_writes_nothing(source, tmp_path, capsys):
    out = tmp_path / "mine" / "toy"
    assert call(*wish(source, out, "--dry-run")) == OK
    assert "not written" in capsys.readouterr().out
    assert not (tmp_path / "mine").exists()


def test_an_earlier_data_set_is_replaced_only_if_asked(source, tmp_path, capsys):
    out = tmp_path / "toy"
    assert call(*wish(source, out)) == OK
    assert call(*wish(source, out)) == CANNOT
    assert "--overwrite" in capsys.readouterr().err
    assert call(*wish(source, out, "--overwrite", "--min-positives", "3")) == OK
    assert "0 labels with fewer than 3 positives" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--modality", "u"), "NAME=COLUMNS"),
        (("--modality", "T=y"), "the name T is taken"),
        (("--modality", "labels=y"), "the name labels is taken"),
        (("--modality", "../u=y"), "a name of letters"),
        (("--modality", "u=zebra"), "'zebra' names no"),
        (("--provenance", "leaked"), "real, rebuilt, look-alike"),
        (("--fit-on", "some"), "train:SEED"),
        (("--split-id", "a/b"), "split_id"),
        (("--label-names", "a"), "1 names for 2 labels"),
        (("--index", "zebra"), "one column 'zebra'"),
        (("--format", "excel"), "npy, npz, matlab"),
        (("--min-positives", "x"), "no whole number"),
        (("--zebra",), "unknown argument '--zebra'"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(source, tmp_path, capsys, more, message):
    assert call(*wish(source, tmp_path / "mine" / "toy", *more)) == CANNOT
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error
    assert not (tmp_path / "mine").exists()


@pytest.mark.parametrize("id", ["ML2000", "taobao", "a b"])
def test_ids_of_the_project_and_odd_ones_are_refused(source, tmp_path, capsys, id):
    assert call(*wish(source, tmp_path / id)) == CANNOT
    assert capsys.readouterr().err.count("\n") == 1
    assert not (tmp_path / id).exists()


def test_a_missing_source_and_a_missing_reader_are_said(tmp_path, capsys, monkeypatch):
    assert call(tmp_path / "none.csv", "--out", tmp_path / "toy") == CANNOT
    assert "no such file" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "arff", None)
    (tmp_path / "toy.arff").write_text("@relation r\n@data\n")
    assert call(tmp_path / "toy.arff", "--out", tmp_path / "toy") == CANNOT
    assert "pip install" in capsys.readouterr().err


def test_many_labels_are_shown_by_their_ends(tmp_path, capsys):
    names = ",".join(f"y{j}" for j in range(40))
    rows = "\n".join(f"{k}," + ",".join(str(int(j >= k)) for j in range(40)) for k in range(40))
    (tmp_path / "toy.csv").write_text(f"x,{names}\n{rows}\n")
    assert call(tmp_path / "toy.csv", "--out", tmp_path / "toy", "--labels", "y*", "--modality", "x=x") == OK
    text = capsys.readouterr().out
    assert "28 more" in text
    assert "y39" in text
    assert "y20" not in text


def test_help_imports_no_reader():
    program = (
        "import sys, benchmark.cli\nbenchmark.cli.main(['data', 'import', '--help'])\n"
        "print(sorted({'numpy', 'pandas', 'scipy', 'h5py', 'arff', 'pyarrow'} & set(sys.modules)))"
    )
    shown = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert shown.stdout.splitlines()[-1] == "[]"
