"""A case: a folder of files, a command, and what its generator knows about the outcome."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Case:
    """One command over files that a generator has made.

    Attributes:
        entry: entry point, such as "weights".
        seed: from which entry and seed make the same case again.
        move: what was done, by name.
        folder: where the command runs; its files are those of the case.
        argv: the words after `acrank`.
        env: environment variables beside the usual ones.
        sound: nothing is wrong: any exit code but 0 is a failure.
        nonsense: the command must not succeed: exit code 0 is a failure.
        unranked: models that no record in the folder may have a rank for.
        kept: files that the command must leave as they are, by their bytes; relative to `folder`.
        secret: a word that is in a file outside the data set; it must not be in any output.
        written: files that the command writes where it succeeds: they must be whole, and nothing in them foreign.
        unlisted: weights that no manifest among `written` may have an entry of.
        values: what the ranking score must be, by model, where the model is ranked.
        terminal: stdout and stderr are a terminal, on which colours and progress are no fault; foreign text still is.
        meanwhile: what happens to a file while the command runs: {file, count, rows, after} as for a signal, and
            `change` (a name in `fuzz.server.CHANGES`) of `path`.
        network: requests are what the user asked for (`hf-hub:`); the harness refuses them, but they are no fault.
    """

    entry: str
    seed: int
    move: str
    folder: Path
    argv: tuple[str, ...]
    env: dict[str, str] = field(default_factory=dict)
    sound: bool = False
    nonsense: bool = False
    unranked: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()
    secret: str = ""
    written: tuple[str, ...] = ()
    unlisted: tuple[str, ...] = ()
    values: dict[str, float] = field(default_factory=dict)
    network: bool = False
    terminal: bool = False
    meanwhile: dict[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Short, for a report.

        >>> Case(entry="gates", seed=3, move="alias_bomb", folder=Path(), argv=()).name
        'gates:3 (alias_bomb)'
        """
        return f"{self.entry}:{self.seed} ({self.move})"
