"""`data check`: what it reads, says and returns to the shell."""

from __future__ import annotations

import json

import numpy as np
import pytest
from clean import as_dataset, clean_arrays
from PIL import Image
from tiny_benchmark import registry

from benchmark.cli import main
from benchmark.contracts import Provenance
from benchmark.data.check import Files, check
from benchmark.data.check_text import KINDS, check_to_json, render_check
from datasets.formats.manifest import Manifest, write_dataset
from datasets.ml2000 import DATASET as ML2000


@pytest.fixture
def folder(tmp_path):
    """Write a data set below `tmp_path / "data"`, by default a clean one."""

    def write(modalities=None, labels=None):
        clean = clean_arrays()
        modalities, labels = modalities or clean[0], clean[1] if labels is None else labels
        files = dict(zip("ab", ("a.npy", "b.npy"), strict=True))
        manifest = Manifest(title="Mine", provenance=Provenance.REAL, modalities=files)
        write_dataset(tmp_path / "data" / "mine", manifest, modalities, labels, overwrite=True)
        return tmp_path / "data" / "mine"

    return write


def call(capsys, *arguments):
    code = main(["data", "check", *map(str, arguments)], registry())
    printed = capsys.readouterr()
    return code, printed.out, printed.err


def write_images(folder, n=300, like=None):
    folder.mkdir()
    rng = np.random.default_rng(0)
    for row in range(n):
        pixels = rng.integers(0, 256, (24, 20 + row % 3, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{row + 1}.png")
    for row, original in (like or {}).items():
        image = Image.open(folder / f"{original}.png").resize((40, 48))
        image.save(folder / f"{row}.png")
    return folder


def test_clean_data_give_nothing_over_seeds():
    found = [finding.kind for seed in range(30) for finding in check(as_dataset(*clean_arrays(seed)))]
    assert len(found) <= 1


def test_a_clean_folder_ends_in_zero(folder, capsys):
    code, printed, errors = call(capsys, folder())
    assert (code, errors) == (0, "")
    assert "nothing found" in printed


def test_a_finding_ends_in_one_with_its_count_place_and_effect(folder, capsys):
    modalities, labels = clean_arrays()
    labels[[4, 9]] = 0
    code, printed, _ = call(capsys, folder(modalities, labels))
    assert code == 1
    assert "rows without labels: 2" in printed
    assert "row 4; row 9" in printed
    assert KINDS["rows_without_labels"].effect in printed


def test_json_holds_the_same(folder, capsys):
    modalities, labels = clean_arrays()
    modalities[0][:, 3] = 1
    labels[[4, 9]] = 0
    code, printed, _ = call(capsys, folder(modalities, labels), "--json")
    report = json.loads(printed)
    assert code == 1
    assert {f["kind"]: f["count"] for f in report["findings"]} == {
        "constant_features": 1,
        "rows_without_labels": 2,
    }
    assert report["findings"][1]["first"] == [{"row": 4}, {"row": 9}]
    assert "near_duplicate_rows" in report["checked"]
    assert "near_duplicate_images" not in report["checked"]


def test_an_id_below_data_is_as_good_as_a_folder(folder, capsys):
    made = folder()
    assert call(capsys, "mine", "--data", made.parent)[0] == 2  # the tiny registry looks into no folder
    code = main(["data", "check", "MINE", "--data", str(made.parent)])
    assert code == 0
    assert "mine: 300 rows" in capsys.readouterr().out


@pytest.mark.parametrize("what", ["nowhere", "."])
def test_what_is_no_data_set_cannot_be_read(capsys, what):
    code, printed, errors = call(capsys, what)
    assert (code, printed) == (2, "")
    assert "dataset.toml" in errors


def test_images_are_compared_and_measured(folder, capsys, tmp_path):
    modalities, labels = clean_arrays()
    labels[:, 5] = np.arange(300) % 3 == 1
    images = write_images(tmp_path / "images", like={11: 2, 30: 7})
    code, printed, _ = call(capsys, folder(modalities, labels), "--files", images, "--json")
    found = {finding["kind"]: finding for finding in json.loads(printed)["findings"]}
    assert code == 1
    assert [pair["rows"] for pair in found["near_duplicate_images"]["first"]] == [[1, 10], [6, 29]]
    assert found["file_predicts_label"]["first"][0]["label"] == "label5"
    assert found["file_predicts_label"]["first"][0]["auc"]["together"] > 0.95


def test_names_of_files_stand_beside_rows(folder, capsys, tmp_path):
    images = write_images(tmp_path / "images", like={11: 2})
    _, printed, _ = call(capsys, folder(), "--files", images)
    assert "1 and 10 (2.png, 11.png)" in printed
    assert "files 1.png to 300.png" in printed


def test_other_files_are_measured_by_bytes_and_compared_whole(folder, capsys, tmp_path):
    modalities, labels = clean_arrays()
    sounds = tmp_path / "sounds"
    sounds.mkdir()
    for row in range(300):
        (sounds / f"{row:03}.wav").write_bytes(b"%d" % row + b"x" * (100 + row % 50 + 30 * labels[row, 1]))
    (sounds / "200.wav").write_bytes((sounds / "100.wav").read_bytes())
    (sounds / ".hidden").write_text("")
    _, printed, _ = call(capsys, folder(modalities, labels), "--files", sounds, "--json")
    report = json.loads(printed)
    found = {finding["kind"]: finding for finding in report["findings"]}
    assert found["identical_files"]["first"] == [{"rows": [100, 200]}]
    assert [*found["file_predicts_label"]["first"][0]["auc"]] == ["bytes"]
    assert "near_duplicate_images" not in report["checked"]


def test_a_table_of_measures_does_without_files(folder, capsys, tmp_path):
    modalities, labels = clean_arrays()
    rng = np.random.default_rng(0)
    lines = [f"{row}.jpg,{labels[row, 0] + rng.random()}" for row in range(300)]
    table = tmp_path / "sizes.csv"
    table.write_text("\n".join(["name,seconds", *lines]))
    _, printed, _ = call(capsys, folder(modalities, labels), "--files", table, "--json")
    found = {finding["kind"]: finding for finding in json.loads(printed)["findings"]}
    assert [*found] == ["file_predicts_label"]
    assert found["file_predicts_label"]["first"][0]["auc"]["seconds"] > 0.95


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (lambda images: (images / "300.png").unlink(), "found 299 among 1.png"),
        (lambda images: (images / "3.png").write_bytes(b"no image"), "3.png"),
        (lambda images: (images / "3.png").write_bytes((images / "3.png").read_bytes()[:200]), "3.png"),
    ],
)
def test_files_that_are_missing_or_damaged_are_named(folder, capsys, tmp_path, fault, said):
    images = write_images(tmp_path / "images")
    fault(images)
    code, printed, errors = call(capsys, folder(), "--files", images)
    assert (code, printed) == (2, "")
    assert said in errors


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("size\n1\n2\n", "found 2 lines"),
        ("name\n" + "x\n" * 300, "0 such columns"),
        ("name,size\n" + "x,1\n" * 299 + "x,\n", "'size'"),
        ("", "CSV"),
    ],
)
def test_a_table_that_does_not_fit_is_refused(folder, capsys, tmp_path, text, said):
    (tmp_path / "sizes.csv").write_text(text)
    code, _, errors = call(capsys, folder(), "--files", tmp_path / "sizes.csv")
    assert code == 2
    assert said in errors


