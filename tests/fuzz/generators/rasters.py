"""TIFF, PNG, GIF, BMP, JPEG and WebP files of few bytes that declare, chain or unfold to far more."""

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
from fuzz.materials import pixels
from fuzz.workspace import Workspace, move

_TYPES = {"H": 3, "L": 4, "Q": 16}


def tiff(fields: dict[int, tuple[str, tuple[int, ...]]], body: bytes = b"", *, following: int = 0) -> bytes:
    """A little-endian TIFF of one directory, whose strip is `body` at offset 8; values of one number only are inline.

    Args:
        fields: tag -> (struct code of a number, numbers); 273 (the strip's place) is added.
        body: the strip.
        following: place of the next directory; 0 for none.
    """
    found = {273: ("L", (8,)), **fields}
    place = 8 + len(body) + len(body) % 2
    after = place + 2 + 12 * len(found) + 4
    entries, beyond = b"", b""
    for tag, (code, numbers) in sorted(found.items()):
        packed = struct.pack(f"<{len(numbers)}{code}", *numbers)
        held = packed.ljust(4, b"\0") if len(packed) <= 4 else struct.pack("<L", after + len(beyond))
        beyond += b"" if len(packed) <= 4 else packed
        entries += struct.pack("<HHL", tag, _TYPES[code], len(numbers)) + held
    directory = struct.pack("<H", len(found)) + entries + struct.pack("<L", following)
    return b"II*\0" + struct.pack("<L", place) + body + b"\0" * (len(body) % 2) + directory + beyond


def _grey(width: int, height: int, **more: tuple[str, tuple[int, ...]]) -> dict[int, tuple[str, tuple[int, ...]]]:
    """The fields of a grey image in one strip; `more` by tag as `t259`."""
    fields: dict[int, tuple[str, tuple[int, ...]]] = {
        256: ("L", (width,)),
        257: ("L", (height,)),
        258: ("H", (8,)),
        259: ("H", (1,)),
        262: ("H", (1,)),
        277: ("H", (1,)),
        278: ("L", (height,)),
        279: ("L", (width * height % 2**32,)),
    }
    return fields | {int(name[1:]): value for name, value in more.items()}


def _put(w: Workspace, raw: bytes | Callable[[Path], bytes], suffix: str, *more: object, **known: Any) -> Case:
    """In the place of one image, or of all."""
    data = w.copy_data()
    paths = sorted(path for path in data.rglob("*.png"))
    for path in paths if w.random.random() < 0.4 else [w.random.choice(paths)]:
        made = raw if isinstance(raw, bytes) else raw(path)
        path.unlink()
        path.with_suffix(suffix).write_bytes(made)
    return w.score_one(data, *more, **known)


def _saved(image: Image.Image, kind: str, **more: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **more)
    return buffer.getvalue()


@move
def sound(w: Workspace) -> Case:
    """Whole files of every kind, compressed and in pages."""
    kinds: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("TIFF", ".tif", {"compression": "tiff_lzw"}),
        ("TIFF", ".tif", {"compression": "tiff_deflate"}),
        ("TIFF", ".tif", {"compression": "packbits"}),
        ("PNG", ".png", {"optimize": True}),
        ("BMP", ".bmp", {}),
        ("GIF", ".gif", {}),
        ("WEBP", ".webp", {"lossless": True}),
    )
    kind, suffix, options = w.random.choice(kinds)
    data = w.copy_data()
    for path in sorted(data.rglob("*.png")):
        image = Image.open(path)
        image.load()
        path.unlink()
        path.with_suffix(suffix).write_bytes(_saved(image, kind, **options))
    return w.score_one(data, sound=True)


