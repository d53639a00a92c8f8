"""Groups of images that belong together, such as those of one patient: by a pattern, by a column, or only suspected."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence

import numpy as np

from acrank.errors import TargetError, UsageError
from acrank.system.bounded_process import run_program
from acrank.system.words import from_to
from acrank.targets.label_spelling import composed
from acrank.targets.target import Target, first_few

#: A pattern that has not matched all names after so many seconds of processor time never ends.
_SECONDS = 5
#: Longer names are cut before they are matched.
_LONGEST = 1024
#: Runs in a process of its own, which can be stopped: Python's own matching cannot.
_MATCHING = (
    "import re; pattern, names = given; search = re.compile(pattern).search; "
    "found = map(search, names); "
    "json.dump([one and (next(filter(None, one.groups()), '') if one.re.groups else one[0]) for one in found], "
    "sys.stdout)"
)
#: Names suggest groups where this share of the images shares its group's name with another one.
_SHARED = 0.5
_LEAST_GROUPS = 2
_FOLDER = re.compile(r"(?:^|/)((?:patient|subject|subj|sub|pat|case|person|donor|p)[ _-]?\d+)/", re.IGNORECASE)
_PREFIX = re.compile(r"(?:^|/)([^/]*\d[^/]*)[_-][^/_-]*\d[^/_-]*$")
_PATTERNS = (
    (_FOLDER, r"((?:patient|subject|subj|sub|pat|case|person|donor|p)[ _-]?\d+)/"),
    (_PREFIX, r"([^/]*\d[^/]*)[_-][^/_-]*$"),
)


def group_names(ids: Sequence[str], pattern: str) -> tuple[str, ...]:
    """The group of every image: the first capture group of the pattern that is not empty, else what it matches.

    Args:
        ids: names of the images.
        pattern: a regular expression of Python that is searched in each name, within a bounded time.

    Raises:
        UsageError: no regular expression, or one that takes too long.
        TargetError: names that it does not match, or a single group.

    Example:
        >>> group_names(["p1_a", "p1_b", "p2_a"], "^(p[0-9]+)_")
        ('p1', 'p1', 'p2')
    """
    try:
        re.compile(pattern)
    except (re.error, OverflowError, RecursionError) as error:
        raise UsageError(
            f"--group-pattern {pattern!r} is no regular expression: {error}", hint="such as '^(patient[0-9]+)_'"
        ) from error
    found = _matched([name[:_LONGEST] for name in ids], pattern)
    lacking = [name for name, group in zip(ids, found, strict=True) if not group]
    if lacking:
        raise TargetError(
            f"--group-pattern {pattern!r} finds no group in {len(lacking)} of {len(ids)} names: "
            f"{first_few(lacking, 3)}",
            hint="it is searched in each path below the data, with its suffix",
        )
    return check_groups([str(group) for group in found], f"--group-pattern {pattern!r}")


def check_groups(found: Sequence[str], where: str) -> tuple[str, ...]:
    """The groups, unless all images are in one.

    Raises:
        TargetError: a single group; `where` names what gave it.
    """
    groups = tuple(map(composed, found))
    if len(set(groups)) < _LEAST_GROUPS:
        raise TargetError(f"{where} puts all images into one group", hint="leave it out, or name what tells them apart")
    return groups


def group_codes(groups: Sequence[str] | None) -> np.ndarray | None:
    """The groups numbered from 0 in the order of their names, int64 [N]; None without groups.

    >>> group_codes(["b", "a", "b"]).tolist()
    [1, 0, 1]
    """
    if groups is None:
        return None
    return np.unique(np.asarray(groups, dtype=object), return_inverse=True)[1].reshape(-1).astype(np.int64)


def groups_note(target: Target) -> str:
    """What a target's groups are; where it has none, a warning if its names suggest some, else ""."""
    if target.groups is not None:
        counts = Counter(target.groups).values()
        images = f"{from_to(min(counts), max(counts))} image{'' if max(counts) == 1 else 's'}"
        return f"{len(counts)} groups of {images} are kept on one side of every split"
    pattern = suspected_pattern(target.ids)
    if pattern is None:
        return ""
    return (
        "warning: file names suggest several images of one patient or object, which may then be on both sides of a "
        f"split: say --group-pattern '{pattern}' where they are"
    )


def suspected_pattern(ids: Sequence[str]) -> str | None:
    """A pattern by which most images share their group with another image, None if there is none.

    Example:
        >>> suspected_pattern([f"scans/p{patient}_{number}.png" for patient in range(3) for number in range(2)])
        '([^/]*\\\\d[^/]*)[_-][^/_-]*$'
    """
    for expression, pattern in _PATTERNS:
        found = [match[1] for match in (expression.search(_without_suffix(name[:_LONGEST])) for name in ids) if match]
        counts = Counter(found)
        shared = sum(count for count in counts.values() if count > 1)
        if len(counts) > _LEAST_GROUPS and shared >= _SHARED * len(ids):
            return pattern
    return None


def _matched(names: list[str], pattern: str) -> list[str | None]:
    try:
        found: list[str | None] = run_program(_MATCHING, [pattern, names], seconds=_SECONDS)
    except TimeoutError:
        raise UsageError(
            f"--group-pattern {pattern!r} takes more than {_SECONDS} seconds",
            hint="avoid repeats within repeats, such as (a+)+",
        ) from None
    except ValueError as error:
        raise UsageError(f"--group-pattern {pattern!r} cannot be matched: {error}", hint="simplify it") from error
    return found


def _without_suffix(name: str) -> str:
    return re.sub(r"(?:\.nii)?\.[^./]{1,5}$", "", name)
