"""Conversion to AC-Norm and back: what is swapped, what is left and said, and that nothing else changes."""

from __future__ import annotations

import copy
import io
from types import ModuleType

import pytest
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from acrank.norm import (
    AffineCoNorm,
    AffineCoNorm1d,
    AffineCoNorm2d,
    AffineCoNorm3d,
    AffineCoNormAct2d,
    ConversionWarning,
    RecalibratedAffines,
    ac_norm_layers,
    affine_correlation,
    convert_ac_norm,
    left_alone,
    revert_ac_norm,
)

KINDS = [
    (nn.BatchNorm1d, AffineCoNorm1d, (6, 4)),
    (nn.BatchNorm1d, AffineCoNorm1d, (3, 4, 5)),
    (nn.BatchNorm2d, AffineCoNorm2d, (3, 4, 5, 5)),
    (nn.BatchNorm3d, AffineCoNorm3d, (3, 4, 2, 3, 3)),
    (nn.SyncBatchNorm, AffineCoNorm, (3, 4, 5, 5)),
]


class SpecialNorm(nn.BatchNorm2d):
    """A subclass that acrank does not know."""


class FrozenBatchNorm2d(nn.Module):
    """As torchvision has it: buffers only, no relation to PyTorch's BatchNorm."""


class TwoPlaces(nn.Module):
    """One layer under two names of a module and under a third of its child."""

    def __init__(self) -> None:
        super().__init__()
        self.first = self.second = nn.BatchNorm1d(4)
        self.child = nn.Sequential(nn.ReLU(), self.first)

    def forward(self, input: Tensor) -> Tensor:
        out: Tensor = self.child(self.second(self.first(input)))
        return out


def trained(model: nn.Module) -> nn.Module:
    """The model with affines and statistics that training could leave; in AC-Norm the targets drift away."""
    noise = torch.Generator().manual_seed(0)
    for layer in model.modules():
        if isinstance(layer, (_BatchNorm, RecalibratedAffines)):
            state = {k: v for k, v in layer.state_dict().items() if v.dim() == 1 and len(v) == layer.num_features}
            for name, value in state.items():
                value.copy_(torch.randn(value.shape, generator=noise))
                if name in ("running_var", "weight"):
                    value.abs_().add_(0.3)
    return model


def small_net() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8, eps=1e-3, momentum=0.3),
        nn.ReLU(),
        nn.Sequential(nn.Conv2d(8, 4, 1), nn.BatchNorm2d(4)),
        nn.Flatten(),
        nn.Linear(64, 5),
        nn.BatchNorm1d(5, momentum=None),
    )


def recalibrated_plain(plain: nn.Module, converted: nn.Module) -> nn.Module:
    """A copy of `plain` with the converted network's statistics, g_t + C g_t and b_t + C b_t; C dense."""
    plain = copy.deepcopy(plain)
    layers = dict(plain.named_modules())
    for name, layer in ac_norm_layers(converted):
        affines = (layer.weight, layer.bias, layer.weight_target, layer.bias_target)
        matrix = affine_correlation(*affines, eps=layer.eps, temperature=layer.temperature)
        with torch.no_grad():
            for key, statistic in layer.named_buffers():
                if key.startswith("running"):
                    getattr(layers[name], key).copy_(statistic)
            for ours, target in (("weight", layer.weight_target), ("bias", layer.bias_target)):
                getattr(layers[name], ours).copy_(target.double() + matrix @ target.double())
    return plain


# --- what is swapped --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("plain", "kind", "shape"), KINDS)
def test_a_bare_layer_of_each_kind_keeps_its_numbers(plain, kind, shape) -> None:
    layer = trained(plain(4, eps=1e-3, momentum=0.3).double()).eval()
    layer.num_batches_tracked.fill_(7)
    new = convert_ac_norm(layer, temperature=2.0)
    assert type(new) is kind
    assert (new.eps, new.momentum, new.temperature, new.training) == (1e-3, 0.3, 2.0, False)
    assert new.weight.dtype == torch.float64
    for name, value in layer.state_dict().items():
        assert torch.equal(new.state_dict()[name], value)
    assert torch.equal(new.weight_target, layer.weight)
    assert torch.equal(new.bias_target, layer.bias)
    input = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(new(input), recalibrated_plain(layer, new)(input), rtol=0, atol=1e-12)


