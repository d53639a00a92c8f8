"""Images in class folders, and masks: damaged, renamed, enormous, or no files at all."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fuzz import bombs
from fuzz.case import Case
from fuzz.materials import pixels, write_images
from fuzz.odd import damaged, instead_of_file
from fuzz.workspace import Workspace, move

EPS = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 24 24\n%%EndComments\nshowpage\n%%EOF\n"
_SUFFIXES = {"PNG": ".png", "JPEG": ".jpg", "TIFF": ".tif", "BMP": ".bmp", "GIF": ".gif", "WEBP": ".webp"}


def _some(w: Workspace, data: Path) -> list[Path]:
    """One image, or all of them."""
    paths = sorted(path for path in data.rglob("*") if path.is_file())
    return paths if w.random.random() < 0.5 else [w.random.choice(paths)]


def _replaced(w: Workspace, raw: Callable[[Path], bytes], suffix: str = "", **known: Any) -> Case:
    data = w.copy_data()
    for path in _some(w, data):
        made = raw(path)
        path.unlink()
        path.with_suffix(suffix or path.suffix).write_bytes(made)
    return w.score_one(data, **known)


@move
def sound(w: Workspace) -> Case:
    """Images of every usual format."""
    kind = w.random.choice(("PNG", "JPEG", "TIFF", "BMP"))
    return _replaced(w, lambda path: _encoded(Image.open(path), kind), _SUFFIXES[kind], sound=True)


@move
def damaged_images(w: Workspace) -> Case:
    """Images of every format with damaged bytes."""
    kind = w.random.choice(sorted(_SUFFIXES))

    def made(path: Path) -> bytes:
        return damaged(_encoded(Image.open(path), kind), w.random)

    return _replaced(w, made, _SUFFIXES[kind])


@move
def other_suffix(w: Workspace) -> Case:
    """A format under another format's name: what is inside counts, and EPS starts a program."""
    kinds = ("EPS", "PDF", "PPM", "ICO", "TGA", "PCX", "SGI", "IM", "MPO", "DDS", "JPEG2000", "WMF", "FITS")
    kind = w.random.choice(kinds)
    bodies = {
        "EPS": EPS,
        "WMF": b"\xd7\xcd\xc6\x9a" + b"\0" * 40,
        "FITS": b"SIMPLE  =                    T" + b" " * 2850,
    }

    def made(path: Path) -> bytes:
        if kind in bodies:
            return bodies[kind]
        image = Image.open(path).convert("L" if kind in ("FITS",) else "RGB")
        try:
            return _encoded(image, kind)
        except (KeyError, OSError):
            return EPS

    return _replaced(w, made)


@move
def png_header(w: Workspace) -> Case:
    """A header that declares far more than there is."""
    side = w.random.choice((0, 1, 13_000, 20_000, 65_535, 2**31 - 1))
    other = w.random.choice((side, 1, 0))
    return _replaced(w, lambda path: bombs.png_of(side, other, depth=w.random.choice((1, 8, 16))))


