"""A data set's folder: written whole, read back as it was, and refused in one line where it is wrong."""

import re
import tomllib

import numpy as np
import pytest

from benchmark.contracts import DataError, Provenance
from datasets.formats.manifest import (
    MANIFEST,
    Manifest,
    load_folder,
    read_manifest,
    to_toml,
    write_dataset,
)

SOUND = np.arange(12.0).reshape(4, 3) / 3
FINE = 1e9 + np.arange(8.0).reshape(4, 2)
"""Numbers whose digits float32 cannot hold."""
LABELS = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
TOML = """title = "Toy"
provenance = "real"
[[modalities]]
name = "sound"
file = "sound.npy"
[[modalities]]
name = "fine"
file = "fine.npy"
[labels]
file = "labels.npy"
names = ["sea", "a \\"quoted\\" name"]
"""


@pytest.fixture
def toy(tmp_path):
    folder = tmp_path / "toy"
    folder.mkdir()
    for name, array in (("sound", SOUND), ("fine", FINE), ("labels", LABELS)):
        np.save(folder / f"{name}.npy", array)
    (folder / MANIFEST).write_text(TOML)
    return folder


def manifest(**more):
    return Manifest("Toy", Provenance.REAL, {"sound": "sound.npy", "fine": "fine.npy"}, **more)


def test_a_folder_is_loaded_as_its_manifest_says(toy):
    dataset = load_folder(toy)
    assert dataset.id == "toy"
    assert dataset.modality_names == ("sound", "fine")
    assert [x.dtype for x in dataset.modalities] == [np.float32, np.float64]
    np.testing.assert_array_equal(dataset.modalities[1], FINE)
    assert dataset.labels.dtype == np.uint8
    assert dataset.label_names == ("sea", 'a "quoted" name')
    assert read_manifest(toy).split_id == "toy"


def test_what_was_written_is_read_back(tmp_path):
    given = manifest(
        label_names=("ö \\ '\"", "b"),
        terms="for research",
        citation="A, B",
        note="said so",
        split_id="other",
        fit_on="train:3",
    )
    write_dataset(tmp_path / "new" / "toy", given, [SOUND, FINE], LABELS)
    found = read_manifest(tmp_path / "new" / "toy")
    assert found.sha256.keys() == {"sound.npy", "fine.npy", "labels.npy"}
    assert {key: getattr(found, key) for key in ("title", "label_names", "terms", "note", "split_id")} == {
        key: getattr(given, key) for key in ("title", "label_names", "terms", "note", "split_id")
    }
    dataset = load_folder(tmp_path / "new" / "toy")
    assert (dataset.citation, dataset.fit_seed) == ("A, B", 3)
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["toy"]


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('title = "Toy"\n', "", "the key title, found none"),
        ('title = "Toy"', "title = 3", "text in quotes for title, found 3"),
        ('title = "Toy"', 'title = "T\\u0007"', "printable text for title"),
        ('title = "Toy"', 'titel = "Toy"', "found titel"),
        ('provenance = "real"', 'provenance = "leaked"', "provenance: expected real, rebuilt, look-alike"),
        ('provenance = "real"', 'provenance = "real"\nfit_on = "some"', "train:SEED"),
        ('provenance = "real"', 'provenance = "real"\nsplit_id = "a/b"', "split_id: expected a name of"),
        ('name = "fine"', 'name = "SOUND"', "a name of its own"),
        ('name = "fine"', 'name = "../x"', "expected a name of letters"),
        ('file = "fine.npy"', 'file = "../fine.npy"', "file: expected a name of"),
        ('file = "fine.npy"', 'file = "fine.txt"', "end in .npy"),
        ('file = "fine.npy"', 'file = "gone.npy"', "the file gone.npy beside it"),
        ('file = "fine.npy"', 'file = "labels.npy"', "a name of its own for each of files"),
        ('file = "fine.npy"', "", r"the key modalities\[1\].file"),
        ('file = "fine.npy"', 'file = "fine.npy"\nwidth = 3', r"found modalities\[1\].width"),
        ('"sea", ', '"sea", "sea", ', "labels.names, found 'sea'"),
        ('"sea", ', '"sea", 3, ', "printable text for labels.names, found 3"),
        ('"sea", ', "", "2 columns of labels, 1 names"),
        ("[labels]", "[labels", "a readable TOML file"),
        ("[labels]", "[[labels]]", "a table for labels"),
        ("[labels]\n", '[sha256]\n"sound.npy" = "12"\n[labels]\n', "64 digits"),
        ("[labels]\n", f'[sha256]\n"sound.npy" = "{"0" * 64}"\n[labels]\n', "fine.npy in sha256"),
        ("[labels]\n", f"deep = {'[' * 5000}{']' * 5000}\n[labels]\n", "readable TOML"),
    ],
)
def test_a_wrong_manifest_is_refused_in_one_line(toy, old, new, message):
    assert old in TOML
    (toy / MANIFEST).write_text(TOML.replace(old, new, 1))
    with pytest.raises(DataError, match=message) as caught:
        load_folder(toy)
    assert str(caught.value).isprintable()
    assert "toy" in str(caught.value)


