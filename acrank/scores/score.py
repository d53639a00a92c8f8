"""`Score`: the description of one score, a row of the SCORES table."""

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

GEOMETRY = frozenset({ORDER, NAMES, ROTATION, TRANSLATION})


@dataclass(frozen=True, kw_only=True)
class Score:
    """The description of one score: its inputs, direction, range, and how a run treats it.

    Attributes:
        name: key in SCORES, column in tables, name of the function.
        module: where the function lives; `acrank.scores.<name>` by default.
        needs: names of its required arguments. From an observation: "features" [n, d], "labels" ([n] classes, [n] real
            values or [n, t]), "logits" [n, z] of the source head, "half" [n] of the cross-fit, "groups" [n] (the image
            of a row), "shifts" of the affines, "random_head_shifts", "later_gram" [m, m] of the later layers' outputs
            with "later_gram_labels", "later_gram_half" [m] and "later_gram_features" [m, d], "maps" of a decoder. From
            the run: "seed", "per_channel", "step_size".
        higher_is_better: the direction taken as better: the paper's, unless the function says why not.
        range: lowest and highest possible value, None where unbounded.
        tasks: kinds of labels it supports: "classification", "multilabel", "regression", "segmentation" (a row is then
            a labelled position of an image).
        paper: authors, title, year, where to find it.
        cost: what a run pays for it; "cheap" is up to 0.2 s for n = 256, d = 2048 on one core.
        invariances: changes that leave the value as it is: of the order of the sample, layers and channels; of the
            class names; rotation, translation and scale of the features, logits or outputs; duplication of the sample.
        pool_relative: whether the value depends on the other candidates; then `function` returns a candidate's part
            and `pool_function` turns the parts of all candidates into values.
        shown_by_default: whether a run without --scores computes it.
        after_training: whether a protocol with epochs supports it: such a protocol gives no features of the source and
            no single gradient.
        always_controlled: whether it gets the control of shuffled labels even where it does not rank.
        wants_diagnostics: whether a row says what its features suffer from, for scores of features.
    """

    name: str
    module: str = ""
    needs: tuple[str, ...]
    higher_is_better: bool = True
    range: tuple[float | None, float | None] = (None, None)
    tasks: tuple[str, ...] = ("classification", "segmentation")
    paper: str
    cost: str = "cheap"
    invariances: frozenset[str] = frozenset({ORDER, NAMES})
    pool_relative: bool = False
    shown_by_default: bool = False
    after_training: bool = False
    always_controlled: bool = False
    wants_diagnostics: bool = True

    @property
    def function(self) -> Callable[..., Any]:
        """The score itself, loaded on first use."""
        return self._load(self.name)

    @property
    def pool_function(self) -> Callable[[list[Any]], list[float]]:
        """`<name>_pool`: from the parts of all candidates to their values; only for pool-relative scores."""
        return self._load(f"{self.name}_pool")

    @property
    def of_a_step(self) -> bool:
        """Whether it measures how the affines moved: then it has a value before the step, too."""
        return bool({"shifts", "random_head_shifts"} & {*self.needs})

    @property
    def reads_rows(self) -> bool:
        """Whether it is one of the rows of a sample, whatever step was taken on them: then it has one of any subset."""
        needs = {*self.needs}
        return (
            not self.pool_relative
            and not {"shifts", "maps"} & needs
            and bool({"features", "labels", "logits", "later_gram"} & needs)
        )

    def _load(self, function: str) -> Callable[..., Any]:
        found: Callable[..., Any] = getattr(
            importlib.import_module(self.module or f"acrank.scores.{self.name}"), function
        )
        return found
