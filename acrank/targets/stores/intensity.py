"""Rules that scale a volume's values to [0, 1]: a window, percentiles or standard deviations."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from acrank.errors import UsageError

#: The default window of CT, in Hounsfield units.
CT_WINDOW = (-1000.0, 1000.0)
_TAILS = (0.5, 99.5)
_DEVIATIONS = 3.0
_SAMPLED_VALUES = 10**6
_WINDOW = re.compile(r"window:(?P<low>-?\d{1,12}(?:\.\d{1,12})?),(?P<high>-?\d{1,12}(?:\.\d{1,12})?)")


@dataclass(frozen=True)
class Intensity:
    """The rule that scales the values of one channel to [0, 1].

    Attributes:
        rule: "window" (low to high), "percentile" (the volume's 0.5th to 99.5th) or "zscore" (three standard deviations
            on each side of the volume's mean).
        low, high: of the window.
    """

    rule: str
    low: float = 0.0
    high: float = 1.0

    def __str__(self) -> str:
        return f"window {self.low:g} to {self.high:g}" if self.rule == "window" else self.rule

    def limits(self, values: np.ndarray) -> tuple[float, float]:
        """The values that become 0 and 1, from a whole channel of a volume; about 10^6 values of a large one are used.

        Example:
            >>> Intensity("window", -160, 240).limits(np.zeros(4))
            (-160, 240)
        """
        if self.rule == "window":
            return self.low, self.high
        values = values.reshape(-1)
        values = values[:: max(1, len(values) // _SAMPLED_VALUES)]
        if self.rule == "percentile":
            low, high = np.percentile(values, _TAILS)
            return float(low), float(high)
        mean, reach = float(values.mean(dtype=np.float64)), _DEVIATIONS * float(values.std(dtype=np.float64))
        return mean - reach, mean + reach


def parse_intensity(text: str | None, channel: str) -> Intensity:
    """The rule in the user's words; None means a window for a channel called CT, else percentiles.

    Raises:
        UsageError: an unknown rule.

    Example:
        >>> str(parse_intensity(None, "CT")), str(parse_intensity(None, "T2"))
        ('window -1000 to 1000', 'percentile')
        >>> str(parse_intensity("window:-160,240", "CT"))
        'window -160 to 240'
    """
    if text is None:
        return Intensity("window", *CT_WINDOW) if channel.strip().upper() == "CT" else Intensity("percentile")
    if text in ("percentile", "zscore"):
        return Intensity(text)
    found = _WINDOW.fullmatch(text)
    if found is None or float(found["low"]) >= float(found["high"]):
        raise UsageError(
            f"unknown intensity rule {text!r}", hint="percentile, zscore, or window:LOW,HIGH such as window:-160,240"
        )
    return Intensity("window", float(found["low"]), float(found["high"]))


def rescale(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Values as float32 in [0, 1]: `low` and less become 0, `high` and more 1.

    Example:
        >>> rescale(np.array([-5.0, 0.0, 5.0, 20.0]), 0.0, 10.0).tolist()
        [0.0, 0.0, 0.5, 1.0]
    """
    width = high - low if high > low else 1.0
    scaled = values.astype(np.float32)  # then in place: volumes are large
    scaled -= np.float32(low)
    scaled /= np.float32(width)
    return np.clip(scaled, 0.0, 1.0, out=scaled)
