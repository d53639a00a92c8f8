"""The commands, gathered. What a command does is in its own file."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer

from acrank import __version__
from acrank.cli.options import PanelCommand

#: In the order of `acrank --help`; each is a module beside this one, with a function of that name or with an `app`.
COMMANDS = ("score", "inspect", "demo", "compare", "report", "merge", "check", "finetune", "scores", "zoo", "cache")


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
            app.add_typer(module.app, name=name)
        else:
            app.command(name, cls=PanelCommand)(getattr(module, name))
    return app


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
