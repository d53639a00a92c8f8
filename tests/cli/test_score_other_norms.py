"""`acrank score` on a zoo of networks with BatchNorm, with LayerNorm and without any affine normalisation."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import yaml
from helpers.workbench import Outcome, make_images

from acrank.records import Ranking, Row
from acrank.zoo.architectures.timm_import import import_timm

Command = Callable[..., Outcome]
NETWORKS = {"batch": "test_resnet", "layer": "test_vit", "none": "test_nfnet"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with one small timm network of each kind, and a target."""
    monkeypatch.chdir(tmp_path)
    entries = []
    for seed, (name, architecture) in enumerate(NETWORKS.items()):
        torch.manual_seed(seed)
        model = import_timm().create_model(architecture, num_classes=5)
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d | torch.nn.LayerNorm):
                torch.nn.init.normal_(module.weight, 1.0, 0.3)
                torch.nn.init.normal_(module.bias, 0.0, 0.3)
            if isinstance(module, torch.nn.BatchNorm2d) and module.running_mean is not None:
                module.running_mean += 0.1
        torch.save(model.state_dict(), f"{name}.pth")
        size = {"size": 160 if name == "layer" else 64, "mean": [0.5] * 3, "std": [0.5] * 3}
        entries.append({"id": name, "architecture": architecture, "weights": f"{name}.pth", "input": size})
    Path("zoo.yaml").write_text(yaml.safe_dump({"version": 1, "models": entries}))
    make_images(tmp_path / "target", each=6)
    return tmp_path


def rows(acrank: Command, scores: str) -> dict[str, Row]:
    words = ["score", "--zoo", "zoo.yaml", "--data", "target", "--samples", 12, "--repeats", 1, "--no-cache"]
    done = acrank(*words, "--scores", scores)
    assert done.code == 0, done.err
    return {row.model: row for row in Ranking.load(Path("run.json")).rows}


def test_a_score_that_a_network_lacks_does_not_cost_it_the_others(acrank: Command, folder: Path) -> None:
    alone = rows(acrank, "logme")
    both = rows(acrank, "logme,ac_corr,kernel_target_alignment")
    assert {row.status for row in [*alone.values(), *both.values()]} == {"scored"}
    for name in NETWORKS:
        assert both[name].value("logme") is not None
        assert both[name].rank is not None
    assert alone["none"].value("logme") is not None
    lacking = both["none"].scores["ac_corr"]
    assert lacking.value is None
    assert lacking.note
    for name in ("batch", "layer"):
        assert both[name].value("ac_corr") is not None
        assert both[name].value("kernel_target_alignment") is not None


def test_every_kind_is_ranked_by_the_default_and_says_what_it_is(acrank: Command, folder: Path) -> None:
    found = rows(acrank, "finetunability,ac_corr")
    assert sorted(row.rank or 0 for row in found.values()) == [1, 2, 3]
    assert not any(note.startswith("extension") for note in found["batch"].notes)
    (said,) = [note for note in found["layer"].notes if note.startswith("extension: ")]
    assert "LayerNorm" in said
    assert any("no affine normalisation" in note for note in found["none"].notes)
