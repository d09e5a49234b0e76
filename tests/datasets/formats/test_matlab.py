"""MATLAB's two kinds of files give the same tables, whatever readers make of cells, text and vectors."""

import zlib

import h5py
import numpy as np
import psutil
import pytest
from matlab_files import Cell, write_v73
from scipy import sparse
from scipy.io import savemat

from benchmark.contracts import DataError
from datasets.formats.importing import Wish, understand
from datasets.formats.matlab import read_v5, read_v73

RNG = np.random.default_rng(0)
SOUND, TEXT = RNG.normal(size=(5, 3)), RNG.normal(size=(5, 4))
LABELS = np.array([[1, 0], [0, 1], [1, 1], [0, 0], [1, 0]])
NAMES = ["sea", "mountains"]


def write_v5(path, **variables):
    def as_scipy(value):
        if isinstance(value, Cell):
            cell = np.empty(len(value), dtype=object)
            cell[:] = [as_scipy(x) for x in value]
            return cell.reshape(value.rows, -1, order="F")
        return np.array(value) if isinstance(value, list) else value  # text of equal length, as MATLAB has it

    savemat(path, {name: as_scipy(value) for name, value in variables.items()}, do_compression=True)


@pytest.fixture(params=["v5", "v7.3"])
def mat(request, tmp_path):
    path = tmp_path / "toy.mat"
    write, read = (write_v5, read_v5) if request.param == "v5" else (write_v73, read_v73)

    def written_and_read(**variables):
        write(path, **variables)
        return read(path)

    written_and_read.path, written_and_read.write = path, lambda **x: write(path, **x)
    return written_and_read


def shapes(content):
    return {name: table.shape for name, table in content.tables.items()}


def test_views_in_variables_keep_their_numbers(mat):
    content = mat(sound=SOUND, text=TEXT, label=LABELS)
    assert content.tables["sound"].to_numpy().tolist() == SOUND.tolist()
    assert [*content.tables] == ["label", "sound", "text"]


@pytest.mark.parametrize("rows", [1, 2])
def test_views_in_cells_are_named_as_matlab_counts_them(mat, rows):
    content = mat(view=Cell([SOUND, TEXT, SOUND + 1, TEXT + 1], rows=rows))
    assert [*content.tables] == ["view{1}", "view{2}", "view{3}", "view{4}"]
    assert content.tables["view{2}"].to_numpy().tolist() == TEXT.tolist()
    assert content.tables["view{3}"].to_numpy().tolist() == (SOUND + 1).tolist()


def test_a_cell_of_one_view_is_that_view(mat):
    assert shapes(mat(view=Cell([SOUND]))) == {"view": (5, 3)}


def test_padded_names_are_neither_interleaved_nor_padded(mat):
    content = mat(padded=["sea  ", "beach", "a    "], cell=Cell(["sea", "beach", "a"]), one="emotion")
    assert content.words == {
        "padded": ("sea", "beach", "a"),
        "cell": ("sea", "beach", "a"),
        "one": ("emotion",),
    }


def test_sparse_matrices_are_made_dense_also_where_all_is_zero(mat):
    content = mat(x=sparse.csc_array(np.diag([1.0, 2.0, 3.0])), empty=sparse.csc_array((4, 3)))
    assert content.tables["x"].to_numpy().tolist() == np.diag([1.0, 2.0, 3.0]).tolist()
    assert content.tables["empty"].to_numpy().tolist() == np.zeros((4, 3)).tolist()
    assert content.notes == ["empty: sparse, made dense", "x: sparse, made dense"]


@pytest.mark.parametrize(
    ("given", "converted"),
    [
        (LABELS.astype(float), []),
        (LABELS.astype(bool), []),
        (LABELS.T.astype(np.uint8), ["label: 2 x 5 turned into 5 x 2"]),
        (2.0 * LABELS - 1, ["labels: -1 became 0"]),
        ((2.0 * LABELS - 1).T, ["label: 2 x 5 turned into 5 x 2", "labels: -1 became 0"]),
        (
            sparse.csc_array(LABELS.T.astype(float)),
            ["label: sparse, made dense", "label: 2 x 5 turned into 5 x 2"],
        ),
    ],
    ids=["double", "logical", "q x n", "-1/1", "-1/1 q x n", "sparse q x n"],
)
def test_labels_come_out_alike_however_they_are_kept(mat, given, converted):
    mat.write(view=Cell([SOUND, TEXT]), label=given, names=Cell(NAMES))
    found = understand(Wish((str(mat.path),), {"s": "view{1}", "t": "view{2}"}, "label", "names"))
    assert found.labels.tolist() == LABELS.tolist()
    assert found.label_names == ("sea", "mountains")
    assert list(found.notes) == converted


