"""Finding the images that a table names: by path, by another form of its letters, without suffix, or in any folder."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from acrank.errors import TargetError
from acrank.targets.data_folder import DataFolder, Identity
from acrank.targets.layouts.listing import suffix_of, without_suffix
from acrank.targets.layouts.missing_files import refuse_missing
from acrank.targets.stores.dicom_file import DICOM_SUFFIXES
from acrank.targets.stores.images import IMAGE_SUFFIXES
from acrank.targets.stores.stored_volumes import is_volume
from acrank.targets.target import first_few

#: So many files are looked at for names without a folder.
_MOST_FILES = 2_000_000
_VOLUME_SUFFIXES = (".nii.gz", ".nii")
_KNOWN = IMAGE_SUFFIXES | DICOM_SUFFIXES | frozenset({".nii", ".gz"})


def find_images(
    data: DataFolder,
    cells: Sequence[str],
    *,
    where: str,
    notes: list[str],
    other: Callable[[DataFolder, str], Identity | None],
    bad_images: str | None = None,
) -> list[tuple[str, Identity] | None]:
    """The path below the data's folder, and the identity, of every image that a table names; None of a missing one.

    A cell is a path; where there is no such file, the same name in another Unicode form, or with the (other) suffix of
    an image; and where there is still none, the only file of this name in any folder below.

    Args:
        data: the folder that paths are relative to.
        cells: as the table has them, with forward slashes.
        where: the table, for messages.
        notes: how many were found in which way is added.
        other: finds what is no file but an image, too: a folder of slices.
        bad_images: what the user says is done about images that cannot be read; None refuses missing ones.

    Raises:
        TargetError: images that are missing, outside, or names that several files have.
    """
    folders = _Folders(data.root)
    found: dict[str, tuple[str, Identity] | None] = {}
    for cell in cells:
        identity = (data.find(cell) or other(data, cell)) if cell else None
        found[cell] = (cell, identity) if identity else _identified(data, folders.look_up(cell))
    absent = [cell for cell, one in found.items() if one is None]
    if absent:
        below = _Below(data)
        found.update({cell: _identified(data, below.look_up(cell, where)) for cell in absent})
        missing = [cell for cell in cells if found[cell] is None]
        _refuse_absent(missing, len(cells), data=data, where=where, first=below.first, rule=bad_images)
        by_name = sum(found[cell] is not None for cell in absent)
        below_what = f"in the folders below {data.root.name or data.root}"
        notes += [f"{by_name} images are found by their name {below_what}"] if by_name else []
    named = [(suffix_of(cell), suffix_of(one[0])) for cell, one in found.items() if one]
    bare = [stored for said, stored in named if said != stored and said not in _KNOWN]
    swapped = [pair for pair in named if pair[0] != pair[1] and pair[0] in _KNOWN]
    notes += [f"{len(bare)} images are named without their suffix ({bare[0]})"] if bare else []
    notes += [f"{len(swapped)} images are named with {swapped[0][0]} and found as {swapped[0][1]}"] if swapped else []
    return [found[cell] for cell in cells]


def _identified(data: DataFolder, path: str | None) -> tuple[str, Identity] | None:
    identity = data.find(path) if path else None
    return (path, identity) if path and identity else None


class _Folders:
    """Names looked up folder by folder, which is much faster than file by file."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._names: dict[str, dict[str, str]] = {}

    def look_up(self, cell: str) -> str | None:
        folder, slash, last = cell.rpartition("/")
        for form in dict.fromkeys((folder, *(unicodedata.normalize(kind, folder) for kind in ("NFC", "NFD")))):
            known = self._in(form)
            name = known.get(last) or known.get(_plain(last)) or known.get(_plain(_image_stem(last)))
            if name is not None:
                return f"{form}{slash}{name}"
        return None

    def _in(self, folder: str) -> dict[str, str]:
        """What a file may be called -> its name."""
        if folder not in self._names:
            self._names[folder] = _called(_files_in(self._root / folder))
        return self._names[folder]


class _Below:
    """All images below a folder by their names; of a folder that is no data set, those among the first files."""

    def __init__(self, data: DataFolder) -> None:
        self._paths: dict[str, list[str]] = {}
        self.first = ""
        for path in islice(_files_below(data.root), _MOST_FILES):
            if suffix_of(path) in IMAGE_SUFFIXES | DICOM_SUFFIXES or is_volume(path):
                last = path.rpartition("/")[2]
                self.first = self.first or path
                for name in {_plain(last), _plain(_stem(last))}:
                    self._paths.setdefault(name, []).append(path)

    def look_up(self, cell: str, where: str) -> str | None:
        last = cell.rpartition("/")[2]
        paths = self._paths.get(_plain(last), []) or self._paths.get(_plain(_image_stem(last)), [])
        ending = _plain(f"/{_stem(cell)}")
        fitting = [path for path in paths if _plain(f"/{_stem(path)}").endswith(ending)]
        if "/" in cell or len(paths) < 2:
            paths = fitting
        if len(paths) > 1:
            raise TargetError(
                f"{where}: several files are called {cell}: {first_few(sorted(paths), 3)}",
                hint="write the paths, or say --image-root",
            )
        return paths[0] if paths else None


def _refuse_absent(
    absent: Sequence[str], count: int, *, data: DataFolder, where: str, first: str, rule: str | None
) -> None:
    names = first_few([name or "(an empty path)" for name in sorted(absent)], 3)
    there = f"; there is {first}" if first else "; no images lie there"
    refuse_missing(
        absent,
        count,
        rule=rule,
        message=f"{where}: {len(absent)} of {count} images are missing: {names}",
        hint=f"paths are relative to {data.root}, with or without suffix{there}; --image-root names another folder",
    )


def _called(names: Sequence[str]) -> dict[str, str]:
    """What a file may be called -> its name; stems of two images are no names."""
    found: dict[str, str] = {}
    twice = set()
    for name in names:
        stem = _plain(_stem(name))
        if suffix_of(name) in IMAGE_SUFFIXES | DICOM_SUFFIXES or is_volume(name):
            twice.update([stem] if stem in found else [])
            found[stem] = name
    for stem in twice:
        del found[stem]
    found.update({_plain(name): name for name in names})
    found.update({name: name for name in names})
    return found


def _image_stem(name: str) -> str:
    """A name without the suffix of an image, which a converted copy has another of; other names as they are."""
    return _stem(name) if suffix_of(name) in IMAGE_SUFFIXES | DICOM_SUFFIXES or is_volume(name) else name


def _stem(name: str) -> str:
    low = name.lower()
    return next((name[: -len(end)] for end in _VOLUME_SUFFIXES if low.endswith(end)), without_suffix(name))


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name)


def _files_in(folder: Path) -> list[str]:
    try:
        with os.scandir(folder) as found:
            return [entry.name for entry in found if not entry.is_dir()]
    except (OSError, ValueError):
        return []  # then every image in it is reported as missing


def _files_below(root: Path) -> Iterator[str]:
    """The visible files below a folder; links to folders, and what cannot be read, are passed over."""
    for here, folders, files in os.walk(root):
        folders[:] = sorted(name for name in folders if name[0] != ".")
        start = Path(here).relative_to(root).as_posix()
        yield from (name if start == "." else f"{start}/{name}" for name in sorted(files) if name[0] != ".")
