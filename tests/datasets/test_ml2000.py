"""ML2000: the user's features first, else the kept ones, verified against their manifest."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from benchmark.contracts import DataError, Provenance, Shape
from datasets.ml2000 import DATASET
from datasets.rebuilt import MANIFEST_KEYS


@pytest.fixture
def kept(tmp_path):
    """A small data set of the same kind, with its own features file and manifest."""
    random = np.random.default_rng(0)
    spec = replace(
        DATASET,
        expected=Shape(n=20, q=5, dims=(4, 6, 3)),
        features_file=tmp_path / "kept.npz",
        manifest_file=tmp_path / "kept.json",
    )
    arrays = {
        name: random.normal(size=(20, d)).astype(np.float16)
        for name, d in zip(spec.modality_names, spec.expected.dims, strict=True)
    }
    keep(spec, **arrays, labels=random.integers(0, 2, size=(20, 5)).astype(np.uint8))
    return spec


def keep(spec, **arrays):
    np.savez_compressed(spec.features_file, **arrays)
    manifest = dict.fromkeys(MANIFEST_KEYS, "-")
    manifest |= {"recipe_version": 7, "unsupervised_fit": "all 2000 images"}
    manifest["sha256"] = hashlib.sha256(spec.features_file.read_bytes()).hexdigest()
    spec.manifest_file.write_text(json.dumps(manifest))


def arrays_of(spec):
    with np.load(spec.features_file) as archive:
        return dict(archive)


def test_kept_features_are_loaded_as_rebuilt_with_a_note_on_how_they_were_fitted(kept, tmp_path):
    dataset = kept.load(tmp_path / "nothing")
    assert dataset.provenance is kept.provenance(tmp_path / "nothing") is Provenance.REBUILT
    assert dataset.shape == kept.expected
    stored = arrays_of(kept)
    for name, x in zip(kept.modality_names, dataset.modalities, strict=True):
        assert x.dtype == np.float32
        assert not x.flags.writeable
        np.testing.assert_array_equal(x, stored[name].astype(np.float32))
    np.testing.assert_array_equal(dataset.labels, stored["labels"])
    assert "by recipe version 7" in dataset.note
    assert dataset.note.endswith("were fitted on all 2000 images, without labels.")
    assert dataset.label_names == ("desert", "mountains", "sea", "sunset", "trees")


@pytest.mark.parametrize(("fit_on", "seed"), [("all", None), ("train:3", 3)])
def test_kept_features_that_were_fitted_for_one_seed_say_so(kept, tmp_path, fit_on, seed):
    manifest = json.loads(kept.manifest_file.read_text())
    kept.manifest_file.write_text(json.dumps(manifest | {"fit_on": fit_on}))
    assert kept.load(tmp_path / "nothing").fit_seed == seed
    kept.manifest_file.write_text(json.dumps(manifest | {"fit_on": ["train"]}))
    with pytest.raises(DataError, match=r"kept\.json: expected fit_on all or train:SEED"):
        kept.load(tmp_path / "nothing")


def test_the_users_own_features_come_first_and_are_real(kept, tmp_path):
    folder = tmp_path / "data" / "ml2000"
    folder.mkdir(parents=True)
    stored = arrays_of(kept)
    for name, array in stored.items():
        np.save(folder / f"{name}.npy", array if name == "labels" else array + 1)
    dataset = kept.load(tmp_path / "data")
    assert dataset.provenance is kept.provenance(tmp_path / "data") is Provenance.REAL
    assert dataset.data_hash != kept.load(tmp_path / "nothing").data_hash
    np.testing.assert_array_equal(dataset.modalities[2], (stored["hog"] + 1).astype(np.float32))


@pytest.mark.parametrize("where", [100, -1])
def test_an_altered_features_file_is_refused_by_its_sha256(kept, tmp_path, where):
    expected = json.loads(kept.manifest_file.read_text())["sha256"]
    content = bytearray(kept.features_file.read_bytes())
    content[where] ^= 1
    kept.features_file.write_bytes(content)
    with pytest.raises(DataError, match=rf"kept\.npz: expected SHA-256 {expected}, found [0-9a-f]{{64}}; "):
        kept.load(tmp_path / "nothing")


def test_a_truncated_or_missing_features_file_is_refused(kept, tmp_path):
    kept.features_file.write_bytes(kept.features_file.read_bytes()[:-10])
    with pytest.raises(DataError, match="SHA-256"):
        kept.load(tmp_path / "nothing")
    kept.features_file.unlink()
    with pytest.raises(DataError, match="no such file"):
        kept.load(tmp_path / "nothing")


@pytest.mark.parametrize("text", ["", "{", "[]", '{"sha256": "0"}'])
def test_an_unusable_manifest_is_refused(kept, tmp_path, text):
    kept.manifest_file.write_text(text)
    with pytest.raises(DataError, match=r"kept\.json: expected .*restore"):
        kept.load(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["bow", "hog", "labels"])
def test_a_file_with_wrong_shapes_is_refused_even_if_its_sum_is_right(kept, tmp_path, name):
    stored = arrays_of(kept)
    keep(kept, **{**stored, name: stored[name][:, 1:]})
    with pytest.raises(DataError, match="Table I"):
        kept.load(tmp_path / "nothing")
    del stored[name]
    keep(kept, **stored)
    with pytest.raises(DataError, match="Table I"):
        kept.load(tmp_path / "nothing")


def test_wrong_values_and_pickles_are_refused_even_if_the_sum_is_right(kept, tmp_path):
    stored = arrays_of(kept)
    keep(kept, **{**stored, "labels": stored["labels"] + 1})
    with pytest.raises(DataError, match="0 and 1"):
        kept.load(tmp_path / "nothing")
    keep(kept, **{**stored, "fv": np.full((20, 6), np.nan, dtype=np.float16)})
    with pytest.raises(DataError, match=r"fv: expected finite"):
        kept.load(tmp_path / "nothing")
    keep(kept, **{**stored, "fv": np.full((20, 6), None)})
    with pytest.raises(DataError, match="numeric arrays"):
        kept.load(tmp_path / "nothing")


@pytest.mark.skipif(not DATASET.manifest_file.is_file(), reason="no kept features in this checkout")
def test_the_features_in_the_repository_load_and_match_the_published_counts(tmp_path):
    dataset = DATASET.load(tmp_path)
    assert dataset.provenance is Provenance.REBUILT
    assert dataset.shape == DATASET.expected
    # Counts that the data's README gives, in the order of `label_names`.
    assert dataset.labels.sum(axis=0).tolist() == [409, 458, 580, 465, 560]
    manifest = json.loads(DATASET.manifest_file.read_text())
    assert tuple(manifest["label_names"]) == dataset.label_names
    assert DATASET.features_file.stat().st_size <= 8 * 2**20
