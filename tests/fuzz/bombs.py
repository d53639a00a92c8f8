"""Files of a few MB, or a few bytes, that unfold to GiB."""

from __future__ import annotations

import struct
import zlib
from functools import cache

_BLOCK = 2**24


@cache
def _compressed_block() -> bytes:
    """Zeros as raw deflate that ends on a byte and refers to nothing before it, so that it can be repeated."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return packer.compress(bytes(_BLOCK)) + packer.flush(zlib.Z_FULL_FLUSH)


def deflated(head: bytes, zeros: int) -> bytes:
    """`head` and so many zeros (a multiple of 16 MiB) as raw deflate."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    first = packer.compress(head) + packer.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    return first + _compressed_block() * (zeros // _BLOCK) + end


@cache
def crc_of(head: bytes, zeros: int) -> int:
    """CRC-32 of `head` and the zeros."""
    crc, block = zlib.crc32(head), bytes(_BLOCK)
    for _ in range(zeros // _BLOCK):
        crc = zlib.crc32(block, crc)
    return crc


def zip_of(name: str, head: bytes, zeros: int) -> bytes:
    """A zip archive of one member."""
    body, crc, label = deflated(head, zeros), crc_of(head, zeros), name.encode()
    size = len(head) + zeros
    common = struct.pack("<HHHHHLLLHH", 20, 0, 8, 0, 33, crc, len(body), size, len(label), 0)
    local = b"PK\x03\x04" + common + label
    entry = b"PK\x01\x02" + struct.pack("<H", 20) + common + struct.pack("<HHHLL", 0, 0, 0, 0, 0) + label
    end = b"PK\x05\x06" + struct.pack("<HHHHLLH", 0, 0, 1, 1, len(entry), len(local) + len(body), 0)
    return local + body + entry + end


def gzip_of(head: bytes, zeros: int) -> bytes:
    """A gzip file."""
    size = (len(head) + zeros) & 0xFFFFFFFF
    header = b"\x1f\x8b\x08\0\0\0\0\0\0\x03"
    return header + deflated(head, zeros) + struct.pack("<LL", crc_of(head, zeros), size)


def npy_header(descr: str, shape: tuple[int, ...]) -> bytes:
    """The header of an .npy file, whatever follows it."""
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (-(len(text) + 11) % 64) + "\n"
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text)) + text.encode()


def png_of(width: int, height: int, *, depth: int = 8, colour: int = 2, rows: bytes | None = None) -> bytes:
    """A PNG whose header says so; with `rows` None its data are two bytes."""
    body = zlib.compress(b"\0\0" if rows is None else rows, 1)
    header = struct.pack(">LLBBBBB", width, height, depth, colour, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", body), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))
