"""Completion as bash, zsh and fish ask for it: the words of the manifest and the run on the line, and no torch."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from test_architecture import HEAVY

from acrank.finetuning.methods import METHODS
from acrank.records import Ranking, Row, Value
from acrank.scores import SCORES

ZOO = """\
version: 1
models:
  - {id: net-a, source: resnet18.a1_in1k, tags: [medical]}
  - {id: "net b", source: resnet18.a1_in1k, tags: [small, "$(touch harm)"]}
  - {id: "$(touch harm)", source: resnet18.a1_in1k}
  - {id: other, source: resnet18.a1_in1k}
"""
ASK = """
import sys
from acrank.cli import main
code = main()
print(*sys.modules, file=sys.stderr)
sys.exit(code)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "zoo.yaml").write_text(ZOO)
    rows = [Row(name, "scored", scores={"s": Value(1.0)}) for name in ("ran-a", "ran-b")]
    Ranking.of(rows, rank_by="s", higher_is_better={"s": True}).save(tmp_path / "run.json")
    return tmp_path


def asked(folder: Path, line: str, *, shell: str = "bash") -> tuple[str, set[str]]:
    """What the program answers a shell for a line whose end is completed, and the modules that it loaded."""
    count = len(line.split(" ")) - 1
    protocol = {
        "bash": {"COMP_WORDS": line, "COMP_CWORD": str(count)},
        "zsh": {"_TYPER_COMPLETE_ARGS": line},
        "fish": {"_TYPER_COMPLETE_ARGS": line, "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    environment = os.environ | {"_ACRANK_COMPLETE": f"complete_{shell}", **protocol}
    done = subprocess.run(
        [sys.executable, "-c", ASK], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout, {name.partition(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("acrank score --zoo zoo.yaml --model net", ["net-a"]),  # what a shell would run is not offered
        ("acrank score --zoo zoo.yaml --model other,", ["other,net-a"]),
        ("acrank score --zoo zoo.yaml --tag ", ["medical", "small"]),
        ("acrank score --zoo nowhere.yaml --model ", []),
        ("acrank score --protocol o", ["one-step", "official"]),
        ("acrank score --scores log", [name for name in SCORES if name.startswith("log")]),
        ("acrank score --rank-by c", [name for name in [*SCORES, "consensus"] if name.startswith("c")]),
        ("acrank finetune --method ", [*METHODS]),
        ("acrank score -f m", ["markdown"]),
        ("acrank check run.json --model ", ["ran-a", "ran-b"]),
        ("acrank zoo l", ["list", "lock"]),
    ],
)
def test_bash_gets_the_words_and_nothing_heavy_is_loaded(folder: Path, line: str, expected: list[str]) -> None:
    answer, modules = asked(folder, line)
    assert answer.split() == expected
    assert modules.isdisjoint(HEAVY)


def test_zsh_and_fish_get_the_same_words(folder: Path) -> None:
    line = "acrank score --zoo zoo.yaml --tag "
    assert asked(folder, line, shell="fish")[0].split() == ["medical", "small"]
    assert asked(folder, line, shell="zsh")[0].split("((")[1].split("))")[0].split() == ['"medical"', '"small"']


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_bash_itself_completes(folder: Path) -> None:
    """The script of --show-completion, sourced; then bash's own call of its function."""
    code = "import sys; from acrank.cli import run; sys.argv[0] = 'acrank'; run()"
    (folder / "acrank").write_text(f'#!/bin/sh\nexec {sys.executable} -c "{code}" "$@"\n')
    (folder / "acrank").chmod(0o755)
    script = """
    export PATH="$PWD:$PATH"
    eval "$(_ACRANK_COMPLETE=source_bash acrank)"
    COMP_WORDS=(acrank score --zoo zoo.yaml --tag "") COMP_CWORD=5
    $(complete -p acrank | sed 's/.*-F \\([^ ]*\\) .*/\\1/') acrank "" --tag
    echo "${COMPREPLY[@]}"
    """
    done = subprocess.run(["bash", "--norc", "-c", script], cwd=folder, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["medical", "small"], done.stderr
    assert not (folder / "harm").exists()
