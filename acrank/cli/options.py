"""Options of the commands: those of a settings class built from its fields, and those that several commands share."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

import typer
from typer.core import TyperCommand

from acrank.cli.completion import completer_of
from acrank.cli.console import quietly, set_progress, set_quiet, set_verbosity, stdout_for_data
from acrank.errors import UsageError
from acrank.system.option_fields import MOST_SEED, Opt, options_of
from acrank.system.words import words_of

if TYPE_CHECKING:
    from acrank.zoo import Zoo

#: The panels of `--help`, in their order; options without one stand under "Options".
PANELS = ("What to score", "Data", "Output", "Splits", "Training", "How to run", "Protocol in detail")


class Format(StrEnum):
    """The formats of stdout; FORMATS holds their renderers."""

    table = "table"
    json = "json"
    csv = "csv"
    markdown = "markdown"


FormatOption = Annotated[
    Format,
    typer.Option("-f", "--format", envvar="ACRANK_FORMAT", help="Format of stdout.", rich_help_panel="Output"),
]
OutputOption = Annotated[
    list[Path] | None,
    typer.Option(
        "-o",
        "--output",
        help="Also write to PATH: .json, .csv, .md or .txt. Repeatable.",
        metavar="PATH",
        rich_help_panel="Output",
    ),
]
SeedOption = Annotated[
    int, typer.Option("--seed", envvar="ACRANK_SEED", min=0, max=MOST_SEED, help="Seed of everything random.")
]
VerboseOption = Annotated[
    int,
    typer.Option(
        "-v",
        "--verbose",
        count=True,
        callback=set_verbosity,
        help="Say more; -vv shows tracebacks.",
        rich_help_panel="Output",
    ),
]
QuietOption = Annotated[
    bool,
    typer.Option(
        "-q",
        "--quiet",
        envvar="ACRANK_QUIET",
        callback=set_quiet,
        help="Nothing on stderr but errors.",
        rich_help_panel="Output",
    ),
]
NoProgressOption = Annotated[
    bool,
    typer.Option(
        "--no-progress",
        envvar="ACRANK_NO_PROGRESS",
        callback=set_progress,
        help="Neither a bar nor lines of progress.",
        rich_help_panel="Output",
    ),
]
ZooOption = Annotated[
    Path, typer.Option("--zoo", envvar="ACRANK_ZOO", help="Manifest of candidate checkpoints (YAML).", metavar="FILE")
]
NoCacheOption = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        envvar="ACRANK_NO_CACHE",
        help="Neither read nor write the cache of observations.",
        rich_help_panel="How to run",
    ),
]
DataOption = Annotated[
    Path,
    typer.Option(
        "--data",
        envvar="ACRANK_DATA",
        metavar="PATH",
        help="Target: class folders, .npz, .h5, a CSV of paths; images/ and masks/; volumes with dataset.json.",
        rich_help_panel="Data",
    ),
]


@dataclass(frozen=True, kw_only=True)
class ZooOptions:
    """Which candidates of which manifest."""

    PANEL: ClassVar = "What to score"

    zoo: Annotated[Path, Opt(help="Manifest of candidate checkpoints (YAML).", metavar="FILE")] = Path("model_zoo.yaml")
    models: Annotated[
        tuple[str, ...],
        Opt(help="Only these ids or patterns of the manifest.", flag="--model", metavar="ID,…"),
    ] = ()
    tags: Annotated[
        tuple[str, ...],
        Opt(help="Only candidates with one of these tags.", flag="--tag", metavar="TAG,…"),
    ] = ()
    locked: Annotated[bool, Opt(help="Refuse candidates that differ from the lock file of `acrank zoo lock`.")] = False

    def load(self) -> Zoo:
        """The chosen candidates.

        Raises:
            ManifestError, UsageError: the manifest is not valid, differs from its lock, or none is chosen.
        """
        from acrank.zoo import load_zoo

        chosen = load_zoo(self.zoo).select(self.models, self.tags)
        if not self.locked:
            return chosen
        from acrank.zoo.locking import locked_zoo

        return locked_zoo(chosen)


class DataCommand(TyperCommand):
    """A command that keeps stdout for its data."""

    def invoke(self, ctx: Any) -> Any:
        """Run the command; what libraries print goes to stderr, and nowhere with -q."""
        with quietly(), stdout_for_data():
            return super().invoke(ctx)


class PanelCommand(DataCommand):
    """A command whose help lists its options by panel, as plain text."""

    def format_options(self, ctx: Any, formatter: Any) -> None:
        """Write the options, a section for each panel."""
        sections: dict[str, list[tuple[str, str]]] = {panel: [] for panel in (*PANELS, "Options")}
        for param in self.get_params(ctx):
            if record := param.get_help_record(ctx):
                panel = getattr(param, "rich_help_panel", None)
                sections[panel if panel in sections else "Options"].append(record)
        for panel, records in sections.items():
            if records:
                with formatter.section(panel):
                    formatter.write_dl(records)


def with_settings(function: Callable[..., None] | None = None, *, without: Collection[str] = ()) -> Callable[..., Any]:
    """Give a command the options of the settings classes among its parameters, and hand it the built instances.

    Typer reads a command's options from its signature and annotations, so the wrapper gets both: the command's own
    parameters, and one for every field that carries an `Opt`. With `functools.wraps`, Typer would follow `__wrapped__`
    to the command itself, show the options and lose their values.

    Args:
        function: the command.
        without: fields that are no options of this command; they keep their defaults.
    """
    if function is None:
        return functools.partial(with_settings, without=without)
    hints = typing.get_type_hints(function, include_extras=True)
    own = inspect.signature(function).parameters
    groups = {name: hints[name] for name in own if dataclasses.is_dataclass(hints[name])}
    parameters = [
        own[name].replace(annotation=hints[name], kind=inspect.Parameter.KEYWORD_ONLY)
        for name in own
        if name not in groups
    ]
    options = {
        name: [option for option in options_of(kind) if option[0].name not in without] for name, kind in groups.items()
    }
    parameters += [_parameter(*option) for found in options.values() for option in found]

    def command(**given: Any) -> None:
        for name, kind in groups.items():
            given[name] = kind(
                **{
                    field.name: _value(given.pop(field.name), hint, option.flag_of(field.name))
                    for field, hint, option in options[name]
                }
            )
        function(**given)

    _sign(command, function, parameters)
    return command


def with_silence(function: Callable[..., None]) -> Callable[..., None]:
    """The command with -q and --no-progress, which every command has; their callbacks remember them."""
    if hasattr(function, "has_silence"):
        return function
    hints = typing.get_type_hints(function, include_extras=True)
    more = {"quiet": QuietOption, "no_progress": NoProgressOption}
    parameters = [
        *(one.replace(annotation=hints[name]) for name, one in inspect.signature(function).parameters.items()),
        *(
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=False, annotation=more[name])
            for name in more
        ),
    ]

    def command(**given: Any) -> None:
        function(**{name: value for name, value in given.items() if name not in more})

    _sign(command, function, parameters)
    command.has_silence = True  # type: ignore[attr-defined]
    return command


def _sign(command: Callable[..., None], function: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    """Give a wrapper the name of a function and the parameters that Typer shall see."""
    command.__name__, command.__doc__, command.__module__ = function.__name__, function.__doc__, function.__module__
    command.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]


def _parameter(field: dataclasses.Field[Any], hint: Any, option: Opt) -> inspect.Parameter:
    """One field as Typer wants it."""
    is_list = _element_of(hint) is not None
    if is_list:
        plain: Any = (list[Path] if _element_of(hint) is Path else list[str]) | None
    else:  # the settings class holds values against choices and bounds, whoever makes it
        plain = str | None if option.choices else hint
    flag = option.flag or option.flag_of(field.name)
    about = typer.Option(
        flag,
        help=option.help,
        metavar=option.metavar or ("|".join(option.choices) or None),
        envvar=f"ACRANK_{option.flag_of(field.name)[2:].replace('-', '_').upper()}" if option.variable else None,
        rich_help_panel=option.panel or None,
        autocompletion=completer_of(option.flag_of(field.name), option.choices),
    )
    default = inspect.Parameter.empty if field.default is dataclasses.MISSING else field.default
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=None if is_list else default,
        annotation=Annotated[plain, about],
    )


def _value(given: Any, hint: Any, flag: str) -> Any:
    """What Typer gives for a field, as the field's type: a list as a tuple, nothing as None or ()."""
    element = _element_of(hint)
    if element is None:
        return given
    if not given:
        return None if _is_optional(hint) else ()
    if element is Path:
        return tuple(given)
    try:
        return tuple(element(word) for word in words_of(given))
    except ValueError as error:
        raise UsageError(
            f"{flag} needs numbers, got {', '.join(given)}", hint="separate numbers by commas: 0.1,0.03"
        ) from error


def _element_of(hint: Any) -> Any:
    """The type of a tuple's elements, of an optional tuple too; None for any other type."""
    if _is_optional(hint):
        hint = next(part for part in typing.get_args(hint) if part is not types.NoneType)
    return typing.get_args(hint)[0] if typing.get_origin(hint) is tuple else None


def _is_optional(hint: Any) -> bool:
    return types.NoneType in typing.get_args(hint)
