"""Energy: negative free energy of the images under the source head."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from acrank.errors import UsageError
from acrank.scores.array_checks import as_matrix


def energy(logits: ArrayLike, *, fraction: float = 0.5) -> float:
    """Mean of logsumexp(logits), the negative free energy, over the images with the lowest of it.

    Args:
        logits: [n, z] outputs of the source head (ETran puts features [n, d] here).
        fraction: share of the images that counts, those with the lowest value; rounded down, at least one image.

    Returns:
        The score, any real number; higher is better. It moves with the scale of the logits and with log z, so it
        compares only heads of one kind.

    Raises:
        UsageError: fraction not in (0, 1].
        UndefinedScoreError: non-finite logits.

    Source: Gholami et al., ETran: Energy-Based Transferability Estimation, ICCV 2023 (arXiv 2308.02027), eq. 4; after
    Liu et al., Energy-based Out-of-distribution Detection, NeurIPS 2020 (arXiv 2010.03759), eq. 4.

    >>> round(energy([[0.0, 0.0], [5.0, 5.0]]), 4)
    0.6931
    """
    from scipy.special import logsumexp

    if not 0 < fraction <= 1:
        raise UsageError(f"fraction must lie in (0, 1], got {fraction}", hint="the paper takes 0.5")
    values = np.sort(logsumexp(as_matrix(logits, "logits"), axis=1))
    return float(values[: max(int(fraction * len(values)), 1)].mean())
