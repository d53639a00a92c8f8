"""A gate on the record of an interrupted run: that it is not whole comes first."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from acrank.errors import GatesError
from acrank.records import Ranking, Row, Value

LACKING = "the run was not finished: 2 of 5 candidates have a row"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The record of a run that was interrupted after two of five candidates, and that of a whole one."""
    monkeypatch.chdir(tmp_path)
    for name, count, complete in (("partial", 2, False), ("whole", 5, True)):
        rows = [Row(f"m{place}", "scored", scores={"s": Value(float(place))}) for place in range(count)]
        run = Ranking.of(rows, rank_by="s", higher_is_better={"s": True}, candidates=5, complete=complete)
        run.save(f"{name}.json")
    return tmp_path


@pytest.mark.parametrize(
    ("words", "error"),
    [
        (["--model", "m4", "--top-k", "1"], "top_k: the run has no model 'm4'"),
        (["--model", "m4", "--leading-band", "--allow-partial"], "leading_band: the run has no model 'm4'"),
        (["--model", "m0", "--refined-top-k", "1"], "refined_top_k: no candidate of the run was refined"),
        (["--max-seconds", "3"], "max_seconds: no candidate of the run has a time"),
    ],
)
def test_a_gate_that_cannot_be_evaluated(
    folder: Path, acrank: Callable[..., Any], words: list[str], error: str
) -> None:
    done = acrank("check", "partial.json", *words)
    assert done.code == GatesError.exit_code
    assert done.err.startswith(f"error: {LACKING}; {error}\n")
    assert "hint: go on with the same `acrank score` line and --resume; " in done.err
    whole = acrank("check", "whole.json", *[word.replace("m4", "m9") for word in words])
    assert whole.err.startswith(f"error: {error.replace('m4', 'm9')}")
    assert "--resume" not in whole.err


def test_what_changed_says_it_of_either_run(folder: Path, acrank: Callable[..., Any]) -> None:
    for run, baseline, said in (("partial", "whole", f"; {LACKING}"), ("whole", "partial", f"; before, {LACKING}")):
        done = acrank("check", f"{run}.json", "--baseline", f"{baseline}.json", "-f", "markdown")
        assert done.code == 0, done.err
        assert said in done.out
    assert "not finished" not in acrank("check", "whole.json", "--baseline", "whole.json").out
