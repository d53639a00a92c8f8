"""How far a score moves with the images of one draw: the jackknife that leaves out a quarter of them at a time."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from acrank.errors import UsageError
from acrank.scores.evaluate import evaluate_score
from acrank.scores.inputs import Observation
from acrank.scores.score import Score
from acrank.system.streams import Purpose, stream

Mask = npt.NDArray[np.bool_]

SUBSETS = 24
#: One unit of so many is left out of a subset.
ONE_OF = 4
#: With fewer units, or fewer subsets that have a value, nothing is said.
FEWEST = 8


def deviation_of(
    score: Score,
    observation: Observation,
    options: Mapping[str, object],
    *,
    units: npt.ArrayLike,
    seed: int,
    repeat: int,
) -> float | None:
    """The standard deviation of a score over draws, estimated from one: its spread over subsets of the draw's images.

    The delete-d jackknife: the deviation over subsets, times the root of kept units over left-out ones. Of smooth
    scores it is about right, of accuracies up to 1.7 times too wide. The subsets depend on labels, halves, units, seed
    and repeat alone, so candidates that see the same images see the same subsets.

    Args:
        score: a row of SCORES.
        observation: of the draw.
        options: arguments of the score that are not in the observation.
        units: [n], what is left out together: an image, or a group of images.
        seed, repeat: of the draw.

    Returns:
        In units of the score; None where the score does not read rows alone (see `Score.reads_rows`), or where there
        are too few units or subsets with a value.

    Source: Shao and Wu, Annals of Statistics 17 (1989), 1176-1197, equation 2.4.
    """
    if not score.reads_rows:
        return None
    found, left = [], []
    for kept in subsets(observation.labels, observation.half, units, seed=seed, repeat=repeat):
        try:
            value = evaluate_score(score, {**observation.rows(kept).arrays(), **options}).value
        except UsageError:  # what is left does not do for this score
            value = None
        if value is not None:
            found.append(value)
            left.append(_share_of_units(kept, units))
    if len(found) < FEWEST:
        return None
    kept_share = float(np.mean(left))
    deviation = float(np.std(found, ddof=1) * np.sqrt(kept_share / (1 - kept_share)))
    return deviation if np.isfinite(deviation) else None


def subsets(labels: npt.ArrayLike, half: npt.ArrayLike, units: npt.ArrayLike, *, seed: int, repeat: int) -> list[Mask]:
    """Subsets of the rows of a draw, each without about a quarter of its units, in which no class leaves a half.

    Args:
        labels: [n] classes, or values [n] or [n, t] that are not classes.
        half: [n], bool.
        units: [n], what is left out together.
        seed, repeat: of the draw.

    Returns:
        SUBSETS masks of the rows, bool [n]; none where there are fewer than FEWEST units, or none that can be left out.

    >>> [mask.sum() for mask in subsets([0, 1] * 20, [True] * 20 + [False] * 20, range(40), seed=0, repeat=0)][:3]
    [np.int64(30), np.int64(30), np.int64(30)]
    """
    _, unit = np.unique(np.asarray(units), return_inverse=True)
    count = int(unit.max(initial=-1)) + 1
    if count < FEWEST:
        return []
    cells = _cells(np.asarray(labels), np.asarray(half, dtype=bool))
    there = np.zeros((count, cells.max() + 1), dtype=bool)
    there[unit, cells] = True
    source = np.random.default_rng(stream(Purpose.RESAMPLE, seed, repeat))
    left_out = [_left_out(there, source) for _ in range(SUBSETS)]
    return [~one[unit] for one in left_out if one.any()]


def _cells(labels: npt.NDArray[np.generic], half: Mask) -> npt.NDArray[np.int64]:
    """The class and half of each row, numbered; without classes the half."""
    is_class = labels.ndim == 1 and not np.issubdtype(labels.dtype, np.floating)
    codes = np.unique(labels, return_inverse=True)[1] if is_class else np.zeros(len(labels), dtype=np.int64)
    return np.asarray(np.unique(2 * codes + half, return_inverse=True)[1], dtype=np.int64)


def _left_out(there: Mask, source: np.random.Generator) -> Mask:
    """Every fourth unit in an order by class and half, shuffled within them; a cell that it empties gets one back.

    Args:
        there: [units, cells], whether a unit has rows in a cell.
        source: of the order.
    """
    count, cells = there.shape
    first = source.permutation(cells)[there.argmax(axis=1)]
    order = np.lexsort((source.permutation(count), first))
    out = np.zeros(count, dtype=bool)
    out[order[source.integers(ONE_OF) :: ONE_OF]] = True
    for cell in np.flatnonzero(~there[~out].any(axis=0)):
        if not there[~out, cell].any():  # one that came back for another cell may be in this one
            out[np.flatnonzero(there[:, cell])[0]] = False
    return out


def _share_of_units(kept: Mask, units: npt.ArrayLike) -> float:
    """The share of the units that are kept."""
    codes = np.asarray(units)
    return len(np.unique(codes[kept])) / len(np.unique(codes))
