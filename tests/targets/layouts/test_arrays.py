"""Arrays in .npz and HDF5 files: keys, splits, axis orders, scales, and single images read on demand."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from acrank.errors import TargetError
from acrank.targets import Target, open_target
from acrank.targets.layouts import npz

RNG = np.random.default_rng(0)
IMAGES = RNG.integers(0, 256, (12, 7, 9), dtype=np.uint8)
LABELS = np.arange(12) % 3
Writer = Callable[..., Path]


@pytest.fixture(params=["npz", "compressed", "streamed", "hdf5"])
def write(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Writer:
    """Write named arrays as one of the files that hold arrays; "streamed" is an .npz too large to hold."""
    if request.param == "streamed":
        monkeypatch.setattr(npz, "HELD_BYTES", 0)

    def save(**arrays: Any) -> Path:
        if request.param == "hdf5":
            path = tmp_path / "arrays.h5"
            with h5py.File(path, "w") as file:
                for name, values in arrays.items():
                    file[name] = values
        else:
            path = tmp_path / "arrays.npz"
            (np.savez if request.param == "npz" else np.savez_compressed)(path, **arrays)
        return path

    return save


def pixels(target: Target, *indices: int) -> np.ndarray:
    return np.stack([target.read(index) for index in indices])


def test_images_and_labels(write: Writer) -> None:
    target = open_target(write(images=IMAGES, labels=LABELS[:, None]))
    assert (target.name, target.task, target.classes) == ("arrays", "classification", ("0", "1", "2"))
    assert target.ids == tuple(f"{place:02d}" for place in range(12))
    assert target.labels.tolist() == LABELS.tolist()
    assert target.labels.dtype == np.int64
    order = [5, 11, 0, 5, 3]  # ahead, back and again
    read = pixels(target, *order)
    assert read.dtype == np.float32
    np.testing.assert_allclose(read[:, 0], IMAGES[order] / 255, rtol=1e-6)


@pytest.mark.parametrize(("split", "wanted"), [(None, "train"), ("val", "val"), ("all", "test train val")])
def test_medmnist_keys(write: Writer, split: str | None, wanted: str) -> None:
    counts = {"train": 6, "val": 2, "test": 4}
    arrays = {}
    for place, (name, count) in enumerate(counts.items()):
        arrays[f"{name}_images"] = np.full((count, 4, 4, 3), 50 * place, np.uint8)
        arrays[f"{name}_labels"] = np.arange(count)[:, None] % 2
    target = open_target(write(**arrays), split=split)
    parts = wanted.split()
    assert target.ids == tuple(f"{part}/{place}" for part in parts for place in range(counts[part]))
    assert list(target.ids) == sorted(target.ids)
    assert target.labels.tolist() == [place % 2 for part in parts for place in range(counts[part])]
    values = [float(target.read(index)[0, 0, 0]) * 255 for index in range(len(target))]
    np.testing.assert_array_equal(target.read(-1), target.read(len(target) - 1))
    assert target.raw_digest([-1]) == target.raw_digest([len(target) - 1])
    assert np.rint(values).tolist() == [50 * list(counts).index(part) for part in parts for _ in range(counts[part])]


def test_named_keys(write: Writer) -> None:
    path = write(scans=IMAGES, grade=LABELS, images=IMAGES[:3], labels=LABELS[:3])
    assert len(open_target(path, images_key="scans", labels_key="grade")) == 12
    assert len(open_target(path)) == 3


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (np.zeros((6, 8, 9)), (1, 8, 9)),
        (np.zeros((6, 8, 9, 1)), (1, 8, 9)),
        (np.zeros((6, 8, 9, 3)), (3, 8, 9)),
        (np.zeros((6, 3, 8, 9)), (3, 8, 9)),
        (np.zeros((6, 4, 8, 3)), (3, 4, 8)),
        (np.asfortranarray(np.zeros((6, 8, 9))), (1, 8, 9)),
    ],
)
def test_axis_orders(write: Writer, stored: np.ndarray, expected: tuple[int, ...]) -> None:
    assert open_target(write(images=stored, labels=np.arange(6) % 2)).read(5).shape == expected


def test_column_major_arrays(write: Writer) -> None:
    target = open_target(write(images=np.asfortranarray(IMAGES), labels=LABELS))
    np.testing.assert_allclose(target.read(7)[0], IMAGES[7] / 255, rtol=1e-6)


def test_channels_first_keeps_the_channels(write: Writer) -> None:
    stored = RNG.integers(0, 256, (4, 3, 8, 9), dtype=np.uint8)
    target = open_target(write(images=stored, labels=[0, 1, 0, 1]))
    np.testing.assert_allclose(pixels(target, 2)[0], stored[2] / 255, rtol=1e-6)


@pytest.mark.parametrize(
    ("stored", "expected"),
    [
        (np.full((4, 5, 5), 65535, np.uint16), 1.0),
        (np.full((4, 5, 5), 52428, ">u2"), 0.8),
        (np.full((4, 5, 5), 1023, np.int32), 1.0),
        (np.full((4, 5, 5), 819, np.uint16), 819 / 1023),
        (np.full((4, 5, 5), 0.25, np.float64), 0.25),
        (np.full((4, 5, 5), 51.0, np.float32), 0.2),
        (np.full((4, 5, 5), True), 1.0),
    ],
)
def test_scales(write: Writer, stored: np.ndarray, expected: float) -> None:
    np.testing.assert_allclose(open_target(write(images=stored, labels=[0, 1, 0, 1])).read(1), expected, rtol=1e-6)


def test_a_dark_float_image_keeps_the_scale_of_the_others(write: Writer) -> None:
    stored = np.full((4, 5, 5), 200.0)
    stored[2] = 0.5  # alone it would pass for mid-grey in [0, 1]
    target = open_target(write(images=stored, labels=[0, 1, 0, 1]))
    np.testing.assert_allclose(target.read(2), 0.5 / 255, rtol=1e-6)
    assert target.notes == ["float images: assumed range [0, 255]"]


def test_a_float_image_beyond_the_scale_is_refused_when_read(write: Writer) -> None:
    stored = np.full((200, 5, 5), 0.5)
    stored[1] = 200.0  # between the images that the scale was inferred from
    target = open_target(write(images=stored, labels=np.arange(200) % 2))
    with pytest.raises(TargetError, match=r"image 1: float values from 200 to 200 instead of \[0, 1\]"):
        target.read(1)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (np.full((4, 5, 5), -0.1), r"from -0\.1 to -0\.1 instead of \[0, 1\] or \[0, 255\]"),
        (np.full((4, 5, 5), 300.0), "from 300 to 300"),
        (np.full((4, 5, 5), np.nan), "float values from nan"),
        (np.full((4, 5, 5), -3, np.int32), "holds values from -3 to -3"),
        (np.full((4, 5, 5), 70000, np.uint32), "holds values from 70000 to 70000"),
        (np.zeros((4, 5, 5), "S3"), r"images of \|S3 have no known range"),
        (np.zeros((4, 9, 28, 28, 28), np.uint8), r"images of shape \[9, 28, 28, 28\]"),
        (np.zeros((4, 5), np.uint8), r"images of shape \[5\]"),
        (np.zeros((4, 0, 5), np.uint8), r"images of shape \[0, 5\]"),
        (np.zeros((0, 5, 5), np.uint8), "0 images in 'images', 4 labels in 'labels'"),
        (np.zeros((3, 5, 5), np.uint8), "3 images in 'images', 4 labels in 'labels'"),
    ],
)
def test_unusable_images(write: Writer, stored: np.ndarray, message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        open_target(write(images=stored, labels=[0, 1, 0, 1]))
    assert caught.value.hint


@pytest.mark.parametrize(
    ("arrays", "options", "message"),
    [
        ({"a": IMAGES, "b": LABELS}, {}, "no array 'images'; it has: a, b"),
        ({"images": IMAGES}, {}, "no array 'labels'; it has: images"),
        ({"images": IMAGES, "labels": LABELS}, {"images_key": "scan"}, "no array 'scan'"),
        ({"images": IMAGES, "labels": LABELS}, {"labels_key": "grade"}, "no array 'grade'"),
        ({"images": IMAGES, "labels": LABELS}, {"split": "val"}, "has no splits"),
        ({"train_images": IMAGES}, {}, "no array 'train_labels'"),
        ({"train_images": IMAGES, "train_labels": LABELS}, {"split": "test"}, "no split 'test', only train"),
        ({"images": IMAGES[:0], "labels": LABELS[:0]}, {}, "no images in .*'images' is empty"),
        ({"images": IMAGES, "labels": LABELS * 0}, {}, "one class only: 0"),
    ],
)
def test_unusable_files(write: Writer, arrays: dict[str, Any], options: dict[str, str], message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        open_target(write(**arrays), **options)  # type: ignore[arg-type]
    assert caught.value.hint


def test_regression_and_multilabel(write: Writer) -> None:
    flags = (np.arange(24).reshape(12, 2) % 3 == 0).astype(np.uint8)
    path = write(images=IMAGES, labels=flags, age=np.linspace(1, 9, 12))
    multilabel = open_target(path)
    assert (multilabel.task, multilabel.classes) == ("multilabel", ("0", "1"))
    assert multilabel.labels.tolist() == flags.tolist()
    regression = open_target(path, labels_key="age")
    assert (regression.task, regression.classes) == ("regression", ())
    assert regression.labels.dtype == np.float64


def test_a_pickled_target_reads_the_same(write: Writer) -> None:
    target = open_target(write(images=np.tile(IMAGES, (1, 10, 10)), labels=LABELS))
    before = pixels(target, 3, 7)
    copy = pickle.loads(pickle.dumps(target))
    assert copy.fingerprint == target.fingerprint
    np.testing.assert_array_equal(pixels(copy, 3, 7), before)
    assert len(pickle.dumps(target)) < 4000  # what was read stays behind


def read_for_itself(target: Target) -> None:
    """Two processes that read through one open file would move each other's place in it."""
    target.read(11)
    sys.exit(0 if target.images.items.parts[0]._process in (None, os.getpid()) else 1)  # type: ignore[attr-defined]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")
