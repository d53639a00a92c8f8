"""`acrank report`: records, comparisons, truths and sheets that are damaged, enormous, or hold markup as names."""

from __future__ import annotations

import copy
import io
import json
import shutil
from collections.abc import Callable
from typing import Any

from PIL import Image

from fuzz import bombs
from fuzz.case import Case
from fuzz.generators.images import EPS
from fuzz.odd import HOSTILE, changed, damaged, instead_of_file
from fuzz.workspace import Workspace, move
from fuzz.written import PLANTED

#: What a browser, a template or a chart would obey.
MARKUP = (
    f"<script>{PLANTED}()</script>",
    f"</script><script>{PLANTED}()</script>",
    f"<img src=x onerror={PLANTED}()>",
    f"\"><svg onload='{PLANTED}()'>",
    f"' onmouseover='{PLANTED}()",
    f"</title><iframe src=//{PLANTED}>",
    f"</style><link href=//{PLANTED}>",
    f"javascript:{PLANTED}()",
    "<!--<script>",
    "-->",
    "]]>",
    "{{ 7*7 }}{% raw %}",
    "&lt;b&gt;&#x3c;i>",
    f"datum['{PLANTED}']",
    f"${{{PLANTED}}}`",
    "a_" * 3000,
    *HOSTILE,
)


def _report(w: Workspace, run: object = "in.json", *more: object, **known: Any) -> Case:
    known = {"written": ("report.html",), **known}
    return w.case("report", run, "-o", "report.html", *more, **known)


def _record(w: Workspace, *, layers: int = 2) -> dict[str, Any]:
    record = copy.deepcopy(w.materials.record)
    for row in record["rows"]:
        row["layers"] = row["layers"][:layers]
    return record


def _marked(tree: Any, w: Workspace, share: float) -> Any:
    """A copy in which texts, and keys where `share` is large, are markup."""
    if isinstance(tree, dict):
        return {
            (w.random.choice(MARKUP) if w.random.random() < share / 8 else key): _marked(value, w, share)
            for key, value in tree.items()
        }
    if isinstance(tree, list):
        return [_marked(value, w, share) for value in tree]
    return w.random.choice(MARKUP) if isinstance(tree, str) and w.random.random() < share else tree


@move
def sound(w: Workspace) -> Case:
    """A run with what may be shown beside it."""
    w.write_record(w.materials.comparison, "comparison.json")
    Image.new("RGB", (40, 30)).save(w.folder / "sheet.png")
    parts: tuple[tuple[object, ...], ...] = (
        ("--truth", w.materials.truth),
        ("--compare", "comparison.json"),
        ("--sheet", "sheet.png"),
        ("--data", w.materials.data),
        ("--title", "x"),
    )
    first, second = w.random.sample(parts, 2)
    words = first if {first[0], second[0]} == {"--sheet", "--data"} else (*first, *second)
    return _report(w, w.materials.run, *words, sound=True)


@move
def markup_in_names(w: Workspace) -> Case:
    """Models, reasons, notes, warnings, layers, weights and the target are markup: none of it may be in the page."""
    record = _record(w)
    text = w.random.choice(MARKUP)
    first, last = record["rows"][0], record["rows"][-1]
    kinds: tuple[Callable[[], object], ...] = (
        lambda: first.update(model=text),
        lambda: first.update(notes=[text, text]),
        lambda: last.update(status="skipped", reason=text, rank=None, band=None, scores={}),
        lambda: record.update(warnings=[text], notes=[text]),
        lambda: record["target"].update(name=text, understood={text: {text: [text]}}),
        lambda: record.update(environment={text: {text: text}}, controls={text: text}),
        lambda: record["settings"].update(zoo={"name": text}, protocol=text),
        lambda: first["weights"].update(file=text, sha256=text),
        lambda: [layer.update(name=text) for layer in first["layers"]],
        lambda: record["target"].update(task=text, size=text),
    )
    for change in w.random.sample(kinds, w.random.choice((1, 2, 5))):
        change()
    w.write_record(record)
    return _report(w, "in.json", *w.random.choice(((), ("--title", text.replace("\0", "")))))


