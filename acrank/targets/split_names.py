"""Names of splits in any spelling: `training_set`, `Testing`, `TRAIN`, `dev`, `fold_0`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from acrank.errors import NoSplitError
from acrank.system.words import closest
from acrank.targets.target import first_few

SplitKind = Literal["train", "val", "test", "fold"]

_WORDS: dict[SplitKind, str] = {
    "train": "train(?:ing)?|tr|trn",
    "val": "val|valid|validation|validate|dev|devel|development|eval|evaluation|tune|tuning",
    "test": "test(?:ing)?|hold[ _-]?out|ts|tst",
    "fold": "(?:fold|cv|split)(?=[ _-]?[0-9])",
}
_BESIDE = r"(?:data(?:set)?|set|split|images?|imgs?|pictures|samples|dir|folder|part|new|final)"
_NAMES = "|".join(f"(?P<{kind}>{words})" for kind, words in _WORDS.items())
_SPLIT = re.compile(
    rf"(?:[0-9]{{1,2}}[ _.-]+)?(?:{_BESIDE}[ _-]?)?(?:{_NAMES})"
    rf"(?:[ _-]?{_BESIDE})?(?:[ _-]?[0-9]+)?",
    re.IGNORECASE,
)


def split_kind(name: str) -> SplitKind | None:
    """What split a name stands for, "fold" for a numbered part of several; None for any other name.

    >>> split_kind("training_set"), split_kind("2_Testing"), split_kind("dev"), split_kind("fold_0"), split_kind("cat")
    ('train', 'test', 'val', 'fold', None)
    """
    found = _SPLIT.fullmatch(name.strip())
    return found.lastgroup if found else None  # type: ignore[return-value]


def choose_splits(split: str | None, available: Sequence[str], *, path: Path, notes: list[str]) -> list[str]:
    """The splits to read, sorted: the given one, all of them for "all", "train" for None.

    A split may be named in any case and spelling: "train" finds `training_set`. Folds, such as `fold_0`, are all read
    where no split is named. Empty if the target has no splits. A default among several splits is added to the notes.

    Raises:
        NoSplitError: the split does not exist, or several have this meaning.
    """
    names = sorted(available)
    if not names and split in (None, "all"):
        return []
    if not names:
        raise NoSplitError(f"{path} has no splits, so no split {split!r}", hint="leave the split out")
    if split == "all":
        return names
    if split is None and all(split_kind(name) == "fold" for name in names):
        notes.append(f"splits {', '.join(names)} are read together (name one to read it alone)")
        return names
    chosen = _named(split or "train", names, path=path)
    if split is None and len(names) > 1:
        notes.append(f'split "{chosen}" of {", ".join(names)} ("all" joins them)')
    return [chosen]


def _named(split: str, names: Sequence[str], *, path: Path) -> str:
    """The split of this name, else of this name in another case, else the only one of its meaning."""
    same_case = [name for name in names if name.casefold() == split.casefold()]
    kind = split_kind(split)
    alike = [name for name in names if kind not in (None, "fold") and split_kind(name) == kind]
    found = [split] if split in names else same_case or alike
    if len(found) == 1:
        return found[0]
    problem = (
        f"several splits {split!r}: {', '.join(found)}" if found else f"no split {split!r}, only {first_few(names)}"
    )
    usual = 'name one of them, or "all" to join them'
    raise NoSplitError(f"{path} has {problem}", hint=usual if found else closest(split, [*names, "all"], usual))
