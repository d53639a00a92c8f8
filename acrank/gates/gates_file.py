"""gates.yaml: every gate with its settings, and how the file is read; anything unknown is an error."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from acrank.errors import GatesError
from acrank.gates.margins import Within
from acrank.system.bounds import read_bounded
from acrank.system.words import closest
from acrank.system.yaml_reader import read_yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

_README = "see gates.yaml in docs/ci.md"


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)


_Name = Annotated[str, Field(min_length=1)]
_Path = Annotated[Path, Field(strict=False)]
_Within = Annotated[Within, BeforeValidator(Within.parse)]


class TopK(_Strict):
    """The model's rank is at most k."""

    model: _Name
    k: Annotated[int, Field(ge=1)]


class LeadingBand(_Strict):
    """The model is in the leading band: the sample cannot tell it from the first."""

    model: _Name


class RefinedTopK(_Strict):
    """After a short training (`score --refine`) the model is among the first k of those that were trained."""

    model: _Name
    k: Annotated[int, Field(ge=1)]


class Margin(_Strict):
    """The model's value lies within a margin of the best value of a score (default: the score that ranks the run)."""

    model: _Name
    within: _Within
    score: _Name | None = None


class SameBest(_Strict):
    """The best candidate of the baseline run is still the best ("exact"), or still in the leading band ("band")."""

    baseline: _Path
    tolerance: Literal["band", "exact"] = "band"


class WeightedTau(_Strict):
    """Weighted Kendall tau (SciPy's convention) between the score and the ground truth is at least `at_least`."""

    truth: _Path
    at_least: Annotated[float, Field(ge=-1, le=1)]
    score: _Name | None = None
    method: _Name | None = None
    dataset: _Name | None = None


class NoSkipped(_Strict):
    """No candidate was skipped, except the allowed ones."""

    allowed: list[_Name] = []


class Time(_Strict):
    """The median ratio of seconds now to seconds in the baseline run, over common candidates, is at most `at_most`."""

    baseline: _Path
    at_most: Annotated[float, Field(gt=0)]


class Images(_Strict):
    """The target has this many images, or a number of them within bounds."""

    at_least: Annotated[int, Field(ge=0)] | None = None
    at_most: Annotated[int, Field(ge=0)] | None = None

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if self.at_least is None and self.at_most is None:
            raise ValueError("give a number, or at_least, at_most or both")
        return self

    @property
    def condition(self) -> str:
        """The gate as a condition.

        >>> Images(at_least=3, at_most=3).condition, Images(at_least=3).condition
        ('3 images', '>= 3 images')
        """
        if self.at_least == self.at_most:
            return f"{self.at_least} images"
        bounds = {">=": self.at_least, "<=": self.at_most}
        return " and ".join(f"{sign} {bound}" for sign, bound in bounds.items() if bound is not None) + " images"


def _count(given: Any) -> Any:
    """A number means exactly that many, "100-200" a range; anything else is left to the schema."""
    found = re.fullmatch(r"(\d+)(?:\s*-\s*(\d+))?", str(given).strip())
    if isinstance(given, bool) or not found:
        return given
    return {"at_least": int(found[1]), "at_most": int(found[2] or found[1])}


def _named(given: Any) -> Any:
    """A name alone means the gate on that model; anything else is left to the schema."""
    return {"model": given} if isinstance(given, str) else given


def _switch(given: Any) -> Any:
    """`true` means the gate without exceptions, `false` no gate; anything else is left to the schema."""
    return (NoSkipped() if given else None) if isinstance(given, bool) else given


class Gates(_Strict):
    """The content of gates.yaml; a gate that is None or False is off.

    A run that was not finished fails, unless `allow_partial` is true.

    Example:
        >>> Gates(top_k=TopK(model="resnet50", k=3)).enabled()
        ['top_k']
    """

    top_k: TopK | None = None
    leading_band: Annotated[LeadingBand | None, BeforeValidator(_named)] = None
    refined_top_k: RefinedTopK | None = None
    margin: Margin | None = None
    same_best: SameBest | None = None
    weighted_tau: WeightedTau | None = None
    no_skipped: Annotated[NoSkipped | None, BeforeValidator(_switch)] = None
    no_warnings: bool = False
    time: Time | None = None
    max_seconds: Annotated[float, Field(gt=0)] | None = None
    classes: Annotated[list[_Name], Field(min_length=1)] | None = None
    images: Annotated[Images | None, BeforeValidator(_count)] = None
    allow_partial: bool = False

    def enabled(self) -> list[str]:
        """Names of the gates that are on, in the order of the fields."""
        return [name for name in _GATES if getattr(self, name) not in (None, False)]


