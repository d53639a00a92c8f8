"""What defines each method."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from helpers.finetuning_bench import CLASSES, loaded, sample, start
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

from acrank.errors import CandidateError, UsageError
from acrank.finetuning.methods import METHODS, parse_methods
from acrank.finetuning.methods.bss import ETA, smallest_energy
from acrank.finetuning.methods.delta import ALPHA, BETA, channel_weights, estimated_rises, last_convolutions
from acrank.finetuning.methods.l2_sp import ALPHA as L2_ALPHA
from acrank.finetuning.methods.l2_sp import BETA as L2_BETA
from acrank.finetuning.methods.method import SourceContext, Step
from acrank.finetuning.methods.stochnorm import StochNorm
from acrank.finetuning.network import Network
from acrank.finetuning.tasks.classification import Classification
from acrank.norm import AffineCoNorm
from acrank.observation.features import read_features


def one_step(network: Network, methods: list, *, lr: float = 0.1) -> None:
    inputs, labels = sample()
    trained = [part for part in network.parameters() if part.requires_grad]
    optimiser = torch.optim.SGD(trained, lr)
    network.train()
    for method in methods:
        method.set_mode(network)
    features, outputs = network(inputs)
    loss = functional.cross_entropy(outputs, labels)
    for method in methods:
        penalty = method.penalty(network, Step(inputs, features))
        loss = loss if penalty is None else loss + penalty
    loss.backward()
    optimiser.step()


def changed(before: dict[str, Tensor], after: dict[str, Tensor]) -> set[str]:
    return {name for name in before if not torch.equal(before[name], after[name])}


def moved_by(name: str) -> set[str]:
    network, methods, _ = start(name)
    before = copy.deepcopy(network.state_dict())
    one_step(network, methods)
    return changed(before, network.state_dict())


AFFINES = {f"body.{layer}.{part}" for layer in (1, 4) for part in ("weight", "bias")}
STATISTICS = {
    f"body.{layer}.{part}" for layer in (1, 4) for part in ("running_mean", "running_var", "num_batches_tracked")
}
HEAD = {"head.weight", "head.bias"}
CONVOLUTIONS = {"body.0.weight", "body.3.weight"}


def test_each_method_moves_what_it_says_and_nothing_else() -> None:
    assert moved_by("linear-probe") == HEAD
    assert moved_by("bn-only") == HEAD | AFFINES | STATISTICS
    assert moved_by("vanilla") == HEAD | AFFINES | STATISTICS | CONVOLUTIONS
    targets = {f"{name}_target" for name in AFFINES}
    assert moved_by("ac-norm") == HEAD | targets | STATISTICS | CONVOLUTIONS
    assert moved_by("ac-norm+bn-only") == HEAD | targets | STATISTICS


def test_bn_only_refuses_a_network_without_normalisation() -> None:
    plain = nn.Sequential(nn.Conv2d(3, 4, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    for name in ("bn-only", "ac-norm", "stochnorm"):
        with pytest.raises(CandidateError, match="normalisation"):
            start(name, loaded(plain, head=None))


def test_l2_sp_is_the_distance_to_the_source_plus_the_decay_of_the_head() -> None:
    network, (method,), candidate = start("l2-sp")
    head = sum(float(part.detach().square().sum()) for part in network.head.parameters())
    at_source = method.penalty(network, Step(*sample()))
    assert float(at_source.detach()) == pytest.approx(L2_BETA / 2 * head)
    with torch.no_grad():
        network.body.get_submodule("0").weight.add_(0.5)
    count = network.body.get_submodule("0").weight.numel()
    moved = method.penalty(network, Step(*sample()))
    assert float(moved.detach()) == pytest.approx(L2_BETA / 2 * head + L2_ALPHA / 2 * 0.25 * count, rel=1e-5)
    moved.backward()
    pull = network.body.get_submodule("0").weight.grad
    source = candidate.model.get_submodule("0").weight
    torch.testing.assert_close(pull, L2_ALPHA * (network.body.get_submodule("0").weight - source).detach())
    assert method.replaces_decay


def test_l2_sp_leads_back_to_the_source() -> None:
    network, (method,), candidate = start("l2-sp")
    body = [part for part in network.body.parameters() if part.requires_grad]
    with torch.no_grad():
        for part in body:
            part.add_(torch.randn_like(part))
    optimiser = torch.optim.SGD(body, 1 / L2_ALPHA)
    method.penalty(network, Step(*sample())).backward()
    optimiser.step()
    own = dict(candidate.model.named_parameters())
    for name, part in network.body.named_parameters():
        torch.testing.assert_close(part, own[name], rtol=1e-4, atol=1e-5)


def test_delta_watches_the_last_convolution_of_every_resolution() -> None:
    source = loaded().model
    assert last_convolutions(source, sample()[0], Classification(CLASSES)) == ["0", "3"]


def test_delta_weighs_channels_by_the_rise_of_the_loss(monkeypatch: pytest.MonkeyPatch) -> None:
    from acrank.finetuning.methods import delta

    source = loaded().model.double().requires_grad_(False)
    torch.manual_seed(3)
    head = nn.Linear(16, CLASSES).double()
    monkeypatch.setattr(delta, "_fitted_head", lambda *_: head)
    inputs, labels = sample()
    context = SourceContext(source=source, inputs=inputs.double(), labels=labels, task=Classification(CLASSES))
    rises = estimated_rises(context, ["0", "3"])
    for name, rise in rises.items():
        for channel in (0, 1, 5):
            assert float(rise[channel]) == pytest.approx(_slope(source, name, channel, head), rel=1e-4, abs=1e-6)
    weights = channel_weights(context, ["3"])["3"]
    assert float(weights.mean()) == pytest.approx(1)
    np.testing.assert_allclose(weights.numpy(), 16 * torch.softmax(rises["3"], 0).numpy())


def _slope(source: nn.Module, name: str, channel: int, head: nn.Module) -> float:
    """How the loss rises as a channel's map is scaled towards zero, by doing it."""
    inputs, labels = sample()

    def loss(factor: float) -> float:
        def hook(_: nn.Module, __: object, output: Tensor) -> Tensor:
            mask = torch.ones(output.shape[1], dtype=output.dtype)
            mask[channel] = factor
            return output * mask.view(1, -1, 1, 1)

        handle = source.get_submodule(name).register_forward_hook(hook)
        with torch.no_grad():
            value = float(functional.cross_entropy(head(read_features(source, inputs.double())[0]), labels))
        handle.remove()
        return value

    return (loss(1 - 1e-7) - loss(1.0)) / 1e-7


