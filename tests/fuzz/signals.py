"""Signals at random moments, mostly after rows were written: no row may be lost, doubled or changed."""

from __future__ import annotations

import json
import shutil
import signal
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from random import Random
from typing import Any

import yaml

import acrank
from fuzz.client import Server
from fuzz.judge import Ended
from fuzz.materials import INPUT, QUICK, write_images

_WEIGHTS = Path(acrank.__file__).parent / "demo" / "weights"
_TIMEOUT = 180.0
_DIED = {signal.SIGINT: (0, 130), signal.SIGTERM: (0, 130, 143, -signal.SIGTERM)}
#: Parts of a row that say when and where it was computed, or that depend on the other rows.
_APART = ("rank", "band", "seconds", "details")

Rows = dict[str, Any]


@dataclass(frozen=True)
class Command:
    """A command that writes rows.

    Attributes:
        argv: its words.
        file: its record.
        rows: how many it has in the end.
        key: of a row, by the names of its parts.
        holder: the record's list of rows.
    """

    argv: tuple[str, ...]
    file: str
    rows: int
    holder: str
    key: tuple[str, ...]

    def rows_of(self, raw: bytes) -> tuple[Rows, list[str]]:
        """Finished rows by key without what may differ, and the keys that are there twice."""
        found: Rows = {}
        twice = []
        for row in json.loads(raw)[self.holder]:
            name = "/".join(str(row[part]) for part in self.key)
            twice += [name] if name in found else []
            if row.get("status", "scored") == "scored" and not row.get("reason"):
                found[name] = {part: value for part, value in row.items() if part not in _APART}
        return found, twice


