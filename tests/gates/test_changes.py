"""What changed since a baseline: each model before and after, and whether the difference is noise."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from helpers.workbench import Outcome

from acrank.errors import GatesError
from acrank.gates import changes_since
from acrank.records import Ranking, Row, Value

Run = Callable[..., Outcome]


def run(higher: bool = True, extra: tuple[Row, ...] = (), settings: Any = None, **values: Any) -> Ranking:
    """A run of one score "s": name -> value with an interval of `half` on each side, or a bare value."""
    rows = [
        Row(
            name,
            "scored",
            scores={"s": Value(v[0], 0.1, v[0] - v[1], v[0] + v[1]) if isinstance(v, tuple) else Value(v)},
        )
        for name, v in values.items()
    ]
    about = {"settings": settings or {}, "complete": True}
    return Ranking.of([*rows, *extra], rank_by="s", higher_is_better={"s": higher}, **about)


BROKEN = Row("broken", "skipped", reason="damaged")


def test_every_kind_of_change() -> None:
    before = run(
        same=(5.0, 1), noise=(4.0, 1), up=(3.0, 0.1), down=(3.0, 0.1), bare=1.0, gone=(0.0, 1), extra=(BROKEN,)
    )
    now = run(same=(5.0, 1), noise=(4.5, 1), up=(3.5, 0.1), down=(2.5, 0.1), bare=1.1, new=(0.0, 1), broken=(2.0, 1))
    found = {one.model: one for one in changes_since(before, now).models}
    assert {name: one.change for name, one in found.items()} == {
        "same": "same",
        "noise": "within noise",
        "up": "better",
        "down": "worse",
        "bare": "unknown",
        "gone": "gone",
        "new": "new",
        "broken": "was skipped",
    }
    assert (found["up"].before, found["up"].after, found["up"].difference) == (3.0, 3.5, 0.5)
    assert (found["down"].rank_before, found["down"].rank_after) == (3, 4)
    assert (found["gone"].after, found["new"].before, found["new"].difference) == (None, None, None)


def test_better_follows_the_direction() -> None:
    found = changes_since(run(higher=False, a=(3.0, 0.1)), run(higher=False, a=(2.0, 0.1)))
    assert found.models[0].change == "better"


def test_swapping_the_runs_swaps_better_and_worse() -> None:
    one, other = run(a=(3.0, 0.1), b=(1.0, 2)), run(a=(2.0, 0.1), b=(1.5, 2))
    there, back = changes_since(one, other).models, changes_since(other, one).models
    assert [item.change for item in there] == ["worse", "within noise"]
    assert [item.change for item in back] == ["better", "within noise"]
    assert [item.difference for item in back] == [-(item.difference or 0) for item in there]


def test_what_makes_runs_hard_to_compare_is_said() -> None:
    one, other = run(a=1.0, settings={"samples": 8}), run(a=1.0, settings={"samples": 9})
    other.target = {"fingerprint": "x"}
    assert changes_since(one, other).notes == ["other images or labels", "other settings: samples"]
    other.rank_by = "t"
    with pytest.raises(GatesError, match="nothing to compare"):
        changes_since(one, Ranking.of([], rank_by="t", higher_is_better={"t": True}))


def test_a_comment_for_a_pull_request(acrank: Run, tmp_path: Path) -> None:
    run(a=(3.0, 0.1), b=(1.0, 2)).save(tmp_path / "old.json")
    run(**{"a|<b>": (2.0, 0.1)}, a=(2.0, 0.1), b=(1.5, 2)).save(tmp_path / "run.json")
    words = ("check", tmp_path / "run.json", "--baseline", tmp_path / "old.json")
    found = acrank(*words, "-f", "markdown", "-o", tmp_path / "comment.md")
    assert found.code == 0, found.err
    assert "| a | 1 | 1 | 3 | 2 | -1 | worse |" in found.out
    assert "| b | 2 | 3 | 1 | 1.5 | 0.5 | within noise |" in found.out
    assert "a\\|&lt;b&gt;" in found.out
    assert (tmp_path / "comment.md").read_text() == found.out
    record = json.loads(acrank(*words, "-f", "json").out)
    assert [one["change"] for one in record["changes"]["models"]] == ["worse", "new", "within noise"]
    gated = acrank(*words, "--same-best", "band", "-f", "markdown")
    assert gated.code == 0
    assert gated.out.index("same\\_best") < gated.out.index("within noise")
    assert acrank("check", tmp_path / "run.json").code == 2
