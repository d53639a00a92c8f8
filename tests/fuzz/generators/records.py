"""Run records: odd values, records that were cut or made up, and the commands that read them."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

from fuzz.case import Case
from fuzz.materials import QUICK
from fuzz.odd import HOSTILE, changed, damaged, instead_of_file
from fuzz.workspace import Workspace, move


def _command(w: Workspace, name: str, **known: Any) -> Case:
    """Any command that reads a run record."""
    where = ("--zoo", w.materials.zoo, "--data", w.materials.data)
    kinds: tuple[Callable[[], Case], ...] = (
        lambda: w.case("check", name, "--no-skipped", **known),
        lambda: w.case("check", name, "--model", "a", "--top-k", 2, "--within", "99%", **known),
        lambda: w.case(
            "check", w.materials.run, "--baseline", name, "--same-best", "exact", "--max-slowdown", 9, **known
        ),
        lambda: w.case("compare", name, "--truth", w.materials.truth, "--resamples", 100, **known),
        lambda: w.case("merge", name, "-o", "run.json", **known),
        lambda: w.case("merge", w.materials.run, name, "-o", "run.json", **known),
        lambda: w.case("score", *where, *QUICK, "--resume", "-o", name, **known),
    )
    return w.random.choice(kinds)()


@move
def sound(w: Workspace) -> Case:
    """The record as it is."""
    return _command(w, w.write_record(w.materials.record), sound=True)


@move
def odd_values(w: Workspace) -> Case:
    """Places of a sound record hold something else."""
    return _command(w, w.write_record(changed(_small(w), w.random)))


@move
def odd_head(w: Workspace) -> Case:
    """A field at the top, or of a row, is gone or odd."""
    record = _small(w)
    holder = w.random.choice((record, record["rows"][0], record["settings"], record["rows"][0]["scores"]))
    picked = {name: holder[name] for name in holder}
    name = w.random.choice(sorted(picked))
    holder[name] = changed({"x": picked[name]}, w.random).get("x")
    return _command(w, w.write_record(record))


@move
def damaged_text(w: Workspace) -> Case:
    """Bytes are flipped, cut or overwritten."""
    (w.folder / "in.json").write_bytes(damaged(w.materials.run.read_bytes(), w.random))
    return _command(w, "in.json")


@move
def no_record(w: Workspace) -> Case:
    """Deep, long, empty or other JSON."""
    texts = (
        "[" * 100_000,
        '{"a":' * 100_000,
        "",
        "null",
        "[]",
        "{}",
        '"x"',
        "1e999",
        "9" * 10_000,
        "{" + '"a":1,' * 9 + "}",
    )
    record = {**_small(w), "rows": [[]] * 9}
    text = w.random.choice((*texts, json.dumps(record), json.dumps({**record, "rows": {}}), '{"kind": "acrank-run"}'))
    (w.folder / "in.json").write_text(text)
    return _command(w, "in.json", nonsense=True)


@move
def twice(w: Workspace) -> Case:
    """A model is listed twice."""
    record = _small(w)
    record["rows"].append(copy.deepcopy(record["rows"][0]))
    if w.random.random() < 0.5:
        record["rows"][-1]["rank"] = 3
    return _command(w, w.write_record(record), nonsense=True)


@move
def false_ranks(w: Workspace) -> Case:
    """Every rank and band is the first: the last must not pass for the best."""
    record = _small(w)
    for row in record["rows"]:
        row["rank"] = row["band"] = 1
    w.write_record(record)
    return w.case("check", "in.json", "--model", w.materials.worst, "--top-k", 1, nonsense=True)


@move
def no_rows(w: Workspace) -> Case:
    """No candidate: no gate may pass."""
    w.write_record({**_small(w), "rows": []})
    gates = (("--no-skipped",), ("--no-warnings",), ("--max-seconds", 60))
    return w.case("check", "in.json", *w.random.choice(gates), nonsense=True)


@move
def partial(w: Workspace) -> Case:
    """The record of a run that was stopped, or that lacks a candidate."""
    record = _small(w)
    if "complete" not in record:  # a record of a version that does not say so
        record["rows"] = []
    record["complete"] = False
    w.write_record(record)
    return w.case("check", "in.json", "--no-skipped", nonsense=True)


@move
def not_finite(w: Workspace) -> Case:
    """A value that no score has."""
    record = _small(w)
    name = w.random.choice(sorted(record["rows"][0]["scores"]))
    value = w.random.choice((float("nan"), float("inf"), -float("inf"), "0.5", [0.5], True, 10**400))
    record["rows"][0]["scores"][name]["value"] = value
    return _command(w, w.write_record(record))


@move
def hostile_text(w: Workspace) -> Case:
    """Names, notes, reasons and warnings that a terminal would obey."""
    record = _small(w)
    text = w.random.choice(HOSTILE)
    kinds: tuple[Callable[[], object], ...] = (
        lambda: record["rows"][0].update(model=text),
        lambda: record["rows"][0].update(notes=[text]),
        lambda: record["rows"][0].update(status="skipped", reason=text, rank=None, band=None),
        lambda: record.update(warnings=[text]),
        lambda: record.update(notes=[text]),
        lambda: record["target"].update(name=text),
        lambda: record["settings"].update(rank_by=text),
        lambda: record["rows"][0]["scores"].update({text: {"value": 0.5}}),
    )
    w.random.choice(kinds)()
    return _formatted(w, _command(w, w.write_record(record)))


@move
def no_file(w: Workspace) -> Case:
    """A device, a FIFO, a folder."""
    instead_of_file(w.folder / "in.json", w.random)
    case = _command(w, "in.json")
    resumes = "--resume" in case.argv
    return case if resumes else w.case(*case.argv, nonsense=True)


def _formatted(w: Workspace, case: Case) -> Case:
    return w.case(*case.argv, "-f", w.random.choice(("table", "markdown", "json", "csv")))


def _small(w: Workspace) -> dict[str, Any]:
    """The record without its layers, so that changes hit what matters."""
    record = copy.deepcopy(w.materials.record)
    for row in record["rows"]:
        row["layers"] = row["layers"][:1]
    return record
