"""Random checkpoints, and time and memory of commands, for the scripts of this folder.

Imports nothing heavy: a child process's peak memory starts at that of the process which started it.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ran:
    """One run of a command: wall and CPU seconds, peak resident memory in MiB, and its stdout."""

    seconds: float
    cpu: float
    peak: float
    output: str


def run(words: Sequence[str], folder: Path, environment: Mapping[str, str] | None = None) -> Ran:
    """Run Python with `words` in `folder`.

    Raises:
        RuntimeError: it failed; the message holds its stderr.
    """
    with (folder / "stdout").open("w") as out, (folder / "stderr").open("w") as err:
        started = time.perf_counter()
        process = subprocess.Popen(
            [sys.executable, *words], cwd=folder, stdout=out, stderr=err, env={**os.environ, **(environment or {})}
        )
        _, status, usage = os.wait4(process.pid, 0)  # of this child alone; getrusage mixes all of them
        seconds = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"{' '.join(words)} ended with {process.returncode}: {(folder / 'stderr').read_text()}")
    unit = 1 if platform.system() == "Darwin" else 1024  # ru_maxrss is in bytes there, in KiB elsewhere
    cpu = usage.ru_utime + usage.ru_stime
    return Ran(seconds, cpu, usage.ru_maxrss * unit / 2**20, (folder / "stdout").read_text())


def make_zoo(folder: Path, architecture: str, *, files: int, candidates: int, size: int) -> Path:
    """A manifest of `candidates` candidates that use `files` checkpoints of random weights in turn."""
    import torch

    from acrank.zoo.architectures.timm_import import import_timm

    folder.mkdir(parents=True, exist_ok=True)
    for i in range(files):
        torch.manual_seed(i)
        model = import_timm().create_model(architecture, num_classes=10)
        for layer in model.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):  # affines as after training: no two channels alike
                torch.nn.init.normal_(layer.weight, 1.0, 0.3)
                torch.nn.init.normal_(layer.bias, 0.0, 0.3)
        model.train()(torch.rand(4, 3, size, size))  # statistics that were updated once
        torch.save(model.state_dict(), folder / f"m{i}.pth")
    return write_manifest(folder, architecture, files=files, candidates=candidates, size=size)


def write_manifest(folder: Path, architecture: str, *, files: int, candidates: int, size: int) -> Path:
    """The manifest alone, over checkpoints that exist already."""
    path = folder / f"zoo{candidates}.yaml"
    lines = ["version: 1", "models:"]
    for i in range(candidates):
        fields = f"id: m{i:03d}, architecture: {architecture}, weights: m{i % files}.pth, input: {{size: {size}}}"
        lines.append(f"  - {{{fields}}}")
    path.write_text("\n".join(lines) + "\n")
    return path


def machine() -> dict[str, Any]:
    """The machine that the figures were measured on, and its load."""
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} CPUs, {platform.system()}",
        "python": platform.python_version(),
        "load": [round(value, 2) for value in os.getloadavg()],
    }


def ratio(above: Sequence[float], below: Sequence[float]) -> dict[str, Any]:
    """The median over rounds of the ratio within a round, and all of them."""
    all_of_them = [a / b for a, b in zip(above, below, strict=True)]
    return {"median": statistics.median(all_of_them), "rounds": [round(value, 4) for value in all_of_them]}
