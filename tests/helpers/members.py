"""Inputs of a kind, with what is read of each and said, or how it is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from acrank.errors import AcrankError
from acrank.targets import Target, open_target
from acrank.targets.examination import Examination, spread
from acrank.targets.understanding import understand

Make = Callable[[Path], Path]


@dataclass(frozen=True)
class Member:
    """One input: what of it is read (`said` is in its notes, `quiet` is not), or with what words it is refused."""

    name: str
    make: Make
    task: str = "classification"
    classes: tuple[str, ...] = ()
    count: int | None = None
    said: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    quiet: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


def looked_at(path: Path, options: dict[str, Any]) -> tuple[Target, list[str]]:
    """The target with its images decoded, and everything that is said of it."""
    target = open_target(path, **options)
    examination = Examination()
    target = examination.look(target, spread(len(target), 50), lambda _: None)
    found = understand(target, examination)
    return target, [*found.notes, *found.warnings]


def misread(member: Member, folder: Path) -> list[str]:
    """What is otherwise than a member says: how it is read, or with what words it is refused; empty where all holds."""
    path = member.make(folder / "data")
    try:
        target, said = looked_at(path, member.options)
    except AcrankError as error:
        text = f"{error.message} / {error.hint}"
        if not member.refused:
            return [f"it is refused: {text}"]
        lacking = [word for word in member.refused if word not in text]
        return [f"{word!r} is not in: {text}" for word in lacking] + ([] if error.hint else ["there is no hint"])
    if member.refused:
        return [f"it is read: {target}"]
    found = {"task": (target.task, member.task), "classes": (target.classes or member.classes, member.classes)}
    found["count"] = (len(target), len(target) if member.count is None else member.count)
    wrong = [f"{name}: {is_so!r} instead of {wanted!r}" for name, (is_so, wanted) in found.items() if is_so != wanted]
    wrong += [f"{word!r} is said: {said}" for word in member.quiet if any(word in text for text in said)]
    return wrong + [f"{word!r} is not said: {said}" for word in member.said if not any(word in text for text in said)]
