"""When two spellings name one data set, or one task, and which name an unknown one may mean."""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterable

from acrank.system.words import closest

#: Unknown names for which a known one is looked for.
_SUGGESTED = 5
_OF_CLASSES = re.compile("classification|multilabel")


def is_same_name(one: str, other: str) -> bool:
    """Whether two names or paths may be of one data set: by their last part, whatever its case, `_`, `-`, `.`, blanks.

    Two paths of several parts are of one data set where all their parts are alike.

    >>> is_same_name("BUSI", "busi"), is_same_name("/data/v_fold/", "V-Fold"), is_same_name("a/train", "b/train")
    (True, True, False)
    """
    parts, others = _parts(one), _parts(other)
    return parts == others or (parts[-1:] == others[-1:] and 1 in (len(parts), len(others)))


def meant_by(unknown: Iterable[str], known: Collection[str]) -> str:
    """Which known names may be meant by unknown ones, as the end of a message; "" where none is near.

    >>> meant_by(["resnet5O", "late"], ["resnet50"])
    "; for 'resnet5O' did you mean 'resnet50'?"
    """
    near = {name: closest(name, known, "") for name in itertools.islice(unknown, _SUGGESTED)}
    said = [f"for {name!r} {hint.removesuffix('?')}" for name, hint in near.items() if hint]
    return f"; {', '.join(said)}?" if said else ""


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
