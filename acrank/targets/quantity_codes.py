"""Labels of a regression that may mark a missing one, such as -999, and single ones far from the rest."""

from __future__ import annotations

import re

import numpy as np

#: As `-1`, `-9`, `99`, `-999.9`, `9999`, `-77`, `888`, `1e9`, `-100000`; whole numbers as they are, others shortened.
_CODE = re.compile(r"-1|-[6-9]|-?([6-9])\1+(?:\.\1+)?|-?10{5,}")
#: What files and spreadsheets store where there is no value.
_FILLS = frozenset({-32768.0, 32767.0, 65535.0, -2147483648.0, 2147483647.0, 1e20, 1e30, -1e20, -1e30})
#: Fewer other values say nothing about a range.
_FEWEST_OTHERS = 3
#: A number so many interquartile ranges from the next one is a warning.
_FAR = 20


def missing_codes(numbers: np.ndarray) -> dict[float, int]:
    """Numbers that are there several times and may mark a missing label -> how often, by value.

    They look like it, and lie farther from the others than these spread, or are negative and all others are not.

    >>> missing_codes(np.array([0.02, 0.4, 1.47, -999, -999])), missing_codes(np.array([0.5, 0.7, 1.2, -1, -1]))
    ({-999.0: 2}, {-1.0: 2})
    >>> missing_codes(np.array([21, 40, 88, 99, 99])), missing_codes(np.array([-20.5, -9, -9, -1, -1, 12.5]))
    ({}, {})
    """
    distinct, counts = np.unique(numbers, return_counts=True)
    is_code = np.array([_looks_like_code(value) for value in distinct.tolist()], dtype=bool)
    others = distinct[~is_code]
    if len(others) < _FEWEST_OTHERS:
        return {}
    low, high = float(others[0]), float(others[-1])
    found = {}
    for value, count in zip(distinct[is_code].tolist(), counts[is_code].tolist(), strict=True):
        is_far = max(low - value, value - high) > high - low
        if count > 1 and (is_far or value < 0 <= low):
            found[value] = count
    return found


def far_outlier(numbers: np.ndarray) -> float | None:
    """The lowest or highest number, where the next one is many interquartile ranges away.

    >>> far_outlier(np.array([0.1, 0.2, 0.4, 0.5, 0.7, 250])), far_outlier(np.array([1, 2, 4, 8, 16, 32, 64]))
    (250.0, None)
    """
    distinct = np.unique(numbers)
    if len(distinct) <= _FEWEST_OTHERS:
        return None
    for value, following, rest in (
        (distinct[0], distinct[1], distinct[1:]),
        (distinct[-1], distinct[-2], distinct[:-1]),
    ):
        among = numbers[numbers != value]
        quarter, three = np.percentile(among, (25, 75))
        spread = float(three - quarter) or float(rest[-1] - rest[0])
        if abs(float(value - following)) > _FAR * spread:
            return float(value)
    return None


def _looks_like_code(value: float) -> bool:
    text = f"{value:.0f}" if value == int(value) else f"{value:.10g}"
    return value in _FILLS or _CODE.fullmatch(text) is not None
