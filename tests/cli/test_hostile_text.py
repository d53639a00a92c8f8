"""Names that would steer a terminal or a CI runner, through real commands: they reach it as text only.

Whatever a command makes of such a name (a table, a skipped row, an error), its exit code is a documented one, nothing
below a space but line breaks and tabs is written, no direction mark, and no line begins like a command to a runner.
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from helpers.terminal import on_terminal
from helpers.workbench import Outcome, entry, make_images, make_zoo, write_zoo

from acrank.records import Ranking

Command = Callable[..., Outcome]
RAW = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
OBEYED = re.compile(r"^\s*(::|##vso\[)|##\[", re.MULTILINE)
HOSTILE = {
    "ESC": "\x1b[31mred\x1b[2J",
    "OSC": "\x1b]0;title\x07",
    "C1": "\x9b31m\x85",
    "bidi": "a\u202egnp\u2066",
    "return": "a\rerror: none",
    "line": "a\n::error::line",
    "command": "::error::first",
    "old command": "##[error]old",
    "Azure": "##vso[task.complete]x",
    "markup": "[bold red]x[link]",
    "bytes": "\udcff\udc9b",
    "NUL": "a\x00b",
}
DOCUMENTED = {0, 1, 2, 3}


@pytest.fixture(params=HOSTILE)
def text(request: pytest.FixtureRequest) -> str:
    return HOSTILE[request.param]


@pytest.fixture
def name(text: str) -> str:
    """The text as a file or an option can have it."""
    return text.replace("\x00", "")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    make_zoo(tmp_path / "zoo", count=2)
    return tmp_path


@pytest.fixture
def clean(acrank: Command) -> Command:
    """Run a command and hold what it writes against RAW and OBEYED."""

    def call(*words: object) -> Outcome:
        done = acrank(*words)
        assert done.code in DOCUMENTED, done.err
        check(done.out)
        check(done.err)
        return done

    return call


def check(text: str) -> None:
    assert not RAW.search(text), RAW.findall(text)
    assert not OBEYED.search(text), text


def named(text: str) -> dict[str, object]:
    return entry(text, weights="net0.pth", reference={text: 50.0}, tags=[text], license=text)


# --- names that were put into files -----------------------------------------------------------------------------------


@pytest.mark.parametrize("format", ["table", "markdown", "csv", "json"])
def test_zoo_list_and_validate(clean: Command, folder: Path, text: str, name: str, format: str) -> None:
    write_zoo(folder / "zoo", named(text), entry("b", weights=f"{name}.pth"), entry(f"{text} 2", text))
    listed = clean("zoo", "list", "--zoo", "zoo/zoo.yaml", "-f", format)
    assert (listed.code, bool(listed.out)) in ((0, True), (2, False))  # 2: a name that no manifest may have
    assert clean("zoo", "validate", "--zoo", "zoo/zoo.yaml").code in (2, 3)


def test_keys_and_values_of_a_manifest(clean: Command, folder: Path, text: str) -> None:
    for record in ({"version": text}, {text: 1}, {"version": 1, "models": [{text: text, "id": text}]}):
        (folder / "zoo.yaml").write_text(yaml.safe_dump(record))
        assert clean("zoo", "list", "--zoo", "zoo.yaml").code == 2
    (folder / "zoo.yaml").write_text(f"version: 1\nmodels: [{text.encode(errors='replace').decode()}")
    assert clean("zoo", "list", "--zoo", "zoo.yaml").code == 2


@pytest.mark.parametrize("format", ["table", "markdown", "csv", "json"])
def test_score(clean: Command, folder: Path, text: str, name: str, format: str) -> None:
    write_zoo(folder / "zoo", named(text), entry(f"{text} lost", weights=f"{text}.pth"))
    data = make_images(folder / f"data {name}")
    for place in list(data.iterdir()):
        place.rename(data / f"{name}{place.name}")
    words = ("score", "--zoo", "zoo/zoo.yaml", "--data", data, "--allow-code", "--samples", 18)
    done = clean(*words, "-f", format)
    if done.code == 0 and format == "json":
        json.loads(done.out)
    if done.code == 0 and format == "csv":
        assert len(list(csv.reader(io.StringIO(done.out)))) == 3
    clean("cache", "list", "-f", format)
    clean(*words, "--resume")


def test_options(clean: Command, folder: Path, name: str) -> None:
    make_images(folder / "target")
    words = ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code"]
    for more in (
        ["--model", name],
        ["--tag", name],
        ["--scores", name],
        ["--rank-by", name],
        ["--device", name],
        ["--shard", name],
        ["--step-sizes", name],
        [f"--{name}", "x"],
        [name],
        ["-o", f"x.{name}"],
        ["-o", f"{name}/x.csv"],
        ["--samples", name],
        ["--format", name],
    ):
        assert clean(*words, *more).code in (2, 3), more
    clean("score", "--zoo", f"{name}.yaml", "--data", "target")
    clean("score", "--zoo", "zoo/zoo.yaml", "--data", f"{name}.npz")
    clean(name)


def test_a_record_in_compare_check_and_merge(clean: Command, folder: Path, text: str, name: str) -> None:
    make_images(folder / "target")
    assert clean("score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--samples", 18).code == 0
    record = json.loads(Path("run.json").read_text())
    other = json.loads(json.dumps(record).replace('"net0"', json.dumps(text)).replace('"target"', json.dumps(text)))
    for one in (other, other["rows"][0] if "rows" in other else other):
        one["notes"] = [text, f"a {text}"]
    other["warnings"] = [text]
    spoilt = folder / f"{name}.json"
    spoilt.write_text(json.dumps(other))
    (folder / "truth.csv").write_bytes(
        f'model,ground_truth,dataset\n"{text}",0.5,"{text}"\nnet1,0.6,"{text}"\n'.encode(errors="surrogateescape")
    )
    for format in ("table", "markdown", "csv", "json"):
        clean("compare", spoilt, "--truth", "truth.csv", "-f", format)
        clean("check", spoilt, "--model", name, "--top-k", 1, "-f", format)
        clean("merge", spoilt, "-f", format)
    clean("merge", spoilt, "run.json")
    clean("check", "run.json", "--model", name, "--top-k", 1)
    clean("compare", "run.json", "--truth", "truth.csv", "--score", name)
    (folder / "gates.yaml").write_text(yaml.safe_dump({text: 1}))
    clean("check", "run.json", "--gates", "gates.yaml")
    (folder / "gates.yaml").write_text(yaml.safe_dump({"top_k": {"model": text, "k": 1}}))
    clean("check", "run.json", "--gates", "gates.yaml")
    (folder / "columns.csv").write_bytes(
        f'model,"{text}",ground_truth\na,1,2\nb,2,"{text}"\n'.encode(errors="surrogateescape")
    )
    clean("compare", "columns.csv")


def test_annotations_are_the_only_commands(acrank: Command, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_images(folder / "target")
    assert acrank("score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--samples", 18).code == 0
    path = Path("run.json")
    hostile = "\x1b[31m\n::set-env name=X::y\n##[add-path]/x"
    path.write_text(path.read_text().replace('"net0"', json.dumps(hostile)).replace('"net1"', '"net0"'))
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(folder / "summary.md"))
    last = max(Ranking.load(path).rows, key=lambda row: row.rank or 0).model
    done = acrank("check", path, "--model", last, "--top-k", 1)
    assert done.code == 1
    commands = [line for line in done.err.splitlines() if OBEYED.search(line)]
    assert len(commands) == 1
    assert commands[0].startswith("::error title=acrank check%3A top_k::")
    check(done.err.replace(commands[0], ""))
    check(done.out)
    assert not RAW.search(commands[0] + (folder / "summary.md").read_text())


def test_finetune(clean: Command, folder: Path, text: str, name: str) -> None:
    write_zoo(folder / "zoo", named(text), entry(f"{text} lost", weights=f"{text}.pth"))
    data = make_images(folder / f"data {name}", classes=2)
    words = ("finetune", "--zoo", "zoo/zoo.yaml", "--data", data, "--allow-code", "--epochs", 1, "--splits", 1)
    assert clean(*words, "--lr", "0.01").err
    assert clean(*words, "--method", name).code == 2


def test_zoo_scan(acrank: Command, folder: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from acrank.zoo.fingerprint_index import build_index, write_index

    for library in ("timm", "torchvision"):
        write_index(folder / "cache", library, build_index([], total=0))
    monkeypatch.setenv("ACRANK_CACHE", str(folder / "cache"))
    (folder / "in").mkdir()
    (folder / "zoo" / "net0.pth").rename(folder / "in" / f"{name}.pth")
    done = acrank("zoo", "scan", "in")
    assert done.code == 3
    check(done.out)
    check(done.err)
    assert yaml.safe_load(done.out) == {"version": 1, "models": []}


# --- what libraries and users' code print -----------------------------------------------------------------------------

NOISY = r"""
import logging, sys, warnings
from small_networks import small as quiet

