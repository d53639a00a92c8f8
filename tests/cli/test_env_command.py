"""`acrank env`: what it says is what the machine and the package's metadata say."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import torch
from helpers.workbench import Outcome

from acrank.cli.env import _cache

Run = Callable[..., Outcome]


def test_what_is_said_is_so(acrank: Run, own_cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ACRANK_SEED", "7")
    monkeypatch.delenv("ACRANK_CONFIG")
    (tmp_path / "acrank.toml").write_text('device = "cpu"\n')
    (own_cache / "observations").mkdir()
    (own_cache / "observations" / "a.h5").write_bytes(bytes(1234))
    found = json.loads(acrank("env", "-f", "json").out)
    assert found["kind"] == "acrank-env"
    assert (found["python"], found["executable"]) == (platform.python_version(), sys.executable)
    assert found["versions"]["torch"] == importlib.metadata.version("torch")
    extras = importlib.metadata.metadata("acrank").get_all("Provides-Extra") or []
    assert set(found["extras"]) == {*extras} - {"dev"}
    assert found["memory"]["total"] == psutil.virtual_memory().total
    assert 0 < found["memory"]["free"] <= found["memory"]["total"]
    assert [one["device"] for one in found["devices"]][: 1 + torch.cuda.device_count()] == [
        "cpu",
        *(f"cuda:{index}" for index in range(torch.cuda.device_count())),
    ]
    assert found["cache"] == {"folder": str(own_cache), "files": 1, "bytes": 1234}
    assert found["configuration"] == {"path": str(tmp_path / "acrank.toml"), "device": "cpu"}
    assert found["variables"]["ACRANK_SEED"] == "7"


def test_torchvision_is_judged_by_what_import_timm_does(acrank: Run) -> None:
    said = json.loads(acrank("env", "-f", "json").out)["torchvision"]
    plain = subprocess.run([sys.executable, "-c", "import timm"], capture_output=True, text=True, check=False)
    assert ("import_timm" in said) == ("torchvision::nms" in plain.stderr)
    mended = "import acrank; acrank.import_timm(); import timm; timm.create_model('test_resnet')"
    assert subprocess.run([sys.executable, "-c", mended], capture_output=True, check=False).returncode == 0


def test_files_that_another_process_takes_away_are_not_counted(
    own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (own_cache / "a.h5").write_bytes(bytes(1234))
    (own_cache / "link.h5").symlink_to("a.h5")
    walk = os.walk
    listed = [(place, folders, [*names, "gone.h5"]) for place, folders, names in walk(own_cache)]
    monkeypatch.setattr(os, "walk", lambda folder: iter(listed))
    assert _cache() == {"folder": str(own_cache), "files": 1, "bytes": 1234}
