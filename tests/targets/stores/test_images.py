"""Decoding image files: every mode that Pillow knows, orientation, scales, damage."""

from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from acrank.errors import TargetError
from acrank.targets.stores.images import FileStore, decode_image

RNG = np.random.default_rng(1)
GREY = RNG.integers(0, 256, (6, 8), dtype=np.uint8)
COLOUR = RNG.integers(0, 256, (6, 8, 3), dtype=np.uint8)


def saved(path: Path, picture: Image.Image, **options: object) -> np.ndarray:
    picture.save(path, **options)
    image, _ = decode_image(path)
    assert image.dtype == np.float32
    assert 0 <= image.min() <= image.max() <= 1
    return image


def test_grey_and_colour(tmp_path: Path) -> None:
    grey = saved(tmp_path / "g.png", Image.fromarray(GREY))
    np.testing.assert_allclose(grey, GREY[None] / 255, rtol=1e-6)
    colour = saved(tmp_path / "c.png", Image.fromarray(COLOUR))
    np.testing.assert_allclose(colour, COLOUR.transpose(2, 0, 1) / 255, rtol=1e-6)


@pytest.mark.parametrize("suffix", ["png", "tif", "pgm"])
def test_sixteen_bits(tmp_path: Path, suffix: str) -> None:
    deep = RNG.integers(0, 65536, (6, 8), dtype=np.uint16)
    image = saved(tmp_path / f"d.{suffix}", Image.fromarray(deep))
    np.testing.assert_allclose(image, deep[None] / 65535, rtol=1e-6)


def test_sixteen_bits_big_endian(tmp_path: Path) -> None:
    deep = RNG.integers(0, 65536, (6, 8), dtype=np.uint16)
    image = saved(tmp_path / "b.tif", Image.frombytes("I;16B", (8, 6), deep.astype(">u2").tobytes()))
    np.testing.assert_allclose(image, deep[None] / 65535, rtol=1e-6)


def test_thirty_two_bit_integers_must_fit_in_sixteen(tmp_path: Path) -> None:
    fitting = np.array([[0, 13107], [65535, 1]], dtype=np.int32)
    image = saved(tmp_path / "i.tif", Image.fromarray(fitting))
    np.testing.assert_allclose(image, fitting[None] / 65535, rtol=1e-6)
    for value in (-1, 65536):
        Image.fromarray(np.full((2, 2), value, np.int32)).save(tmp_path / "i.tif")
        with pytest.raises(TargetError, match=rf"values from {value} to {value} instead of \[0, 65535\]"):
            decode_image(tmp_path / "i.tif")


def test_a_palette_gives_its_colours(tmp_path: Path) -> None:
    picture = Image.fromarray(np.array([[0, 1], [1, 0]], np.uint8))
    picture = picture.convert("P")
    picture.putpalette([255, 0, 0, 0, 0, 255])
    image = saved(tmp_path / "p.png", picture)
    assert image[:, 0, 0].tolist() == [1, 0, 0]
    assert image[:, 0, 1].tolist() == [0, 0, 1]


def transparent_files() -> dict[str, tuple[Image.Image, dict[str, Any], np.ndarray]]:
    """Name -> an image of [6, 8], how it is saved, and its values without transparency, [C, H, W] of 8 bits."""
    indices = np.arange(48, dtype=np.uint8).reshape(6, 8) % 3
    colours = np.array([[10, 20, 30], [200, 100, 50], [0, 255, 7]], np.uint8)
    palette = Image.fromarray(indices)
    palette.putpalette(colours.reshape(-1).tolist())
    grey = (indices * 100).astype(np.uint8)
    alpha = Image.fromarray((indices > 0).astype(np.uint8) * 255)
    of_palette = colours[indices].transpose(2, 0, 1)
    return {
        "an index of a palette": (palette, {"transparency": 1}, of_palette),
        "an alpha of each index": (palette, {"transparency": bytes([0, 128, 255])}, of_palette),
        "LA": (Image.merge("LA", (Image.fromarray(grey), alpha)), {}, grey[None]),
        "a grey value": (Image.fromarray(grey), {"transparency": 100}, grey[None]),
        "RGBA": (Image.merge("RGBA", (*[Image.fromarray(grey)] * 3, alpha)), {}, np.stack([grey] * 3)),
    }


@pytest.mark.parametrize("suffix", [".png", ".tif"])
def test_what_transparent_files_hold_is_read_as_if_they_were_not(tmp_path: Path, suffix: str) -> None:
    for name, (image, how, expected) in transparent_files().items():
        if suffix == ".tif" and how:
            continue  # TIFF has no such field
        path = tmp_path / f"{name}{suffix}"
        image.save(path, **how)
        found, note = decode_image(path)
        np.testing.assert_array_equal(np.round(found * 255).astype(np.uint8), expected, err_msg=name)
        assert note == "alpha is dropped, though parts are transparent", name


def test_alpha_is_dropped_not_blended(tmp_path: Path) -> None:
    clear = np.dstack([COLOUR, np.zeros((6, 8), np.uint8)])
    image = saved(tmp_path / "a.png", Image.fromarray(clear))
    np.testing.assert_allclose(image, COLOUR.transpose(2, 0, 1) / 255, rtol=1e-6)
    faint = Image.merge("LA", [Image.fromarray(GREY), Image.new("L", (8, 6), 3)])
    np.testing.assert_allclose(saved(tmp_path / "la.png", faint), GREY[None] / 255, rtol=1e-6)