def small(width=8):
    text = "\x1b]0;t\x07\n::error::x\n##[error]y\u202e"
    print(text)
    print(text, file=sys.stderr)
    sys.stdout.write("::err")
    sys.stdout.write("or::in parts\n")
    warnings.warn(text)
    logging.warning(text)
    logging.getLogger("noisy").addHandler(logging.StreamHandler(sys.stdout))
    logging.getLogger("noisy").error(text)
    sys.stderr.write("10%\r100%\n")
    return quiet(width)
"""


@pytest.mark.parametrize("more", [(), ("--workers", 1)])
def test_what_code_prints_stays_off_stdout_and_is_printable(folder: Path, more: tuple[object, ...]) -> None:
    make_images(folder / "target")
    write_zoo(folder / "zoo", entry("net0", architecture="factory:noisy:small"))
    (folder / "zoo" / "noisy.py").write_text(NOISY)
    words = ("score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--samples", 18, "-f", "json", *more)
    done = subprocess.run([sys.executable, "-m", "acrank", *map(str, words)], capture_output=True, check=True)
    assert json.loads(done.stdout)["rows"][0]["status"] == "scored"
    err = done.stderr.decode()
    check(err)
    assert err.count(r"\x1b]0;t\x07") >= 5
    assert "\n: :error::in parts\n" in err
    assert "\n100%\n" in err


BAR = """
import sys, warnings
from acrank.system.text_streams import escaped_stderr
from acrank.cli.console import say
from acrank.cli.progress import progress
with escaped_stderr(), progress("begin " + {text!r}) as advance:
    advance(1, 2, "middle " + {text!r})
    say("said " + {text!r})
    warnings.warn("warned " + {text!r})
    print("printed " + {text!r}, file=sys.stderr)
