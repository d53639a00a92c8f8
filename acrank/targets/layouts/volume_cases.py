"""The cases that a dataset.json names or that lie in nnU-Net's folders: files of their channels, and their masks."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from acrank.errors import TargetError
from acrank.targets.label_spelling import composed
from acrank.targets.layouts.dataset_json import NAME
from acrank.targets.stores.images import IMAGE_SUFFIXES
from acrank.targets.stores.stored_volumes import VOLUME_SUFFIXES
from acrank.targets.target import first_few

_CHANNEL = re.compile(r"_(\d{4})$")
_LISTS = ("validation", "val", "testing", "test")


@dataclass(frozen=True)
class Case:
    """One case: the files of its channels in order, and the file of its mask, below the folder."""

    images: tuple[str, ...]
    mask: str


@dataclass(frozen=True)
class Cases:
    """Named cases, and remarks on what was left out."""

    named: dict[str, Case]
    notes: tuple[str, ...] = ()


def listed_cases(path: Path, about: dict[str, Any], channels: int | None) -> Cases:
    """The cases of a `training` list; an image may be a list of files, one per channel.

    A file that is not there is looked for as nnU-Net v1 names it, with _0000 for its first channel.

    Raises:
        TargetError: an entry is no pair, points outside the folder, or is listed twice.
    """
    entries = about["training"]
    labelled = [entry for entry in entries if not _lacks_label(entry)]
    cases = [_entry(path, entry, channels) for entry in labelled]
    names = [_stem(case.images[0]) for case in cases]
    if len(set(names)) < len(names):  # such as patient1/scan.nii.gz and patient2/scan.nii.gz
        names = [case.images[0] for case in cases]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise TargetError(f"{path / NAME} lists an image twice: {first_few(twice, 3)}", hint="name each case once")
    left = [entry for entry in entries if _lacks_label(entry)]
    keys = sorted(map(str, set(left[0]) - {"image", "label"})) if left else []
    has = f" (they have {first_few(keys)})" if keys else ""
    notes = [f"{len(left)} cases without a label are left out{has}"] if left else []
    notes += _not_listed(path, about, cases)
    others = {key: len(about[key]) for key in _LISTS if isinstance(about.get(key), list) and about[key]}
    notes += [f"lists beside `training` are left out: {name} ({count})" for name, count in others.items()]
    return Cases(dict(zip(names, cases, strict=True)), tuple(notes))


def mapped_cases(path: Path, about: dict[str, Any]) -> Cases:
    """The cases of nnU-Net v2's `dataset` mapping: name -> `images`, a list of files, and `label`.

    Raises:
        TargetError: an entry has another form, or points outside the folder.
    """
    cases = {}
    for name, entry in about["dataset"].items():
        images = entry.get("images") if isinstance(entry, dict) else None
        pair = {"image": images, "label": entry.get("label")} if images else entry
        cases[str(name)] = _entry(path, pair, None)
    return Cases(cases)


def folder_cases(path: Path, about: dict[str, Any], *, ending: str, channels: int) -> Cases:
    """The cases of nnU-Net's imagesTr and labelsTr: CASE_0000, CASE_0001, … and CASE.

    A single channel may lack its _0000. What lies there beside is named in the notes.

    Raises:
        TargetError: a folder cannot be read, or holds no masks of that ending.
    """
    images, masks = ([name.removesuffix(ending) for name in _names(path / part, ending)] for part in _FOLDERS)
    if not masks:
        others = first_few(sorted({_ending(name) or name for name in _names(path / "labelsTr", "")}))
        raise TargetError(
            f"no volumes in {path}: file_ending is {ending}, labelsTr holds {others or 'nothing'}",
            hint="correct file_ending in dataset.json",
        )
    have = set(images)
    cases, bare = {}, []
    for stem in masks:
        numbered = [name for channel in range(channels) if (name := f"{stem}_{channel:04d}") in have]
        if not numbered and channels == 1 and stem in have:
            bare.append(stem)
            numbered = [stem]
        # a single colour file holds all channels; a file that lacks is named when the files are looked up
        wanted = numbered if len(numbered) == 1 or not numbered else [f"{stem}_{c:04d}" for c in range(channels)]
        files = tuple(f"imagesTr/{name}{ending}" for name in wanted or [f"{stem}_0000"])
        cases[stem] = Case(files, f"labelsTr/{stem}{ending}")
    used = {PurePosixPath(name).name.removesuffix(ending) for case in cases.values() for name in case.images}
    notes = _left_out(images, used, masks=set(masks), channels=channels)
    odd = sorted(name for name in _names_in(path / "imagesTr") if _ending(name) not in ("", ending))
    if odd:
        notes.append(f"{len(odd)} files in imagesTr that are not {ending} are left out: {first_few(odd, 3)}")
    if bare:
        notes.append(f"{len(bare)} images lack _0000 in their names: {first_few(bare, 3)}")
    listed = about.get("numTraining")
    if isinstance(listed, int) and listed != len(cases):
        notes.append(f"dataset.json has numTraining {listed}, labelsTr holds {len(cases)}: all are read")
    return Cases(cases, tuple(notes))


_FOLDERS = ("imagesTr", "labelsTr")


def _left_out(images: Iterable[str], used: set[str], *, masks: set[str], channels: int) -> list[str]:
    """Notes on images that no case reads: further channels, and images without a mask."""
    rest = sorted(set(images) - used)
    further = [name for name in rest if _CHANNEL.sub("", name) in masks]
    alone = sorted({_CHANNEL.sub("", name) for name in rest} - masks)
    notes = []
    if further:
        told = "one channel" if channels == 1 else f"{channels} channels"
        notes.append(
            f"{len(further)} files of further channels are left out, dataset.json names {told}: {first_few(further, 3)}"
        )
    if alone:
        notes.append(f"{len(alone)} cases without a mask in labelsTr are left out: {first_few(alone, 3)}")
    return notes


def _not_listed(path: Path, about: dict[str, Any], cases: Iterable[Case]) -> list[str]:
    """A note on images that lie in the folders of those listed, and are named nowhere."""
    named = {composed(_stem(name.replace("\\", "/"))) for name in _texts(about)}
    folders = {name.rpartition("/")[0] for case in cases for name in case.images}
    there = [f"{folder}/{name}".lstrip("/") for folder in folders for name in _names_in(path / folder) if _ending(name)]
    rest = sorted(name for name in there if composed(_stem(name)) not in named)
    return [f"{len(rest)} files beside those listed are left out: {first_few(rest, 3)}"] if rest else []


def _texts(value: Any) -> Iterator[str]:
    """All texts in plain data."""
    waiting = [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, str):
            yield one
        elif isinstance(one, dict | list):
            waiting += one.values() if isinstance(one, dict) else one


def as_stored(path: Path, cases: dict[str, Case]) -> dict[str, Case]:
    """The cases with names as their files have them, whose letters may be in another Unicode form.

    >>> as_stored(Path("x"), {"a": Case(("a.nii",), "b.nii")})
    {'a': Case(images=('a.nii',), mask='b.nii')}
    """
    if all(name.isascii() for case in cases.values() for name in (*case.images, case.mask)):
        return cases

    def stored(name: str) -> str:
        forms = (unicodedata.normalize(form, name) for form in ("NFC", "NFD"))
        return next((form for form in (name, *forms) if (path / form).exists()), name)

    return {one: Case(tuple(stored(name) for name in case.images), stored(case.mask)) for one, case in cases.items()}


def folders_beside(path: Path, cases: Iterable[Case]) -> list[str]:
    """A note on folders of volumes or images with masks that no case is from, such as imagesVal."""
    used = {name.partition("/")[0] for case in cases for name in (*case.images, case.mask)}
    others = sorted(one.name for one in path.iterdir() if one.name not in used and _may_hold_cases(one))
    return [f"folders beside are left out: {first_few(others)}"] if others else []


def _may_hold_cases(folder: Path) -> bool:
    return folder.is_dir() and folder.name[0] != "." and any(_ending(name) for name in _names_in(folder))


def _names_in(folder: Path) -> list[str]:
    """Visible names in a folder, none where it cannot be read: what is needed of it is reported then."""
    try:
        return [entry.name for entry in folder.iterdir() if entry.name[0] != "."]
    except OSError:
        return []


def _lacks_label(entry: Any) -> bool:
    return isinstance(entry, dict) and "image" in entry and not entry.get("label")


def _entry(path: Path, entry: Any, channels: int | None) -> Case:
    """A case of a pair of an image, or several, and a label."""
    image, label = (entry.get("image"), entry.get("label")) if isinstance(entry, dict) else (None, None)
    images = image if isinstance(image, list) else [image]
    label = label[0] if isinstance(label, list) and len(label) == 1 else label
    if not images or not all(isinstance(name, str) for name in (*images, label)):
        raise TargetError(
            f"{path / NAME}: {str(entry)[:120]} is not a pair",
            hint="give `image`, one path or a list with one per channel, and `label`, one path",
        )
    names = [_below(path, str(name)) for name in images]
    if len(names) == 1 and not (path / names[0]).exists():
        names = _numbered_files(path, names[0], channels)
    return Case(tuple(names), _below(path, str(label)))


def _numbered_files(path: Path, name: str, channels: int | None) -> list[str]:
    """The files that nnU-Net v1 means by a name without _0000; the name itself if there are none."""
    ending = _ending(name)
    stem = name.removesuffix(ending)
    found = [f"{stem}_{channel:04d}{ending}" for channel in range(channels or 1)]
    return found if all((path / one).is_file() for one in found) else [name]


def _below(path: Path, name: str) -> str:
    """A path below the folder; of a path from another machine, its last two parts if they are there."""
    pure = PurePosixPath(name.replace("\\", "/"))
    tail = PurePosixPath(*pure.parts[-2:])
    if pure.is_absolute() and (path / tail).exists():
        return tail.as_posix()
    if pure.is_absolute() or ".." in pure.parts:
        raise TargetError(f"{path / NAME} points outside its folder: {name}", hint="use paths below it")
    return pure.as_posix()


def _stem(name: str) -> str:
    last = name[name.rfind("/") + 1 :]
    return _CHANNEL.sub("", last.removesuffix(_ending(last)))


def _ending(name: str) -> str:
    known = (*VOLUME_SUFFIXES, *IMAGE_SUFFIXES)
    return next((name[-len(suffix) :] for suffix in known if name.lower().endswith(suffix)), "")


def _names(folder: Path, ending: str) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.name[0] != "." and entry.name.endswith(ending))
    except OSError as error:
        raise TargetError(
            f"cannot read {folder}: {error.strerror}", hint="nnU-Net's images lie in imagesTr, its masks in labelsTr"
        ) from error