class Runs:
    """Commands over a zoo of six candidates, and what they give when nobody interrupts.

    Args:
        folder: for the zoo and the data; created.
    """

    def __init__(self, folder: Path, server: Server) -> None:
        folder.mkdir(parents=True)
        self.folder, self._server = folder, server
        names = sorted(path.stem for path in _WEIGHTS.glob("efficientnet-*.safetensors"))[:6]
        entries = [
            {
                "id": name,
                "architecture": "test_efficientnet",
                "weights": f"{_WEIGHTS / name}.safetensors",
                "input": INPUT,
            }
            for name in names
        ]
        (folder / "zoo.yaml").write_text(yaml.safe_dump({"version": 1, "models": entries}))
        write_images(folder / "data")
        where = ("--zoo", str(folder / "zoo.yaml"), "--data", str(folder / "data"))
        training = ("--model", ",".join(names[:2]), "--epochs", "2", "--splits", "2", "--lr", "0.01")
        outputs = ("-o", "run.json", "-o", "scores.csv")
        self.score = Command(("score", *where, *QUICK, *outputs), "run.json", 6, "rows", ("model",))
        self.finetune = Command(
            ("finetune", *where, *training, "-o", "truth.json", "-o", "truth.csv"),
            "truth.json",
            4,
            "outcomes",
            ("model", "method", "split", "seed"),
        )

    @cached_property
    def expected(self) -> dict[str, Rows]:
        """Rows of both commands, uninterrupted, by their first word."""
        return {command.argv[0]: self._uninterrupted(command) for command in (self.score, self.finetune)}

    def _uninterrupted(self, command: Command) -> Rows:
        ended = self._server.run(self.folder, _TIMEOUT, argv=[*command.argv], env=self._env(self.folder))
        if ended.code:
            raise RuntimeError(ended.err.decode())
        return command.rows_of((self.folder / command.file).read_bytes())[0]

    def interrupt(self, seed: int, folder: Path, *, workers: bool) -> list[str]:
        """Run, signal, and resume; what is wrong, as sentences."""
        random = Random(f"signal:{seed}")
        folder.mkdir(parents=True)
        command = self.score if workers or random.random() < 0.6 else self.finetune
        number = random.choice((signal.SIGINT, signal.SIGINT, signal.SIGTERM))
        plan = self._plan(command, number, random)
        argv = [*command.argv, *(("--workers", "2") if workers else ())]
        more = {"env": self._env(folder), "signal": plan, "bounded": False, "grace": 5.0}
        ended = self._server.run(folder, _TIMEOUT, argv=argv, **more)
        what = f"{command.argv[0]}{' with workers' if workers else ''}, {number.name} after {plan['rows']} rows"
        return [f"{what}: {fault}" for fault in self._faults(command, folder, ended, number)]

    def _plan(self, command: Command, number: int, random: Random) -> dict[str, Any]:
        rows = random.choice((0, *range(1, command.rows), *range(1, command.rows)))
        return {
            "number": int(number),
            "group": number == signal.SIGINT,
            "file": command.file,
            "count": '"model": ' if command.holder == "rows" else '"trials"',
            "rows": rows,
            "after": random.uniform(0, 1.0 if not rows else random.choice((0.01, 0.3))),
            "again": random.choice((None, None, None, 0.05)),
        }

    def _faults(self, command: Command, folder: Path, ended: Ended, number: int) -> Iterator[str]:
        """Of the interrupted run, then of the resumed one."""
        if ended.timed_out:
            yield f"hangs, {ended.seconds:.0f} s"
        elif ended.code not in _DIED[signal.Signals(number)]:
            yield f"exit code {ended.code}: {ended.err[-300:]!r}"
        if b"Traceback" in ended.err:
            yield f"traceback: {ended.err[-300:]!r}"
        if ended.orphans:
            yield f"{ended.orphans} processes outlive it"
        path = folder / command.file
        before = command.rows_of(ended.before)[0] if ended.before else {}
        if before and not path.exists():
            yield "its record is gone"
            return
        yield from _compared("after the signal", command, before, path.read_bytes() if path.exists() else b"")
        resumed = self._server.run(folder, _TIMEOUT, argv=[*command.argv, "--resume"], env=self._env(folder))
        if resumed.code:
            yield f"--resume ends with {resumed.code}: {resumed.err[-300:]!r}"
            return
        yield from _compared("after --resume", command, before, path.read_bytes())
        yield from _compared("in the end", command, self.expected[command.argv[0]], path.read_bytes())

    @staticmethod
    def _env(folder: Path) -> dict[str, str]:
        return {"ACRANK_CACHE": str(folder / "cache"), "ACRANK_NO_CACHE": "1"}


def _compared(when: str, command: Command, wanted: Rows, raw: bytes) -> Iterator[str]:
    """Rows that are lost, doubled or changed."""
    if not raw:
        return
    try:
        found, twice = command.rows_of(raw)
    except (ValueError, KeyError) as error:
        yield f"{when} the record is damaged: {error}"
        return
    if twice:
        yield f"{when} {', '.join(twice)} doubled"
    for name, row in wanted.items():
        if name not in found:
            yield f"{when} {name} is lost"
        elif found[name] != row:
            parts = [part for part in row if found[name].get(part) != row[part]]
            yield f"{when} {name} has changed in {', '.join(parts)}"


def many(count: int, with_workers: int, *, seed: int = 0) -> int:
    """So many signals, so many of them to runs with workers; 1 where something is lost."""
    folder = Path(tempfile.mkdtemp(prefix="acrank-signals-"))
    failed = 0
    with Server() as server:
        runs = Runs(folder / "runs", server)
        for index in range(count):
            place = folder / str(index)
            faults = runs.interrupt(seed * 1_000_000 + index, place, workers=index < with_workers)
            failed += bool(faults)
            if faults:
                print(f"FAIL {index}: {'; '.join(faults)}\n     {place}", flush=True)
            else:
                shutil.rmtree(place, ignore_errors=True)
    print(f"{count} signals, {min(count, with_workers)} with workers, {failed} failed")
    return int(bool(failed))