def test_delta_is_the_weighted_distance_of_the_maps() -> None:
    network, (method,), candidate = start("delta")
    inputs, _ = sample()
    network.eval()
    head = sum(float(part.detach().square().sum()) for part in network.head.parameters())
    features, _ = network(inputs)
    same = float(method.penalty(network, Step(inputs, features)).detach())
    assert same == pytest.approx(BETA / 2 * head, rel=1e-5)  # in eval mode the untrained body is the source
    with torch.no_grad():
        network.body.get_submodule("3").weight[2] *= 2  # doubles the maps of one channel of the last convolution
        features, _ = network(inputs)
        maps = nn.Sequential(*list(candidate.model)[:4])(inputs)
        expected = ALPHA * float(method.weights["3"][2] * maps[:, 2].square().mean())
        found = float(method.penalty(network, Step(inputs, features)))
    assert found - same == pytest.approx(expected, rel=1e-4)
    method.close()
    assert not method.now.maps


@given(st.integers(2, 9), st.integers(2, 9), st.integers(0, 1000))
@settings(max_examples=30)
def test_bss_is_the_energy_of_the_smallest_singular_values(n: int, d: int, seed: int) -> None:
    features = torch.randn(n, d, generator=torch.Generator().manual_seed(seed))
    k = min(2, n, d)
    gram = features.numpy().astype(np.float64) @ features.numpy().T.astype(np.float64)
    eigenvalues = np.sort(np.clip(np.linalg.eigvalsh(gram), 0, None))[max(0, n - min(n, d)) :]
    assert float(smallest_energy(features, k)) == pytest.approx(eigenvalues[:k].sum(), rel=1e-3, abs=1e-4)


def test_bss_pulls_on_the_smallest_direction_alone() -> None:
    features = torch.diag(torch.tensor([5.0, 3.0, 1.0])).requires_grad_()
    network, (method,), _ = start("bss")
    method.penalty(network, Step(sample()[0], features)).backward()
    torch.testing.assert_close(features.grad, 2 * ETA * torch.diag(torch.tensor([0.0, 0.0, 1.0])))