def test_bilevel(tmp_path: Path) -> None:
    bits = Image.fromarray(GREY > 127)
    assert saved(tmp_path / "1.png", bits).tolist() == (GREY[None] > 127).astype(float).tolist()


def test_cmyk(tmp_path: Path) -> None:
    image = saved(tmp_path / "c.tif", Image.new("CMYK", (2, 2), (255, 0, 0, 0)))
    assert image[:, 0, 0].tolist() == [0, 1, 1]


def test_orientation_is_applied(tmp_path: Path) -> None:
    picture = Image.fromarray(COLOUR)
    exif = picture.getexif()
    exif[0x0112] = 6  # shown after a quarter turn clockwise
    image = saved(tmp_path / "e.png", picture, exif=exif)
    np.testing.assert_allclose(image, np.rot90(COLOUR, -1).transpose(2, 0, 1) / 255, rtol=1e-6)


@pytest.mark.parametrize(("value", "expected", "top"), [(0.25, 0.25, 1), (1.0, 1.0, 1), (51.0, 0.2, 255)])
def test_the_assumed_range_of_float_images_is_noted(tmp_path: Path, value: float, expected: float, top: int) -> None:
    Image.fromarray(np.full((3, 3), value, np.float32)).save(tmp_path / "f.tif")
    image, assumption = decode_image(tmp_path / "f.tif")
    np.testing.assert_allclose(image, expected, rtol=1e-6)
    assert assumption == f"float images: assumed range [0, {top}]"


@pytest.mark.parametrize("value", [-0.5, 256.0, np.nan, np.inf])
def test_float_images_out_of_range(tmp_path: Path, value: float) -> None:
    Image.fromarray(np.full((3, 3), value, np.float32)).save(tmp_path / "f.tif")
    with pytest.raises(TargetError, match=r"f\.tif: float values from"):
        decode_image(tmp_path / "f.tif")


def test_rounding_above_one_keeps_the_range(tmp_path: Path) -> None:
    Image.fromarray(np.full((3, 3), 1.0001, np.float32)).save(tmp_path / "f.tif")
    assert decode_image(tmp_path / "f.tif")[0].max() == 1.0


@pytest.mark.parametrize("keep", [0, 10, 60, 200])
def test_damaged_files_are_named(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(RNG.integers(0, 256, (40, 40), dtype=np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[:keep])
    with pytest.raises(TargetError, match=r"cannot read the image .*cut\.png") as caught:
        decode_image(path)
    assert caught.value.hint


def test_only_listed_formats_are_opened(tmp_path: Path) -> None:
    """An EPS file named .png would start Ghostscript."""
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    with pytest.raises(TargetError, match="cannot identify image file"):
        decode_image(tmp_path / "a.png")
    Image.fromarray(COLOUR).save(tmp_path / "b.png", format="PCX")
    with pytest.raises(TargetError, match="cannot identify image file"):
        decode_image(tmp_path / "b.png")


def png_of(path: Path, width: int, height: int) -> Path:
    """A PNG whose header declares a size; its pixels are missing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    pixels = chunk(b"IDAT", zlib.compress(b"\0" * 100))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + pixels + chunk(b"IEND", b""))
    return path


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize(
    ("size", "message"),
    [
        (13_000, r"the image .*big\.png would take 2\.4 GiB, more than 1\.2 GiB"),
        (60_000, r"cannot read the image .*big\.png: Image size .* exceeds limit"),
    ],
)
def test_what_a_header_declares_is_bounded(tmp_path: Path, size: int, message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        decode_image(png_of(tmp_path / "big.png", size, size))
    assert caught.value.hint


def test_tiles_larger_than_their_image_are_bounded(tmp_path: Path) -> None:
    """libtiff decodes a tile whole: one of a GiB of zeros fits in a file of a MB."""
    tags = {256: 16, 257: 16, 258: 8, 259: 8, 262: 1, 277: 1, 322: 32_768, 323: 32_768, 324: 8, 325: 9}
    entries = b"".join(struct.pack("<HHLL", tag, 4, 1, value) for tag, value in tags.items())
    (tmp_path / "a.tif").write_bytes(b"II*\0" + struct.pack("<LH", 8, len(tags)) + entries + bytes(4))
    with pytest.raises(TargetError, match=r"the image .*a\.tif would take 15\.0 GiB, more than 1\.2 GiB"):
        decode_image(tmp_path / "a.tif")


@pytest.mark.parametrize(("kind", "start"), [(b"zTXt", b"a\0\0"), (b"iTXt", b"a\0\1\0\0\0"), (b"iCCP", b"a\0\0")])
def test_text_that_unfolds_is_bounded(tmp_path: Path, kind: bytes, start: bytes) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(COLOUR).save(path)
    raw, body = path.read_bytes(), start + zlib.compress(bytes(2**25), 1)
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    path.write_bytes(raw[:33] + chunk + raw[33:])
    with pytest.raises(TargetError, match=r"cannot read the image .*a\.png: Decompressed data too large"):
        decode_image(path)


def test_files_that_never_end_are_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.png")
    (tmp_path / "b.png").symlink_to("/dev/zero")
    (tmp_path / "c.png").symlink_to("c.png")
    for name, reason in (("a.png", "is a FIFO"), ("b.png", "is a device"), ("c.png", "cannot read")):
        with pytest.raises(TargetError, match=reason):
            decode_image(tmp_path / name)
        with pytest.raises(TargetError, match=reason):
            FileStore(tmp_path, (name,)).raw(0)
