"""Images that a table names without suffix, without folder, or in another Unicode form."""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest
from PIL import Image

from acrank.errors import TargetError
from acrank.targets import open_target


def images(root: Path, *names: str) -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (2, 2)).save(root / name)
    return root


def table(folder: Path, *cells: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{cell},{'xy'[place % 2]}" for place, cell in enumerate(cells)]
    (folder / "t.csv").write_text("\n".join(["image,label", *rows]), encoding="utf-8")
    return folder / "t.csv"


@pytest.mark.parametrize("suffix", [".png", ".JPG", ".tiff", ".jpeg"])
def test_ids_without_suffix(tmp_path: Path, suffix: str) -> None:
    images(tmp_path, f"img/a{suffix}", f"img/b.1{suffix}")
    target = open_target(table(tmp_path, "img/a", "img/b.1"))
    assert target.ids == (f"img/a{suffix}", f"img/b.1{suffix}")
    assert target.notes[0] == f"2 images are named without their suffix ({suffix.lower()})"


def test_bare_names_are_found_in_the_folders_below(tmp_path: Path) -> None:
    images(tmp_path, "part_1/a.png", "part_2/deep/b.png")
    assert open_target(table(tmp_path, "a", "b.png")).ids == ("part_1/a.png", "part_2/deep/b.png")


def test_an_image_root(tmp_path: Path) -> None:
    images(tmp_path / "elsewhere", "train/a.png", "train/b.png")
    path = table(tmp_path / "tables", "a", "b")
    with pytest.raises(TargetError, match="2 of 2 images are missing: a, b") as caught:
        open_target(path)
    assert "--image-root" in str(caught.value.hint)
    target = open_target(path, image_root=str(tmp_path / "elsewhere" / "train"))
    assert (target.ids, target.read(0).shape) == (("a.png", "b.png"), (1, 2, 2))
    assert open_target(path, image_root=str(tmp_path / "elsewhere")).ids == ("train/a.png", "train/b.png")


def test_paths_of_another_machine_end_alike(tmp_path: Path) -> None:
    images(tmp_path / "small", "valid/p1/view.png", "valid/p2/view.png")
    path = table(tmp_path, "p1/view.png", "p2/view.png")
    assert open_target(path, image_root=str(tmp_path)).ids == ("small/valid/p1/view.png", "small/valid/p2/view.png")


@pytest.mark.parametrize("stored", ["NFC", "NFD"])
@pytest.mark.parametrize("word", ["müller", "Zoë", "한글", "é/à"])
def test_names_in_another_unicode_form(tmp_path: Path, stored: str, word: str) -> None:
    written = "NFD" if stored == "NFC" else "NFC"
    images(tmp_path, *(unicodedata.normalize(stored, f"img/{word}_{place}.png") for place in range(2)))  # type: ignore[arg-type]
    path = table(tmp_path, *(unicodedata.normalize(written, f"img/{word}_{place}.png") for place in range(2)))  # type: ignore[arg-type]
    target = open_target(path)
    assert target.read(1).shape == (1, 2, 2)
    assert target.ids[0] == unicodedata.normalize(stored, f"img/{word}_0.png")  # type: ignore[arg-type]


def test_names_that_several_files_have_are_refused(tmp_path: Path) -> None:
    images(tmp_path, "one/a.png", "two/a.png", "one/b.png")
    with pytest.raises(TargetError, match=r"several files are called a: one/a\.png, two/a\.png"):
        open_target(table(tmp_path, "a", "b"))
    images(tmp_path, "c/a.png", "c/a.jpg", "c/b.png")
    with pytest.raises(TargetError, match="several files are called c/a"):
        open_target(table(tmp_path, "c/a", "c/b"))


def test_two_rows_of_one_image_are_refused(tmp_path: Path) -> None:
    images(tmp_path, "a.png", "b.png")
    with pytest.raises(TargetError, match="are one image with two labels"):
        open_target(table(tmp_path, "a", "a.png", "b"))
