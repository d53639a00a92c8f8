"""Which level of a tree of folders holds the classes: above are splits and groups, below are parts of a class."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from acrank.errors import TargetError
from acrank.targets.data_folder import DataFolder, FoundEntry, Identity
from acrank.targets.layouts.listing import entries, suffix_of
from acrank.targets.split_names import choose_splits, split_kind
from acrank.targets.stores.dicom_file import DICOM_SUFFIXES
from acrank.targets.stores.images import IMAGE_SUFFIXES
from acrank.targets.stores.stored_volumes import is_volume
from acrank.targets.target import first_few

#: A class folder: its path below the target, its class, and its group, "" without groups.
ClassFolder = tuple[str, str, str]

_GROUP_WORDS = "patient|subject|subj|sub|pat|case|person|donor|site|hospital|cent(?:er|re)|clinic|scanner|group|cohort"
_GROUP = re.compile(rf"(?:{_GROUP_WORDS}|p)[ _-]?(?:[0-9]+|[A-Za-z])|[0-9]{{3,}}", re.IGNORECASE)
_PART = re.compile(r"(?P<stem>.*(?:part|images?|imgs?|batch|chunk|shard|archive|folder))[ _-]?[0-9]+", re.IGNORECASE)
_OVERRULE = "--class-folders top or bottom"


def class_folders(data: DataFolder, split: str | None, *, level: str | None, notes: list[str]) -> list[ClassFolder]:
    """The class folders of the chosen splits.

    Args:
        data: the target's folder.
        split: of the target's options.
        level: "top": the first folders below a split are classes; "bottom": those that hold images, however deep; None
            tells from the folders' names, and refuses what may be either.
        notes: what was left out or assumed is added.

    Raises:
        TargetError: an unknown split, no class folders in a split, or folders that may be classes or groups.
    """
    path = data.root
    folders, _ = entries(data)
    splits = _split_folders(data, folders)
    chosen = choose_splits(split, splits, path=path, notes=notes)
    beside = sorted(set(folders) - set(splits))
    if chosen and beside:
        notes.append(f"folders beside the splits are left out: {first_few(beside)}")
    roots = [f"{part}/" for part in chosen] or [""]
    tops = [(root, name) for root in roots for name in (entries(data, root.rstrip("/"))[0] if root else folders)]
    _refuse_parts(data, [name for _, name in tops], level)
    inside = {f"{root}{name}": _folders_only(data, f"{root}{name}") for root, name in tops}
    if level == "bottom":
        return _bottom(data, tops)
    if level == "top" or not all(inside.values()):
        return _top(path, tops, split=split, chosen=bool(chosen), notes=notes)
    return _told(data, tops, inside, split=split, notes=notes)


def _told(
    data: DataFolder, tops: list[tuple[str, str]], inside: dict[str, list[str]], *, split: str | None, notes: list[str]
) -> list[ClassFolder]:
    """The class folders where every top folder holds folders only."""
    path = data.root
    counts = Counter(name for names in inside.values() for name in names)
    tops_named = sorted({name for _, name in tops})
    if all(split_kind(name) for name in counts):
        parts = choose_splits(split, list(counts), path=path, notes=notes)
        return [
            (f"{root}{name}/{part}", name, "") for root, name in tops for part in parts if part in inside[root + name]
        ]
    repeated = [name for name, count in counts.items() if count > 1]
    if len(tops_named) < 2 or not repeated or 2 * len(repeated) < len(counts):
        merged = len(counts)
        if merged > len(tops_named) and _holds_images(data, f"{tops[0][0]}{tops[0][1]}"):
            notes.append(
                f"{merged} folders within the {len(tops_named)} class folders are merged into them "
                "(--class-folders bottom makes each a class)"
            )
        return [(f"{root}{name}", name, "") for root, name in tops]
    if len(counts) > 1 and all(_GROUP.fullmatch(name) for name in tops_named):
        notes.append(
            f"classes are {first_few(sorted(counts), 12)}, in {len(tops_named)} groups: {first_few(tops_named)}"
        )
        return _grouped([(f"{root}{name}/{one}", one, name) for root, name in tops for one in inside[root + name]])
    top = "".join(tops[0])
    deepest = sorted({label for _, label, _ in _deepest(data, f"{top}/{inside[top][0]}", "")})
    images = "" if deepest == inside[top][:1] else f", such as {first_few(deepest, 3)}"
    raise TargetError(
        f"{path}: the classes may be {first_few(tops_named)}, or {first_few(sorted(counts))}, which each of them holds",
        hint=f"say which: {_OVERRULE}; bottom takes the folders that hold images{images}, and the others as groups, "
        f"kept on one side of every split. Where they are splits, point --data at one: {path / top}",
    )


def _top(
    path: Path, tops: list[tuple[str, str]], *, split: str | None, chosen: bool, notes: list[str]
) -> list[ClassFolder]:
    if not chosen and split not in (None, "all"):
        choose_splits(split, [], path=path, notes=notes)
    return [(f"{root}{name}", name, "") for root, name in tops]


def _bottom(data: DataFolder, tops: list[tuple[str, str]]) -> list[ClassFolder]:
    """The folders that hold images; what is above them, below a split, is their group."""
    return _grouped([one for root, name in tops for one in _deepest(data, f"{root}{name}", root)])


def _grouped(found: list[ClassFolder]) -> list[ClassFolder]:
    """The class folders, in groups where a class is in several of them."""
    repeated = Counter(label for _, label, _ in found)
    return found if max(repeated.values(), default=0) > 1 else [(folder, label, "") for folder, label, _ in found]


def _deepest(data: DataFolder, folder: str, root: str) -> Iterator[ClassFolder]:
    """The first folders on the way down that hold images, or no folders; circular links end."""
    waiting, seen = [folder], set[Identity]()
    while waiting:
        here = waiting.pop()
        inside = _subfolders(data, here)
        waiting += [f"{here}/{one.name}" for one in reversed(inside) if one.identity not in seen]
        seen.update(one.identity for one in inside)
        if not inside:
            above, _, label = here.removeprefix(root).rpartition("/")
            yield here, label, above


def _split_folders(data: DataFolder, folders: list[str]) -> list[str]:
    """The folders that are splits: those with a split's name that hold folders rather than images.

    A class may be called "train": a single such name among others is a class.
    """
    named = [name for name in folders if split_kind(name)]
    if not named or (len(named) == 1 and len(folders) > 1):
        return []
    splits = [name for name in named if entries(data, name)[0]]
    if not splits and len(named) == len(folders):
        raise TargetError(
            f"{data.root} holds {first_few(named)} but no class folders in them",
            hint="put one folder per class into each split, or give a table of image paths and labels",
        )
    return splits


def _refuse_parts(data: DataFolder, names: Sequence[str], level: str | None) -> None:
    """Refuse the parts of one set of images (images_001, images_002), which say nothing of classes."""
    found = [_PART.fullmatch(name) for name in names]
    if level is not None or len(names) < 2 or len({one and one["stem"] for one in found}) > 1 or found[0] is None:
        return
    tables = sorted(name for name in entries(data)[1] if suffix_of(name) in (".csv", ".tsv"))
    table = f"give the table: --data {data.root / tables[0]}" if tables else "give a table of image names and labels"
    raise TargetError(
        f"{data.root} holds parts of one set of images, no classes: {first_few(names)}",
        hint=f"{table}; --class-folders top where they are classes",
    )


def _folders_only(data: DataFolder, folder: str) -> list[str]:
    """The names of `_subfolders`."""
    return [one.name for one in _subfolders(data, folder)]


def _subfolders(data: DataFolder, folder: str) -> list[FoundEntry]:
    """The folders in a folder, none if it holds an image, too; a large folder of images is not listed to its end."""
    found = []
    for entry in data.scan(folder):
        if entry.is_folder:
            found.append(entry)
        elif suffix_of(entry.name) in IMAGE_SUFFIXES | DICOM_SUFFIXES or is_volume(entry.name):
            return []
    return sorted(found, key=lambda one: one.name)


def _holds_images(data: DataFolder, folder: str) -> bool:
    """Whether image files lie in the first folder below; slices of DICOM are a volume in each."""
    first = min(entries(data, folder)[0])
    return any(suffix_of(name) in IMAGE_SUFFIXES for name in entries(data, f"{folder}/{first}")[1])
