"""Completion in the shell: the words of closed sets, and ids and tags of the manifest, or models of the run, in use.

Loads neither torch nor pandas. What cannot be read completes to nothing: a shell shows no errors while one types.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import typer

from acrank.errors import AcrankError

Completer = Callable[[typer.Context, str], list[str]]

#: What a shell takes literally; a name with other characters is not offered, for it would be read as a command.
_HARMLESS = re.compile(r"[\w.+/@:,=-]+")
_DEFAULT_ZOO = Path("model_zoo.yaml")


def is_completing() -> bool:
    """Whether this process answers a shell that completes a line."""
    return "_ACRANK_COMPLETE" in os.environ


def line_in_hand() -> list[str]:
    """The words after `acrank` on the line that a shell completes: bash gives them otherwise than zsh and fish."""
    line = os.environ.get("COMP_WORDS") or os.environ.get("_TYPER_COMPLETE_ARGS", "")
    try:
        return shlex.split(line)[1:]
    except ValueError:  # a quotation that is still open
        return line.split()[1:]


def completer_of(flag: str, choices: Iterable[str] = ()) -> Completer | None:
    """What completes the values of an option; None where they are no closed set.

    Args:
        flag: such as "--model".
        choices: the words that the option allows, where it says.
    """
    if words := tuple(choices):
        return lambda ctx, incomplete: _matching(words, incomplete)
    found = _BY_FLAG.get(flag)
    return None if found is None else lambda ctx, incomplete: _last_of_list(found(ctx), incomplete)


def _last_of_list(words: Iterable[str], incomplete: str) -> list[str]:
    """The list so far with each word that its last one begins."""
    before, comma, last = incomplete.rpartition(",")
    known = {*before.split(",")}
    return [f"{before}{comma}{word}" for word in _matching(words, last) if word not in known]


def _matching(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete) and _HARMLESS.fullmatch(word)]


def _models(ctx: typer.Context) -> list[str]:
    """Models of the run that the line names, else of its manifest."""
    try:
        if ctx.info_name == "check":  # while its last option lacks a value, the run is among the words left over
            from acrank.records import Ranking

            run = ctx.params.get("run") or next(iter(ctx.args), "run.json")
            return [row.model for row in Ranking.load(Path(run)).rows]
        return [one.id for one in _candidates(ctx)]
    except AcrankError:
        return []


def _tags(ctx: typer.Context) -> list[str]:
    try:
        return sorted({tag for one in _candidates(ctx) for tag in one.tags})
    except AcrankError:
        return []


def _candidates(ctx: typer.Context) -> Iterable[Any]:
    from acrank.zoo.manifest import load_zoo

    return load_zoo(Path(ctx.params.get("zoo") or _DEFAULT_ZOO)).candidates


def _scores(ctx: typer.Context) -> list[str]:
    from acrank.scores import SCORES

    return [*SCORES]


def _methods(ctx: typer.Context) -> list[str]:
    from acrank.finetuning.methods import METHODS

    return [*METHODS]


_BY_FLAG: dict[str, Callable[[typer.Context], Iterable[str]]] = {
    "--model": _models,
    "--tag": _tags,
    "--scores": lambda ctx: [*_scores(ctx), "all"],
    "--rank-by": lambda ctx: [*_scores(ctx), "consensus"],
    **dict.fromkeys(("--score", "--versus", "--lower-is-better", "--higher-is-better"), _scores),
    "--method": _methods,
    "--device": lambda ctx: ("auto", "cpu", "cuda", "mps"),
}
