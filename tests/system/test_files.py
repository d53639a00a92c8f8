"""Files appear whole or not at all, and errors come before the work."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path

import pytest

from acrank.errors import OutputError
from acrank.system import files
from acrank.system.files import atomic_write, check_writable, open_regular, sha256_of


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_text_and_bytes_are_written_as_they_are(tmp_path: Path) -> None:
    atomic_write(tmp_path / "text", "é\r\n日本\n")
    atomic_write(tmp_path / "bytes", b"\x00\xff")
    assert (tmp_path / "text").read_bytes() == "é\r\n日本\n".encode()
    assert (tmp_path / "bytes").read_bytes() == b"\x00\xff"
    assert names(tmp_path) == ["bytes", "text"]


def test_an_old_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text("a long old text")
    with path.open() as reader:
        atomic_write(path, "new")
        assert reader.read() == "a long old text"
    assert path.read_text() == "new"


def test_bytes_that_no_encoding_knew_become_escapes(tmp_path: Path) -> None:
    """A folder named in Latin-1 reaches Python as lone surrogates; the result must not be lost for it."""
    atomic_write(tmp_path / "run.json", '{"data": "b\udcfcsi"}')
    assert (tmp_path / "run.json").read_bytes() == b'{"data": "b\\udcfcsi"}'


@pytest.mark.parametrize("broken", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_write_that_fails_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, broken: str, error: BaseException
) -> None:
    def fail(*_: object) -> None:
        raise error

    path = tmp_path / "run.json"
    path.write_text("old")
    monkeypatch.setattr(os, "fsync", fail) if broken == "fsync" else monkeypatch.setattr(Path, "replace", fail)
    expected = OutputError if isinstance(error, OSError) else KeyboardInterrupt
    with pytest.raises(expected):
        atomic_write(path, "new", durable=True)
    assert path.read_text() == "old"
    assert names(tmp_path) == ["run.json"]


def test_a_new_file_has_the_rights_that_the_umask_gives(tmp_path: Path) -> None:
    old = os.umask(0o027)
    try:
        atomic_write(tmp_path / "file", "")
        assert os.umask(0o027) == 0o027
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == 0o640


@pytest.mark.parametrize("check", [check_writable, lambda path: atomic_write(path, "text")])
def test_places_that_cannot_be_written_are_refused(tmp_path: Path, check) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "folder").mkdir()
    for path in (
        tmp_path / "missing" / "run.json",
        tmp_path / "file" / "run.json",
        tmp_path / "folder",
        tmp_path / ("n" * 300),
    ):
        with pytest.raises(OutputError, match="cannot write") as caught:
            check(path)
        assert str(path) in caught.value.message
        assert caught.value.hint
    assert names(tmp_path) == ["file", "folder"]


@pytest.mark.skipif(not Path("/proc/self").is_dir(), reason="needs a folder that nobody may write")
@pytest.mark.parametrize("check", [check_writable, lambda path: atomic_write(path, "text")])
def test_a_folder_that_refuses_files_is_refused(check) -> None:
    with pytest.raises(OutputError, match=r"cannot write /proc/run\.json"):
        check(Path("/proc/run.json"))


def test_checking_leaves_no_trace(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text("old")
    check_writable(tmp_path / "new.json")
    check_writable(tmp_path / "old.json")
    assert names(tmp_path) == ["old.json"]
    assert (tmp_path / "old.json").read_text() == "old"


def test_names_as_long_as_the_file_system_allows(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 250 + ".json")
    check_writable(path)
    atomic_write(path, "text")
    assert path.read_text() == "text"


@pytest.mark.parametrize("name", ["fifo", "folder", "zero"])
def test_only_ordinary_files_are_opened_and_nothing_is_waited_for(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "zero").symlink_to("/dev/zero")
    (tmp_path / "file").write_bytes(b"x")
    with open_regular(tmp_path / "file") as file:
        assert file.read() == b"x"
    with pytest.raises(OSError, match=r"not an ordinary file|Is a directory"):
        open_regular(tmp_path / name)


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"abc" * 100_000)
    assert sha256_of(tmp_path / "file") == hashlib.sha256(b"abc" * 100_000).hexdigest()


def test_a_settled_file_is_hashed_once_until_it_changes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[Path] = []
    digest = files._digest
    monkeypatch.setattr(files, "_digest", lambda path: reads.append(path) or digest(path))
    path = tmp_path / "file"
    path.write_bytes(b"old")
    assert sha256_of(path) == sha256_of(path) == hashlib.sha256(b"old").hexdigest()
    assert len(reads) == 2  # it is too young to be trusted
    monkeypatch.setattr(files, "SETTLED_SECONDS", -1.0)
    assert sha256_of(path) == sha256_of(path) == hashlib.sha256(b"old").hexdigest()
    assert len(reads) == 3
    atomic_write(path, b"new")
    assert sha256_of(path) == hashlib.sha256(b"new").hexdigest()
