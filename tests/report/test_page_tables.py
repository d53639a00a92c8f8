"""The tables of the page, as cells."""

from __future__ import annotations

import itertools
import math

from helpers.made_runs import made_run, refine

from acrank.records import ZeroPoint
from acrank.report.page_tables import number_cell, ranking_table


def test_a_number_sorts_by_its_value_and_nothing_below_all() -> None:
    cell = number_cell(0.123456789)
    assert (cell.text, float(cell.order), cell.numeric) == ("0.1235", 0.123456789, True)
    assert number_cell(373173, text="373,173").order == "373173"
    for missing in (None, math.nan, math.inf):
        assert float(number_cell(missing).order) < -1e300


def test_rows_have_a_cell_for_every_column_whatever_the_run_has() -> None:
    for skipped in (0, 2):
        for refined in (False, True):
            ranking = made_run([f"m{place}" for place in range(5)], skipped=skipped)
            table = ranking_table(refine(ranking, 2) if refined else ranking)
            titles = [title for title, _ in table.columns]
            assert {len(row.cells) for row in table.rows} == {len(titles)}
            assert ("status" in titles, "trained" in titles) == (skipped > 0, refined)
            assert [titles[place] for place in table.filters] == ["band", "status"][: 1 + (skipped > 0)]


def test_a_rule_stands_where_another_band_begins() -> None:
    ranking = made_run([f"m{place}" for place in range(40)])
    table = ranking_table(ranking)
    bands = [row.band for row in ranking.rows]
    assert [row.starts_band for row in table.rows] == [False, *(a != b for a, b in itertools.pairwise(bands))]
    assert len(set(bands)) > 1


def test_what_untrained_twins_get_is_a_column_where_some_were_scored() -> None:
    ranking = made_run(["a", "b"])
    assert "untrained" not in [title for title, _ in ranking_table(ranking).columns]
    ranking.rows[0].untrained = ZeroPoint.of(ranking.scored_by, [1.0, 3.0])
    table = ranking_table(ranking)
    place = [title for title, _ in table.columns].index("untrained")
    assert [(row.cells[place].text, row.cells[place].below) for row in table.rows] == [("2", "± 1.41"), ("-", "")]
