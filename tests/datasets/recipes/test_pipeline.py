"""Blocks of images: the same bits whoever computes them, kept when finished, and found again after a kill."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.contracts import DataError
from datasets.recipes import pipeline
from datasets.recipes.catalogue import RECIPES, Modality, Recipe
from datasets.recipes.parts import Parts
from datasets.recipes.pipeline import Runner, encode_images, learn_parts

COUNT = 23


def mean_colour(image: np.ndarray) -> np.ndarray:
    return image.mean(axis=(0, 1))


TINY = Recipe("tiny", "1", (Modality("mean", 3, mean_colour), Modality("green", 1, lambda x: x[0, 0, 1:2])))


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("scenes")
    random = np.random.default_rng(0)
    for i in range(COUNT):
        coarse = random.integers(0, 256, (6, 5, 3), dtype=np.uint8)
        Image.fromarray(coarse).resize((120, 90), Image.Resampling.BICUBIC).save(folder / f"{i}.png")
    return [folder / f"{i}.png" for i in range(COUNT)]


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the images that are decoded in this process."""
    names: list[str] = []
    read = pipeline.read_image

    def spy(path: Path) -> np.ndarray:
        names.append(path.name)
        return read(path)

    monkeypatch.setattr(pipeline, "read_image", spy)
    return names


def same_bits(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return one.keys() == other.keys() and all(one[name].tobytes() == other[name].tobytes() for name in one)


@pytest.fixture(scope="module")
def alone(scenes: list[Path]) -> Parts:
    return learn_parts(scenes)


def test_jobs_and_the_cache_change_no_bit_of_the_parts(scenes, tmp_path, alone):
    for runner in (Runner(jobs=2), Runner(cache=tmp_path), Runner(cache=tmp_path)):
        assert same_bits(learn_parts(scenes, runner).arrays(), alone.arrays())


@pytest.mark.parametrize("name", RECIPES)
def test_jobs_blocks_the_order_and_the_cache_change_no_bit(name, scenes, tmp_path, alone, monkeypatch):
    monkeypatch.setattr(pipeline, "BLOCK", 2)
    recipe, paths = RECIPES[name], scenes[:5]
    learnt = alone if recipe.learns else None
    computed = encode_images(recipe, paths, learnt, Runner(jobs=2, cache=tmp_path))
    assert same_bits(encode_images(recipe, paths, learnt, Runner(cache=tmp_path)), computed)
    backwards = encode_images(recipe, paths[::-1], learnt)
    assert same_bits({part: values[::-1] for part, values in backwards.items()}, computed)


def test_what_is_kept_is_not_computed_again_and_new_images_are(scenes, tmp_path, opened):
    runner = Runner(cache=tmp_path)
    first = encode_images(TINY, scenes[:20], runner=runner)
    assert len(opened) == 20
    opened.clear()
    again = encode_images(TINY, scenes, runner=runner)
    assert opened == [path.name for path in scenes[20:]]
    assert same_bits({name: values[:20] for name, values in again.items()}, first)


@pytest.mark.parametrize("change", ["bytes", "version", "name", "libraries", "damage"])
def test_what_follows_from_something_else_is_computed_anew(scenes, tmp_path, opened, change, monkeypatch):
    paths = []
    for path in scenes[:3]:
        paths.append(tmp_path / path.name)
        paths[-1].write_bytes(path.read_bytes())
    recipe, runner = TINY, Runner(cache=tmp_path / "cache")
    before = encode_images(recipe, paths, runner=runner)
    opened.clear()
    if change == "bytes":
        paths[1].write_bytes(scenes[5].read_bytes())
    elif change == "libraries":
        monkeypatch.setattr(pipeline, "LIBRARIES", {**pipeline.LIBRARIES, "numpy": "0"})
    elif change == "damage":
        (kept,) = (tmp_path / "cache").glob("block-*/mean.npy")
        kept.write_bytes(kept.read_bytes()[:-1] + b"\x7f")
    else:
        recipe = Recipe(**{**vars(TINY), change: "2"})
    if change == "damage":
        with pytest.warns(UserWarning, match=r"mean\.npy is truncated or altered"):
            after = encode_images(recipe, paths, runner=runner)
    else:
        after = encode_images(recipe, paths, runner=runner)
    assert len(opened) == 3
    assert same_bits(before, after) == (change != "bytes")


def test_every_unreadable_image_is_counted_and_the_others_are_kept(scenes, tmp_path, opened):
    paths = [tmp_path / f"{i}.png" for i in range(45)]
    for i, path in enumerate(paths):
        path.write_bytes(scenes[i % COUNT].read_bytes())
    for i in (3, 4, 44):
        paths[i].write_bytes(b"broken")
    runner = Runner(cache=tmp_path / "cache")
    with pytest.raises(
        DataError, match=r"3 images cannot be used, first: .*3\.png.* \| .*4\.png.* \| .*44\.png"
    ):
        encode_images(TINY, paths, runner=runner)
    for i in (3, 4, 44):
        paths[i].write_bytes(scenes[i % COUNT].read_bytes())
    opened.clear()
    assert len(encode_images(TINY, paths, runner=runner)["mean"]) == 45
    assert opened == [path.name for path in paths[:20] + paths[40:]]  # the blocks that had a broken one


def test_a_single_fault_is_said_plainly(scenes, tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"broken")
    with pytest.raises(DataError, match=r"^\S*a\.png: expected a readable image"):
        encode_images(TINY, [scenes[0], path])


def test_a_cache_that_cannot_be_written_is_named(scenes, tmp_path):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DataError, match=r"\$M3LA_CACHE"):
        encode_images(TINY, scenes, runner=Runner(cache=tmp_path / "cache"))


