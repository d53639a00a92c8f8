"""Arrays that reach outside their file, declare what they do not hold, or are of odd types: one error line each."""

from __future__ import annotations

import io
import tracemalloc
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from helpers.workbench import Outcome

from acrank.errors import TargetError
from acrank.targets import open_target
from acrank.targets.layouts import npz

IMAGES = np.zeros((6, 5, 5), np.uint8)
LABELS = np.arange(6) % 2
Run = Callable[..., Outcome]


def hdf5(path: Path, fill: Callable[[h5py.File], object]) -> Path:
    with h5py.File(path, "w") as file:
        file["images"] = IMAGES
        fill(file)
    return path


def external(file: h5py.File, secret: Path) -> None:
    file.create_dataset("labels", shape=(6,), dtype="S1", external=[(str(secret), 0, 6)])


def virtual(file: h5py.File, source: str, name: str = "labels") -> None:
    layout = h5py.VirtualLayout(shape=(6,), dtype="S1")
    layout[:] = h5py.VirtualSource(source, "labels", shape=(6,))
    file.create_virtual_dataset(name, layout)


def test_labels_over_a_secret_file_are_refused(tmp_path: Path, acrank: Run) -> None:
    secret = tmp_path / "secret.txt"
    secret.write_text("abcabc")
    path = hdf5(tmp_path / "a.h5", lambda file: external(file, secret))
    with pytest.raises(TargetError, match="'labels' is external: its values lie in other files"):
        open_target(path)


@pytest.mark.parametrize("source", ["other.h5", ".", "a.h5"])
def test_virtual_datasets_are_refused_before_they_are_read(tmp_path: Path, source: str) -> None:
    path = hdf5(tmp_path / "a.h5", lambda file: virtual(file, source))
    with pytest.raises(TargetError, match="'labels' is virtual"):
        open_target(path)


def test_links_to_other_files_are_not_followed(tmp_path: Path) -> None:
    hdf5(tmp_path / "other.h5", lambda file: file.create_dataset("labels", data=LABELS))
    path = hdf5(tmp_path / "a.h5", lambda file: file.__setitem__("labels", h5py.ExternalLink("other.h5", "labels")))
    with pytest.raises(TargetError, match="no array 'labels'"):
        open_target(path)
    with pytest.raises(TargetError, match="no array 'labels'"):
        open_target(path, labels_key="labels")


ODD_LABELS: dict[str, Callable[[h5py.File], Any]] = {
    "complex": lambda file: file.create_dataset("labels", data=np.zeros(6, complex)),
    "compound": lambda file: file.create_dataset("labels", data=np.zeros(6, [("a", "i4"), ("b", "f4")])),
    "dates": lambda file: file.create_dataset("labels", data=np.zeros(6, "M8[s]").astype(h5py.opaque_dtype("M8[s]"))),
    "enumeration": lambda file: file.create_dataset("labels", (6,), h5py.enum_dtype({"a": 0, "b": 1}, "i1")),
    "references": lambda file: file.create_dataset("labels", (6,), h5py.ref_dtype),
    "lists": lambda file: file.create_dataset("labels", (6,), h5py.vlen_dtype("i4")),
    "opaque": lambda file: file.create_dataset("labels", data=np.zeros(6, "V5")),
}


@pytest.mark.parametrize("kind", ODD_LABELS)
def test_odd_types_name_the_dataset(tmp_path: Path, kind: str) -> None:
    with pytest.raises(TargetError, match=r"'labels' (holds|is an enumeration)") as caught:
        open_target(hdf5(tmp_path / "a.h5", ODD_LABELS[kind]))
    assert caught.value.hint


@pytest.mark.parametrize("dtype", ["c8", "M8[D]", "m8[s]", [("x", "u1")], "V3"])
@pytest.mark.parametrize("key", ["images", "labels"])
def test_odd_types_in_npz_name_the_array(tmp_path: Path, key: str, dtype: Any) -> None:
    arrays = {"images": IMAGES, "labels": LABELS}
    arrays[key] = np.zeros(arrays[key].shape, dtype)
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    with pytest.raises(TargetError, match=f"'{key}' holds values of"):
        open_target(tmp_path / "a.npz")


@pytest.mark.parametrize("seed", range(40))
@pytest.mark.parametrize("suffix", ["h5", "npz"])
def test_damaged_headers_end_with_an_error_line(tmp_path: Path, acrank: Run, suffix: str, seed: int) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "h5":
        hdf5(path, lambda file: file.create_dataset("labels", data=LABELS))
    else:
        np.savez_compressed(path, images=IMAGES, labels=LABELS)
    raw, random = bytearray(path.read_bytes()), np.random.default_rng(seed)
    for place in random.integers(8, len(raw), 12):
        raw[place] = random.integers(256)
    path.write_bytes(raw)
    with suppress(TargetError):
        target = open_target(path)
        for index in range(len(target)):
            image = target.read(index)
            assert 0 <= image.min() <= image.max() <= 1, "what opens gives images"


