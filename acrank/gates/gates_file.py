"""gates.yaml: which gates there are, what each needs, and how the file is read. Nothing unknown is let through."""

from __future__ import annotations

import difflib
import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from acrank.errors import GatesError


@dataclass(frozen=True)
class Within:
    """A margin: absolute in the score's own unit, or relative to the magnitude of the best value.

    >>> Within.parse("10%"), Within.parse(0.5)
    (Within(amount=Decimal('0.1'), relative=True), Within(amount=Decimal('0.5'), relative=False))
    """

    amount: Decimal
    relative: bool

    @classmethod
    def parse(cls, given: Any) -> Within:
        """From a number, or text such as "0.02" or "10%".

        Raises:
            ValueError: neither, negative or not finite.
        """
        if isinstance(given, Within):
            return given
        text = str(given).strip()
        try:
            amount = Decimal(text.removesuffix("%"))
        except InvalidOperation:
            amount = Decimal("NaN")
        if isinstance(given, bool) or not math.isfinite(amount) or amount < 0:
            raise ValueError("must be a number or a percentage such as 10%, and not negative")
        return cls(amount / 100, True) if text.endswith("%") else cls(amount, False)

    def of(self, best: Decimal) -> Decimal:
        """How far a value may lie from `best`, in the score's unit."""
        return self.amount * abs(best) if self.relative else self.amount

    def __str__(self) -> str:
        return f"{float(self.amount * 100):g}%" if self.relative else f"{float(self.amount):g}"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


_Name = Annotated[str, Field(min_length=1)]
_Path = Annotated[Path, Field(strict=False)]
_Within = Annotated[Within, BeforeValidator(Within.parse)]


class TopK(_Strict):
    """The model's rank is at most k."""

    model: _Name
    k: Annotated[int, Field(ge=1)]


class Margin(_Strict):
    """The model's value lies within a margin of the best value of the score (default: the ranking one)."""

    model: _Name
    within: _Within
    score: _Name | None = None


class SameBest(_Strict):
    """The best candidate of the baseline run is still the best ("exact"), or in the leading band ("band")."""

    baseline: _Path
    tolerance: Literal["band", "exact"] = "band"


class WeightedTau(_Strict):
    """Weighted Kendall tau (SciPy's convention) of the score against the ground truth is at least x."""

    truth: _Path
    at_least: Annotated[float, Field(ge=-1, le=1)]
    score: _Name | None = None
    method: _Name | None = None
    dataset: _Name | None = None


class NoSkipped(_Strict):
    """No candidate was skipped, save the allowed ones."""

    allowed: list[_Name] = []


class Time(_Strict):
    """The median, over common candidates, of seconds now over seconds in the baseline run is at most x."""

    baseline: _Path
    at_most: Annotated[float, Field(gt=0)]


def _switch(given: Any) -> Any:
    """`no_skipped: true` is short for the gate without exceptions, `false` for no gate."""
    return {True: NoSkipped(), False: None}[given] if isinstance(given, bool) else given


class Gates(_Strict):
    """What gates.yaml says; a gate that is None was not asked for.

    Example:
        >>> Gates(top_k=TopK(model="resnet50", k=3)).asked()
        ['top_k']
    """

    top_k: TopK | None = None
    margin: Margin | None = None
    same_best: SameBest | None = None
    weighted_tau: WeightedTau | None = None
    no_skipped: Annotated[NoSkipped | None, BeforeValidator(_switch)] = None
    no_warnings: bool = False
    time: Time | None = None
    max_seconds: Annotated[float, Field(gt=0)] | None = None

    def asked(self) -> list[str]:
        """Names of the gates that were asked for, in the order of the fields."""
        return [name for name in type(self).model_fields if getattr(self, name) not in (None, False)]


