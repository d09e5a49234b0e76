"""Each descriptor of the catalogue on hand-made images whose features are known."""

from __future__ import annotations

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from datasets.recipes import colour, edges, faces, hog, texture
from datasets.recipes.catalogue import RECIPES
from datasets.recipes.images import SIDE

RED, GREY, WHITE = (255, 0, 0), (128, 128, 128), (255, 255, 255)
PLAIN = [m for recipe in RECIPES.values() for m in recipe.modalities if not m.learnt]


def flat(rgb: tuple[int, int, int]) -> np.ndarray:
    return np.full((SIDE, SIDE, 3), rgb, dtype=np.uint8)


def stripes(period: float, angle: float) -> np.ndarray:
    """Draw a grey wave of `period` pixels that advances at `angle` degrees from the x axis, towards y."""
    y, x = np.mgrid[:SIDE, :SIDE]
    along = x * np.cos(np.deg2rad(angle)) + y * np.sin(np.deg2rad(angle))
    wave = 127.5 + 100 * np.sin(2 * np.pi * along / period)
    return np.repeat(wave[..., None], 3, axis=2).round().astype(np.uint8)


def noise(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)


def photograph() -> np.ndarray:
    return cv2.resize(astronaut(), (SIDE, SIDE), interpolation=cv2.INTER_AREA)


@pytest.mark.parametrize("modality", PLAIN, ids=lambda m: f"{m.name}-{m.dim}")
@pytest.mark.parametrize(
    "image",
    [flat((0, 0, 0)), flat(WHITE), noise(), photograph()],
    ids=["black", "white", "noise", "photograph"],
)
def test_features_have_the_promised_dimension_are_finite_and_leave_the_image_alone(modality, image):
    before = image.copy()
    features = modality.compute(image)
    assert features.shape == (modality.dim,)
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features, modality.compute(image))
    np.testing.assert_array_equal(image, before)


def test_recipes_have_the_dimensions_of_table_1():
    assert list(RECIPES["ml2000"].dims.values()) == [500, 1040, 576]
    assert list(RECIPES["taobao"].dims.values()) == [500, 48, 81, 24]
    assert list(RECIPES["msra"].dims.values()) == [256, 225, 64, 144, 75, 128, 7]


# Colour


