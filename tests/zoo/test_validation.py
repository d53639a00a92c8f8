"""`ok` of `zoo validate` means that the candidate will load."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from acrank.zoo import load_candidate, load_zoo, loading
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.validation import validate_zoo

timm = import_timm()


@pytest.fixture
def manifest(tmp_path: Path) -> Callable[..., Path]:
    def write(*entries: str) -> Path:
        lines = "".join(f"  - {{id: m{i}, {entry}}}\n" for i, entry in enumerate(entries))
        (tmp_path / "zoo.yaml").write_text(f"version: 1\nmodels:\n{lines}")
        return tmp_path / "zoo.yaml"

    return write


class Own:
    """A class of a training script."""


def test_what_is_ok_loads_and_what_is_not_is_refused_for_the_same_reason(
    tmp_path: Path, manifest: Callable[..., Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    tensors = timm.create_model("test_resnet", num_classes=3).state_dict()
    fewer = {name: value for name, value in tensors.items() if name != "layer4.0.conv1.weight"}
    payloads: dict[str, Any] = {
        "plain": tensors,
        "wrapped": {"state_dict": {f"module.{k}": v for k, v in tensors.items()}, "args": argparse.Namespace(lr=1)},
        "fewer": fewer,
        "code": {"state_dict": tensors, "extra": Own()},
    }
    for name, payload in payloads.items():
        torch.save(payload, tmp_path / name)
    torch.save(tensors, tmp_path / "legacy", _use_new_zipfile_serialization=False)
    save_file(tensors, tmp_path / "safe")
    save_file(fewer, tmp_path / "safe_fewer")
    good = ["plain", "wrapped", "legacy", "safe"]
    path = manifest(
        *(f"architecture: test_resnet, weights: {name}" for name in good),
        "architecture: test_resnet, weights: plain, in_chans: 1",
        "source: resnet18.a1_in1k",
        *(f"architecture: test_resnet, weights: {name}" for name in ("fewer", "safe_fewer", "code")),
        "architecture: test_byobnet, weights: plain",
        "architecture: 'torchvision:resnet18', weights: plain",
    )
    filled: list[object] = []
    monkeypatch.setattr(loading, "fill", lambda *given: filled.append(given))
    sound, problems = validate_zoo(path)
    monkeypatch.undo()
    assert filled == []
    assert [candidate.id for candidate in sound.candidates] == ["m0", "m1", "m2", "m3", "m4", "m5"]
    for candidate in sound.candidates[:5]:
        load_candidate(candidate)
    assert [str(problem).partition(":")[0] for problem in problems] == [f"model 'm{i}'" for i in (6, 7, 8, 9, 10)]
    assert "would stay random" in str(problems[0])
    assert "would run code" in str(problems[2])


def test_a_network_that_needs_memory_is_loaded(tmp_path: Path, manifest: Callable[..., Path]) -> None:
    """torchvision's RegNet reads numbers from tensors while it is built."""
    from acrank.zoo.architectures.torchvision_networks import built_without_weights

    torch.save(built_without_weights("regnet_y_400mf").state_dict(), tmp_path / "w")
    path = manifest("architecture: 'torchvision:regnet_y_400mf', weights: w")
    assert validate_zoo(path)[1] == []
    assert len(load_zoo(path).candidates) == 1
