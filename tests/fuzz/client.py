"""Servers, and running cases on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Any

from fuzz.case import Case
from fuzz.judge import SECONDS, Ended, digests_of, faults_of

_TESTS = Path(__file__).resolve().parents[1]


class Server:
    """A warmed-up process that runs commands in forks of itself; see `fuzz.server`.

    Example: `with Server() as server: faults = server.judge(case)`.
    """

    def __init__(self) -> None:
        places = [str(_TESTS.parent), str(_TESTS), *filter(None, [os.environ.get("PYTHONPATH")])]
        env = {**os.environ, "PYTHONPATH": os.pathsep.join(places), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "0"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fuzz.server"], env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()

    def run(self, folder: Path, timeout: float = SECONDS, **request: Any) -> Ended:
        """Run a command, or a planted fault, in a fork; `request` as in `fuzz.server.perform`."""
        with tempfile.TemporaryDirectory(prefix="fuzz-out-") as out:
            asked = {"argv": [], "env": {}, "grace": 2.0, **request, "cwd": str(folder), "out": out, "timeout": timeout}
            answer = self._ask(asked)
            said = {name: _read(Path(out, name)) for name in ("stdout", "stderr", "events")}
            before = Path(out, "before").read_bytes() if Path(out, "before").exists() else None
        events = said["events"].decode("utf-8", "replace")
        return Ended(**answer, out=said["stdout"], err=said["stderr"], events=events, before=before)

    def judge(self, case: Case, timeout: float = SECONDS) -> list[str]:
        """Run a case; what is wrong, as sentences."""
        digests = digests_of(case)
        return faults_of(case, self.end(case, timeout), digests)

    def end(self, case: Case, timeout: float = SECONDS) -> Ended:
        """Run a case."""
        cache = {"ACRANK_CACHE": str(case.folder / "cache")}
        more = {"meanwhile": case.meanwhile} if case.meanwhile else {}
        env = {**cache, **case.env}
        return self.run(case.folder, timeout, argv=list(case.argv), env=env, terminal=case.terminal, **more)

    def _ask(self, request: dict[str, Any]) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"the server ended with {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def _read(path: Path) -> bytes:
    """The beginning of what a command said; a command that says more fails for its length."""
    if not path.exists():
        return b""
    with path.open("rb") as file:
        return file.read(4 * 2**20)
