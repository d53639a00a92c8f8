"""The commands, gathered. What a command does is in its own file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from acrank import __version__
from acrank.cli.commands import PanelCommand
from acrank.cli.completion import is_completing
from acrank.cli.configuration import VARIABLE, check_tables, defaults_of, find_configuration
from acrank.cli.console import say, warn
from acrank.cli.options import with_silence
from acrank.system.words import closest

#: In the order of `acrank --help`; each is a module beside this one, with a function of that name or with an `app`.
COMMANDS = (
    "score",
    "inspect",
    "demo",
    "compare",
    "report",
    "merge",
    "check",
    "finetune",
    "history",
    "scores",
    "zoo",
    "cache",
    "env",
)


#: Those of several commands, such as `acrank zoo list`.
GROUPS = ("zoo", "cache")
#: Variables that are read though no option has them.
READ_ELSEWHERE = frozenset({"ACRANK_CACHE", VARIABLE})


def build(words: Sequence[str] = ()) -> typer.Typer:
    """The Typer application: of the one command that `words` begin with, else of every command.

    The others are not loaded: their options alone take longer than listing a zoo.
    """
    app = typer.Typer(
        name="acrank",
        help="Rank pretrained checkpoints for your own images, in seconds.",
        no_args_is_help=True,
        add_completion=True,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    )
    app.callback()(_root)
    for name in words[:1] if words and words[0] in COMMANDS else COMMANDS:
        module = import_module(f"acrank.cli.{name}")
        if hasattr(module, "app"):
            for command in module.app.registered_commands:
                command.callback = with_silence(command.callback)
            app.add_typer(module.app, name=name)
        else:
            app.command(name, cls=PanelCommand)(with_silence(getattr(module, name)))
    return app


def defaults_for(words: Sequence[str]) -> dict[str, Any]:
    """What the configuration file in use says for the command that `words` begin with, as Click's map of defaults.

    Help and completion take none. What is used is said on stderr.

    Raises:
        UsageError: the file is not valid.
    """
    if not words or words[0] not in COMMANDS or {"-h", "--help"} & {*words} or is_completing():
        return {}
    found = find_configuration(Path.cwd())
    if found is None:
        return {}
    check_tables(found, {name: None for name in COMMANDS if name not in GROUPS})
    name, inner = words[0], words[1] if len(words) > 1 else ""
    own = _command(build(words), name)
    command = getattr(own, "commands", {name: own}).get(inner if name in GROUPS else name)
    if command is None:  # no such command, or help: Typer says so
        return {}
    everywhere = [param for one in _commands(build()) for param in one.params] if found.shared else []
    values = defaults_of(found, name, params=command.params, everywhere=everywhere)
    if values:
        say(f"options from {found.path}: {', '.join(sorted(values))}")
    return {name: {inner: values} if name in GROUPS else values}


def warn_of_variables(words: Sequence[str], variables: Iterable[str]) -> None:
    """Say which ACRANK_* variables nothing reads, such as mistyped ones.

    Args:
        words: of the command line; of a command's help, and where words are completed, nothing is said.
        variables: names of those that are set.
    """
    odd = {name for name in variables if name.startswith("ACRANK_")} - READ_ELSEWHERE
    if not odd or not words or words[0] not in COMMANDS or {"-h", "--help"} & {*words} or is_completing():
        return
    known = {*READ_ELSEWHERE}
    for gathered in (words[:1], ()):  # every command's options take a moment to load, and are seldom needed
        commands = _commands(build(gathered))
        known |= {str(param.envvar) for one in commands for param in one.params if param.envvar}
        if odd <= known:
            return
    for name in sorted(odd - known):
        hint = closest(name, known, "`acrank COMMAND --help` names those that are read")
        warn(f"nothing reads the variable {name}; {hint}")


def _command(app: typer.Typer, name: str) -> Any:
    return typer.main.get_command(app).commands[name]  # type: ignore[attr-defined]


def _commands(app: typer.Typer) -> Iterator[Any]:
    """Every command that can be run, those of groups too."""
    for command in typer.main.get_command(app).commands.values():  # type: ignore[attr-defined]
        yield from getattr(command, "commands", {"": command}).values()


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"acrank {__version__}")
        raise typer.Exit


def _root(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Rank pretrained checkpoints for your own images, in seconds."""