def test_a_manifest_of_any_length_is_not_read(toy):
    (toy / MANIFEST).write_text(TOML + "#" * 2**20)
    with pytest.raises(DataError, match="at most 1048576 bytes"):
        read_manifest(toy)


def test_altered_bytes_and_other_rows_are_refused(tmp_path, toy):
    folder = tmp_path / "written"
    write_dataset(folder, manifest(), [SOUND, FINE], LABELS)
    np.save(folder / "fine.npy", FINE + 1)
    with pytest.raises(DataError, match=r"fine\.npy: expected SHA-256"):
        load_folder(folder)
    np.save(toy / "fine.npy", FINE[:3])
    with pytest.raises(DataError, match=re.escape("shape (4, any), found shape (3, 2)")):
        load_folder(toy)


def test_nothing_that_is_there_is_overwritten_unless_asked(tmp_path, toy):
    with pytest.raises(DataError, match="--overwrite"):
        write_dataset(toy, manifest(), [SOUND, FINE], LABELS)
    assert load_folder(toy).label_names[0] == "sea"
    write_dataset(toy, manifest(label_names=("x", "y")), [SOUND, FINE], LABELS, overwrite=True)
    assert load_folder(toy).label_names == ("x", "y")
    (toy / "thesis.tex").write_text("")
    with pytest.raises(DataError, match=r"thesis\.tex"):
        write_dataset(toy, manifest(), [SOUND, FINE], LABELS, overwrite=True)
    other = tmp_path / "other"
    other.mkdir()
    np.save(other / "mine.npy", SOUND)
    with pytest.raises(DataError, match="another folder"):
        write_dataset(other, manifest(), [SOUND, FINE], LABELS, overwrite=True)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["other", "toy"]


@pytest.mark.parametrize(
    ("labels", "given", "message"),
    [
        (LABELS[:3], manifest(), "rows"),
        (LABELS + 1, manifest(), "labels 0 and 1 only"),
        (LABELS, manifest(label_names=("a", "a")), "a name of its own"),
        (LABELS, Manifest("Toy", Provenance.REAL, {"a/b": "sound.npy", "c": "fine.npy"}), "name of letters"),
    ],
)
def test_a_refused_data_set_leaves_nothing_behind(tmp_path, labels, given, message):
    with pytest.raises(ValueError, match=message):
        write_dataset(tmp_path / "toy", given, [SOUND, FINE], labels)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("id", ["a b", "-x", ".hidden", "ünder"])
def test_an_id_is_a_plain_name(tmp_path, id):
    with pytest.raises(DataError, match="expected a name of letters"):
        write_dataset(tmp_path / id, manifest(), [SOUND, FINE], LABELS)


def test_every_character_survives_the_text():
    names = (*map(chr, range(1, 0x250)), "𝄞", "\\u0041")
    assert tomllib.loads(to_toml(manifest(label_names=names)))["labels"]["names"] == list(names)
