"""The layers against the authors' figures, against a dense two-normalisation form, and as PyTorch modules."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from acrank.norm import AffineCoNorm, AffineCoNorm1d, AffineCoNorm2d, AffineCoNorm3d, affine_correlation

DATA = Path(__file__).parent / "data" / "ac_norm_reference.npz"
LAYERS = {"norm2d": AffineCoNorm2d, "norm3d": AffineCoNorm3d}
SHAPES = [(AffineCoNorm1d, (9, 5)), (AffineCoNorm1d, (4, 5, 7)), (AffineCoNorm2d, (3, 5, 4, 6))]
SHAPES += [(AffineCoNorm3d, (2, 5, 3, 4, 2)), (AffineCoNorm, (9, 5)), (AffineCoNorm, (2, 5, 2, 2, 2, 2))]


@pytest.fixture(scope="module")
def golden() -> Mapping[str, np.ndarray]:
    with np.load(DATA) as file:
        return {name: file[name] for name in file.files}


def drifted(layer: AffineCoNorm, seed: int = 0) -> AffineCoNorm:
    """The layer with affines of a trained net, moved away from the source's, and statistics of its own."""
    noise = torch.Generator().manual_seed(seed)

    def draw() -> Tensor:
        return torch.randn(layer.num_features, generator=noise, dtype=torch.float64)

    with torch.no_grad():
        layer.weight.copy_(draw()), layer.bias.copy_(draw())
        layer.weight_target.copy_(layer.weight + 0.3 * draw().to(layer.weight))
        layer.bias_target.copy_(layer.bias + 0.3 * draw().to(layer.bias))
        if layer.running_mean is not None and layer.running_var is not None:
            layer.running_mean.copy_(draw()), layer.running_var.copy_(draw().abs() + 0.5)
    return layer


def frozen_matrix(layer: AffineCoNorm) -> Tensor:
    affines = (layer.weight, layer.bias, layer.weight_target, layer.bias_target)
    return affine_correlation(*affines, eps=layer.eps, temperature=layer.temperature)


def two_normalisations(layer: AffineCoNorm, input: Tensor, mean: Tensor | None, var: Tensor | None) -> Tensor:
    """The paper's form: two batch normalisations, the second with C's products, C dense and without gradient."""
    matrix = frozen_matrix(layer)
    by_batch = layer.training or mean is None
    out = torch.zeros_like(input)
    for weight, bias in (
        (layer.weight_target, layer.bias_target),
        (matrix @ layer.weight_target, matrix @ layer.bias_target),
    ):
        momentum = layer.momentum if layer.momentum is not None else 0.0
        out = out + functional.batch_norm(input, mean, var, weight, bias, by_batch, momentum, layer.eps)
    return out


def close(ours: Tensor, other: Tensor | np.ndarray, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(ours.detach(), torch.as_tensor(other).detach(), rtol=0, atol=tolerance)


# --- the authors' figures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("case", LAYERS)
def test_three_training_steps_and_an_eval_pass_are_the_authors(case: str, golden: Mapping[str, np.ndarray]) -> None:
    def known(name: str) -> Tensor:
        return torch.from_numpy(golden[f"{case}__{name}"])

    layer = LAYERS[case](len(known("source_weight"))).double()
    start = {"weight": known("source_weight"), "bias": known("source_bias")}
    layer.load_state_dict(start | {f"running_{name}": known(f"running_{name}_0") for name in ("mean", "var")})
    optimiser = torch.optim.SGD(layer.parameters(), lr=0.5)
    for step in range(3):
        input = known(f"input_{step}").requires_grad_()
        optimiser.zero_grad()
        output = layer(input)
        (output * known(f"upstream_{step}")).mean().backward()
        assert input.grad is not None
        assert layer.weight_target.grad is not None
        assert layer.bias_target.grad is not None
        found = {f"output_{step}": output, f"grad_input_{step}": input.grad}
        found |= {f"grad_weight_{step}": layer.weight_target.grad, f"grad_bias_{step}": layer.bias_target.grad}
        optimiser.step()
        matrix = frozen_matrix(layer)
        found |= {f"running_mean_{step + 1}": layer.running_mean, f"running_var_{step + 1}": layer.running_var}
        found |= {f"target_weight_{step + 1}": layer.weight_target, f"target_bias_{step + 1}": layer.bias_target}
        found |= {f"sparse_corr_{step + 1}": matrix, f"ac_corr_{step + 1}": matrix.sum()}
        for name, value in found.items():
            close(value, known(name), tolerance=1e-9)
    close(layer.eval()(known("eval_input")), known("eval_output"), tolerance=1e-9)
    close(layer.weight, known("source_weight"), tolerance=0.0)


# --- one normalisation is two -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "shape"), SHAPES)
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("track", [True, False])
def test_one_normalisation_equals_two(kind, shape, training: bool, track: bool) -> None:
    layer = drifted(kind(5, track_running_stats=track, momentum=0.3, temperature=0.7).double()).train(training)
    input = torch.randn(shape, dtype=torch.float64)
    mean, var = (None if part is None else part.clone() for part in (layer.running_mean, layer.running_var))
    expected = two_normalisations(layer, input, mean, var)
    close(layer(input), expected)
    if track:
        close(layer.running_mean, mean)
        close(layer.running_var, var)


@pytest.mark.parametrize("momentum", [0.1, 0.5, 0.0, 1.0])
def test_running_statistics_move_as_under_two_batch_norms(momentum: float) -> None:
    layer, plain = AffineCoNorm1d(4, momentum=momentum).double(), nn.BatchNorm1d(4, momentum=momentum).double()
    for seed in range(3):
        batch = torch.randn(8, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))
        layer(batch), plain(batch), plain(batch)
    close(layer.running_mean, plain.running_mean)
    close(layer.running_var, plain.running_var)
    assert layer.num_batches_tracked == 3


