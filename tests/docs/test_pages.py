"""README.md and docs/ against the program: what they say twice, what they link, and what is made from the program."""

from __future__ import annotations

import functools
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pages
import pytest
from helpers.doc_pages import PAGES, README, ROOT, block_with, blocks, program, written
from markdown_it import MarkdownIt

from acrank import errors
from acrank.cli.app import defaults_for
from acrank.gates import load_gates
from acrank.scores import SCORES
from acrank.zoo import load_zoo

DOCS = ROOT / "docs"
OTHERS = [ROOT / name for name in ("CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md")]


def test_the_readme_is_short() -> None:
    assert len(README.read_text(encoding="utf-8").splitlines()) <= 150


def test_every_page_is_reached_from_the_readme_and_the_index() -> None:
    readme, index = README.read_text(encoding="utf-8"), (DOCS / "index.md").read_text(encoding="utf-8")
    names = [page.stem for page in PAGES[1:] if page.stem != "index"]
    assert [name for name in names if f"(docs/{name}.md" not in readme] == []
    assert [name for name in names if not re.search(rf"^{name}$", index, re.MULTILINE)] == []


# --- what is made from the program ------------------------------------------------------------------------------------


FILES = pages.files()


@pytest.mark.parametrize("path", [*FILES], ids=lambda path: path.name)
def test_made_parts_are_as_the_program_makes_them(path: Path) -> None:
    assert path.read_text(encoding="utf-8") == FILES[path], "run `python .ci/pages.py`"


def test_every_part_is_made_into_one_page() -> None:
    found = [name for page in PAGES for name in re.findall(r"<!-- made: ([\w ]+) -->", page.read_text("utf-8"))]
    assert sorted(found) == sorted(pages.PARTS)


def test_the_help_is_the_programs() -> None:
    environment = {"PATH": "", "COLUMNS": "100", "TERM": "dumb", "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "acrank", "--help"], capture_output=True, text=True, check=True, env=environment
    )
    assert block_with("Usage: acrank [OPTIONS] COMMAND [ARGS]...", "text", DOCS / "commands.md") == done.stdout


def test_exit_codes_are_those_of_errors() -> None:
    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AcrankError)]
    assert {str(kind.exit_code) for kind in kinds} | {"0", "1", "130"} == {*pages.CODES}


# --- options, scores, variables: all that there are, and no others ----------------------------------------------------


@functools.cache
def known_options() -> dict[str, Any]:
    """Flag -> parameter, of every command and of `acrank` itself."""
    root, known = program()
    contexts = [(one, one.make_context("x", [], resilient_parsing=True)) for one in (root, *known.values())]
    params = [param for command, context in contexts for param in command.get_params(context)]
    return {flag: param for param in params for flag in (*param.opts, *param.secondary_opts) if flag.startswith("--")}


#: Options of other programs that a page shows.
OTHER_OPTIONS = {"--index-url", "--gpus", "--shm-size", "--rm", "--body-file", "--shared", "--minutes", "--seed"}


def test_every_option_is_in_the_reference() -> None:
    text = (DOCS / "commands.md").read_text(encoding="utf-8")
    assert [flag for flag in known_options() if not re.search(rf"(?<![\w-]){flag}(?![\w-])", text)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_no_option_that_does_not_exist(page: Path) -> None:
    found = {*re.findall(r"(?<![\w-])--[a-z][a-z-]+", written(page))}
    assert found - {*known_options()} - OTHER_OPTIONS == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_pages_name_no_command_or_variable_that_does_not_exist(page: Path) -> None:
    root, known = program()
    names = {*known} | {f"acrank {name}" for name in root.commands}
    text = written(page)
    words = {f"acrank {one}" for one in re.findall(r"[`$] ?acrank ([a-z]+(?: [a-z]+)?)", text)}
    assert {word for word in words if word not in names and " ".join(word.split()[:2]) not in names} == set()
    variables = {param.envvar for param in known_options().values()} | {"ACRANK_CACHE", "ACRANK_CONFIG"}
    assert {*re.findall(r"ACRANK_[A-Z_]*[A-Z]", text)} - variables == set()


def test_the_architecture_has_every_room_and_no_other() -> None:
    rows = re.findall(r"^\| (`.*?`) \| ", (DOCS / "architecture.md").read_text(encoding="utf-8"), re.MULTILINE)
    told = {name.removeprefix("acrank/").strip("/") for row in rows for name in re.findall(r"`([\w./]+)`", row)}
    rooms = {path.parent.name for path in (ROOT / "acrank").glob("*/__init__.py")}
    assert told == rooms | {"settings.py", "errors.py", "benchmarks", "tests"}


def test_a_score_named_in_code_exists() -> None:
    shown = [name for name, score in SCORES.items() if score.shown_by_default]
    reading = (DOCS / "reading.md").read_text(encoding="utf-8")
    assert [name for name in shown if f"| `{name}` |" not in reading] == []
    rows = re.findall(r"^\| \*{0,2}`([\w]+)`", (DOCS / "evidence.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(rows) > 10
    assert {*rows} <= {*SCORES}


# --- examples ---------------------------------------------------------------------------------------------------------


def test_the_manifest_examples_are_valid(tmp_path: Path) -> None:
    for page, ids in ((DOCS / "own-zoo.md", ["imagenet", "mobilenet", "moco", "ours"]), (README, ["imagenet", "moco"])):
        text = next(one.text for one in blocks("yaml", [page]) if "models:" in one.text)
        (tmp_path / "zoo.yaml").write_text(text.replace("5c3f…", "5c3f" * 16))
        assert [one.id for one in load_zoo(tmp_path / "zoo.yaml").candidates] == ids


def test_the_gates_example_is_valid(tmp_path: Path) -> None:
    (tmp_path / "gates.yaml").write_text(block_with("# gates.yaml", "yaml", DOCS / "ci.md"))
    assert load_gates(tmp_path / "gates.yaml")


def test_the_configuration_example_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "acrank.toml").write_text(block_with("# acrank.toml", "toml", DOCS / "tools.md"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ACRANK_CONFIG")
    assert {"samples", "scores", "race", "device", "memory"} <= {*defaults_for(["score"])["score"]}


# --- links and paths --------------------------------------------------------------------------------------------------


def anchors(path: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub and the site make them."""
    tokens = MarkdownIt("commonmark").enable("table").parse(path.read_text(encoding="utf-8"))
    titles = [tokens[place + 1].content for place, token in enumerate(tokens) if token.type == "heading_open"]
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", [*PAGES, *OTHERS], ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text(encoding="utf-8")):
        if re.match(r"https?:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_named_in_code_exist(page: Path) -> None:
    roots = ("acrank", "benchmarks", "tests", "docs", "docker", ".ci", ".github")
    found = re.findall(rf"(?<![\w/.])((?:{'|'.join(map(re.escape, roots))})/[\w./-]*\w)", written(page))
    made = {".github/workflows/checkpoint.yml"}
    assert [name for name in found if name not in made and not (ROOT / name).exists()] == []
    makes = re.findall(r"(?:`|^    |^\$ )make ([a-z][a-z0-9-]+)", written(page), re.MULTILINE)
    targets = {*re.findall(r"^([a-z0-9-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)}
    assert {*makes} <= targets
