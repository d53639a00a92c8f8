"""What the stored values of images mean: from the values that the whole data set holds, not from the type of a file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from acrank.errors import TargetError
from acrank.targets.stores.intensity import Intensity, rescale

_SAMPLED_IMAGES = 64
#: Bits of grey that scanners write, in files of 16 or 32 bits.
_DEPTHS = (8, 10, 12, 14, 16)
_ONE = 1.001  # interpolation leaves values slightly above 1
_HINT = "say what they mean: --intensity window:LOW,HIGH, or percentile"


@dataclass(frozen=True, kw_only=True)
class ValueRange:
    """The values of full intensity of a data set's images.

    Attributes:
        whole: of whole numbers of more than 8 bits.
        fraction: of floats, 1 or 255; None tells it from each image.
        rule: the user's, in place of both.
    """

    whole: int = 65535
    fraction: float | None = None
    rule: Intensity | None = None

    def __str__(self) -> str:
        """What differs from images of 8 bits and full range; empty where nothing does."""
        found = str(self.rule or "")
        found += "" if self.whole == ValueRange.whole else f" whole {self.whole}"
        return (found + ("" if self.fraction is None else f" float {self.fraction:g}")).strip()

    def to_unit(self, array: np.ndarray, where: str) -> tuple[np.ndarray, str | None]:
        """Values as float32 in [0, 1]: 8 bits / 255, whole numbers / `whole`, floats / `fraction`, or by the rule.

        Args:
            array: an image, any shape.
            where: the image, for messages.

        Returns:
            The array, and for floats of unknown range a note on the assumed one.

        Raises:
            TargetError: another dtype, or values that are not finite or out of range.

        Example:
            >>> ValueRange().to_unit(np.array([0, 51, 255], dtype=np.uint8), where="x")[0].tolist()
            [0.0, 0.20000000298023224, 1.0]
            >>> ValueRange(whole=4095).to_unit(np.array([0, 4095], dtype=np.uint16), where="x")[0].tolist()
            [0.0, 1.0]
        """
        if array.dtype.kind not in "buif":
            raise TargetError(f"{where}: images of {array.dtype} have no known range", hint="store numbers")
        if self.rule is not None:
            _refuse_infinite(array, where)
            return rescale(array, *self.rule.limits(array)), None
        if array.dtype == np.bool_:
            return array.astype(np.float32), None
        if array.dtype.kind in "ui":
            top = 255.0 if array.dtype == np.uint8 else float(self.whole)
            _refuse_outside(array, top, where)
            return _divided(array, top), None
        top = self.fraction or top_of_floats(array, where)
        _refuse_outside(array, top, where)
        scaled = _divided(array, top)
        return np.clip(scaled, 0.0, 1.0, out=scaled), _note_on_floats(top)


#: Of images as their types have them.
FULL_RANGE = ValueRange()


def sampled_range(
    read: Callable[[int], np.ndarray | None], count: int, where: str, rule: Intensity | None = None
) -> tuple[ValueRange, list[str]]:
    """The value range of a data set, from up to 64 of its images, spread evenly, with notes on what was found.

    One dark image alone could mislead. Whole numbers are taken for the least usual depth that holds the largest.

    Args:
        read: gives an image as stored; None for one of 8 bits, whose range is known.
        count: of images.
        where: the data set, for messages.
        rule: the user's.

    Raises:
        TargetError: negative or huge values, which only the user can tell.
    """
    if rule is not None:
        return ValueRange(rule=rule), [f"intensities: images: {rule}"]
    highest: dict[str, float] = {}
    for place in np.unique(np.linspace(0, count - 1, min(_SAMPLED_IMAGES, count)).round().astype(int)).tolist():
        image = read(place)
        if image is None or not image.size or image.dtype.kind not in "uif" or image.dtype == np.uint8:
            continue
        kind = "float" if image.dtype.kind == "f" else "whole"
        top = top_of_floats(image, f"{where}: image {place}") if kind == "float" else _highest(image, where, place)
        highest[kind] = max(top, highest.get(kind, 0))
    notes, whole = [], ValueRange.whole
    if "whole" in highest:
        depth = next(bits for bits in _DEPTHS if highest["whole"] < 2**bits)
        whole = 2**depth - 1
        notes.append(f"images of whole numbers up to {highest['whole']:g}: read as {depth} bits, {whole} is white")
    if "float" in highest:
        notes.append(_note_on_floats(highest["float"]))
    return ValueRange(whole=whole, fraction=highest.get("float")), notes


def top_of_floats(array: np.ndarray, where: str) -> float:
    """The value of full intensity in a float image: 1, or 255 if values exceed 1.

    Raises:
        TargetError: values are not finite, negative, or above 255.
    """
    top = 1.0 if array.max() <= _ONE else 255.0
    _refuse_outside(array, top, where)
    return top


def _divided(array: np.ndarray, top: float) -> np.ndarray:
    """The values by `top`, as float32; in place, so that large images take their memory once."""
    scaled = array.astype(np.float32)
    scaled /= np.float32(top)
    return scaled


def _highest(image: np.ndarray, where: str, place: int) -> float:
    low, high = int(image.min()), int(image.max())
    if low < 0 or high > 65535:
        raise TargetError(f"{where}: image {place} holds values from {low} to {high}", hint=_HINT)
    return high


def _note_on_floats(top: float) -> str:
    return f"float images: assumed range [0, {top:g}]"


def _refuse_infinite(array: np.ndarray, where: str) -> None:
    if not np.isfinite(array).all():
        raise TargetError(f"{where} holds values that are not finite", hint="replace NaN in the image")


def _refuse_outside(array: np.ndarray, top: float, where: str) -> None:
    low, high = float(array.min()), float(array.max())  # NaN when any value is
    slack = _ONE if array.dtype.kind == "f" else 1.0
    if not (low >= 0.0 and high <= top * slack):
        kind = "float values" if array.dtype.kind == "f" else "values"
        is_unknown = array.dtype.kind == "f" and (top == 255.0 or not low >= 0.0)
        expected = "[0, 1] or [0, 255]" if is_unknown else f"[0, {top:g}]"
        raise TargetError(f"{where}: {kind} from {low:g} to {high:g} instead of {expected}", hint=_HINT)