def test_without_momentum_statistics_are_the_average_over_batches() -> None:
    layer, plain = AffineCoNorm1d(4, momentum=None).double(), nn.BatchNorm1d(4, momentum=None).double()
    noise = torch.Generator().manual_seed(0)
    batches = torch.randn(5, 8, 4, dtype=torch.float64, generator=noise) * torch.arange(1, 6)[:, None, None]
    for batch in batches:
        layer(batch), plain(batch), plain(batch)
    averages = batches.mean((0, 1)), batches.var(1).mean(0)
    for ours, other, average in zip(
        (layer.running_mean, layer.running_var), (plain.running_mean, plain.running_var), averages, strict=True
    ):
        assert ours is not None
        assert other is not None
        assert (ours - average).abs().max() < 1e-12
        assert (ours - other).abs().max() < 1e-12
    assert layer.num_batches_tracked == 5


def test_eval_mode_moves_nothing() -> None:
    layer = drifted(AffineCoNorm2d(4)).eval()
    before = copy.deepcopy(layer.state_dict())
    layer(torch.randn(2, 4, 3, 3))
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


def test_tracking_switched_off_later_stops_the_statistics() -> None:
    layer = drifted(AffineCoNorm1d(4))
    before = copy.deepcopy(layer.state_dict())
    layer.track_running_stats = False
    layer(torch.randn(8, 4))
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())


# --- gradients --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "shape"), SHAPES)
@pytest.mark.parametrize("training", [True, False])
def test_gradients_are_those_of_the_dense_form(kind, shape, training: bool) -> None:
    layer = drifted(kind(5).double()).train(training)
    input = torch.randn(shape, dtype=torch.float64, requires_grad=True)
    upstream = torch.randn(shape, dtype=torch.float64)
    wanted = [input, layer.weight_target, layer.bias_target]
    mean, var = (None if part is None else part.clone() for part in (layer.running_mean, layer.running_var))
    expected = torch.autograd.grad((two_normalisations(layer, input, mean, var) * upstream).sum(), wanted)
    for ours, other in zip(torch.autograd.grad((layer(input) * upstream).sum(), wanted), expected, strict=True):
        close(ours, other, tolerance=1e-11)


def test_gradients_are_the_finite_differences_with_the_correlation_frozen() -> None:
    layer = drifted(AffineCoNorm1d(6).double())
    input, upstream = torch.randn(2, 10, 6, dtype=torch.float64)
    matrix, normal = frozen_matrix(layer), functional.batch_norm(input, None, None, training=True)

    def loss(both: Tensor) -> Tensor:
        weight, bias = both + both @ matrix.T
        return ((normal * weight + bias) * upstream).sum()

    both = torch.stack([layer.weight_target, layer.bias_target]).detach()
    step = 1e-5 * torch.eye(12, dtype=torch.float64).reshape(12, 2, 6)
    differences = torch.stack([(loss(both + h) - loss(both - h)) / 2e-5 for h in step]).reshape(2, 6)
    (layer(input) * upstream).sum().backward()
    assert layer.weight_target.grad is not None
    assert layer.bias_target.grad is not None
    close(torch.stack([layer.weight_target.grad, layer.bias_target.grad]), differences, tolerance=1e-8)


def test_training_moves_the_target_and_never_the_source() -> None:
    layer = drifted(AffineCoNorm1d(4))
    source, target = layer.weight.clone(), layer.weight_target.detach().clone()
    assert [name for name, _ in layer.named_parameters()] == ["weight_target", "bias_target"]
    layer(torch.randn(8, 4)).square().sum().backward()
    torch.optim.SGD(layer.parameters(), lr=1.0, weight_decay=0.1).step()
    assert torch.equal(layer.weight, source)
    assert not torch.equal(layer.weight_target, target)


