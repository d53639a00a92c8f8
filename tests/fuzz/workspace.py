"""Where a move makes its case: an empty folder, the sound materials, and a random stream of its own."""

from __future__ import annotations

import importlib
import json
import pkgutil
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import yaml

from fuzz.case import Case
from fuzz.materials import QUICK, Materials

Move = Callable[["Workspace"], Case]
#: Every move, by entry point and by name.
MOVES: dict[str, dict[str, Move]] = {}


def move(function: Move) -> Move:
    """Register a move under the name of its module."""
    MOVES.setdefault(function.__module__.rpartition(".")[2], {})[function.__name__] = function
    return function


def load_moves() -> dict[str, dict[str, Move]]:
    """`MOVES`, with every module of the generators."""
    from fuzz import generators

    for found in pkgutil.iter_modules(generators.__path__):
        importlib.import_module(f"fuzz.generators.{found.name}")
    return MOVES


def make_case(entry: str, seed: int, folder: Path, materials: Materials) -> Case:
    """The case of an entry point and a seed: always the same."""
    moves = load_moves()[entry]
    random = Random(f"{entry}:{seed}")
    name = random.choice(sorted(moves))
    folder.mkdir(parents=True)
    return moves[name](Workspace(entry, seed, name, folder=folder, materials=materials, random=random))


@dataclass
class Workspace:
    """What a move works with, and the cases that it may end in."""

    entry: str
    seed: int
    move: str
    folder: Path
    materials: Materials
    random: Random

    @property
    def rng(self) -> np.random.Generator:
        """A NumPy generator of this case."""
        return np.random.default_rng(self.random.getrandbits(64))

    def case(self, *argv: object, **known: Any) -> Case:
        """A command, and what is known about its outcome."""
        words = tuple(str(word) for word in argv)
        return Case(entry=self.entry, seed=self.seed, move=self.move, folder=self.folder, argv=words, **known)

    def score(self, *more: object, zoo: object = None, data: object = None, **known: Any) -> Case:
        """A quick `acrank score` into run.json."""
        where = (
            "--zoo",
            self.materials.zoo if zoo is None else zoo,
            "--data",
            self.materials.data if data is None else data,
        )
        return self.case("score", *where, *QUICK, "-o", "run.json", *more, **known)

    def score_one(self, data: object, *more: object, **known: Any) -> Case:
        """As `score`, with one candidate: what is tried is the data."""
        return self.score("--model", "a", *more, data=data, **known)

    def score_any(self, data: object, *more: object, **known: Any) -> Case:
        """As `score_one`, with the scores that the target's task has by default."""
        where = ("--zoo", self.materials.zoo, "--data", data, "--model", "a")
        return self.case("score", *where, "--samples", 64, "--repeats", 1, "-o", "run.json", *more, **known)

    def write_zoo(self, *entries: Any, name: str = "zoo.yaml", **more: Any) -> Path:
        """A manifest in the folder."""
        path = self.folder / name
        path.write_text(yaml.safe_dump({"version": 1, **more, "models": list(entries)}, allow_unicode=True))
        return path

    def write_record(self, record: Any, name: str = "in.json") -> str:
        """Plain data as JSON in the folder (NaN and infinity as Python writes them); its name."""
        (self.folder / name).write_text(json.dumps(record), encoding="utf-8", errors="surrogatepass")
        return name

    def copy_data(self, name: str = "data") -> Path:
        """The class folders, to be damaged."""
        shutil.copytree(self.materials.data, self.folder / name)
        return self.folder / name
