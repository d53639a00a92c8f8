"""Arguments of architectures from a manifest, a hub or a folder: numbers and plain words, nothing that is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from acrank.errors import CandidateError

#: Parts of names under which networks take a file or an address; a switch or a number there is harmless.
_FETCHED = re.compile(
    r"(^|_)(checkpoints?|ckpts?|urls?|uris?|files?|filenames?|paths?|dirs?|directory|folders?|hub|repo|cache|source"
    r"|state|custom|overlay)(_|$)"
)
#: Parts of names that ask for weights of the library's own.
_WEIGHTS = re.compile(r"(^|_)(pretrained|weights)")
_NOT_A_PATH = re.compile(r"drop_?paths?")  # stochastic depth
_WORD = re.compile(r"[\w.+ -]{0,100}")
_HINT = "weights come from the candidate's file alone: leave it out"


def check_arguments(args: Mapping[str, Any], where: str, *, allow_download: bool = False) -> None:
    """Refuse what is no number, switch or word, and every argument that names a file, an address or other weights.

    Args:
        args: of a network; nested lists and mappings are looked into.
        where: they come from, for the message.
        allow_download: whether words and switches may ask for the library's own weights.

    Raises:
        CandidateError: an argument is refused.

    Example:
        >>> check_arguments({"depths": [2, 2], "act_layer": "gelu", "drop_path_rate": 0.1}, "config.json")
        >>> check_arguments({"checkpoint_path": "w.pth"}, "config.json")
        Traceback (most recent call last):
        ...
        acrank.errors.CandidateError: config.json has an argument that names a file or an address: checkpoint_path
    """
    for name, value in _named(args):
        words = _NOT_A_PATH.sub("", name.lower())
        if isinstance(value, str) and _FETCHED.search(words):
            raise CandidateError(f"{where} has an argument that names a file or an address: {name[:80]}", hint=_HINT)
        if value not in (None, False) and _WEIGHTS.search(words) and not (words.startswith("init_") or allow_download):
            text = f"{where} asks for weights of the library's own: {name[:80]}"
            raise CandidateError(text, hint=f"{_HINT}, or give --allow-download")
        if isinstance(value, str) and not _WORD.fullmatch(value):
            text = f"{where} has an argument that is no plain word: {name[:80]}={value[:80]!r}"
            raise CandidateError(text, hint="architectures take numbers, switches and words without / and :")


def _named(value: Any, name: str = "") -> Iterator[tuple[str, Any]]:
    """Every number, switch and word with the nearest name; a mapping or list under a name is one of its values, too."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _named(inner, str(key))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _named(inner, name)
    else:
        yield name, value
