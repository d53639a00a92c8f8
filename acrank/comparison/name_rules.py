"""When two spellings name one data set, or one task."""

from __future__ import annotations

import re

_OF_CLASSES = re.compile("classification|multilabel")


def is_same_name(one: str, other: str) -> bool:
    """Whether two names or paths may be of one data set: by their last part, whatever its case, `_`, `-`, `.`, blanks.

    Two paths of several parts are of one data set where all their parts are alike.

    >>> is_same_name("BUSI", "busi"), is_same_name("/data/v_fold/", "V-Fold"), is_same_name("a/train", "b/train")
    (True, True, False)
    """
    parts, others = _parts(one), _parts(other)
    return parts == others or (parts[-1:] == others[-1:] and 1 in (len(parts), len(others)))


def is_same_task(one: str, other: str) -> bool:
    """Whether two names may be of one task: one is part of the other, or both are of classes of whole images.

    >>> is_same_task("Semantic-segmentation", "segmentation"), is_same_task("classification", "segmentation")
    (True, False)
    """
    names = [re.sub(r"[\W_]+", "", name.casefold()) for name in (one, other)]
    return names[0] in names[1] or names[1] in names[0] or all(_OF_CLASSES.search(name) for name in names)


def _parts(name: str) -> list[str]:
    """The parts of a path, without case and marks; a part of marks alone stays as it is."""
    parts = [part for part in re.split(r"[/\\]+", name.casefold().strip()) if part not in ("", ".")]
    return [re.sub(r"[\s_.-]+", "", part) or part for part in parts]
