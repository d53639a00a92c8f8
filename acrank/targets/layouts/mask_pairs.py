"""Which images and masks a folder holds: in two folders, in splits, or side by side."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from acrank.errors import TargetError
from acrank.targets.data_folder import DataFolder, FoundEntry, Identity
from acrank.targets.label_spelling import composed
from acrank.targets.layouts.dicom_masks import refuse_dicom
from acrank.targets.layouts.listing import entries, files_below, suffix_of, without_suffix
from acrank.targets.layouts.mask_names import first_manual, is_mask_beside, pair_names, role_of
from acrank.targets.split_names import choose_splits, split_kind
from acrank.targets.stores.images import IMAGE_SUFFIXES
from acrank.targets.stores.stored_volumes import is_volume
from acrank.targets.target import first_few

_IMAGES, _MASKS = ("images", "image", "imgs", "img"), ("masks", "mask", "labels", "annotations")
#: Of the images of a folder that is not called images/, at least this share has a mask.
_PAIRED = 0.9
#: Of all images, masks beside them belong to at least this share.
_BESIDE = 0.5
_Pair = tuple[str, str]  # folder of images, folder of masks, below the target's folder
_Case = tuple[str, str, tuple[str, ...], Identity]  # id, image, its masks, identity of the image


@dataclass(frozen=True)
class Pairs:
    """Folders of images and of masks, by split ("" without splits).

    Attributes:
        pairs: split -> its folders; with `is_joined` the names are no splits, and all are read together.
        notes: what is left out.
        is_joined: whether the set lies in several folders, such as one for each image.
    """

    pairs: dict[str, _Pair] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    is_joined: bool = False


def find_pairs(data: DataFolder) -> Pairs:
    """The folders of images and of their masks below a folder; none if it holds no such folders.

    Raises:
        TargetError: several folders may hold the masks.
    """
    folders = entries(data)[0]
    pair = _pair_in(data, "", folders)
    if pair is None:
        by_name = _splits_above(data, folders) or _splits_in_names(data, folders)
        return by_name if by_name.pairs else _parts(data, folders)
    notes = _left_out(folders, pair)
    images, masks = (entries(data, name)[0] for name in pair)
    if not images or not all(split_kind(name) for name in images):
        return Pairs({"": pair}, notes)
    named = {name.casefold(): name for name in masks}
    shared = {
        name: (f"{pair[0]}/{name}", f"{pair[1]}/{named[name.casefold()]}")
        for name in images
        if name.casefold() in named
    }
    return Pairs(shared, (*notes, *_lacking([name for name in images if name not in shared])))


def paired(data: DataFolder, split: str, pair: _Pair, *, notes: list[str], is_alone: bool = False) -> list[_Case]:
    """(id, image path, mask paths) of every image in a pair of folders.

    Args:
        data: the data set.
        split: of the ids; "" for none.
        pair: the two folders.
        notes: what is left out is added.
        is_alone: whether a single image has all masks of the other folder, whatever their names.

    Raises:
        TargetError: no images, two files of one name, or images without a mask.
    """
    path = data.root
    pictures, truths = (_files(data, name) for name in pair)
    if not pictures or not truths:
        refuse_dicom(path, (f"{folder}/{name}" for folder in pair for name in chain(*entries(data, folder))))
    if not pictures:
        volumes = any(map(is_volume, entries(data, pair[0])[1]))
        hint = "describe volumes in a dataset.json, as Decathlon does" if volumes else "put PNG or TIFF files there"
        raise TargetError(f"no images in {path / pair[0]}", hint=hint)
    found = pair_names(list(pictures), list(truths))
    if is_alone and len(pictures) == 1:
        found = {stem: sorted(truths) for stem in pictures}
    lacking = sorted(set(pictures) - set(found))
    inside = sorted({mask.partition("/")[0] for mask in truths if "/" in mask})
    if lacking and inside and not any("/" in stem for stem in pictures):
        raise TargetError(
            f"{path / pair[1]} holds folders of masks: {first_few(inside)}",
            hint="put one mask for each image there, with a value for every class",
        )
    if lacking:
        raise TargetError(
            f"{path / pair[0]}: {len(lacking)} images have no mask: {first_few(lacking, 3)}",
            hint="a mask has the name of its image, alone or followed by one text for all, such as _mask",
        )
    alone = sorted(set(truths) - {mask for masks in found.values() for mask in masks})
    if alone:
        notes.append(f"{len(alone)} masks without an image are left out: {first_few(alone, 3)}")
    prefix = f"{split}/" if split else ""
    return [
        (prefix + stem, entry.name, tuple(truths[mask].name for mask in found[stem]), entry.identity)
        for stem, entry in pictures.items()
    ]


def lies_beside(data: DataFolder, *, deep: bool) -> bool:
    """Whether masks lie beside the images of a folder that holds no folders, or with `deep` of the folders in it."""
    folders, files = entries(data)
    if folders and not deep:
        return False
    names = (entry.name for entry in files_below(data, "")) if deep else iter(files)
    stems = {without_suffix(name) for name in names if suffix_of(name) in IMAGE_SUFFIXES}
    masks = [stem for stem in stems if is_mask_beside(stem, stems)]
    return bool(masks) and len({is_mask_beside(stem, stems) for stem in masks}) >= _BESIDE * (len(stems) - len(masks))


def beside(data: DataFolder, split: str | None, notes: list[str]) -> list[_Case]:
    """(id, image path, mask paths) of every image with masks beside it, sorted; ids are paths without suffix.

    Raises:
        TargetError: an unknown split, images without a mask, or two files of one name.
    """
    path = data.root
    folders = entries(data)[0]
    splits = folders if folders and all(split_kind(name) for name in folders) else []
    roots = choose_splits(split, splits, path=path, notes=notes) or [""]
    files = _by_stem(path, "", [entry for root in roots for entry in files_below(data, root)])
    owners = {stem: is_mask_beside(stem, files) for stem in files}
    masks: dict[str, list[str]] = {}
    for stem, owner in sorted(owners.items()):
        if owner:
            masks.setdefault(owner, []).append(files[stem].name)
    images = [stem for stem, owner in owners.items() if owner is None]
    lacking = sorted(set(images) - set(masks))
    if lacking:
        raise TargetError(
            f"{path}: {len(lacking)} images have no mask beside them: {first_few(lacking, 3)}",
            hint="take them out, or give them a mask of background only",
        )
    return sorted((stem, files[stem].name, tuple(masks[stem]), files[stem].identity) for stem in images)


def _pair_in(data: DataFolder, parent: str, folders: list[str]) -> _Pair | None:
    """Names of the folders of images and of masks.

    Two folders of usual names, images/ and masks/, are a pair; others need a mask for nearly every image.
    """
    lower = {name.lower(): name for name in folders}
    images = next((lower[name] for name in _IMAGES if name in lower), None)
    masks = next((lower[name] for name in _MASKS if name in lower), None)
    if images and masks and len(folders) == 2:
        return images, masks
    pictures = [images] if images else [name for name in folders if role_of(name) == "images"]
    if len(pictures) != 1:
        return None
    fitting = [
        name for name in folders if role_of(name) == "masks" and _fit(data, f"{parent}{pictures[0]}", f"{parent}{name}")
    ]
    chosen = fitting[0] if len(fitting) == 1 else first_manual(fitting)
    if fitting and chosen is None:
        raise TargetError(
            f"{data.root / parent}: the masks of {pictures[0]} may be in {first_few(fitting)}",
            hint="move all but one elsewhere",
        )
    return None if chosen is None else (pictures[0], chosen)


def _fit(data: DataFolder, images: str, masks: str) -> bool:
    """Whether nearly all images of a folder have a mask in another; both may hold splits."""
    stems = []
    for name in (images, masks):
        start = len(name) + 1
        names = [one.name[start:] for one in files_below(data, name) if suffix_of(one.name) in IMAGE_SUFFIXES]
        stems.append([composed(without_suffix(one)) for one in names])
    return bool(stems[0]) and len(pair_names(stems[0], stems[1])) >= _PAIRED * len(stems[0])


def _splits_above(data: DataFolder, folders: list[str]) -> Pairs | None:
    if not folders or not all(split_kind(name) for name in folders):
        return None
    inside = {name: entries(data, name)[0] for name in folders}
    found = {name: _pair_in(data, f"{name}/", inside[name]) for name in folders}
    pairs = {name: (f"{name}/{one[0]}", f"{name}/{one[1]}") for name, one in found.items() if one}
    if not pairs:
        return None
    notes = dict.fromkeys(note for name, one in found.items() if one for note in _left_out(inside[name], one))
    return Pairs(pairs, (*notes, *_lacking([name for name in folders if name not in pairs])))


def _parts(data: DataFolder, folders: list[str]) -> Pairs:
    """Folders that each hold a pair (`case1/images`, `case1/masks`, …), of one set; the first tells."""
    found: dict[str, _Pair] = {}
    for name in folders if len(folders) > 1 else []:
        pair = _pair_in(data, f"{name}/", entries(data, name)[0])
        if pair:
            found[name] = (f"{name}/{pair[0]}", f"{name}/{pair[1]}")
        elif not found:
            return Pairs()
    lacking = [name for name in folders if name not in found]
    notes = [f"images and masks lie in {len(found)} folders, read together: {first_few(list(found), 3)}"]
    notes += [f"folders without masks are left out: {first_few(lacking)}"] if lacking else []
    return Pairs(found, tuple(notes), is_joined=True) if found else Pairs()


def _splits_in_names(data: DataFolder, folders: list[str]) -> Pairs:
    """`train_images`, `train_masks`, `val_images`, ...: the splits of such folders."""
    by_split: dict[str, list[str]] = {}
    for name in folders:
        words = [split_kind(word) for word in name.replace("-", "_").replace(" ", "_").split("_")]
        by_split.setdefault(next((word for word in words if word), ""), []).append(name)
    if "" in by_split or len(by_split) < 2:
        return Pairs()
    found = {split: _pair_in(data, "", names) for split, names in by_split.items()}
    pairs = {split: pair for split, pair in found.items() if pair}
    return Pairs(pairs, _lacking(sorted(set(by_split) - set(pairs)))) if pairs else Pairs()


def _left_out(folders: list[str], pair: _Pair) -> tuple[str, ...]:
    """What the pair is, where there are other folders."""
    others = [name for name in folders if name not in pair]
    if not others:
        return ()
    return (f"images of {pair[0]}, masks of {pair[1]}; folders beside them are left out: {first_few(others)}",)


def _lacking(splits: list[str]) -> tuple[str, ...]:
    return (f"splits without masks are left out: {first_few(splits)}",) if splits else ()


def _files(data: DataFolder, folder: str) -> dict[str, FoundEntry]:
    """Stem -> image in a folder, or in folders in it if it holds none itself; refuses two files of one stem."""
    found = [
        dataclasses.replace(entry, name=f"{folder}/{entry.name}") for entry in data.scan(folder) if not entry.is_folder
    ]
    files = _by_stem(data.root / folder, f"{folder}/", found)
    return files or _by_stem(data.root / folder, f"{folder}/", list(files_below(data, folder)))


def _by_stem(where: Path, parent: str, found: list[FoundEntry]) -> dict[str, FoundEntry]:
    """Path below `parent` without suffix -> image."""
    files: dict[str, FoundEntry] = {}
    for entry in sorted(found, key=lambda one: one.name):
        name = entry.name.removeprefix(parent)
        if suffix_of(name) in IMAGE_SUFFIXES:
            stem = composed(without_suffix(name))
            if stem in files:
                other = files[stem].name.removeprefix(parent)
                raise TargetError(f"{where} holds {other} and {name}", hint="keep one of them")
            files[stem] = entry
    return files
