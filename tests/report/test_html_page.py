"""The page as text: whole, self-contained, and the same markup whatever the names are."""

from __future__ import annotations

import base64
import functools
import gzip
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from helpers.made_runs import made_run, refine
from hypothesis import given, settings
from hypothesis import strategies as st

from acrank.errors import MissingExtraError, TableError
from acrank.records import Ranking
from acrank.report import ReportParts, report_html

pytest.importorskip("altair")
HOSTILE = [
    "</script><script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "\"><svg onload='alert(1)'>",
    "a\0b\u202egnp.\u2066",
    "{{ 7*7 }}{% raw %}",
    "javascript:alert(1)//${alert(1)}`",
    "datum['s' + score]",
    "x" * 2000,
]


class Outline(HTMLParser):
    """What a browser sees: elements with their attributes' names, and the text of the scripts by id."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, ...]] = []
        self.addresses: list[str] = []
        self.data: dict[str, str] = {}
        self.text: list[str] = []
        self._open: str | None = None
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag != "wbr":
            self.tags.append((tag, *found))
        self.addresses += [found[name] or "" for name in ("src", "href", "srcset", "action") if name in found]
        self._open = found.get("id") if tag == "script" else None

    def handle_endtag(self, tag: str) -> None:
        self._open = None

    def handle_data(self, data: str) -> None:
        if self._open:
            self.data[self._open] = self.data.get(self._open, "") + data
        else:
            self.text.append(data)


def unpacked(text: str) -> Any:
    data = json.loads(text)
    return json.loads(gzip.decompress(base64.b64decode(data["gzip"]))) if "gzip" in data else data


def run_of(names: list[str]) -> Ranking:
    """A run whose every text is one of the names, in an order that does not depend on them."""
    ranking = made_run([f"{place}{name}" for place, name in enumerate(names)], layers=2, skipped=1)
    first = names[0]
    ranking.target = {"name": first, "task": first, "understood": {first: {first: [first]}}}
    ranking.settings = {"protocol": first, "zoo": {"name": first}}
    ranking.warnings, ranking.notes = [first], [first]
    for row in ranking.rows:
        row.notes = list(names[:2])
        row.weights["file"] = first
        row.layers = [{**layer, "name": names[-1]} for layer in row.layers]
    return ranking


@functools.cache
def benign_tags() -> list[tuple[str, ...]]:
    return Outline(report_html(run_of(["a", "b", "c"]), ReportParts(title="t"))).tags


@given(st.lists(st.sampled_from(HOSTILE) | st.text(min_size=1, max_size=40), min_size=3, max_size=3))
@settings(max_examples=12)
def test_names_change_no_markup(names: list[str]) -> None:
    ranking = run_of(names)
    found = Outline(report_html(ranking, ReportParts(title=names[0])))
    assert found.tags == benign_tags()
    assert Ranking.from_record(unpacked(found.data["record"])).to_record() == ranking.to_record()


def test_the_page_makes_no_request_and_forbids_it() -> None:
    page = report_html(made_run(["a", "b", "c"], layers=2), ReportParts(sheet=b"jpeg"))
    addresses = Outline(page).addresses
    assert addresses
    assert [one for one in addresses if not one.startswith(("#", "data:"))] == []
    style = re.search(r"<style>(.*?)</style>", page, re.S)
    assert style is not None
    assert [one for one in re.findall(r"url\(['\"]?([^)]*)", style[1]) if not one.startswith("data:")] == []
    assert "@import" not in style[1]
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;") or policy[1].startswith("default-src 'none'")
    assert "unsafe-eval" not in policy[1]


def test_equal_records_give_equal_pages() -> None:
    assert report_html(made_run(["a", "b"])) == report_html(made_run(["a", "b"]))


def test_every_row_stands_in_the_page_without_a_script() -> None:
    text = "".join(Outline(report_html(made_run([f"model-{i}" for i in range(120)], skipped=2))).text)
    assert [name for i in range(120) if (name := f"model-{i}") not in text] == []
    assert "model-119 could not be read" in text


def test_a_run_in_which_nothing_was_ranked_has_a_page_without_charts() -> None:
    found = Outline(report_html(made_run(["a", "b"], skipped=2)))
    assert json.loads(found.data["page-data"])["charts"] == []
    assert "No candidate was ranked" in "".join(found.text)


def test_a_run_that_was_not_finished_says_so_before_its_verdict() -> None:
    ranking = made_run(["a", "b", "c"])
    assert "was not finished" not in report_html(ranking)
    ranking.candidates, ranking.complete = 5, False
    text = " ".join(Outline(report_html(ranking)).text)
    said = text.index("the run was not finished: 3 of 5 candidates have a row")
    assert text.index("Verdict") < said < text.index(ranking.verdict[0])


def test_figures_of_a_comparison() -> None:
    one = {"dataset": "", "score": "logme", "kind": "score", "n": 9, "weighted_tau": 0.5, "verdict": None}
    one |= {"weighted_tau_low": 0.25, "weighted_tau_high": 0.75}
    record = {"kind": "acrank-comparison", "results": [one], "averages": [], "warnings": ["few models"]}
    text = " ".join(Outline(report_html(made_run(["a", "b"]), ReportParts(comparison=record))).text)
    assert "0.25 to 0.75" in text
    assert "few models" in text
    with pytest.raises(TableError, match="no record of `acrank compare`"):
        report_html(made_run(["a", "b"]), ReportParts(comparison={"kind": "acrank-run"}))


def test_a_run_with_a_short_training_and_a_verdict() -> None:
    ranking = refine(made_run([f"m{place}" for place in range(6)]), 4)
    found = Outline(report_html(ranking))
    text = " ".join(found.text)
    assert all(sentence in text for sentence in ranking.verdict)
    assert "0.69 to 0.79" in text
    assert "training failed: out of memory" in text
    assert "Quality (balanced accuracy) of 3 candidates" in text
    page = json.loads(found.data["page-data"])
    assert "curves" in [chart["id"] for chart in page["charts"]]
    first = [row for row in page["datasets"]["curves"] if row["m"].startswith("1. ")]
    assert [(row["e"], row["q"]) for row in first] == [(1, 0.5), (2, 0.65), (3, 0.7), (4, 0.725), (5, 0.74)]
    assert (first[-1]["lo"], first[-1]["hi"]) == (0.69, 0.79)


def test_bars_are_of_the_short_training_first_with_its_interval() -> None:
    ranking = refine(made_run([f"m{place}" for place in range(6)]), 4)
    page = json.loads(Outline(report_html(ranking)).data["page-data"])
    bars = next(chart for chart in page["charts"] if chart["id"] == "scores")
    choice = next(one for one in bars["spec"]["params"] if one["name"] == "score")
    place = len(ranking.score_names)
    assert (choice["value"], choice["bind"]["options"][:2]) == (str(place), [str(place), "0"])
    assert choice["bind"]["labels"][0] == "balanced accuracy of a short training (higher is better)"
    best, *_, last = page["datasets"]["candidates"]
    assert [best[f"{field}{place}"] for field in "slh"] == [0.74, 0.69, 0.79]
    assert f"s{place}" not in last


def test_a_missing_library_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    from acrank.report.script_libraries import check_libraries

    monkeypatch.setitem(sys.modules, "itables", None)
    with pytest.raises(MissingExtraError, match="reports need itables") as caught:
        check_libraries()
    assert caught.value.hint == "pip install 'acrank[report]'"


def test_files_of_the_working_folder_are_not_read(tmp_path: Path) -> None:
    """The package with the tables would take its options from such a file, and read it to its end."""
    made_run(["a", "b"]).save(tmp_path / "run.json")
    (tmp_path / "acrank.toml").touch()  # acrank looks no further
    (tmp_path / "pyproject.toml").symlink_to("/dev/zero")
    command = [sys.executable, "-m", "acrank", "report", "run.json"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_too_little_address_space_is_an_error_not_a_crash(tmp_path: Path) -> None:
    """V8 reserves many gigabytes of addresses and traps where `ulimit -v` refuses them."""
    made_run(["a", "b"]).save(tmp_path / "run.json")
    command = f"ulimit -Sv 4000000; '{sys.executable}' -m acrank report run.json"
    done = subprocess.run(["bash", "-c", command], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr  # the soft limit is the user's own to raise
    done = subprocess.run(["bash", "-c", command.replace("-Sv", "-v")], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr.startswith("error: the charts of the report cannot be put together")