@move
def markup_as_scores(w: Workspace) -> Case:
    """Scores, and the one that ranks, have markup for names; it is a column, a chart's field and a filter."""
    record = _record(w)
    text = w.random.choice(MARKUP)
    record["higher_is_better"][text] = True
    for row in record["rows"]:
        row["scores"][text] = {"value": w.random.random()}
    if w.random.random() < 0.4:
        record["rank_by"] = record["settings"]["rank_by"] = text
    w.write_record(record)
    return _report(w)


@move
def markup_everywhere(w: Workspace) -> Case:
    """Any text of a record is markup."""
    record = _record(w)
    share = w.random.choice((0.05, 0.3, 1.0))
    kept = ("kind", "schema_version", "rank_by", "higher_is_better")
    marked = {name: value if name in kept else _marked(value, w, share) for name, value in record.items()}
    if w.random.random() < 0.6:  # what is refused by its type shows nothing
        for row, own in zip(marked["rows"], record["rows"], strict=True):
            row.update(status=own["status"], scores=own["scores"], rank=own["rank"], band=own["band"])
        marked["settings"]["rank_by"] = record["settings"]["rank_by"]
    w.write_record(marked)
    return _report(w)


@move
def odd_records(w: Workspace) -> Case:
    """Places of a record hold something else."""
    w.write_record(changed(_record(w), w.random))
    return _report(w)


@move
def damaged_records(w: Workspace) -> Case:
    """Bytes of the record are otherwise, or it is no record."""
    raw = damaged(w.materials.run.read_bytes(), w.random)
    (w.folder / "in.json").write_bytes(w.random.choice((raw, raw, b"", b"[]", b"[" * 10**5, b"null", b"\xff\xfe")))
    return _report(w)


@move
def enormous(w: Workspace) -> Case:
    """Thousands of candidates, scores or layers, and texts of a MB."""
    record = _record(w)
    row = record["rows"][0]
    kinds: tuple[Callable[[], object], ...] = (
        lambda: record["rows"].extend({**row, "model": f"m{i}"} for i in range(2000)),
        lambda: row["layers"].extend({**row["layers"][0], "name": f"l{i}"} for i in range(20_000)),
        lambda: row["notes"].extend(["x" * 99] * 5000),
        lambda: row.update(model="x" * 10**6),
        lambda: record["target"].update({f"k{i}": "x" for i in range(10**4)}),
    )
    w.random.choice(kinds)()
    if len(record["rows"]) > 9:
        record["candidates"] = len(record["rows"])
    w.write_record(record)
    return _report(w)


@move
def comparisons(w: Workspace) -> Case:
    """Comparisons that are odd, damaged, or hold markup."""
    tree = w.materials.comparison
    marked = {**_marked(tree, w, w.random.choice((0.2, 1.0))), "kind": tree["kind"]}
    others: tuple[Any, ...] = ([], {}, 3, {"kind": "acrank-comparison"}, {**tree, "results": [[]], "warnings": "x"})
    w.write_record(w.random.choice((marked, marked, changed(tree, w.random), w.random.choice(others))), "c.json")
    return _report(w, w.materials.run, "--compare", "c.json")


@move
def truths(w: Workspace) -> Case:
    """Truths with markup for models, data sets and methods, or other cells."""
    text = w.random.choice(MARKUP).replace('"', "'").replace("\n", " ")
    lines = ["dataset,model,ground_truth,method", *(f'"{text}",{model},0.5,"{text}"' for model in "ab")]
    others = (f'd,"{text}",0.5,x', "d,a,nan,x", "d,a,1e999,x", f'd,a,"{text}",x', "d", ",,,", "d,a,0.7,y")
    for other in w.random.sample(others, 2):
        lines.append(other)
    (w.folder / "t.csv").write_text("\n".join(lines), errors="surrogatepass")
    more = w.random.choice(((), ("--dataset", text), ("--method", text), ("--dataset", "d", "--method", "x")))
    return _report(w, w.materials.run, "--truth", "t.csv", *(str(word).replace("\0", "") for word in more))


