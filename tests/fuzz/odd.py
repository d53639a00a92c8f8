"""Odd values, odd text and odd bytes, and putting them where sound ones were."""

from __future__ import annotations

import copy
import math
import os
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

#: What a terminal, a log or a CI runner would obey.
HOSTILE = (
    "\x1b[31mred",
    "\x1b]0;title\x07",
    "a\u202eb",
    "x\n::error file=a::planted",
    "::warning::planted",
    "##[error]planted",
    "a\rb",
    "a\x9bb",
    "a\u2028b",
    "[bold]x[/bold]",
    "=1+2",
    "<script>alert(1)</script>",
    "|a|b|",
    "a\tb",
    "\ufffe",
    "\ud800".encode("utf-8", "surrogatepass").decode("utf-8", "replace"),
)
NUMBERS = (-1, 0, 1, 2, -0.0, 0.5, 1e-300, 1e308, math.inf, -math.inf, math.nan, 2**31, 2**63, 2**64, -(2**63), 10**400)
#: Numbers as people and programs write them on a command line.
NUMBER_WORDS = (
    *("-1", "0", "1", "2", "3", "0.5", "nan", "inf", "-inf", "1e400", "1e-400", "99999999999", "9" * 400, "2**3"),
    *("0x10", "1_000", " 1", "1,2", "1,2,3", "0.001,0.001,0.001", "", ",", "٣", "1e9", "-0", "+5", "1.", "true"),
)
WORDS = (
    *("", " ", "x", "all", "none", "null", "../..", "/", "/dev/zero", "/dev/null", "a" * 5000, "a/" * 3000, "-", "--"),
    *("cuda:99", "cpu,cpu", "1/0", "0/0", "5/2", "(a+)+$", "[", "*", "?", "%s%n", "{0}", "~", "$HOME", "file:///etc"),
    *HOSTILE,
)


def odd(random: Random) -> Any:
    """A value that is seldom right."""
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: random.choice(NUMBERS),
        lambda: random.choice(WORDS),
        lambda: random.choice((None, True, False, [], {}, [[]], {"": ""}, [None], {"x": {"y": []}})),
        lambda: [random.choice(NUMBERS)] * random.choice((1, 2, 3, 1000)),
        lambda: nested(random.choice((20, 150))),
    )
    return random.choice(kinds)()


def nested(depth: int) -> Any:
    """A list in a list in a list."""
    found: Any = []
    for _ in range(depth):
        found = [found]
    return found


def changed(tree: Any, random: Random) -> Any:
    """A copy of plain data in which one to three places are otherwise."""
    found = copy.deepcopy(tree)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        _change_one(found, random)
    return found


def _change_one(tree: Any, random: Random) -> None:
    places = [(holder, key) for holder, key in _places(tree)]
    if not places:
        return
    holder, key = random.choice(places)
    action = random.randrange(6)
    if action == 0:
        del holder[key]
    elif action == 1 and isinstance(holder, dict):
        holder[random.choice(("x", "", "id", *HOSTILE))] = holder.pop(key)
    elif action == 2 and isinstance(holder, list):
        holder.insert(0, copy.deepcopy(holder[key]))
    elif action == 3 and isinstance(holder[key], float | int) and not isinstance(holder[key], bool):
        holder[key] = random.choice(NUMBERS)
    else:
        holder[key] = odd(random)


def _places(tree: Any) -> list[tuple[Any, Any]]:
    found: list[tuple[Any, Any]] = []
    waiting = [tree]
    while waiting:
        here = waiting.pop()
        keys = list(here) if isinstance(here, dict) else range(len(here)) if isinstance(here, list) else []
        for key in keys:
            found.append((here, key))
            waiting.append(here[key])
    return found


def damaged(raw: bytes, random: Random) -> bytes:
    """The bytes with some flipped, cut out, doubled, cut off or overwritten."""
    data = bytearray(raw)
    for _ in range(random.choice((1, 1, 3, 20))):
        at = random.randrange(max(1, len(data)))
        length = random.choice((1, 2, 8, 64))
        action = random.randrange(5)
        if action == 0:
            data[at : at + 1] = bytes([data[at] ^ (1 << random.randrange(8))]) if data else b"x"
        elif action == 1:
            del data[at : at + length]
        elif action == 2:
            data[at:at] = data[at : at + length]
        elif action == 3:
            data[at : at + length] = random.choice((b"\xff", b"\0", b"\x7f")) * length
        else:
            data[at : at + length] = random.randbytes(length)
    return bytes(data[: random.randrange(len(data) + 1)] if random.random() < 0.2 else data)


def instead_of_file(path: Path, random: Random) -> str:
    """Put something in a file's place that is no file, or none that ends; says what."""
    if path.is_dir() and not path.is_symlink():
        raise IsADirectoryError(path)
    path.unlink(missing_ok=True)
    kinds: dict[str, Callable[[], object]] = {
        "folder": path.mkdir,
        "fifo": lambda: os.mkfifo(path),
        "link to /dev/zero": lambda: path.symlink_to("/dev/zero"),
        "link to /dev/urandom": lambda: path.symlink_to("/dev/urandom"),
        "link to itself": lambda: path.symlink_to(path.name),
        "link to nothing": lambda: path.symlink_to("nothing"),
        "link to its folder": lambda: path.symlink_to("."),
        "empty file": path.touch,
        "sparse file of 1 GiB": lambda: _sparse(path, 2**30),
    }
    name = random.choice(list(kinds))
    kinds[name]()
    return name


def _sparse(path: Path, size: int) -> None:
    with path.open("wb") as file:
        file.truncate(size)
