"""`.ci/audit` asks about every library, oldest and installed, and fails on a known hole that is not answered."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from helpers.local_server import served

import acrank

pytest.importorskip("pip_audit")
ROOT = Path(acrank.__file__).parents[1]
PINS = dict(line.split("==") for line in (ROOT / ".ci" / "lowest.txt").read_text().split())
ANSWERED = [line.split()[0] for line in (ROOT / ".ci" / "answered.txt").read_text().splitlines() if line[0] != "#"]


@contextmanager
def service(holes: dict[str, str]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """A local service as osv.dev's: its address, and what it was asked. `holes`: IDs by package."""
    asked: list[tuple[str, str]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            question = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            name = question["package"]["name"].lower()
            asked.append((name, question["version"]))
            affected = {"package": {"name": name, "ecosystem": "PyPI"}, "versions": [question["version"]]}
            answer = {"vulns": [{"id": holes[name], "summary": "", "affected": [affected]}]} if name in holes else {}
            body = json.dumps(answer).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    with served(Handler) as address:
        yield f"{address}/v1/query", asked


def audit(url: str) -> subprocess.CompletedProcess[str]:
    command = [str(ROOT / ".ci" / "audit"), sys.executable, "--osv-url", url]
    return subprocess.run(command, capture_output=True, text=True, timeout=300)


@pytest.mark.slow
def test_every_bound_and_every_installed_library_is_asked_about() -> None:
    with service({"ray": ANSWERED[0]}) as (url, asked):
        done = audit(url)
    assert done.returncode == 0, done.stderr
    assert set(PINS.items()) <= set(asked)
    assert {"torch", "timm", "pillow", "h5py", "pytest"} <= {name for name, _ in asked[len(PINS) :]}


@pytest.mark.slow
def test_a_known_hole_fails() -> None:
    with service({"pillow": "PYSEC-2026-1"}) as (url, _):
        done = audit(url)
    assert done.returncode == 1
    assert "PYSEC-2026-1" in done.stdout


def test_answers_say_why() -> None:
    for line in (ROOT / ".ci" / "answered.txt").read_text().splitlines():
        assert line.startswith("#") or len(line.split()) > 5, line