def test_rgb_histogram_counts_shares_of_8_8_4_levels():
    image = flat(RED)
    image[: SIDE // 4] = (0, 33, 64)  # level (0, 1, 1)
    expected = np.zeros((8, 8, 4))
    expected[7, 0, 0], expected[0, 1, 1] = 0.75, 0.25
    np.testing.assert_array_equal(colour.rgb_histogram(image), expected.ravel())


@pytest.mark.parametrize("rgb", [RED, (255, 12, 0), (255, 0, 12)])
def test_reds_on_both_sides_of_hue_zero_share_a_cell(rgb):
    expected = np.zeros((8, 2, 4))
    expected[0, 1, 3] = 1.0
    np.testing.assert_array_equal(colour.hsv_histogram(flat(rgb)), expected.ravel())


def test_hue_saturation_and_value_have_cells_of_their_own():
    image = flat((0, 255, 0))
    image[: SIDE // 2] = GREY  # saturation 0, value 128
    joint = np.zeros((8, 2, 4))
    hue_of_green = round(120 / 45)
    joint[hue_of_green, 1, 3], joint[0, 0, 2] = 0.5, 0.5
    np.testing.assert_array_equal(colour.hsv_histogram(image), joint.ravel())
    hue, saturation, value = colour.hsv_marginals(image).reshape(3, 8)
    assert (hue[hue_of_green], hue[0]) == (0.5, 0.5)
    assert (saturation[0], saturation[7]) == (0.5, 0.5)
    assert (value[4], value[7]) == (0.5, 0.5)
    assert hue.sum() == saturation.sum() == value.sum() == 1.0


@pytest.mark.parametrize(
    "compute", [colour.rgb_histogram, colour.hsv_histogram, colour.hsv_marginals], ids=lambda f: f.__name__
)
def test_histograms_do_not_see_where_a_colour_is(compute):
    image = photograph()
    shuffled = np.random.default_rng(0).permutation(image.reshape(-1, 3)).reshape(image.shape)
    np.testing.assert_array_equal(compute(image), compute(shuffled))


def test_moments_of_a_flat_image_are_its_colour_and_zeros():
    lab = cv2.cvtColor(np.array([[RED]], dtype=np.uint8), cv2.COLOR_RGB2LAB)[0, 0] / 255.0
    moments = colour.colour_moments(flat(RED)).reshape(25, 3, 3)
    np.testing.assert_allclose(moments[..., 0], np.tile(lab, (25, 1)))
    np.testing.assert_allclose(moments[..., 1:], 0.0, atol=1e-5)


def test_moments_by_hand_and_by_block():
    image = flat((0, 0, 0))
    image[:38, :19] = WHITE  # half of the first block, 38 x 38 pixels
    image[160:, 160:] = WHITE  # inside the last block
    moments = colour.colour_moments(image).reshape(5, 5, 3, 3)
    # Lightness is 0 or 1: mean p, variance p (1 - p), third central moment p (1 - p) (1 - 2 p).
    np.testing.assert_allclose(moments[0, 0, 0], [0.5, 0.5, 0.0], atol=1e-5)
    share = (32 * 32) / (38 * 38)
    third = np.cbrt(share * (1 - share) * (1 - 2 * share))
    np.testing.assert_allclose(moments[4, 4, 0], [share, np.sqrt(share * (1 - share)), third], atol=1e-5)
    np.testing.assert_allclose(moments[1:4, 1:4, 0], 0.0)


def test_moments_of_a_mirrored_image_are_those_of_the_mirrored_blocks():
    image = photograph()
    moments = colour.colour_moments(image).reshape(5, 5, 9)
    mirrored = colour.colour_moments(image[:, ::-1]).reshape(5, 5, 9)
    np.testing.assert_allclose(mirrored, moments[:, ::-1], atol=1e-9)


def test_correlogram_of_one_colour_is_certain_and_of_absent_ones_zero():
    entries = colour.correlogram(flat(RED)).reshape(36, 4)
    red = (0 * 2 + 1) * 3 + 2
    np.testing.assert_array_equal(entries[red], 1.0)
    assert not np.delete(entries, red, axis=0).any()


def test_correlogram_by_brute_force():
    image = cv2.resize(noise()[:12, :12] // 90 * 90, (12, 12))
    entries = colour.correlogram(image).reshape(36, 4)
    colours = colour._hsv_cells(image, colour.CORRELOGRAM_LEVELS)
    for place, distance in enumerate(colour.DISTANCES):
        same, pairs = np.zeros(36), np.zeros(36)
        for (y, x), own in np.ndenumerate(colours):
            for (v, u), other in np.ndenumerate(colours):
                if max(abs(y - v), abs(x - u)) == distance:
                    pairs[own] += 1
                    same[own] += own == other
        np.testing.assert_allclose(entries[:, place], same / np.maximum(pairs, 1))


def test_correlogram_tells_a_patch_from_the_same_pixels_scattered():
    image = flat(WHITE)
    image[:96] = RED
    scattered = np.random.default_rng(0).permutation(image.reshape(-1, 3)).reshape(image.shape)
    red = (0 * 2 + 1) * 3 + 2
    assert colour.correlogram(image).reshape(36, 4)[red].min() > 0.9
    np.testing.assert_allclose(colour.correlogram(scattered).reshape(36, 4)[red], 0.5, atol=0.02)


def test_correlogram_does_not_change_when_the_image_is_turned_or_mirrored():
    image = photograph()
    expected = colour.correlogram(image)
    for turned in (np.rot90(image), image[::-1], image[:, ::-1]):
        np.testing.assert_allclose(colour.correlogram(np.ascontiguousarray(turned)), expected, rtol=1e-12)


# Texture


@pytest.mark.parametrize("orientation", range(6))
@pytest.mark.parametrize("scale", range(4))
def test_gabor_answers_most_at_the_scale_and_orientation_of_the_stripes(scale, orientation):
    frequency = 0.05 * 2.0**scale
    features = texture.gabor(stripes(1 / frequency, 30.0 * orientation))
    means = features.reshape(4, 6, 2)[..., 0]
    assert np.unravel_index(means.argmax(), means.shape) == (scale, orientation)


def test_gabor_has_no_answer_to_a_flat_image_and_grows_with_contrast():
    np.testing.assert_allclose(texture.gabor(flat(WHITE)), 0.0, atol=1e-12)
    image = photograph()
    half = (image.astype(np.float64) * 0.5).astype(np.uint8)
    np.testing.assert_allclose(texture.gabor(half), 0.5 * texture.gabor(image), rtol=0.05)


def test_gabor_of_a_mirrored_image_mirrors_the_orientations():
    image = photograph()
    means = texture.gabor(image).reshape(4, 6, 2)
    mirrored = texture.gabor(np.ascontiguousarray(image[:, ::-1])).reshape(4, 6, 2)
    # Not to the last digit: the highest frequency of a grid has no mirror image.
    np.testing.assert_allclose(mirrored, means[:, [0, 5, 4, 3, 2, 1]], rtol=1e-3)


def test_wavelets_of_a_flat_image_are_in_the_band_of_means_alone():
    features = texture.wavelet(flat(WHITE)).reshape(64, 2)
    np.testing.assert_allclose(features[0], [8.0, 0.0], atol=1e-12)  # orthonormal: a factor 2 on each level
    np.testing.assert_allclose(features[1:], 0.0, atol=1e-12)


@pytest.mark.parametrize(("axis", "band"), [(1, 1), (0, 2)])
def test_finest_stripes_are_in_the_band_of_their_differences(axis, band):
    image = flat((0, 0, 0))
    np.moveaxis(image, axis, 0)[::2] = WHITE
    features = texture.wavelet(image).reshape(4, 16, 2)
    assert features[band, 0, 0] == pytest.approx(4.0)  # half of 8: the other half is the mean
    assert features[0, 0, 0] == pytest.approx(4.0)
    assert np.count_nonzero(features[..., 0] > 1e-12) == 2


def test_wavelets_keep_the_energy_of_the_image_and_do_not_see_mirroring():
    image = photograph()
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) / 255.0
    features = texture.wavelet(image).reshape(64, 2)
    energy = (features**2).sum() * (SIDE // 8) ** 2  # mean^2 + variance is the mean square
    assert energy == pytest.approx(np.square(grey).sum())
    for mirrored in (image[::-1], image[:, ::-1]):
        np.testing.assert_allclose(
            texture.wavelet(np.ascontiguousarray(mirrored)).reshape(64, 2), features, rtol=1e-9
        )
    turned = texture.wavelet(np.ascontiguousarray(image.transpose(1, 0, 2))).reshape(4, 4, 4, 2)
    swap = [0, 2, 1, 3]
    np.testing.assert_allclose(turned, features.reshape(4, 4, 4, 2)[swap][:, swap][:, :, swap], rtol=1e-9)


# Edges


@pytest.mark.parametrize(
    ("angle", "kind"), [(0, 0), (90, 1), (45, 2), (135, 3)], ids=["vertical", "horizontal", "45", "135"]
)
def test_stripes_make_edges_of_their_kind_everywhere(angle, kind):
    shares = edges.edge_distribution(stripes(16 if angle in (0, 90) else 16 * np.sqrt(0.5), angle))
    shares = shares.reshape(15, 5)
    assert (shares.argmax(axis=1) == kind).all()
    assert shares[:, kind].min() >= 0.5


def test_edges_lie_in_their_region_and_a_flat_image_has_none():
    image = flat(GREY)
    assert not edges.edge_distribution(image).any()
    image[:, 2:64:4] = WHITE  # in the left third, a line inside each cell
    image[:, 3:64:4] = WHITE
    shares = edges.edge_distribution(image).reshape(5, 3, 5)
    np.testing.assert_array_equal(shares[:, 0, 0], 1.0)
    assert not shares[:, 1:].any()
    assert not shares[:, :, 1:].any()


def test_checks_have_no_direction_and_faint_edges_do_not_count():
    cells = np.kron(np.indices((SIDE // 2, SIDE // 2)).sum(axis=0) % 2, np.ones((2, 2)))
    for step, share in ((100, 1.0), (2, 0.0)):
        image = np.repeat((100 + step * cells)[..., None], 3, axis=2).astype(np.uint8)
        shares = edges.edge_distribution(image).reshape(15, 5)
        np.testing.assert_array_equal(shares, np.tile([0, 0, 0, 0, share], (15, 1)))


# Gradients


def test_coarse_hog_sees_orientation_and_no_contrast():
    for angle, bins in ((0, {0, 8}), (90, {4})):
        features = hog.coarse_hog(stripes(16, angle)).reshape(9, 9)
        assert {int(i) for i in features.argmax(axis=1)} <= bins
    image = photograph()
    features = hog.coarse_hog(image)
    assert np.linalg.norm(features) == pytest.approx(1.0, abs=1e-3)
    np.testing.assert_allclose(hog.coarse_hog(image // 2), features, atol=0.03)


# Faces


def test_a_face_is_counted_measured_and_placed():
    image = photograph()
    found = faces.face_features(image)
    assert found[0] == 1.0
    count, area, mean_area, side, x, y, off_centre = found
    assert (count, area) == (1.0, mean_area)
    assert area == pytest.approx(side**2)
    assert 0.1 < side < 0.3
    assert (x, y) == (pytest.approx(0.44, abs=0.05), pytest.approx(0.22, abs=0.05))
    assert off_centre == pytest.approx(np.hypot(x - 0.5, y - 0.5) / np.sqrt(0.5))


@pytest.mark.parametrize("image", [flat(WHITE), stripes(16, 0), noise()], ids=["flat", "stripes", "noise"])
def test_no_face_gives_zeros(image):
    assert faces.face_features(image).tolist() == [0.0] * 7


def test_the_largest_of_two_faces_is_described():
    head = photograph()[10:74, 52:116]
    image = flat(GREY)
    image[8:72, 8:72] = head
    image[72:168, 90:186] = cv2.resize(head, (96, 96))
    count, area, mean_area, side, x, y, _ = faces.face_features(image)
    assert count == 2.0
    assert mean_area == pytest.approx(area / 2)
    assert side**2 > mean_area
    assert x > 0.5
    assert y > 0.4