@pytest.mark.parametrize(("plain", "kind", "shape"), KINDS)
@pytest.mark.parametrize("track", [True, False])
def test_reverting_computes_the_same_in_eval_mode(plain, kind, shape, track: bool) -> None:
    layer = trained(convert_ac_norm(plain(4, momentum=0.2, track_running_stats=track).double())).eval()
    back = revert_ac_norm(layer)
    assert type(back) is plain
    assert (back.eps, back.momentum, back.training) == (layer.eps, 0.2, False)
    input = torch.randn(shape, dtype=torch.float64)
    torch.testing.assert_close(back(input), layer(input), rtol=0, atol=1e-12)


def test_a_network_keeps_everything_else() -> None:
    plain = trained(small_net().double())
    before = copy.deepcopy(plain.state_dict())
    model = convert_ac_norm(plain)
    assert [name for name, _ in ac_norm_layers(model)] == ["1", "3.1", "6"]
    assert set(model.state_dict()) - set(before) == {
        f"{n}.{p}_target" for n in ("1", "3.1", "6") for p in ("weight", "bias")
    }
    assert all(torch.equal(model.state_dict()[name], value) for name, value in before.items())
    assert not any(isinstance(layer, AffineCoNorm) for layer in plain.modules())
    trained(model)
    assert all(torch.equal(plain.state_dict()[name], value) for name, value in before.items())


def test_reverted_network_loads_into_the_plain_one() -> None:
    plain = small_net().double().eval()
    model = trained(convert_ac_norm(plain))
    plain.load_state_dict(revert_ac_norm(model).state_dict(), strict=True)
    input = torch.randn(2, 3, 6, 6, dtype=torch.float64)
    torch.testing.assert_close(plain(input), model(input), rtol=0, atol=1e-12)
    torch.testing.assert_close(plain(input), recalibrated_plain(plain, model)(input), rtol=0, atol=1e-12)
    assert isinstance(model[1], AffineCoNorm2d)


def test_a_plain_checkpoint_loads_into_the_converted_network() -> None:
    plain = trained(small_net())
    model = convert_ac_norm(small_net())
    model.load_state_dict(plain.state_dict(), strict=True)
    expected = convert_ac_norm(plain).state_dict()
    assert all(torch.equal(value, expected[name]) for name, value in model.state_dict().items())


def test_in_place_changes_the_model_itself() -> None:
    model = small_net()
    assert convert_ac_norm(model, inplace=True) is model
    assert isinstance(model[1], AffineCoNorm2d)
    assert revert_ac_norm(model, inplace=True) is model
    assert type(model[1]) is nn.BatchNorm2d


def test_converting_twice_changes_nothing_more() -> None:
    once = trained(convert_ac_norm(small_net()))
    twice = convert_ac_norm(once)
    assert all(torch.equal(value, twice.state_dict()[name]) for name, value in once.state_dict().items())


def test_a_shared_layer_stays_one_layer() -> None:
    norm = nn.BatchNorm1d(4)
    for plain in (TwoPlaces(), nn.Sequential(norm, nn.ReLU(), norm), nn.ModuleDict({"a": norm, "b": norm})):
        model = convert_ac_norm(plain)
        assert not any(isinstance(layer, _BatchNorm) for layer in model.modules())
        assert len(list(ac_norm_layers(model))) == 1
        assert set(model.state_dict()) > set(plain.state_dict())
        back = revert_ac_norm(model)
        assert not any(isinstance(layer, AffineCoNorm) for layer in back.modules())
        assert set(back.state_dict()) == set(plain.state_dict())
    model = convert_ac_norm(TwoPlaces())
    assert model.first is model.second is model.child[1]


@pytest.mark.parametrize(("frozen", "free"), [("weight", "bias"), ("bias", "weight")])
def test_partly_frozen_affines_stay_so_and_come_back_so(frozen: str, free: str) -> None:
    plain = nn.BatchNorm2d(4)
    getattr(plain, frozen).requires_grad_(False)
    layer = convert_ac_norm(plain)
    assert [name for name, part in layer.named_parameters() if part.requires_grad] == [f"{free}_target"]
    assert [name for name, part in revert_ac_norm(layer).named_parameters() if part.requires_grad] == [free]


