"""Partial results: after every candidate of a small run, a tenth of the time in a large one, always at a stop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acrank.cli.saving import ALWAYS, saving
from acrank.errors import OutputError
from acrank.records import Ranking, Row, Value


def ranking(count: int) -> Ranking:
    rows = [Row(f"m{i}", "scored", scores={"s": Value(float(i))}) for i in range(count)]
    return Ranking.of(rows, rank_by="s", higher_is_better={"s": True})


def rows_in(path: Path) -> int:
    return len(json.loads(path.read_text())["rows"])


def test_a_small_run_is_saved_after_every_row(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    with saving((path,)) as save:
        for count in range(1, ALWAYS + 1):
            save(ranking(count))
            assert rows_in(path) == count


def test_a_large_run_puts_most_of_it_off_and_a_stop_saves_the_rest(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    seen = set()

    def run() -> None:
        with saving((path,)) as save:
            for count in range(ALWAYS, ALWAYS + 100):
                save(ranking(count))
                seen.add(rows_in(path))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run()
    assert len(seen) < 50
    assert rows_in(path) == ALWAYS + 99


def test_a_full_disk_is_not_written_to_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    def refuse(*_: object) -> None:
        calls.append(1)
        raise OutputError("cannot write")

    monkeypatch.setattr("acrank.cli.saving.write", refuse)
    with pytest.raises(OutputError), saving((tmp_path / "run.json",)) as save:
        save(ranking(1))
    assert calls == [1]
