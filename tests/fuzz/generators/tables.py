"""CSV targets: odd cells, odd paths, odd shapes of tables, and labels that contradict each other."""

from __future__ import annotations

import csv
from pathlib import Path

from fuzz.case import Case
from fuzz.odd import HOSTILE, WORDS, damaged, instead_of_file
from fuzz.workspace import Workspace, move


def _rows(w: Workspace) -> list[list[str]]:
    """Sound rows: a path and a class."""
    paths = sorted(w.copy_data().rglob("*.png"))
    return [[path.relative_to(w.folder).as_posix(), path.parent.name] for path in paths]


def _write(w: Workspace, rows: list[list[str]], header: tuple[str, ...] = ("image", "label")) -> Path:
    path = w.folder / w.random.choice(("x.csv", "x.csv", "x.tsv"))
    with path.open("w", newline="", encoding="utf-8", errors="surrogatepass") as file:
        csv.writer(file, delimiter="\t" if path.suffix == ".tsv" else ",").writerows([header, *rows])
    return path


@move
def sound(w: Workspace) -> Case:
    """Classes, numbers or several labels."""
    rows = _rows(w)
    kind = w.random.randrange(3)
    if kind == 0:
        return w.score_one(_write(w, rows), sound=True)
    if kind == 1:
        return w.score_any(_write(w, [[path, f"{i * 1.37:.2f}"] for i, (path, _) in enumerate(rows)]), sound=True)
    flags = [[path, str(i % 2), str(i // 2 % 2)] for i, (path, _) in enumerate(rows)]
    return w.score_any(_write(w, flags, ("image", "a", "b")), "--label-column", "a,b", sound=True)


@move
def odd_number(w: Workspace) -> Case:
    """One cell among numbers is none: no reason to make a class of every number."""
    rows = [[path, f"{index * 1.37:.2f}"] for index, (path, _) in enumerate(_rows(w))]
    words = ("7.5x", "inf", "nan", "1e400", "-inf", "7,5", "x", "0x1p3", "NaN ", "--1", "1e", "")
    rows[w.random.randrange(len(rows))][1] = w.random.choice(words)
    return w.score_any(_write(w, rows), nonsense=True)


@move
def contradictions(w: Workspace) -> Case:
    """Every image is there twice, under another spelling of its path, with the opposite label."""
    data = w.copy_data()
    (w.folder / "link").symlink_to(data)
    rows = []
    spelling = w.random.choice(("./{}", "data/../{}", "link/../{}", ".//{}", "link:{}", "{}"))
    for path in sorted(data.rglob("*.png")):
        name = path.relative_to(w.folder).as_posix()
        other = name.replace("data", "link", 1) if spelling.startswith("link:") else spelling.format(name)
        rows += [[name, path.parent.name], [other, "c1" if path.parent.name == "c0" else "c0"]]
    return w.score_one(_write(w, rows), nonsense=True)


@move
def odd_cells(w: Workspace) -> Case:
    """Some cells hold odd words."""
    rows = _rows(w)
    for _ in range(w.random.choice((1, 3, 16))):
        row = w.random.choice(rows)
        row[w.random.choice((0, 1, 1))] = w.random.choice((*WORDS, *HOSTILE))
    return w.score_one(_write(w, rows))


@move
def paths_outside(w: Workspace) -> Case:
    """Paths that lead to devices, secrets, themselves, or nowhere."""
    (w.folder / "secret").write_text("xyzzyplugh")
    (w.folder / "in").mkdir()
    words = (
        "/dev/zero",
        "/dev/stdin",
        "../secret",
        str(w.folder / "secret"),
        "a\0b",
        "a" * 5000,
        "/",
        ".",
        "",
        "x.csv",
    )
    rows = [*_rows(w), [w.random.choice(words), "c0"]]
    path = _write(w, rows)
    (w.folder / "in" / "data").symlink_to(w.folder / "data")
    return w.score_one(path.rename(w.folder / "in" / path.name), secret="xyzzyplugh", nonsense=True)


@move
def odd_header(w: Workspace) -> Case:
    """Columns that are missing, doubled, empty, or named strangely."""
    headers = (
        ("", ""),
        ("label", "label"),
        ("image",),
        ("image", "label", "label"),
        ("a", "b"),
        ("image", "\x1b]0;x\x07"),
    )
    header = w.random.choice((*headers, ("image", "::error::x"), ("image", "a\u202eb")))
    more = w.random.choice(
        ((), ("--label-column", header[-1]), ("--label-column", "\x1b[31m"), ("--image-column", "x"))
    )
    return w.score_one(_write(w, _rows(w), header), *more)


@move
def several_labels(w: Workspace) -> Case:
    """Columns of labels that are 0, 1 and something else."""
    pool = w.random.choice((("0", "1"), ("0", "1", "2"), ("0", "1", ""), ("0",), ("true", "false"), ("0.5", "1")))
    rows = [[path, *(w.random.choice(pool) for _ in range(3))] for path, _ in _rows(w)]
    return w.score_any(
        _write(w, rows, ("image", "a", "b", "c")), "--label-column", w.random.choice(("a,b,c", "a", "a,a", "x"))
    )


@move
def too_few(w: Workspace) -> Case:
    """One image a class, one class, no row."""
    rows = _rows(w)
    choices = ([rows[0], rows[-1]], rows[:8], [], [[path, f"k{i}"] for i, (path, _) in enumerate(rows)])
    return w.score_one(_write(w, w.random.choice(choices)), nonsense=True)


@move
def wide(w: Workspace) -> Case:
    """A hundred thousand columns, one endless line, one endless cell."""
    path = w.folder / "x.csv"
    texts = (
        ",".join(f"c{i}" for i in range(100_000)) + "\n" + "1," * 99_999 + "1\n",
        "x" * 20_000_000,
        "image,label\n" + "x" * 20_000_000 + ",1\n",
        'image,label\n"' + "x\n" * 5_000_000,
        "," * 2_000_000,
        "\n" * 5_000_000,
        "image,label\n" + '"""' * 100_000,
    )
    path.write_text(w.random.choice(texts))
    return w.score_one(path, nonsense=True)


@move
def damaged_table(w: Workspace) -> Case:
    """Bytes are flipped, cut or overwritten."""
    path = _write(w, _rows(w))
    path.write_bytes(damaged(path.read_bytes(), w.random))
    return w.score_one(path)


@move
def other_encoding(w: Workspace) -> Case:
    """UTF-16, Latin-1, byte order marks, zeros."""
    text = "image,label\n" + "".join(f"{path},{label}ä\n" for path, label in _rows(w))
    encodings = ("utf-16", "utf-32", "latin-1", "utf-8-sig", "cp037")
    raw = text.encode(w.random.choice(encodings))
    (w.folder / "x.csv").write_bytes(w.random.choice((raw, raw.replace(b"\n", b"\r"), raw + b"\0" * 99)))
    return w.score_one(w.folder / "x.csv")


@move
def no_file(w: Workspace) -> Case:
    """A device, a FIFO, a folder."""
    instead_of_file(w.folder / "x.csv", w.random)
    return w.score_one(w.folder / "x.csv", nonsense=True)
