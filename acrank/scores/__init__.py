"""Transferability scores: one pure function a file, and the SCORES table that says what each needs and promises.

Importing this package loads none of the functions, nor NumPy; `SCORES["logme"].function` loads one.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from acrank.scores.undefined import UndefinedScoreError

__all__ = ["SCORES", "Score", "UndefinedScoreError"]

ORDER = "order"
NAMES = "class names"
ROTATION = "rotation"
TRANSLATION = "translation"
SCALE = "scale"
DUPLICATION = "duplication"

GEOMETRY = frozenset({ORDER, NAMES, ROTATION, TRANSLATION})


@dataclass(frozen=True)
class Score:
    """What there is to know about a score before running it.

    Attributes:
        name: key in SCORES, column in tables.
        path: where the function lives, `module:function`.
        needs: its array arguments in order: "features" [n, d], "labels" ([n] classes, [n] real values or [n, t]),
            "logits" [n, z] of the source head; then "seed" (keyword) where it draws.
        higher_is_better: the direction that the paper gives.
        range: lowest and highest value possible, None where unbounded.
        tasks: what the labels may be: "classification", "multilabel", "regression".
        paper: authors, title, year, where to find it.
        pool_relative: whether the value depends on the other candidates; then `function` returns a candidate's part
            and `pool_function` turns the parts of all candidates into values.
        pool_path: where `pool_function` lives.
        cost: what a run pays for it.
        invariances: what may change without changing the value: sample order, class names, rotation, translation
            and scale of the features, duplication of the whole sample.
    """

    name: str
    path: str
    needs: tuple[str, ...]
    higher_is_better: bool
    range: tuple[float | None, float | None]
    tasks: tuple[str, ...]
    paper: str
    pool_relative: bool = False
    pool_path: str = ""
    cost: str = "cheap"
    invariances: frozenset[str] = frozenset({ORDER, NAMES})

    @property
    def function(self) -> Callable[..., Any]:
        """The score itself, loaded on first use."""
        return _load(self.path)

    @property
    def pool_function(self) -> Callable[[list[Any]], list[float]]:
        """From the parts of all candidates to their values; only for pool-relative scores."""
        return _load(self.pool_path)


def _load(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


_CLASSES = ("classification",)
_ALL = ("classification", "multilabel", "regression")

_ROWS = (
    Score(
        "logme",
        "acrank.scores.logme:logme",
        ("features", "labels"),
        True,
        (None, None),
        _ALL,
        "You et al., LogME: Practical Assessment of Pre-trained Models for Transfer Learning, ICML 2021, "
        "arXiv 2102.11005, eq. 2",
        invariances=frozenset({ORDER, NAMES, ROTATION, SCALE}),
    ),
    Score(
        "leep",
        "acrank.scores.leep:leep",
        ("logits", "labels"),
        True,
        (None, 0.0),
        _CLASSES,
        "Nguyen et al., LEEP: A New Measure to Evaluate Transferability of Learned Representations, ICML 2020, "
        "arXiv 2002.12462, eq. 2",
        invariances=frozenset({ORDER, NAMES, DUPLICATION}),
    ),
    Score(
        "nce",
        "acrank.scores.nce:nce",
        ("logits", "labels"),
        True,
        (None, 0.0),
        _CLASSES,
        "Tran et al., Transferability and Hardness of Supervised Classification Tasks, ICCV 2019, arXiv 1908.08142, "
        "eq. 4",
        invariances=frozenset({ORDER, NAMES, SCALE, DUPLICATION}),
    ),
    Score(
        "h_score",
        "acrank.scores.h_score:h_score",
        ("features", "labels"),
        True,
        (0.0, None),
        _CLASSES,
        "Ibrahim et al., Newer is not always better: Rethinking transferability metrics, ECML-PKDD 2022, "
        "arXiv 2110.06893, eq. 8; after Bao et al., ICIP 2019",
        invariances=GEOMETRY | {SCALE},
    ),
)

SCORES: dict[str, Score] = {row.name: row for row in _ROWS}
