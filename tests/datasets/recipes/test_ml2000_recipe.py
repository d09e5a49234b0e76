"""The ML2000 recipe: what it refuses, what it promises, and that the kept features are its own."""

from __future__ import annotations

import functools
import hashlib
import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn.mixture import GaussianMixture

from benchmark.contracts import DataError, Dataset, Provenance
from benchmark.run.split import split
from datasets.lookalike import LookAlikeBacked
from datasets.ml2000 import DATASET
from datasets.ml2000_msra import DATASET as MSRA
from datasets.ml2000_taobao import DATASET as TAOBAO
from datasets.msra import DATASET as OF_MSRA
from datasets.recipes import build, descriptors, hog, ml2000, parts, pipeline, store
from datasets.recipes.catalogue import RECIPES
from datasets.recipes.encode import bag_of_words, fisher
from datasets.recipes.images import SIDE, digest, read_image
from datasets.recipes.ml2000 import LABEL_NAMES, kept_file, open_ml2000
from datasets.recipes.parts import Parts
from datasets.taobao import DATASET as OF_TAOBAO

COUNT = 9
HEADER = ",".join(["Filenames", *LABEL_NAMES])
REAL = Path(__file__).resolve().parents[3].parent / "shared" / "data" / "ml2000"
RECIPE = RECIPES["ml2000"]
OF_RECIPE = {"ml2000": DATASET, "taobao": TAOBAO, "msra": MSRA}


def scene(number: int, width: int, height: int) -> Image.Image:
    """Draw coloured waves that depend on `number` alone, at any size."""
    y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
    rng = np.random.default_rng(number)
    waves = [
        np.sin(2 * np.pi * (rng.uniform(1, 5) * x + rng.uniform(1, 5) * y + rng.uniform())) for _ in range(3)
    ]
    return Image.fromarray((127.5 + 120 * np.stack(waves, axis=2)).astype(np.uint8))


def label_lines() -> list[str]:
    return [HEADER, *(f"{i}.jpg,{i % 2},0,1,0,0" for i in range(1, COUNT + 1))]


@pytest.fixture(scope="module")
def kept_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("scenes")
    (folder / "images").mkdir()
    for i in range(1, COUNT + 1):
        size = (240, 160) if i % 2 else (90, 130)
        scene(i, *size).save(folder / "images" / f"{i}.jpg", quality=95)
    (folder / "labels.csv").write_text("\n".join(label_lines()) + "\n")
    return folder


@pytest.fixture
def folder(kept_folder: Path, tmp_path: Path) -> Path:
    """Copy the scenes, for tests that damage them."""
    (tmp_path / "in" / "images").mkdir(parents=True)
    for path in kept_folder.rglob("*.*"):
        (tmp_path / "in" / path.relative_to(kept_folder)).write_bytes(path.read_bytes())
    return tmp_path / "in"


