"""House rules that the package's source is held to: arguments by keyword, sizes, places and names."""

from __future__ import annotations

from pathlib import Path

import pytest
from package_source import Package, components, function_lines, levels

import acrank
from acrank.cli.app import COMMANDS

POSITIONAL = 3
FILE_LINES = 300
FUNCTION_LINES = 60
LOOSE = ["__init__.py", "__main__.py", "errors.py", "settings.py"]


@pytest.fixture(scope="module")
def package() -> Package:
    return Package(Path(acrank.__file__).parent)


def test_arguments_past_the_third_are_keywords(package: Package) -> None:
    found = [
        f"{file.path}:{call.lineno}: {name} has {len(call.args)} positional arguments"
        for file, call, name in package.positional_calls(more_than=POSITIONAL)
    ]
    assert found == []


def test_files_are_short(package: Package) -> None:
    found = {file.path.as_posix(): file.lines for file in package.files if file.lines > FILE_LINES}
    assert found == {}


def test_functions_are_short(package: Package) -> None:
    found = [
        f"{file.path}:{function.lineno}: {function.name} has {function_lines(function)} lines without its docstring"
        for file in package.files
        for function in file.functions
        if function_lines(function) > FUNCTION_LINES
    ]
    assert found == []


def test_few_files_lie_loose(package: Package) -> None:
    assert package.loose == LOOSE


def test_a_public_name_has_one_definition(package: Package) -> None:
    assert package.public_names_defined_twice() == {}


def test_a_file_name_stands_for_one_file(package: Package) -> None:
    assert package.shared_basenames(exempt=[f"cli/{name}.py" for name in COMMANDS]) == {}


MADE = {
    "__init__.py": "from made.one.thing import Thing as Passed",
    "one/__init__.py": "",
    "one/thing.py": '''\
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from made.two import thing


# a comment
@dataclass
class Thing:
    """A docstring."""

    a: int

    def method(self, a: int, b: int, c: int, d: int) -> None:
        self.method(1, 2, 3, 4)  # type: ignore

    @classmethod
    def of(cls) -> "Thing":
        return cls(1, 2, 3, 4)

def twice() -> None: ...
''',
    "two/__init__.py": "",
    "two/thing.py": '''\
import made.one.thing
from .. import Passed as Other
from made.one import thing
from ..one.thing import Thing

def twice():
    """Of
    two lines."""
    Other(1, 2, 3, 4)
    Thing.of(1, 2, 3, 4)
    thing.Thing(1, 2, 3, 4)
    Thing(1, 2, 3, d=4)
    print(1, 2, 3, 4)
''',
}


@pytest.fixture
def made(tmp_path: Path) -> Package:
    for name, text in MADE.items():
        (tmp_path / "made" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "made" / name).write_text(text)
    return Package(tmp_path / "made")


def test_the_rules_see_violations(made: Package) -> None:
    calls = [(file.path.as_posix(), call.lineno, name) for file, call, name in made.positional_calls()]
    assert calls == [
        ("one/thing.py", 16, "self.method"),
        ("one/thing.py", 20, "cls"),
        ("two/thing.py", 9, "Other"),
        ("two/thing.py", 10, "Thing.of"),
        ("two/thing.py", 11, "thing.Thing"),
    ]
    assert made.public_names_defined_twice() == {"twice": ["one/thing.py", "two/thing.py"]}
    assert made.shared_basenames() == {"thing.py": ["one/thing.py", "two/thing.py"]}
    assert made.shared_basenames(exempt=["two/thing.py"]) == {}
    assert made.loose == ["__init__.py"]
    one, two = made.modules["made.one.thing"], made.modules["made.two.thing"]
    assert (one.lines, one.code_lines, one.comments) == (22, 13, 1)
    assert [function_lines(function) for function in two.functions] == [6]


def test_arrows_circles_and_levels(made: Package) -> None:
    assert made.rooms == ["__init__", "one", "two"]
    at_runtime = {("__init__", "one"), ("two", "one"), ("two", "__init__")}
    assert made.arrows(typing=False) == at_runtime
    assert made.arrows() == at_runtime | {("one", "two")}
    assert levels(made.rooms, at_runtime) == 3
    assert levels(made.rooms, made.arrows()) == 1
    assert components(made.rooms, made.arrows()) == [frozenset(made.rooms)]
