"""How far should candidates race? What fewer racers and fewer draws save, and what they cost in ranking and in bands.

    python benchmarks/transferability/races.py

From the values of each draw in recomputed.csv (choosing half, 44 candidates), in every order of the three draws: the
mean weighted tau, how many draws a race adds to one for each candidate, how far the first falls behind the best, and
in what share of the cases the leading band is five candidates or fewer.
"""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from recomputed import BASE, DRAWS, OUT, raced, row_of_values, tau

from acrank.ranking import racing
from acrank.records import Row

SETTINGS = BASE.for_task("classification")
SMALL = 5
COLUMNS = ("weighted tau", "draws added", "behind the best", f"band of {SMALL} or fewer")


def main() -> None:
    """Print the table."""
    table = pd.read_csv(OUT)
    found = {}
    for first, most in [(0, 1), *itertools.product((2, 3, 4, 5), (2, 3))]:
        racing.FIRST = first
        orders = itertools.permutations(range(DRAWS))
        each = [figures(rows, order[:most]) for order in orders for _, rows in table.groupby("dataset")]
        found["one draw" if most == 1 else f"{first} race, {most} draws"] = np.mean(each, axis=0)
    print(pd.DataFrame(found, index=COLUMNS).T.to_string(float_format=lambda x: f"{x:.3f}"))


def figures(rows: pd.DataFrame, draws: tuple[int, ...]) -> tuple[float, ...]:
    """Of one target and order of draws, as COLUMNS."""
    rows = rows.set_index("model")
    each = pd.DataFrame({place: rows[f"draw {draw}"] for place, draw in enumerate(draws)})
    values, counts = raced(each, SETTINGS)
    ranked, truth = pd.Series(values), rows["ground_truth"]
    one = [row_of_values(model, each.loc[model][: counts[model]], SETTINGS.rank_by) for model in each.index]
    band = band_of(racing.with_pooled_intervals(one, [SETTINGS.rank_by]))
    behind = truth.max() - truth[ranked.idxmax()]
    return tau(truth, ranked), sum(counts.values()) - len(counts), behind, float(band <= SMALL)


def band_of(rows: list[Row]) -> int:
    """How many candidates' intervals overlap the leader's; all where there are no intervals."""
    values = [row.scores[SETTINGS.rank_by] for row in rows]
    leader = max(values, key=lambda one: -np.inf if one.value is None else one.value)
    return len(values) if leader.low is None else sum(leader.overlaps(one) for one in values)


if __name__ == "__main__":
    main()
