"""Usual names of arrays in a file: what `x_train`, `train_X`, `images_train` or `val/labels` hold."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence

from acrank.targets.split_names import split_kind

_ROLES = {
    "images": "images?|imgs?|x|data|pictures|scans?|volumes?",
    "labels": "labels?|y|targets?|class(?:es)?",
    "masks": "masks?|segmentations?|segs?",
}
_ROLE = "|".join(f"(?P<{role}>{words})" for role, words in _ROLES.items())
_NAMED = re.compile(rf"(?:(?P<before>[a-z]+?)[_/.-]?)?(?:{_ROLE})(?:[_/.-]?(?P<after>[a-z]+))?", re.IGNORECASE)


def usual_names(keys: Sequence[str]) -> dict[str, str]:
    """Key of each array that has a usual name: "images", "labels" or "masks", alone or after "train_", "val_", "test_".

    The plain spelling goes before the others; where several other keys have the same meaning, none is taken.

    >>> usual_names(["x_train", "y_train", "Validation/X", "notes"])
    {'train_images': 'x_train', 'train_labels': 'y_train', 'val_images': 'Validation/X'}
    """
    found: dict[str, list[str]] = defaultdict(list)
    for key in keys:
        if name := _usual_name(key):
            found[name].append(key)
    plain = {name: next((key for key in alike if is_plain(key, name)), None) for name, alike in found.items()}
    return {name: plain[name] or alike[0] for name, alike in found.items() if plain[name] or len(alike) == 1}


def is_plain(key: str, name: str) -> bool:
    """Whether a key is the usual name itself, such as `train_images` or `train/images`.

    >>> is_plain("train/images", "train_images"), is_plain("x_train", "train_images")
    (True, False)
    """
    return key.replace("/", "_") == name


def _usual_name(key: str) -> str | None:
    match = _NAMED.fullmatch(key)
    if not match or (match["before"] and match["after"]):
        return None
    role = next(role for role in _ROLES if match[role])
    part = match["before"] or match["after"]
    split = split_kind(part) if part else None
    if part and split not in ("train", "val", "test"):
        return None
    return f"{split}_{role}" if split else role