@move
def sheets(w: Workspace) -> Case:
    """Contact sheets that are damaged, enormous, or no pictures."""
    buffer = io.BytesIO()
    Image.new("RGB", (60, 40), (1, 2, 3)).save(buffer, w.random.choice(("PNG", "JPEG")))
    comment = buffer.getvalue().replace(b"IEND", f"</script>{PLANTED}".encode() + b"IEND")
    bodies = (
        damaged(buffer.getvalue(), w.random),
        comment,
        EPS,
        b"",
        f"<svg onload={PLANTED}()>".encode(),
        bombs.png_of(20_000, 20_000),
        bombs.png_of(13_000, 13_000, colour=0, rows=bytes(13_001) * 13_000) if w.random.random() < 0.3 else b"x",
    )
    path = w.folder / "sheet.png"
    path.write_bytes(w.random.choice(bodies))
    if w.random.random() < 0.2:
        instead_of_file(path, w.random)
    return _report(w, w.materials.run, "--sheet", "sheet.png")


@move
def targets(w: Workspace) -> Case:
    """A target that is damaged, another one, or whose classes are markup."""
    data = w.copy_data()
    name = w.random.choice(MARKUP).replace("/", "\u2044").replace("\0", "")[:80]
    (data / "c0").rename(data / name)
    if w.random.random() < 0.4:
        for path in sorted(data.rglob("*.png"))[: w.random.choice((1, 99))]:
            path.write_bytes(damaged(path.read_bytes(), w.random))
    return _report(w, w.materials.run, "--data", data)


@move
def no_files(w: Workspace) -> Case:
    """A device, a FIFO, a folder in the place of an input."""
    instead_of_file(w.folder / "x", w.random)
    inputs = ((), ("--truth", "x"), ("--compare", "x"), ("--sheet", "x"), ("--data", "x"))
    more = w.random.choice(inputs)
    return _report(w, w.materials.run if more else "x", *more, nonsense=True)


@move
def foreign_outputs(w: Workspace) -> Case:
    """Pages that acrank did not write stay, and so do its inputs."""
    (w.folder / "mine.html").write_text("<p>mine</p>")
    shutil.copy(w.materials.run, w.folder / "in.html")
    name = w.random.choice(("mine.html", "in.html"))
    given = name
    if w.random.random() < 0.3:
        given = "link.html"
        (w.folder / given).symlink_to(name)
    run = "in.html" if name == "in.html" else w.materials.run
    return w.case("report", run, "-o", given, nonsense=True, kept=(name,))


@move
def odd_outputs(w: Workspace) -> Case:
    """Names of pages that cannot be written, or are strange."""
    names = ("", "x", "x.json", "nothing/x.html", "a\0.html", "a" * 300 + ".html", "/dev/full", "a\n::error::b.html")
    return w.case("report", w.materials.run, "-o", w.random.choice(names))


@move
def not_finite(w: Workspace) -> Case:
    """Numbers that no score, rank or count has."""
    text = json.dumps(_record(w))
    for _ in range(w.random.choice((1, 3))):
        at = w.random.choice([i for i, one in enumerate(text) if one == ":" and text[i + 2 : i + 3].isdigit()])
        end = next(i for i in range(at, len(text)) if text[i] in ",}")
        text = f"{text[:at]}: {w.random.choice(('NaN', 'Infinity', '1e999', '-1', '9' * 400, 'true'))}{text[end:]}"
    (w.folder / "in.json").write_text(text)
    return _report(w)