def test_a_frozen_weight_leaves_the_gradient_of_the_bias() -> None:
    layer = drifted(AffineCoNorm1d(4))
    layer.weight_target.requires_grad_(False)
    layer(torch.randn(8, 4)).square().sum().backward()
    assert layer.weight_target.grad is None
    assert layer.bias_target.grad is not None


def test_not_a_number_spreads_instead_of_crashing() -> None:
    layer = drifted(AffineCoNorm1d(4))
    with torch.no_grad():
        layer.weight_target[1] = torch.nan
    assert layer(torch.randn(8, 4)).isnan().all()


@pytest.mark.parametrize("name", ["weight", "bias", "weight_target", "bias_target", "upstream"])
@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_what_is_not_finite_passes_without_a_warning(name: str, value: float) -> None:
    layer, upstream = drifted(AffineCoNorm1d(4)), torch.ones(8, 4)
    with torch.no_grad():
        {"upstream": upstream[0], **layer.state_dict()}[name][1] = value
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        output = layer(torch.randn(8, 4))
        output.backward(upstream)
    assert layer.weight_target.grad is not None
    assert output.shape == (8, 4)


def test_a_second_derivative_is_refused() -> None:
    layer = drifted(AffineCoNorm1d(4))
    (grad,) = torch.autograd.grad(layer(torch.randn(8, 4)).square().sum(), layer.weight_target, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        grad.sum().backward()


def test_compiled_it_computes_the_same() -> None:
    plain = nn.Sequential(drifted(AffineCoNorm1d(4)), nn.ReLU())
    twin = copy.deepcopy(plain)
    compiled = torch.compile(twin, backend="eager")
    for n in (8, 9):
        input = torch.randn(n, 4)
        ours, other = compiled(input), plain(input)
        torch.testing.assert_close(ours, other, rtol=0, atol=0)
        ours.sum().backward(), other.sum().backward()
    close(twin[0].weight_target.grad, plain[0].weight_target.grad, tolerance=0.0)
    close(twin[0].running_var, plain[0].running_var, tolerance=0.0)


# --- kinds of numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("training", [True, False])
def test_half_precision_stays_near_float64(dtype: torch.dtype, training: bool) -> None:
    layer = drifted(AffineCoNorm2d(5)).train(training).to(dtype)
    exact = copy.deepcopy(layer).double()
    input = torch.randn(8, 5, 6, 6).to(dtype)
    output = layer(input)
    output.float().square().sum().backward()
    assert output.dtype == dtype
    assert layer.weight_target.grad is not None
    assert layer.weight_target.grad.dtype == dtype
    torch.testing.assert_close(output.double(), exact(input.double()), rtol=0.05, atol=0.05)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_input_to_a_float32_layer(dtype: torch.dtype) -> None:
    layer = drifted(AffineCoNorm2d(5))
    input = torch.randn(8, 5, 6, 6).to(dtype)
    output = layer(input)
    assert output.dtype == dtype
    torch.testing.assert_close(output.float(), drifted(AffineCoNorm2d(5))(input.float()), rtol=0.05, atol=0.05)


def test_autocast_trains() -> None:
    model = nn.Sequential(nn.Conv2d(3, 5, 1), AffineCoNorm2d(5))
    drifted(model[1])
    input = torch.randn(4, 3, 6, 6)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        output = model(input)
        loss = output.float().square().mean()
    loss.backward()
    assert model[1].weight_target.grad is not None
    assert model[1].weight_target.grad.dtype == torch.float32
    torch.testing.assert_close(output.float(), model(input), rtol=0.1, atol=0.1)


def test_float32_agrees_with_float64() -> None:
    layer = drifted(AffineCoNorm2d(64)).eval()
    input = torch.randn(2, 64, 3, 3)
    torch.testing.assert_close(layer(input).double(), copy.deepcopy(layer).double()(input.double()), rtol=0, atol=1e-4)


# --- as a module ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights_only", [True, False])
@pytest.mark.parametrize("training", [True, False])
def test_saved_and_loaded_it_computes_the_same(weights_only: bool, training: bool) -> None:
    layer, input = drifted(AffineCoNorm2d(5, momentum=0.2)).train(training), torch.randn(2, 5, 3, 3)
    file = io.BytesIO()
    torch.save(layer.state_dict() if weights_only else layer, file)
    file.seek(0)
    loaded = torch.load(file, weights_only=weights_only)
    if weights_only:
        other = AffineCoNorm2d(5, momentum=0.2).train(training)
        assert not torch.equal(copy.deepcopy(other)(input), copy.deepcopy(layer)(input))
        other.load_state_dict(loaded)
        loaded = other
    assert loaded.training == training
    assert torch.equal(loaded(input), layer(input))
    state = loaded.state_dict()
    assert state.keys() == layer.state_dict().keys()
    assert all(torch.equal(value, state[name]) for name, value in layer.state_dict().items())


def test_deepcopy_shares_nothing() -> None:
    layer = drifted(AffineCoNorm1d(4))
    layer(torch.randn(8, 4))
    twin = copy.deepcopy(layer)
    twin(torch.randn(8, 4)).sum().backward()
    assert not torch.equal(twin.running_mean, layer.running_mean)
    assert layer.weight_target.grad is None


@pytest.mark.parametrize("old", [True, False])
@pytest.mark.parametrize("assign", [True, False])
def test_a_batch_norm_state_dict_loads_as_source_and_target(old: bool, assign: bool) -> None:
    plain = nn.BatchNorm1d(4)
    nn.init.normal_(plain.weight), nn.init.normal_(plain.bias), plain(torch.randn(8, 4))
    state = {f"0.{name}": value for name, value in plain.state_dict().items()}
    if old:  # before PyTorch 0.4.1 there was no count
        del state["0.num_batches_tracked"]
    given = copy.deepcopy(state)
    model = nn.Sequential(AffineCoNorm1d(4))
    model.load_state_dict(state, assign=assign)
    layer = model[0]
    assert list(state) == list(given)
    for name in ("weight", "bias"):
        assert torch.equal(getattr(layer, name), given[f"0.{name}"])
        assert torch.equal(getattr(layer, f"{name}_target"), given[f"0.{name}"])
    assert layer.num_batches_tracked == (0 if old else 1)
    with torch.no_grad():
        layer.weight_target += 1.0
    assert torch.equal(layer.weight, given["0.weight"])


def test_the_authors_keys_load_without_a_change() -> None:
    layer = drifted(AffineCoNorm2d(4))
    names = ["weight", "bias", "weight_target", "bias_target", "running_mean", "running_var", "num_batches_tracked"]
    assert list(layer.state_dict()) == ["weight_target", "bias_target"] + [n for n in names if "target" not in n]
    other = AffineCoNorm2d(4)
    other.load_state_dict(layer.state_dict())
    assert all(torch.equal(value, other.state_dict()[name]) for name, value in layer.state_dict().items())


@pytest.mark.parametrize("gap", ["weight", "bias", "weight_target", "bias_target", "running_mean", "running_var"])
def test_a_real_gap_is_reported(gap: str) -> None:
    state = {f"0.{name}": value for name, value in AffineCoNorm2d(4).state_dict().items() if name != gap}
    model = nn.Sequential(AffineCoNorm2d(4))
    with pytest.raises(RuntimeError, match=rf'Missing key\(s\) in state_dict: "0.{gap}"\.'):
        model.load_state_dict(state)
    assert model.load_state_dict(state, strict=False).missing_keys == [f"0.{gap}"]


@pytest.mark.parametrize("gap", ["weight", "bias", "running_mean"])
def test_a_gap_in_a_batch_norm_state_dict_is_reported(gap: str) -> None:
    state = {name: value for name, value in nn.BatchNorm2d(4).state_dict().items() if name != gap}
    missing = AffineCoNorm2d(4).load_state_dict(state, strict=False).missing_keys
    assert gap in missing
    assert set(missing) <= {gap, f"{gap}_target", "num_batches_tracked"}


def test_what_does_not_belong_is_reported() -> None:
    state = nn.BatchNorm2d(4).state_dict()
    with pytest.raises(RuntimeError, match="running_mean"):
        AffineCoNorm2d(4, track_running_stats=False).load_state_dict(state)
    with pytest.raises(RuntimeError, match="size mismatch"):
        AffineCoNorm2d(5).load_state_dict(state)


def test_one_value_per_channel_cannot_be_normalised_in_training() -> None:
    with pytest.raises(ValueError, match="more than 1 value per channel"):
        AffineCoNorm1d(4)(torch.randn(1, 4))


@pytest.mark.parametrize(
    ("kind", "dimensions"),
    [(AffineCoNorm, (1,)), (AffineCoNorm1d, (1, 4)), (AffineCoNorm2d, (2, 3, 5)), (AffineCoNorm3d, (4, 6))],
)
def test_wrong_ranks_are_refused(kind: type[AffineCoNorm], dimensions: tuple[int, ...]) -> None:
    for dim in dimensions:
        with pytest.raises(ValueError, match="expected"):
            kind(2)(torch.zeros((2,) * dim))


@pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan")])
def test_temperature_must_be_positive(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature"):
        AffineCoNorm2d(3, temperature=temperature)
