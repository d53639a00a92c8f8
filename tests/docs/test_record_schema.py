"""The committed JSON schema against real records, and against damage that acrank refuses, too."""

from __future__ import annotations

import json
from typing import Any

import pages
import pytest
from helpers.doc_pages import ROOT
from helpers.made_runs import damaged, made_run, refine
from jsonschema import Draft202012Validator

from acrank.errors import TableError
from acrank.records import Ranking

SCHEMA = json.loads(pages.SCHEMA.read_text(encoding="utf-8"))
VALID = Draft202012Validator(SCHEMA)


@pytest.fixture(scope="module")
def record() -> dict[str, Any]:
    """A record with every class of it: skipped, trained and untrained rows, layers, intervals."""
    return json.loads(json.dumps(refine(made_run(["a", "b", "c", "d"], layers=2, skipped=1), 2).to_record()))


def test_the_schema_is_one() -> None:
    Draft202012Validator.check_schema(SCHEMA)


def test_records_are_valid(record: dict[str, Any]) -> None:
    assert [error.message for error in VALID.iter_errors(record)] == []
    old = Ranking.load(ROOT / "tests" / "data" / "run_0.2.0.json")  # brought into the present version
    assert [error.message for error in VALID.iter_errors(old.to_record())] == []


def test_every_field_of_a_record_is_described(record: dict[str, Any]) -> None:
    for place in (SCHEMA, *SCHEMA["$defs"].values()):
        assert [name for name, field in place["properties"].items() if not field.get("description")] == []
    assert {*record} == {*SCHEMA["properties"]}
    assert {*record["rows"][0]} == {*SCHEMA["$defs"]["Row"]["properties"]}


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("kind",), "other"),
        (("schema_version",), 3),
        (("rows",), ...),
        (("rank_by",), None),
        (("higher_is_better",), ["s"]),
        (("settings",), None),
        (("warnings",), "text"),
        (("unknown",), 1),
        (("rows", 0, "model"), ...),
        (("rows", 0, "model"), ""),
        (("rows", 0, "status"), "done"),
        (("rows", 0, "seconds"), -1.0),
        (("rows", 0, "params"), -1),
        (("rows", 0, "scores", "ac_corr"), 0.5),
        (("rows", 0, "scores", "ac_corr", "value"), "half"),
        (("rows", 0, "scores", "ac_corr", "sd"), -0.1),
        (("rows", 0, "layers", 0), {}),
        (("rows", 0, "details", "unknown"), 1),
        (("rows", 0, "refined", "metric"), ...),
        (("rows", 0, "prior", "value"), "x"),
    ],
)
def test_what_the_schema_refuses_acrank_refuses(record: dict[str, Any], path: tuple[Any, ...], value: Any) -> None:
    changed = damaged(record, path, value)
    assert not VALID.is_valid(changed)
    with pytest.raises(TableError):
        Ranking.from_record(changed)