@pytest.mark.parametrize("training", [True, False])
def test_statistics_switched_off_after_construction_stay_off(training: bool) -> None:
    plain = trained(nn.BatchNorm2d(4).double()).train(training)
    plain.track_running_stats = False
    model, input = convert_ac_norm(plain), torch.randn(3, 4, 5, 5, dtype=torch.float64)
    back = revert_ac_norm(model)
    torch.testing.assert_close(model(input), recalibrated_plain(plain, model)(input), rtol=0, atol=1e-12)
    torch.testing.assert_close(back(input), model(input), rtol=0, atol=1e-12)
    for layer in (model, back):
        assert torch.equal(layer.running_mean, plain.running_mean)


def test_the_mode_of_every_layer_is_kept() -> None:
    plain = small_net().train()
    plain[3].eval()
    model = convert_ac_norm(plain)
    assert (model[1].training, model[3][1].training) == (True, False)
    assert (revert_ac_norm(model)[1].training, revert_ac_norm(model)[3][1].training) == (True, False)


# --- what is left -----------------------------------------------------------------------------------------------------


def frozen_norm() -> nn.Module:
    return nn.BatchNorm2d(4).requires_grad_(False)


def norm_without_bias() -> nn.Module:
    norm = nn.BatchNorm2d(4)
    norm.register_parameter("bias", None)
    return norm


LEFT = {
    "frozen (requires_grad is off)": frozen_norm,
    "no affine parameters": lambda: nn.BatchNorm2d(4, affine=False),
    "no bias": norm_without_bias,
    "not initialised yet (lazy)": nn.LazyBatchNorm2d,
    "unknown kind SpecialNorm": lambda: SpecialNorm(4),
    "frozen batch normalisation": FrozenBatchNorm2d,
}


@pytest.mark.parametrize("reason", LEFT)
def test_a_layer_that_is_left_is_named_with_its_reason(reason: str) -> None:
    plain = nn.Sequential(nn.BatchNorm2d(4), nn.Sequential(nn.ReLU(), LEFT[reason]()))
    with pytest.warns(ConversionWarning) as caught:
        model = convert_ac_norm(plain, inplace=True)  # PyTorch cannot copy a lazy layer
    assert [str(item.message) for item in caught] == [f"left without AC-Norm: 1.1: {reason}"]
    assert caught[0].filename == __file__
    assert left_alone(model) == {"1.1": reason}
    assert type(model[1][1]) is type(LEFT[reason]())
    assert isinstance(model[0], AffineCoNorm2d)


def test_several_left_layers_are_one_warning() -> None:
    with pytest.warns(
        ConversionWarning, match=r"^left without AC-Norm: 0: unknown kind SpecialNorm; 1: frozen \("
    ) as caught:
        convert_ac_norm(nn.Sequential(SpecialNorm(4), frozen_norm()))
    assert len(caught) == 1


def test_a_bare_layer_that_is_left() -> None:
    with pytest.warns(ConversionWarning, match="the model itself: no affine parameters"):
        assert type(convert_ac_norm(nn.BatchNorm2d(4, affine=False))) is nn.BatchNorm2d


