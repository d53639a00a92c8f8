"""Manifests and gates that are made to hang, to fill the memory, or to fail inside."""

from __future__ import annotations

import resource
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from helpers.workbench import Outcome

from acrank.errors import CandidateError
from acrank.system.yaml_reader import MOST_YAML, read_yaml
from acrank.zoo import Candidate, load_candidate
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.tensor_names import renamed

Command = Callable[..., Outcome]


def levels(count: int, form: str) -> str:
    """Anchors, each of which means the one before nine times."""
    lines = [f"a0: &a0 {form.replace('*', 'x')}"]
    lines += [f"a{i}: &a{i} {form.replace('*', f'*a{i - 1}')}" for i in range(1, count)]
    return "\n".join(lines) + "\n"


BOMBS = {
    "aliases in lists": (levels(9, f"[{', '.join('*' * 9)}]"), "too many values once its aliases"),
    "aliases in mappings": (levels(9, "{a: *, b: *, c: *, d: *, e: *, f: *, g: *, h: *}"), "too many values"),
    "one long text many times": (
        f"a: &a {'x' * 1000}\nb: &b [{'*a, ' * 300}]\nc: [{'*b, ' * 300}]\n",
        "too many values",
    ),
    "merged keys": (
        "\n".join(
            ["a0: &a0 {k: 1}", *(f"a{i}: &a{i} {{<<: [*a{i - 1}, *a{i - 1}, *a{i - 1}]}}" for i in range(1, 22))]
        ),
        "too many values",
    ),
    "depth": ("a: " + "[" * 60 + "]" * 60, "nested too deep: more than 50 levels"),
    "more depth": ("a: " + "[" * 5000 + "]" * 5000, "nested too deep"),
    "a cycle": ("a: &a [*a]", "an alias means what it is a part of"),
    "!!bool": ("a: !!bool x", "a value is not what its tag or form says"),
    "!!timestamp": ("a: !!timestamp x", "a value is not what its tag or form says"),
    "!!int": ("a: !!int x", "a value is not what its tag or form says"),
    "!!float": ("a: !!float ''", "a value is not what its tag or form says"),
    "!!binary": ("a: !!binary é", "not valid YAML"),
    "a date": ("a: 2024-13-45", "a value is not what its tag or form says"),
    "a long number": (f"a: {'9' * 5000}", "a value is not what its tag or form says"),
    "a list as a key": ("? [a, b]\n: 1", "not valid YAML"),
    "python": ("a: !!python/object/apply:os.system [x]", "could not determine a constructor"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_bombs_are_one_problem_and_take_no_time(name: str) -> None:
    text, said = BOMBS[name]
    began = time.process_time()
    document = read_yaml(text)
    assert said in str(document.problems[0])
    assert document.data is None
    assert len(document.problems) == 1
    assert time.process_time() - began < 5


@pytest.mark.parametrize("name", BOMBS)
def test_manifests_and_gates_have_one_rule(tmp_path: Path, acrank: Command, name: str) -> None:
    text, said = BOMBS[name]
    (tmp_path / "bomb.yaml").write_text(text)
    (tmp_path / "run.json").write_text("{}")
    for words in (
        ("zoo", "validate", "--zoo", tmp_path / "bomb.yaml"),
        ("zoo", "list", "--zoo", tmp_path / "bomb.yaml"),
        ("check", tmp_path / "run.json", "--gates", tmp_path / "bomb.yaml"),
    ):
        done = acrank(*words)
        assert done.code == 2, done.err
        if words[0] == "zoo":
            assert said.split(":")[0] in done.err.replace("\n", " ")
        assert len(done.err) < 3000


def test_ordinary_aliases_still_work() -> None:
    assert read_yaml("a: &a {x: 1}\nb: [*a, *a]\nc: {<<: *a, y: 2}").data["c"] == {"x": 1, "y": 2}


def test_a_manifest_has_a_bound(tmp_path: Path, acrank: Command) -> None:
    (tmp_path / "zoo.yaml").write_bytes(b"#" * (MOST_YAML + 1))
    (tmp_path / "endless.yaml").symlink_to("/dev/zero")
    for name, said in {"zoo": "is larger than 8.0 MiB", "endless": "is a device, not a file"}.items():
        done = acrank("zoo", "validate", "--zoo", tmp_path / f"{name}.yaml")
        assert (done.code, said in done.err) == (2, True)


@pytest.mark.parametrize(
    ("entry", "said"),
    [
        ('architecture: resnet18, weights: "a\\0b"', "NUL character"),
        ('source: "local-dir:a\\0b"', "NUL character"),
        (f"architecture: resnet18, weights: {'a' * 300}", "more than 255 bytes"),
        (f"source: 'local-dir:{'é' * 200}'", "more than 255 bytes"),
        (f"architecture: resnet18, weights: {'a/' * 3000}b", "more than 2000 characters"),
        (f"source: 'local-dir:{'a/' * 3000}b'", "more than 2000 characters"),
        (f"architecture: resnet18, weights: w, {'k' * 900}: 1", "unknown key"),
        (f"architecture: resnet18, weights: w, license: [{'1,' * 100_000}]", "valid string"),
        (f"source: '{'x' * 200_000}'", "more than 255 bytes"),
    ],
)
def test_paths_that_no_file_has_and_huge_values_are_errors(
    tmp_path: Path, acrank: Command, entry: str, said: str
) -> None:
    (tmp_path / "zoo.yaml").write_text(f"version: 1\nmodels:\n  - {{id: m, {entry}}}\n")
    (tmp_path / "data").mkdir()
    done = acrank("zoo", "validate", "--zoo", tmp_path / "zoo.yaml")
    assert (done.code, said in done.err) == (2, True), done.err[:2000]
    assert len(done.err) < 13_000


NAMES = {f"{'a' * 40}.{i}.weight": i for i in range(3)}


@pytest.mark.parametrize("pattern", [r"(a+)+$", r"(a|a)*$", r"(a?){40}a{40}$", r"(\w*\w*)*!", r"(?:a{1,40}){1,40}$"])
def test_an_expression_cannot_hang(pattern: str) -> None:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(CandidateError, match=r"takes more than 2 seconds|no tensor's name matches"):
        renamed(NAMES, keep_prefix=None, strip_prefix=None, rename={pattern: ""})
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5


def test_an_expression_is_not_run_while_the_manifest_is_read() -> None:
    began = time.process_time()
    Candidate(id="m", source="a", rename={"(((a?){1000}){1000}){1000}": ""})
    assert time.process_time() - began < 2


def test_expressions_with_several_choices_do_what_they_say() -> None:
    rename = {r"^(?P<whole>a+)\.(\d+)\.(weight|bias)$": r"\g<whole>-\3-\2"}
    found = renamed(NAMES, keep_prefix=None, strip_prefix=None, rename=rename)
    assert found == {f"{'a' * 40}-weight-{i}": i for i in range(3)}


def test_a_replacement_cannot_fill_the_memory() -> None:
    with pytest.raises(CandidateError, match="makes names of more than 1000 characters"):
        renamed({"a" * 900: 1}, keep_prefix=None, strip_prefix=None, rename={r"^(\w+)": r"\1" * 300})
    with pytest.raises(ValueError, match="longer than 1000 characters"):
        Candidate(id="m", source="a", rename={"a" * 2000: ""})


def test_many_long_names_are_matched_within_the_bound_too() -> None:
    """A single repeat tries at most quadratically, which is much for many names: seconds for a thousand of them."""
    names = {f"{'a' * 900}.{i}": i for i in range(20_000)}
    with pytest.raises(CandidateError, match="takes more than 2 seconds"):
        renamed(names, keep_prefix=None, strip_prefix=None, rename={"a*!": ""})


def test_a_hanging_expression_skips_its_candidate(tmp_path: Path) -> None:
    model = import_timm().create_model("test_resnet")
    torch.save({**model.state_dict(), "a" * 60: torch.zeros(1)}, tmp_path / "w")
    rename = {r"^(a+)+$": "b"}
    candidate = Candidate(id="m", architecture="test_resnet", weights="w", rename={r"^(a+)+!$": "b"}, folder=tmp_path)
    with pytest.raises(CandidateError, match="takes more than 2 seconds"):
        load_candidate(candidate)
    assert load_candidate(candidate.model_copy(update={"rename": rename})).weights["left_over_names"] == ["b"]
