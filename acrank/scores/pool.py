"""What pool-relative scores share: min-max over the candidates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from acrank.scores.arrays import Floats


def min_max_sum(parts: Sequence[Sequence[float]], signs: Sequence[float]) -> list[float]:
    """Each column of parts [candidates, k] mapped onto [0, 1] over the candidates, then summed with signs.

    A column that is equal for all candidates tells nothing and counts 0 for each. A pool of one has no values: NaN.
    """
    if len(parts) < 2:
        return [float("nan")] * len(parts)
    columns: Floats = np.asarray(parts, dtype=np.float64)
    low, width = columns.min(axis=0), np.ptp(columns, axis=0)
    unit = (columns - low) / np.where(width > 0, width, 1.0)
    return [float(value) for value in unit @ np.asarray(signs, dtype=np.float64)]
