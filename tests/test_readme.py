"""What the README says twice is compared with the program."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import acrank
from acrank.cli.app import build
from acrank.gates import load_gates
from acrank.scores import SCORES
from acrank.zoo import load_zoo

ROOT = Path(acrank.__file__).parents[1]
README = (ROOT / "README.md").read_text()


def block_after(marker: str, language: str) -> str:
    """The first fenced block of a language after a marker."""
    rest = README[README.index(marker) :]
    return rest.split(f"```{language}\n", 1)[1].split("```", 1)[0]


def test_the_help_is_the_programs() -> None:
    environment = {"PATH": "", "COLUMNS": "100", "TERM": "dumb", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "acrank", "--help"], capture_output=True, text=True, check=True, env=environment
    )
    assert block_after("## Commands", "text").strip() == done.stdout.strip()


def test_every_command_and_score_is_mentioned() -> None:
    app = build()
    names = [command.name for command in app.registered_commands] + [group.name for group in app.registered_groups]
    assert [name for name in names if f"acrank {name}" not in README] == []
    assert [name for name in SCORES if f"`{name}`" not in README] == []


def test_the_manifest_example_is_valid(tmp_path: Path) -> None:
    import textwrap

    text = textwrap.dedent(block_after("1. List them in a manifest", "yaml")).replace("5c3f…", "5c3f" * 16)
    (tmp_path / "zoo.yaml").write_text(text)
    assert [one.id for one in load_zoo(tmp_path / "zoo.yaml").candidates] == ["imagenet", "mobilenet", "moco", "ours"]


def test_the_gates_example_is_valid(tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text(block_after("acrank check run.json --gates gates.yaml -o junit.xml", "yaml"))
    assert load_gates(tmp_path / "gates.yaml")


@pytest.mark.parametrize(
    "path", [line.split("](")[1].split(")")[0] for line in README.splitlines() if "](bench" in line]
)
def test_links_lead_somewhere(path: str) -> None:
    assert (ROOT / path).exists()
