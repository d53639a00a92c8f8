"""A run that loads the next candidate while one computes: the same record, the same faults, no work done twice."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from helpers.faulty_zoo import comparable
from helpers.workbench import make_images

from acrank.cache import ObservationCache
from acrank.executors import InProcess
from acrank.ranking import candidates
from acrank.ranking.scoring import score
from acrank.records import Ranking
from acrank.settings import Settings
from acrank.system.network_input import NetworkInput
from acrank.zoo import Zoo, load_zoo, loading
from acrank.zoo.architectures.timm_import import import_timm


@pytest.fixture
def zoo(tmp_path: Path) -> Zoo:
    """Four small timm networks, two input sizes in turn; the third's file is cut short."""
    entries = []
    for i in range(4):
        torch.manual_seed(i)
        model = import_timm().create_model("resnet10t", num_classes=5)
        for layer in model.modules():
            if isinstance(layer, torch.nn.BatchNorm2d):
                torch.nn.init.normal_(layer.weight, 1.0, 0.3)
                torch.nn.init.normal_(layer.bias, 0.0, 0.5)
        torch.save(model.state_dict(), tmp_path / f"m{i}.pth")
        entries.append(
            {"id": f"m{i}", "architecture": "resnet10t", "weights": f"m{i}.pth", "input": {"size": 32 + 32 * (i % 2)}}
        )
    whole = (tmp_path / "m2.pth").read_bytes()
    (tmp_path / "m2.pth").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump({"version": 1, "models": entries}))
    make_images(tmp_path / "target", each=8)
    return load_zoo(tmp_path / "zoo.yaml")


def record(zoo: Zoo, path: Path, **options: object) -> dict[str, object]:
    settings = options.pop("settings", Settings(samples=12, repeats=2, race=False))
    score(zoo, zoo.path.parent / "target", settings, **options).save(path)  # type: ignore[arg-type]
    return comparable(path)


@pytest.mark.parametrize("protocol", ["one-step", "official"])
def test_the_record_is_bitwise_that_of_a_run_without(zoo: Zoo, tmp_path: Path, protocol: str) -> None:
    settings = Settings(protocol=protocol, samples=12, repeats=2, race=False)
    with_it = record(zoo, tmp_path / "a.json", settings=settings)
    without = record(zoo, tmp_path / "b.json", settings=settings, executor=InProcess(prefetch=False))
    assert with_it == without
    reasons = [row["reason"] for row in with_it["rows"] if row["status"] == "skipped"]  # type: ignore[attr-defined]
    assert len(reasons) == 1
    assert "m2.pth is truncated" in reasons[0]


def test_nothing_is_loaded_or_decoded_twice_and_what_is_cached_not_at_all(
    zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, own_cache: Path
) -> None:
    loaded: Counter[str] = Counter()
    threads: list[str] = []
    prepared: Counter[tuple[int, ...]] = Counter()
    read, prepare = loading.read_state_dict, sys.modules["acrank.targets.draws"].prepare_images

    def reading(path: Path, *more: object) -> object:
        loaded[path.name] += 1
        threads.append(threading.current_thread().name)
        return read(path, *more)

    def preparing(images: object, network_input: NetworkInput, **more: object) -> object:
        prepared[network_input.size] += 1
        return prepare(images, network_input, **more)

    monkeypatch.setattr(loading, "read_state_dict", reading)
    monkeypatch.setattr("acrank.targets.draws.prepare_images", preparing)
    cache = ObservationCache(own_cache).open()
    record(zoo.select(["m1"], []), tmp_path / "first.json", cache=cache)
    loaded.clear(), threads.clear(), prepared.clear()
    record(zoo, tmp_path / "a.json", cache=cache)
    assert loaded == {"m0.pth": 1, "m3.pth": 1}  # m2 is refused before it is read
    assert threads == ["MainThread", "acrank-prefetch"]
    assert prepared == {(32, 32): 2, (64, 64): 2}  # two draws each


def test_the_next_loads_while_this_one_computes(zoo: Zoo, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events: list[str] = []
    prepare, row_of = candidates.prepare_candidate, candidates.row_of

    def preparing(candidate: object, *more: object, **named: object) -> object:
        events.append(f"begin {candidate.id}")  # type: ignore[attr-defined]
        return prepare(candidate, *more, **named)  # type: ignore[arg-type]

    def ending(model: str, *more: object, **named: object) -> object:
        time.sleep(0.2)  # long enough for a thread to begin
        events.append(f"end {model}")
        return row_of(model, *more, **named)  # type: ignore[arg-type]

    monkeypatch.setattr("acrank.ranking.scoring.prepare_candidate", preparing)
    monkeypatch.setattr(candidates, "row_of", ending)
    record(zoo.select(["m0", "m1", "m3"], []), tmp_path / "a.json")
    assert events == ["begin m0", "begin m1", "end m0", "begin m3", "end m1", "end m3"]


def wait_for(ready: Callable[[], bool], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not ready():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.02)


def test_interrupted_while_the_next_one_hangs_is_130_and_keeps_the_rows(zoo: Zoo, tmp_path: Path) -> None:
    document = yaml.safe_load((tmp_path / "zoo.yaml").read_text())
    document["models"][1] = {"id": "m1", "source": "hf-hub:some/one"}
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump(document))
    silent = socket.create_server(("127.0.0.1", 0))  # a hub that takes requests and never answers
    hub = {"HF_ENDPOINT": f"http://127.0.0.1:{silent.getsockname()[1]}", "HF_HUB_ETAG_TIMEOUT": "60"}
    words = ["score", "--zoo", "zoo.yaml", "--data", "target", "--samples", "12", "--no-cache", "-o", "run.json"]
    command = [sys.executable, "-m", "acrank", *words]
    process = subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True, env={**os.environ, **hub})
    try:
        wait_for((tmp_path / "run.json").exists)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
        silent.close()
    assert process.returncode == 130, err
    assert [row.model for row in Ranking.load(tmp_path / "run.json").rows] == ["m0"]
