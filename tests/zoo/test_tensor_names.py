"""Renaming of tensors."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acrank.errors import CandidateError
from acrank.zoo.tensor_names import likely_prefix, renamed

NAMES = st.from_regex(r"[a-c]{1,3}(\.[a-c]{1,3}){0,3}", fullmatch=True)


def plain(names: dict[str, int], **options: object) -> dict[str, int]:
    settings = {"keep_prefix": None, "strip_prefix": None, "rename": {}} | options
    return renamed(names, **settings)  # type: ignore[arg-type]


@given(st.dictionaries(NAMES, st.integers(), min_size=1))
def test_stripping_undoes_prefixing(names: dict[str, int]) -> None:
    prefixed = {f"module.{name}": value for name, value in names.items()}
    assert plain(prefixed, strip_prefix="module.") == names
    assert plain({**prefixed, "other.x": 1}, keep_prefix="module.", strip_prefix="module.") == names


def test_substitutions_run_in_order() -> None:
    assert plain({"a.w": 1}, rename={"^a": "b", "^b": "c"}) == {"c.w": 1}
    assert plain({"b.a": 1}, rename={"^b": "c", "a$": "z"}) == {"c.z": 1}


@pytest.mark.parametrize("options", [{"keep_prefix": "x."}, {"strip_prefix": "x."}, {"rename": {"^x": "y"}}])
def test_what_touches_nothing_is_an_error(options: dict[str, object]) -> None:
    with pytest.raises(CandidateError, match="no tensor's name") as caught:
        plain({"a.w": 1}, **options)
    assert "a.w" in (caught.value.hint or "")


def test_two_tensors_of_one_name_are_an_error() -> None:
    with pytest.raises(CandidateError, match=r"'m\.a' and 'a' would both be called 'a'"):
        plain({"m.a": 1, "a": 2}, strip_prefix="m.")


def test_the_likely_prefix_needs_matching_shapes() -> None:
    assert likely_prefix({"m.q.a": (1,), "m.q.b": (2,), "m.k.a": (9,)}, {"a": (1,), "b": (2,)}) == ("m.q.", 2)
    assert likely_prefix({"m.a": (1,)}, {"a": (2,)}) == (None, 0)
    assert likely_prefix({}, {"a": (2,)}) == (None, 0)
    assert likely_prefix({"m.a": (1,)}, {"a": (1,), "b": (2,)}) == (None, 0)  # not most of them
