"""Images of every kind: read as their docstring says, or refused by name."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmark.contracts import DataError
from datasets.recipes.catalogue import RECIPES
from datasets.recipes.images import SIDE, read_image

RED, BLUE = (255, 0, 0), (0, 0, 255)


def halves(mode: str = "RGB", left: object = RED, right: object = BLUE, size: int = 64) -> Image.Image:
    """Draw an image whose halves have one colour each."""
    image = Image.new(mode, (size, size), left)
    image.paste(right, (size // 2, 0, size, size))
    return image


def sixteen_bits(left: int, right: int) -> Image.Image:
    """Draw halves of one grey each, from 0 to 65535."""
    return Image.fromarray(np.repeat(np.array([left, right], dtype=np.uint16), 32)[None].repeat(64, axis=0))


def read(image: Image.Image, path: Path, **options: object) -> np.ndarray:
    image.save(path, **options)
    return read_image(path)


def colours(pixels: np.ndarray) -> tuple[list[int], list[int]]:
    """Return the colours in the middle of the left and of the right half."""
    assert pixels.shape == (SIDE, SIDE, 3)
    assert pixels.dtype == np.uint8
    middle = SIDE // 2
    return pixels[middle, SIDE // 4].tolist(), pixels[middle, 3 * SIDE // 4].tolist()


@pytest.mark.parametrize("suffix", ["png", "bmp", "gif", "tif", "webp", "ppm"])
def test_formats_give_the_same_pixels(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    assert colours(read(halves(), tmp_path / f"a.{suffix}", **options)) == ([*RED], [*BLUE])


@pytest.mark.parametrize(
    ("image", "left", "right"),
    [
        (halves("L", 10, 200), [10] * 3, [200] * 3),
        (halves("1", 0, 1), [0] * 3, [255] * 3),
        (halves("LA", (10, 255), (10, 0)), [10] * 3, [255] * 3),
        (halves("RGBA", (*RED, 255), (*BLUE, 0)), [*RED], [255] * 3),
        (halves("RGBA", (*RED, 255), (*BLUE, 51)), [*RED], [204, 204, 255]),
        (sixteen_bits(65535, 0), [255] * 3, [0] * 3),
        (sixteen_bits(257 * 77 + 128, 257 * 77 + 129), [77] * 3, [78] * 3),
    ],
    ids=["grey", "bits", "grey-alpha", "alpha", "half-alpha", "16-bit", "16-bit-rounded"],
)
def test_modes_become_rgb_over_white(tmp_path, image, left, right):
    assert colours(read(image, tmp_path / "a.png")) == (left, right)


def test_a_transparent_colour_of_a_palette_is_white(tmp_path):
    image = halves().quantize(2)
    transparent = image.getpixel((60, 0))
    assert colours(read(image, tmp_path / "a.png", transparency=transparent)) == ([*RED], [255] * 3)
    assert colours(read(image, tmp_path / "a.gif", transparency=transparent)) == ([*RED], [255] * 3)


def test_cmyk_is_converted(tmp_path):
    image = halves("CMYK", (0, 255, 255, 0), (0, 0, 0, 255))
    left, right = colours(read(image, tmp_path / "a.jpg", quality=100))
    np.testing.assert_allclose(left, RED, atol=3)
    np.testing.assert_allclose(right, 0, atol=3)


@pytest.mark.parametrize("suffix", ["gif", "png", "webp", "tif"])
def test_the_first_frame_counts(tmp_path, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    later = Image.new("RGB", (64, 64), "white")
    first = read(halves(), tmp_path / f"a.{suffix}", save_all=True, append_images=[later, later], **options)
    with Image.open(tmp_path / f"a.{suffix}") as image:
        assert image.n_frames > 1
    assert colours(first) == ([*RED], [*BLUE])


@pytest.mark.parametrize("orientation", range(1, 9))
def test_an_exif_orientation_is_applied(tmp_path, orientation):
    """All eight: stored so that a viewer shows red above blue, with a white corner on the upper left."""
    upright = halves().transpose(Image.Transpose.ROTATE_270)
    upright.paste("white", (0, 0, 16, 16))
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    pixels = read(stored, tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(pixels, read(upright, tmp_path / "b.png"))


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (2, 2)])
def test_tiny_and_thin_images_fill_the_square(tmp_path, size):
    pixels = read(Image.new("RGB", size, RED), tmp_path / "a.png")
    assert np.unique(pixels.reshape(-1, 3), axis=0).tolist() == [[*RED]]


@pytest.mark.parametrize("recipe", [RECIPES["msra"]], ids=lambda recipe: recipe.name)
def test_an_image_enlarged_by_whole_numbers_has_the_features_of_the_original(tmp_path, recipe):
    """Its size, its file and its format are all that differs, and none of them may reach a feature."""
    pixels = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
    small, large = Image.fromarray(pixels), Image.fromarray(np.kron(pixels, np.ones((3, 2, 1), np.uint8)))
    expected = recipe.compute(read(small, tmp_path / "a.png"), None)
    found = recipe.compute(read(large, tmp_path / "b.bmp"), None)
    for name, values in expected.items():
        np.testing.assert_array_equal(found[name], values)


# Refusals


def declare(width: int, height: int) -> bytes:
    """Return the start of a PNG file that declares a size, and no pixel."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return (
            struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        )

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize("size", [(10_000, 10_000), (100_000, 100_000)])
def test_a_huge_image_is_refused_by_its_declared_size(tmp_path, size):
    path = tmp_path / "huge.png"
    path.write_bytes(declare(*size))
    found = rf"found: .*{size[0] * size[1]} pixels.*Save it smaller"
    with pytest.raises(DataError, match=rf"huge\.png: expected at most 89478485 pixels, {found}"):
        read_image(path)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
