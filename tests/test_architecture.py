"""Who may import whom, and what must stay light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import acrank

PACKAGE = Path(acrank.__file__).parent
#: room or root file -> what of acrank it may import (itself and `errors` always), from the lowest to the highest.
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "system": set(),
    "norm": set(),
    "executors": {"system"},
    "demo": {"system"},
    "records": {"system"},
    "scores": {"norm", "records", "system"},
    "targets": {"system"},
    "zoo": {"system"},
    "settings": {"scores", "system"},
    "formats": {"records", "system"},
    "cache": {"records", "scores", "settings", "system", "targets", "zoo"},
    "observation": {
        *("norm", "records", "scores", "settings", "system", "targets", "zoo"),
        *("demo",),  # the generators of the bundled images
    },
    "history": {"comparison", "finetuning", "formats", "records", "system"},
    "ranking": {
        *("cache", "executors", "history", "observation", "records", "scores", "settings", "system", "targets", "zoo"),
        *("demo",),  # the example in the docstring of `score`
    },
    "finetuning": {
        *("cache", "formats", "norm", "observation", "system", "targets", "zoo"),
        *("demo",),  # the example in the docstring of `finetune`
    },
    "refining": {
        *("cache", "executors", "finetuning", "ranking", "records", "settings", "system", "targets", "zoo"),
        *("demo",),  # the example in the docstring of `refine`
    },
    "comparison": {"formats", "records", "scores", "system"},
    "report": {"comparison", "formats", "records", "system"},
    "gates": {"comparison", "formats", "records", "system"},
}
HEAVY = ("torch", "timm", "pandas", "h5py", "scipy", "sklearn", "matplotlib")


def imports_of(path: Path) -> set[str]:
    """First level below acrank of every module that a file imports."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "acrank":
            parts = node.module.split(".")[1:]
            found.update([parts[0]] if parts else [alias.name for alias in node.names])
        elif isinstance(node, ast.Import):
            found.update(alias.name.split(".")[1] for alias in node.names if alias.name.startswith("acrank."))
    return found


def home_of(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def violations(table: dict[str, set[str]]) -> list[str]:
    out = []
    for path in sorted(PACKAGE.rglob("*.py")):
        home = home_of(path)
        if home in ("__init__", "__main__", "cli"):
            continue
        wrong = imports_of(path) - table[home] - {home, "errors"}
        out += [f"{path.relative_to(PACKAGE)} imports {name}" for name in sorted(wrong)]
    return out


def test_imports_point_one_way() -> None:
    assert violations(ALLOWED) == []


def test_the_walk_sees_a_violation() -> None:
    assert "records/run.py imports system" in violations({**ALLOWED, "records": set()})


def test_nobody_imports_the_command_line() -> None:
    assert [
        path for path in PACKAGE.rglob("*.py") if home_of(path) not in ("cli", "__main__") and "cli" in imports_of(path)
    ] == []


def loaded_after(code: str) -> set[str]:
    script = f"import sys\n{code}\nprint(*sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in result.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize(
    "code",
    [
        "import acrank",
        "from acrank.cli import main; main(['--help'])",
        "from acrank.cli import main; main(['score', '--help'])",
        "from acrank.cli import main; main(['finetune', '--help'])",
        "from acrank.cli import main; main(['zoo', 'list', '--zoo', {zoo!r}])",
    ],
)
def test_stays_light(code: str) -> None:
    loaded = loaded_after(code.replace("{zoo!r}", repr(str(PACKAGE / "demo" / "model_zoo.yaml"))))
    assert loaded.isdisjoint(HEAVY)


def test_the_light_test_can_fail() -> None:
    assert "torch" in loaded_after("import acrank; acrank.layer_ac_corr")


def test_public_names_exist() -> None:
    assert all(getattr(acrank, name) is not None for name in acrank.__all__)


def test_only_the_command_line_prints_and_exits() -> None:
    for path in PACKAGE.rglob("*.py"):
        calls = {
            node.func.id
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert home_of(path) in ("cli", "__main__") or "print" not in calls, path


def test_version_is_the_top_of_the_changelog() -> None:
    changelog = PACKAGE.parent / "CHANGELOG.md"
    headings = [line for line in changelog.read_text().splitlines() if line.startswith("## [")]
    first = next(line for line in headings if line != "## [Unreleased]")
    assert first.startswith(f"## [{acrank.__version__}]")