def npz_of(path: Path, **arrays: bytes) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, raw in arrays.items():
            archive.writestr(f"{name}.npy", raw)
    return path


def npy(shape: str, dtype: str = "|u1", data: bytes = b"") -> bytes:
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text + data


def saved(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


@pytest.mark.parametrize(
    "shape", ["(6, 1000000, 1000000)", "(99999999999999999999, 5, 5)", "(-6, 5, 5)", "(True, 5, 5)"]
)
@pytest.mark.parametrize("key", ["images", "labels"])
def test_headers_that_declare_what_is_not_there(tmp_path: Path, shape: str, key: str) -> None:
    arrays = {"images": saved(IMAGES), "labels": saved(LABELS), key: npy(shape, data=b"\0" * 50)}
    with pytest.raises(TargetError, match=r"declares|an array of shape|cannot read") as caught:
        open_target(npz_of(tmp_path / "a.npz", **arrays))
    assert caught.value.hint


def test_a_bomb_of_one_array_is_refused_before_it_is_read(tmp_path: Path) -> None:
    size = npz.HELD_BYTES * 5
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("images.npy", saved(IMAGES))
        with archive.open("labels.npy", "w", force_zip64=True) as file:
            file.write(npy(f"({size},)"))
            for _ in range(size // 2**24):
                file.write(bytes(2**24))
    assert path.stat().st_size < 20 * 2**20
    with pytest.raises(TargetError, match=r"'labels' would take 2\.5 GiB, more than 2\.0 GiB"):
        open_target(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_inflate_without_a_bound_are_refused(tmp_path: Path, method: int) -> None:
    with zipfile.ZipFile(tmp_path / "a.npz", "w", method) as archive:
        archive.writestr("images.npy", saved(IMAGES))
        archive.writestr("labels.npy", saved(LABELS))
    with pytest.raises(TargetError, match="'images' is neither stored nor deflated"):
        open_target(tmp_path / "a.npz")


def test_a_header_without_end_is_refused_before_it_is_read(tmp_path: Path) -> None:
    size = 2**28
    start = b"\x93NUMPY\x02\x00" + size.to_bytes(4, "little")
    np.save(tmp_path / "labels.npy", LABELS)
    with (tmp_path / "a.npy").open("wb") as file:
        file.write(start)
        file.truncate(size + 99)
    with zipfile.ZipFile(tmp_path / "a.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        archive.writestr("labels.npy", saved(LABELS))
        with archive.open("images.npy", "w") as member:
            member.write(start + bytes(2**24))
    tracemalloc.start()
    for path, options in ((tmp_path / "a.npz", {}), (tmp_path / "a.npy", {"labels_file": tmp_path / "labels.npy"})):
        with pytest.raises(TargetError, match="its header declares 268,435,456 bytes"):
            open_target(path, **options)
    assert tracemalloc.get_traced_memory()[1] < 2**22
    tracemalloc.stop()


@pytest.mark.parametrize("side", [20_000, 10**6])
def test_huge_images_in_hdf5_are_refused_before_they_are_read(tmp_path: Path, side: int) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", (6, side, side), "u1", chunks=(1, 64, 64))
        file["labels"] = LABELS
    target = open_target(tmp_path / "a.h5")
    with pytest.raises(TargetError, match="item 2 would take"):
        target.read(2)


def test_huge_chunks_and_labels_are_refused(tmp_path: Path) -> None:
    def labels(file: h5py.File) -> None:
        file.create_dataset("labels", (2**40,), "u1", chunks=(2**20,))

    with pytest.raises(TargetError, match=r"'labels' would take 1024\.0 GiB|1\.0 TiB"):
        open_target(hdf5(tmp_path / "a.h5", labels))
    with h5py.File(tmp_path / "b.h5", "w") as file:
        file.create_dataset("images", (60000, 300, 300), "u1", chunks=(40000, 300, 300))
        file["labels"] = np.arange(60000) % 2
    with pytest.raises(TargetError, match=r"a chunk of .* would take"):
        open_target(tmp_path / "b.h5")


def test_more_items_than_a_target_may_hold(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("images", (10**9, 8, 8), "u1", chunks=(1024, 8, 8))
        file.create_dataset("labels", (10**9,), "u1", chunks=(2**20,))
    with pytest.raises(TargetError, match="1,000,000,000 images, more than"):
        open_target(tmp_path / "a.h5")


def test_masks_that_are_not_finite(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", images=np.zeros((4, 9, 9), np.uint8), masks=np.full((4, 9, 9), np.inf))
    with pytest.raises(TargetError, match="mask 0 holds"):
        open_target(tmp_path / "a.npz", task="segmentation")