_SETTINGS: dict[str, type[_Strict]] = {
    "top_k": TopK,
    "margin": Margin,
    "same_best": SameBest,
    "weighted_tau": WeightedTau,
    "no_skipped": NoSkipped,
    "time": Time,
}
_PATHS = ("baseline", "truth")
#: Settings whose flag is not simply their name.
_FLAGS = {"k": "--top-k", "at_least": "--min-tau", "at_most": "--max-slowdown"}


def load_gates(path: Path) -> Gates:
    """Read and check a gates file.

    Raises:
        GatesError: missing, not YAML, an unknown or repeated key, a value out of range, or no gate at all.
    """
    return parse_gates(read_gates(path), where=str(path))


def read_gates(path: Path) -> dict[str, Any]:
    """The content of a gates file as plain data, its relative paths resolved against the file's folder.

    Raises:
        GatesError: missing, not YAML, not a mapping, or a key given twice or left empty.
    """
    try:
        content = yaml.load(path.read_text(encoding="utf-8"), _UniqueKeys)  # a SafeLoader
    except OSError as error:
        raise GatesError(f"cannot read {path}: {error.strerror}", hint="check the path") from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise GatesError(f"{path} is not valid YAML: {error}", hint="see gates.yaml in the README") from error
    if not isinstance(content, dict) or not content:
        raise GatesError(f"{path} asks for no gate", hint=f"it must map gates to settings; gates: {_known()}")
    for name, settings in content.items():
        if settings is None:
            raise GatesError(f"{path}: {name} is empty", hint="give its settings, or remove it")
    return {name: _resolved(settings, path.parent) for name, settings in content.items()}


def parse_gates(content: Mapping[str, Any], *, where: str = "gates") -> Gates:
    """Plain data as Gates.

    Raises:
        GatesError: an unknown key, a missing one, a value out of range, or no gate at all.

    Example:
        >>> parse_gates({"margin": {"model": "resnet50", "within": "10%"}}).margin.within.relative
        True
    """
    try:
        gates = Gates.model_validate(dict(content))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)[:5]
        text = "; ".join(f"{_place(item['loc'])}: {_said(item)}" for item in problems)
        raise GatesError(f"{where}: {text}", hint=_hint(problems)) from error
    if not gates.asked():
        raise GatesError(f"{where}: no gate is asked for", hint=f"gates: {_known()}")
    return gates


class _UniqueKeys(yaml.SafeLoader):
    """YAML's safe loader, which also refuses a key given twice instead of keeping the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        repeated = next((key for key in keys if keys.count(key) > 1), None)
        if repeated is not None:
            raise yaml.constructor.ConstructorError(None, None, f"the key {repeated!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)


def _resolved(settings: Any, folder: Path) -> Any:
    if not isinstance(settings, dict):
        return settings
    return {
        key: str(folder / value) if key in _PATHS and isinstance(value, str) and value else value
        for key, value in settings.items()
    }


def _known() -> str:
    return ", ".join(Gates.model_fields)


def _place(loc: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in loc)


def _said(problem: Any) -> str:
    """pydantic's finding in the words of a gates file."""
    kinds = {
        "extra_forbidden": "is not known",
        "missing": "is missing",
        "model_type": "must be a mapping of settings",
        "string_type": "must be text (quote it if it looks like a number)",
    }
    return kinds.get(problem["type"], problem["msg"].removeprefix("Value error, "))


def _hint(problems: list[Any]) -> str:
    """Names the close match of the first unknown key, or what may stand there, or what to add."""
    unknown = next((item["loc"] for item in problems if item["type"] == "extra_forbidden"), None)
    if unknown is None:
        missing = next((item["loc"][-1] for item in problems if item["type"] == "missing"), None)
        return f"add it, or give {_FLAGS.get(missing, f'--{missing}')}" if missing else "see gates.yaml in the README"
    level: type[_Strict] = Gates if len(unknown) == 1 else _SETTINGS[str(unknown[0])]
    close = difflib.get_close_matches(str(unknown[-1]), level.model_fields, n=1)
    return f"did you mean {close[0]!r}?" if close else f"known here: {', '.join(level.model_fields)}"
