"""Options from acrank.toml or pyproject.toml: below flags and variables, every key known, and never trust."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path

import pytest
from helpers.locked_folder import locked
from helpers.workbench import Outcome, make_images, make_zoo

import acrank as package
from acrank.cli.app import COMMANDS, GROUPS, _commands, build
from acrank.cli.configuration import find_configuration, may_be_set
from acrank.records import Ranking

Run = Callable[..., Outcome]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "project" / "deep").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "project" / "deep")
    monkeypatch.delenv("ACRANK_CONFIG", raising=False)
    return tmp_path / "project"


def test_flag_over_variable_over_file_over_default(home: Path, acrank: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    make_zoo(home, count=2)
    make_images(home / "set")
    (home / "acrank.toml").write_text(
        'zoo = "zoo.yaml"\ndata = "set"\nseed = 5\nrace = false\nno-cache = true\n'
        '[score]\nsamples = 12\nrepeats = 1\nscores = ["ac_corr", "knn"]\nstep_size = 0.2\n'
    )
    monkeypatch.setenv("ACRANK_SEED", "6")
    monkeypatch.setenv("ACRANK_STEP_SIZE", "0.3")
    found = acrank("score", "--allow-code", "--step-size", 0.4, "-o", "run.json")
    assert found.code == 0, found.err
    assert f"options from {home / 'acrank.toml'}: data, no_cache, race, repeats, samples, scores, seed" in found.err
    settings = Ranking.load(Path("run.json")).settings
    assert (settings["step_size"], settings["seed"], settings["samples"], settings["race"]) == (0.4, 6, 12, False)
    assert {"ac_corr", "knn"} <= {*settings["scores"]}
    assert settings["head"] == "ridge"  # neither says: the protocol does


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("sampels = 3", "unknown key 'sampels'", "did you mean 'samples'"),
        ("[score]\nreps = 3", "unknown key 'reps' in the table 'score'", ""),
        ("[scoer]\nseed = 3", "no command 'scoer' takes options from a file", "did you mean 'score'"),
        ("[cache]\nformat = 'json'", "no command 'cache'", ""),
        ("output = 'x.csv'", "unknown key 'output'", ""),
        ("samples = true", "'samples' must be text or a number, not True", ""),
        ("samples = [3]", "'samples' must be text or a number", ""),
        ("race = 'no'", "'race' must be true or false, not 'no'", ""),
        ("samples = 1.5", "--samples", ""),
        ("device = 2026-01-01", "'device' must be text or a number", ""),
        ("head = 'rigde'", "unknown --head 'rigde'", "ridge"),
        ("a = ", "is not TOML", ""),
        ("samples = " + "9" * 5000, "is not TOML: Exceeds the limit", ""),
        ("allow-code = true", "'allow-code' cannot be set in a file", "give --allow-code, or set ACRANK_ALLOW_CODE"),
        ("[score]\nallow_download = true", "'allow_download' cannot be set in a file", "--allow-download"),
        ("allow-outside = false", "cannot be set in a file", ""),
        ("ray-address = 'host:1'", "cannot be set in a file", ""),
    ],
)
def test_what_a_file_may_not_say_is_an_error(home: Path, acrank: Run, text: str, said: str, hint: str) -> None:
    (home / "acrank.toml").write_text(text)
    found = acrank("score", "--data", home, "--zoo", "zoo.yaml")
    assert found.code == 2
    assert said in found.err
    assert hint in found.err


@pytest.mark.parametrize("text", ["tool = 'acrank'", "[[tool]]\nacrank = 1", "tool = []  # acrank"])
def test_a_project_file_of_another_shape_says_nothing(home: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    (home / "pyproject.toml").write_text(text)
    assert find_configuration(home) is None
    monkeypatch.setenv("ACRANK_CONFIG", str(home / "pyproject.toml"))
    found = find_configuration(home)
    assert found is not None
    assert found.keys_of("score") == {}


def test_no_option_that_opens_a_door_may_be_set() -> None:
    names = {param.opts[-1][2:] for command in _commands(build()) for param in command.params}
    doors = {name for name in names if name.startswith("allow")} | {"ray-address"}
    assert len(doors) > 3
    assert not any(may_be_set(name) for name in doors)


def test_where_a_file_is_found(home: Path, acrank: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    here = home / "deep"
    assert find_configuration(here) is None
    (home.parent / "acrank.toml").write_text("seed = 1")
    (home / "pyproject.toml").write_text("[project]\nname = 'acrank'\n")
    assert find_configuration(here).path == home.parent / "acrank.toml"
    (home / "pyproject.toml").write_text("[tool.acrank]\nseed = 2\n[tool.acrank.score]\nsamples = 9\n")
    found = find_configuration(here)
    assert (found.path.name, found.keys_of("score"), found.keys_of("compare")) == (
        "pyproject.toml",
        {"seed": 2, "samples": 9},
        {"seed": 2},
    )
    (home / "acrank.toml").write_text("")
    assert "has both" in acrank("score", "--data", "x").err
    (home / "acrank.toml").unlink()
    (here / ".git").mkdir()
    assert find_configuration(here) is None  # another repository's file is not ours
    monkeypatch.setenv("ACRANK_CONFIG", str(home / "pyproject.toml"))
    assert find_configuration(here).path == home / "pyproject.toml"
    monkeypatch.setenv("ACRANK_CONFIG", "none")
    assert find_configuration(home) is None


def test_a_broken_file_hinders_no_help(home: Path, acrank: Run) -> None:
    (home / "acrank.toml").write_text("nonsense = 1")
    assert acrank("score", "--help").code == 0
    assert acrank("--version").code == 0
    assert acrank("zoo", "list").code == 2


def test_groups_are_the_commands_with_commands() -> None:
    groups = {name for name in COMMANDS if hasattr(import_module(f"acrank.cli.{name}"), "app")}
    assert groups == {*GROUPS}


def test_the_example_of_the_documentation_is_valid(home: Path, acrank: Run) -> None:
    text = (Path(package.__file__).parents[1] / "docs" / "tools.md").read_text()
    (home / "acrank.toml").write_text(text.split("```toml\n")[1].split("```")[0])
    found = acrank("score", "--data", "nowhere")
    assert "options from" in found.err
    assert "cannot read nowhere" in found.err


def test_folders_that_may_not_be_entered_have_no_configuration(home: Path) -> None:
    """As for a user in a folder of their own below somebody else's."""
    (home / "acrank.toml").write_text("seed = 5")
    with locked(home):
        assert find_configuration(home / "deep") is None
