"""What lies outside a data set, never ends, or has two names: refused or left out, in folders and tables alike."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from helpers.workbench import Outcome
from PIL import Image

from acrank.errors import TargetError
from acrank.targets import data_folder, open_target

Run = Callable[..., Outcome]


def image(path: Path, value: int = 0) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((4, 5), value, np.uint8)).save(path)
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for name in ("cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png"):
        image(tmp_path / "pets" / name)
    return tmp_path / "pets"


def table(folder: Path, *lines: str, header: str = "path,label") -> Path:
    path = folder / "t.csv"
    path.write_text("\n".join([header, *lines, ""]))
    return path


ROWS = ("cat/a.png,cat", "cat/b.png,cat", "dog/c.png,dog", "dog/d.png,dog")


def test_links_that_lead_outside_are_refused_unless_asked_for(pets: Path) -> None:
    outside = image(pets.parent / "secret" / "x.png")
    (pets / "cat" / "x.png").symlink_to(outside)
    (pets / "cat" / "more").symlink_to(outside.parent)
    with pytest.raises(TargetError, match=r"leads outside .*pets, to .*secret") as caught:
        open_target(pets)
    assert "--allow-outside" in str(caught.value.hint)
    (pets / "cat" / "x.png").unlink()
    target = open_target(pets, allow_outside=True)
    assert "cat/more/x.png" in target.ids
    assert any(note.startswith("1 read from outside") for note in target.notes)


@pytest.mark.parametrize("spelling", ["../secret/x.png", "cat/../../secret/x.png", "linked/x.png", "cat/x.png"])
def test_a_table_leads_outside_only_by_an_absolute_path(pets: Path, spelling: str) -> None:
    outside = image(pets.parent / "secret" / "x.png")
    (pets / "linked").symlink_to(outside.parent)
    (pets / "cat" / "x.png").symlink_to(outside)
    with pytest.raises(TargetError, match="leads outside"):
        open_target(table(pets, *ROWS, f"{spelling},cat"))
    assert len(open_target(table(pets, *ROWS, f"{spelling},cat"), allow_outside=True)) == 5
    target = open_target(table(pets, *ROWS, f"{outside},cat"))
    assert target.notes == [f"1 read from outside {pets}: {outside}"]


def test_masks_outside_are_refused(tmp_path: Path) -> None:
    for name in "ab":
        image(tmp_path / "t" / "images" / f"{name}.png")
    image(tmp_path / "secret" / "a.png", 1)
    (tmp_path / "t" / "masks").mkdir()
    for name in "ab":
        (tmp_path / "t" / "masks" / f"{name}.png").symlink_to(tmp_path / "secret" / "a.png")
    with pytest.raises(TargetError, match="leads outside"):
        open_target(tmp_path / "t")


def test_what_is_no_ordinary_file_is_left_out_and_counted(pets: Path) -> None:
    os.mkfifo(pets / "cat" / "fifo.png")
    (pets / "cat" / "loop.png").symlink_to("loop.png")
    (pets / "dog" / "lost.png").symlink_to("nowhere.png")
    (pets / "round").symlink_to("round")
    target = open_target(pets)
    assert len(target) == 4
    assert any(note.startswith("4 broken links, devices, FIFOs or sockets are left out") for note in target.notes)


@pytest.mark.parametrize("name", ["fifo.png", "loop.png", "zero.png", "a\0b.png", "x" * 5000])
def test_a_table_that_names_no_ordinary_file(pets: Path, name: str) -> None:
    os.mkfifo(pets / "fifo.png")
    (pets / "loop.png").symlink_to("loop.png")
    (pets / "zero.png").symlink_to("/dev/zero")
    with pytest.raises(TargetError, match=r"1 of 5 images are missing"):
        open_target(table(pets, *ROWS, f"{name},cat"))


SPELLINGS = ["./cat/a.png", "cat/../cat/a.png", "cat//a.png", "link.png", "hard.png", "cat/a.png", "cats/a.png"]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_one_image_by_two_spellings_counts_once(pets: Path, spelling: str) -> None:
    (pets / "link.png").symlink_to("cat/a.png")
    (pets / "hard.png").hardlink_to(pets / "cat" / "a.png")
    (pets / "cats").symlink_to("cat")
    target = open_target(table(pets, *ROWS, f"{spelling},cat"))
    assert target.ids == ("cat/a.png", "cat/b.png", "dog/c.png", "dog/d.png")
    assert target.notes[0].startswith("1 further names of the same images are left out: row 6 ")
    with pytest.raises(TargetError, match=r"row 2 cat/a\.png \(cat\) and row 6 .* \(dog\) are one image"):
        open_target(table(pets, *ROWS, f"{spelling},dog"))


def test_one_image_in_two_classes(pets: Path) -> None:
    (pets / "cat" / "again.png").hardlink_to(pets / "cat" / "a.png")
    assert len(open_target(pets)) == 4
    (pets / "dog" / "again.png").symlink_to("../cat/a.png")
    with pytest.raises(TargetError, match="one image with two labels"):
        open_target(pets)


def test_huge_folders_end_with_an_error_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data_folder, "MOST_OTHERS", 50)
    from acrank.targets.layouts import class_folders

    monkeypatch.setattr(class_folders, "MOST_OTHERS", 50)
    for place in range(60):
        (tmp_path / "a" / str(place)).mkdir(parents=True)
    (tmp_path / "b").mkdir()
    with pytest.raises(TargetError, match="more than 50 files and folders that are no images"):
        open_target(tmp_path)


@pytest.mark.parametrize("path", ["/", "x" * 5000, "/dev/zero", "/dev/stdin", "/proc"])
def test_paths_that_are_no_data_set(acrank: Run, path: str) -> None:
    started = time.monotonic()
    done = acrank("score", "--data", path)
    assert done.code == 3
    assert done.err.startswith("error: ")
    assert time.monotonic() - started < 20


@pytest.mark.parametrize("root", ["/", "//", "/tmp/..", "root"])
def test_the_root_of_the_system_is_not_walked(tmp_path: Path, root: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "root").symlink_to("/")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "scandir", lambda path: pytest.fail(f"{path} is read"))
    with pytest.raises(TargetError, match="is the root of the system"):
        next(data_folder.DataFolder(Path(root)).scan(""))


def test_a_path_with_a_nul() -> None:
    with pytest.raises(TargetError, match="cannot read"):
        open_target("a\0b")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path,label\n" + "a" * 3 * 2**20, "a row of more than|field larger"),
        ("path,label" + "," * 3 * 2**20, "a row of more than"),
        ("path,label\n" + '"\n",' * 2**20, "a row of more than"),
    ],
)
def test_tables_of_enormous_width(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "t.csv").write_text(text)
    with pytest.raises(TargetError, match=message):
        open_target(tmp_path / "t.csv")


def test_labels_of_enormous_length(pets: Path) -> None:
    with pytest.raises(TargetError, match="the label in row 3 has more than 256 characters"):
        open_target(table(pets, ROWS[0], "cat/b.png," + "x" * 1000))


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="no such file system here")
def test_what_the_kernel_shows_as_files_is_not_read() -> None:
    """Some of it blocks whoever reads it, and its links lead round in circles."""
    data = data_folder.DataFolder(Path("/sys"))
    assert list(data.scan("kernel")) == []
    assert data.notes() == ["what the kernel shows as files is left out: /sys/kernel"]


def test_a_folder_that_may_no_longer_be_read_is_an_error_of_the_data(
    pets: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions may change while it is opened; the superuser, who runs many tests, is never refused."""

    def refused(folder: Path) -> Iterator[Path]:
        raise PermissionError(errno.EACCES, "Permission denied", str(folder))

    monkeypatch.setattr(Path, "iterdir", refused)
    with pytest.raises(TargetError, match=r"cannot read .*pets: Permission denied"):
        open_target(pets)
