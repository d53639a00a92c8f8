"""Files of several pages: refused, read by their first page, or as volumes."""

from __future__ import annotations

import struct
from contextlib import nullcontext
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from PIL import Image

from acrank.errors import TargetError, UsageError
from acrank.targets import open_target
from acrank.targets.stores import images, tiff_chain

RNG = np.random.default_rng(8)
STACKS = RNG.integers(0, 256, (6, 5, 8, 7)).astype(np.uint8)


def write(folder: Path, stacks: np.ndarray, suffix: str = "tif") -> Path:
    """Two classes of files with one page per slice."""
    for place, stack in enumerate(stacks):
        path = folder / "ab"[place % 2] / f"{place}.{suffix}"
        path.parent.mkdir(parents=True, exist_ok=True)
        first, *others = [Image.fromarray(page) for page in stack]
        first.save(path, save_all=True, append_images=others)
    return folder


@pytest.mark.parametrize("suffix", ["tif", "gif"])
def test_several_pages_are_refused_when_the_folder_is_opened(tmp_path: Path, suffix: str) -> None:
    with pytest.raises(TargetError, match=r"has 5 pages") as caught:
        open_target(write(tmp_path / "f", STACKS, suffix))
    assert "--pages first" in str(caught.value.hint)


def test_the_first_page(tmp_path: Path) -> None:
    target = open_target(write(tmp_path / "f", STACKS), pages="first")
    assert target.ids[0] == "a/0.tif"
    np.testing.assert_allclose(target.read(0), STACKS[0, :1] / 255, rtol=1e-6)
    assert target.notes == ["of files of several pages the first is read"]


def test_pages_as_slices_equal_the_same_volumes_in_an_array(tmp_path: Path) -> None:
    target = open_target(write(tmp_path / "f", STACKS), pages="volume")
    order = [int(name[2]) for name in target.ids]
    np.savez(tmp_path / "v.npz", images=STACKS[order], labels=target.labels)
    twin = open_target(tmp_path / "v.npz")
    assert (target.axes, twin.axes) == (3, 3)
    for place in range(6):
        np.testing.assert_array_equal(target.read(place), twin.read(place))
    sliced, other = (
        open_target(path, slices=3, **more)
        for path, more in ((tmp_path / "f", {"pages": "volume"}), (tmp_path / "v.npz", {}))
    )
    np.testing.assert_array_equal(sliced.read(2), other.read(2))
    assert sliced.read(2).shape == (3, 8, 7)


def test_deep_pages_are_scaled_by_the_volume(tmp_path: Path) -> None:
    deep = np.tile(np.arange(2000, 2400, dtype=np.uint16).reshape(1, 5, 8, 10), (2, 1, 1, 1))
    volume = open_target(write(tmp_path / "f", deep), pages="volume").read(0)
    assert (volume.min(), volume.max()) == (0.0, 1.0)
    window = open_target(tmp_path / "f", pages="volume", intensity="window:2000,2399").read(0)
    np.testing.assert_allclose(window[0], (deep[0].astype(float) - 2000) / 399, atol=1e-6)


def test_pages_of_several_sizes_are_no_volume(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", STACKS[:2])
    pages = [Image.fromarray(np.zeros(size, np.uint8)) for size in ((8, 7), (4, 3))]
    pages[0].save(folder / "a" / "0.tif", save_all=True, append_images=pages[1:])
    target = open_target(folder, pages="volume")
    with pytest.raises(TargetError, match=r"its pages are \[4, 3\], \[8, 7\]"):
        target.read(0)
    assert open_target(folder, pages="first").read(0).shape == (1, 8, 7)


def test_a_page_larger_than_the_first_and_many_pages_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(images, "MOST_OF_IMAGE", 80 * 2**20)
    folder = write(tmp_path / "f", STACKS[:2])
    small, large = Image.new("L", (9, 9)), Image.new("L", (2500, 2500))
    small.save(folder / "a" / "0.tif", save_all=True, append_images=[large], compression="tiff_deflate")
    with pytest.raises(TargetError, match=r"page 2 would take 89\.4 MiB, more than 80\.0 MiB"):
        open_target(folder, pages="volume").read(0)
    with pytest.raises(TargetError, match=r"x would take 6\.0 GiB, more than 2\.0 GiB"):
        images.check_page(small, "x", pages=10**7)


@pytest.mark.parametrize("pages", ["first", "volume"])
def test_pages_without_end_are_not_counted(
    tmp_path: Path, pages: Literal["first", "volume"], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tiff_chain, "MOST_PAGES", 100)
    folder = write(tmp_path / "f", STACKS[:2])
    path = folder / "a" / "0.tif"
    Image.new("L", (4, 4)).save(path)
    raw = path.read_bytes()
    (at,) = struct.unpack_from("<L", raw, 4)
    (count,) = struct.unpack_from("<H", raw, at)
    directory = raw[at : at + 2 + 12 * count]
    size = len(directory) + 4
    ends = [len(raw) + (place + 1) * size for place in range(101)]
    path.write_bytes(raw + b"".join(directory + struct.pack("<L", end) for end in [*ends[:-1], 0]))
    with path.open("r+b") as file:
        file.seek(4)
        file.write(struct.pack("<L", len(raw)))
    with pytest.raises(TargetError, match=r"cannot read the .*0\.tif: it has more than 100 pages"):
        open_target(folder, pages=pages).read(0)


@pytest.mark.parametrize("big", [False, True])
def test_as_many_pages_as_are_allowed_are_read(tmp_path: Path, big: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    pages = [Image.new("L", (4, 4), value) for value in range(5)]
    pages[0].save(tmp_path / "f.tif", save_all=True, append_images=pages[1:], big_tiff=big)
    for most, fits in ((5, True), (4, False)):
        monkeypatch.setattr(tiff_chain, "MOST_PAGES", most)
        with (
            (tmp_path / "f.tif").open("rb") as file,
            nullcontext() if fits else pytest.raises(ValueError, match="more"),
        ):
            tiff_chain.check_pages(file)
            assert file.tell() == 0


def test_other_layouts_do_not_take_the_option(tmp_path: Path) -> None:
    np.savez(tmp_path / "v.npz", images=STACKS[:, 0], labels=np.arange(6) % 2)
    with pytest.raises(UsageError, match="--pages does not apply"):
        open_target(tmp_path / "v.npz", pages="first")


def test_a_file_that_was_not_looked_at_is_refused_when_read(tmp_path: Path) -> None:
    folder = write(tmp_path / "f", RNG.integers(0, 256, (200, 1, 4, 4)).astype(np.uint8))
    write(tmp_path / "g", STACKS[:1]).joinpath("a", "0.tif").rename(folder / "a" / "100.tif")
    target = open_target(folder)
    with pytest.raises(TargetError, match=r"100\.tif has 5 pages"):
        target.read(target.ids.index("a/100.tif"))
