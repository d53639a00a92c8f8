"""Declared options: choices and bounds are held, and unknown words get a suggestion."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import pytest

from acrank.errors import UsageError
from acrank.system.option_fields import Opt, check_options, options_of


@dataclass(frozen=True, kw_only=True)
class Dish:
    PANEL = "Kitchen"

    fruit: Annotated[str, Opt(help="A fruit.", choices=("apple", "pear"))] = "apple"
    spices: Annotated[tuple[str, ...], Opt(help="Spices.", flag="--spice", choices=("salt", "cumin"))] = ()
    grams: Annotated[float | None, Opt(help="Weight.", least=1, panel="Scales")] = None
    hidden: int = 0

    def __post_init__(self) -> None:
        check_options(self)


def test_an_option_is_a_field_with_its_declaration() -> None:
    found = {field.name: (hint, option.flag_of(field.name), option.panel) for field, hint, option in options_of(Dish)}
    assert found == {
        "fruit": (str, "--fruit", "Kitchen"),
        "spices": (tuple[str, ...], "--spice", "Kitchen"),
        "grams": (float | None, "--grams", "Scales"),
    }


@pytest.mark.parametrize(
    ("given", "message", "hint"),
    [
        ({"fruit": "aple"}, "unknown --fruit 'aple'", "did you mean 'apple'? (--fruit apple|pear)"),
        ({"fruit": "x"}, "unknown --fruit 'x'", "choose one of apple, pear"),
        ({"spices": ("salt", "cumen")}, "unknown --spice 'cumen'", "did you mean 'cumin'? (--spice salt|cumin)"),
        ({"grams": 0.5}, "--grams is 0.5", "it must be at least 1"),
        ({"grams": float("nan")}, "--grams is nan", "it must be at least 1"),
    ],
)
def test_what_is_not_allowed_is_refused(given: dict[str, object], message: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        Dish(**given)  # type: ignore[arg-type]
    assert (caught.value.message, caught.value.hint) == (message, hint)


def test_what_is_allowed_passes() -> None:
    assert Dish(fruit="pear", spices=("salt",), grams=1).hidden == 0
    assert Dish(fruit="").grams is None
