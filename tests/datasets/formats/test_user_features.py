"""The user's own features: read, or refused by an error naming file, expectation, finding and remedy."""

import hashlib
import json
import pickle
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from benchmark.contracts import DataError, DatasetSpec, Provenance, Shape
from benchmark.run.features import data_directory
from datasets import fcvid, ml2000, msra, taobao
from datasets.formats.arrays import as_labels, data_hash
from datasets.formats.checksums import CHECKSUMS
from datasets.formats.files import refusal
from datasets.formats.folder import PROVENANCE_FILE, read_origin
from datasets.lookalike import LookAlikeBacked

TOY = LookAlikeBacked(
    id="toy",
    title="TOY",
    expected=Shape(n=60, q=3, dims=(4, 2)),
    modality_names=("colour", "shape"),
    citation="",
    cardinality=1.5,
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A data folder with complete, right features of TOY, and a cache of its own."""
    monkeypatch.setenv("M3LA_CACHE", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    folder = tmp_path / "data" / "toy"
    folder.mkdir(parents=True)
    np.save(folder / "colour.npy", random.normal(size=(60, 4)))
    np.save(folder / "shape.npy", random.normal(size=(60, 2)).astype(np.float32))
    np.save(folder / "labels.npy", random.integers(0, 2, size=(60, 3)))
    return folder


def refused(folder, *parts):
    with pytest.raises(DataError) as caught:
        TOY.load(folder.parent)
    for part in parts:
        assert part in str(caught.value)
    assert re.search(r"expected .+, found .+; .+", str(caught.value))


def test_complete_features_are_loaded_as_read_only_float32_with_provenance_real(folder):
    dataset = TOY.load(folder.parent)
    assert dataset.provenance is TOY.provenance(folder.parent) is Provenance.REAL
    assert dataset.shape == TOY.expected
    assert [x.dtype.str for x in dataset.modalities] == ["<f4", "<f4"]
    assert dataset.labels.dtype == np.uint8
    np.testing.assert_array_equal(dataset.modalities[0], np.load(folder / "colour.npy").astype(np.float32))
    np.testing.assert_array_equal(dataset.labels, np.load(folder / "labels.npy"))
    for array in (*dataset.modalities, dataset.labels):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint8, np.float16, np.float64, ">f4"])
def test_any_numeric_dtype_of_the_labels_gives_the_same_dataset(folder, dtype):
    before = TOY.load(folder.parent).data_hash
    np.save(folder / "labels.npy", np.load(folder / "labels.npy").astype(dtype))
    assert TOY.load(folder.parent).data_hash == before


def test_column_major_files_give_the_same_dataset(folder):
    before = TOY.load(folder.parent).data_hash
    np.save(folder / "colour.npy", np.asfortranarray(np.load(folder / "colour.npy")))
    assert TOY.load(folder.parent).data_hash == before


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
def test_features_that_are_not_finite_are_refused(folder, value):
    x = np.load(folder / "colour.npy")
    x[7, 3] = value
    np.save(folder / "colour.npy", x)
    refused(folder, "colour.npy", "finite", "row 7, column 3", str(value))


@pytest.mark.parametrize(
    "scale", [lambda x: 1e9 + x, lambda x: 1e-60 * x, lambda x: 1e300 * x], ids=["offset", "tiny", "huge"]
)
def test_digits_that_float32_would_lose_are_kept_and_other_data_stay_float32(folder, scale):
    x = scale(np.load(folder / "colour.npy"))
    np.save(folder / "colour.npy", x)
    kept, other = TOY.load(folder.parent).modalities
    assert (kept.dtype, other.dtype) == (np.float64, np.float32)
    np.testing.assert_array_equal(kept, x)


@pytest.mark.parametrize("value", [2, -1, 0.5, np.nan])
def test_labels_other_than_0_and_1_are_refused(folder, value):
    y = np.load(folder / "labels.npy").astype(float)
    y[5, 1] = value
    np.save(folder / "labels.npy", y)
    refused(folder, "labels.npy", "labels 0 and 1 only", f"{float(value)} in row 5, column 1")


@pytest.mark.parametrize("name", ["colour", "shape", "labels"])
def test_row_counts_that_differ_are_refused(folder, name):
    path = folder / f"{name}.npy"
    np.save(path, np.load(path)[:-1])
    refused(folder, str(path), "(60, ", "(59, ")


@pytest.mark.parametrize("name", ["colour", "shape", "labels"])
def test_wrong_dimensions_are_refused(folder, name):
    path = folder / f"{name}.npy"
    np.save(path, np.load(path)[:, :-1])
    refused(folder, str(path), "Table I", "shape (60, ")


def test_a_vector_in_place_of_a_matrix_is_refused(folder):
    np.save(folder / "labels.npy", np.zeros(60))
    refused(folder, "labels.npy", "(60, 3)", "(60,)")


@pytest.mark.parametrize("kept", [0, 5, 100, 300, -1])
def test_truncated_files_are_refused(folder, kept):
    path = folder / "colour.npy"
    path.write_bytes(path.read_bytes()[:kept])
    refused(folder, str(path), "truncated", "save")


def test_files_with_trailing_bytes_are_refused(folder):
    path = folder / "colour.npy"
    size = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"more")
    refused(folder, str(path), f"expected {size} bytes, found {size + 4} bytes")


def test_pickled_arrays_are_refused_and_not_unpickled(folder):
    class Bomb:
        def __reduce__(self):
            return pytest.fail, ("a pickle was executed",)

    objects = np.empty((60, 4), dtype=object)
    objects[0, 0] = Bomb()
    np.save(folder / "colour.npy", objects, allow_pickle=True)
    refused(folder, "colour.npy", "pickled", "allow_pickle=False")
    (folder / "colour.npy").write_bytes(pickle.dumps(Bomb()))
    refused(folder, "colour.npy", "pickled")


def test_archives_and_text_columns_are_refused(folder):
    with (folder / "colour.npy").open("wb") as stream:
        np.savez(stream, colour=np.zeros((60, 4)))
    refused(folder, "colour.npy", "one array", ".npz archive")
    np.save(folder / "colour.npy", np.full((60, 4), "1.0"))
    refused(folder, "colour.npy", "real numbers", "<U3")
    np.save(folder / "colour.npy", np.zeros((60, 4), dtype=complex))
    refused(folder, "colour.npy", "real numbers", "complex128")


@pytest.mark.parametrize("name", ["colour", "shape", "labels"])
def test_a_missing_file_is_refused_rather_than_replaced_by_a_look_alike(folder, name):
    (folder / f"{name}.npy").unlink()
    refused(folder, str(folder), f"no {name}.npy")


def test_a_surplus_or_misnamed_modality_is_refused(folder):
    (folder / "shape.npy").rename(folder / "shapes.npy")
    refused(folder, "no shape.npy and shapes.npy", "colour.npy, shape.npy, labels.npy")
    np.save(folder / "shape.npy", np.zeros((60, 2)))
    refused(folder, "found shapes.npy")


def test_an_altered_file_is_found_by_the_users_own_checksums(folder):
    path = folder / "colour.npy"
    sums = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.name}" for p in folder.glob("*.npy")]
    (folder / CHECKSUMS).write_text("\n".join(sums) + "\n")
    TOY.load(folder.parent)
    x = np.load(path)
    x[0, 0] += 1e-9
    np.save(path, x)
    refused(folder, str(path), "SHA-256", hashlib.sha256(path.read_bytes()).hexdigest())


def test_nothing_is_written_anywhere_when_user_features_are_refused(folder, tmp_path):
    np.save(folder / "labels.npy", np.full((60, 3), 7))
    before = sorted(tmp_path.rglob("*"))
    refused(folder, "labels.npy")
    assert sorted(tmp_path.rglob("*")) == before


def test_an_empty_folder_gives_the_look_alike(folder):
    for path in folder.glob("*.npy"):
        path.unlink()
    assert TOY.provenance(folder.parent) is Provenance.LOOK_ALIKE
    assert TOY.load(folder.parent).provenance is Provenance.LOOK_ALIKE


def origin(folder, content):
    (folder / PROVENANCE_FILE).write_text(content if isinstance(content, str) else json.dumps(content))


@pytest.mark.parametrize("kind", list(Provenance))
def test_a_file_beside_the_features_says_where_they_come_from(folder, kind):
    origin(folder, {"provenance": str(kind), "note": "Made from pictures.", "fit_on": "all"})
    dataset = TOY.load(folder.parent)
    assert dataset.provenance is TOY.provenance(folder.parent) is kind
    assert dataset.note == "The user's own features. Made from pictures."


def test_without_a_note_the_caption_still_says_what_was_seen(folder):
    assert TOY.load(folder.parent).note == "The user's own features."
    origin(folder, {"provenance": "rebuilt", "fit_on": "train:3"})
    assert TOY.load(folder.parent).note == ("The user's own features. Unsupervised parts fitted on: train:3.")


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        ({"provenance": "genuine"}, ("provenance real or rebuilt or look-alike", "'genuine'")),
        ({"provenance": ["real"]}, ("a string for provenance", "['real']")),
        ({"provenance": "real", "fit_on": 0}, ("a string for fit_on", "found 0")),
        ({"provenance": "real", "fitted": "all"}, ("no key beside", "found provenance, fitted")),
        ({"note": "?"}, ("provenance and no key beside", "found note")),
        *(
            ({"provenance": "real", "fit_on": text}, ("fit_on all or train:SEED", f"found {text!r}"))
            for text in (
                "",
                "train",
                "train:",
                "train:-1",
                "train:0-2",
                "train:0,1",
                "Train:0",
                "test:0",
                "train:٣",
            )
        ),
        ('{"provenance": "rebuilt", "provenance": "real"}', ("a key is there twice",)),
        ('{"provenance": "real", "note": "\\ud800"}', ("a readable JSON file", "surrogates")),
        ("[" * 100_000, ("a readable JSON file",)),
        (" " * 2**21, ("at most 1048576 bytes",)),
        (["real"], ("found list",)),
        ("{", ("a readable JSON file",)),
    ],
)
def test_an_unknown_statement_of_provenance_is_refused(folder, content, parts):
    origin(folder, content)
    refused(folder, str(folder / PROVENANCE_FILE), *parts)
    with pytest.raises(DataError):
        TOY.provenance(folder.parent)


@pytest.mark.parametrize("name", ["Provenance.json", "provenance.txt", "provenance.json.bak"])
def test_a_statement_of_provenance_of_another_name_is_refused_rather_than_ignored(folder, name):
    (folder / name).write_text('{"provenance": "look-alike"}')
    refused(folder, f"expected provenance.json, found {name}")


def test_a_statement_of_provenance_in_utf_16_is_read_and_one_that_is_no_file_is_refused(folder):
    (folder / PROVENANCE_FILE).write_text('{"provenance": "rebuilt", "note": "é"}', encoding="utf-16")
    assert TOY.load(folder.parent).note == "The user's own features. é"
    (folder / PROVENANCE_FILE).unlink()
    (folder / PROVENANCE_FILE).symlink_to("nowhere")
    refused(folder, PROVENANCE_FILE, "no such file")


@pytest.mark.parametrize(("fit_on", "seed"), [("all", None), ("train:0", 0), ("train:12", 12)])
def test_rows_that_unsupervised_parts_saw_are_kept_with_the_data(folder, fit_on, seed):
    origin(folder, {"provenance": "real", "fit_on": fit_on})
    assert TOY.load(folder.parent).fit_seed == seed


@pytest.mark.parametrize("name", ["colour.npz", "colour.csv", "colour.NPY", PROVENANCE_FILE])
def test_a_folder_of_other_files_is_refused_rather_than_replaced_by_a_look_alike(folder, name):
    for path in folder.glob("*.npy"):
        path.unlink()
    (folder / name).write_text("{}")
    refused(folder, str(folder), "expected colour.npy, shape.npy, labels.npy", f"found {name}")
    with pytest.raises(DataError):
        TOY.provenance(folder.parent)


def test_a_file_in_place_of_the_folder_is_refused(folder):
    folder.rename(folder.with_name("elsewhere"))
    folder.write_text("")
    refused(folder, str(folder), "a folder of .npy files")


def test_a_folder_named_in_another_case_is_refused_with_the_right_name(folder):
    folder.rename(folder.with_name("ToY"))
    refused(folder, "a folder toy, found a folder ToY", "rename ToY to toy")
    with pytest.raises(DataError):
        TOY.provenance(folder.parent)


def test_hidden_files_are_not_features(folder):
    for path in folder.glob("*.npy"):
        path.unlink()
    (folder / ".DS_Store").write_text("")
    assert TOY.provenance(folder.parent) is Provenance.LOOK_ALIKE


def test_the_data_folder_is_the_flag_then_the_variable_then_the_users_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("M3LA_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("M3LA_DATA", raising=False)
    assert data_directory() == tmp_path / "cache" / "data"
    for name in ("flag", "variable"):
        (tmp_path / name).mkdir()
    monkeypatch.setenv("M3LA_DATA", str(tmp_path / "variable"))
    assert data_directory() == tmp_path / "variable"
    assert data_directory(str(tmp_path / "flag")) == tmp_path / "flag"


def test_a_data_folder_that_is_named_but_absent_is_refused(tmp_path, monkeypatch):
    with pytest.raises(DataError, match=r"nowhere.*--data"):
        data_directory(str(tmp_path / "nowhere"))
    monkeypatch.setenv("M3LA_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(DataError, match=r"nowhere.*M3LA_DATA"):
        data_directory()


def test_the_data_hash_depends_on_shapes_dtypes_and_bytes():
    x, y = np.arange(6, dtype="<f4").reshape(2, 3), np.array([[1], [0]], dtype=np.uint8)
    by_hand = hashlib.sha256(b"<f4(2, 3);" + x.tobytes() + b"|u1(2, 1);" + y.tobytes()).hexdigest()
    assert data_hash([x], y) == by_hand
    assert len({by_hand, data_hash([x.reshape(3, 2)], y), data_hash([x.view("<i4")], y)}) == 3
    assert data_hash([x], 1 - y) != by_hand
    assert data_hash([x.T.copy().T], y) == by_hand


@settings(max_examples=40)
@given(arrays(np.float64, (4, 3), elements=st.sampled_from([0.0, 1.0, 0.999, -0.0, np.nan, 255.0, 256.0])))
def test_labels_are_accepted_exactly_when_all_are_0_or_1(tmp_path_factory, stored):
    origin = tmp_path_factory.getbasetemp() / "labels.npy"
    if set(np.unique(stored)) <= {0.0, 1.0}:
        np.testing.assert_array_equal(as_labels(stored, origin), stored)
    else:
        with pytest.raises(DataError):
            as_labels(stored, origin)


def test_refusals_are_one_line_that_can_be_printed(tmp_path):
    text = str(refusal(tmp_path, "a\nb", "c\x07\ue000\ud800é", "do d"))
    assert text == f"{tmp_path}: expected a b, found c\\x07\\ue000\\ud800é; do d"


def test_refusals_name_file_expectation_finding_and_remedy(tmp_path):
    assert str(refusal(tmp_path, "a", "b", "do c")) == f"{tmp_path}: expected a, found b; do c"


def test_the_four_data_sets_satisfy_the_contract_and_are_table_1(request):
    table = (request.config.rootpath / "results/paper/table1.csv").read_text().splitlines()
    rows = {row.split(",")[0]: row.split(",") for row in table[1:]}
    specs = [fcvid.DATASET, msra.DATASET, ml2000.DATASET, taobao.DATASET]
    assert [spec.title for spec in specs] == list(rows)
    for spec in specs:
        _, n, q, m, dims, total = rows[spec.title]
        assert isinstance(spec, DatasetSpec)
        assert spec.id == spec.title.lower()
        assert spec.expected == Shape(int(n), int(q), tuple(int(d) for d in dims.split()))
        assert (spec.expected.m, sum(spec.expected.dims)) == (int(m), int(total))
        assert len(set(spec.modality_names)) == spec.expected.m


def test_a_note_does_not_hide_that_features_suit_one_seed(tmp_path):
    statement = {"provenance": "rebuilt", "fit_on": "train:0", "note": "Mine."}
    (tmp_path / "provenance.json").write_text(json.dumps(statement), encoding="utf-8")
    assert (
        read_origin(tmp_path).note == "The user's own features. Mine. Unsupervised parts fitted on: train:0."
    )