def test_without_pillow_or_opencv_the_remedy_is_named(folder, capsys, tmp_path, monkeypatch):
    import sys

    images = write_images(tmp_path / "images", n=3)
    monkeypatch.setitem(sys.modules, "cv2", None)
    code, _, errors = call(capsys, folder(), "--files", images)
    assert code == 2
    assert "pip install -e '.[recipes]'" in errors


def test_every_kind_of_finding_has_words_that_fit_it():
    rng = np.random.default_rng(0)
    modalities, labels = clean_arrays()
    a, b = modalities
    for x in modalities:
        x[[20, 30]] = x[[10, 11]]
        x[31] = x[12] + 1e-4
    a[:, 0], a[:, 1], a[:, 2], a[:, 3] = 5, a[:, 4], np.arange(300), labels[:, 0]
    labels[:, 0] = a[:, 3] = np.arange(300) >= 150
    labels[:, 1], labels[:, 2], labels[:, 3] = 0, labels[:, 0], 0
    labels[[2, 250, 280], 3] = 1
    labels[40], labels[200] = 0, 1
    thumbnails = rng.random((300, 64)).astype(np.float32)
    thumbnails[5] = thumbnails[9]
    digests = tuple(str(row % 299) for row in range(300))
    files = Files(tuple(f"{row}.png" for row in range(300)), {"bytes": a[:, 2]}, digests, thumbnails)
    dataset = as_dataset([a, b], labels)
    findings = check(dataset, files)
    kinds = [finding.kind for finding in findings]
    assert set(KINDS) - {*kinds} <= {"duplicate_rows", "near_duplicate_rows"}  # a column tells rows apart
    assert len(kinds) == len(set(kinds))
    printed = render_check(dataset, findings, files)
    assert all(KINDS[kind].title in printed for kind in kinds)
    assert json.loads(json.dumps(check_to_json(dataset, findings, files)))["checked"] == [*KINDS]


def test_what_ml2000_s_features_show(tmp_path):
    """Its README: rows lie roughly by class; of the near-duplicate images features show the nearest."""
    found = {finding.kind: finding for finding in check(ML2000.load(tmp_path))}
    assert found["neighbouring_rows_share_label"].count == 5
    assert {"row_number_predicts_label", "near_duplicate_rows"} <= found.keys()
    pairs = [pair["rows"] for pair in found["near_duplicate_rows"].first]
    assert [36, 40] in pairs
    assert [38, 42] in pairs
