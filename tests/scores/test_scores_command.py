"""`acrank scores` prints the table in every format."""

from __future__ import annotations

import csv
import json

import pytest

from acrank.cli.options import Format
from acrank.cli.scores import scores, view_of_scores
from acrank.scores import SCORES


def test_json_is_the_record(capsys: pytest.CaptureFixture[str]):
    scores(format=Format.json)
    printed = capsys.readouterr()
    found = {record["name"]: record for record in json.loads(printed.out)["scores"]}
    assert list(found) == list(SCORES)
    assert found["leep"]["needs"] == ["logits", "labels"]
    assert found["leep"]["range"] == [None, 0.0]
    assert found["ncti"]["pool_relative"] is True
    assert printed.err == ""


def test_csv_has_a_row_for_each_score(capsys: pytest.CaptureFixture[str]):
    scores(format=Format.csv)
    rows = list(csv.DictReader(capsys.readouterr().out.splitlines()))
    assert [row["name"] for row in rows] == list(SCORES)
    assert set(rows[0]) == {"name", "needs", "direction", "range", "tasks", "pool_relative", "cost", "paper"}
    assert next(row for row in rows if row["name"] == "sfda")["range"] == "0 to 1"
    assert next(row for row in rows if row["name"] == "logme")["range"] == "-inf to inf"


def test_terminal_leaves_papers_out(capsys: pytest.CaptureFixture[str]):
    scores()
    out = capsys.readouterr().out
    assert "linear_probe" in out
    assert "arXiv" not in out


def test_output_files(tmp_path):
    scores(output=[tmp_path / "scores.md"])
    assert "2102.11005" not in (tmp_path / "scores.md").read_text()
    assert "logme" in (tmp_path / "scores.md").read_text()


def test_cells_are_plain():
    assert all(isinstance(cell, str | bool) for row in view_of_scores().rows for cell in row)
