"""The parts of docs/ that are made from the program, and the JSON schema of the run record: `python .ci/pages.py`.

A made part stands between `<!-- made: NAME -->` and `<!-- end -->`; the rest of a page is written by hand.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
import re
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import typer
from man import CODES
from man import commands as named_commands

import acrank
from acrank.cli.app import build
from acrank.cli.commands import PANELS
from acrank.records import KIND, SCHEMA_VERSION, Ranking
from acrank.scores import SCORES, Score

DOCS = Path(__file__).parents[1] / "docs"
SCHEMA = DOCS / "schemas" / f"run-record-{SCHEMA_VERSION}.schema.json"
#: What `Ranking.to_record` writes beside the fields of `Ranking`.
ABOUT = {
    "kind": ({"const": KIND}, f"what the file is: {KIND}."),
    "schema_version": ({"const": SCHEMA_VERSION}, f"version of the record: {SCHEMA_VERSION}."),
    "verdict": ({"type": "array", "items": {"type": "string"}}, "the ranking in sentences; follows from the rows."),
}


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A table in markdown; bars in cells are escaped."""
    lines = [columns, ["---"] * len(columns), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


# --- scores, exit codes, help -----------------------------------------------------------------------------------------


def scores_table() -> str:
    """Two tables with a row for every score: what it is for, and what it reads and comes from."""
    told = [
        [
            f"**`{score.name}`**" if score.shown_by_default else f"`{score.name}`",
            "higher" if score.higher_is_better else "lower",
            _range(score),
            ", ".join(score.tasks) + ("; relative to the pool" if score.pool_relative else ""),
            score.cost,
        ]
        for score in SCORES.values()
    ]
    sources = [[f"`{one.name}`", ", ".join(f"`{name}`" for name in one.needs), one.paper] for one in SCORES.values()]
    uses = table(["score", "better", "range", "tasks", "cost"], told)
    return f"{uses}\n{table(['score', 'reads', 'from'], sources)}"


def _range(score: Score) -> str:
    low, high = ("−∞" if score.range[0] is None else f"{score.range[0]:g}"), score.range[1]
    return f"{low} to {'∞' if high is None else f'{high:g}'}"


def exit_codes() -> str:
    """A row for every exit code."""
    return table(["exit code", "meaning"], [[code, meaning] for code, meaning in CODES.items()])


def help_text() -> str:
    """What `acrank --help` prints on 100 columns."""
    root: Any = typer.main.get_command(build())
    context = root.make_context("acrank", [], resilient_parsing=True, terminal_width=98, max_content_width=100)
    return f"```text\n{root.get_help(context)}\n```\n"


# --- commands ---------------------------------------------------------------------------------------------------------


def commands() -> str:
    """Every command with its arguments and options."""
    root: Any = typer.main.get_command(build())
    parts = []
    for name, command in named_commands(root, "acrank"):
        context = command.make_context(name, [], resilient_parsing=True)
        found = [(param, param.get_help_record(context)) for param in command.get_params(context)]
        options = [(getattr(param, "rich_help_panel", None), *record) for param, record in found if record]
        parts.append(f"## {name}\n\n{' '.join((command.help or '').split())}\n\n{_options(options)}")
    return "\n".join(parts)


def _options(found: list[tuple[str | None, str, str]]) -> str:
    """A table of options for each panel of the help."""
    parts = []
    for panel in (*PANELS, None):
        rows = [_option(flags, text) for one, flags, text in found if (one if one in PANELS else None) == panel]
        title = f"*{panel}*\n\n" if panel else "*Options*\n\n" if parts else ""
        if rows:
            used = [0, 1, *(place for place in (2, 3) if any(row[place] for row in rows))]
            columns = [("option", "what", "default", "variable")[place] for place in used]
            parts.append(title + table(columns, [[row[place] for place in used] for row in rows]))
    return "\n".join(parts)


def _option(flags: str, text: str) -> list[str]:
    """Flags, what the option does, its default and its variable."""
    variable = re.search(r"env var: (\w+)", text)
    default = re.search(r"\bdefault: ([^\]]+)\]", text)
    need = "required" if re.search(r"[\[ ;]required\]", text) else f"`{default[1]}`" if default else ""
    said = re.sub(r"\s*\[(env var|default|required)[^\]]*\]$", "", text)
    return [f"`{flags.replace('|', ' | ')}`", _plain(said), need, f"`{variable[1]}`" if variable else ""]


def _plain(text: str) -> str:
    """Text that markdown shows as it is: code stays code."""
    parts = re.split(r"(`[^`]+`)", text)
    return "".join(part if part.startswith("`") else re.sub(r"([<>*_\[\]])", r"\\\1", part) for part in parts)


# --- the run record ---------------------------------------------------------------------------------------------------


def record_classes(kind: Any = Ranking, place: str = "run.json") -> dict[type, str]:
    """Class of the record -> where it stands, outermost first: `rows[]`, `rows[].scores.NAME`, and so on."""
    found = {kind: place}
    before = "" if kind is Ranking else f"{place}."
    for name, hint in typing.get_type_hints(kind).items():
        container = typing.get_origin(hint)
        after = "[]" if container is list else ".NAME" if container is dict else ""
        for inner in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(inner):
                found = record_classes(inner, f"{before}{name}{after}") | found
    return {one: found[one] for one in sorted(found, key=lambda one: (one is not Ranking, found[one]))}


def described(kind: type) -> dict[str, str]:
    """Field of a class of the record -> what its docstring's Attributes say of it.

    Raises:
        KeyError: a field that the docstring leaves out.
    """
    lines = inspect.getdoc(kind).split("Attributes:\n")[1].splitlines()  # type: ignore[union-attr]
    joined = re.sub(r"\n {6,}", " ", "\n".join(line for line in lines if line.startswith("    ")))
    found = [re.fullmatch(r" {4}([\w, ]+): (.*)", line) for line in joined.splitlines()]
    told = {name: one[2] for one in found if one for name in one[1].split(", ")}
    return {field.name: told[field.name] for field in dataclasses.fields(kind)}


def record_tables() -> str:
    """A table for each class of the record."""
    parts = []
    for kind, place in record_classes().items():
        hints = typing.get_type_hints(kind)
        about = [_about(name) for name in ABOUT] if kind is Ranking else []
        told = described(kind)
        rows = [
            [_field(field), f"`{_type(hints[field.name])}`", told[field.name]] for field in dataclasses.fields(kind)
        ]
        summary = inspect.getdoc(kind).splitlines()[0]  # type: ignore[union-attr]
        parts.append(f"### `{place}`\n\n{summary}\n\n" + table(["field", "type", "what"], about + rows))
    return "\n".join(parts)


def _about(name: str) -> list[str]:
    """The row of what a record has beside the fields of `Ranking`; all but the verdict are needed."""
    shape, text = ABOUT[name]
    kind = "list[str]" if "items" in shape else type(shape["const"]).__name__
    return [f"`{name}`" if "items" in shape else f"**`{name}`**", f"`{kind}`", text]


def _field(field: dataclasses.Field[Any]) -> str:
    needed = field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
    return f"**`{field.name}`**" if needed else f"`{field.name}`"


def _type(hint: Any) -> str:
    return re.sub(r"\b(?:[a-z_]+\.)+", "", inspect.formatannotation(hint)).replace("NoneType", "None")


def schema() -> str:
    """The JSON schema of the run record, from the classes that it is read with."""
    from pydantic import TypeAdapter

    body = TypeAdapter(Ranking).json_schema()
    definitions = body.pop("$defs")
    for kind in record_classes():
        target = body if kind is Ranking else definitions[kind.__name__]
        target["description"] = inspect.getdoc(kind).splitlines()[0]  # type: ignore[union-attr]
        for name, text in described(kind).items():
            target["properties"][name]["description"] = text
    for target, name in _never_negative(body, definitions):
        for one in target["properties"][name].get("anyOf", [target["properties"][name]]):
            if one.get("type") in ("integer", "number"):
                one["minimum"] = 0
    definitions["Row"]["properties"]["model"]["minLength"] = 1
    layer = definitions["Row"]["properties"]["layers"]["items"]
    layer |= {"required": ["channels"], "properties": {"channels": {"type": "integer"}}}
    head = {name: {**shape, "description": text} for name, (shape, text) in ABOUT.items()}
    body["properties"] = head | body["properties"]
    body["required"] = ["kind", "schema_version", *body["required"]]
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "acrank run record"} | {
        name: value for name, value in body.items() if name != "title"
    }
    return json.dumps(whole | {"$defs": definitions}, indent=1, ensure_ascii=False) + "\n"


