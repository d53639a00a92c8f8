"""Substitutions of a manifest's `rename`, which may not take more than a few seconds however they are written."""

from __future__ import annotations

import re
from collections.abc import Iterable

from acrank.errors import CandidateError
from acrank.system.bounded_process import run_program

#: Characters of an expression, a replacement and a tensor's name.
LONGEST = 1000
_SECONDS = 2
#: What makes an expression try several ways to match; with one of these the tries are at most quadratic in the name.
_CHOICES = "*+?{|"
_HINT = "avoid repeats within repeats, such as (a+)+"
#: In this process, where a name's characters squared come to less, over all names.
_QUICK = 10**7
_PROGRAM = """
import re
pattern, replacement, names, most = given
found = re.compile(pattern)
json.dump([found.sub(replacement, name)[:most] if found.search(name) else None for name in names], sys.stdout)
"""


def check_substitution(pattern: str, replacement: str) -> None:
    """Whether an expression and its replacement are valid; the expression is not run.

    Raises:
        ValueError: they are not, or are too long.

    Example:
        >>> check_substitution(r"^layer(\\d)", r"stage_\\1")
        >>> check_substitution("(", "")
        Traceback (most recent call last):
        ...
        ValueError: '(' -> '' is not a valid substitution: missing ), unterminated subpattern at position 0
    """
    if max(len(pattern), len(replacement)) > LONGEST:
        raise ValueError(f"{pattern[:40]!r}… is longer than {LONGEST} characters")
    try:
        compiled = re.compile(pattern)
        names = {number: f"?P<{name}>" for name, number in compiled.groupindex.items()}
        groups = "".join(f"({names.get(number, '')})" for number in range(1, compiled.groups + 1))
        re.compile(groups).sub(replacement, "")  # the same groups, with nothing to try
    except (re.error, IndexError, OverflowError, RecursionError) as error:
        raise ValueError(f"{pattern!r} -> {replacement!r} is not a valid substitution: {error}") from error


def substituted(pattern: str, replacement: str, names: Iterable[str]) -> dict[str, str]:
    """The new name of every name that the expression matches.

    An expression with several choices can take longer than a life (catastrophic backtracking), and Python's engine
    cannot be stopped within a thread: it then runs in a process of its own, which is ended after two seconds of
    processor time.

    Raises:
        CandidateError: it takes too long, or makes a name too long.

    Example:
        >>> substituted(r"^layer(\\d)", r"stage_\\1", ["layer1.weight", "fc.bias"])
        {'layer1.weight': 'stage_1.weight'}
    """
    names = list(names)
    if any(len(name) > LONGEST for name in names):
        raise CandidateError(f"a tensor's name has more than {LONGEST} characters", hint="leave `rename` out")
    is_quick = sum(len(name) ** 2 for name in names) < _QUICK
    if is_quick and sum(pattern.count(one) for one in _CHOICES) <= 1:
        compiled = re.compile(pattern)
        new = [compiled.sub(replacement, name) if compiled.search(name) else None for name in names]
    else:
        new = _in_process(pattern, replacement, names)
    found = {name: to for name, to in zip(names, new, strict=True) if to is not None}
    if any(len(to) > LONGEST for to in found.values()):
        raise CandidateError(f"rename {pattern!r} makes names of more than {LONGEST} characters", hint="shorten them")
    return found


def _in_process(pattern: str, replacement: str, names: list[str]) -> list[str | None]:
    try:
        out: list[str | None] = run_program(_PROGRAM, [pattern, replacement, names, LONGEST + 1], seconds=_SECONDS)
    except TimeoutError:
        text = f"rename {pattern!r} takes more than {_SECONDS} seconds"
        raise CandidateError(text, hint=_HINT) from None
    except ValueError as error:
        raise CandidateError(f"rename {pattern!r} failed: {error}", hint=_HINT) from error
    return out
