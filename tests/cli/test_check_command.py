"""`acrank check` as CI calls it: exit codes, flags, files, GitHub Actions."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from junitparser import JUnitXml

from acrank.records import Ranking, Refined, Row, Value
from acrank.records.joint import joined

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A folder with run.json (a 4, b 3, c 2, and d skipped), outside of any CI."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "ACRANK_GATES", "ACRANK_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    run().save(Path("run.json"))


def run(seconds: float = 2.0, **values: float) -> Ranking:
    values = values or {"a": 4.0, "b": 3.0, "c": 2.0}
    rows = [Row(name, "scored", scores={"s": Value(value)}, seconds=seconds) for name, value in values.items()]
    return Ranking.of(
        [*rows, Row("d", "skipped", reason="no file")], rank_by="s", higher_is_better={"s": True}, complete=True
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--model", "b", "--top-k", "2"], 0),
        (["--model", "c", "--top-k", "2"], 1),
        (["--model", "b", "--within", "25%"], 0),
        (["--model", "b", "--within", "0.9"], 1),
        (["--baseline", "run.json", "--same-best", "exact"], 0),
        (["--baseline", "other.json", "--same-best", "band"], 1),
        (["--baseline", "other.json", "--max-slowdown", "2"], 0),
        (["--baseline", "other.json", "--max-slowdown", "1.9"], 1),
        (["--max-seconds", "2"], 0),
        (["--max-seconds", "1"], 1),
        (["--truth", "truth.csv", "--min-tau", "1"], 0),
        (["--truth", "truth.csv", "--min-tau", "0.9", "--method", "probe"], 1),
        (["--truth", "truth.csv", "--min-tau", "0", "--dataset", "x"], 2),
        (["--no-skipped"], 1),
        (["--no-warnings"], 0),
        (["--no-warnings", "--no-skipped"], 1),
        ([], 2),
        (["--model", "b"], 2),
        (["--model", "b", "--no-warnings"], 2),
        (["--top-k", "2"], 2),
        (["--top-k", "0", "--model", "b"], 2),
        (["--model", "e", "--top-k", "2"], 2),
        (["--model", "b", "--within", "1", "--score", "t"], 2),
        (["--same-best", "band"], 2),
        (["--same-best", "band", "--baseline", "none.json"], 2),
        (["--max-slowdown", "nan", "--baseline", "run.json"], 2),
        (["--min-tau", "2", "--truth", "truth.csv"], 2),
        (["--gates", "none.yaml"], 2),
        (["--no-warnings", "-o", "none/out.json"], 2),
        (["--no-warnings", "-o", "none/out.xml"], 2),
    ],
)
def test_exit_codes_of_the_flags(acrank: Callable[..., Any], words: list[str], code: int) -> None:
    run(seconds=1.0, a=1.0, b=2.0).save(Path("other.json"))
    rows = "a,ft,3\nb,ft,2\nc,ft,1\na,probe,1\nb,probe,2\nc,probe,3\n"
    Path("truth.csv").write_text("model,method,ground_truth\n" + rows)
    if "--truth" in words and "--method" not in words:
        words = [*words, "--method", "ft"]
    got = acrank("check", "run.json", *words)
    assert got.code == code
    assert ("error: " in got.err) == (code == 2)
    assert ("hint: " in got.err) == (code != 0)
    assert bool(got.out) == (code != 2)


def test_a_run_that_cannot_be_read_is_unusable(acrank: Callable[..., Any]) -> None:
    assert acrank("check", "none.json", "--no-skipped").code == 2
    Path("bad.json").write_text("{}")
    assert acrank("check", "bad.json", "--no-skipped").code == 2


def test_what_is_missing_from_flags_is_named_as_a_flag(acrank: Callable[..., Any]) -> None:
    got = acrank("check", "run.json", "--top-k", "2")
    assert got.err == "error: flags: top_k.model: is missing\nhint: add it, or give --model\n"


def test_flags_override_and_add_to_the_file(acrank: Callable[..., Any]) -> None:
    Path("gates.yaml").write_text("top_k: {model: c, k: 3}\nno_skipped: {allowed: [d]}\n")
    assert acrank("check", "run.json", "--gates", "gates.yaml").code == 0
    assert acrank("check", "run.json", "--gates", "gates.yaml", "--top-k", "2").code == 1
    assert acrank("check", "run.json", "--gates", "gates.yaml", "--top-k", "2", "--model", "b").code == 0
    assert acrank("check", "run.json", "--gates", "gates.yaml", "--no-skipped").code == 1
    got = acrank("check", "run.json", "--gates", "gates.yaml", "--max-seconds", "1", "-f", "csv")
    assert [line.split(",")[:2] for line in got.out.splitlines()] == [
        ["gate", "result"],
        ["top_k", "passed"],
        ["no_skipped", "passed"],
        ["max_seconds", "FAILED"],
    ]


def test_a_wrong_gates_file_stays_wrong_under_flags(acrank: Callable[..., Any]) -> None:
    Path("gates.yaml").write_text("top_k: a\n")
    got = acrank("check", "run.json", "--gates", "gates.yaml", "--top-k", "2")
    assert (got.code, "top_k: must be a mapping" in got.err) == (2, True)


def test_paths_are_relative_to_the_gates_file_and_those_of_flags_to_the_caller(acrank: Callable[..., Any]) -> None:
    Path("ci").mkdir()
    run(a=9.0).save(Path("ci/baseline.json"))
    Path("ci/gates.yaml").write_text("same_best: {baseline: baseline.json}\n")
    assert acrank("check", "run.json", "--gates", "ci/gates.yaml").code == 0
    assert acrank("check", "run.json", "--gates", "ci/gates.yaml", "--baseline", "baseline.json").code == 2
    assert acrank("check", "run.json", "--gates", "ci/gates.yaml", "--baseline", "run.json").code == 0


def test_every_output_format_is_written_also_when_a_gate_fails(acrank: Callable[..., Any]) -> None:
    names = ["out.xml", "out.json", "out.csv", "out.md", "out.txt"]
    words = [word for name in names for word in ("-o", name)]
    got = acrank("check", "run.json", "--model", "c", "--top-k", "2", "--max-seconds", "5", *words)
    assert got.code == 1
    assert Path("out.txt").read_text() == got.out
    xml = JUnitXml.fromfile("out.xml")
    assert (xml.tests, xml.failures) == (2, 1)
    record = json.loads(Path("out.json").read_text())
    assert [item["message"] for item in record["results"] if not item["passed"]] == [
        case.result[0].message for suite in xml for case in suite if case.result
    ]
    assert Path("out.md").read_text().startswith("### acrank check of run.json: 1 of 2 gates failed\n")
    assert len(Path("out.csv").read_text().splitlines()) == 3


def test_an_unknown_suffix_is_refused_before_anything_is_written(acrank: Callable[..., Any]) -> None:
    got = acrank("check", "run.json", "--no-warnings", "-o", "out.xml", "-o", "out.html")
    assert got.code == 2
    assert "hint: end the path in one of .json, .csv, .md, .txt, .xml\n" in got.err
    assert not Path("out.xml").exists()


class TestGitHubActions:
    def test_the_summary_is_appended(self, acrank: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
        Path("summary.md").write_text("from an earlier command\n\n")
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", "summary.md")
        acrank("check", "run.json", "--no-skipped", "-o", "out.md")
        acrank("check", "run.json", "--no-skipped")
        table = Path("out.md").read_text()
        assert Path("summary.md").read_text() == "from an earlier command\n\n" + (table + "\n") * 2

    def test_a_summary_that_cannot_be_written_is_an_error_before_the_work(
        self, acrank: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GITHUB_STEP_SUMMARY", "none/summary.md")
        got = acrank("check", "run.json", "--no-skipped")
        assert (got.code, got.out) == (2, "")
        assert "GITHUB_STEP_SUMMARY" in got.err

    def test_failed_gates_are_annotated_on_stderr(
        self, acrank: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        got = acrank("check", "run.json", "--no-skipped", "--no-warnings", "-f", "json")
        annotation, hint = got.err.splitlines()
        assert annotation == "::error title=acrank check%3A no_skipped::1 of 4 candidates skipped: d (no file)"
        assert hint.startswith("hint: `acrank zoo validate` says what skipped candidates lack")
        assert json.loads(got.out)["passed"] is False

    @pytest.mark.parametrize("value", ["false", ""])
    def test_nothing_is_annotated_elsewhere(
        self, acrank: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, value: str
    ) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", value)
        (hint,) = acrank("check", "run.json", "--no-skipped").err.splitlines()
        assert hint.startswith("hint: `acrank zoo validate` says what skipped candidates lack")
        assert acrank("check", "run.json", "--no-warnings").err == ""

    def test_a_hostile_name_starts_no_command(
        self, acrank: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("GITHUB_ACTIONS", "true")
        name = "x\n::stop-commands::t\r::add-mask::a%0A::set-env name=b::c ##[add-path]/tmp"
        run(**{name: 9.0, "a": 1.0}).save(Path("run.json"))
        got = acrank("check", "run.json", "--model", "a", "--top-k", "1")
        commands = [line for line in (got.out + got.err).splitlines() if line.lstrip().startswith("::")]
        assert [line.split("::")[1] for line in commands] == ["error title=acrank check%3A top_k"]
        assert "##[" not in got.out + got.err


def test_checking_needs_none_of_the_heavy_packages() -> None:
    heavy = ["torch", "timm", "pandas", "h5py", "scipy", "sklearn", "matplotlib"]
    code = (
        "import sys; from acrank.cli import main; code = main(['check', 'run.json', '--no-warnings', '-f', 'json']);"
        f"sys.exit(f'{{code}} ' + ' '.join(set({heavy}) & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)})
    assert done.stderr == "0 \n"


@pytest.mark.parametrize(
    ("words", "hint"),
    [
        (
            ["--model", "c", "--top-k", "1"],
            "hint: take a, or train the first few to see whether the difference lasts: score with --refine 3",
        ),
        (["--max-seconds", "1"], "hint: a busy machine is slower"),
        (["--truth", "truth.csv", "--min-tau", "0.9"], "hint: `acrank compare` shows every score against the truth"),
    ],
)
def test_a_failed_gate_says_what_to_do(acrank: Callable[..., Any], words: list[str], hint: str) -> None:
    Path("truth.csv").write_text("model,ground_truth\na,1\nb,2\nc,3\n")
    got = acrank("check", "run.json", *words)
    assert got.code == 1
    assert hint in got.err


def test_a_failed_gate_after_a_training_asks_for_a_longer_one(acrank: Callable[..., Any]) -> None:
    ranking = Ranking.load(Path("run.json"))
    for row, quality in zip(ranking.rows, (0.9, 0.5), strict=False):
        row.refined = Refined(metric="dice", quality=quality, low=quality - 0.1, high=quality + 0.1, rounds=1)
    joined(ranking).save(Path("run.json"))
    got = acrank("check", "run.json", "--model", "b", "--top-k", "1")
    assert got.code == 1
    assert "hint: take a, or see with a longer --refine-budget whether the difference lasts" in got.err