@move
def own_tiff(w: Workspace) -> Case:
    """The TIFF that the other moves change is a sound one."""
    data = w.copy_data()
    for number, path in enumerate(sorted(data.rglob("*.png"))):
        body = pixels(number // 8, number % 8)[..., 0].tobytes()
        path.unlink()
        path.with_suffix(".tif").write_bytes(tiff(_grey(24, 24), body))
    return w.score_one(data, sound=True)


@move
def tiff_sizes(w: Workspace) -> Case:
    """Sides, depths, samples and strips that are not there."""
    side = w.random.choice((0, 1, 30_000, 65_535, 2**31 - 1, 2**32 - 1))
    other = w.random.choice((side, 1, 24))
    more = {
        "t258": ("H", w.random.choice(((8,), (64,), (0,), (1,), (65_535,), (8,) * 999))),
        "t277": ("H", (w.random.choice((1, 3, 0, 65_535)),)),
        "t262": ("H", (w.random.choice((0, 1, 2, 3, 5, 6, 8, 32_803)),)),
        "t339": ("H", (w.random.choice((1, 2, 3, 4, 9)),)),
        "t284": ("H", (w.random.choice((1, 2, 7)),)),
    }
    chosen = {name: more[name] for name in w.random.sample(sorted(more), w.random.choice((0, 1, 3)))}
    return _put(w, tiff(_grey(side, other, **chosen), bytes(99)), ".tif")


@move
def tiff_bomb(w: Workspace) -> Case:
    """A strip that unfolds to GiB, whatever the header says."""
    packed = b"\x78\x9c" + bombs.deflated(b"", 2**30) + struct.pack(">L", 1)
    side = w.random.choice((24, 13_000, 32_000))
    kinds = {8: packed, 32_946: packed, 32_773: b"\x81\0" * 10**6, 5: b"\x80\0" * 10**6}
    scheme = w.random.choice(sorted(kinds))
    body = kinds[scheme]
    fields = _grey(side, side, t259=("H", (scheme,)), t279=("L", (len(body),)))
    return _put(w, tiff(fields, body), ".tif")


@move
def tiff_pages(w: Workspace) -> Case:
    """Directories that lead to themselves, or a hundred thousand of them."""
    body = pixels(0, 0)[..., 0].tobytes()
    if w.random.random() < 0.5:
        raw = tiff(_grey(24, 24), body, following=w.random.choice((8 + len(body), 4, 0xFFFFFFF0, 9)))
    else:
        count = w.random.choice((2, 500, 20_000))
        first = tiff(_grey(24, 24), body)
        at = 8 + len(body)
        directory = first[at:-4] if len(first) > at else b""
        size = len(directory) + 4
        raw = first[:at] + b"".join(
            directory + struct.pack("<L", at + (i + 1) * size if i < count - 1 else 0) for i in range(count)
        )
    return _put(w, raw, ".tif", *w.random.choice(((), ("--pages", "first"), ("--pages", "volume", "--slices", 1))))


@move
def tiff_tiles(w: Workspace) -> Case:
    """Tiles larger than the image, of no size, or a million."""
    side = w.random.choice((0, 1, 16, 65_535, 2**31 - 1))
    count = w.random.choice((0, 1, 5000))
    fields = _grey(24, 24, t322=("L", (side,)), t323=("L", (side,)))
    fields |= {324: ("L", (8,) * count), 325: ("L", (w.random.choice((16, 2**31)),) * count)}
    return _put(w, tiff(fields, bytes(999)), ".tif")


@move
def png_chunks(w: Workspace) -> Case:
    """Chunks without end, of lengths that are not there, in no order, or for palettes that lack."""
    head = bombs.png_of(24, 24, colour=w.random.choice((0, 2, 3, 4, 6, 5)), depth=w.random.choice((1, 8, 16, 3)))
    kinds = (
        _chunk(b"tEXt", b"a\0b") * 50_000,
        _chunk(b"IDAT", b"") * 50_000,
        struct.pack(">L", 2**31 - 1) + b"IDAT",
        struct.pack(">L", 2**32 - 1) + b"PLTE",
        _chunk(b"PLTE", b"\0" * w.random.choice((0, 1, 3, 3000))),
        _chunk(b"tRNS", b"\0" * w.random.choice((0, 1, 300))),
        _chunk(b"acTL", struct.pack(">LL", 2**31 - 1, 0)) + _chunk(b"fcTL", bytes(26)),
        _chunk(b"eXIf", b"II*\0\x08\0\0\0" + b"\xff" * 99),
        _chunk(b"iCCP", b"x\0\0" + bytes(99)),
        _chunk(b"iTXt", b"x\0\x01\0\0\0" + zlib.compress(bytes(2**27), 9)),
        _chunk(b"IHDR", struct.pack(">LLBBBBB", 2**31 - 1, 2**31 - 1, 8, 2, 0, 0, 0)),
        _chunk(b"gAMA", b"") + _chunk(b"cHRM", b"\0") + _chunk(b"pHYs", b"x"),
    )
    return _put(w, head[:33] + w.random.choice(kinds) + head[33:], ".png")


@move
def png_rows(w: Workspace) -> Case:
    """Rows that are too few, too many, filtered in no known way, or interlaced."""
    width, height = w.random.choice(((24, 24), (1, 40_000), (40_000, 1), (5000, 5000)))
    rows = bytes([w.random.choice((0, 1, 4, 9))]) + bytes(3 * width)
    raw = bombs.png_of(width, height, rows=rows * w.random.choice((1, height // 2 + 1, height, height + 9)))
    if w.random.random() < 0.3:
        raw = raw[:28] + b"\x01" + raw[29:]
        raw = raw[:29] + struct.pack(">L", zlib.crc32(raw[12:29])) + raw[33:]
    return _put(w, raw, ".png")


@move
def gifs(w: Workspace) -> Case:
    """Screens and frames of 65,535 a side, thousands of frames, codes that mean nothing."""
    side = w.random.choice((24, 65_535))
    screen = struct.pack("<6sHHBBB", b"GIF89a", side, side, 0x80, 0, 0) + bytes(6)
    frame = struct.pack("<BHHHHB", 0x2C, 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\0"
    count = w.random.choice((1, 2, 20_000))
    odd_frame = struct.pack("<BHHHHB", 0x2C, 65_000, 65_000, 9, 9, 0) + b"\x0c\xff" + w.random.randbytes(255) + b"\0"
    raw = screen + w.random.choice((frame * count, odd_frame, frame + odd_frame, b"", b"!\xff\x0b" + bytes(99))) + b";"
    return _put(w, raw, ".gif", *w.random.choice(((), ("--pages", "first"), ("--pages", "volume"))))


@move
def bmps(w: Workspace) -> Case:
    """Sides, depths, palettes and runs that are not there."""
    side = w.random.choice((0, 1, 24, -24, 40_000, 2**31 - 1, -(2**31)))
    depth, scheme = w.random.choice(((24, 0), (8, 1), (4, 2), (1, 0), (0, 0), (32, 3), (64, 0), (24, 9)))
    info = struct.pack("<LllHHLLllLL", 40, side, w.random.choice((side, 1)), 1, depth, scheme, 0, 0, 0, 2**31, 0)
    body = w.random.choice((b"\xff\0" * 10**5, b"\0\x02\xff\xff" * 999, b"", bytes(2000)))
    raw = b"BM" + struct.pack("<LLL", 2**31, 0, w.random.choice((54, 0, 2**31))) + info + body
    return _put(w, raw, w.random.choice((".bmp", ".dib")))


@move
def jpegs(w: Workspace) -> Case:
    """Frames of 65,535 a side, segments without end, hundreds of scans, EXIF that leads in circles."""
    sound = _saved(Image.fromarray(pixels(0, 0)), "JPEG", progressive=w.random.random() < 0.5)
    at = next(i for i in range(len(sound)) if sound[i : i + 2] in (b"\xff\xc0", b"\xff\xc2"))
    sides = struct.pack(">HH", *w.random.choice(((65_535, 65_535), (0, 24), (24, 0), (20_000, 20_000))))
    scan = sound.rindex(b"\xff\xda")
    exif = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x69\x87\x04\0\x01\0\0\0\x08\0\0\0\x08\0\0\0"
    kinds = (
        sound[: at + 5] + sides + sound[at + 9 :],
        sound[:scan] + sound[scan:-2] * 400 + sound[-2:],
        sound[:2] + b"\xff\xe1" + struct.pack(">H", len(exif) + 2) + exif + sound[2:],
        sound[:2] + b"\xff\xfe\xff\xff" + bytes(65_533) + b"\xff\xe2\xff\xff" * 9 + sound[2:],
        sound[:2] + (b"\xff\xfe\x00\x02" * 10**5) + sound[2:],
        sound[:at] + b"\xff\xdb\x00\x02" + sound[at:],
    )
    return _put(w, w.random.choice(kinds), ".jpg")


@move
def webps(w: Workspace) -> Case:
    """Canvases of 16,384 a side, frames without end, chunks that are longer than the file."""
    canvas = b"VP8X" + struct.pack("<LL", 10, 2) + b"\xff\x3f\x00\xff\x3f\x00"
    lossless = b"VP8L" + struct.pack("<L", 5) + b"\x2f" + struct.pack("<L", 2**28 - 1)
    sound = _saved(Image.fromarray(pixels(0, 0)), "WEBP", lossless=True)
    frames = canvas + (b"ANMF" + struct.pack("<L", 24) + bytes(24)) * w.random.choice((1, 5000))
    body = w.random.choice((canvas, lossless, canvas + lossless, frames, sound[12:] + b"XXXX\xff\xff\xff\x7f"))
    return _put(w, b"RIFF" + struct.pack("<L", len(body) + 4) + b"WEBP" + body, ".webp")


@move
def other_codecs(w: Workspace) -> Case:
    """JPEG 2000, AVIF, PNM and TGA that declare what they have not."""
    siz = struct.pack(">HHHLLLLLLLLHBBB", 0xFF51, 41, 0, *[2**31 - 1] * 2, 0, 0, *[2**31 - 1] * 2, 0, 0, 1, 7, 1, 1)
    avif = b"\0\0\0\x1cftypavif\0\0\0\0avifmif1miaf" + struct.pack(">L", 2**31) + b"meta"
    tga = struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, 65_535, 65_535, 24, 0) + b"\xff\0\0\0" * 999
    numbers = w.random.choice(("60000 60000 65535", "1 1 0", "-1 9 9", "9" * 400 + " 1 1", "1e9 1 1", "2 2 99999"))
    kinds = {
        ".j2k": b"\xff\x4f" + siz,
        ".jp2": b"\0\0\0\x0cjP  \r\n\x87\n" + b"\xff" * 99,
        ".avif": avif,
        ".tga": tga,
        ".pgm": f"P5 {numbers}\n".encode() + bytes(99),
        ".ppm": f"P3 {numbers}\n".encode() + b"1 " * 10**5,
        ".pbm": b"P4 " + b"#" * 10**6,
        ".pnm": f"PF {numbers}\n".encode(),
    }
    suffix = w.random.choice(sorted(kinds))
    return _put(w, kinds[suffix], suffix)


@move
def deep_images(w: Workspace) -> Case:
    """16 bits, whole numbers of 32 and floats whose range nobody can tell."""
    rng = np.random.default_rng(1)
    kinds = (
        lambda: rng.integers(0, 65_536, (24, 24)).astype(np.uint16),
        lambda: rng.integers(-(2**31), 2**31 - 1, (24, 24)).astype(np.int32),
        lambda: (rng.random((24, 24)) * 10 ** rng.uniform(-30, 30)).astype(np.float32),
        lambda: np.full((24, 24), np.inf, np.float32),
        lambda: np.zeros((24, 24), np.uint16),
    )
    make = w.random.choice(kinds)
    more = w.random.choice(
        ((), ("--intensity", "percentile"), ("--intensity", "window:0,1"), ("--intensity", "zscore"))
    )
    return _put(w, lambda _: _saved(Image.fromarray(make()), "TIFF"), ".tif", *more)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))
