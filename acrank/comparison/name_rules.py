"""When two spellings name one data set."""

from __future__ import annotations

import re


def is_same_name(one: str, other: str) -> bool:
    """Whether two names or paths may be of one data set: by their last part, whatever its case, `_`, `-`, `.`, blanks.

    Two paths of several parts are of one data set where all their parts are alike.

    >>> is_same_name("BUSI", "busi"), is_same_name("/data/v_fold/", "V-Fold"), is_same_name("a/train", "b/train")
    (True, True, False)
    """
    parts, others = _parts(one), _parts(other)
    return parts == others or (parts[-1:] == others[-1:] and 1 in (len(parts), len(others)))


def _parts(name: str) -> list[str]:
    """The parts of a path, without case and marks; a part of marks alone stays as it is."""
    parts = [part for part in re.split(r"[/\\]+", name.casefold().strip()) if part not in ("", ".")]
    return [re.sub(r"[\s_.-]+", "", part) or part for part in parts]
