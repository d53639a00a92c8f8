"""Class folders: one folder of images or volumes per class, in splits (train, Testing, fold_0) or groups, or not."""

from __future__ import annotations

import dataclasses
import re
from collections import Counter
from collections.abc import Container, Sequence
from pathlib import Path

import numpy as np

from acrank.errors import TargetError
from acrank.targets.data_folder import MOST_OTHERS, DataFolder, Identity, once
from acrank.targets.label_spelling import composed, spelling_notes
from acrank.targets.labels import rare_numbers_notes
from acrank.targets.layouts.folder_levels import ClassFolder, class_folders
from acrank.targets.layouts.labelled_files import open_labelled
from acrank.targets.layouts.listing import entries, suffix_of, walk, without_suffix
from acrank.targets.layouts.mask_lookalikes import refuse_lookalikes
from acrank.targets.layouts.mask_names import is_mask_beside, role_of
from acrank.targets.stores.dicom_file import DICOM_SUFFIXES, is_dicom
from acrank.targets.stores.images import IMAGE_SUFFIXES
from acrank.targets.stores.reading import check_count
from acrank.targets.stores.stored_volumes import is_volume
from acrank.targets.target import Labels, Target, build_target, first_few
from acrank.targets.target_options import TargetOptions

NAME = "folders"
USES = frozenset(
    {"split", "task", "intensity", "slices", "spacing", "pages", "dicom", "class_folders", "allow_outside"}
)

#: Suffixes of files of arrays, which are targets of their own.
ARRAY_SUFFIXES = (".npz", ".npy", ".h5", ".hdf5", ".hdf")
_OTHER_SUFFIXES = frozenset(
    {".txt", ".md", ".rst", ".pdf", ".html", ".json", ".jsonl", ".yaml", ".yml", ".xml", ".csv", ".tsv", ".xlsx"}
    | {".db", ".ini", ".log", ".lock", ".py", ".sh", ".zip", ".tar", ".gz", ".md5", ".sha256"}
)
_MASK_NAME = re.compile(
    r"[ _.-](?:mask|seg|segmentation|labels?|gt|ground[ _-]?truth|manual|annotation|lesion|roi)(?:[ _-]?\d+)?\.[^.]+$",
    re.IGNORECASE,
)


def open_folders(path: Path, options: TargetOptions) -> Target:
    """Open a folder with one folder of images, volumes or DICOM files per class; ids are the paths below it.

    Files are listed without opening any of them, but those of unknown kinds, which may be DICOM. Hidden files and files
    that are clearly not images are left out; files of unknown kinds, what is no ordinary file, and masks beside their
    images too, with a note on their number. Folders within a class belong to it. An image with two names (links) counts
    once. What may be images and masks rather than classes is looked at.

    Raises:
        TargetError: no class folders, one class, a class without images, an unknown split, images beside volumes,
            folders that may be classes or groups, a segmentation set, a link that leads outside, one image in two
            classes, or a folder that is no data set.
    """
    if options.task not in (None, "classification"):
        raise TargetError(
            f"{path}: class folders are for classification, not {options.task}",
            hint="put images and masks into folders called images and masks"
            if options.task == "segmentation"
            else "give a table of image paths and labels",
        )
    notes: list[str] = []
    data = DataFolder(path, allow_outside=options.allow_outside)
    # the letters of a name in one form: archives of some systems decompose them
    folders = [(folder, composed(name), group) for folder, name, group in _class_folders(data, options, notes)]
    listed = once(sorted(_images(data, [(folder, label) for folder, label, _ in folders], notes)), notes)
    if options.class_folders is None:
        refuse_lookalikes(path, listed, doubts=options.doubts, notes=notes)
    grouped = len({group for _, _, group in folders if group}) > 1
    found, info = open_labelled(data, listed, options, by_folder=True, grouped=grouped)
    ids = tuple(name for name, _ in found)
    classes = sorted({str(label) for _, label in found})
    if len(classes) < 2:
        inside = entries(data, folders[0][0])[0]
        below = f"; or point --data at {path / folders[0][0]}, which holds folders of its own" if inside else ""
        raise TargetError(
            f"{path} has one class only: {classes[0]}", hint=f"ranking needs at least two class folders{below}"
        )
    places = {name: place for place, name in enumerate(classes)}
    values = np.array([places[str(label)] for _, label in found], dtype=np.int64)
    said = (*spelling_notes(classes), *rare_numbers_notes(classes, len(values)))
    labels = Labels("classification", values, tuple(classes), notes=said)
    info = dataclasses.replace(info, groups=_groups(ids, folders) if grouped else info.groups)
    notes += data.notes()
    return build_target(path, layout=NAME, ids=ids, labels=labels, info=info, notes=notes)


