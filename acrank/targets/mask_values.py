"""The class that each value of a mask stands for."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import numpy as np

from acrank.errors import TargetError, UsageError, is_damage
from acrank.targets.layouts.listing import suffix_of
from acrank.targets.mask_levels import MaskHistogram
from acrank.targets.stores.images import JPEG_SUFFIXES
from acrank.targets.target import IGNORED, first_few

_SAMPLED_MASKS = 64
_MOST_CLASSES = 64
#: The least of the values that many data sets give to positions that count for nothing; others give them to a class.
_LEAST_VOID = 250
#: Classes below this are numbers; above it they are grey levels, and 255 is the brightest of them.
_FAR = 100
_AT_ONCE = 2**20
#: Of so many masks and values, at least that share of the values in one or two masks each is a numbering of objects.
_MANY_MASKS, _RARE_IN, _RARE_SHARE = 8, 2, 2 / 3


@dataclass(frozen=True)
class MaskValues:
    """The mask value of every class.

    Attributes:
        values: ascending; a class's index is its value's position here.
        ignored: the value of positions that count for nothing; None where there is none.
        is_lossy: whether values between the classes are taken as the nearest one: the masks were stored with loss.
        has_negative: whether negative values were seen, which are ignored.
    """

    values: tuple[int, ...]
    ignored: int | None = None
    is_lossy: bool = False
    has_negative: bool = field(default=False, repr=False)  # a target's fingerprint has the rest

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes: background and foreground if there are two, else their values."""
        return ("background", "foreground") if len(self.values) == 2 else tuple(map(str, self.values))

    @property
    def note(self) -> str:
        """A note for the target."""
        ignored = f"; {self.ignored} is ignored" if self.ignored is not None else ""
        ignored += "; negative values are ignored" if self.has_negative else ""
        lossy = "; other values (stored with loss, or antialiased) are taken as the nearest" if self.is_lossy else ""
        values = ", ".join(map(str, self.values))
        return f"masks: values {values} are the classes {', '.join(self.classes)}{ignored}{lossy}"

    def to_classes(self, raw: np.ndarray, where: str) -> np.ndarray:
        """The class indices of a mask of whole numbers, int16 of its shape; IGNORED where it is negative or ignored.

        Raises:
            TargetError: it holds any other value.

        Example:
            >>> MaskValues((0, 5, 7), ignored=255).to_classes(np.array([5, 0, 255, 7]), "x").tolist()
            [1, 0, -1, 2]
            >>> MaskValues((0, 255), is_lossy=True).to_classes(np.array([3, 130, 254]), "x").tolist()
            [0, 1, 1]
        """
        flat, classes = raw.reshape(-1), np.empty(raw.size, np.int16)
        for start in range(0, raw.size, _AT_ONCE):  # in parts: the places are int64
            part = slice(start, start + _AT_ONCE)
            classes[part] = self._of_part(flat[part], where)
        return classes.reshape(raw.shape)

    def _of_part(self, raw: np.ndarray, where: str) -> np.ndarray:
        if self.is_lossy:
            between = np.convolve(self.values, [0.5, 0.5], mode="valid")
            return np.searchsorted(between, raw).astype(np.int16)
        places = np.searchsorted(self.values, raw).clip(max=len(self.values) - 1)
        known = np.asarray(self.values)[places] == raw
        odd = ~known & (raw >= 0) & ~(raw == self.ignored)
        if odd.any():
            raise TargetError(
                f"{where} holds the value {int(raw[odd][0])}; the classes are {first_few(list(map(str, self.values)))}",
                hint="write all masks with the same values",
            )
        return np.where(known, places, IGNORED)


def parse_ignored(text: str | None) -> int | None:
    """The value of `--ignore-value`; None for "none", and where it was not given.

    Raises:
        UsageError: neither a whole number nor "none".

    >>> parse_ignored("255"), parse_ignored("none")
    (255, None)
    """
    if text is None or text.strip().lower() == "none":
        return None
    try:
        return int(text)
    except ValueError:
        raise UsageError(
            f"--ignore-value must be a whole number or none, got {text!r}", hint="such as --ignore-value 255"
        ) from None


