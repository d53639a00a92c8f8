"""The exception tree: exit codes as drawn in its docstring, message and hint."""

from __future__ import annotations

import inspect
import pickle
import re

import pytest

from acrank import errors

DRAWN = dict(re.findall(r"(\w+Error)\s+(\d)", errors.__doc__ or ""))
CLASSES = {
    name: kind for name, kind in inspect.getmembers(errors, inspect.isclass) if kind.__module__ == errors.__name__
}


def test_docstring_draws_every_error_with_its_exit_code() -> None:
    assert {name: str(kind.exit_code) for name, kind in CLASSES.items()} == DRAWN


@pytest.mark.parametrize("name", DRAWN)
def test_error_has_message_and_hint(name: str) -> None:
    error = CLASSES[name]("what, where", hint="what to do")
    assert (str(error), error.message, error.hint) == ("what, where", "what, where", "what to do")
    assert CLASSES[name]("what").hint is None
    assert isinstance(error, errors.AcrankError)


@pytest.mark.parametrize("name", DRAWN)
def test_error_crosses_process_borders(name: str) -> None:
    back = pickle.loads(pickle.dumps(CLASSES[name]("what", hint="do")))
    assert type(back) is CLASSES[name]
    assert (back.message, back.hint) == ("what", "do")