def _class_folders(data: DataFolder, options: TargetOptions, notes: list[str]) -> list[ClassFolder]:
    """The class folders of the chosen splits."""
    path = data.root
    folders, files = entries(data)
    loose = sum(suffix_of(name) in IMAGE_SUFFIXES | DICOM_SUFFIXES or is_volume(name) for name in files)
    if not folders:
        arrays = [name for name in files if suffix_of(name) in ARRAY_SUFFIXES]
        single = f"; of files of arrays name one, such as --data {path / arrays[0]}" if arrays else ""
        raise TargetError(
            f"{path} holds {loose} images but no class folders" if loose else f"no images in {path}",
            hint=f"give a folder with one folder of images per class, or a table of paths and labels{single}",
        )
    if loose:
        notes.append(f"{loose} images beside the class folders are left out")
    return class_folders(data, options.split, level=options.class_folders, notes=notes)


def _images(data: DataFolder, folders: list[tuple[str, str]], notes: list[str]) -> list[tuple[str, str, Identity]]:
    """(id, class, identity) of every image in the class folders."""
    path = data.root
    images: list[tuple[str, str, Identity]] = []
    others = 0
    unknown: Counter[str] = Counter()
    empty: list[str] = []
    for folder, label in folders:
        before = len(images)
        for entry in walk(data, folder):
            suffix = suffix_of(entry.name)
            if not entry.is_folder and (suffix in IMAGE_SUFFIXES or is_volume(entry.name)):
                images.append((entry.name, label, entry.identity))
                continue
            is_unknown = not entry.is_folder and suffix not in _OTHER_SUFFIXES
            if is_unknown and is_dicom(path / entry.name, suffix):
                images.append((entry.name, label, entry.identity))
                continue
            others += 1
            _refuse_others(path, others, len(images))
            if is_unknown:
                unknown[suffix or "no suffix"] += 1
        if len(images) == before:
            empty.append(folder)
    check_count(len(images), str(path))
    kinds = first_few([f"{suffix} ({count})" for suffix, count in sorted(unknown.items())])
    besides = f" (files of unknown kinds: {kinds})" if unknown else ""
    if not images:
        raise TargetError(
            f"no images in {path}{besides}",
            hint="give a folder with one folder of PNG, JPEG, DICOM or NIfTI files per class",
        )
    if empty:
        raise TargetError(
            f"{path}: the class folder {first_few(empty)} holds no images{besides}", hint="remove the folder or fill it"
        )
    if unknown:
        notes.append(f"{unknown.total()} files of unknown kinds are left out: {kinds}")
    return _without_masks(images, notes)


def _refuse_others(path: Path, others: int, images: int) -> None:
    if others > MOST_OTHERS and others > 10 * images:
        raise TargetError(
            f"{path} holds more than {MOST_OTHERS:,} files and folders that are no images, and {images} images so far",
            hint="point --data at the folder that holds the class folders",
        )


def _without_masks(images: list[tuple[str, str, Identity]], notes: list[str]) -> list[tuple[str, str, Identity]]:
    """The images without the masks that lie beside them, in their folder or in one of masks beside theirs."""
    in_folders = _mask_folders({name.rpartition("/")[0] for name, _, _ in images})
    if in_folders:
        kept = [one for one in images if one[0].rpartition("/")[0] not in in_folders]
        notes.append(f"{len(images) - len(kept)} masks are left out, in folders such as {min(in_folders)}")
        images = kept
    if not any(_MASK_NAME.search(name) for name, _, _ in images):
        return images
    stems = {without_suffix(name) for name, _, _ in images}
    kept = [one for one in images if is_mask_beside(without_suffix(one[0]), stems) is None]
    if len(kept) < len(images):
        notes.append(
            f"{len(images) - len(kept)} masks beside their images are left out (--task segmentation reads them)"
        )
    odd = sum(_MASK_NAME.search(name) is not None for name, _, _ in kept)
    if odd:
        notes.append(f"{odd} files are named like segmentation masks but read as images: move them out if they are")
    return kept


def _mask_folders(folders: set[str]) -> set[str]:
    """The folders of masks that lie beside one of images."""
    role = {folder: role_of(folder.rpartition("/")[2]) for folder in folders}
    parents = {folder.rpartition("/")[0] for folder in folders if role[folder] == "images" and "/" in folder}
    return {folder for folder in folders if role[folder] == "masks" and folder.rpartition("/")[0] in parents}


def _groups(ids: Sequence[str], folders: Sequence[ClassFolder]) -> tuple[str, ...] | None:
    """The group of every image, where the class folders lie in groups."""
    by_folder = {folder: group for folder, _, group in folders if group}
    if not by_folder:
        return None
    groups = [by_folder.get(_folder_of(name, by_folder), name) for name in ids]
    return tuple(groups) if len(set(groups)) > 1 else None


def _folder_of(name: str, folders: Container[str]) -> str:
    """The class folder that an image lies in, at any depth; "" if in none."""
    while name and name not in folders:
        series, mark, _ = name.rpartition("#")  # series of DICOM in a class folder are FOLDER#1, FOLDER#2
        name = series if mark and series in folders else name.rpartition("/")[0]
    return name
