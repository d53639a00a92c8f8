"""Inputs of a kind, with what is read of each and said, or how it is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from acrank.errors import AcrankError
from acrank.targets import Target, open_target
from acrank.targets.examination import Examination, spread
from acrank.targets.understanding import understand

Make = Callable[[Path], Path]


@dataclass(frozen=True)
class Member:
    """One input: what of it is read (`said` is in its notes), or with what words it is refused."""

    name: str
    make: Make
    task: str = "classification"
    classes: tuple[str, ...] = ()
    count: int | None = None
    said: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


def looked_at(path: Path, options: dict[str, Any]) -> tuple[Target, list[str]]:
    """The target with its images decoded, and everything that is said of it."""
    target = open_target(path, **options)
    examination = Examination()
    target = examination.look(target, spread(len(target), 50), lambda _: None)
    found = understand(target, examination)
    return target, [*found.notes, *found.warnings]


def hold(member: Member, folder: Path) -> None:
    """Assert that a member is read, or refused, as it says."""
    path = member.make(folder / "data")
    if member.refused:
        with pytest.raises(AcrankError) as caught:
            looked_at(path, member.options)
        text = f"{caught.value.message} / {caught.value.hint}"
        assert caught.value.hint
        assert [word for word in member.refused if word not in text] == [], text
        return
    target, said = looked_at(path, member.options)
    assert (target.task, target.classes or member.classes) == (member.task, member.classes)
    assert member.count in (None, len(target))
    lacking = [word for word in member.said if not any(word in text for text in said)]
    assert lacking == [], said
