"""How far should candidates race? What fewer racers and fewer draws save, and what they cost in ranking and in bands.

    python benchmarks/transferability/races.py

From the values and deviations of each draw in within_draw.csv (choosing half, 26 to 30 candidates), in every order of
the three draws: the mean weighted tau, how many draws a race adds to one for each candidate, how far the first falls
behind the best, in what share of the cases the leading band is five candidates or fewer, and how far the best of that
band is behind the best of all. Without estimates ("draws alone") nothing is known before the second draw, and the
deviation is pooled over those that have several: how acrank raced before it estimated deviations within a draw.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from recomputed import BASE, DRAWS, raced, rows_of_values, tau
from within_draw import OUT

from acrank.ranking import racing
from acrank.records import Row

SETTINGS = BASE.for_task("classification")
SMALL = 5
COLUMNS = ("weighted tau", "draws added", "behind the best", f"band of {SMALL} or fewer", "best of band behind")


def main() -> None:
    """Print the table."""
    table = pd.read_csv(OUT)
    plans = [("one draw", 0, 1, 1, True), ("one draw, draws alone", 0, 1, 1, False)]
    plans += [(f"{first} race, {most} draws, draws alone", first, most, 0, False) for first, most in ((2, 2), (3, 3))]
    for first, most, every in itertools.product((2, 3, 5), (2, 3), (8, 4, 0)):
        limit = f"one for {every}" if every else "no limit"
        plans.append((f"{first} race, {most} draws, {limit}", first, most, every, True))
    found = {name: np.mean(cases(table, *plan), axis=0) for name, *plan in plans}
    means = table.assign(mean=table[[f"draw {draw}" for draw in range(DRAWS)]].mean(axis=1))
    all_of_them = np.mean([tau(rows["ground_truth"], rows["mean"]) for _, rows in means.groupby("dataset")])
    print(f"weighted tau by {DRAWS} draws of every candidate: {all_of_them:.3f}")
    print(pd.DataFrame(found, index=COLUMNS).T.to_string(float_format=lambda x: f"{x:.3f}"))


def cases(table: pd.DataFrame, first: int, most: int, every: int, estimated: bool) -> list[tuple[float, ...]]:
    """The figures of every target and order of draws.

    Args:
        table: of within_draw.csv.
        first: how many race.
        most: draws of a candidate.
        every: for how many candidates there is one further draw; 0 for as many as the race takes.
        estimated: whether the deviation is estimated from the images of each draw.
    """
    racing.FIRST, racing.CANDIDATES_PER_DRAW = first, every or 1
    orders = itertools.permutations(range(DRAWS))
    groups = [rows.set_index("model") for _, rows in table.groupby("dataset")]
    return [figures(rows, order[:most], estimated=estimated) for order in orders for rows in groups]


def figures(rows: pd.DataFrame, draws: tuple[int, ...], *, estimated: bool) -> tuple[float, ...]:
    """Of one target and order of draws, as COLUMNS."""
    each, deviations = (
        pd.DataFrame({place: rows[f"{what} {draw}"] for place, draw in enumerate(draws)})
        for what in ("draw", "deviation")
    )
    if not estimated:
        deviations[:] = np.nan
    values, counts = raced(each, deviations, SETTINGS)
    ranked, truth = pd.Series(values), rows["ground_truth"]
    one = racing.with_pooled_intervals(rows_of_values(each, deviations, counts, SETTINGS.rank_by), [SETTINGS.rank_by])
    band = band_of(one)
    behind, behind_of_band = truth.max() - truth[ranked.idxmax()], truth.max() - truth[band].max()
    added = sum(counts.values()) - len(counts)
    return tau(truth, ranked), added, behind, float(len(band) <= SMALL), behind_of_band


def band_of(rows: list[Row]) -> list[str]:
    """The candidates whose intervals overlap the leader's; all where there are no intervals."""
    values = {row.model: row.scores[SETTINGS.rank_by] for row in rows}
    leader = max(values.values(), key=lambda one: -np.inf if one.value is None else one.value)
    return [model for model, one in values.items() if leader.low is None or leader.overlaps(one)]


if __name__ == "__main__":
    main()
