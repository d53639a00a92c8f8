"""Whether a case passes, from how its command ended and what it left."""

from __future__ import annotations

import hashlib
import json
import os
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz.case import Case
from fuzz.odd import HOSTILE
from fuzz.written import faults_of_file

DOCUMENTED = (0, 1, 2, 3, 130)
SECONDS = 20.0
MEMORY = 2 * 2**30
TALK = 2**20
_RUNNER = re.compile(r"^\s*(::|##\[|##vso\[)", re.MULTILINE)
_MACHINE = ("json", "csv")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended.

    Attributes:
        code: exit code; negative for a signal.
        seconds: of wall time.
        memory: bytes, resident at most, beyond what the server had.
        orphans: processes that outlived it.
        out, err: what it said.
        events: requests to the network and programs started.
        before: the watched file just before a signal; None where none was sent, or there was no file.
    """

    code: int
    timed_out: bool
    seconds: float
    cpu: float
    memory: int
    orphans: int
    out: bytes
    err: bytes
    events: str
    before: bytes | None = None


def faults_of(case: Case, ended: Ended, digests: Mapping[str, str]) -> list[str]:
    """Everything that is wrong, as sentences; none where the case passes.

    Args:
        digests: of the files that must be kept, before the command; see `digests_of`.
    """
    return [
        *_of_the_process(case, ended),
        *_of_the_talk(case, ended),
        *_of_the_files(case, digests),
        *_of_ranks(case, ended),
        *_of_what_was_written(case, ended),
    ]


def digests_of(case: Case) -> dict[str, str]:
    """SHA-256 of each file that must be kept, or "missing"."""
    return {name: _digest(case.folder / name) for name in case.kept}


def _of_the_process(case: Case, ended: Ended) -> Iterator[str]:
    if ended.timed_out:
        yield f"hangs: killed after {ended.seconds:.0f} s, {ended.cpu:.0f} of them at work"
    elif ended.code < 0:
        yield f"crashes: signal {-ended.code}"
    elif ended.code not in DOCUMENTED:
        yield f"exit code {ended.code}: {_last_line(ended.err)}"
    if ended.memory > MEMORY:
        yield f"takes {ended.memory / 2**30:.1f} GiB"
    if ended.orphans:
        yield f"leaves {ended.orphans} processes"
    if ended.events and not case.network:
        yield f"reaches out: {ended.events.splitlines()[0]}"


def _of_the_talk(case: Case, ended: Ended) -> Iterator[str]:
    if b"Traceback (most recent call last)" in ended.err:
        yield f"traceback: {_last_line(ended.err)}"
    machine = _format(case) in _MACHINE
    if case.terminal:
        yield from _of_the_terminal(ended.out)
        return
    for name, raw in (("stdout", ended.out), ("stderr", ended.err)):
        if len(raw) > TALK:
            yield f"{len(raw)} bytes on {name}"
        text = raw.decode("utf-8", "surrogateescape")
        if found := sorted({one for one in set(text) if _is_raw(one, machine and name == "stdout")}):
            yield f"raw {', '.join(map(ascii, found))} on {name}"
        if found_command := _RUNNER.search(text):
            yield f"a command to a CI runner on {name}: {text[found_command.start() :][:60]!r}"
        if case.secret and case.secret in text:
            yield f"the secret is on {name}"
    if ended.code in (2, 3) and not ended.timed_out and b"error: " not in ended.err and b"Usage" not in ended.err:
        yield f"exit code {ended.code} without an error line"


def _of_the_terminal(raw: bytes) -> Iterator[str]:
    """Colours and cursors are acrank's own there; what a generator has put into names must not arrive as it is."""
    text = raw.decode("utf-8", "surrogateescape").replace("\r\n", "\n")
    for one in HOSTILE:
        if one in text and any(_is_raw(character, False) for character in one):
            yield f"raw {one!a} on the terminal"
    if found := re.search(r"\x1b\][^\x07\x1b]*", text):
        yield f"raw {found[0]!a} on the terminal"


def _of_the_files(case: Case, digests: Mapping[str, str]) -> Iterator[str]:
    for name, before in digests.items():
        if _digest(case.folder / name) != before:
            yield f"{name} is changed or gone"
    if (case.folder / "PWNED").exists():
        yield "foreign code ran"
    if case.secret:
        for path in _outputs(case):
            if case.secret.encode() in path.read_bytes():
                yield f"the secret is in {path.name}"


def _of_ranks(case: Case, ended: Ended) -> Iterator[str]:
    if case.sound and ended.code:
        yield f"a sound input ends with {ended.code}: {_last_line(ended.err)}"
    if case.nonsense and ended.code == 0:
        yield "nonsense is accepted"
    for path in _outputs(case):
        for row in _rows(path):
            model, value = str(row.get("model")), _value(row, path)
            if model in case.unranked and row.get("rank") is not None:
                yield f"{model} is ranked in {path.name}"
            wanted = case.values.get(model)
            if wanted is not None and value is not None and abs(value - wanted) > 1e-4:
                yield f"{model} has {value:g} in {path.name}, not {wanted:g}"


def _of_what_was_written(case: Case, ended: Ended) -> Iterator[str]:
    """Outputs of a command that succeeded; others may be inputs that it refused."""
    if ended.code == 0:
        for path in _outputs(case):
            if str(path.relative_to(case.folder)) in case.written or path.suffix == ".html":
                yield from faults_of_file(path, case.unlisted)


def _outputs(case: Case) -> list[Path]:
    """Files that the command may have written: those given by -o, and the usual ones."""
    words = case.argv
    named = [words[i + 1] for i, word in enumerate(words[:-1]) if word in ("-o", "--output")]
    names = dict.fromkeys([*named, *case.written, "run.json", "scores.csv", "truth.csv", "report.html"])
    found = [case.folder / name for name in names if "\0" not in name and len(os.fsencode(name)) < 255]
    return [path for path in found if path.is_file() and str(path.relative_to(case.folder)) not in case.kept]


def _rows(path: Path) -> list[dict[str, Any]]:
    if path.suffix != ".json":
        return []
    try:
        rows = json.loads(path.read_bytes())["rows"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return []
    return [row for row in rows if isinstance(row, dict)] if isinstance(rows, list) else []


def _value(row: dict[str, Any], path: Path) -> float | None:
    """The ranking score of a row; None where the record, which may be a hostile input, has no such number."""
    try:
        value = row["scores"][json.loads(path.read_bytes())["settings"]["rank_by"]]["value"]
    except (KeyError, TypeError):
        return None
    return value if isinstance(value, float) else None


def _is_raw(one: str, machine: bool) -> bool:
    """Whether a character may steer a terminal; in JSON and CSV only the classic control characters are in question."""
    if one in "\n\t" or (machine and ord(one) >= 127):
        return False
    return unicodedata.category(one) in ("Cc", "Cf", "Zl", "Zp") and one not in "\u200b\u200c\u200d\xad\ufeff"


def _format(case: Case) -> str:
    words = case.argv
    for i, word in enumerate(words[:-1]):
        if word in ("-f", "--format"):
            return words[i + 1]
    return case.env.get("ACRANK_FORMAT", "table")


def _digest(path: Path) -> str:
    if path.is_symlink():
        return f"link to {path.readlink()}"
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else "missing"


def _last_line(raw: bytes) -> str:
    lines = [line for line in raw.decode("utf-8", "backslashreplace").splitlines() if line.strip()]
    found = [line for line in lines if line.startswith("error:")] or lines
    return ascii(found[-1][:200])[1:-1] if found else "nothing on stderr"
