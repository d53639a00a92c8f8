"""Which files a command may write over: neither its own inputs nor what acrank did not write."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from acrank.cli.own_files import OWN_TABLES, beginning_of, is_own
from acrank.errors import OutputError
from acrank.system.files import is_there

if TYPE_CHECKING:
    from acrank.zoo import Zoo

OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace outputs that acrank wrote as something else or not at all, histories, and better records.",
        rich_help_panel="Output",
    ),
]
#: Columns that only a history has to which `--append-history` added results, maybe of weeks.
_OF_HISTORY = {"protocol", "target", "weights"}


def check_replaceable(
    outputs: Iterable[Path],
    inputs: Iterable[Path | None],
    *,
    kinds: Sequence[str] = (),
    overwrite: bool = False,
    resume: bool = False,
) -> None:
    """Hold outputs against what the command reads, and against what lies there.

    Args:
        outputs: paths that will be written.
        inputs: files that the command reads, and folders; None is passed over.
        kinds: of OWN_TABLES, those that the command writes: files of these are replaced without being told to.
        overwrite: whether files that acrank did not write, or wrote as something else, and histories, may be replaced.
        resume: whether the former may be.

    Raises:
        OutputError: an output is an input, by whatever spelling or link, lies in a folder of inputs and is not of
            these kinds, is a file of somebody else or of another kind, a history, or no ordinary file.
    """
    named = [path for path in inputs if path is not None]
    read = [path for path in named if is_there(path)]
    for output in outputs:
        if not is_there(output):
            if output.absolute() in [path.absolute() for path in named]:  # such as a history that is begun
                raise OutputError(f"output {output} is read and written by this command", hint="name another -o")
            continue
        beginning = beginning_of(output)
        own = is_own(output, beginning, *kinds)
        for path in read:
            if output.samefile(path):
                raise OutputError(f"output {output} is an input of this command: {path}", hint="name another -o")
            if not own and path.is_dir() and output.resolve().is_relative_to(path.resolve()):
                raise OutputError(
                    f"output {output} lies in an input of this command, {path}, and is no output of an earlier one",
                    hint="name another -o",
                )
        if overwrite:
            continue
        if _is_history(output, beginning):
            raise OutputError(
                f"{output} is a history of earlier targets",
                hint="name another -o; --append-history adds to it, --overwrite replaces it",
            )
        if not resume and not own:
            what = " as an output of this command" if _wrote_at_all(output, beginning) else ""
            raise OutputError(
                f"{output} is there and was not written by acrank{what}", hint="name another -o, or give --overwrite"
            )


def check_spares_weights(outputs: Iterable[Path], zoo: Zoo, *, kinds: Sequence[str]) -> None:
    """Hold outputs against the weights of the candidates, which are known once the manifest is read.

    Raises:
        OutputError: an output is a candidate's file, or lies in a candidate's folder and is of none of these kinds.
    """
    weights = [one.weights_path or one.local_dir for one in zoo.candidates]
    check_replaceable(outputs, weights, kinds=kinds, overwrite=True)


def partial_path(output: Path) -> Path:
    """Where an unfinished run is kept beside a better record.

    >>> partial_path(Path("out/run.json")).name
    'run.partial.json'
    """
    return output.with_suffix(f".partial{output.suffix}")


def _is_history(path: Path, beginning: str) -> bool:
    header = beginning.lstrip("\ufeff").partition("\n")[0]
    return path.suffix.lower() == ".csv" and {*header.strip().split(",")} >= _OF_HISTORY


def _wrote_at_all(path: Path, beginning: str) -> bool:
    return is_own(path, beginning, *OWN_TABLES)
