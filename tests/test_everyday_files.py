"""The files for other tools: the GitHub action, hooks, containers, citation, forms and the man page."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.workbench import make_images
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

import acrank
import acrank.demo
from acrank.cli.app import _commands, build

ROOT = Path(acrank.__file__).parents[1]
ACTION: dict[str, Any] = yaml.safe_load((ROOT / "action.yml").read_text())
FORMS = sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml"))
RECORD = "acrank-results/run.json"


def run_step(step: dict[str, Any], inputs: dict[str, str], folder: Path, **more: str) -> tuple[int, str, str]:
    """Exit code, what it said, and outputs of a step, with its expressions replaced as GitHub's runner does."""
    known = {name: given.get("default", "") for name, given in ACTION["inputs"].items()} | inputs

    def value(text: str) -> str:
        text = re.sub(r"\$\{\{ inputs\.(\w+) \}\}", lambda found: known[found[1]], text)
        return text.replace("${{ github.action_path }}", str(ROOT))

    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / "acrank").write_text(f'#!/bin/sh\nexec {sys.executable} -m acrank "$@"\n')
    (folder / "bin" / "acrank").chmod(0o755)
    (folder / "outputs").touch()
    own = {name: value(text) for name, text in step["env"].items()}
    places = {"PATH": f"{folder / 'bin'}:{os.environ['PATH']}", "GITHUB_OUTPUT": str(folder / "outputs")}
    environment = os.environ | own | places | {"PYTHONPATH": str(ROOT)} | more
    words = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]]  # as GitHub runs `shell: bash`
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr, (folder / "outputs").read_text()


def test_no_step_of_the_action_puts_an_expression_into_its_script() -> None:
    """An input within the script would be run as code by whoever names a branch."""
    for step in ACTION["runs"]["steps"]:
        assert "${{" not in step["run"]
        assert set(re.findall(r"inputs\.(\w+)", str(step["env"]))) <= {*ACTION["inputs"]}
    used = {name for step in ACTION["runs"]["steps"] for name in re.findall(r"inputs\.(\w+)", str(step["env"]))}
    assert used == {*ACTION["inputs"]}


@pytest.mark.slow
def test_the_steps_of_the_action_rank_and_check(tmp_path: Path) -> None:
    (tmp_path / "my set").mkdir()
    make_images(tmp_path / "my set")
    (tmp_path / "gates.yaml").write_text("no_skipped: true\nmax_seconds: 0.000001\n")
    _, rank, check = ACTION["runs"]["steps"]
    inputs = {"zoo": str(acrank.demo.zoo_path()), "data": "my set"}
    options = "--model resnet-shapes,resnet-fundus-lesions --samples 12 --repeats 1 --no-cache"
    code, said, outputs = run_step(rank, inputs | {"options": options}, tmp_path)
    assert code == 0, said
    assert outputs == f"record={RECORD}\n"
    shutil.copy(tmp_path / RECORD, tmp_path / "old.json")
    given = inputs | {"gates": "gates.yaml", "baseline": "old.json"}
    code, said, outputs = run_step(check, given, tmp_path)
    assert code == 1, said  # a gate fails: so does the job
    assert outputs.endswith("comment=acrank-results/comment.md\n")
    comment = (tmp_path / "acrank-results" / "comment.md").read_text()
    assert "FAILED" in comment
    assert comment.count("| same |") == 2
    assert (tmp_path / "acrank-results" / "junit.xml").is_file()
    assert run_step(check, inputs, tmp_path)[0] == 0  # neither gates nor a baseline: nothing to check


def test_the_install_step_installs_this_checkout(tmp_path: Path) -> None:
    quick = {"PIP_NO_DEPS": "1", "PIP_TARGET": str(tmp_path / "site"), "PIP_NO_BUILD_ISOLATION": "0"}
    path = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    code, said, _ = run_step(ACTION["runs"]["steps"][0], {"extras": "volumes"}, tmp_path, **quick, **path)
    assert code == 0, said
    assert (tmp_path / "site" / "acrank" / "__init__.py").is_file()