def test_stochnorm_mixes_the_two_branches_channel_by_channel() -> None:
    torch.manual_seed(0)
    plain = nn.BatchNorm2d(64)
    plain.running_mean.normal_()
    plain.running_var.uniform_(0.5, 2)
    nn.init.normal_(plain.weight)
    inputs = torch.randn(6, 64, 4, 4) + 1
    still = copy.deepcopy(plain).eval()(inputs)
    moving = copy.deepcopy(plain).train()(inputs)
    layer = StochNorm(copy.deepcopy(plain), p=0.5).train()
    output = layer(inputs)
    by_batch = torch.tensor([torch.allclose(output[:, c], moving[:, c]) for c in range(64)])
    by_running = torch.tensor([torch.allclose(output[:, c], still[:, c]) for c in range(64)])
    assert bool((by_batch ^ by_running).all())
    assert 16 < int(by_batch.sum()) < 48
    torch.testing.assert_close(StochNorm(copy.deepcopy(plain), p=1.0).train()(inputs), moving)
    torch.testing.assert_close(StochNorm(copy.deepcopy(plain), p=0.0).train()(inputs), still)
    after = copy.deepcopy(plain).train()
    after(inputs)
    torch.testing.assert_close(layer.layer.running_mean, after.running_mean)  # updated once, as ever
    torch.testing.assert_close(layer.eval()(inputs), copy.deepcopy(layer.layer).eval()(inputs))


def test_stochnorm_keeps_timms_activation() -> None:
    from acrank.zoo.architectures.timm_import import import_timm

    import_timm()
    from timm.layers import BatchNormAct2d

    plain = BatchNormAct2d(5)
    inputs = torch.randn(4, 5, 3, 3)
    torch.testing.assert_close(StochNorm(copy.deepcopy(plain), p=1.0).train()(inputs), plain.train()(inputs))


def test_ac_norm_trains_the_sum_of_both_normalisations() -> None:
    network, _, candidate = start("ac-norm")
    layer, source = network.body.get_submodule("1"), candidate.model.get_submodule("1")
    assert isinstance(layer, AffineCoNorm)
    with torch.no_grad():
        layer.weight_target.add_(0.3 * torch.randn(8))
        layer.bias_target.add_(0.3 * torch.randn(8))
    inputs = torch.randn(5, 8, 6, 6)
    gamma, beta = layer.weight_target.detach(), layer.bias_target.detach()
    # the paper's formula, dense: K = softmax(-|y_t - y_s|), sparse below its diagonal entry
    ratios = [b / (g.abs() + layer.eps) for g, b in ((gamma, beta), (source.weight.detach(), source.bias.detach()))]
    kernel = torch.softmax(-(ratios[0][:, None] - ratios[1][None]).abs(), 1)
    sparse = torch.where(kernel >= kernel.diagonal()[:, None], kernel, 0.0)
    parts = [
        functional.batch_norm(inputs, None, None, weight, bias, True, 0.0, layer.eps)
        for weight, bias in ((gamma, beta), (sparse @ gamma, sparse @ beta))
    ]
    torch.testing.assert_close(layer.train()(inputs), parts[0] + parts[1], rtol=1e-4, atol=1e-4)


def test_from_scratch_keeps_nothing_of_the_source() -> None:
    network, _, candidate = start("from-scratch")
    assert changed(dict(candidate.model.state_dict()), network.body.state_dict()) >= {
        "0.weight",
        "3.weight",
        "1.weight",
    }
    assert bool((network.body.get_submodule("1").running_mean == 0).all())
    own = nn.Module()
    own.scale = nn.Parameter(torch.ones(3))
    own.forward = lambda inputs: inputs.mean((2, 3)) * own.scale  # type: ignore[method-assign]
    with pytest.raises(CandidateError, match="cannot reinitialise"):
        start("from-scratch", loaded(own, head=None))


def test_methods_start_with_the_same_head_and_leave_the_candidate_alone() -> None:
    heads = []
    for name in METHODS:
        candidate = loaded()
        before = copy.deepcopy(candidate.model.state_dict())
        network, methods, _ = start(name, candidate)
        heads.append(network.head.state_dict()["weight"].clone())
        one_step(network, methods)
        assert changed(before, candidate.model.state_dict()) == set(), name
    assert all(torch.equal(head, heads[0]) for head in heads)


def test_names_are_canonical() -> None:
    assert parse_methods("vanilla,l2-sp+ac-norm , bss") == ("vanilla", "ac-norm+l2-sp", "bss")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no method"),
        ("vanila", "'vanila'"),
        ("vanilla,vanilla", "twice"),
        ("ac-norm+l2-sp,l2-sp+ac-norm", "twice"),
        ("ac-norm+ac-norm", "same work"),
        ("ac-norm+stochnorm", "same work"),
        ("l2-sp+delta", "same work"),
        ("linear-probe+bss", "combines with nothing"),
        ("l2-sp+from-scratch", "combines with nothing"),
        ("ac-norm+", "unknown finetuning method ''"),
    ],
)
def test_nonsense_is_refused(text: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        parse_methods(text)