def test_a_forked_process_opens_the_file_for_itself(write: Writer) -> None:
    target = open_target(write(images=IMAGES, labels=LABELS))
    target.read(2)
    child = multiprocessing.get_context("fork").Process(target=read_for_itself, args=(target,))
    child.start()
    child.join()
    assert child.exitcode == 0
    np.testing.assert_allclose(target.read(3)[0], IMAGES[3] / 255, rtol=1e-6)


def test_the_raw_digest_follows_content_and_order(write: Writer) -> None:
    changed = IMAGES.copy()
    changed[4, 0, 0] ^= 1
    target = open_target(write(images=IMAGES, labels=LABELS))
    whole, some, turned = (target.raw_digest(picks) for picks in (range(12), [1, 2], [2, 1]))
    assert len({whole, some, turned}) == 3
    fingerprint = target.fingerprint
    del target  # HDF5 does not write a file that is open
    other = open_target(write(images=changed, labels=LABELS))
    assert other.raw_digest([1, 2]) == some
    assert other.raw_digest(range(12)) != whole
    assert other.fingerprint == fingerprint  # which looks at no image


def test_string_labels_in_hdf5(tmp_path: Path) -> None:
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w") as file:
        file["scans/images"] = IMAGES[:4]
        file["labels"] = ["tumour", "healthy", "tumour", "healthy"]  # variable length
        file["fixed"] = np.array([b"b", b"a", b"b ", b"a"])  # padded
    target = open_target(path, images_key="scans/images")
    assert target.classes == ("healthy", "tumour")
    assert target.labels.tolist() == [1, 0, 1, 0]
    assert open_target(path, images_key="scans/images", labels_key="fixed").classes == ("a", "b")


