"""--amp and --deterministic: what they change, what they leave, and that records and cache know of them."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from helpers.workbench import Outcome, dense_entry, input_of, make_images, make_masks, make_zoo, write_zoo
from torch import Tensor, nn

from acrank.observation.draw_passes import DrawPasses
from acrank.observation.features import in_mixed_precision, read_images
from acrank.observation.one_step import take_one_step, wrap_in_ac_norm
from acrank.ranking.candidates import score_candidate
from acrank.records import Ranking, Row
from acrank.settings import Settings
from acrank.system.machine import deterministic, mixed_dtype
from acrank.system.network_input import NetworkInput
from acrank.targets import open_target
from acrank.targets.draws import make_draws
from acrank.zoo import load_zoo
from acrank.zoo.loading import LoadedModel

Command = Callable[..., Outcome]
CUDA = torch.device("cuda")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    make_zoo(tmp_path / "zoo")
    make_images(tmp_path / "target")
    return tmp_path


def words(*more: object) -> list[object]:
    return ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", "--samples", 18, *more]


def rows(folder: Path) -> list[Row]:
    return sorted(Ranking.load(folder / "run.json").rows, key=lambda row: row.model)


def row_under(folder: Path, **options: Any) -> Row:
    settings = Settings(allow_code=True, samples=18, repeats=1, **options).for_task("classification")
    draws = make_draws(open_target(folder / "target"), samples=18, repeats=1, seed=0)
    return score_candidate(load_zoo(folder / "zoo" / "zoo.yaml").candidates[0], draws, settings, None)


def test_amp_is_near_but_other_arithmetic_and_cached_apart(acrank: Command, folder: Path) -> None:
    assert acrank(*words()).code == 0
    plain = rows(folder)
    done = acrank(*words("--amp"))
    assert done.code == 0, done.err
    mixed = rows(folder)
    assert not any(row.details.cached for row in mixed)
    assert Ranking.load(folder / "run.json").settings["amp"] is True
    assert [row.details.precision for row in (*plain, *mixed)] == [None] * 3 + ["bfloat16"] * 3
    for one, other in zip(plain, mixed, strict=True):
        for name in ("ac_corr", "channel_alignment", "gradient_norm"):
            values = (one.scores[name].value, other.scores[name].value)
            assert values[0] == pytest.approx(values[1], rel=0.1)
        assert one.scores["gradient_norm"].value != other.scores["gradient_norm"].value


def test_amp_of_segmentation_and_of_training(acrank: Command, folder: Path) -> None:
    assert acrank(*words("--amp", "--protocol", "official", "--scores", "all")).code == 0
    assert all(row.status == "scored" for row in rows(folder))
    sys.modules.pop("small_networks")
    make_masks(folder / "masked")
    write_zoo(folder / "dense", dense_entry(folder / "dense", "unet"))
    words_ = [
        "score",
        "--zoo",
        "dense/zoo.yaml",
        "--data",
        "masked",
        "--allow-code",
        "--scores",
        "all",
        "--amp",
        "--overwrite",
    ]
    done = acrank(*words_)
    assert done.code == 0, done.err
    assert rows(folder)[0].details.precision == "bfloat16"


def network(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    model = nn.Sequential(
        *(nn.Conv2d(2, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU()),
        *(nn.Conv2d(6, 9, 3, bias=False), nn.BatchNorm2d(9), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    )
    nn.init.normal_(model[1].weight, 1.0, 0.3)  # type: ignore[arg-type]
    nn.init.normal_(model[1].bias, 0.0, 0.5)  # type: ignore[arg-type]
    return model


def gradients(dtype: torch.dtype | None, weight: float = 1.0, **options: Any) -> np.ndarray:
    """What one step of size 1 moves the affines by; `weight` scales the loss through a longer mean."""
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(24) % 3
    inputs = torch.randn(24, 2, 9, 9, generator=generator) + labels[:, None, None, None] / 2
    permutation = torch.randperm(24, generator=generator)
    read = read_images if dtype is None else in_mixed_precision(read_images, dtype)

    def faint(model: nn.Module, inputs: Tensor, which: Tensor | None) -> tuple[Tensor, Tensor | None]:
        features, logits = read(model, inputs, which)
        return _Faint.apply(features, weight), logits

    seen = take_one_step(
        wrap_in_ac_norm(network())[0],
        inputs,
        labels,
        classes=3,
        half=torch.arange(24) // 3 % 2 == 0,
        permutation=permutation,
        step_size=1.0,
        read=faint,
        **options,
    )
    assert seen.features is not None
    assert seen.features.dtype == np.float32
    return np.concatenate([layer.source_weight - layer.target_weight for layer in seen.shifts]) / weight


class _Faint(torch.autograd.Function):
    """The identity, whose gradient is made faint."""

    @staticmethod
    def forward(ctx: Any, features: Tensor, weight: float) -> Tensor:
        ctx.weight = weight
        return features.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return grad * ctx.weight, None


def far(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.linalg.norm(one - other) / np.linalg.norm(one))


def test_float16_needs_the_loss_scale_and_is_given_it() -> None:
    exact = gradients(None)
    assert far(exact, gradients(torch.float16, loss_scale=2.0**16)) < 0.02
    assert far(exact, gradients(torch.bfloat16)) < 0.1
    assert far(exact, gradients(torch.float16, weight=2.0**-20)) > 0.5  # underflow
    assert far(exact, gradients(torch.float16, weight=2.0**-20, loss_scale=2.0**20)) < 0.02
    assert far(exact, gradients(torch.float16, weight=2.0**6, loss_scale=2.0**24)) < 0.02  # overflow: lowered
    assert far(exact, gradients(None, loss_scale=2.0**16)) < 1e-5


@pytest.mark.parametrize("protocol", ["one-step", "official"])
def test_float16_end_to_end(folder: Path, monkeypatch: pytest.MonkeyPatch, protocol: str) -> None:
    plain = row_under(folder, protocol=protocol)
    monkeypatch.setattr("acrank.observation.observing.mixed_dtype", lambda _: torch.float16)
    mixed = row_under(folder, protocol=protocol, amp=True)
    assert mixed.status == "scored", mixed.reason
    assert mixed.details.precision == "float16"
    assert mixed.scores["ac_corr"].value == pytest.approx(plain.scores["ac_corr"].value, rel=0.02)
    assert mixed.scores["ac_corr"].value != plain.scores["ac_corr"].value


@pytest.mark.parametrize(("able", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_the_dtype_is_what_the_device_is_good_at(
    monkeypatch: pytest.MonkeyPatch, able: bool, dtype: torch.dtype
) -> None:
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: able)
    assert mixed_dtype(CUDA) == dtype
    assert mixed_dtype(torch.device("cpu")) == torch.bfloat16


def state() -> tuple[object, ...]:
    cudnn = torch.backends.cudnn
    torch_ = (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
    return *torch_, cudnn.deterministic, cudnn.benchmark, os.environ.get("CUBLAS_WORKSPACE_CONFIG")


@pytest.mark.parametrize("given", [None, ":16:8", ":0:0"])
def test_switches_are_put_back(monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
    monkeypatch.delenv("CUBLAS_WORKSPACE_CONFIG", raising=False)
    if given is not None:
        monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", given)
    before = state()
    inside = []
    with pytest.raises(ZeroDivisionError), deterministic(True):
        inside.append(state()) or 1 / 0
    assert inside == [(True, False, True, False, ":16:8" if given == ":16:8" else ":4096:8")]
    assert state() == before
    with deterministic(False):
        assert state() == before


def test_deterministic_refuses_what_is_not(acrank: Command, folder: Path) -> None:
    manifest = folder / "zoo" / "zoo.yaml"
    assert acrank(*words("--deterministic", "--overwrite")).code == 0
    assert Ranking.load(folder / "run.json").settings["deterministic"] is True
    assert not torch.are_deterministic_algorithms_enabled()
    torch.save(
        {f"{int(k.split('.')[0]) + 1}.{k.split('.', 1)[1]}": v for k, v in torch.load("zoo/net0.pth").items()},
        "zoo/net0.pth",
    )
    manifest.write_text(manifest.read_text().replace("small_networks:small", "small_networks:putting", 1))
    assert acrank(*words("--deterministic", "--overwrite")).code == 0
    assert "deterministic" in rows(folder)[0].reason
    assert acrank(*words()).code == 0
    assert rows(folder)[0].status == "scored", rows(folder)[0].reason


def test_records_of_earlier_versions_had_neither(acrank: Command, folder: Path) -> None:
    record = Settings(seed=3).record()
    del record["amp"], record["deterministic"]
    assert Settings.from_record(record) == Settings(seed=3)
    assert Settings.from_record(Settings(amp=True).record()) == Settings(amp=True)
    acrank(*words())
    ranking = Ranking.load(folder / "run.json")
    del ranking.settings["amp"], ranking.settings["deterministic"]
    ranking.save(folder / "run.json")
    assert acrank(*words("--resume")).code == 0
    done = acrank(*words("--resume", "--amp"))
    assert done.code == 2
    assert "differ from the earlier run in amp" in done.err


def placed(network_input: NetworkInput, device: torch.device) -> nn.Module:
    settings = Settings().for_task("classification")
    loaded = LoadedModel(network(), network_input)
    return DrawPasses(settings.plan(), loaded, settings=settings, device=device, part=None).model


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_images_run_channels_last_and_volumes_do_not(monkeypatch: pytest.MonkeyPatch, device: str) -> None:
    monkeypatch.setattr(nn.Module, "to", lambda self, _: self)  # there need not be a GPU
    model = placed(input_of((8, 8), 2), torch.device(device))
    assert model[3].weight.is_contiguous(memory_format=torch.channels_last)  # type: ignore[index]
    volumes = placed(input_of((8, 8, 8), 2), CUDA)
    assert volumes[3].weight.is_contiguous()  # type: ignore[index]