def test_progress_counts_images(scenes, tmp_path):
    said: list[tuple[int, int, str]] = []

    def report(items, total, label):
        passed = list(items)
        said.append((len(passed), total, label))
        return passed

    for _ in range(2):
        encode_images(TINY, scenes, runner=Runner(report=report, cache=tmp_path))
    assert said == [(COUNT, COUNT, "encode"), (COUNT, COUNT, f"encode, {COUNT} kept")]


def test_parts_are_kept_and_their_samples_are_not(scenes, tmp_path, opened, alone):
    runner = Runner(cache=tmp_path)
    assert same_bits(learn_parts(scenes, runner).arrays(), alone.arrays())
    assert [path.name.split("-")[0] for path in tmp_path.iterdir()] == ["parts"]
    opened.clear()
    assert same_bits(learn_parts(scenes, runner).arrays(), alone.arrays())
    assert not opened


def test_of_very_many_images_a_fixed_sample_is_seen(scenes, monkeypatch, opened):
    monkeypatch.setattr(pipeline, "SEEN_AT_MOST", 10)
    learnt = learn_parts(scenes)
    assert len(opened) == len(set(opened)) == 10
    assert same_bits(learn_parts(scenes).arrays(), learnt.arrays())


def test_too_few_images_for_the_visual_words_are_refused(scenes):
    with pytest.raises(DataError, match="8 images to fit 500 visual words on: expected at least 9"):
        learn_parts(scenes[:8])


@pytest.mark.filterwarnings("ignore:Number of distinct clusters", "ignore:invalid value encountered")
def test_flat_images_give_finite_features(tmp_path):
    paths = []
    for i in range(9):
        paths.append(tmp_path / f"{i}.png")
        Image.new("RGB", (1, 1), (20, 90, 160)).save(paths[-1])
    learnt = learn_parts(paths)
    for recipe in RECIPES.values():
        for values in encode_images(recipe, paths[:2], learnt if recipe.learns else None).values():
            assert np.isfinite(values).all()


KILLED = """
import sys
from pathlib import Path
from datasets.recipes import pipeline
from datasets.recipes.catalogue import RECIPES
pipeline.BLOCK = 2
paths = [Path(name) for name in sys.argv[2:]]
if __name__ == "__main__":
    runner = pipeline.Runner(cache=Path(sys.argv[1]))
    pipeline.encode_images(RECIPES["msra"], paths, runner=runner)
"""


def test_a_killed_run_goes_on_from_what_was_computed(scenes, tmp_path, opened, monkeypatch):
    cache = tmp_path / "cache"
    command = [sys.executable, "-c", KILLED, str(cache), *map(str, scenes)]
    with subprocess.Popen(command, cwd=Path(__file__).parents[3]) as process:
        deadline = time.monotonic() + 120
        while len(list(cache.glob("block-*"))) < 3:
            assert process.poll() is None
            assert time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
    kept = len(list(cache.glob("block-*")))
    assert 3 <= kept < COUNT // 2
    monkeypatch.setattr(pipeline, "BLOCK", 2)
    resumed = encode_images(RECIPES["msra"], scenes, runner=Runner(cache=cache))
    assert len(opened) == COUNT - 2 * kept
    assert same_bits(resumed, encode_images(RECIPES["msra"], scenes))
