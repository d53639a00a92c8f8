"""Palettes of mask files, which must give one colour to one value in all of a target's masks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from acrank.errors import TargetError, is_damage
from acrank.targets.stores.images import read_with_pillow

if TYPE_CHECKING:
    from PIL import Image

_SAMPLED_FILES = 64
_Colour = tuple[int, int, int]


@dataclass(frozen=True)
class MaskPalette:
    """The palette of one mask file.

    Attributes:
        colours: of the values 0, 1, …
        used: the values that occur in the mask.
    """

    colours: tuple[_Colour, ...]
    used: frozenset[int]

    def conflict(self, other: MaskPalette) -> str | None:
        """How values of two masks differ in what they mean, where their colours tell; None where they do not.

        Example:
            >>> black, red, green = (0, 0, 0), (255, 0, 0), (0, 255, 0)
            >>> one = MaskPalette((black, red), frozenset({0, 1}))
            >>> one.conflict(MaskPalette((black, green, red), frozenset({0, 2})))
            'the colour (255, 0, 0) is 1 in one and 2 in the other'
            >>> one.conflict(MaskPalette((black, green), frozenset({0, 1})))
            '1 is (255, 0, 0) in one and (0, 255, 0) in the other'
            >>> one.conflict(MaskPalette((black, green), frozenset({0})))
        """
        for value in sorted(self.used & other.used):
            mine, theirs = self._of(value), other._of(value)
            if mine and theirs and mine != theirs:
                return f"{value} is {mine} in one and {theirs} in the other"
        elsewhere = {colour: another for another in sorted(other.used) if (colour := other._of(another))}
        for value in sorted(self.used):
            colour = self._of(value)
            another = elsewhere.get(colour, value) if colour else value
            if another != value and colour not in (self._of(another), other._of(value)):  # else it is of both there
                return f"the colour {colour} is {value} in one and {another} in the other"
        return None

    def _of(self, value: int) -> _Colour | None:
        return self.colours[value] if value < len(self.colours) else None


def refuse_palettes(root: Path, names: Sequence[str]) -> None:
    """Hold the palettes of up to 64 mask files, spread evenly, against each other; files without one say nothing.

    Args:
        root: the folder that the names are relative to.
        names: of the files.

    Raises:
        TargetError: one colour has different values, or one value different colours.
    """
    known: dict[MaskPalette, str] = {}
    places = np.unique(np.linspace(0, len(names) - 1, min(_SAMPLED_FILES, len(names))).round().astype(int)).tolist()
    for name in (names[place] for place in places):
        try:
            found = read_with_pillow(root / name, "mask", _palette_of)
        except TargetError as error:
            if not is_damage(error):
                raise
            continue  # left out with its image, later
        if found is None or found in known:
            continue
        for other, its_name in known.items():
            if text := other.conflict(found):
                raise TargetError(
                    f"{root}: the masks {its_name} and {name} have different palettes: {text}",
                    hint="write all masks with one palette, or as one channel of class values without a palette",
                )
        known[found] = name


def _palette_of(file: Image.Image) -> MaskPalette | None:
    if file.mode != "P":
        return None
    flat = file.getpalette("RGB") or []
    colours = tuple((flat[at], flat[at + 1], flat[at + 2]) for at in range(0, len(flat) - 2, 3))
    return MaskPalette(colours, frozenset(np.unique(np.asarray(file)).tolist()))