@pytest.fixture(scope="module")
def written(kept_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Run the command on two processes; return the folder that it wrote into."""
    out = tmp_path_factory.mktemp("written")
    flags = {"--images": kept_folder, "--out": out / "mine_features.npz", "--npy": out / "npy", "--jobs": 2}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ml2000, "open_ml2000", functools.partial(open_ml2000, count=COUNT))
        patch.setenv("M3LA_CACHE", str(out / "cache"))
        assert ml2000.main([str(part) for flag in flags.items() for part in flag]) == 0
    return out


@pytest.fixture(scope="module")
def built(written: Path) -> tuple[dict[str, np.ndarray], Parts]:
    with np.load(written / "mine_features.npz", allow_pickle=False) as stored:
        return dict(stored), Parts.read(written / "mine_parts.npz")


# What it reads, and what it refuses


def test_labels_may_lie_beside_or_above_the_images(folder: Path) -> None:
    beside = open_ml2000(folder, count=COUNT)
    above = open_ml2000(folder / "images", count=COUNT)
    assert beside.paths == above.paths
    np.testing.assert_array_equal(beside.labels, above.labels)
    assert beside.labels[:2].tolist() == [[1, 0, 1, 0, 0], [0, 0, 1, 0, 0]]


def test_missing_image_is_named(folder: Path) -> None:
    (folder / "images" / "7.jpg").unlink()
    with pytest.raises(DataError, match=r"labels\.csv: 1 rows name no image below .*, first 7\.jpg"):
        open_ml2000(folder, count=COUNT)


def test_missing_labels_name_the_option(folder: Path) -> None:
    (folder / "labels.csv").unlink()
    with pytest.raises(DataError, match="--labels FILE"):
        open_ml2000(folder, count=COUNT)


@pytest.mark.parametrize(
    ("line", "text", "message"),
    [
        (0, "Filenames,sea,desert,mountains,sunset,trees", "expected the labels desert, mountains"),
        (
            3,
            "3.jpg,0,2,0,0,0",
            "line 4: expected an image's name and 5 values 0 or 1, found '3.jpg,0,2,0,0,0'",
        ),
        (3, "4.jpg,0,1,0,0,0", "1 rows name an image that a row above names, first 4.jpg"),
        (3, "3.jpg,0,1,0,0", "line 4"),
        (9, "", "1 images have no row in .*, first images/9.jpg"),
    ],
)
def test_wrong_labels_are_refused(folder: Path, line: int, text: str, message: str) -> None:
    lines = label_lines()
    lines[line] = text
    (folder / "labels.csv").write_text("\n".join(lines) + "\n")
    with pytest.raises(DataError, match=message):
        open_ml2000(folder, count=COUNT)


def test_too_few_labels_are_refused(folder: Path) -> None:
    (folder / "labels.csv").write_text("\n".join(label_lines()[:-1]) + "\n")
    with pytest.raises(DataError, match=r"1 images have no row in .*labels\.csv, first images/9\.jpg; add"):
        open_ml2000(folder, count=COUNT)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_broken_image_is_named_and_nothing_is_written(
    folder: Path, damage: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ml2000, "open_ml2000", functools.partial(open_ml2000, count=COUNT))
    monkeypatch.setenv("M3LA_CACHE", str(folder / "cache"))
    path = folder / "images" / "5.jpg"
    content = path.read_bytes()
    path.write_bytes({"truncated": content[: len(content) // 2], "text": b"no image", "empty": b""}[damage])
    out = folder / "out" / "x_features.npz"
    assert ml2000.main(["--images", str(folder), "--out", str(out), "--jobs", "1"]) == 2
    message = capsys.readouterr().err
    assert "5.jpg: expected a readable image" in message
    assert "restore the file, or take it and its row of labels out" in message
    assert not out.parent.exists()


@pytest.mark.parametrize("choice", ["train", "train:", "train:x", "test:0", "train:-1"])
def test_unknown_fit_choice_is_refused(choice: str) -> None:
    with pytest.raises(ValueError, match="expected all, or train:SEED"):
        build.check_fit_on(RECIPE, choice)


# Features


def test_same_scene_at_another_size_gives_nearby_features(built: tuple[dict, Parts], tmp_path: Path) -> None:
    _, learnt = built
    found = []
    for size in ((384, 256), (128, 85)):
        scene(99, *size).save(tmp_path / "1.jpg", quality=95)
        assert read_image(tmp_path / "1.jpg").shape == (SIDE, SIDE, 3)
        found.append(pipeline.encode_images(RECIPE, [tmp_path / "1.jpg"], learnt))
    other = tmp_path / "2.jpg"
    scene(98, 384, 256).save(other, quality=95)
    stranger = pipeline.encode_images(RECIPE, [other], learnt)
    for name in ("fv", "hog"):
        large, small, strange = (np.float64(x[name][0]) for x in (*found, stranger))
        assert np.linalg.norm(large - small) < 0.5 * np.linalg.norm(large - strange)


def test_every_image_gives_the_same_number_of_descriptors() -> None:
    flat = np.full((SIDE, SIDE, 3), 90, np.uint8)
    busy = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    rows = len(descriptors.PATCHES) * len(descriptors.grid(SIDE))
    of_flat, of_busy = descriptors.describe(flat), descriptors.describe(busy)
    for local in (of_flat, of_busy):
        assert local.sift.shape == (rows, 384)
        assert local.colour.shape == (rows, 6)
    assert not of_flat.sift.any()
    norms = np.linalg.norm(of_busy.sift.reshape(rows, 3, 128), axis=2)
    np.testing.assert_allclose(norms, 1.0, atol=1e-5)


def test_colour_of_a_patch_is_its_mean_and_deviation() -> None:
    image = np.random.default_rng(1).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    row = 200  # of the smallest patches
    x, y = descriptors.grid(SIDE)[row]
    half = descriptors.PATCHES[0] // 2
    patch = descriptors.cv2.cvtColor(image, descriptors.cv2.COLOR_RGB2LAB)[
        y - half : y + half, x - half : x + half
    ].reshape(-1, 3)
    expected = np.concatenate([patch.mean(axis=0), patch.std(axis=0)])
    np.testing.assert_allclose(descriptors.describe(image).colour[row], expected, rtol=1e-4)


def test_sampled_descriptors_are_rows_of_the_full_ones() -> None:
    image = np.asarray(scene(3, SIDE, SIDE))
    chosen = np.array([1400, 5, 700])
    full, some = descriptors.describe(image), descriptors.describe(image, chosen)
    np.testing.assert_array_equal(some.colour, full.colour[chosen])
    np.testing.assert_allclose(some.sift, full.sift[chosen], atol=1e-6)


def test_hog_has_table_1_dimension_and_sees_no_contrast() -> None:
    image = np.asarray(scene(4, SIDE, SIDE))
    features = hog.lab_hog(image)
    assert features.shape == (576,)
    # each of the three channels is one normalised block
    np.testing.assert_allclose(np.linalg.norm(features.reshape(3, 192), axis=1), 1.0, atol=1e-3)


def test_bag_of_words_by_hand() -> None:
    words = np.array([[0.0, 0.0], [4.0, 0.0], [0.0, 4.0]], np.float32)
    none = np.empty(0)
    learnt = Parts(none, none, none, none, words, none, none, none)
    local = np.array([[0.1, 0.1], [3.0, 0.5], [3.9, 0.0], [2.5, 0.0]])
    np.testing.assert_allclose(bag_of_words(local, learnt), np.sqrt([0.25, 0.75, 0.0]))


def test_fisher_vector_is_the_gradient_of_the_log_likelihood(built: tuple[dict, Parts]) -> None:
    """Oracle: finite differences of the mixture's mean log-likelihood in its means, times sigma / sqrt(w)."""
    _, learnt = built
    mixture = learnt.mixture
    local = mixture.means_[:12] + np.random.default_rng(0).normal(scale=0.1, size=(12, 32))
    k, step = int(mixture.predict_proba(local).sum(axis=0).argmax()), 1e-5
    gradient = np.empty(32)
    for d in range(32):
        values = []
        for sign in (1, -1):
            means = mixture.means_.copy()
            means[k, d] += sign * step
            moved = GaussianMixture(16, covariance_type="diag")
            moved.weights_, moved.means_, moved.covariances_ = mixture.weights_, means, mixture.covariances_
            moved.precisions_cholesky_ = mixture.precisions_cholesky_
            values.append(moved.score(local))
        gradient[d] = (values[0] - values[1]) / (2 * step)
    expected = gradient * np.sqrt(mixture.covariances_[k] / mixture.weights_[k])
    vector = fisher(local, learnt)
    assert vector.shape == (16 * (1 + 2 * 32),)
    part = np.sign(vector) * vector**2  # undo the square root; the unit norm leaves one common factor
    part = part[16 + 32 * k : 16 + 32 * (k + 1)]
    cosine = part @ expected / np.linalg.norm(part) / np.linalg.norm(expected)
    assert cosine == pytest.approx(1.0, abs=1e-6)


def test_stored_parts_give_the_fitted_mixture_back() -> None:
    rng = np.random.default_rng(0)
    sample = descriptors.LocalDescriptors(
        rng.random((700, 384), np.float32), rng.random((700, 6), np.float32)
    )
    learnt = parts.fit_parts(sample)
    local = learnt.project(sample)
    fitted = GaussianMixture(16, covariance_type="diag", reg_covar=1e-4, max_iter=200, random_state=0).fit(
        local
    )
    np.testing.assert_allclose(learnt.mixture.predict_proba(local), fitted.predict_proba(local), atol=1e-3)


def test_features_have_table_1_dimensions_and_unit_norm(built: tuple[dict, Parts]) -> None:
    arrays, _ = built
    for name, dim in {"bow": 500, "fv": 1040, "hog": 576}.items():
        assert arrays[name].shape == (COUNT, dim)
        assert arrays[name].dtype == np.float16
    for name in ("bow", "fv"):
        norms = np.linalg.norm(arrays[name].astype(np.float64), axis=1)
        np.testing.assert_allclose(norms, 1.0, atol=2e-3)
    assert arrays["labels"].dtype == np.uint8


def test_npz_members_carry_no_time() -> None:
    content = store.npz_bytes({"a": np.arange(3)})
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        assert {member.date_time for member in archive.infolist()} == {(1980, 1, 1, 0, 0, 0)}


def test_half_precision_has_no_subnormal_numbers() -> None:
    assert store.to_half(np.array([1e-6, -3e-5, 1e-4, 0.25])).tolist() == [0.0, 0.0, np.float16(1e-4), 0.25]


# What the unsupervised parts see


@pytest.mark.parametrize("seed", [0, 7])
def test_fit_rows_are_the_training_rows_of_the_projects_split(seed: int) -> None:
    np.testing.assert_array_equal(
        build.fit_rows(f"train:{seed}", 2000, "ml2000"), split("ml2000", 2000, seed).train
    )


@pytest.mark.parametrize(
    ("fit_on", "count", "words"),
    [
        ("all", 5000, "all 5000 images"),
        ("all", 5001, "5000 images drawn from all 5001 images"),
        ("train:3", 5555, "the training images of the split of seed 3"),
        ("train:3", 5560, "5000 images drawn from the training images of the split of seed 3"),
    ],
)
def test_what_is_said_of_the_fit_counts_the_images_that_were_seen(
    fit_on: str, count: int, words: str
) -> None:
    assert build.what_was_seen(fit_on, count) == words


def test_fit_on_train_never_opens_a_test_image(kept_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = open_ml2000(kept_folder, count=COUNT)
    opened: list[Path] = []

    def spy(paths, *_args):
        opened.extend(paths)
        raise InterruptedError

    monkeypatch.setattr(build, "learn_parts", spy)
    with pytest.raises(InterruptedError):
        build.build(RECIPE, images, "train:0", "ml2000")
    chosen = split("ml2000", COUNT, 0)
    assert set(opened) == {images.paths[row] for row in chosen.train}
    assert not set(opened) & {images.paths[row] for row in chosen.test}


# The command, end to end


def test_command_writes_features_parts_manifest_and_npy(written: Path, built: tuple[dict, Parts]) -> None:
    assert sorted(p.name for p in written.iterdir()) == [
        "cache", "mine_features.npz", "mine_manifest.json", "mine_parts.npz", "npy",
    ]  # fmt: skip
    document = json.loads((written / "mine_manifest.json").read_text())
    for key, name in (("sha256", "mine_features.npz"), ("parts_sha256", "mine_parts.npz")):
        assert document[key] == hashlib.sha256((written / name).read_bytes()).hexdigest()
    assert document["copy"] == "not the reference copy"
    np.testing.assert_array_equal(np.load(written / "npy" / "fv.npy"), built[0]["fv"])
    assert json.loads((written / "npy" / "provenance.json").read_text())["provenance"] == "rebuilt"


def test_bytes_do_not_depend_on_the_number_of_processes(
    written: Path, kept_folder: Path, built: tuple[dict, Parts]
) -> None:
    images = open_ml2000(kept_folder, count=COUNT)
    learnt = pipeline.learn_parts(images.paths)
    assert (written / "mine_parts.npz").read_bytes() == store.npz_bytes(learnt.arrays())
    arrays, rows = built[0], [0, COUNT - 1]  # the first and the last image went to different processes
    again = pipeline.encode_images(RECIPE, [images.paths[row] for row in rows], learnt)
    for name, values in again.items():
        assert values.tobytes() == arrays[name][rows].tobytes()
    np.testing.assert_array_equal(arrays["labels"], images.labels)
    assert (written / "mine_features.npz").read_bytes() == store.npz_bytes(arrays)


@pytest.fixture(scope="module")
def kept_arrays() -> dict[str, np.ndarray]:
    with np.load(kept_file("ml2000", "features.npz"), allow_pickle=False) as stored:
        return dict(stored)


@pytest.fixture(scope="module")
def kept_dataset(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return DATASET.load(tmp_path_factory.mktemp("nothing"))


@pytest.mark.parametrize(
    ("fit_on", "seen"),
    [
        ("all", "were fitted on all 2000 images, without labels."),
        ("train:3", "the training images of the split of seed 3, without labels. They are for seed 3 alone"),
    ],
)
def test_npy_files_are_read_as_rebuilt_and_say_what_the_parts_saw(
    tmp_path: Path, kept_arrays: dict, kept_dataset: Dataset, fit_on: str, seen: str
) -> None:
    ml2000.write_npy(
        tmp_path / "ml2000", kept_arrays, ml2000.manifest(RECIPE, ml2000.REFERENCE_DIGEST, fit_on, 2000)
    )
    dataset = DATASET.load(tmp_path)
    assert dataset.provenance is DATASET.provenance(tmp_path) is Provenance.REBUILT
    assert seen in dataset.note
    assert dataset.data_hash == kept_dataset.data_hash
    assert dataset.note.startswith("The user's own features. ")
    assert dataset.note.endswith(kept_dataset.note) == (fit_on == "all")
    assert dataset.fit_seed == (None if fit_on == "all" else 3)


# The features that the repository keeps


@pytest.mark.parametrize("name", OF_RECIPE)
def test_kept_files_match_their_manifest(name: str) -> None:
    recipe, spec = RECIPES[name], OF_RECIPE[name]
    document = json.loads(kept_file(name, "manifest.json").read_text(encoding="utf-8"))
    files = {"sha256": spec.features_file}
    if recipe.learns:
        files["parts_sha256"] = kept_file(name, "parts.npz")
    for key, path in files.items():
        assert document[key] == hashlib.sha256(path.read_bytes()).hexdigest()
    assert document["images_sha256"] == ml2000.REFERENCE_DIGEST
    current = ml2000.manifest(recipe, ml2000.REFERENCE_DIGEST, "all", 2000)
    for key in current.keys() - {"versions"}:
        assert document[key] == current[key]
    assert spec.expected.dims == tuple(recipe.dims.values())
    assert spec.modality_names == tuple(recipe.dims)
    assert spec.label_names == tuple(document["label_names"])


@pytest.mark.parametrize("name", OF_RECIPE)
def test_kept_features_are_finite_and_of_their_shape(name: str) -> None:
    with np.load(kept_file(name, "features.npz"), allow_pickle=False) as stored:
        arrays = dict(stored)
    for modality, dim in RECIPES[name].dims.items():
        values = arrays.pop(modality)
        assert values.shape == (2000, dim)
        assert values.dtype == np.float16
        assert np.isfinite(values).all()
        assert not ((values != 0) & (np.abs(values) < store.SMALLEST_NORMAL)).any()
    assert arrays.pop("labels").sum(axis=0).tolist() == [409, 458, 580, 465, 560]
    assert not arrays


def test_kept_features_are_small() -> None:
    sizes = {name: kept_file(name, "features.npz").stat().st_size for name in OF_RECIPE}
    assert sizes.pop("ml2000") <= 8e6
    assert sum(sizes.values()) <= 4e6


@pytest.mark.parametrize(("name", "of_paper"), [("taobao", OF_TAOBAO), ("msra", OF_MSRA)])
def test_other_recipes_have_the_modalities_of_the_papers_data_set_and_rows_of_ml2000(
    name: str, of_paper: LookAlikeBacked, kept_dataset: Dataset, tmp_path: Path
) -> None:
    spec = OF_RECIPE[name]
    dataset = spec.load(tmp_path)
    assert (dataset.modality_names, dataset.shape.dims) == (of_paper.modality_names, of_paper.expected.dims)
    np.testing.assert_array_equal(dataset.labels, kept_dataset.labels)
    assert dataset.data_hash != kept_dataset.data_hash
    assert (dataset.provenance, dataset.rows_id, spec.in_paper) == (Provenance.REBUILT, "ml2000", False)
    assert ("nothing was fitted" in dataset.note) == (name == "msra")
    if name == "taobao":  # the same visual words on the same images
        np.testing.assert_array_equal(dataset.modalities[0], kept_dataset.modalities[0])


@pytest.mark.skipif(not REAL.is_dir(), reason="the ML2000 images are not here: ../shared/data/ml2000")
@pytest.mark.parametrize("name", OF_RECIPE)
def test_images_give_the_kept_features_again(name: str) -> None:
    images = open_ml2000(REAL)
    assert digest(images.paths) == ml2000.REFERENCE_DIGEST
    rows = np.array([1234, 1999])
    recipe = RECIPES[name]
    learnt = Parts.read(kept_file(name, "parts.npz")) if recipe.learns else None
    again = pipeline.encode_images(recipe, [images.paths[row] for row in rows], learnt)
    with np.load(kept_file(name, "features.npz"), allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["labels"], images.labels)
        kept_arrays = {modality: stored[modality].astype(np.float32) for modality in recipe.dims}
    for modality, kept in kept_arrays.items():
        found = again[modality].astype(np.float32)
        # Room for other versions of JPEG decoder and OpenCV; here the difference is zero.
        assert np.linalg.norm(found - kept[rows], axis=1).max() < 0.1
        if modality != "face":  # most images show none
            nearest = [np.linalg.norm(kept - row, axis=1).argmin() for row in found]
            assert nearest == rows.tolist()
