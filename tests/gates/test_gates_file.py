"""gates.yaml: what is read, and that anything else is an error."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acrank.errors import GatesError
from acrank.gates import Gates, load_gates, parse_gates
from acrank.gates.gates_file import Within

EXAMPLE = """
top_k: {model: resnet50, k: 3}
leading_band: resnet50
refined_top_k: {model: resnet50, k: 2}
margin: {model: resnet50, within: 10%, score: logme}
same_best: {baseline: ../baseline.json, tolerance: exact}
weighted_tau: {truth: truth.csv, at_least: 0.4, method: ac-norm}
no_skipped: {allowed: [vgg16]}
no_warnings: true
time: {baseline: ../baseline.json, at_most: 1.5}
max_seconds: 60
classes: [benign, malignant]
images: {at_least: 10}
"""


def file(folder: Path, text: str) -> Path:
    (folder / "gates.yaml").write_text(text)
    return folder / "gates.yaml"


def test_every_gate_is_read_and_paths_are_relative_to_the_file(tmp_path: Path) -> None:
    gates = load_gates(file(tmp_path, EXAMPLE))
    assert gates.enabled() == [name for name in Gates.model_fields if name != "allow_partial"]
    assert gates.weighted_tau is not None
    assert gates.weighted_tau.truth == tmp_path / "truth.csv"
    assert gates.same_best is not None
    assert gates.same_best.baseline == tmp_path / "../baseline.json"


def test_an_absolute_path_stays(tmp_path: Path) -> None:
    gates = load_gates(file(tmp_path, "weighted_tau: {truth: /data/truth.csv, at_least: 0}"))
    assert gates.weighted_tau is not None
    assert gates.weighted_tau.truth == Path("/data/truth.csv")


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("topk: {model: a, k: 1}", "topk: is not known", "did you mean 'top_k'?"),
        ("top_k: {modle: a, k: 1}", "top_k.modle: is not known", "did you mean 'model'?"),
        ("top_k: {model: a, k: 1, zzz: 2}", "top_k.zzz: is not known", "known here: model, k"),
        ("top_k: {model: a}", "top_k.k: is missing", "add it, or give --top-k"),
        ("margin: {within: 1}", "margin.model: is missing", "add it, or give --model"),
        ("top_k: {model: 18, k: 1}", "top_k.model: must be text (quote it", None),
        ("top_k: {model: '', k: 1}", "top_k.model:", None),
        ("top_k: {model: a, k: 0}", "top_k.k: Input should be greater than or equal to 1", None),
        ("top_k: {model: a, k: '1'}", "top_k.k:", None),
        ("top_k: {model: a, k: true}", "top_k.k:", None),
        ("top_k: a", "top_k: must be a mapping of settings", None),
        ("margin: {model: a, within: -1}", "margin.within: must be a number, 10%, ", None),
        ("margin: {model: a, within: nan}", "margin.within: must be a number, 10%, ", None),
        ("margin: {model: a, within: 1e999999999}", "margin.within: must be a number, 10%, ", None),
        ("margin: {model: a, within: yes}", "margin.within: must be a number, 10%, ", None),
        ("margin: {model: a, within: a lot}", "margin.within: must be a number, 10%, ", None),
        ("same_best: {baseline: b.json, tolerance: loose}", "same_best.tolerance:", None),
        ("weighted_tau: {truth: t.csv, at_least: 1.1}", "weighted_tau.at_least:", None),
        ("weighted_tau: {truth: t.csv, at_least: .nan}", "weighted_tau.at_least:", None),
        ("time: {baseline: b.json, at_most: 0}", "time.at_most:", None),
        ("time: {baseline: 3, at_most: 1}", "time.baseline:", None),
        ("max_seconds: .inf", "max_seconds:", None),
        ("no_warnings: 1", "no_warnings:", None),
        ("no_skipped: [a]", "no_skipped:", None),
        ("top_k:", "top_k is empty", None),
        ("no_skipped: false", "no gate is asked for", None),
        ("", "asks for no gate", None),
        ("- top_k", "asks for no gate", None),
        ("1: 2", "gates.yaml", None),
        ("max_seconds: 1\nmax_seconds: 2", "gates.yaml:2: duplicate key 'max_seconds' (first on line 1)", "remove one"),
        ("top_k: {model: a, k: 1, k: 9}", "gates.yaml:1: duplicate key 'k' (first on line 1)", "remove one"),
        ("top_k: {model: a", "gates.yaml:1: not valid YAML: while parsing a flow mapping, expected ','", None),
        ("no_warnings: true\n---\nno_skipped: true", "a single document in the stream, but found another", None),
        ("max_seconds: *limit", "not valid YAML: found undefined alias 'limit'", None),
        ("top_k: !!python/object/apply:os.getcwd []", "not valid YAML", None),
        ("max_seconds: 2024-99-99", "not valid YAML", None),
        ("top_k: " + "[" * 5000, "not valid YAML", None),
        ("? [a, b]\n: 1", "not valid YAML", None),
    ],
)
def test_what_is_wrong_is_named_with_its_place(tmp_path: Path, text: str, said: str, hint: str | None) -> None:
    with pytest.raises(GatesError, match=re.escape(said)) as caught:
        load_gates(file(tmp_path, text))
    assert caught.value.exit_code == 2
    assert caught.value.hint
    assert hint is None or caught.value.hint == hint


def test_a_missing_file_and_one_that_is_not_text(tmp_path: Path) -> None:
    with pytest.raises(GatesError, match="cannot read"):
        load_gates(tmp_path / "none.yaml")
    (tmp_path / "gates.yaml").write_bytes(b"\xff\xfe\x00top_k")
    with pytest.raises(GatesError, match="is not UTF-8"):
        load_gates(tmp_path / "gates.yaml")


def test_false_switches_a_gate_off() -> None:
    assert parse_gates({"no_skipped": False, "no_warnings": False, "max_seconds": 1}).enabled() == ["max_seconds"]


_plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.dictionaries(st.sampled_from([*Gates.model_fields, "other"]), _plain))
def test_any_content_is_gates_or_a_gates_error(content: dict[str, Any]) -> None:
    with contextlib.suppress(GatesError):
        assert parse_gates(content).enabled()


@pytest.mark.parametrize(("given_", "shown"), [("10%", "10%"), ("2.50%", "2.5%"), (0.02, "0.02"), ("1e-3", "0.001")])
def test_a_margin_prints_as_it_was_given(given_: Any, shown: str) -> None:
    assert str(Within.parse(given_)) == shown
