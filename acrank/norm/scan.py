"""Prefix and suffix sums over a sorted list, each relative to its own position: full precision at any range.

A prefix sum of exp(s_k) overflows for wide affines. Relative to its own position it is

    P_j = sum_{k<=j} v_k exp((s_k - s_j) / T) = v_j + exp((s_{j-1} - s_j) / T) P_{j-1}

and so the solution of L P = v, L unit lower bidiagonal. Forward substitution only ever multiplies by exp(-gap) <= 1.
The suffix sums S_j = sum_{k>=j} v_k exp((s_j - s_k) / T) solve L^T S = v.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from scipy.linalg.lapack import dtbtrs

Floats = npt.NDArray[np.float64]


class Scan:
    """Both sums over one list of positions, in O(n) time and memory.

    Args:
        positions: s, [n], ascending, n > 1; the ends may be infinite.
        temperature: T > 0.

    Example:
        >>> scan = Scan(np.array([0.0, 1000.0, 1000.0]), 1.0)
        >>> scan.prefix(np.ones((1, 3))), scan.suffix(np.ones((1, 3)))
        (array([[1., 1., 2.]]), array([[1., 2., 1.]]))
    """

    def __init__(self, positions: Floats, temperature: float) -> None:
        self._band = np.ones((2, len(positions)), order="F")  # LAPACK's: the diagonal, and what stands below it
        self._band[1, :-1] = -np.exp((positions[:-1] - positions[1:]) / temperature)

    def prefix(self, values: Floats) -> Floats:
        """P of each row of `values` [r, n], [r, n]."""
        return self._solved(values, "N")

    def suffix(self, values: Floats) -> Floats:
        """S of each row of `values` [r, n], [r, n]."""
        return self._solved(values, "T")

    def _solved(self, values: Floats, transposed: str) -> Floats:
        sums, info = dtbtrs(self._band, values.T, uplo="L", trans=transposed, diag="U")
        if info != 0:
            raise np.linalg.LinAlgError(f"LAPACK's dtbtrs failed: info = {info}")
        found: Floats = sums.T
        return found
