"""`acrank merge`: parts that are damaged, doubled, of other runs, or disagree."""

from __future__ import annotations

import copy
import shutil
from collections.abc import Callable
from typing import Any

from fuzz.case import Case
from fuzz.odd import HOSTILE, changed, damaged, instead_of_file
from fuzz.workspace import Workspace, move


def _parts(w: Workspace) -> list[dict[str, Any]]:
    """The records of two shards: a candidate each."""
    found = []
    for place in range(2):
        record = copy.deepcopy(w.materials.record)
        record["rows"] = [row for row in record["rows"] if row["model"] == "ab"[place]]
        for row in record["rows"]:
            row["layers"] = row["layers"][:1]
            row["rank"] = 1
        record["candidates"] = 1
        found.append(record)
    return found


def _merge(w: Workspace, parts: list[dict[str, Any]], *more: object, **known: Any) -> Case:
    names = [w.write_record(part, f"part{place}.json") for place, part in enumerate(parts)]
    w.random.shuffle(names)
    return w.case("merge", *names, "-o", "run.json", *more, written=("run.json",), **known)


@move
def sound(w: Workspace) -> Case:
    """Two shards, one record, or the same record twice: every candidate is in it once, with its value."""
    one, other = _parts(w)
    whole = w.materials.record
    parts = w.random.choice(([one, other], [whole], [whole, whole]))
    return _merge(w, parts, sound=True, values=w.materials.values)


@move
def disagreeing(w: Workspace) -> Case:
    """A candidate has another value, parameter count or file in another part."""
    one, other = _parts(w)
    second = copy.deepcopy(one)
    row = second["rows"][0]
    score = w.random.choice(sorted(row["scores"]))
    row["scores"][score]["value"] = (row["scores"][score]["value"] or 0) + w.random.choice((1e-3, 1, 1e9))
    return _merge(w, [one, other, second], nonsense=True)


@move
def other_runs(w: Workspace) -> Case:
    """Parts of other settings, images, manifests or directions."""
    one, other = _parts(w)
    kinds: tuple[Callable[[], object], ...] = (
        lambda: other["settings"].update(samples=9),
        lambda: other["settings"].update(seed=7),
        lambda: other["target"].update(fingerprint="0" * 64),
        lambda: other["settings"]["zoo"].update(sha256="0" * 64),
        lambda: other.update(higher_is_better={name: not higher for name, higher in other["higher_is_better"].items()}),
        lambda: other["settings"].update(rank_by="channel_alignment"),
    )
    w.random.choice(kinds)()
    return _merge(w, [one, other], nonsense=True)


@move
def odd_parts(w: Workspace) -> Case:
    """Places of a part hold something else."""
    one, other = _parts(w)
    return _merge(w, [one, changed(other, w.random)])


@move
def odd_settings(w: Workspace) -> Case:
    """Settings, which the whole is worked out by, hold something else in every part."""
    one, other = _parts(w)
    one["settings"] = other["settings"] = changed(one["settings"], w.random)
    return _merge(w, [one, other])


@move
def damaged_parts(w: Workspace) -> Case:
    """Bytes of a part are otherwise, or it is none."""
    case = _merge(w, _parts(w))
    path = w.folder / "part1.json"
    body = w.random.choice((b"", b"[]", b"{}", b"null", b"[" * 10**5, b"\xff\xfe"))
    path.write_bytes(body if w.random.random() < 0.4 else damaged(path.read_bytes(), w.random))
    return case


@move
def hostile_parts(w: Workspace) -> Case:
    """Names, notes and environments that a terminal or a CI runner would obey."""
    one, other = _parts(w)
    text = w.random.choice(HOSTILE)
    kinds: tuple[Callable[[], object], ...] = (
        lambda: other["rows"][0].update(model=text),
        lambda: other["rows"][0].update(status="skipped", reason=text, scores={}, rank=None),
        lambda: other.update(notes=[text], warnings=[text]),
        lambda: other.update(environment={text: text}),
        lambda: [part["settings"]["zoo"].update(name=text) for part in (one, other)],
        lambda: [part["target"].update(name=text) for part in (one, other)],
    )
    w.random.choice(kinds)()
    return _merge(w, [one, other], "-f", w.random.choice(("table", "markdown", "csv", "json")))


@move
def many_parts(w: Workspace) -> Case:
    """Hundreds of parts, a candidate each, or one a hundred times."""
    one, _ = _parts(w)
    parts = []
    for place in range(300):
        part = copy.deepcopy(one)
        part["rows"][0]["model"] = f"m{place}" if w.random.random() < 0.9 else "m0"
        parts.append(part)
    return _merge(w, parts)


@move
def partial(w: Workspace) -> Case:
    """Parts of runs that were stopped: the whole says so."""
    one, other = _parts(w)
    other["complete"], other["candidates"] = False, w.random.choice((1, 5, 0, -1, 10**9))
    if w.random.random() < 0.3:
        other["rows"] = []
    return _merge(w, [one, other])


@move
def no_files(w: Workspace) -> Case:
    """Devices, FIFOs and folders in the place of a part."""
    case = _merge(w, _parts(w))
    instead_of_file(w.folder / "part1.json", w.random)
    return w.case(*case.argv, nonsense=True)


@move
def outputs(w: Workspace) -> Case:
    """A part, or somebody else's file, is the output, too: it stays."""
    (w.folder / "mine.json").write_text('{"mine": 1}')
    shutil.copy(w.materials.run, w.folder / "in.json")
    name = w.random.choice(("mine.json", "in.json"))
    return w.case("merge", "in.json", "-o", w.random.choice((name, f"./{name}")), nonsense=True, kept=(name,))
