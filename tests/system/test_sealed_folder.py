"""Files that are believed only as they were written under their name, in folders of this user alone."""

from __future__ import annotations

import os
import random
import stat
from pathlib import Path

import pytest

from acrank.errors import OutputError
from acrank.system.sealed_folder import HEADER, SealedFolder

NAME = "kind/ab/abc.json"


@pytest.fixture
def folder(tmp_path: Path) -> SealedFolder:
    made = SealedFolder(tmp_path / "cache")
    made.write(NAME, b'{"a": 1}')
    return made


def test_what_is_written_is_read(folder: SealedFolder) -> None:
    assert folder.read(NAME) == b'{"a": 1}'
    assert folder.seal_of(NAME)
    assert list(folder.names("kind")) == [NAME]
    assert folder.read("kind/ab/other.json") is folder.seal_of("kind/ab/other.json") is None


def test_only_the_user_may_read(folder: SealedFolder) -> None:
    modes = {stat.S_IMODE(path.stat().st_mode) for path in folder.path.rglob("*") if path.is_file()}
    assert modes == {0o600}
    folders = [folder.path, *(path for path in folder.path.rglob("*") if path.is_dir())]
    assert {stat.S_IMODE(path.stat().st_mode) for path in folders} == {0o700}


def test_any_flipped_bit_is_noticed(folder: SealedFolder) -> None:
    path = folder.path / NAME
    raw = path.read_bytes()
    rng = random.Random(0)
    places = [*range(100), *(rng.randrange(len(raw)) for _ in range(40)), *range(HEADER, len(raw))]
    for place in places:
        path.write_bytes(raw[:place] + bytes([raw[place] ^ (1 << rng.randrange(8))]) + raw[place + 1 :])
        assert folder.read(NAME) is None, place
    path.write_bytes(raw)
    assert folder.read(NAME) is not None


@pytest.mark.parametrize("size", [0, 10, HEADER, HEADER + 3, 10**9])
def test_another_size_is_noticed_before_the_content_is_read(folder: SealedFolder, size: int) -> None:
    os.truncate(folder.path / NAME, size)
    assert folder.seal_of(NAME) is folder.read(NAME) is None


def test_a_file_under_another_name_is_not_believed(folder: SealedFolder) -> None:
    (folder.path / NAME).rename(folder.path / "kind/ab/other.json")
    assert folder.read("kind/ab/other.json") is None


@pytest.mark.parametrize("level", ["kind", "kind/ab", NAME])
def test_no_link_is_followed(folder: SealedFolder, tmp_path: Path, level: str) -> None:
    place = folder.path / level
    away = tmp_path / "away"
    place.rename(away)
    place.symlink_to(away)
    assert folder.read(NAME) is folder.seal_of(NAME) is None
    assert not folder.remove(NAME)
    before = {path: path.read_bytes() for path in tmp_path.rglob("away/**/*") if path.is_file()}
    if level == NAME:
        folder.write(NAME, b"new")  # takes the place of the link
        assert folder.read(NAME) == b"new"
        assert away.read_bytes().endswith(b'{"a": 1}')
    else:
        with pytest.raises(OutputError, match="Not a directory"):
            folder.write(NAME, b"new")
        assert list(folder.names("kind")) == ([] if level == "kind" else ["kind/ab"])
    assert {path: path.read_bytes() for path in tmp_path.rglob("away/**/*") if path.is_file()} == before


def test_the_folder_itself_may_be_a_link(folder: SealedFolder, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder.path)
    assert SealedFolder(tmp_path / "link").read(NAME) == b'{"a": 1}'


@pytest.mark.parametrize("level", ["", "kind", "kind/ab"])
def test_a_folder_where_everybody_may_write_is_not_used(folder: SealedFolder, level: str) -> None:
    (folder.path / level).chmod(0o777)
    assert folder.read(NAME) is None
    with pytest.raises(OutputError, match="every user may write there"):
        folder.write(NAME, b"new")
    if not level:
        with pytest.raises(PermissionError, match="every user may write there"):
            folder.open()


def test_a_folder_of_another_user_is_not_used(folder: SealedFolder) -> None:
    if os.geteuid() == 0:
        os.chown(folder.path, 65534, 65534)
    other = folder if os.geteuid() == 0 else SealedFolder(Path("/usr"))
    assert other.read(NAME) is None
    with pytest.raises(PermissionError, match="belongs to another user"):
        other.open()


@pytest.mark.parametrize("kind", ["folder", "FIFO", "nothing"])
def test_what_is_no_file_is_no_content(folder: SealedFolder, kind: str) -> None:
    place = folder.path / NAME
    place.unlink()
    if kind == "folder":
        place.mkdir()
    elif kind == "FIFO":
        os.mkfifo(place)
    assert folder.read(NAME) is None
    assert not folder.remove(NAME)
    if kind == "folder":
        with pytest.raises(OutputError, match="directory"):
            folder.write(NAME, b"new")
        assert [path for path in folder.path.rglob("*") if path.is_file()] == []  # no part is left


def test_only_files_of_its_own_are_removed(folder: SealedFolder) -> None:
    mine = {NAME, "kind/ab/.acrank-0123"}
    (folder.path / "kind/ab/.acrank-0123").write_bytes(b"")  # of a process that was killed before its first byte
    for name in ("kind/ab/theirs.json", "kind/ab/.acrank-theirs", "kind/ab/empty.json"):
        (folder.path / name).write_text("" if "empty" in name else "theirs")
    names = list(folder.names("kind"))
    assert len(names) == 5
    assert {name for name in names if folder.remove(name)} == mine
    assert list(folder.names("kind")) == sorted({*names} - mine)


def test_a_damaged_file_of_its_own_is_removed(folder: SealedFolder) -> None:
    os.truncate(folder.path / NAME, HEADER)
    assert folder.remove(NAME)
    assert list(folder.names("kind")) == []
