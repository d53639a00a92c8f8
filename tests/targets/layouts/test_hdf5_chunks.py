"""Chunks of an HDF5 file that unfold to more than they declare are refused; those of every sound filter are read."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from acrank.errors import TargetError
from acrank.targets import open_target
from acrank.targets.layouts import hdf5
from acrank.targets.layouts.hdf5_chunks import _lzf_exceeds

SIDE = 256
NOISE = np.random.default_rng(0).integers(0, 256, (6, SIDE, SIDE), dtype=np.uint8)
LABELS = np.arange(6) % 2
ZEROS = bytes(2**25)
#: A reference of LZF makes 264 bytes of three.
LZF_ZEROS = b"\x00\x00" + b"\xe0\xff\x00" * (5 * 2**20 // 3)
FILTERS: dict[str, dict[str, Any]] = {
    "none": {},
    "gzip": {"compression": "gzip"},
    "lzf": {"compression": "lzf"},
    "all": {"compression": "gzip", "shuffle": True, "fletcher32": True},
    "lzf, shuffled": {"compression": "lzf", "shuffle": True, "fletcher32": True},
    "scale-offset": {"scaleoffset": 0, "compression": "gzip"},
}


def made(path: Path, images: np.ndarray, raw: bytes | None = None, **options: Any) -> Path:
    """A data set of images; with `raw` the stored bytes of the second image's chunk."""
    with h5py.File(path, "w") as file:
        dataset = file.create_dataset("images", data=images, **options)
        if raw is not None:
            dataset.id.write_direct_chunk((1, 0, 0), raw)
        file["labels"] = LABELS
    return path


@pytest.mark.parametrize("name", FILTERS)
@pytest.mark.parametrize("chunks", [(1, SIDE, SIDE), (4, 100, 64), (6, SIDE, SIDE)])
def test_sound_chunks_of_every_filter_are_read(tmp_path: Path, name: str, chunks: tuple[int, ...]) -> None:
    images = np.concatenate([NOISE[:3], np.zeros_like(NOISE[3:])])
    target = open_target(made(tmp_path / "a.h5", images, chunks=chunks, **FILTERS[name]))
    for index in (5, 0, 3, 2):
        assert np.array_equal(target.read(index)[0], images[index].astype(np.float32) / 255)


@pytest.mark.parametrize(
    ("compression", "raw"),
    [
        ("gzip", zlib.compress(ZEROS, 1)),
        ("gzip", zlib.compress(bytes(SIDE * SIDE)) + bytes(2**20)),
        ("lzf", LZF_ZEROS),
    ],
)
def test_a_chunk_that_unfolds_to_more_is_refused(tmp_path: Path, compression: str, raw: bytes) -> None:
    # chunks of 5 MiB: what is stored is no larger than what is declared
    images = np.zeros((6, 5 * 2**20 // SIDE if compression == "lzf" else SIDE, SIDE), np.uint8)
    path = made(tmp_path / "a.h5", images, raw, chunks=(1, *images.shape[1:]), compression=compression)
    target = open_target(path)
    assert target.read(0).max() == 0
    with pytest.raises(
        TargetError, match=r"'images': its chunk at \[1, 0, 0\] holds more than the \d+ bytes"
    ) as caught:
        target.read(1)
    assert caught.value.hint


def test_labels_are_held_likewise(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = NOISE
        labels = file.create_dataset("labels", data=LABELS, chunks=(2**14,), maxshape=(None,), compression="gzip")
        labels.id.write_direct_chunk((0,), zlib.compress(ZEROS, 1))
    with pytest.raises(TargetError, match="'labels': its chunk at"):
        open_target(tmp_path / "a.h5")


def test_chunks_that_are_compressed_twice_are_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plan.set_chunk((1, SIDE, SIDE))
        plan.set_filter(h5py.h5z.FILTER_LZF, h5py.h5z.FLAG_OPTIONAL)
        plan.set_deflate(9)
        space = h5py.h5s.create_simple(NOISE.shape)
        h5py.h5d.create(file.id, b"images", h5py.h5t.NATIVE_UINT8, space, dcpl=plan)
        file["labels"] = LABELS
    with pytest.raises(TargetError, match="'images' is compressed, and filtered again"):
        open_target(tmp_path / "a.h5")


def test_the_length_of_lzf_is_that_of_its_writer(tmp_path: Path) -> None:
    for data in (NOISE[0], np.zeros_like(NOISE[0]), NOISE[0] // 128, np.sort(NOISE[0], axis=None).reshape(SIDE, SIDE)):
        with h5py.File(tmp_path / "a.h5", "w") as file:
            dataset = file.create_dataset("x", data=data, chunks=data.shape, compression="lzf")
            skipped, raw = dataset.id.read_direct_chunk((0, 0))
        assert skipped or (not _lzf_exceeds(raw, data.size) and _lzf_exceeds(raw, data.size - 1))


def test_strings_that_share_their_bytes_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hdf5, "MOST_TEXT", 1000)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["images"] = NOISE
        file.create_dataset("labels", data=["benign", "malign"] * 3, dtype=h5py.string_dtype())
    assert open_target(tmp_path / "a.h5").classes == ("benign", "malign")
    with h5py.File(tmp_path / "a.h5", "a") as file:
        file["labels"][...] = ["b" * 200, "m" * 200] * 3
    with pytest.raises(TargetError, match="'/labels' holds more than 1000 bytes"):
        open_target(tmp_path / "a.h5")


def test_a_refused_chunk_stays_refused_for_its_other_items(tmp_path: Path) -> None:
    """The next candidate, or the other image of the chunk, must not reach HDF5 either."""
    with h5py.File(tmp_path / "a.h5", "w") as file:
        dataset = file.create_dataset("images", data=NOISE, chunks=(2, SIDE, SIDE), compression="gzip")
        dataset.id.write_direct_chunk((2, 0, 0), zlib.compress(ZEROS, 1))
        file["labels"] = LABELS
    target = open_target(tmp_path / "a.h5")
    for index in (2, 2, 3):
        with pytest.raises(TargetError, match="holds more than"):
            target.read(index)
    assert np.array_equal(target.read(1)[0], NOISE[1].astype(np.float32) / 255)