@pytest.mark.parametrize("suffix", ["jpg", "png", "gif", "tif", "webp", "bmp"])
def test_a_truncated_image_is_refused(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)).save(path)
    content = path.read_bytes()
    for kept in (0, 1, 20, len(content) // 2):
        path.write_bytes(content[:kept])
        with pytest.raises(DataError, match=rf"a\.{suffix}: expected a readable image, found: .+; restore"):
            read_image(path)


def test_what_is_no_image_is_refused(tmp_path):
    for name, content in (("text.jpg", b"no image"), ("page.png", b"<html></html>")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(DataError, match=f"{name}: expected a readable image"):
            read_image(tmp_path / name)
    with pytest.raises(DataError, match=r"gone\.jpg: expected a readable image"):
        read_image(tmp_path / "gone.jpg")
    with pytest.raises(DataError, match="expected a readable image"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    ("image", "why"),
    [
        (halves("F", 0.0, 1.0), "floating-point pixels"),
        (halves("I", 0, 70_000), "from 0 to 70000, neither 8 nor 16 bits"),
        (halves("I", -1, 0), "from -1 to 0"),
    ],
    ids=["float", "wide", "negative"],
)
def test_pixels_without_a_known_white_are_refused(tmp_path, image, why):
    with pytest.raises(DataError, match=why):
        read(image, tmp_path / "a.tif")


def test_damaged_pixels_never_pass_for_others_silently(tmp_path):
    """Whatever byte is wrong: pixels of the right form, or a refusal that names the file."""
    path = tmp_path / "a.png"
    halves().save(path, exif=Image.Exif())
    content = path.read_bytes()
    for position in range(0, len(content), 3):
        path.write_bytes(content[:position] + bytes([content[position] ^ 0x5A]) + content[position + 1 :])
        try:
            assert read_image(path).shape == (SIDE, SIDE, 3)
        except DataError as error:
            assert "a.png" in str(error)  # noqa: PT017 - both outcomes are right
