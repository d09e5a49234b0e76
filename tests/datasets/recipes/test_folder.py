"""A folder of images and its table of labels: matched whatever the spelling, or refused by name and count."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.contracts import DataError
from datasets.recipes.folder import open_folder, read_labels

NAMES = ("a.jpg", "sub/b.png", "sub/deep/c.JPG")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    for name in NAMES:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (2, 2)).save(folder / name)
    return folder


def table(folder: Path, *rows: str, header: str = "image,sea,sky") -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join([header, *rows]) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "names",
    [
        ("a.jpg", "b.png", "c.JPG"),
        ("a", "b", "c"),
        ("a.jpg", "sub/b.png", "sub/deep/c.JPG"),
        ("./a", "sub\\b", "sub/deep/c"),
    ],
    ids=["names", "stems", "paths", "mixed"],
)
def test_rows_come_in_the_order_of_the_table_however_it_names_the_images(folder, names):
    a, b, c = names
    table(folder, f"{c},1,0", f"{a},0,1", "", f"{b},1,1")
    images = open_folder(folder)
    assert [path.relative_to(folder).as_posix() for path in images.paths] == [NAMES[2], NAMES[0], NAMES[1]]
    assert images.labels.tolist() == [[1, 0], [0, 1], [1, 1]]
    assert images.labels.dtype == np.uint8
    assert images.label_names == ("sea", "sky")


def test_files_that_are_no_images_and_hidden_ones_need_no_labels(folder):
    (folder / "README").write_text("not an image")
    (folder / "a.txt").write_text("notes on a")
    (folder / ".cache").mkdir()
    Image.new("RGB", (2, 2)).save(folder / ".cache" / "thumb.png")
    Image.new("RGB", (2, 2)).save(folder / "._a.jpg")
    table(folder, "a,1,0", "b,0,1", "c,0,0")
    assert len(open_folder(folder).paths) == 3


def test_a_longer_spelling_goes_before_a_shorter_one(folder):
    Image.new("RGB", (2, 2)).save(folder / "sub" / "a.jpg")
    rows = ["b,0,1", "c,0,0", "sub/a.jpg,1,1"]
    table(folder, "a.jpg,1,0", *rows)
    assert open_folder(folder).paths[0] == folder / "a.jpg"
    table(folder, "a,1,0", *rows)
    assert open_folder(folder).paths[0] == folder / "a.jpg"


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (("a,1,0", "b,0,1"), r"images: 1 images have no row in .*labels\.csv, first sub/deep/c\.JPG; add"),
        (("a,1,0",), r"2 images have no row in .*, first sub/b\.png, sub/deep/c\.JPG"),
        (
            ("a,1,0", "b,0,1", "c,0,0", "d,0,0", "e.jpg,0,0"),
            r"2 rows name no image below .*, first d, e\.jpg",
        ),
        (
            ("a,1,0", "b,0,1", "c,0,0", "a.jpg,1,0"),
            r"1 rows name an image that a row above names, first a\.jpg",
        ),
        (("a,1,0", "a,1,0", "a,1,0", "b,0,0", "c,0,0"), r"2 rows name an image .* first a, a; keep one row"),
    ],
)
def test_what_does_not_match_is_counted_and_named(folder, rows, message):
    table(folder, *rows)
    with pytest.raises(DataError, match=message):
        open_folder(folder)


def test_a_name_of_several_images_is_refused(folder):
    Image.new("RGB", (2, 2)).save(folder / "sub" / "deep" / "b.png")
    Image.new("RGB", (2, 2)).save(folder / "a.png")
    table(folder, "a,1,0", "b.png,0,1", "c,0,0")
    with pytest.raises(
        DataError, match=r"2 rows name several images below .*, first a, b\.png; write folder"
    ):
        open_folder(folder)


def test_a_long_list_is_cut_and_counted(folder):
    table(folder, "a,1,0", "b,0,1", "c,0,0", *(f"x{i},0,0" for i in range(40)))
    with pytest.raises(DataError, match=r"40 rows name no image below .*, first x0, x1, x2, x3, x4; correct"):
        open_folder(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a header"),
        ("image\na\n", "expected a header.*found 'image'"),
        ("image;sea;sky\na;1;0\n", "expected a header.*a comma.*found 'image;sea;sky'"),
        ("image,sea,sea\na,1,0\n", "none twice"),
        ("image,sea,\na,1,0\n", "a name for each label"),
        ("image,sea\n", "one row for each image below the header, found none"),
        ("image,sea\na,1\nb,2\n", "line 3: expected an image's name and 1 values 0 or 1, found 'b,2'"),
        ("image,sea\na,-1\n", "line 2"),
        ("image,sea\na,\n", "line 2"),
        ("image,sea\na,1,0\n", "line 2"),
        ("image,sea\n\n,1\n", "line 3"),
    ],
)
def test_a_table_that_is_none_is_refused_with_the_line(tmp_path, text, message):
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_labels(path)


def test_other_encodings_are_refused_and_a_byte_order_mark_is_not(tmp_path):
    path = tmp_path / "labels.csv"
    path.write_bytes("image,mer,forêt\n1,0,1\n".encode("utf-8-sig"))
    assert read_labels(path)[2] == ("mer", "forêt")
    for encoding in ("latin-1", "utf-16"):
        path.write_bytes("image,mer,forêt\n1,0,1\n".encode(encoding))
        with pytest.raises(DataError, match="expected a CSV file in UTF-8"):
            read_labels(path)


def test_a_missing_folder_or_table_is_named(tmp_path, folder):
    with pytest.raises(DataError, match="nowhere: expected a folder of images"):
        open_folder(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no label file at .* name one with --labels FILE"):
        open_folder(folder)
    with pytest.raises(DataError, match=r"no label file at .*mine\.csv"):
        open_folder(folder, tmp_path / "mine.csv")
