"""The gates.yaml of docs/ci.md, its workflow and pre-commit hook: they parse, and the commands in them run."""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.doc_pages import ROOT, block_with
from helpers.doc_pages import commands as shown

from acrank.gates import Gates, load_gates
from acrank.records import Ranking, Refined, Row, Value


def example(name: str) -> str:
    """The YAML block of docs/ci.md whose first line is `# <name>`."""
    return block_with(f"# {name}", "yaml", ROOT / "docs" / "ci.md")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository as in docs/ci.md: gates.yaml, a run, the committed baseline and a truth table."""
    monkeypatch.chdir(tmp_path)
    for name in ("GITHUB_ACTIONS", "GITHUB_STEP_SUMMARY", "ACRANK_GATES", "ACRANK_FORMAT"):
        monkeypatch.delenv(name, raising=False)
    Path("gates.yaml").write_text(example("gates.yaml"), encoding="utf-8")
    models = {"resnet50": 3.0, "densenet121": 2.95, "mobilenet_v2": 2.0, "vgg16_bn": 1.0}
    rows = [
        Row(
            name,
            "scored",
            scores={"finetunability": Value(v)},
            seconds=1.0,
            refined=Refined(metric="accuracy", quality=v / 4),
        )
        for name, v in models.items()
    ]
    target = {"classes": ["benign", "malignant", "normal"], "size": 780}
    ranking = Ranking.of(
        rows, rank_by="finetunability", higher_is_better={"finetunability": True}, target=target, complete=True
    )
    ranking.save(Path("run.json"))
    ranking.save(Path("baseline.json"))
    Path("truth.csv").write_text("model,ground_truth\n" + "".join(f"{m},{v}\n" for m, v in models.items()))
    return tmp_path


def commands(value: Any) -> list[list[str]]:
    """Every `acrank check …` in a YAML document, as words."""
    if isinstance(value, dict | list):
        items = value.values() if isinstance(value, dict) else value
        return [found for item in items for found in commands(item)]
    lines = str(value).splitlines() if isinstance(value, str) else []
    return [shlex.split(line) for line in lines if line.startswith("acrank check")]


def test_the_gates_example_shows_every_gate(project: Path) -> None:
    assert load_gates(project / "gates.yaml").enabled() == [
        name for name in Gates.model_fields if name != "allow_partial"
    ]


def test_the_gates_example_passes_on_such_a_run(project: Path, acrank: Callable[..., Any]) -> None:
    got = acrank("check", "run.json", "--gates", "gates.yaml")
    assert (got.code, got.err) == (0, "")


@pytest.mark.parametrize("name", [".github/workflows/checkpoint.yml", ".pre-commit-config.yaml"])
def test_the_commands_of_the_ci_examples_run(project: Path, acrank: Callable[..., Any], name: str) -> None:
    document = yaml.safe_load(example(name))
    found = commands(document)
    assert found
    for words in found:
        assert acrank(*words[1:]).code == 0


def test_the_command_lines_of_the_page_pass_on_such_a_run(project: Path, acrank: Callable[..., Any]) -> None:
    lines = [line for page, line in shown() if page.name == "ci.md"]
    assert len(lines) >= 3
    for line in lines:
        assert acrank(*shlex.split(line)[1:]).code == 0, line
