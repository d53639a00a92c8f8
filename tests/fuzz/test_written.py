"""The judge of written files sees what it is for: each planted fault is told, and sound files have none."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from fuzz.case import Case
from fuzz.judge import Ended, faults_of
from fuzz.written import PLANTED, faults_of_file, faults_of_manifest, faults_of_page

_PAGE = (
    '<!DOCTYPE html><html lang="en"><head><title>{title}</title><style>p {{}}</style></head><body><h1>{title}</h1>'
    '<a href="#data">x</a><img src="data:image/jpeg;base64,AA=="><td title="{title}">{cell}</td>'
    '<script type="application/json" id="record">{record}</script><script type="module">{script}</script></body></html>'
)
_SOUND = {"title": "a &lt;b&gt;", "cell": "x", "record": '{"a":"\\u003c/script\\u003e"}', "script": "let a = 1 < 2"}


def page(**changes: str) -> list[str]:
    return list(faults_of_page(_PAGE.format(**_SOUND | changes)))


def test_a_sound_page_has_no_fault() -> None:
    assert page() == []


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"cell": "<iframe src=//x>"}, "foreign markup: <iframe>"),
        ({"cell": "<svg onload=x()>"}, "foreign attribute: <svg onload>"),
        ({"title": '" onmouseover="x()'}, "foreign attribute: <td onmouseover>"),
        ({"cell": "<img src=x onerror=x()>"}, "2 <img>"),
        ({"cell": "<a href='javascript:x()'>"}, "foreign address: <a href='javascript:x()'>"),
        ({"cell": "<p style='position:fixed'>"}, "foreign attribute: <p style>"),
        ({"title": "</title><title>"}, "3 <title>"),
        ({"record": '{"a":"</script><script>x()</script>"}'}, "the data record of the page are no JSON"),
        ({"record": "{NaN"}, "the data record of the page are no JSON"),
        ({"script": f"let a = '{PLANTED}'"}, "foreign text is in the page's script"),
        ({"cell": f"<script>{PLANTED}()</script>"}, "foreign text is in the page's script"),
    ],
)
def test_foreign_markup_is_told(changes: dict[str, str], fault: str) -> None:
    assert fault in "; ".join(page(**changes))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("version: 1\nmodels: [{id: a, weights: x/a.pth}]", ""),
        ("models: [{id: a, weights: x/cut.pth}]", "x/cut.pth is an entry of the manifest"),
        ("models: [{id: a}, {id: a}]", "the manifest has 2 entries of 1 names"),
        (f"models: [{{id: a, {PLANTED}: 1}}]", "foreign text is a key of an entry"),
        ("models: [", "the manifest is none: ParserError"),
        ("models: 3", "the manifest is none: TypeError"),
        ("- x", "the manifest is none: TypeError"),
    ],
)
def test_manifests_that_no_scan_may_write(text: str, fault: str) -> None:
    found = "; ".join(faults_of_manifest(text, ["x/cut.pth"]))
    assert fault in found
    assert bool(fault) == bool(found)


@pytest.mark.parametrize(
    ("name", "raw", "fault"),
    [
        ("a.json", b'{"a": 1}', ""),
        ("a.json", b'{"a": NaN}', "a.json: no JSON: NaN is no JSON"),
        ("a.json", b'{"a"', "a.json: no JSON"),
        ("a.csv", b'a,b\n1,"2\n3"\n', ""),
        ("a.csv", b"a,b\n1,2,3\n", "a.csv: rows of [2, 3] cells"),
        ("a.png", b"\x89PNG\r\n\x1a\n", "a.png: no PNG"),
        ("a.html", b"<object data=x>", "a.html: foreign markup: <object>"),
        ("a.txt", b"\xff", ""),
    ],
)
def test_files_of_every_kind(tmp_path: Path, name: str, raw: bytes, fault: str) -> None:
    (tmp_path / name).write_bytes(raw)
    found = "; ".join(faults_of_file(tmp_path / name, ()))
    assert fault in found
    assert bool(fault) == bool(found)


def test_the_judge_looks_at_what_a_command_wrote_and_at_nothing_that_it_refused(tmp_path: Path) -> None:
    Image.new("RGB", (2, 2)).save(tmp_path / "sheet.png")
    argv = ("inspect", "-o", "sheet.png", "-o", "found.yaml")
    written = ("sheet.png", "found.yaml")
    case = Case(entry="x", seed=0, move="x", folder=tmp_path, argv=argv, written=written, unlisted=("cut.pth",))
    fine = Ended(code=0, timed_out=False, seconds=1, cpu=1, memory=0, orphans=0, out=b"", err=b"", events="")
    refused = Ended(code=2, timed_out=False, seconds=1, cpu=1, memory=0, orphans=0, out=b"", err=b"error: x", events="")
    assert faults_of(case, fine, {}) == []
    (tmp_path / "sheet.png").write_bytes(b"x")
    (tmp_path / "found.yaml").write_text("models: [{id: a, weights: cut.pth}]")
    told = faults_of(case, fine, {})
    assert [text.partition(":")[0] for text in told] == ["sheet.png", "found.yaml"]
    assert faults_of(case, refused, {}) == []
