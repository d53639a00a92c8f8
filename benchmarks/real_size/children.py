"""Commands in processes of their own: seconds, peak memory, a limit on memory, and the row that `acrank score` gave.

Imports nothing heavy: a child process's peak memory starts at that of the process which started it.
"""

from __future__ import annotations

import json
import os
import platform
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

#: What RLIMIT a name of --limit-by stands for; each counts other bytes than resident ones.
LIMITS = {"as": resource.RLIMIT_AS, "data": resource.RLIMIT_DATA}
_UNITS = {"": 1, "KB": 10**3, "MB": 10**6, "GB": 10**9, "KIB": 2**10, "MIB": 2**20, "GIB": 2**30}


@dataclass(frozen=True)
class Limit:
    """Bytes that a process may have: address space ("as", ulimit -v) or private data ("data", ulimit -d)."""

    size: int
    by: str = "as"

    def apply(self) -> None:
        """Hold the calling process to it, and what it starts."""
        resource.setrlimit(LIMITS[self.by], (self.size, self.size))


@dataclass(frozen=True)
class Ended:
    """A command that ended: exit status (negative: killed by that signal), seconds, peak resident MB, and output."""

    status: int
    seconds: float
    peak: float
    output: str
    errors: str

    @property
    def how(self) -> str:
        """Its end in words, with the last line that it wrote to stderr."""
        end = f"killed by {signal.Signals(-self.status).name}" if self.status < 0 else f"exit status {self.status}"
        return "; ".join([end, *self.errors.strip().splitlines()[-1:]])


def run(
    words: Sequence[str], folder: Path, *, limit: Limit | None = None, environment: Mapping[str, str] | None = None
) -> Ended:
    """Run Python with `words`, in the current folder; its output passes through files in `folder`."""
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *words],
            stdout=out,
            stderr=err,
            env={**os.environ, **(environment or {})},
            preexec_fn=limit.apply if limit else None,  # safe: this process has one thread
        )
        _, status, usage = os.wait4(process.pid, 0)  # of this child alone; getrusage mixes all of them
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    unit = 1 if platform.system() == "Darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    texts = [(folder / name).read_text(errors="replace") for name in ("stdout", "stderr")]
    return Ended(process.returncode, seconds, usage.ru_maxrss * unit / 1e6, output=texts[0], errors=texts[1])


def must(ended: Ended) -> Ended:
    """The same, where the command succeeded.

    Raises:
        RuntimeError: it did not; the message holds its stderr.
    """
    if ended.status:
        raise RuntimeError(f"{ended.how}\n{ended.errors}")
    return ended


@dataclass(frozen=True)
class Scored:
    """An `acrank score` that ended, and its run record; empty where it left none."""

    ended: Ended
    record: Mapping[str, Any]

    @property
    def rows(self) -> list[dict[str, Any]]:
        """All rows of the record."""
        return list(self.record.get("rows", []))

    @property
    def samples(self) -> int:
        """Images, or patches, of a draw."""
        return len(self.record["target"]["draws"][0]["ids"])

    def draws(self, row: Mapping[str, Any]) -> int:
        """How many draws a row was given: its own number where `details` says one, else all of the run's."""
        own = row.get("details", {}).get("draws")
        if own is None:
            return len(self.record["target"]["draws"])
        return own if isinstance(own, int) else len(own)


def score(
    manifest: Path,
    data: Path,
    folder: Path,
    *,
    options: Sequence[str] = (),
    limit: Limit | None = None,
    environment: Mapping[str, str] | None = None,
) -> Scored:
    """`acrank score` as a user would run it, with a cache that is empty at its start.

    Raises:
        RuntimeError: the command was used wrongly (exit status 2).
    """
    record = folder / "run.json"
    record.unlink(missing_ok=True)
    cache = folder / f"cache-{time.monotonic_ns()}"
    words = ["-m", "acrank", "score", "--zoo", str(manifest), "--data", str(data), "-o", str(record), *options]
    ended = run(words, folder, limit=limit, environment={**(environment or {}), "ACRANK_CACHE": str(cache)})
    if ended.status == 2:
        raise RuntimeError(f"{' '.join(words)}\n{ended.errors}")
    return Scored(ended, json.loads(record.read_text()) if record.is_file() else {})


def one_manifest(manifests: Sequence[Path], path: Path) -> Path:
    """Write the entries of several manifests into one, at `path`."""
    import yaml

    models = []
    for manifest in manifests:
        for entry in yaml.safe_load(manifest.read_text())["models"]:
            models.append({**entry, "weights": str(manifest.parent / entry["weights"])})
    path.write_text(yaml.safe_dump({"version": 1, "models": models}))
    return path


def size_of(text: str) -> int:
    """Bytes of `4GB`, `500MB`, `4GiB` or a plain number.

    Raises:
        ValueError: anything else.
    """
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-zA-Z]*)", text.strip())
    if not found or found[2].upper() not in _UNITS:
        raise ValueError(f"no size: {text!r} (write 4GB)")
    return int(float(found[1]) * _UNITS[found[2].upper()])


def values_of(row: Mapping[str, Any]) -> dict[str, float | None]:
    """Score -> value."""
    return {name: found["value"] for name, found in row["scores"].items()}
