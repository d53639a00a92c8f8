"""Partial results: after every candidate of a small run, a tenth of the time in a large one, always at a stop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from acrank.cli.console import write
from acrank.cli.saving import ALWAYS, saving, write_or_rescue
from acrank.errors import OutputError
from acrank.records import Ranking, Row, Value
from acrank.system.view import View


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


def test_an_output_that_cannot_be_written_for_a_while_costs_no_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    real, full = write, [True]

    def refuse(view: View, paths: tuple[Path, ...]) -> None:
        if full[0]:
            raise OutputError("cannot write run.json: No space left on device")
        real(view, paths)

    monkeypatch.setattr("acrank.cli.saving.write", refuse)
    with saving((tmp_path / "run.json",)) as save:
        save(ranking(1))
        save(ranking(2))
        full[0] = False
        save(ranking(3))
    assert rows_in(tmp_path / "run.json") == 3
    assert capsys.readouterr().err.count("the run goes on, and is written at its end") == 1


def test_a_run_whose_outputs_cannot_be_written_at_its_end_is_rescued(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    (tmp_path / "gone").mkdir()
    path = tmp_path / "gone" / "run.json"
    path.parent.rmdir()
    with pytest.raises(OutputError, match="cannot write") as caught:
        write_or_rescue(ranking(4), (path,))
    (rescued,) = tmp_path.glob("acrank-*/run.json")
    assert str(rescued) in str(caught.value.hint)
    assert rows_in(rescued) == 4


@pytest.mark.parametrize("is_there", [True, False])
def test_where_nothing_can_be_written_the_first_error_stays_and_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_there: bool
) -> None:
    temporary = tmp_path / "temporary"
    monkeypatch.setattr("tempfile.tempdir", str(temporary))
    if is_there:
        temporary.mkdir()

    def refuse(*_: object, **__: object) -> None:
        raise OutputError("cannot write run.json: No space left on device", hint="free some")

    monkeypatch.setattr(Ranking, "save", refuse)
    with pytest.raises(OutputError, match="cannot write") as caught:
        write_or_rescue(ranking(4), (tmp_path / "gone" / "scores.csv",))
    assert "the run is in" not in str(caught.value.hint)
    assert not is_there or not list(temporary.iterdir())