def test_hdf5_keys_in_groups_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "a.h5"
    with h5py.File(path, "w") as file:
        file["scans/images"] = IMAGES
    with pytest.raises(TargetError, match="it has: scans/images"):
        open_target(path)


def test_python_objects_are_not_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    np.savez(path, images=np.array([{"a": 1}, None], dtype=object), labels=np.array([0, 1]))
    with pytest.raises(TargetError, match="'images' holds Python objects"):
        open_target(path)
    np.savez(path, images=IMAGES[:2], labels=np.array(["a", None], dtype=object))
    with pytest.raises(TargetError, match="'labels' holds Python objects"):
        open_target(path)


@pytest.mark.parametrize("name", ["a.npz", "a.h5"])
def test_damaged_files(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"this is text")
    with pytest.raises(TargetError, match="cannot read"):
        open_target(tmp_path / name)


@pytest.mark.parametrize("held", [0, 2**20])
def test_an_npz_damaged_within_an_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, held: int) -> None:
    monkeypatch.setattr(npz, "HELD_BYTES", held)
    path = tmp_path / "a.npz"
    noise = RNG.integers(0, 16, (40, 40, 40), dtype=np.uint8)  # compressible
    np.savez_compressed(path, images=noise, labels=np.arange(40) % 2)
    content = bytearray(path.read_bytes())
    content[20000:20100] = b"\xff" * 100
    path.write_bytes(content)
    target = open_target(path)
    with pytest.raises(TargetError, match="cannot read"):
        target.read(39)


@pytest.mark.parametrize(
    ("name", "split", "counts"),
    [
        ("pneumoniamnist.npz", None, [1214, 1214]),
        ("pneumoniamnist.npz", "all", [1583, 1583]),
        ("cifar10_jpeg_subset.npz", "test", [90, 86, 107, 95, 107, 113, 113, 102, 86, 101]),
    ],
)
def test_real_files_open(shared: Path, name: str, split: str | None, counts: list[int]) -> None:
    target = open_target(shared / "data" / name, split=split)
    assert np.bincount(target.labels).tolist() == counts
    image = target.read(len(target) - 1)
    assert image.ndim == 3
    assert 0 <= image.min() < image.max() <= 1


@pytest.mark.parametrize(("shape", "slices"), [((8, 32, 32, 13), 32), ((8, 13, 32, 32), 13), ((32, 32, 3, 32), 32)])
def test_volumes_that_may_have_channels_are_said(tmp_path: Path, shape: tuple[int, ...], slices: int) -> None:
    images = np.random.default_rng(0).integers(0, 255, shape, np.uint8)
    np.savez(tmp_path / "t.npz", images=images, labels=np.arange(shape[0]) % 2)
    target = open_target(tmp_path / "t.npz")
    assert target.axes == 3
    assert any(f"is a volume of {slices} slices of {shape[2]} x {shape[3]}" in note for note in target.notes)
