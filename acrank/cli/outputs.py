"""Which files a command may write over: neither its own inputs nor what acrank did not write."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from acrank.errors import OutputError
from acrank.system.files import is_there

OverwriteOption = Annotated[
    bool,
    typer.Option(
        "--overwrite",
        help="Replace outputs that acrank did not write, histories, and records that rank more candidates.",
        rich_help_panel="Output",
    ),
]
_LOOKED_AT = 4096  # bytes: acrank's own files say at their beginning what they are
#: Titles of acrank's tables for people.
_TITLES = re.compile(
    r"by \w+ \((higher|lower) is better\)|Scores against ground truth|acrank check of |finetuned, mean over runs"
    r"|^(### )?(Earlier targets|Candidates of the history)$"
    r"|^\| *(rank|dataset|model|gate) *\|",
    re.MULTILINE,
)
#: How acrank's JSON, CSV and HTML files begin.
_OURS = {
    ".html": re.compile(r'<!DOCTYPE html>[^\0]*?<meta name="generator" content="acrank">'),
    ".json": re.compile(r'\{\s*"kind":\s*"acrank-'),
    ".csv": re.compile(
        r"\ufeff?(rank,band,model,status|dataset,model,method,seed|dataset,score|gate,result"
        r"|target,task,method,metric,|model,task,targets,share)"
    ),
}
#: Columns that only a history has to which `--append-history` added results, maybe of weeks.
_OF_HISTORY = {"protocol", "target", "weights"}


def check_replaceable(
    outputs: Iterable[Path], inputs: Iterable[Path | None], *, overwrite: bool = False, resume: bool = False
) -> None:
    """Hold outputs against what the command reads, and against what lies there.

    Args:
        outputs: paths that will be written.
        inputs: files that the command reads; None and those that are not there are passed over.
        overwrite: whether files that acrank did not write, and histories, may be replaced.
        resume: whether files that acrank did not write may be.

    Raises:
        OutputError: an output is an input, by whatever spelling or link, a JSON or CSV file of somebody else, or a
            history.
    """
    read = [path for path in inputs if path is not None and is_there(path)]
    for output in outputs:
        if not is_there(output):
            continue
        for path in read:
            if output.samefile(path):
                raise OutputError(f"output {output} is an input of this command: {path}", hint="name another -o")
        if overwrite:
            continue
        beginning = _beginning(output)
        if _is_history(output, beginning):
            raise OutputError(
                f"{output} is a history of earlier targets",
                hint="name another -o; --append-history adds to it, --overwrite replaces it",
            )
        if not resume and not _is_ours(output, beginning):
            raise OutputError(
                f"{output} is there and was not written by acrank", hint="name another -o, or give --overwrite"
            )


def partial_path(output: Path) -> Path:
    """Where an unfinished run is kept beside a better record.

    >>> partial_path(Path("out/run.json")).name
    'run.partial.json'
    """
    return output.with_suffix(f".partial{output.suffix}")


def written_of(outputs: Iterable[Path]) -> list[Path]:
    """Where a run was written: its outputs, or beside those that rank more."""
    return [beside if is_there(beside := partial_path(output)) else output for output in outputs]


def _beginning(path: Path) -> str:
    """How a file begins; empty where it is empty or no file."""
    if not is_there(path) or not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            return file.read(_LOOKED_AT).decode("utf-8", "replace")
    except OSError as error:
        raise OutputError(f"cannot read {path}: {error.strerror}", hint="name another -o") from error


def _is_history(path: Path, beginning: str) -> bool:
    header = beginning.lstrip("\ufeff").partition("\n")[0]
    return path.suffix.lower() == ".csv" and {*header.strip().split(",")} >= _OF_HISTORY


def _is_ours(path: Path, beginning: str) -> bool:
    """Whether acrank wrote a file: JSON and CSV by how they begin, tables for people by their title."""
    sign = _OURS.get(path.suffix.lower())
    return not beginning or (sign.match(beginning) if sign else _TITLES.search(beginning)) is not None
