"""The cache of made arrays: whole or absent, verified when read, rebuilt when damaged."""

import json
import multiprocessing
import time
import warnings

import numpy as np
import pytest

from benchmark.contracts import DataError
from datasets.cache import MANIFEST, cached_arrays

ARRAYS = {"labels": np.eye(3, dtype=np.uint8), "modality0": np.arange(12, dtype="<f4").reshape(3, 4)}


def build_once(calls):
    def build():
        calls.append(1)
        return ARRAYS

    return build


def must_not_build():
    pytest.fail("a valid cache was built again")


def same(found):
    assert list(found) == list(ARRAYS)
    for name, array in ARRAYS.items():
        np.testing.assert_array_equal(found[name], array)
        assert found[name].dtype == array.dtype


def test_arrays_are_built_once_and_then_mapped_read_only(tmp_path):
    calls = []
    for _ in range(2):
        found = cached_arrays(tmp_path / "a" / "set", build_once(calls))
        same(found)
        assert isinstance(found["modality0"], np.memmap)
        assert not found["modality0"].flags.writeable
    assert calls == [1]


def truncate(path):
    path.write_bytes(path.read_bytes()[:-3])


def flip_one_bit(path):
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("damage", [truncate, flip_one_bit, lambda path: path.unlink()])
@pytest.mark.parametrize("name", ["labels.npy", "modality0.npy", MANIFEST])
def test_a_damaged_cache_is_rebuilt_with_a_warning_that_says_what_was_wrong(tmp_path, name, damage):
    cached_arrays(tmp_path / "set", build_once([]))
    damage(tmp_path / "set" / name)
    calls = []
    with pytest.warns(UserWarning, match=rf"set: .*{name}.*; rebuilding it"):
        same(cached_arrays(tmp_path / "set", build_once(calls)))
    assert calls == [1]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        same(cached_arrays(tmp_path / "set", must_not_build))


def test_a_build_that_fails_leaves_nothing_behind(tmp_path):
    def fail():
        raise MemoryError("no room")

    with pytest.raises(MemoryError):
        cached_arrays(tmp_path / "set", fail)
    assert list(tmp_path.iterdir()) == []


def test_a_build_that_is_killed_leaves_no_folder_of_the_final_name(tmp_path):
    process = multiprocessing.get_context("spawn").Process(target=hang_in_build, args=(tmp_path,))
    process.start()
    deadline = time.monotonic() + 30
    while not (tmp_path / "started").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    process.kill()
    process.join()
    assert (tmp_path / "started").exists()
    assert not (tmp_path / "set").exists()
    same(cached_arrays(tmp_path / "set", build_once([])))


def hang_in_build(folder):
    def build():
        (folder / "started").touch()
        time.sleep(60)

    cached_arrays(folder / "set", build)


def test_a_process_that_finishes_second_takes_what_the_first_left(tmp_path):
    def build_while_another_finishes():
        cached_arrays(tmp_path / "set", build_once([]))
        return {"labels": np.zeros((3, 3), dtype=np.uint8)}

    same(cached_arrays(tmp_path / "set", build_while_another_finishes))
    assert [path.name for path in tmp_path.iterdir()] == ["set"]


def test_a_cache_folder_that_cannot_be_made_is_refused_with_a_remedy(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DataError, match=r"file.*M3LA_CACHE"):
        cached_arrays(tmp_path / "file" / "set", build_once([]))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), OSError("9 requested, 3 written")])
def test_a_full_disk_names_the_file_and_leaves_nothing(tmp_path, monkeypatch, error):
    def full(*_, **__):
        raise error

    monkeypatch.setattr(np, "save", full)
    with pytest.raises(DataError, match=r"name another in \$M3LA_CACHE") as caught:
        cached_arrays(tmp_path / "set", build_once([]))
    assert "labels.npy" in str(caught.value)
    assert str(error.strerror or error) in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("listed", [{}, {"labels.npy": "0"}])
def test_a_manifest_that_does_not_list_every_array_vouches_for_none(tmp_path, listed):
    cached_arrays(tmp_path / "set", build_once([]))
    manifest = tmp_path / "set" / MANIFEST
    sums = json.loads(manifest.read_text())["sha256"]
    manifest.write_text(json.dumps({"sha256": {name: sums[name] for name in listed}}))
    with pytest.warns(UserWarning, match="modality0.npy; rebuilding it"):
        same(cached_arrays(tmp_path / "set", build_once([])))