"""


def test_a_progress_bar_shows_names_as_text() -> None:
    text = "\x1b]0;title\x07\n::error::x\u202e"
    seen = on_terminal([sys.executable, "-c", BAR.format(text=text)], columns=200, COLUMNS="200")
    assert b"\x1b]" not in seen
    assert b"\x07" not in seen
    assert "\u202e".encode() not in seen
    assert not re.search(rb"^\s*::", seen, re.MULTILINE)
    for word in ("middle", "said", "warned", "printed"):
        assert rf"{word} \x1b]0;title\x07".encode() in seen


# --- stdout and stderr that cannot be written -------------------------------------------------------------------------

COMMANDS = [
    "--version",
    "--help",
    "score --help",
    "scores",
    "scores -f json",
    "cache path",
    "zoo list --zoo zoo/zoo.yaml",
]


def shell(line: str) -> subprocess.CompletedProcess[str]:
    command = line.replace("acrank", f"{sys.executable} -m acrank")
    return subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("where", ["> /dev/full", ">&-"])
@pytest.mark.parametrize("words", COMMANDS)
def test_a_stdout_that_cannot_be_written_is_an_output_error(folder: Path, words: str, where: str) -> None:
    done = shell(f"acrank {words} {where}")
    why = "stdout is closed" if "-" in where else "cannot write stdout: No space left on device"
    assert done.returncode == 2
    assert done.stderr.splitlines()[0] == f"error: {why}"
    assert done.stderr.splitlines()[1].startswith("hint: ")
    assert len(done.stderr.splitlines()) == 2


def test_a_closed_stdout_is_found_before_the_work(folder: Path) -> None:
    make_images(folder / "target")
    done = shell("acrank score --zoo zoo/zoo.yaml --data target --allow-code --samples 18 >&-")
    assert (done.returncode, done.stderr.splitlines()[0]) == (2, "error: stdout is closed")
    assert not Path("run.json").exists()


def test_a_full_stdout_keeps_what_was_computed(folder: Path) -> None:
    make_images(folder / "target")
    done = shell("acrank score --zoo zoo/zoo.yaml --data target --allow-code --samples 18 > /dev/full")
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert [row.status for row in Ranking.load(Path("run.json")).rows] == ["scored"] * 2


@pytest.mark.parametrize("where", ["2> /dev/full", "2>&-"])
@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_a_stderr_that_cannot_be_written_costs_its_lines_only(
    folder: Path, monkeypatch: pytest.MonkeyPatch, where: str, unbuffered: str
) -> None:
    monkeypatch.setenv("PYTHONUNBUFFERED", unbuffered)  # empty: Python's flush at the end has something to fail at
    make_images(folder / "target")
    done = shell(f"acrank score --zoo zoo/zoo.yaml --data target --allow-code --samples 18 -f json {where}")
    assert done.returncode == 0
    assert len(json.loads(done.stdout)["rows"]) == 2
    assert shell(f"acrank zoo list --zoo none.yaml {where}").returncode == 2


@pytest.mark.parametrize("format", ["json", "csv"])
def test_data_for_programs_survive_a_poor_encoding(folder: Path, format: str) -> None:
    write_zoo(folder / "zoo", entry("ü-日本-\U0001f600", weights="net0.pth"))
    done = shell(f"PYTHONIOENCODING=ascii acrank zoo list --zoo zoo/zoo.yaml -f {format}")
    assert done.returncode == 0
    if format == "json":
        assert json.loads(done.stdout)["models"][0]["id"] == "ü-日本-\U0001f600"
    else:
        assert done.stdout.splitlines()[1].startswith(r"\xfc-\u65e5\u672c-\U0001f600,")


def test_a_closed_stdin_does_not_matter(folder: Path) -> None:
    done: Any = shell("acrank zoo list --zoo zoo/zoo.yaml <&- | cat")
    assert (done.returncode, done.stderr) == (0, "")
