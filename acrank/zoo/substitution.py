"""Substitutions of a manifest's `rename`, which may not take more than a few seconds however they are written."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable

from acrank.errors import CandidateError

#: Characters of an expression, a replacement and a tensor's name.
LONGEST = 1000
_SECONDS = 5.0
#: What makes an expression try several ways to match; with one of these the tries are at most quadratic in the name.
_CHOICES = "*+?{|"
_HINT = "avoid repeats within repeats, such as (a+)+"
_PROGRAM = """
import json, re, sys
pattern, replacement, names = json.load(sys.stdin)
found = re.compile(pattern)
json.dump([found.sub(replacement, name) if found.search(name) else None for name in names], sys.stdout)
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
    cannot be stopped within a thread: it then runs in a process of its own, which is ended after five seconds.

    Raises:
        CandidateError: it takes too long, or makes a name too long.

    Example:
        >>> substituted(r"^layer(\\d)", r"stage_\\1", ["layer1.weight", "fc.bias"])
        {'layer1.weight': 'stage_1.weight'}
    """
    names = list(names)
    if any(len(name) > LONGEST for name in names):
        raise CandidateError(f"a tensor's name has more than {LONGEST} characters", hint="leave `rename` out")
    if sum(pattern.count(one) for one in _CHOICES) <= 1:
        compiled = re.compile(pattern)
        new = [compiled.sub(replacement, name) if compiled.search(name) else None for name in names]
    else:
        new = _in_process(pattern, replacement, names)
    found = {name: to for name, to in zip(names, new, strict=True) if to is not None}
    if any(len(to) > LONGEST for to in found.values()):
        raise CandidateError(f"rename {pattern!r} makes names of more than {LONGEST} characters", hint="shorten them")
    return found


def _in_process(pattern: str, replacement: str, names: list[str]) -> list[str | None]:
    given = json.dumps([pattern, replacement, names])
    command = [sys.executable, "-I", "-S", "-c", _PROGRAM]
    try:
        done = subprocess.run(command, input=given, capture_output=True, text=True, timeout=_SECONDS, check=True)  # noqa: S603 - this Python, with a program of its own
    except subprocess.TimeoutExpired as error:
        text = f"rename {pattern!r} takes more than {_SECONDS:g} seconds"
        raise CandidateError(text, hint=_HINT) from error
    except subprocess.CalledProcessError as error:
        text = f"rename {pattern!r} failed: {error.stderr.strip().splitlines()[-1:]}"
        raise CandidateError(text, hint=_HINT) from error
    out: list[str | None] = json.loads(done.stdout)
    return out
