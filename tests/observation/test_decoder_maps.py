"""Which maps of a network CC-FV reads, and which of their cells."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.workbench import dense_entry, input_of, make_masks, write_zoo
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.observation.batches import Batch
from acrank.observation.draw_passes import DrawPasses
from acrank.observation.features import DenseReader, decoder_maps, feature_map
from acrank.observation.observing import load_for_draws, observe_candidate
from acrank.scores.inputs import Observation
from acrank.settings import Settings
from acrank.targets import open_target
from acrank.targets.draws import make_draws
from acrank.zoo import load_zoo
from acrank.zoo.architectures.genesis import UNet3D
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.loading import LoadedModel


class UNet(nn.Module):
    """Three levels with skips, joined without a layer; `up1` and `up0` are the decoder."""

    def __init__(self, norm: type[nn.Module] = nn.BatchNorm2d) -> None:
        super().__init__()

        def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
            convolution = nn.Conv2d(inputs, outputs, 3, stride=stride, padding=1)
            return nn.Sequential(convolution, norm(outputs), nn.ReLU(inplace=True))

        self.down0, self.down1, self.down2 = block(3, 4), block(4, 6, 2), block(6, 8, 2)
        self.up1, self.up0 = block(14, 6), block(10, 4)
        self.head = nn.Conv2d(4, 2, 1)

    def forward(self, inputs: Tensor) -> Tensor:
        double = nn.functional.interpolate
        top = self.down0(inputs)
        middle = self.down1(top)
        deep = self.down2(middle)
        middle = self.up1(torch.cat([double(deep, scale_factor=2), middle], 1))
        out: Tensor = self.head(self.up0(torch.cat([double(middle, scale_factor=2), top], 1)))
        return out


def positions_of(n: int, size: tuple[int, ...], each: int = 40) -> Tensor:
    """With some of them twice, as where a patch has too few."""
    drawn = np.random.default_rng(5).integers(0, int(np.prod(size)), (n, each))
    return torch.from_numpy(np.sort(drawn, axis=1))


def hooked(model: nn.Module, names: list[str], inputs: Tensor) -> list[Tensor]:
    """What the named parts give, seen by hooks."""
    seen: dict[str, Tensor] = {}

    def keep(name: str):  # type: ignore[no-untyped-def]
        return lambda *call: seen.update({name: call[2].clone()})

    hooks = [model.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    model(inputs)
    for hook in hooks:
        hook.remove()
    return [seen[name] for name in names]


@torch.no_grad()
def test_a_unet_gives_the_maps_of_its_decoder() -> None:
    """Cell by cell, by plain indexing of what hooks see; a cell that several positions lie in comes once."""
    torch.manual_seed(0)
    model, inputs, size = UNet().eval(), torch.rand(3, 3, 8, 12), (8, 12)
    positions = positions_of(3, size)
    found = decoder_maps(model, inputs, DenseReader(positions, size))
    known = hooked(model, ["up1", "up0"], inputs)
    assert len(found) == 2
    for one, maps, stride in zip(found, known, (2, 1), strict=True):
        cells: dict[tuple[int, int, int], int] = {}
        for patch in range(3):
            for place, position in enumerate(positions[patch].tolist()):
                y, x = divmod(position, 12)
                cells.setdefault((patch, y // stride, x // stride), 40 * patch + place)
        assert len(cells) < positions.numel()
        assert one.rows.tolist() == list(cells.values())
        assert one.patches.tolist() == [patch for patch, _, _ in cells]
        assert np.array_equal(one.features, np.stack([maps[k, :, y, x].numpy() for k, y, x in cells]))


@pytest.mark.parametrize("statistics", ["target", "source"])
def test_parts_give_the_maps_of_the_whole(statistics: str) -> None:
    """Where every patch is by itself: rows, labels and patches in the order of the batch."""
    torch.manual_seed(0)
    model, positions = UNet(lambda channels: nn.GroupNorm(2, channels)), positions_of(7, (8, 12))  # type: ignore[arg-type]
    labels = torch.from_numpy(np.random.default_rng(1).integers(0, 2, positions.shape))
    batch = Batch(
        inputs=torch.rand(7, 3, 8, 12),
        labels=labels,
        half=(torch.arange(7) < 4).repeat_interleave(40),
        permutation=torch.arange(280),
        classes=2,
        repeat=0,
        positions=positions,
    )
    settings = Settings(scores=["cc_fv"], statistics=statistics).for_task("segmentation")
    loaded = LoadedModel(model, input_of((8, 12), 3))
    cpu, found = torch.device("cpu"), {}
    for part in (16, 2):
        passes = DrawPasses(settings.plan(), loaded, settings=settings, device=cpu, part=part)
        found[part] = passes.decoder_maps(batch)
        assert passes.used == part
    assert len(found[2]) == len(found[16]) == 2
    for parted, whole in zip(found[2], found[16], strict=True):
        np.testing.assert_array_equal(parted.rows, whole.rows)
        np.testing.assert_array_equal(parted.patches, whole.patches)
        np.testing.assert_allclose(parted.features, whole.features, rtol=1e-4, atol=1e-6)


@torch.no_grad()
@pytest.mark.parametrize("size", [(16, 16, 16), (16, 32, 16)])
def test_a_volume_network_gives_the_maps_of_its_decoder(size: tuple[int, ...]) -> None:
    model, inputs = UNet3D(outputs=2, width=4).eval(), torch.rand(2, 1, *size)
    positions = torch.arange(int(np.prod(size))).repeat(2, 1)
    found = decoder_maps(model, inputs, DenseReader(positions, size))
    known = hooked(model, ["up_tr256", "up_tr128", "up_tr64"], inputs)
    for one, maps in zip(found, known, strict=True):
        assert np.array_equal(one.features, maps.flatten(2).transpose(1, 2).flatten(0, 1).numpy())


@torch.no_grad()
@pytest.mark.parametrize("kind", ["unet", "classifier", "encoder", "monai", "smp"])
def test_the_last_map_is_that_of_the_features(kind: str) -> None:
    """And a network without a decoder gives it alone."""
    if kind == "monai":
        nets = pytest.importorskip("monai.networks.nets")
        model, count = nets.UNet(2, 3, 2, channels=(8, 16, 32), strides=(2, 2), num_res_units=2, norm="batch"), 1
    elif kind == "smp":
        import_timm()  # which may need another torchvision than there is
        model, count = pytest.importorskip("segmentation_models_pytorch").Unet("resnet18", encoder_weights=None), 5
    else:
        pooled = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 2)]
        unet = UNet()
        encoder = [unet.down0, unet.down1, unet.down2]
        model = {"unet": unet, "classifier": nn.Sequential(*encoder, *pooled), "encoder": nn.Sequential(*encoder)}[kind]
        count = 2 if kind == "unet" else 1
    inputs, positions = torch.rand(2, 3, 64, 64), torch.arange(64 * 64).repeat(2, 1)
    reader = DenseReader(positions, (64, 64))
    found = decoder_maps(model.eval(), inputs, reader)
    assert len(found) == count
    rows = reader.rows(feature_map(model, inputs)[0]).numpy()
    assert np.array_equal(found[-1].features, rows[found[-1].rows])
    assert [len(one.rows) for one in found] == sorted(len(one.rows) for one in found)


def test_a_network_without_maps_is_refused() -> None:
    reader = DenseReader(torch.zeros(2, 4, dtype=torch.long), (9, 9))
    with pytest.raises(CandidateError, match="no feature map"):
        decoder_maps(nn.Sequential(nn.Flatten(), nn.Linear(243, 2)), torch.rand(2, 3, 9, 9), reader)


@pytest.fixture
def observed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[Observation]]:
    """What two draws from images with masks yield for a network, by scores and statistics."""
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    (candidate,) = load_zoo(write_zoo(tmp_path, dense_entry(tmp_path, "net0"))).candidates
    draws = make_draws(open_target(make_masks(tmp_path / "target", n=6)), samples=6, repeats=2, seed=0)

    def observe(*scores: str, statistics: str = "target") -> list[Observation]:
        settings = Settings(scores=scores, statistics=statistics, allow_code=True, device="cpu")
        settings = settings.for_task("segmentation")
        return observe_candidate(load_for_draws(candidate, draws, settings), settings).draws

    return observe


Observe = Callable[..., list[Observation]]


@pytest.mark.parametrize("scores", [["cc_fv"], ["ac_corr", "cc_fv"]])
@pytest.mark.parametrize("statistics", ["target", "source"])
def test_maps_are_the_features_before_any_step(observed: Observe, scores: list[str], statistics: str) -> None:
    """The last map against the features of a run that takes no step, under the same statistics."""
    for one, plain in zip(
        observed(*scores, statistics=statistics), observed("knn", statistics=statistics), strict=True
    ):
        assert one.maps is not None
        assert plain.features is not None
        assert np.array_equal(one.maps[-1].features, plain.features[one.maps[-1].rows])


def test_statistics_of_the_batch_and_of_the_source_differ(observed: Observe) -> None:
    (batch, *_), (source, *_) = (observed("cc_fv", statistics=name) for name in ("target", "source"))
    assert batch.maps is not None
    assert source.maps is not None
    assert not np.allclose(batch.maps[-1].features, source.maps[-1].features, atol=0.01)


def test_reading_the_maps_changes_nothing_else(observed: Observe) -> None:
    for one, plain in zip(observed("ac_corr", "cc_fv"), observed("ac_corr"), strict=True):
        assert plain.maps is None
        assert np.array_equal(one.features, plain.features)
        assert [layer.total for layer in one.shifts] == [layer.total for layer in plain.shifts]
