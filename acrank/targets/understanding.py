"""What acrank understood of a target: for the user before a run, for the record, and for `acrank inspect`."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from acrank.system.view import Column, View
from acrank.system.words import from_to
from acrank.targets.doubts import doubts_of
from acrank.targets.examination import Examination, ImageFacts, size_axes
from acrank.targets.stores.size_words import size_text
from acrank.targets.target import Target, first_few

_MOST_ROWS = 200  # of classes in a table
#: Up to that many classes are all shown, of more the first and the last; of sizes the most frequent.
SHOWN_CLASSES = 12
_MODES = {1: "grey", 3: "colour"}


@dataclass(frozen=True, kw_only=True)
class ValueSummary:
    """The values of some images: lowest, highest, mean and standard deviation."""

    low: float
    high: float
    mean: float
    deviation: float

    def normalised(self, mean: Sequence[float], std: Sequence[float]) -> ValueSummary:
        """The same after a network's normalisation by channel; resizing, which only narrows the range, is left out.

        Args:
            mean, std: of each channel of the network's input.

        Example:
            >>> ValueSummary(low=0, high=1, mean=0.5, deviation=0.25).normalised([0.5], [0.5])
            ValueSummary(low=-1.0, high=1.0, mean=0.0, deviation=0.5)
        """
        pairs = list(zip(mean, std, strict=True))
        return ValueSummary(
            low=min((self.low - middle) / scale for middle, scale in pairs),
            high=max((self.high - middle) / scale for middle, scale in pairs),
            mean=math.fsum((self.mean - middle) / scale for middle, scale in pairs) / len(pairs),
            deviation=math.fsum(self.deviation / scale for _, scale in pairs) / len(pairs),
        )

    def __str__(self) -> str:
        return f"{from_to(self.low, self.high, '.3g')}, mean {self.mean:.3g}, standard deviation {self.deviation:.3g}"


@dataclass(frozen=True, kw_only=True)
class Understanding:
    """What acrank understood of a target.

    Attributes:
        name, layout, task: of the target.
        images: how many there are, without those left out.
        labels: how many classes, or labels of a multilabel target; None for regression.
        classes: name -> images with it (of masks: the share of positions, in the images examined).
        label_range: lowest and highest label of a regression target.
        groups: number of groups, such as patients; None where they are not known.
        split: the split in use; None where the target has none.
        slices: adjacent slices that become channels; None for whole images and volumes.
        examined: how many images were decoded for what follows.
        sizes: spatial shape, such as "512 x 384" -> images, the most frequent first.
        size_axes: the order of the numbers in these, such as "height x width".
        modes: "grey", "colour" or "4 channels" -> images.
        values: of the images, scaled to [0, 1]; None where none was decoded.
        left_out: id -> why, of images that cannot be decoded.
        notes: what else was left out, assumed or chosen.
        warnings: what is unlikely.
    """

    name: str
    layout: str
    task: str
    images: int
    labels: int | None
    classes: dict[str, int | float]
    label_range: tuple[float, float] | None
    groups: int | None
    split: str | None
    slices: int | None
    examined: int
    sizes: dict[str, int]
    modes: dict[str, int]
    values: ValueSummary | None
    left_out: dict[str, str]
    notes: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    size_axes: str = ""

    def lines(self) -> list[str]:
        """A few lines for people."""
        kind = {"multilabel": "labels"}.get(self.task, "classes")
        labels = f", {self.labels} {kind}" if self.labels is not None else ""
        out = [f"{self.name}: layout {self.layout}, {self.task}, {self.images} images{labels}"]
        if self.label_range:
            out.append(f"labels: {from_to(*self.label_range)}")
        if self.classes:
            out.append(f"{kind}: {_shown(self.classes)}")
        split = f"split {self.split}" if self.split else "no splits"
        groups = f"{self.groups} groups" if self.groups is not None else "no groups known"
        out.append(f"{split}, {groups}")
        if self.values is not None:
            sizes, modes = (first_few([f"{name} ({count})" for name, count in one.items()], 3) for one in self._looks())
            which = f"all {self.images}" if self.examined == self.images else f"{self.examined} of {self.images}"
            out.append(f"{which} labelled images decoded: {self.size_axes} {sizes}; {modes}; values {self.values}")
        if self.left_out:
            out.append(f"left out: {len(self.left_out)} that cannot be read: {first_few(list(self.left_out))}")
        return out

    def record(self) -> dict[str, Any]:
        """Plain data for the run record."""
        return dataclasses.asdict(self)

    def view(self) -> View:
        """One row for each thing understood, notes and warnings below."""
        rows: list[list[Any]] = [["name", self.name], ["layout", self.layout], ["task", self.task]]
        rows += [["images", self.images], ["labels", self.labels], ["split", self.split], ["groups", self.groups]]
        classes = [[f"class {name}", count] for name, count in self.classes.items()]
        if len(classes) > _MOST_ROWS:  # the record has them all
            half, left = _MOST_ROWS // 2, len(classes) - _MOST_ROWS
            classes = [*classes[:half], ["classes between", left], *classes[-half:]]
        rows += classes
        if self.label_range:
            rows += [["lowest label", self.label_range[0]], ["highest label", self.label_range[1]]]
        rows.append(["images examined", self.examined])
        sizes = list(self.sizes.items())
        rows += [["sizes are", self.size_axes]] if sizes else []
        rows += [[f"size {name}", count] for name, count in sizes[:SHOWN_CLASSES]]
        if rest := sizes[SHOWN_CLASSES:]:
            rows.append([f"{len(rest)} other sizes", sum(count for _, count in rest)])
        rows += [[f"mode {name}", count] for name, count in self.modes.items()]
        if self.values is not None:
            rows += [[f"values: {name}", value] for name, value in dataclasses.asdict(self.values).items()]
        rows += [[f"left out: {name}", reason] for name, reason in self.left_out.items()]
        rows += [["note", text] for text in self.notes]
        rows += [["warning", text] for text in self.warnings]
        record = {"kind": "acrank-inspect", "schema_version": 1, **self.record()}
        rows = [[what, f"{found:.6g}" if isinstance(found, int | float) else found] for what, found in rows]
        layout = [
            Column(name="what", priority=0, fit="shorten", ease=24),
            Column(name="found", priority=0, fit="wrap", least=20),
        ]
        title = f"{self.name}: what acrank understood"
        return View(columns=["what", "found"], rows=rows, record=record, title=title, layout=layout)

    def _looks(self) -> tuple[dict[str, int], dict[str, int]]:
        return self.sizes, self.modes


def understand(target: Target, examination: Examination) -> Understanding:
    """What was understood of a target of which some images were decoded.

    Raises:
        TargetError: the target cannot be right, see `doubts_of`.
    """
    facts = {name: examination.facts[name] for name in target.ids if name in examination.facts}
    groups = getattr(target, "groups", None)
    is_regression = target.task == "regression"
    return Understanding(
        name=target.name,
        layout=target.layout,
        task=target.task,
        images=len(target),
        labels=None if is_regression else len(target.classes),
        classes=_class_counts(target, facts),
        label_range=(float(target.labels.min()), float(target.labels.max())) if is_regression else None,
        groups=None if groups is None else len(set(groups)),
        split=target.split,
        slices=target.slices,
        examined=len(facts),
        sizes=_most_first(size_text(one.shape) for one in facts.values()),
        size_axes=size_axes(target, facts),
        modes=_most_first(_mode(target, one.channels) for one in facts.values()),
        values=_values_of(list(facts.values())),
        left_out=dict(target.left_out),
        notes=list(target.notes),
        warnings=doubts_of(target, facts),
    )


def _class_counts(target: Target, facts: Mapping[str, ImageFacts]) -> dict[str, int | float]:
    if target.task == "regression":
        return {}
    counts: Any
    if target.task == "segmentation":
        counts = np.sum([one.positions for one in facts.values()], axis=0) if facts else np.zeros(len(target.classes))
        counts = np.round(counts / max(1, counts.sum()), 4)
    elif target.task == "multilabel":
        counts = target.labels.sum(axis=0)
    else:
        counts = np.bincount(target.labels, minlength=len(target.classes))
    return dict(zip(target.classes, counts.tolist(), strict=True))


def _values_of(facts: Sequence[ImageFacts]) -> ValueSummary | None:
    if not facts:
        return None
    mean = math.fsum(one.mean for one in facts) / len(facts)
    square = math.fsum(one.square for one in facts) / len(facts)
    return ValueSummary(
        low=min(one.low for one in facts),
        high=max(one.high for one in facts),
        mean=mean,
        deviation=math.sqrt(max(0.0, square - mean**2)),
    )


def _mode(target: Target, channels: int) -> str:
    several = f"{channels} channels" if channels > 1 else "1 channel"
    return _MODES.get(channels, several) if target.colour else several


def _most_first(names: Any) -> dict[str, int]:
    return dict(Counter(names).most_common())


def _shown(classes: Mapping[str, int | float]) -> str:
    """Classes with their counts: all of up to twelve, else the first and the last."""
    texts = [
        f"{name} {count:.1%}" if isinstance(count, float) else f"{name} {count}" for name, count in classes.items()
    ]
    if len(texts) <= SHOWN_CLASSES:
        return ", ".join(texts)
    half = SHOWN_CLASSES // 2
    return ", ".join([*texts[:half], f"… {len(texts) - 2 * half} more …", *texts[-half:]])
