"""Segmentation sets that look like class folders: their images and masks would be told apart as classes."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from itertools import permutations
from pathlib import Path

import numpy as np

from acrank.errors import TargetError
from acrank.targets.layouts.listing import suffix_of, without_suffix
from acrank.targets.layouts.mask_names import pair_names, role_of
from acrank.targets.stores.images import IMAGE_SUFFIXES, read_with_pillow, to_array
from acrank.targets.stores.reading import MOST_OF_VOLUME, check_decoded, damage_of
from acrank.targets.stores.stored_volumes import is_volume, load_stored

#: Of a folder's images so many are looked at.
_LOOKED_AT = 6
_LOOKED_AT_VOLUMES = 2
_CHANNEL = re.compile(r"_\d{4}(?=(?:\.nii)?$)")
_LAST_WORD = re.compile(r"[ _.-][^ _.-]*$")
_PAIRED = 0.9
#: Fewer images pair by chance: class folders often number theirs from 1.
_LEAST = 3
#: Class folders beyond this number are no images and masks.
_MOST_FOLDERS = 8
_MOST_LEVELS = 4
#: Values that are looked at before it is asked again whether they are too many.
_BLOCK = 1 << 20


def refuse_lookalikes(path: Path, images: Sequence[tuple[str, str]], *, doubts: str | None, notes: list[str]) -> None:
    """Refuse classes that are images and their masks: names pair, and one folder holds images of few values.

    Args:
        path: the target.
        images: (path below it, class).
        doubts: of the target's options: with "warn" such classes are a warning in `notes`.
        notes: what was assumed is added.

    Raises:
        TargetError: such classes; the hint says how to overrule it.
    """
    by_class: dict[str, list[str]] = {}
    for name, label in images:
        by_class.setdefault(label, []).append(name)
    if len(by_class) > _MOST_FOLDERS:
        return
    for one, other in permutations(sorted(by_class), 2):
        if _pairs_up(by_class[one], by_class[other]) and _are_masks_of(
            path, by_class[one], by_class[other], name=other
        ):
            said = f"a segmentation set, it seems: {other!r} holds a mask for the images in {one!r}"
            if doubts == "warn":
                notes.append(f"warning: {said}")
                return
            raise TargetError(f"{path} is {said}", hint=f"{_way_out(path, by_class[one][0])} where they are classes")


def _way_out(path: Path, name: str) -> str:
    if not is_volume(name):
        return "call the folders images and masks; or say --class-folders top"
    others = sorted(one.name for one in path.glob("*.json"))
    found = f" (is {others[0]} its description?)" if others else ""
    return f"describe volumes and masks in a dataset.json, as nnU-Net does{found}; or say --class-folders top"


def _pairs_up(images: Sequence[str], masks: Sequence[str]) -> bool:
    stems = [[without_suffix(name.rpartition("/")[2]) for name in names] for names in (images, masks)]
    pictures = sorted({_CHANNEL.sub("", stem) for stem in stems[0]}) if is_volume(images[0]) else stems[0]
    if len(pictures) < _LEAST:
        return False
    paired = max(len(pair_names(pictures, stems[1])), len(_several_each(pictures, stems[1])))
    return paired >= _PAIRED * len(pictures)


def _several_each(images: Sequence[str], masks: Sequence[str]) -> set[str]:
    """The images of which several files have the name before the last joint, with the same ends as those of others.

    >>> sorted(_several_each(["a_photo", "b_photo"], ["a_ids", "a_colour", "b_ids", "b_colour"]))
    ['a_photo', 'b_photo']
    """
    named = {_LAST_WORD.sub("", one): one for one in images} | {one: one for one in images}
    ends: dict[str, set[str]] = {}
    for mask in masks:
        places = [place for place, letter in enumerate(mask) if letter in " _.-"]
        start = next((mask[:place] for place in reversed(places) if mask[:place] in named), None)
        if start is not None:
            ends.setdefault(named[start], set()).add(mask[len(start) :])
    common = Counter(end for found in ends.values() for end in found)
    usual = {end for end, count in common.items() if count >= _PAIRED * len(ends)}
    return {image for image, found in ends.items() if len(found & usual) > 1}


def _are_masks_of(path: Path, images: Sequence[str], masks: Sequence[str], *, name: str) -> bool:
    """Whether some of the files hold few values, or the folder is called like one of masks, and the others do not."""
    if _most_values(path, images) <= _MOST_LEVELS:
        return False
    return role_of(name) == "masks" or _most_values(path, masks) <= _MOST_LEVELS


def _most_values(path: Path, names: Sequence[str]) -> int:
    """The most values of any of a few images; files that cannot be read count none: they are reported when read."""
    counts = [0]
    names = [name for name in names if suffix_of(name) in IMAGE_SUFFIXES or is_volume(name)]
    most = _LOOKED_AT_VOLUMES if names and is_volume(names[0]) else _LOOKED_AT
    for place in np.unique(np.linspace(0, len(names) - 1, min(most, len(names))).astype(int)).tolist():
        try:
            counts.append(_count_of_values(_values_in(path / names[place])))
        except TargetError:
            continue
    return max(counts)


def _count_of_values(values: np.ndarray) -> int:
    """How many values there are: exact up to _MOST_LEVELS, else some number above."""
    found = np.array([], values.dtype)
    flat = values.reshape(-1)
    for start in range(0, flat.size, _BLOCK):
        block = flat[start : start + _BLOCK]
        for known in found:  # at most _MOST_LEVELS: quicker than to sort what is known
            block = block[block != known]
        found = np.union1d(found, block)
        if len(found) > _MOST_LEVELS:
            break
    return len(found)


def _values_in(path: Path) -> np.ndarray:
    """The values of an image, or of a volume's middle slice."""
    if not is_volume(path.name):
        return read_with_pillow(path, "image", to_array)
    stored = load_stored(path)
    where = [slice(0, size) for size in stored.shape[:2]]
    if len(stored.shape) > 2:
        middle = stored.shape[2] // 2
        where.append(slice(middle, middle + 1))
    size = math.prod(stored.shape[:2]) * math.prod(stored.shape[3:])
    check_decoded(stored.bytes_of_voxel * size, f"a slice of {path}", most=MOST_OF_VOLUME)
    with damage_of(path, f"cannot read {path}", hint="write it again, or leave it out"):
        return stored.part(tuple(where))
