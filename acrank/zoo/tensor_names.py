"""Tensor names: from those of a file to those of a network."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TypeVar

from acrank.errors import CandidateError
from acrank.zoo.substitution import substituted

_Tensor = TypeVar("_Tensor")


def renamed(
    tensors: Mapping[str, _Tensor], *, keep_prefix: str | None, strip_prefix: str | None, rename: Mapping[str, str]
) -> dict[str, _Tensor]:
    """The tensors under new names: `keep_prefix`, then `strip_prefix`, then the substitutions in order.

    Raises:
        CandidateError: a prefix or substitution matches no name, two tensors get the same name, or it takes too long.

    Example:
        >>> renamed({"m.q.conv": 1, "m.k.conv": 2}, keep_prefix="m.q.", strip_prefix="m.", rename={r"^q\\.": ""})
        {'conv': 1}
    """
    out = dict(tensors)
    if keep_prefix:
        out = {name: value for name, value in out.items() if name.startswith(keep_prefix)}
        _some(out, f"no tensor's name begins with keep_prefix {keep_prefix!r}", tensors)
    if strip_prefix:
        _some([n for n in out if n.startswith(strip_prefix)], f"no tensor's name begins with {strip_prefix!r}", tensors)
        out = _apply(out, {name: name.removeprefix(strip_prefix) for name in out})
    for pattern, replacement in rename.items():
        new = substituted(pattern, replacement, out)
        _some(new, f"no tensor's name matches rename {pattern!r}", out)
        out = _apply(out, {name: new.get(name, name) for name in out})
    return out


def likely_prefix(
    shapes: Mapping[str, tuple[int, ...]], wanted: Mapping[str, tuple[int, ...]]
) -> tuple[str | None, int]:
    """The prefix whose removal makes most of `wanted` match by name and shape, and how many match then.

    None and 0 where no removal makes more than half of them match.

    >>> likely_prefix({"module.a": (1,), "module.b": (2,)}, {"a": (1,), "b": (2,)})
    ('module.', 2)
    """
    votes: Counter[str] = Counter()
    for name, shape in shapes.items():
        parts = name.split(".")
        for i in range(1, len(parts)):
            rest = ".".join(parts[i:])
            votes[name.removesuffix(rest)] += wanted.get(rest) == shape
    best = votes.most_common(1)
    return best[0] if best and best[0][1] > len(wanted) / 2 else (None, 0)


def _apply(tensors: Mapping[str, _Tensor], names: Mapping[str, str]) -> dict[str, _Tensor]:
    out: dict[str, _Tensor] = {}
    origin: dict[str, str] = {}
    for old, new in names.items():
        if new in out:
            text = f"the tensors {origin[new]!r} and {old!r} would both be called {new!r}"
            raise CandidateError(text, hint="narrow `rename`, or keep one of them with `keep_prefix`")
        out[new], origin[new] = tensors[old], old
    return out


def _some(found: Iterable[str], message: str, names: Iterable[str]) -> None:
    if not list(found):
        raise CandidateError(message, hint=f"the names are like {', '.join(list(names)[:3])}")
