"""`acrank report`: the page that it writes, and what it refuses."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from helpers.made_runs import made_run
from helpers.workbench import Outcome
from PIL import Image

pytest.importorskip("altair")
Command = Callable[..., Outcome]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    path = tmp_path / "run.json"
    made_run(["a", "b", "c", "d"], layers=2, skipped=1).save(path)
    return path


def test_a_page_with_all_its_parts(acrank: Command, run: Path, tmp_path: Path) -> None:
    truth, comparison, page = tmp_path / "truth.csv", tmp_path / "comparison.json", tmp_path / "report.html"
    truth.write_text("dataset,model,ground_truth\nmade,a,0.9\nmade,b,0.8\nmade,c,0.7\nother,a,0.1\n")
    assert acrank("compare", run, "--truth", truth, "--dataset", "made", "-o", comparison).code == 0
    sheet = tmp_path / "sheet.png"
    Image.new("RGB", (40, 30), "red").save(sheet)
    words = ["--truth", truth, "--compare", comparison, "--sheet", sheet, "--title", "Which <one>?", "-o", page]
    done = acrank("report", run, *words)
    assert (done.code, done.out) == (0, "")
    assert f"written: {page}" in done.err
    text = page.read_text()
    assert "<title>Which &lt;one&gt;?</title>" in text
    assert 'src="data:image/jpeg;base64,' in text
    assert "Finetuned performance of 3 candidates" in text
    assert "How well each score predicts finetuned performance" in text
    assert acrank("report", run, "-o", page).code == 0  # its own page may be replaced


def test_a_contact_sheet_of_other_data_is_warned_of(acrank: Command, run: Path, tmp_path: Path) -> None:
    for name in ("x", "y"):
        (tmp_path / "data" / name).mkdir(parents=True)
        for place in range(2):
            Image.new("L", (32, 32), 40 * place).save(tmp_path / "data" / name / f"{place}.png")
    record = json.loads(run.read_text())
    record["target"]["fingerprint"] = "0" * 64
    run.write_text(json.dumps(record))
    done = acrank("report", run, "--data", tmp_path / "data", "-o", tmp_path / "r.html")
    assert done.code == 0
    assert "is not the target that was scored" in done.err
    assert "data:image/jpeg" in (tmp_path / "r.html").read_text()


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["-o", "report.pdf"], "no report format for 'report.pdf'"),
        (["-o", "missing/report.html"], "cannot write missing/report.html"),
        (["-o", "mine.html"], "mine.html is there and was not written by acrank"),
        (["--truth", "other.csv"], "no model is in both the run and other.csv"),
        (["--truth", "two.csv"], "two.csv has no data set 'made'"),
        (["--truth", "two.csv", "--dataset", "three"], "two.csv has no data set 'three'"),
        (["--compare", "run.json"], "the comparison is no record of `acrank compare`"),
        (["--sheet", "other.csv"], "other.csv is no contact sheet"),
        (["--sheet", "s.png", "--data", "data"], "--data and --sheet both give a contact sheet"),
    ],
)
def test_what_is_refused(
    acrank: Command, run: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], message: str
) -> None:
    monkeypatch.chdir(run.parent)
    Path("mine.html").write_text("<!DOCTYPE html><title>mine</title>")
    Path("other.csv").write_text("model,ground_truth\nz,0.5\n")
    Path("two.csv").write_text("dataset,model,ground_truth\none,a,0.5\ntwo,a,0.4\n")
    done = acrank("report", "run.json", *words)
    assert done.code == 2
    assert message in done.err
    assert "hint: " in done.err
    assert not Path("report.html").exists()
