"""Truths and score tables as CSV, for `compare`, `check` and histories."""

from __future__ import annotations

from typing import Any

from fuzz.case import Case
from fuzz.odd import HOSTILE, NUMBER_WORDS, WORDS, damaged, instead_of_file
from fuzz.workspace import Workspace, move


def _command(w: Workspace, name: str = "truth.csv", **known: Any) -> Case:
    kind = w.random.randrange(5)
    formats = ("-f", w.random.choice(("table", "json", "csv", "markdown")))
    if kind == 0:
        return w.case("compare", w.materials.run, "--truth", name, "--resamples", 100, *formats, **known)
    if kind == 1:
        return w.case("compare", name, "--resamples", 100, *formats, **known)
    if kind == 2:
        return w.case("history", name, "--by", w.random.choice(("target", "model")), *formats, **known)
    if kind == 3:
        return w.score("--history", name, **known)
    return w.case("check", w.materials.run, "--truth", name, "--min-tau", "-1", *formats, **known)


def _write(w: Workspace, lines: list[list[str]]) -> None:
    text = "".join(",".join(cells) + "\n" for cells in lines)
    (w.folder / "truth.csv").write_text(text, encoding="utf-8", errors="surrogatepass")


def _lines(w: Workspace) -> list[list[str]]:
    header = ["dataset", "model", "ground_truth", "ground_truth_se", "method", "seed", "split", "x"]
    return [header, *([d, m, f"{w.random.random():.3f}", "0.1", "vanilla", "0", "0", "1"] for d in "de" for m in "ab")]


@move
def sound(w: Workspace) -> Case:
    """The truth as `acrank finetune` wrote it."""
    return w.case("compare", w.materials.run, "--truth", w.materials.truth, "--resamples", 100, sound=True)


@move
def odd_cells(w: Workspace) -> Case:
    """Cells and names of columns that are odd."""
    lines = _lines(w)
    for _ in range(w.random.choice((1, 1, 4))):
        line = w.random.choice(lines)
        word = w.random.choice((*WORDS, *HOSTILE, *NUMBER_WORDS)).replace("\n", "\\n")
        line[w.random.randrange(len(line))] = word if w.random.random() < 0.7 else f'"{word}"'
    _write(w, lines)
    return _command(w)


@move
def hostile_rows(w: Workspace) -> Case:
    """A row for a model, dataset or method whose name a terminal would obey."""
    text = '"' + w.random.choice(HOSTILE).replace('"', "") + '"'
    lines = _lines(w)
    column = w.random.choice((0, 1, 4))
    for line in lines[1 : w.random.choice((2, 99))]:
        line[column] = text
    _write(w, lines)
    return _command(w)


@move
def not_finite(w: Workspace) -> Case:
    """A truth that is no number: nothing to compare with."""
    lines = _lines(w)
    w.random.choice(lines[1:])[2] = w.random.choice(("inf", "-inf", "1e400", "x", "7.5x", "0x10"))
    _write(w, lines)
    return w.case("compare", "truth.csv", "--resamples", 100, nonsense=True)


@move
def twice(w: Workspace) -> Case:
    """A model is there twice for the same seed and split, with other values."""
    lines = _lines(w)
    _write(w, [*lines, [*lines[1][:2], "0.999", *lines[1][3:]]])
    return _command(w)


@move
def damaged_text(w: Workspace) -> Case:
    """Bytes are flipped, cut or overwritten."""
    (w.folder / "truth.csv").write_bytes(damaged(w.materials.truth.read_bytes(), w.random))
    return _command(w)


@move
def odd_tables(w: Workspace) -> Case:
    """Tables that are wide, long, empty, or no table."""
    texts = (
        "",
        "\n",
        "model\n",
        "model,ground_truth\n",
        "a,b\n1,2\n",
        "," * 10**5,
        "x" * 10**6,
        '"',
        "model,model\na,a\n",
    )
    more = ("model,ground_truth\n" + '"' * 99_999, "model,ground_truth\n" + "a,1\n" * 10_000, "\0" * 99, "[" * 99_999)
    (w.folder / "truth.csv").write_text(w.random.choice((*texts, *more)))
    return _command(w)


@move
def no_file(w: Workspace) -> Case:
    """A device, a FIFO, a folder."""
    instead_of_file(w.folder / "truth.csv", w.random)
    return _command(w, nonsense=True)
