"""The files of a data set: ordinary files inside its folder, bounded in number, each of them once."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from acrank.errors import TargetError
from acrank.system.bounds import kernel_devices
from acrank.targets.target import first_few

#: Files and folders that are no images, where they are ten times as many as the images: the folder is no data set.
MOST_OTHERS = 100_000
_CLUTTER = frozenset({"__MACOSX", "__pycache__", "@eaDir", "lost+found"})

#: What makes two names one file: device and inode.
Identity = tuple[int, int]


@dataclass(frozen=True)
class FoundEntry:
    """A file or folder of a data set; `identity` is that of the file that a link leads to."""

    name: str
    is_folder: bool
    identity: Identity


class DataFolder:
    """A folder of images, from which nothing outside is read unless the user says so.

    A link, or a relative path with `..`, that leads outside is refused without `allow_outside`. An absolute path that
    the user wrote into a table is the user's choice. What was read from outside, and what was left out because it is
    no ordinary file, stands in `notes`.

    Args:
        root: the folder; it may itself be a link.
        allow_outside: whether links and relative paths may lead outside.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as name:
        ...     _ = (Path(name) / "a.png").write_bytes(b"")
        ...     [entry.name for entry in DataFolder(Path(name)).scan("")]
        ['a.png']
    """

    def __init__(self, root: Path, *, allow_outside: bool = False) -> None:
        self.root, self._allowed = root, allow_outside
        self._real = os.path.realpath(root)
        self._outside: set[str] = set()
        self._left_out: set[str] = set()
        self._kernel: set[str] = set()
        self._listings: dict[str, tuple[int, dict[str, os.DirEntry[str]]]] = {}
        self._folders: dict[str, bool] = {}

    def scan(self, folder: str) -> Iterator[FoundEntry]:
        """The visible files and folders in root/folder, in no order; what is neither is left out and noted.

        Raises:
            TargetError: the folder cannot be read, or a link leads outside.
        """
        path = self.root / folder
        try:
            device = path.stat().st_dev
            if os.path.realpath(path) == os.sep:  # a walk through the whole system takes minutes on a slow disk
                raise TargetError(f"{path} is the root of the system", hint="point --data at the folder of images")
            if device in kernel_devices():
                self._kernel.add(str(path))
                return
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.name[0] != "." and entry.name not in _CLUTTER and (found := self._found(entry, device)):
                        yield found
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or error
            raise TargetError(f"cannot read {path}: {reason}", hint="check the folder's permissions") from error

    def _found(self, entry: os.DirEntry[str], device: int) -> FoundEntry | None:
        if not entry.is_symlink():
            is_folder = entry.is_dir(follow_symlinks=False)
            if is_folder or entry.is_file(follow_symlinks=False):
                return FoundEntry(entry.name, is_folder, (device, entry.inode()))
        elif status := _status(entry.path):
            self._check_inside(entry.path, os.path.realpath(entry.path), is_choice=False)
            is_folder = stat.S_ISDIR(status.st_mode)
            if is_folder or stat.S_ISREG(status.st_mode):
                return FoundEntry(entry.name, is_folder, (status.st_dev, status.st_ino))
        self._left_out.add(entry.path)
        return None

    def find(self, name: str) -> Identity | None:
        """The ordinary file of this name, absolute or relative to the root; None where there is none.

        Folders are listed once, which is much faster than a look at every file.

        Raises:
            TargetError: a relative path leads outside.
        """
        folder, _, last = name.rpartition("/")
        if folder not in self._listings:
            self._listings[folder] = _listing(self.root / (folder or ("/" if name[:1] == "/" else "")))
        device, entries = self._listings[folder]
        is_choice, path = Path(name).is_absolute(), str(self.root / name)
        if (entry := entries.get(last)) and entry.is_file(follow_symlinks=False):
            if folder not in self._folders:
                self._folders[folder] = self._is_outside(os.path.realpath(self.root / folder))
            if self._folders[folder]:
                self._check_inside(path, os.path.realpath(path), is_choice=is_choice)
            return device, entry.inode()
        status = _status(path)
        if status is None or not stat.S_ISREG(status.st_mode):
            return None
        self._check_inside(path, os.path.realpath(path), is_choice=is_choice)
        return status.st_dev, status.st_ino

    def find_folder(self, name: str) -> Identity | None:
        """The folder of this name, absolute or relative to the root; None where there is none.

        Raises:
            TargetError: a relative path leads outside.
        """
        path = str(self.root / name)
        status = _status(path)
        if status is None or not stat.S_ISDIR(status.st_mode):
            return None
        self._check_inside(path, os.path.realpath(path), is_choice=Path(name).is_absolute())
        return status.st_dev, status.st_ino

    def notes(self) -> list[str]:
        """What was read from outside, and what was left out."""
        found = []
        if self._outside:
            found.append(f"{len(self._outside)} read from outside {self.root}: {first_few(sorted(self._outside), 3)}")
        if self._left_out:
            kinds = "broken links, devices, FIFOs or sockets"
            found.append(f"{len(self._left_out)} {kinds} are left out: {first_few(sorted(self._left_out), 3)}")
        if self._kernel:
            found.append(f"what the kernel shows as files is left out: {first_few(sorted(self._kernel), 3)}")
        return found

    def _is_outside(self, real: str) -> bool:
        return real != self._real and not real.startswith(self._real.rstrip(os.sep) + os.sep)

    def _check_inside(self, path: str, real: str, *, is_choice: bool) -> None:
        if not self._is_outside(real):
            return
        if not (is_choice or self._allowed):
            raise TargetError(
                f"{path} leads outside {self.root}, to {real}", hint="give --allow-outside, if that is what you want"
            )
        self._outside.add(path)


def once(images: Iterable[tuple[str, str, Identity]], notes: list[str]) -> list[tuple[str, str]]:
    """(name, label) of every image, one that has several names under the first; such names are noted.

    Args:
        images: names, labels and identities.
        notes: of the target.

    Raises:
        TargetError: one image has two labels.

    Example:
        >>> notes = []
        >>> once([("a", "x", (1, 1)), ("b", "x", (1, 1)), ("c", "y", (1, 2))], notes)
        [('a', 'x'), ('c', 'y')]
        >>> notes
        ['1 further names of the same images are left out: b (as a)']
    """
    first: dict[Identity, tuple[str, str]] = {}
    again: list[str] = []
    for name, label, identity in images:
        known, known_label = first.setdefault(identity, (name, label))
        if known_label != label:
            raise TargetError(
                f"{known} ({known_label}) and {name} ({label}) are one image with two labels",
                hint="keep the label that is right",
            )
        if known != name:
            again.append(f"{name} (as {known})")
    if again:
        notes.append(f"{len(again)} further names of the same images are left out: {first_few(again, 3)}")
    return list(first.values())


def _status(path: str) -> os.stat_result | None:
    try:
        return os.stat(path)  # noqa: PTH116 - as above
    except (OSError, ValueError):  # ValueError: a NUL in the name
        return None


def _listing(path: Path) -> tuple[int, dict[str, os.DirEntry[str]]]:
    try:
        with os.scandir(path) as entries:
            return path.stat().st_dev, {entry.name: entry for entry in entries}
    except (OSError, ValueError):
        return 0, {}  # then every image in it is reported as missing