def mask_values_of(
    read: Callable[[int], np.ndarray], count: int, where: str, *, ignore_value: str | None = None
) -> MaskValues:
    """The classes of a target, inferred from up to 64 of its `count` masks, spread evenly.

    Two values, such as 0 and 1 or 0 and 255, are background and foreground; of more each is one class. 255 beside small
    numbers may be a class or mark ignored positions: the user says which. Where the values between two or three plain
    levels only occur at edges, as in JPEG or antialiased files, they are taken as the nearest level.

    Args:
        read: gives a mask by its place.
        count: of masks.
        where: the masks, for messages.
        ignore_value: the user's option: a whole number, "none", or None where it was not given.

    Raises:
        TargetError: fewer than two values, values that are no classes, or 255 that may be one or not.
    """
    sampled = np.unique(np.linspace(0, count - 1, min(_SAMPLED_MASKS, count)).round().astype(int)).tolist()
    histogram = MaskHistogram()
    for place in sampled:
        try:
            histogram.add(read(place))
        except TargetError as error:
            if not is_damage(error):  # a damaged mask is left out with its image, later
                raise
    ignored = parse_ignored(ignore_value)
    found = [value for value in histogram.values if value != ignored]
    if ignore_value is None:
        _refuse_ambiguous(found, histogram, where)
        _refuse_between(found, histogram, where)
        _refuse_instances(found, histogram, where, count=len(sampled))
    if len(found) < 2:
        raise TargetError(f"{where}: the masks hold one value only: {found}", hint="segmentation needs two classes")
    if histogram.is_lossy(found):
        return _repaired(histogram, where)
    if len(found) > _MOST_CLASSES:
        raise TargetError(
            f"{where}: the masks hold {len(found)} values", hint="masks must be class values, stored without loss (PNG)"
        )
    return MaskValues(
        tuple(found), ignored if ignored in histogram.values else None, has_negative=histogram.has_negative
    )


def _refuse_ambiguous(found: list[int], histogram: MaskHistogram, where: str) -> None:
    """Refuse one or several of the highest values beside two or more small ones, and nothing between."""
    small = [value for value in found if value < _FAR]
    high = [value for value in found if value >= _LEAST_VOID]
    if len(small) < 2 or not high or len(small) + len(high) < len(found):
        return
    if len(high) > 1 and histogram.is_lossy(found):  # the many values of one white
        return
    others = first_few(list(map(str, [*small, *high[:-1]])))
    where_each = "where it is a class" if len(high) == 1 else "where each is a class, or store one value for them"
    raise TargetError(
        f"{where}: the masks hold {others} and {high[-1]}, which may be a class or mark ignored positions",
        hint=f"say --ignore-value {high[-1]}, or --ignore-value none {where_each}",
    )


def _refuse_between(found: list[int], histogram: MaskHistogram, where: str) -> None:
    """Refuse grey levels between two others that occur at edges only: a class of borders, or antialiasing."""
    between = histogram.at_borders(found)
    if between:
        levels, shown = f"{found[0]} and {found[-1]}", ", ".join(map(str, between))
        raise TargetError(
            f"{where}: the masks hold {levels}, and {shown} only at edges: a class of borders, or masks that were "
            "antialiased or stored with loss",
            hint=f"say --ignore-value {between[0]} to leave such positions out, --ignore-value none where each value "
            f"is a class, or store {levels} only",
        )


def _refuse_instances(found: list[int], histogram: MaskHistogram, where: str, *, count: int) -> None:
    """Refuse values that number the objects of each mask: most of them occur in one or two of many masks only."""
    common = max(found, key=lambda value: histogram.masks[value], default=None)
    values = [value for value in found if value != common]
    rare = [value for value in values if histogram.masks[value] <= _RARE_IN]
    is_lossy = histogram.is_lossy(found)
    if count >= _MANY_MASKS and len(values) >= _MANY_MASKS and len(rare) >= _RARE_SHARE * len(values) and not is_lossy:
        raise TargetError(
            f"{where}: {len(rare)} of {len(values)} values beside {common} occur in one or two of {count} masks only: "
            "they may number objects (instances) rather than classes",
            hint="make masks of classes, such as 0 and 1; say --ignore-value none where each value is a class",
        )


def lossy_note(values: MaskValues, names: Iterable[str]) -> list[str]:
    """A warning where masks in JPEG files have more than two classes, which loss may have added.

    >>> lossy_note(MaskValues((0, 1, 2)), ["a.jpg"])
    ['warning: masks are JPEG, which adds values: are 0, 1, 2 all classes? (--ignore-value leaves one out)']
    """
    if values.is_lossy or len(values.values) < 3 or not any(suffix_of(name) in JPEG_SUFFIXES for name in names):
        return []
    shown = first_few(list(map(str, values.values)), 8)
    return [f"warning: masks are JPEG, which adds values: are {shown} all classes? (--ignore-value leaves one out)"]


def _repaired(histogram: MaskHistogram, where: str) -> MaskValues:
    levels = histogram.plain_levels()
    if levels is None:
        raise TargetError(
            f"{where}: the masks hold {len(histogram.values)} values, most of them at edges only "
            f"({first_few(list(map(str, histogram.values)), 8)}): they were stored with loss, or antialiased",
            hint="store one value per class, without loss (PNG)",
        )
    return MaskValues(levels, is_lossy=True)
