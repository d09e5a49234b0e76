"""NPY and NPZ: arrays by name, text as names, nothing unpickled, nothing larger than memory."""

import io
import zipfile

import numpy as np
import psutil
import pytest
from scipy import sparse

from benchmark.contracts import DataError
from datasets.formats.importing import Wish, understand
from datasets.formats.numpy_files import read_npy, read_npz

SOUND = np.random.default_rng(0).normal(size=(5, 3)).astype(np.float32)
LABELS = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0]])


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_an_archive_gives_its_arrays_and_its_lists_of_text(tmp_path, save):
    path = tmp_path / "toy.npz"
    save(
        path,
        sound=SOUND,
        y=LABELS.T.astype(bool),
        names=np.array(["sea", "wood"]),
        bytes=np.array([b"a", b"b"]),
    )
    content = read_npz(path)
    assert content.words == {"names": ("sea", "wood"), "bytes": ("a", "b")}
    found = understand(Wish((str(path),), labels="y", label_names="names"))
    assert found.modalities["sound"].tolist() == SOUND.tolist()
    assert (found.labels.tolist(), found.label_names) == (LABELS.tolist(), ("sea", "wood"))


def test_files_of_one_array_each_are_named_by_their_files(tmp_path):
    for name, array in (("sound", SOUND), ("one", SOUND[:, 0]), ("y", LABELS)):
        np.save(tmp_path / f"{name}.npy", array)
    sources = tuple(str(tmp_path / f"{name}.npy") for name in ("sound", "one", "y"))
    found = understand(Wish(sources, labels="y"))
    assert {name: x.shape for name, x in found.modalities.items()} == {"sound": (5, 3), "one": (5, 1)}
    assert found.label_names == ()


def test_a_sparse_matrix_that_scipy_saved_is_one_table(tmp_path):
    sparse.save_npz(tmp_path / "words.npz", sparse.csr_matrix(SOUND))
    content = read_npz(tmp_path / "words.npz")
    assert content.tables["words"].to_numpy().tolist() == SOUND.tolist()
    assert content.notes == ["words: sparse, made dense"]


def test_nothing_is_unpickled(tmp_path):
    path = tmp_path / "toy.npz"
    views = np.empty(2, dtype=object)
    views[:] = [SOUND, SOUND]
    np.savez(path, views=views, y=LABELS)
    assert "pickled objects" in read_npz(path).unread["views"]
    with pytest.raises(DataError, match=r"views cannot be used: .*pickled objects"):
        understand(Wish((str(path),), {"x": "views"}, "y"))
    np.save(tmp_path / "toy.npy", views)
    with pytest.raises(DataError, match="pickled"):
        read_npy(tmp_path / "toy.npy")


def test_a_member_that_declares_more_than_it_holds_or_than_fits_is_not_read(tmp_path, monkeypatch):
    path = tmp_path / "toy.npz"
    stream = io.BytesIO()
    np.save(stream, SOUND)
    content = stream.getvalue().replace(b"(5, 3)", b"(9, 9)")
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("x.npy", content)
    with pytest.raises(DataError, match="it is truncated"):
        read_npz(path)
    np.savez_compressed(path, x=np.zeros((1000, 10_000)))
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Free", (), {"available": 20_000_000}))
    with pytest.raises(DataError, match="memory for twice"):
        read_npz(path)


@pytest.mark.parametrize("cut", [-30, 100, 3])
def test_a_damaged_archive_is_refused(tmp_path, cut):
    path = tmp_path / "toy.npz"
    np.savez_compressed(path, x=SOUND, y=LABELS)
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(DataError, match="expected a complete NPZ file"):
        read_npz(path)