def _never_negative(body: dict[str, Any], definitions: dict[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """Numbers that `check_rows` holds against zero."""
    yield from ((definitions["Row"], name) for name in ("params", "seconds"))
    yield definitions["Value"], "sd"


# --- files ------------------------------------------------------------------------------------------------------------

PARTS: dict[str, Callable[[], str]] = {
    "scores": scores_table,
    "exit codes": exit_codes,
    "help": help_text,
    "commands": commands,
    "record": record_tables,
}


def made(text: str) -> str:
    """A page with its made parts as the program has them now."""
    return re.sub(
        r"(<!-- made: ([\w ]+) -->\n).*?(<!-- end -->)",
        lambda found: f"{found[1]}\n{PARTS[found[2]]()}\n{found[3]}",
        text,
        flags=re.DOTALL,
    )


def files() -> dict[Path, str]:
    """Every file with a made part, as it should be."""
    pages = {path: made(path.read_text(encoding="utf-8")) for path in sorted(DOCS.glob("*.md"))}
    return {**{path: text for path, text in pages.items() if "<!-- made: " in text}, SCHEMA: schema()}


def main() -> None:
    """Write what has changed, and say so."""
    for path, text in files().items():
        path.parent.mkdir(exist_ok=True)
        if not path.exists() or path.read_text(encoding="utf-8") != text:
            path.write_text(text, encoding="utf-8")
            print(f"{path.relative_to(Path(acrank.__file__).parents[1])}: written")


if __name__ == "__main__":
    main()
