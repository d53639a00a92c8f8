"""Names of images and masks: which folder holds which, and which mask belongs to which image."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Literal

Role = Literal["images", "masks"]

_IMAGE_WORDS = frozenset(
    {"image", "images", "img", "imgs", "original", "originals", "input", "inputs", "photo", "photos", "picture"}
    | {"pictures", "scan", "scans", "raw", "frame", "frames", "source", "src", "trainimg", "testimg", "cxr"}
)
_MASK_WORDS = frozenset(
    {"mask", "masks", "label", "labels", "annotation", "annotations", "annot", "groundtruth", "groundtruths", "gt"}
    | {"gts", "truth", "truths", "seg", "segs", "segmentation", "segmentations", "segmentationclass", "manual"}
    | {"manual1", "lesion", "lesions", "annotated", "target", "targets"}
)
_OTHER_WORDS = frozenset({"edge", "edges", "contour", "contours", "boundary", "boundaries", "overlay", "overlays"})
_WORD = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|[0-9]+")
_MASK_END = r"(?:mask|seg|segmentation|label|labels|gt|ground[ _-]?truth|manual|annotation|lesion|roi)"
_BESIDE = re.compile(rf"(?P<image>.+?)[ _.-]{_MASK_END}(?:[ _-]?\d+)?", re.IGNORECASE)
_USUAL_END = re.compile(rf"(?:[ _.-]?{_MASK_END})?(?:[ _-]?\d+)?", re.IGNORECASE)
_NUMBER_END = re.compile(r"[ _-]?\d+$")
_JOINTS = " _.-"
_MOST_SHARE = 0.9


def role_of(folder: str) -> Role | None:
    """Whether a folder's name says that it holds images or masks; None for any other name.

    >>> [role_of(name) for name in ("Original", "Ground Truth", "ISIC_Training_GroundTruth", "1st_manual", "cats")]
    ['images', 'masks', 'masks', 'masks', None]
    >>> role_of("JPEGImages"), role_of("edges")
    ('images', None)
    """
    words = {word.lower() for word in _WORD.findall(folder)} | {folder.lower()}
    if words & _OTHER_WORDS:
        return None
    if words & _MASK_WORDS:
        return "masks"
    return "images" if words & _IMAGE_WORDS else None


def is_mask_beside(stem: str, others: Collection[str]) -> str | None:
    """The stem of the image that a file lies beside as its mask (`a_mask`, `a_mask_1`); None if it is no mask.

    Args:
        stem: of the file, with its folder.
        others: the stems of all files.

    >>> is_mask_beside("x/benign (1)_mask_1", {"x/benign (1)"}), is_mask_beside("x/masked", {"x"})
    ('x/benign (1)', None)
    """
    found = _BESIDE.fullmatch(stem)
    return found["image"] if found and found["image"] in others else None


def pair_names(images: Sequence[str], masks: Sequence[str]) -> dict[str, list[str]]:
    """Which masks each image has, by stem.

    A mask is called as its image, or has more behind it: a usual word, a number where there are several masks, or the
    same text as nearly all masks have. Else what all images have in common, and all masks, is left out of the names.

    Args:
        images, masks: stems.

    Returns:
        Image -> its masks, sorted; images without masks are left out.

    Example:
        >>> pair_names(["a", "b"], ["a_mask", "a_mask_1", "b_mask"])
        {'a': ['a_mask', 'a_mask_1'], 'b': ['b_mask']}
        >>> pair_names(["ISIC_1", "ISIC_2"], ["ISIC_1_lesion_area", "ISIC_2_lesion_area"])
        {'ISIC_1': ['ISIC_1_lesion_area'], 'ISIC_2': ['ISIC_2_lesion_area']}
        >>> pair_names(["21_training", "22_training"], ["21_manual1", "22_manual1"])
        {'21_training': ['21_manual1'], '22_training': ['22_manual1']}
    """
    found = _by_prefix(images, masks)
    if len(found) < _MOST_SHARE * len(images):
        bare = _by_bare_names(images, masks)
        found = bare if len(bare) > len(found) else found
    return {image: sorted(found[image]) for image in images if image in found}


def _by_prefix(images: Sequence[str], masks: Sequence[str]) -> dict[str, list[str]]:
    known = set(images)
    ends = {mask: _split_off(mask, known) for mask in masks}
    behind = Counter(_NUMBER_END.sub("", mask[len(image) :]) for mask, image in ends.items() if image)
    common = {end for end, count in behind.items() if count >= _MOST_SHARE * len(masks)}
    found: dict[str, list[str]] = {}
    for mask, image in ends.items():
        if image is None:
            continue
        end = mask[len(image) :]
        if _USUAL_END.fullmatch(end) or _NUMBER_END.sub("", end) in common:
            found.setdefault(image, []).append(mask)
    return found


def _split_off(mask: str, images: Collection[str]) -> str | None:
    """The longest image's stem that a mask's stem begins with, up to a joint."""
    if mask in images:
        return mask
    places = [place for place, letter in enumerate(mask) if letter in _JOINTS]
    return next((mask[:place] for place in reversed(places) if mask[:place] in images), None)


def _by_bare_names(images: Sequence[str], masks: Sequence[str]) -> dict[str, list[str]]:
    bare_images, bare_masks = _bare(images), _bare(masks)
    if len(set(bare_images)) < len(images) or "" in bare_images:
        return {}
    named = dict(zip(bare_images, images, strict=True))
    found: dict[str, list[str]] = {}
    for bare, mask in zip(bare_masks, masks, strict=True):
        if bare in named:
            found.setdefault(named[bare], []).append(mask)
    return found


def _bare(names: Sequence[str]) -> list[str]:
    """Names without the words that all have in common before and behind."""
    before = re.sub(r"[^ _.-]*$", "", _shared_start(names))
    before = before or _letters_before(names)
    backwards = _shared_start([name[len(before) :][::-1] for name in names])[::-1]
    behind = re.sub(r"^[^ _.-]*", "", backwards)
    return [name[len(before) : len(name) - len(behind)] for name in names]


def _shared_start(names: Sequence[str]) -> str:
    """The text that all names begin with, "" of a single one."""
    first, last = min(names, default=""), max(names, default="")
    alike = next((place for place, pair in enumerate(zip(first, last, strict=False)) if pair[0] != pair[1]), 0)
    return first[:alike]


def _letters_before(names: Sequence[str]) -> str:
    """The letters that all names begin with: `img` of img1 and img2."""
    found = {re.match(r"[A-Za-z]*", name)[0] for name in names}  # type: ignore[index]
    return found.pop() if len(found) == 1 else ""


def first_manual(folders: Iterable[str]) -> str | None:
    """Of several folders of masks the one that a person drew first (`1st_manual`), beside a field of view."""
    return min((name for name in folders if "manual" in name.lower()), default=None)
