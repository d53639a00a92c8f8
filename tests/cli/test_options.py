"""Options of the commands are the fields of the settings classes; lists have one grammar."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.locked_folder import locked
from helpers.workbench import Outcome, make_images, make_zoo

from acrank.cli.compare import CompareOptions
from acrank.cli.console import report_failure
from acrank.cli.execution import Execution
from acrank.cli.finetune import RunOptions
from acrank.cli.options import ZooOptions
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.records import Ranking
from acrank.settings import Settings
from acrank.system.option_fields import options_of
from acrank.system.words import words_of
from acrank.targets.target_options import TargetOptions

Run = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _own_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """The networks beside a manifest are loaded from this test's folder."""
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)


@pytest.mark.parametrize(
    ("command", "kinds"),
    [
        ("score", (ZooOptions, Settings, TargetOptions, Execution)),
        ("finetune", (ZooOptions, FinetuneSettings, TargetOptions)),
    ],
)
def test_every_field_stands_in_the_help_with_its_variable(acrank: Run, command: str, kinds: tuple[type, ...]) -> None:
    text = " ".join(acrank(command, "--help").out.split())
    for kind in kinds:
        for field, _, option in options_of(kind):
            if command == "finetune" and field.name == "split":  # --split-by says which
                continue
            flag = option.flag_of(field.name)
            assert re.search(rf"{flag}\b", text), flag
            assert f"ACRANK_{flag[2:].replace('-', '_').upper()}" in text, flag
            assert all(choice in text for choice in option.choices), flag


@pytest.mark.parametrize(("command", "first"), [("score", "What to score:"), ("finetune", "What to score:")])
def test_the_first_panel_is_short(acrank: Run, command: str, first: str) -> None:
    sections = re.split(r"\n(?=\S)", acrank(command, "--help").out.strip())
    panel = next(section for section in sections if section.startswith(first))
    assert sections[2 if not sections[1].startswith(first) else 1].startswith(first)
    assert 3 <= len(re.findall(r"^  -", panel, flags=re.MULTILINE)) <= 12


@pytest.mark.parametrize(
    "given",
    [("--model", "net0,net2"), ("--model", "net0", "--model", "net2"), ("--model", " net0 , ,net2")],
)
def test_a_list_takes_commas_and_repetition(acrank: Run, tmp_path: Path, given: tuple[str, ...]) -> None:
    zoo, data = make_zoo(tmp_path / "zoo"), make_images(tmp_path / "data")
    common = ("--samples", 12, "--repeats", 1, "--no-cache", "--allow-code", "--scores", "knn", "--scores", "ac_corr")
    done = acrank("score", "--zoo", zoo, "--data", data, *common, *given, "-o", tmp_path / "run.json")
    assert done.code == 0, done.err
    ranking = Ranking.load(tmp_path / "run.json")
    assert {row.model for row in ranking.rows} == {"net0", "net2"}
    assert ranking.settings["scores"] == ["knn", "ac_corr"]


def test_quotes_keep_a_comma_within_a_word() -> None:
    assert words_of(['"a,b",c', "d"]) == ["a,b", "c", "d"]


def test_a_list_of_numbers_refuses_words(acrank: Run, tmp_path: Path) -> None:
    done = acrank("finetune", "--data", tmp_path, "--lr", "0.1,fast")
    assert done.code == 2
    assert "--lr needs numbers, got 0.1,fast" in done.err


def test_finetune_reads_variables(acrank: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACRANK_OPTIMISER", "adam")
    done = acrank("finetune", "--data", tmp_path)
    assert done.code == 2
    assert "unknown --optimiser 'adam'" in done.err
    assert "did you mean 'adamw'?" in done.err


def test_a_flag_goes_before_its_variable(acrank: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACRANK_HEAD", "nonsense")
    zoo, data = make_zoo(tmp_path / "zoo", 1), make_images(tmp_path / "data")
    common = ("score", "--zoo", zoo, "--data", data, "--samples", 12, "--repeats", 1, "--no-cache", "--allow-code")
    assert acrank(*common, "-o", tmp_path / "a.json").code == 2
    assert acrank(*common, "--head", "random", "-o", tmp_path / "a.json").code == 0
    assert Ranking.load(tmp_path / "a.json").settings["head"] == "random"


KINDS = (Settings, FinetuneSettings, Execution, TargetOptions, CompareOptions, RunOptions)


@pytest.mark.parametrize("kind", KINDS)
def test_every_number_has_an_upper_bound(kind: type) -> None:
    unbounded = [
        field.name
        for field, hint, option in options_of(kind)
        if re.search(r"\b(int|float)\b", str(hint)) and option.most is None
    ]
    assert unbounded == []


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("REPEATS", "99999999999"),
        ("SEED", "9" * 40),
        ("STEP_SIZE", "1e300"),
        ("TIMEOUT", "1e300"),
        ("SLICES", "9" * 30),
    ],
)
def test_a_number_beyond_its_bound_is_refused(
    acrank: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    monkeypatch.setenv(f"ACRANK_{variable}", value)
    done = acrank("score", "--data", tmp_path)
    assert done.code == 2
    shown = "1e+300" if "e" in value else value
    assert f"error: --{variable.lower().replace('_', '-')} is {shown}" in done.err
    assert "hint: it must be at most" in done.err


@pytest.mark.parametrize("given", [("--shard", f"1/{'9' * 5000}"), ("--memory", f"{'9' * 400}GB")])
def test_overlong_numbers_within_words_are_refused(acrank: Run, tmp_path: Path, given: tuple[str, str]) -> None:
    done = acrank("score", "--data", tmp_path, *given)
    assert done.code == 2
    assert given[0] in done.err


def test_a_working_folder_that_is_gone_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, acrank: Run) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    found = acrank("scores")
    assert found.code == 2
    assert found.err == "error: the working folder no longer exists\nhint: change to a folder that does\n"


def test_a_working_folder_that_was_locked_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Whatever could not be reached in it."""
    (tmp_path / "locked").mkdir()
    monkeypatch.chdir(tmp_path / "locked")
    with locked(tmp_path / "locked"), pytest.raises(PermissionError) as caught:
        Path("truth.work").exists()
    assert report_failure(caught.value) == 4
    with locked(tmp_path / "locked"):
        assert report_failure(caught.value) == 2
    told = "error: the working folder may no longer be entered\nhint: change to a folder that may\n"
    assert capsys.readouterr().err.endswith(told)