def test_hooks_name_commands_that_exist() -> None:
    names = {" ".join(["acrank", *words]) for words in _names()}
    for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text()):
        assert hook["entry"] in names
        assert re.search(hook["files"], "run.json") or re.search(hook["files"], "sub/model_zoo.yaml")


def _names() -> list[list[str]]:
    import typer

    root: Any = typer.main.get_command(build())
    found = []
    for name, command in root.commands.items():
        found += [[name, inner] for inner in getattr(command, "commands", {})] or [[name]]
    return found


@pytest.mark.parametrize("path", sorted((ROOT / "docker").iterdir()), ids=lambda path: path.name)
def test_containers_are_linted_and_copy_what_is_there(path: Path) -> None:
    for sources in re.findall(r"^COPY (.*) \S+$", path.read_text(), re.MULTILINE):
        assert all((ROOT / source).exists() for source in sources.split())
    pins = (ROOT / ".ci" / "constraints.txt").read_text().split()
    assert all(pin in path.read_text() for pin in pins if pin.startswith("torch"))
    linter = shutil.which("hadolint", path=f"{Path(sys.executable).parent}:{os.environ['PATH']}")
    if linter is None:
        pytest.skip("hadolint is not here")
    done = subprocess.run([linter, str(path)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("path", sorted((ROOT / "docker").iterdir()), ids=lambda path: path.name)
def test_containers_install_what_pyproject_offers(path: Path) -> None:
    """Extras that exist, on a Python that is allowed, with torch and torchvision before them and nothing else."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = path.read_text().replace("\\\n", " ")
    (extras,) = re.findall(r"^ARG EXTRAS=(.*)$", lines, re.MULTILINE)
    assert {*extras.split(",")} < {*project["optional-dependencies"]} - {"dev"}
    (python,) = re.findall(r"^FROM python:([\d.]+)", lines, re.MULTILINE)
    assert SpecifierSet(project["requires-python"]).contains(python)
    (run,) = re.findall(r"^RUN (.*)$", lines, re.MULTILINE)
    installs = [shlex.split(part.partition("pip install")[2]) for part in run.split("&&") if "pip install" in part]
    named = [[Requirement(word) for word in words if re.match(r"\w", word)] for words in installs]
    assert [[one.name for one in words] for words in named] == [["torch", "torchvision"], []]
    assert installs[1][-1] == ".[$EXTRAS]"
    needed = [Requirement(line) for line in project["dependencies"]]
    (least,) = (one.specifier for one in needed if one.name == "torch")
    (pin,) = named[0][0].specifier
    assert least.contains(pin.version)


def test_the_citation_has_the_version() -> None:
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == acrank.__version__


@pytest.mark.parametrize(
    "path", sorted((ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml")), ids=lambda path: path.name
)
def test_issue_forms_have_what_github_asks_for(path: Path) -> None:
    form = yaml.safe_load(path.read_text())
    if path.name == "config.yml":
        assert isinstance(form["blank_issues_enabled"], bool)
        return
    assert {"name", "description", "body"} <= {*form}
    ids = [part["id"] for part in form["body"]]
    assert len(ids) == len(set(ids))
    assert all(
        part["type"] in ("textarea", "input", "dropdown") and part["attributes"]["label"] for part in form["body"]
    )


def test_the_man_page_has_every_command_and_option(tmp_path: Path) -> None:
    page = subprocess.run([sys.executable, ROOT / ".ci" / "man.py"], capture_output=True, text=True, check=True).stdout
    plain = page.replace("\\-", "-")
    assert [words for words in _names() if f'"acrank {" ".join(words)}"' not in plain] == []
    flags = {flag for command in _commands(build()) for param in command.params for flag in param.opts}
    assert [flag for flag in sorted(flags) if flag.startswith("--") and flag not in plain] == []
    if shutil.which("groff"):
        words = ["groff", "-man", "-ww", "-Wbreak", "-Tutf8", "-Kutf8"]
        done = subprocess.run(words, input=page, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        assert "EXIT STATUS" in re.sub(".\x08", "", done.stdout)  # letters struck twice are bold
