"""What the captions and axes of the report's charts say."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import pytest
from helpers.made_runs import made_run, refine

from acrank.records import Ranking, Row, Value
from acrank.report.chart_data import agreement_rows, candidate_rows, curve_rows, layer_rows
from acrank.report.figures import Figure, figures

pytest.importorskip("altair")


def figures_of(ranking: Ranking) -> dict[str, Figure]:
    layers, bodies = layer_rows(ranking)
    datasets: dict[str, Sequence[Mapping[str, Any]]] = {"candidates": candidate_rows(ranking, {}), "layers": layers}
    datasets |= {"agreement": agreement_rows(ranking), "curves": curve_rows(ranking), "bodies": bodies}
    datasets |= {"front_p": [], "front_t": []}
    return {one.id: one for one in figures(ranking, datasets, left_out={})}


def choices(figure: Figure) -> list[str]:
    found = next(one for one in figure.spec["params"] if one["name"] == "what")
    return list(found["bind"]["labels"])


def run_of(**columns: list[float]) -> Ranking:
    count = len(next(iter(columns.values())))
    rows = [
        Row(f"m{place}", "scored", scores={name: Value(values[place]) for name, values in columns.items()})
        for place in range(count)
    ]
    return Ranking.of(rows, rank_by=next(iter(columns)), higher_is_better=dict.fromkeys(columns, True))


def test_the_heat_map_says_that_layers_as_begun_are_left_out() -> None:
    ranking = made_run(["a", "b"], layers=3)
    said = "left out of AC-Corr"
    assert said not in figures_of(ranking)["layers"].caption
    ranking.rows[0].layers[1]["as_begun"] = True
    figure = figures_of(ranking)["layers"]
    assert said in figure.caption
    assert choices(figure) == ["AC-Corr", "affine drift"]


def test_the_heat_map_offers_only_what_has_values() -> None:
    ranking = made_run(["a"], layers=3)
    ranking.rows[0].layers = [{**layer, "untouched": True} for layer in ranking.rows[0].layers]
    assert choices(figures_of(ranking)["layers"]) == ["affine drift"]
    ranking.rows[0].layers = [{**layer, "affine_drift": None} for layer in ranking.rows[0].layers]
    assert "layers" not in figures_of(ranking)


@pytest.mark.parametrize(
    ("count", "ticks"), [(1, [1]), (2, [1, 2]), (5, [1, 2, 3, 4, 5]), (30, [1, 5, 10, 15, 20, 25, 30])]
)
def test_an_axis_of_epochs_names_whole_ones(count: int, ticks: list[int]) -> None:
    ranking = refine(made_run(["a", "b", "c"]), 3)
    for row in ranking.rows:
        row.refined = row.refined and dataclasses.replace(row.refined, curve=[0.5] * count)
    curves, _ = figures_of(ranking)["curves"].spec["layer"]
    assert curves["encoding"]["x"]["axis"]["values"] == ticks


def test_pairs_of_scores_that_agree_as_much_are_counted() -> None:
    """One pair was named where others had the same tau."""
    up, down, other = [1.0, 2.0, 3.0, 4.0], [4.0, 3.0, 2.0, 1.0], [2.0, 1.0, 3.0, 4.0]

    def said(**columns: list[float]) -> str:
        return figures_of(run_of(**columns))["agreement"].caption.partition("the reverse. ")[2]

    assert said(a=up, b=up, c=up, d=down) == (
        "Most alike are a and b (1.00; so are 2 other pairs), least alike a and d (-1.00; so are 2 other pairs)."
    )
    assert said(a=up, b=up, c=other) == "Most alike are a and b (1.00), least alike a and c (0.67; so is 1 other pair)."
    assert said(a=up, b=other) == "a and b have 0.67."
    assert said(a=up, b=up, c=up) == "All 3 pairs of scores have 1.00."