@move
def png_bomb(w: Workspace) -> Case:
    """Half a GiB of black in half a MiB."""
    rows = bombs.deflated(b"", 13_000 * 39_001 // 2**24 * 2**24 + 2**24)
    body = b"\x78\x9c" + rows + struct.pack(">L", 1)
    data = w.copy_data()
    path = w.random.choice(sorted(data.rglob("*.png")))
    path.write_bytes(_png_around(body, 13_000))
    return w.score_one(data)


@move
def tiff_header(w: Workspace) -> Case:
    """Directories that loop, and sizes that are not there."""
    entry = struct.pack("<HHLL", w.random.choice((256, 257, 258, 273, 278, 279)), 4, w.random.choice((1, 2**31)), 2**31)
    many = struct.pack("<H", 6) + b"".join(
        struct.pack("<HHLL", tag, 4, 1, value) for tag, value in ((256, 60_000), (257, 60_000), (258, 8), (262, 1))
    )
    body = w.random.choice((many + entry * 2, struct.pack("<H", 65_535) + entry, many + entry + entry + b"\x08\0\0\0"))
    return _replaced(w, lambda path: b"II*\0\x08\0\0\0" + body, ".tif")


@move
def odd_modes(w: Workspace) -> Case:
    """Palettes, transparency, CMYK, 1 and 16 and 32 bits, floats, frames, orientation: all are images."""
    kinds: tuple[Callable[[Image.Image], bytes], ...] = (
        lambda image: _encoded(image.convert("P"), "GIF", save_all=True, append_images=[image.convert("P")] * 3),
        lambda image: _encoded(image.convert("RGBA"), "PNG"),
        lambda image: _encoded(image.convert("1"), "PNG"),
        lambda image: _encoded(image.convert("CMYK"), "JPEG"),
        lambda image: _encoded(image.convert("I;16"), "PNG"),
        lambda image: _encoded(Image.fromarray(np.full((9, 9), np.nan, np.float32)), "TIFF"),
        lambda image: _encoded(Image.fromarray(np.full((9, 9), 1e38, np.float32)), "TIFF"),
        lambda image: _encoded(image.resize((1, 1)), "PNG"),
        lambda image: _encoded(image.resize((3000, 1)), "PNG"),
        lambda image: _encoded(image.convert("LAB"), "TIFF"),
        lambda image: _encoded(image, "PNG", exif=b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0\x09\0\0\0"),
    )
    made = w.random.choice(kinds)
    return _replaced(w, lambda path: made(Image.open(path).convert("RGB")), w.random.choice((".png", ".tif")))


@move
def text_bomb(w: Workspace) -> Case:
    """A PNG with GiB of comment."""
    comment = b"Comment\0\0\x78\x9c" + bombs.deflated(b"", 2**30)

    def made(path: Path) -> bytes:
        raw = path.read_bytes()
        return raw[:33] + _chunk(w.random.choice((b"zTXt", b"iCCP")), comment) + raw[33:]

    data = w.copy_data()
    path = w.random.choice(sorted(data.rglob("*.png")))
    path.write_bytes(made(path))
    return w.score_one(data)


@move
def no_files(w: Workspace) -> Case:
    """FIFOs, devices, links to themselves among the images."""
    data = w.copy_data()
    for path in _some(w, data):
        instead_of_file(path, w.random)
    return w.score_one(data)


@move
def no_images(w: Workspace) -> Case:
    """Every image is garbage: nothing can be ranked."""
    data = w.copy_data()
    body = w.random.choice((b"", b"x", w.random.randbytes(99), EPS, b"\x89PNG\r\n\x1a\n", b"GIF89a", b"\xff\xd8\xff"))
    for path in data.rglob("*.png"):
        path.write_bytes(body)
    return w.score_one(data, nonsense=True)


@move
def too_few(w: Workspace) -> Case:
    """One image a class, one class, or none."""
    classes, each = w.random.choice(((8, 1), (1, 8), (2, 1), (0, 0)))
    write_images(w.folder / "data", classes=classes, each=each)
    (w.folder / "data").mkdir(exist_ok=True)
    return w.score_one("data", nonsense=True)


@move
def odd_folders(w: Workspace) -> Case:
    """The data are the root, a device, a loop, a folder of folders, or named strangely."""
    (w.folder / "loop").mkdir()
    (w.folder / "loop" / "c0").symlink_to("..")
    (w.folder / "loop" / "c1").symlink_to("c1")
    (w.folder / "deep").joinpath(*["d"] * 60).mkdir(parents=True)
    words = (
        "/",
        "/proc",
        "/dev",
        "/dev/zero",
        "/dev/stdin",
        "loop",
        "deep",
        ".",
        "a\0b",
        "a" * 300,
        "a/" * 3000,
        "",
        "~",
    )
    return w.score_one(w.random.choice(words), nonsense=True)


@move
def linked_outside(w: Workspace) -> Case:
    """An image or a class is a link to a file outside the data folder."""
    data = w.copy_data()
    outside = w.folder / "outside"
    outside.mkdir()
    (outside / "x.png").write_bytes(w.random.choice((b"xyzzyplugh", _encoded(Image.new("RGB", (9, 9)), "PNG"))))
    if w.random.random() < 0.5:
        (data / "c2").symlink_to(outside)
    else:
        (data / "c0" / "x.png").symlink_to(outside / "x.png")
    return w.score_one(data, secret="xyzzyplugh")


@move
def masks(w: Workspace) -> Case:
    """Images with masks that are damaged, missing, of another size or of too many values."""
    data = w.folder / "data"
    for part in ("images", "masks"):
        (data / part).mkdir(parents=True)
    for index in range(6):
        Image.fromarray(pixels(0, index)).save(data / "images" / f"{index}.png")
        mask = np.zeros((24, 24), np.uint8)
        mask[4:12, 4:16] = 1
        Image.fromarray(mask).save(data / "masks" / f"{index}.png")
    kinds: tuple[Callable[[Path], object], ...] = (
        lambda path: path.write_bytes(damaged(path.read_bytes(), w.random)),
        lambda path: path.unlink(),
        lambda path: instead_of_file(path, w.random),
        lambda path: path.write_bytes(bombs.png_of(20_000, 20_000, colour=0)),
        lambda path: Image.new("L", (7, 9)).save(path),
        lambda path: Image.new("RGB", (24, 24), (1, 2, 3)).save(path),
        lambda path: Image.fromarray(w.rng.integers(0, 255, (24, 24)).astype(np.uint8)).save(path),
        lambda path: Image.fromarray(np.full((24, 24), 0, np.uint8)).save(path),
    )
    change, everything = w.random.choice(kinds), w.random.random() < 0.4
    for path in sorted((data / "masks").iterdir())[: None if everything else 1]:
        change(path)
    return w.case("score", "--zoo", w.materials.zoo, "--data", data, "--model", "a", "--repeats", "1", "-o", "run.json")


def _encoded(image: Image.Image, kind: str, **more: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


def _png_around(body: bytes, side: int) -> bytes:
    header = struct.pack(">LLBBBBB", side, side, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))
