"""The numbers behind the report's charts."""

from __future__ import annotations

import dataclasses
import math

import pytest
from helpers.made_runs import made_run
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import kendalltau

from acrank.formats.cells import visible
from acrank.records import Ranking, Row, Value
from acrank.report.chart_data import agreement_rows, candidate_rows, labels, layer_rows, pareto_front, ranked_rows

POINTS = st.lists(st.fixed_dictionaries({"p": st.integers(1, 9), "s0": st.integers(-5, 5)}), max_size=12)


@given(POINTS, st.booleans())
def test_the_pareto_front_is_what_no_row_beats(rows: list[dict[str, int]], higher: bool) -> None:
    sign = 1 if higher else -1

    def beaten(row: dict[str, int]) -> bool:
        return any(
            one["p"] <= row["p"]
            and sign * one["s0"] >= sign * row["s0"]
            and (one["p"], one["s0"]) != (row["p"], row["s0"])
            for one in rows
        )

    expected = sorted({(row["p"], row["s0"]) for row in rows if not beaten(row)})
    assert [(row["p"], row["s0"]) for row in pareto_front(rows, "p", higher=higher)] == expected


def test_names_on_the_front_do_not_cover_each_other() -> None:
    rows = [{"p": 1, "s0": 0.0}, {"p": 10, "s0": 0.02}, {"p": 100, "s0": 1.0}]
    front = pareto_front(rows, "p", higher=True)
    assert [(row["named"], row["east"]) for row in front] == [(False, False), (True, False), (True, True)]


def test_agreement_is_kendalls_tau_of_scores_turned_the_better_way_up() -> None:
    ranking = made_run([f"m{i}" for i in range(30)], skipped=3)
    found = {(row["a"], row["b"]): row for row in agreement_rows(ranking)}
    rows = ranked_rows(ranking)
    x = [row.value("finetunability") for row in rows]
    y = [-(row.value("ac_corr") or 0.0) for row in rows]
    assert found["finetunability", "ac_corr"]["tau"] == pytest.approx(kendalltau(x, y).statistic, abs=5e-4)
    assert found["ac_corr", "finetunability"] == {
        **found["finetunability", "ac_corr"],
        "a": "ac_corr",
        "b": "finetunability",
    }
    assert found["ac_corr", "ac_corr"]["tau"] == 1.0
    assert len(found) == 36
    assert {row["n"] for row in found.values()} == {27}


def test_a_candidate_has_only_the_fields_that_have_a_value() -> None:
    rows = [
        Row(
            "a",
            "scored",
            scores={"s": Value(2.0, low=1.5, high=3.0), "u": Value(None, note="no")},
            params=10,
            seconds=0.0,
        ),
        Row("b", "scored", scores={"s": Value(1.23456789), "u": Value(math.inf)}),
        Row("c", "skipped", reason="gone"),
    ]
    ranking = Ranking.of(rows, rank_by="s", higher_is_better={"s": True, "u": True})
    assert candidate_rows(ranking, {"b": (0.5, 0.1), "c": (1.0, None)}) == [
        {"m": "1. a", "r": 1, "lead": True, "p": 10, "s0": 2.0, "l0": 1.5, "h0": 3.0},
        {"m": "2. b", "r": 2, "lead": False, "s0": 1.2346, "g": 0.5, "gl": 0.304, "gh": 0.696},
    ]


@given(st.lists(st.text(min_size=1), min_size=2, max_size=6, unique=True))
def test_labels_are_short_and_differ(names: list[str]) -> None:
    found = labels(ranked_rows(made_run(names)))
    assert len(set(found)) == len(names)
    assert all(len(label) <= 60 and visible(label) == label for label in found)


def test_layers_share_their_names() -> None:
    ranking = made_run(["a", "b", "c"], layers=4)
    ranking.rows[2] = dataclasses.replace(ranking.rows[2], layers=[{"name": "norm", "channels": 8, "ac_corr": None}])
    layers, bodies = layer_rows(ranking)
    assert [row["k"] for row in layers] == [0, 0, 1]
    assert layers[0]["a"] == [pytest.approx(layer["ac_corr"], rel=5e-3) for layer in ranking.rows[0].layers]
    assert (layers[2]["a"], layers[2]["d"]) == ([None], [None])
    assert bodies[1] == {"k": 1, "n": ["norm"], "c": [8], "i": [1]}
    assert bodies[0]["n"] == [f"blocks.{place}.norm" for place in range(4)]


def test_layers_that_ac_corr_leaves_out_have_no_value_of_it() -> None:
    """Their correlation is the maximum whatever the target: they were the brightest cells of the heat map."""
    ranking = made_run(["a"], layers=4)
    row = ranking.rows[0]
    marks: list[dict[str, bool]] = [{"untouched": False}, {"untouched": True}, {"as_begun": True}, {"as_begun": False}]
    row.layers = [{**layer, **mark} for layer, mark in zip(row.layers, marks, strict=True)]
    (found,), _ = layer_rows(ranking)
    assert [value is None for value in found["a"]] == [False, True, True, False]
    assert None not in found["d"]
