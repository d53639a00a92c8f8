"""Records of `acrank compare` that are read again: what it writes passes, what it cannot have written does not."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest

import acrank
from acrank.comparison.comparison_record import check_comparison
from acrank.errors import TableError


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Two datasets, two scores, one of them against the other, as JSON has it."""
    folder = tmp_path_factory.mktemp("tables")
    cells = [(data, i, i / 10 if data == "x" else i / 9, i, i * 7 % 5) for data in "xy" for i in range(8)]
    lines = [f"{data},m{i},{truth},{s},{t}" for data, i, truth, s, t in cells]
    path = folder / "table.csv"
    path.write_text("\n".join(["dataset,model,ground_truth,s,t", *lines]) + "\n")
    found = acrank.compare(path, None, versus="s", higher_is_better={"s": True, "t": True}, resamples=100)
    record: dict[str, Any] = json.loads(json.dumps(found.to_record()))
    return record


def test_what_compare_writes_passes(written: dict[str, Any]) -> None:
    check_comparison(written)
    assert {one["verdict"] for one in written["results"]} > {None}
    assert written["averages"]


@pytest.mark.parametrize(
    ("place", "value", "message"),
    [
        ("schema_version", 2, "the comparison has schema version 2"),
        ("schema_version", True, "the comparison has schema version True"),
        ("schema_version", "1", "the comparison has schema version '1'"),
        ("results.0.n", 7.5, "results.0.n: 7.5 is no number of models"),
        ("kind", "acrank-run", "the comparison is no record of `acrank compare`"),
        ("warnings", "few models", "warnings: a list of texts is wanted"),
        ("averages", {}, "averages: a list is wanted"),
        ("results.1", [], "results.1: a mapping is wanted"),
        ("results.1.score", 7, "results.1.score: a text is wanted"),
        ("results.1.kind", "best", "results.1.kind: 'best' is none of score, baseline, random"),
        ("results.1.n", "8", "results.1.n: '8' is no number of models"),
        ("results.1.n", -1, "results.1.n: -1 is no number of models"),
        ("results.1.weighted_tau", 2, "results.1.weighted_tau: 2 is not from -1 to 1"),
        ("results.1.weighted_tau", "0.9", "results.1.weighted_tau: '0.9' is no number"),
        ("results.1.weighted_tau", True, "results.1.weighted_tau: True is no number"),
        ("results.1.weighted_tau_low", 0.99, "results.1.weighted_tau_low: 0.99 lies above weighted_tau_high"),
        ("results.1.weighted_tau_p", 1.5, "results.1.weighted_tau_p: 1.5 is not from 0 to 1"),
        ("results.1.better_flipped", "yes", "results.1.better_flipped: 'yes' is no flag"),
        ("results.1.without_value", [1], "results.1.without_value: a list of texts is wanted"),
        ("results.1.verdict", "better", "results.1.verdict: 'better' does not follow from the difference"),
        ("results.1.score", "s", "results.1.score: 's' is there twice"),
    ],
)
def test_what_it_cannot_have_written_is_refused_with_its_place(
    written: dict[str, Any], place: str, value: object, message: str
) -> None:
    record = copy.deepcopy(written)
    *way, last = place.split(".")
    inner: Any = record
    for key in way:
        inner = inner[int(key) if key.isdigit() else key]
    inner[int(last) if last.isdigit() else last] = value
    with pytest.raises(TableError) as caught:
        check_comparison(record)
    assert message in caught.value.message
    assert caught.value.hint


def test_a_list_is_no_record(tmp_path: Path) -> None:
    with pytest.raises(TableError, match="no record"):
        check_comparison([])
