"""Compressed chunks of an HDF5 dataset, held against their declared size before HDF5 inflates them without a bound."""

from __future__ import annotations

import itertools
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from acrank.errors import TargetError

#: Where a chunk begins in its dataset.
Offset = tuple[int, ...]
#: HDF5's numbers of filters.
_DEFLATE, _FLETCHER32, _SZIP, _NBIT, _SCALE_OFFSET, _LZF = 1, 3, 4, 5, 6, 32000
_COMPRESSING = (_DEFLATE, _SZIP, _LZF)
#: Bytes that filters may add to a chunk: checksums, headers of blocks.
_BESIDE = 1024
#: Stored chunks up to this size inflate to little, whatever they hold: deflate makes 1032 bytes of one, LZF 88.
_SMALL = {_DEFLATE: 2**16, _LZF: 3 * 2**20, _SZIP: 0}
_HINT = "write it again, or check that it is complete"


def check_filters(dataset: Any, where: str) -> None:
    """Refuse filters whose output cannot be bounded, by the creation properties of a dataset; nothing is read.

    Raises:
        TargetError: it is compressed twice, or by a filter that declares more than a chunk.
    """
    declared, filters = _declared(dataset), _filters(dataset)
    codes = [code for code, _ in filters]
    first = next((place for place, code in enumerate(codes) if code in _COMPRESSING), len(codes))
    if set(codes[first + 1 :]) - {_FLETCHER32}:
        raise TargetError(f"{where} is compressed, and filtered again", hint="compress it last, and once")
    for code, values in filters:
        size = values[2] if code == _LZF and len(values) > 2 else 0
        if code in (_NBIT, _SCALE_OFFSET) and len(values) > 4:
            size = values[2] * values[4]
        if size > declared + _BESIDE:
            raise TargetError(f"{where} declares {declared} bytes a chunk, and its filter {size}", hint=_HINT)


def stored_chunks(dataset: Any) -> dict[Offset, int]:
    """Bytes of each chunk that is stored and filtered, by its offset: one pass, for a look at one is linear in them."""
    found: dict[Offset, int] = {}

    def note(about: Any) -> None:
        if about.byte_offset is not None and not about.filter_mask:
            found[tuple(about.chunk_offset)] = about.size

    if any(code in _COMPRESSING for code, _ in _filters(dataset)):
        dataset.id.chunk_iter(note)
    return found


def check_chunks(dataset: Any, index: int | None, *, where: str, left: dict[Offset, int]) -> None:
    """Inflate the chunks of one item, or all, within their declared size, each once.

    Args:
        dataset: of h5py, whose filters were checked.
        index: along the first axis; None is all of it.
        where: the dataset, for the message.
        left: chunks that no look has passed yet, of `stored_chunks`; those that pass leave it.

    Raises:
        TargetError: a chunk is larger than it declares.
    """
    code = next((code for code, _ in _filters(dataset) if code in _COMPRESSING), None)
    if code is None:
        return
    declared = _declared(dataset)
    for offset in _offsets(dataset, index):
        if (size := left.get(offset)) is None:
            continue
        if size > declared + declared // 64 + _BESIDE or (
            size > _SMALL[code] and _INFLATES[code](dataset.id.read_direct_chunk(offset)[1], declared + _BESIDE)
        ):
            place = list(offset)
            raise TargetError(f"{where}: its chunk at {place} holds more than the {declared} bytes of one", hint=_HINT)
        del left[offset]


def _declared(dataset: Any) -> int:
    """Bytes of a chunk; 0 of a dataset without chunks."""
    size = int(dataset.dtype.itemsize) if dataset.chunks else 0
    for side in dataset.chunks or ():
        size *= int(side)
    return size


def _filters(dataset: Any) -> list[tuple[int, Sequence[int]]]:
    """Number and parameters of each filter, in the order in which they were applied."""
    about = dataset.id.get_create_plist()
    found = (about.get_filter(place) for place in range(about.get_nfilters()))
    return [(int(one[0]), one[2]) for one in found]


def _offsets(dataset: Any, index: int | None) -> Iterator[tuple[int, ...]]:
    """Where the chunks begin that hold one item, or all."""
    sides = list(zip(dataset.shape, dataset.chunks, strict=True))
    ranges = [range(0, size, step) for size, step in sides]
    if index is not None:
        step = dataset.chunks[0]
        ranges[0] = range(index // step * step, index + 1, step)
    return itertools.product(*ranges)


def _deflate_exceeds(raw: bytes, most: int) -> bool:
    packer = zlib.decompressobj()
    left, rest = most, raw
    while rest and not packer.eof:
        found = len(packer.decompress(rest, min(left + 1, 2**20)))
        left, rest = left - found, packer.unconsumed_tail
        if left < 0:
            return True
    return False


def _lzf_exceeds(raw: bytes, most: int) -> bool:
    """Whether LZF makes more than `most` of it: literal runs of up to 32 bytes, references of up to 264."""
    place = made = 0
    while place < len(raw) and made <= most:
        control = raw[place]
        if control < 32:
            made, place = made + control + 1, place + control + 2
            continue
        length, place = control >> 5, place + 2
        if length == 7 and place <= len(raw):
            length, place = 7 + raw[place - 1], place + 1
        made += length + 2
    return made > most


def _szip_exceeds(raw: bytes, most: int) -> bool:
    """HDF5 allocates what the first four bytes say."""
    return int.from_bytes(raw[:4], "little") > most


_INFLATES: dict[int, Callable[[bytes, int], bool]] = {
    _DEFLATE: _deflate_exceeds,
    _LZF: _lzf_exceeds,
    _SZIP: _szip_exceeds,
}
