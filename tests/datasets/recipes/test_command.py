"""`python -m datasets.recipes`: a folder of images becomes a data set, or the reason why not."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from datasets.recipes.catalogue import RECIPES
from datasets.recipes.command import main

COUNT = 12


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mine")
    random = np.random.default_rng(0)
    rows = ["photo,day,night"]
    for i in range(COUNT):
        part = folder / ("left" if i % 2 else "right")
        part.mkdir(exist_ok=True)
        coarse = random.integers(0, 256, (5, 4, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((50 + i, 40)).save(part / f"p{i}.png")
        rows.append(f"p{i},{i % 2},{int(i < 4)}")
    (folder / "labels.csv").write_text("\n".join(rows) + "\n")
    return folder


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def _own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("M3LA_CACHE", str(cache))


def run(*arguments: object) -> int:
    return main([str(x) for x in arguments])


@pytest.mark.parametrize("name", RECIPES)
def test_the_folder_holds_one_array_for_each_modality_the_labels_and_what_is_to_be_known(
    name, images, tmp_path, capsys
):
    out = tmp_path / "data" / "my-photos"
    assert (
        run(name, "--images", images, "--out", out, "--jobs", 1, "--terms", "mine", "--title", "Photos") == 0
    )
    dims = RECIPES[name].dims
    assert sorted(path.name for path in out.iterdir()) == sorted(
        ["dataset.toml", "labels.npy", *(f"{modality}.npy" for modality in dims)]
    )
    for modality, dim in dims.items():
        assert np.load(out / f"{modality}.npy").shape == (COUNT, dim)
    labels = np.load(out / "labels.npy")
    assert labels.tolist() == [[i % 2, int(i < 4)] for i in range(COUNT)]
    said = tomllib.loads((out / "dataset.toml").read_text(encoding="utf-8"))
    assert [entry["name"] for entry in said["modalities"]] == list(dims)
    assert said["labels"]["names"] == ["day", "night"]
    expected = {
        "title": "Photos",
        "terms": "mine",
        "provenance": "rebuilt",
        "split_id": "my-photos",
        "fit_on": "all",
    }
    assert {key: said[key] for key in expected} == expected
    assert f"recipe version 1 of {name}" in said["note"]
    printed = capsys.readouterr()
    assert "12 images, 2 labels, 0.83 to an image" in printed.err
    assert f"{COUNT} rows" in printed.out


def test_recipes_of_the_same_rows_share_a_split_and_may_be_fitted_for_one_seed(images, tmp_path):
    for name in ("first", "second"):
        out = tmp_path / name
        flags = ("--split-id", "photos", "--fit-on", "train:0", "--jobs", 1)
        assert run("taobao", "--images", images, "--out", out, *flags) == 0
        said = tomllib.loads((out / "dataset.toml").read_text(encoding="utf-8"))
        assert (said["split_id"], said["fit_on"]) == ("photos", "train:0")
        assert "the training images of the split of seed 0" in said["note"]
    same = [np.load(tmp_path / name / "bow.npy") for name in ("first", "second")]
    np.testing.assert_array_equal(*same)
    assert run("taobao", "--images", images, "--out", tmp_path / "third", "--jobs", 1) == 0
    assert not np.array_equal(np.load(tmp_path / "third" / "bow.npy"), same[0])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("msra", "--out", "{tmp}/mine", "--fit-on", "train:0"),
            "recipe msra fits nothing; leave --fit-on out",
        ),
        (("taobao", "--out", "{tmp}/mine", "--fit-on", "some"), "expected all, or train:SEED"),
        (("msra", "--out", "{tmp}/ML2000"), "ml2000 is a data set of this project; choose another name"),
        (("msra", "--out", "{tmp}/ml2000-msra"), "ml2000-msra is a data set of this project"),
        (("msra", "--out", "{tmp}/my photos"), "expected a name of letters"),
        (("msra", "--out", "{tmp}/mine", "--split-id", "a/b"), "--split-id: expected a name"),
        (("msra", "--out", "{tmp}/mine", "--labels", "{tmp}/none.csv"), "none.csv; name one with --labels"),
        (("msra", "--out", "{tmp}/full"), "expected no such folder"),
    ],
)
def test_what_cannot_be_done_is_said_before_anything_is_computed(
    arguments, message, images, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("datasets.recipes.command.build", None)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "precious.txt").write_text("keep me")
    before = sorted(tmp_path.rglob("*"))
    assert run("--images", images, *(text.format(tmp=tmp_path) for text in arguments)) == 2
    assert message in capsys.readouterr().err
    assert sorted(tmp_path.rglob("*")) == before


def test_a_data_set_is_replaced_only_when_asked_for(images, tmp_path, capsys):
    out = tmp_path / "mine"
    flags = ("msra", "--images", images, "--out", out, "--jobs", 1)
    assert run(*flags) == 0
    assert run(*flags) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run(*flags, "--overwrite", "--title", "New") == 0
    assert tomllib.loads((out / "dataset.toml").read_text(encoding="utf-8"))["title"] == "New"


def test_a_broken_image_is_named_and_nothing_is_written(images, tmp_path, capsys):
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "labels.csv").write_text("image,day\na,1\nb,0\n")
    (folder / "a.png").write_bytes((images / "right" / "p0.png").read_bytes())
    (folder / "b.jpg").write_bytes(b"no image")
    assert run("msra", "--images", folder, "--out", tmp_path / "mine", "--jobs", 1) == 2
    assert "b.jpg: expected a readable image" in capsys.readouterr().err
    assert not (tmp_path / "mine").exists()


def test_it_starts_from_a_shell():
    done = subprocess.run(
        [sys.executable, "-m", "datasets.recipes", "--help"],
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        check=True,
    )
    for word in (*RECIPES, "--images", "--split-id", "run_all.py"):
        assert word in done.stdout