class OwnNorm(nn.Module):
    """A normalisation that torch does not know."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(4))


def test_normalisations_without_an_affine_pair_per_channel_are_left_and_named() -> None:
    plain = nn.Sequential(
        nn.GroupNorm(2, 4, affine=False),
        nn.InstanceNorm2d(4),
        nn.LayerNorm((4, 4)),
        nn.LayerNorm(4, bias=False),
        OwnNorm(),
        nn.GroupNorm(2, 4).requires_grad_(False),
        nn.Linear(4, 2),
    )
    assert left_alone(plain) == {
        "0": "no affine parameters",
        "1": "no affine parameters",
        "2": "normalises over several dimensions",
        "3": "no bias",
        "4": "unknown kind OwnNorm",
        "5": "frozen (requires_grad is off)",
    }
    with pytest.warns(ConversionWarning, match="0, 1: no affine parameters; 2: normalises"):
        assert not list(ac_norm_layers(convert_ac_norm(plain)))


def test_many_layers_left_for_one_reason_are_counted() -> None:
    plain = nn.Sequential(*(nn.InstanceNorm2d(4) for _ in range(9)))
    with pytest.warns(ConversionWarning, match="0, 1, 2 and 6 more: no affine parameters$"):
        convert_ac_norm(plain)


# --- timm -------------------------------------------------------------------------------------------------------------


def test_timms_activation_and_dropout_survive(timm: ModuleType) -> None:
    norm_act = timm.layers.BatchNormAct2d
    plain = trained(norm_act(4, act_layer=nn.PReLU, drop_layer=nn.Dropout, inplace=False)).double().eval()
    with torch.no_grad():
        plain.act.weight.fill_(-3.0)
    layer = convert_ac_norm(plain)
    assert type(layer) is AffineCoNormAct2d
    assert (type(layer.act), type(layer.drop)) == (nn.PReLU, nn.Dropout)
    assert set(layer.state_dict()) - set(plain.state_dict()) == {"weight_target", "bias_target"}
    assert layer.act.weight == -3.0
    input = torch.randn(2, 4, 3, 3, dtype=torch.float64)
    back = revert_ac_norm(trained(layer))
    assert type(back) is norm_act
    assert back.state_dict().keys() == plain.state_dict().keys()
    torch.testing.assert_close(back(input), layer(input), rtol=0, atol=1e-12)
    plain.load_state_dict(back.state_dict(), strict=True)
    torch.testing.assert_close(plain(input), layer(input), rtol=0, atol=1e-12)


def test_timms_frozen_norms_are_left(timm: ModuleType) -> None:
    layers = timm.layers
    plain = nn.Sequential(layers.FrozenBatchNormAct2d(4), layers.norm_act.FrozenBatchNorm2d(4))
    assert left_alone(plain) == {"0": "frozen batch normalisation", "1": "frozen batch normalisation"}


def test_a_whole_converted_timm_network_saves_and_loads(timm: ModuleType) -> None:
    model = trained(convert_ac_norm(timm.create_model("test_efficientnet"))).eval()
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    input = torch.randn(2, 3, 64, 64)
    loaded = torch.load(file, weights_only=False)
    torch.testing.assert_close(loaded(input), model(input), rtol=0, atol=0)
    torch.testing.assert_close(revert_ac_norm(loaded)(input), revert_ac_norm(model)(input), rtol=0, atol=0)


NETWORKS = {"resnet18": 12, "efficientnet_b0": 49, "mobilenetv3_small_050": 34}


def check_network(timm: ModuleType, name: str) -> int:
    torch.manual_seed(0)
    plain = trained(timm.create_model(name, num_classes=3)).double().eval()
    size = 160 if getattr(plain, "default_cfg", {}).get("fixed_input_size") else 64
    input = torch.randn(2, 3, size, size, dtype=torch.float64)
    model = trained(convert_ac_norm(plain))
    back = revert_ac_norm(model)
    with torch.no_grad():
        output = model(input)
        torch.testing.assert_close(back(input), output, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(recalibrated_plain(plain, model)(input), output, rtol=1e-9, atol=1e-9)
        assert output.isfinite().all()
        assert model.train()(input).isfinite().all()
    plain.load_state_dict(back.state_dict(), strict=True)
    return len(list(ac_norm_layers(model)))


@pytest.mark.parametrize("name", NETWORKS)
def test_timm_networks_convert_and_revert(timm: ModuleType, name: str) -> None:
    assert check_network(timm, name) >= NETWORKS[name]


@pytest.mark.filterwarnings("ignore:left without AC-Norm")
def test_timms_small_networks_convert_and_revert(timm: ModuleType) -> None:
    counts = {name: check_network(timm, name) for name in timm.list_models("test_*")}
    assert counts["test_resnet"] > 0
    assert counts["test_efficientnet"] > 0
    assert counts["test_byobnet"] > 0
    assert counts["test_vit"] > 0
    assert counts["test_convnext"] > 0