_GATES = tuple(name for name in Gates.model_fields if name != "allow_partial")
_KNOWN = ", ".join(_GATES)
_PATHS = ("baseline", "truth")
#: Settings whose flag is not `--` and their name.
_FLAGS = {"k": "--top-k", "at_least": "--min-tau", "at_most": "--max-slowdown"}


def load_gates(path: str | os.PathLike[str]) -> Gates:
    """Read and check a gates file.

    Raises:
        GatesError: missing, not YAML, an unknown or duplicate key, a value out of range, or no gate at all.
    """
    return parse_gates(read_gates(Path(path)), where=str(path))


def read_gates(path: Path) -> dict[str, Any]:
    """The content of a gates file as plain data, with relative paths resolved against the file's folder.

    Raises:
        GatesError: missing, not YAML, not a mapping, or a key that is duplicate or empty.
    """
    document = read_yaml(read_bounded(path, GatesError))
    if document.problems:
        problem = document.problems[0]
        where = f"{path}:{problem.line}" if problem.line else str(path)
        raise GatesError(f"{where}: {problem}", hint=problem.hint or _README)
    content = document.data
    if not isinstance(content, dict) or not content:
        raise GatesError(f"{path} asks for no gate", hint=f"it must map gates to settings; gates: {_KNOWN}")
    for name, settings in content.items():
        if settings is None:
            raise GatesError(f"{path}: {name} is empty", hint="give its settings, or remove it")
    return {name: _with_paths_from(path.parent, settings) for name, settings in content.items()}


def parse_gates(content: Mapping[str, Any], *, where: str = "gates") -> Gates:
    """Gates from plain data.

    Raises:
        GatesError: an unknown key, a missing one, a value out of range, or no gate at all.

    Example:
        >>> parse_gates({"margin": {"model": "resnet50", "within": "10%"}}).margin.within.unit
        'best'
    """
    try:
        gates = Gates.model_validate(dict(content))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False)[:5]
        text = "; ".join(f"{'.'.join(map(str, item['loc']))}: {_message(item)}" for item in problems)
        raise GatesError(f"{where}: {text}", hint=_hint(problems)) from error
    if not gates.enabled():
        raise GatesError(f"{where}: no gate is asked for", hint=f"gates: {_KNOWN}")
    return gates


def _with_paths_from(folder: Path, settings: Any) -> Any:
    if not isinstance(settings, dict):
        return settings
    return {
        key: str(folder / value) if key in _PATHS and isinstance(value, str) and value else value
        for key, value in settings.items()
    }


def _message(problem: ErrorDetails) -> str:
    """pydantic's error in terms of a gates file."""
    messages = {
        "extra_forbidden": "is not known",
        "missing": "is missing",
        "model_type": "must be a mapping of settings",
        "string_type": "must be text (quote it if it looks like a number)",
    }
    return messages.get(problem["type"], problem["msg"].removeprefix("Value error, "))


def _hint(problems: list[ErrorDetails]) -> str:
    """For the first unknown key the nearest known ones, else how to give the first missing one."""
    unknown = next((item["loc"] for item in problems if item["type"] == "extra_forbidden"), None)
    if unknown is None:
        missing = next((str(item["loc"][-1]) for item in problems if item["type"] == "missing"), None)
        return f"add it, or give {_FLAGS.get(missing, f'--{missing}')}" if missing else _README
    gate = Gates.model_fields.get(str(unknown[0]))
    level: type[_Strict] = get_args(gate.annotation)[0] if gate else Gates  # every gate with settings is `X | None`
    known = list(level.model_fields)
    return closest(str(unknown[-1]), known, otherwise=f"known here: {', '.join(known)}")
