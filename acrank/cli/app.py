"""The commands, gathered. What a command does is in its own file."""

from __future__ import annotations

from typing import Annotated

import typer

from acrank import __version__
from acrank.cli import cache, check, compare, demo, finetune, merge, score, scores, zoo


def build() -> typer.Typer:
    """The Typer application with every command."""
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
    app.command("score")(score.score)
    app.command("demo")(demo.demo)
    app.command("compare")(compare.compare)
    app.command("merge")(merge.merge)
    app.command("check")(check.check)
    app.command("finetune")(finetune.finetune)
    app.command("scores")(scores.scores)
    app.add_typer(zoo.app, name="zoo")
    app.add_typer(cache.app, name="cache")
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
