"""Gates on the target: classes and number of images."""

from __future__ import annotations

from typing import Any

import pytest

from acrank.errors import GatesError
from acrank.gates import check_ranking, parse_gates
from acrank.records import Ranking, Row, Value


def run_on(**target: Any) -> Ranking:
    rows = [Row("a", "scored", scores={"s": Value(1.0)})]
    return Ranking.of(rows, rank_by="s", higher_is_better={"s": True}, target=target)


@pytest.mark.parametrize(
    ("gate", "passed"),
    [(["b", "a"], True), (["a", "b", "c"], False), (["a"], False), (["A", "b"], False)],
)
def test_classes_are_the_same_in_any_order(gate: list[str], passed: bool) -> None:
    (result,) = check_ranking(run_on(classes=["a", "b"], size=5), parse_gates({"classes": gate})).results
    assert result.passed is passed
    assert "the target has 2 classes: a, b" in result.message


def test_classes_that_differ_are_named() -> None:
    (result,) = check_ranking(run_on(classes=["a", "Testing"]), parse_gates({"classes": ["a", "b"]})).results
    assert result.message.endswith("it lacks b; not expected: Testing")


@pytest.mark.parametrize(
    ("gate", "passed", "required"),
    [
        (100, True, "100 images"),
        (101, False, "101 images"),
        ("100-200", True, ">= 100 and <= 200 images"),
        ("10 - 99", False, ">= 10 and <= 99 images"),
        ({"at_least": 100}, True, ">= 100 images"),
        ({"at_most": 99}, False, "<= 99 images"),
    ],
)
def test_images_are_counted(gate: Any, passed: bool, required: str) -> None:
    (result,) = check_ranking(run_on(size=100), parse_gates({"images": gate})).results
    assert (result.passed, result.observed, result.required) == (passed, 100, required)


def test_images_left_out_are_named() -> None:
    run = run_on(size=99, understood={"left_out": {"a/7.png": "cut off"}})
    (result,) = check_ranking(run, parse_gates({"images": 100})).results
    assert result.message == "the target has 99 images, without 1 that cannot be read: a/7.png"


@pytest.mark.parametrize("gate", [True, {}, -1, "many", [1, 2], {"at_least": -1}])
def test_anything_else_is_refused(gate: Any) -> None:
    with pytest.raises(GatesError, match="images"):
        parse_gates({"images": gate})


@pytest.mark.parametrize("gates", [{"classes": ["a"]}, {"images": 1}])
def test_a_run_that_does_not_say_cannot_pass(gates: dict[str, Any]) -> None:
    with pytest.raises(GatesError, match="does not record"):
        check_ranking(run_on(), parse_gates(gates))
