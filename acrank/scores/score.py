"""What there is to know about a score before running it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

ORDER = "order"
NAMES = "class names"
ROTATION = "rotation"
TRANSLATION = "translation"
SCALE = "scale"
DUPLICATION = "duplication"

#: What a score may need besides arrays, given by name.
KEYWORDS = ("seed", "per_channel", "step_size")

GEOMETRY = frozenset({ORDER, NAMES, ROTATION, TRANSLATION})


@dataclass(frozen=True)
class Score:
    """What there is to know about a score before running it.

    Attributes:
        name: key in SCORES, column in tables.
        path: where the function lives, `module:function`.
        needs: its array arguments in order: "features" [n, d], "labels" ([n] classes, [n] real values or [n, t]),
            "logits" [n, z] of the source head, "half" [n] (of the cross-fit), "groups" [n] (the image of a row),
            "shifts" (of the affines), "random_head_shifts" (the same under a random head), "later_gram" [m, m] with
            "later_gram_labels" and "later_gram_half" [m] (of the later layers' outputs), "maps" (rows of a decoder's
            maps); then the keywords among `KEYWORDS`.
        higher_is_better: the direction that the paper gives.
        range: lowest and highest value possible, None where unbounded.
        tasks: what the labels may be: "classification", "multilabel", "regression", "segmentation" (a row is then a
            labelled position of an image).
        paper: authors, title, year, where to find it.
        pool_relative: whether the value depends on the other candidates; then `function` returns a candidate's part
            and `pool_function` turns the parts of all candidates into values.
        pool_path: where `pool_function` lives.
        cost: what a run pays for it; "cheap" is up to 0.2 s for n = 256, d = 2048 on one core.
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
    def of_a_step(self) -> bool:
        """Whether it is about how the affines moved: then there is a value before the step, too."""
        return bool({"shifts", "random_head_shifts"} & {*self.needs})

    @property
    def pool_function(self) -> Callable[[list[Any]], list[float]]:
        """From the parts of all candidates to their values; only for pool-relative scores."""
        return _load(self.pool_path)


def _load(path: str) -> Callable[..., Any]:
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)
