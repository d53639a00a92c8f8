"""Words that a command does not know: closed sets are shown, and the nearest known word is named."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.workbench import Outcome, make_images

from acrank.cli.compare import CompareOptions
from acrank.cli.execution import Execution
from acrank.cli.finetune import RunOptions
from acrank.demo import truth_path, zoo_path
from acrank.errors import UsageError
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.records import Ranking, Row, Value
from acrank.settings import Settings
from acrank.system.option_fields import options_of
from acrank.targets.target_options import TargetOptions

Command = Callable[..., Outcome]
CLASSES = {
    Settings: "score",
    TargetOptions: "score",
    Execution: "score",
    FinetuneSettings: "finetune",
    RunOptions: "finetune",
    CompareOptions: "compare",
}
CLOSED = [(kind, field.name, option) for kind in CLASSES for field, _, option in options_of(kind) if option.choices]


@pytest.mark.parametrize(
    ("kind", "name", "option"), CLOSED, ids=[f"{kind.__name__}.{name}" for kind, name, _ in CLOSED]
)
def test_a_closed_set_shows_its_values(acrank: Command, kind: type, name: str, option: Any) -> None:
    flag = option.flag_of(name)
    shown = re.sub(r"\s+", "", acrank(CLASSES[kind], "--help").out)
    values = "|".join(option.choices)
    assert flag + values in shown
    near = max(option.choices, key=len)
    for word in ("nothing-like-it", near[:-1] + "#"):
        with pytest.raises(UsageError, match=f"unknown {flag} ") as caught:
            kind(**{name: word})
        hint = caught.value.hint or ""
        assert all(choice in hint for choice in option.choices), hint
    assert f"did you mean '{near}'" in hint


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run record of two models, a gates file with an unknown key, a target with splits and a table."""
    folder = tmp_path_factory.mktemp("words")
    rows = [
        Row(name, "scored", scores={"logme": Value(float(i))})
        for i, name in enumerate(["resnet-shapes", "byobnet-cells"])
    ]
    Ranking.of(rows, rank_by="logme", higher_is_better={"logme": True}, complete=True, candidates=2).save(
        folder / "run.json"
    )
    (folder / "gates.yaml").write_text(yaml.safe_dump({"margn": {"model": "byobnet-cells", "within": "10%"}}))
    for split in ("train", "validation"):
        make_images(folder / "target" / split, each=2)
    (folder / "images.csv").write_text("image_path,diagnosis\na.png,x\n")
    (folder / "table.csv").write_text("model,dataset,leep\nresnet-shapes,busi,1\nbyobnet-cells,busi,2\n")
    (folder / "wrong.csv").write_text("model,dataset,ground_truht\nresnet-shapes,busi,1\n")
    (folder / "busi.csv").write_text(
        "model,dataset,method,ground_truth\nresnet-shapes,busi,vanilla,1\nbyobnet-cells,busi,vanilla,2\n"
    )
    return folder


ZOO = ("--zoo", zoo_path())
CASES: list[tuple[list[Any], str]] = [
    (["score", "--data", "x", "--rank-by", "loggme"], "logme"),
    (["score", "--data", "x", "--rank-by", "concensus"], "consensus"),
    (["score", "--data", "x", "--scores", "leep,hscore"], "h_score"),
    (["score", "--data", "x", "-f", "tabel"], "table"),
    (["score", "--data", "target", *ZOO, "--tag", "fundsu"], "fundus"),
    (["score", "--data", "target", *ZOO, "--model", "resnet-shpes"], "resnet-shapes"),
    (["score", "--data", "target", *ZOO, "--split", "valdation"], "validation"),
    (["score", "--data", "images.csv", *ZOO, "--label-column", "diagnoses"], "diagnosis"),
    (["finetune", "--data", "x", "--method", "ac-nrm"], "ac-norm"),
    (["compare", "run.json", "--truth", truth_path(), "--versus", "logm"], "logme"),
    (["compare", "run.json", "--truth", truth_path(), "--score", "logm"], "logme"),
    (["compare", "run.json", "--truth", truth_path(), "--lower-is-better", "logm"], "logme"),
    (["compare", "run.json", "--truth", truth_path(), "--method", "vanila"], "vanilla"),
    (["compare", "table.csv", "--truth", "wrong.csv"], "ground_truht"),
    (["compare", "table.csv", "--truth", "busi.csv", "--dataset", "bussi"], "busi"),
    (["check", "run.json", "--model", "byobnet-cell", "--top-k", 1], "byobnet-cells"),
    (["check", "run.json", "--gates", "gates.yaml"], "margin"),
]


@pytest.mark.parametrize(("words", "meant"), CASES, ids=[" ".join(map(str, words[-2:])) for words, _ in CASES])
def test_an_unknown_word_gets_the_nearest_known_one(
    acrank: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, words: list[Any], meant: str
) -> None:
    monkeypatch.chdir(folder)
    done = acrank(*words)
    assert done.code in (2, 3), done.err
    assert f"hint: did you mean {meant!r}" in done.err


@pytest.mark.parametrize(
    ("words", "meant"), [(["scor"], "score"), (["zoo", "lst"], "list"), (["score", "--dta"], "--data")]
)
def test_unknown_commands_and_options_get_one_too(acrank: Command, words: list[str], meant: str) -> None:
    assert meant in acrank(*words).err.splitlines()[0]


def test_a_variable_that_nothing_reads_is_named(acrank: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACRANK_SAMPELS", "ACRANK_FORMAT", "ACRANK_SAMPLES", "ACRANK_CACHE", "_ACRANK_X"):
        monkeypatch.setenv(name, "csv" if name.endswith("FORMAT") else "3")
    said = acrank("scores").err
    assert said.count("nothing reads the variable") == 1
    assert "nothing reads the variable ACRANK_SAMPELS; did you mean 'ACRANK_SAMPLES' or" in " ".join(said.split())
    assert acrank("scores", "--help").err == ""


def test_variables_of_other_commands_are_no_mistakes(acrank: Command, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACRANK_GATES", "gates.yaml")
    assert acrank("scores").err == ""