def test_views_on_their_side_and_views_of_one_column_find_their_rows(mat):
    mat.write(x=SOUND.T, one=TEXT[:, :1], row=TEXT[:, 1:2].T, label=LABELS.T)
    found = understand(Wish((str(mat.path),), {"x": "x", "one": "one", "row": "row"}, "label"))
    assert [x.shape for x in found.modalities.values()] == [(5, 3), (5, 1), (5, 1)]
    np.testing.assert_allclose(found.modalities["row"][:, 0], TEXT[:, 1], rtol=1e-6)
    assert found.labels.tolist() == LABELS.tolist()


def test_a_single_label_may_be_a_row(mat):
    mat.write(x=SOUND, label=LABELS[:, 0].reshape(1, 5))
    assert understand(Wish((str(mat.path),), labels="label")).labels.tolist() == LABELS[:, :1].tolist()


def test_a_list_of_views_that_scipy_saved_as_one_stack_is_taken_apart(tmp_path):
    path = tmp_path / "toy.mat"
    savemat(path, {"view": [SOUND, SOUND + 1], "label": LABELS})
    found = understand(Wish((str(path),), labels="label"))
    assert [*found.modalities] == ["view_1", "view_2"]
    np.testing.assert_allclose(found.modalities["view_2"], SOUND + 1, rtol=1e-6)
    assert found.notes == ("view: 2 x 5 x 3, taken as 2 matrices",)


def test_structures_are_named_by_their_fields(tmp_path):
    path = tmp_path / "toy.mat"
    savemat(path, {"data": {"X": {"sound": SOUND}, "Y": LABELS}})
    assert shapes(read_v5(path)) == {"data.X.sound": (5, 3), "data.Y": (5, 2)}


def test_what_holds_no_numbers_is_left_out_and_named(mat):
    content = mat(z=np.array([[1 + 2j, 3]]), x=SOUND, none=np.zeros((0, 3)))
    assert [*content.tables] == ["x"]
    assert content.unread["z"] == "values of type complex128"
    assert "none" in content.unread


def test_a_damaged_file_is_refused_in_one_line(mat):
    mat.write(x=np.arange(2000.0).reshape(20, 100), label=LABELS)
    for cut in (-1500, 700, 300):
        mat.path.write_bytes(mat.path.read_bytes()[:cut])
        with pytest.raises(DataError, match="expected a complete MATLAB") as caught:
            understand(Wish((str(mat.path),), labels="label"))
        assert "\n" not in str(caught.value)


def test_what_unpacks_to_more_than_memory_is_refused_unread(tmp_path, monkeypatch):
    path = tmp_path / "bomb.mat"
    savemat(path, {"x": np.zeros((1, 2_000_000))}, do_compression=True)
    assert path.stat().st_size < 100_000
    monkeypatch.setattr(psutil, "virtual_memory", lambda: type("Free", (), {"available": 20_000_000}))
    with pytest.raises(DataError, match="memory for twice"):
        read_v5(path)


def test_hdf5_may_declare_or_point_to_nothing_outside(tmp_path):
    path = tmp_path / "toy.mat"
    write_v73(path, x=SOUND)
    with h5py.File(path, "a") as file:
        file.create_dataset("huge", shape=(10**7, 10**7), chunks=(100, 100), dtype="f8")
    with pytest.raises(DataError, match="memory for twice"):
        read_v73(path)
    write_v73(path, x=SOUND)
    with h5py.File(path, "a") as file:
        file["y"] = h5py.ExternalLink("other.mat", "/x")
    with pytest.raises(DataError, match="links to others"):
        read_v73(path)
    write_v73(path, x=SOUND)
    (tmp_path / "secret").write_bytes(b"12345678")
    with h5py.File(path, "a") as file:
        file.create_dataset("z", (1, 1), "f8", external=[(str(tmp_path / "secret"), 0, 8)])
    with pytest.raises(DataError, match="z in another file"):
        read_v73(path)


def test_bytes_that_are_not_packed_are_refused(tmp_path):
    path = tmp_path / "toy.mat"
    savemat(path, {"x": SOUND}, do_compression=True)
    content = bytearray(path.read_bytes())
    assert zlib.decompress(bytes(content[136:]))
    content[136] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(DataError, match="expected a complete MATLAB file"):
        read_v5(path)
