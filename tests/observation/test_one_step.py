"""The observation against an independent computation: plain modules, dense correlation, PyTorch's own optimiser."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from acrank.errors import CandidateError
from acrank.norm import ac_norm_layers, affine_correlation
from acrank.observation import part_passes
from acrank.observation.features import read_features
from acrank.observation.heads import random_logits, ridge_logits
from acrank.observation.layer_hooks import LayerTrace, select_layers
from acrank.observation.one_step import take_one_step, wrap_in_ac_norm
from acrank.scores import SCORES, UndefinedScoreError
from acrank.scores.affine import ac_corr, affine_drift, channel_alignment, gradient_norm
from acrank.scores.evaluate import evaluate_score
from acrank.scores.inputs import Observation

CLASSES = 3


def network(seed: int = 0) -> nn.Sequential:
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(2, 6, 3, bias=False),
        nn.BatchNorm2d(6),
        nn.ReLU(),
        nn.Dropout(0.5),
        nn.Conv2d(6, 9, 3, stride=2, bias=False),
        nn.BatchNorm2d(9),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(9, 4),
    ).double()
    for layer in model:
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.3)
            nn.init.normal_(layer.bias, 0.0, 0.5)
    return model


def sample(n: int = 24) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    labels = torch.arange(n) % CLASSES
    inputs = torch.randn(n, 2, 9, 9, generator=generator, dtype=torch.float64) + labels[:, None, None, None] / 2
    return inputs, labels, torch.arange(n) // CLASSES % 2 == 0, torch.randperm(n, generator=generator)


def observed(**options: object) -> Observation:
    inputs, labels, half, permutation = sample()
    model, notes = wrap_in_ac_norm(network())
    assert notes == []
    chosen = {"step_size": 0.3, **options}
    return take_one_step(model, inputs, labels, classes=CLASSES, half=half, permutation=permutation, **chosen)  # type: ignore[arg-type]


class TwoNormalisations(nn.Module):
    """AC-Norm as it is written: two normalisations, a dense matrix held constant."""

    def __init__(self, layer: nn.BatchNorm2d) -> None:
        super().__init__()
        self.source = (layer.weight.detach().clone(), layer.bias.detach().clone())
        self.weight, self.bias = (nn.Parameter(part.clone()) for part in self.source)

    def forward(self, x: Tensor) -> Tensor:
        matrix = affine_correlation(*self.source, self.weight, self.bias)
        one = functional.batch_norm(x, None, None, self.weight, self.bias, training=True)
        return one + functional.batch_norm(x, None, None, matrix @ self.weight, matrix @ self.bias, training=True)


def by_hand(labels: Tensor, step_size: float, head: str = "ridge") -> list[tuple[TwoNormalisations, Tensor]]:
    """The layers after a step of PyTorch's SGD, and their dense correlation."""
    inputs, _, half, _ = sample()
    model = network()
    layers = [TwoNormalisations(model[i]) for i in (1, 5)]  # type: ignore[arg-type]
    model[1], model[5], model[3], model[9] = *layers, nn.Identity(), nn.Identity()
    optimiser = torch.optim.SGD([part for layer in layers for part in layer.parameters()], lr=step_size)
    features = model(inputs)
    known = head == "ridge"
    logits = (
        ridge_logits(features, labels, half, classes=CLASSES)
        if known
        else random_logits(features, classes=CLASSES, seed=5)
    )
    functional.cross_entropy(logits, labels).backward()
    optimiser.step()
    return [(layer, affine_correlation(*layer.source, layer.weight, layer.bias)) for layer in layers]


def test_scores_equal_the_computation_by_hand() -> None:
    seen, (_, labels, _, permutation) = observed(), sample()
    for layers, truth in ((seen.shifts, labels), (seen.shuffled_shifts, labels[permutation])):
        expected = by_hand(truth, 0.3)
        sums = [(float(matrix.sum()), float(matrix.trace()), len(matrix)) for _, matrix in expected]
        assert ac_corr(layers) == pytest.approx(np.mean([total / width for total, _, width in sums]), abs=1e-12)
        assert ac_corr(layers, per_channel=False) == pytest.approx(np.mean([total for total, _, _ in sums]), abs=1e-11)
        assert channel_alignment(layers) == pytest.approx(np.mean([own / total for total, own, _ in sums]), abs=1e-12)
        grads = torch.cat([part.grad for layer, _ in expected for part in (layer.weight, layer.bias)])
        assert gradient_norm(layers, step_size=0.3) == pytest.approx(float(grads.norm()), rel=1e-10)
        drifts = [
            layer.bias / (layer.weight.abs() + 1e-5) - layer.source[1] / (layer.source[0].abs() + 1e-5)
            for layer, _ in expected
        ]
        median = np.median(torch.cat(drifts).abs().detach().numpy())
        assert affine_drift(layers) == pytest.approx(median, rel=1e-10)


def test_the_random_heads_step_equals_the_computation_by_hand() -> None:
    seen, labels = observed(seed=5), sample()[1]
    assert len(seen.random_head_shifts) == 2
    for shift, (layer, _) in zip(seen.random_head_shifts, by_hand(labels, 0.3, "random"), strict=True):
        np.testing.assert_allclose(shift.target_weight, layer.weight.detach().numpy(), rtol=1e-10)
        np.testing.assert_allclose(shift.target_bias, layer.bias.detach().numpy(), rtol=1e-10)
    assert not np.allclose(seen.random_head_shifts[0].target_weight, seen.shifts[0].target_weight, rtol=1e-6)


@pytest.mark.parametrize(("head", "passes"), [("ridge", 3), ("random", 2), (None, 1)])
def test_no_pass_is_run_that_no_step_needs(monkeypatch: pytest.MonkeyPatch, head: str | None, passes: int) -> None:
    whole, asked = observed(seed=5), []
    real = part_passes._grads
    monkeypatch.setattr(part_passes, "_grads", lambda *parts, **more: (asked.append(0), real(*parts, **more))[1])
    seen = observed(seed=5, head=head)
    assert len(asked) == passes
    np.testing.assert_array_equal(seen.later_gram, whole.later_gram)
    for one, other in zip(seen.random_head_shifts, whole.random_head_shifts, strict=True):
        np.testing.assert_allclose(one.target_weight, other.target_weight, rtol=1e-12)
    assert (seen.initial_shifts == ()) == (seen.shifts == ()) == (seen.shuffled_shifts == ()) == (head is None)


def grouped() -> nn.Sequential:
    """The network with group normalisation: every image by itself."""
    model = network()
    for place in (1, 5):
        plain = model[place]
        assert isinstance(plain, nn.BatchNorm2d)
        model[place] = nn.GroupNorm(3, plain.num_features).double()
        model[place].load_state_dict({"weight": plain.weight, "bias": plain.bias})
    return model


def test_parts_change_nothing_where_no_layer_has_batch_statistics() -> None:
    inputs, labels, half, permutation = sample()
    found = []
    for parts in (None, [torch.arange(start, 24, 5) for start in range(5)]):
        model, _ = wrap_in_ac_norm(grouped())
        seen = take_one_step(
            model, inputs, labels, classes=CLASSES, half=half, permutation=permutation, step_size=0.3, parts=parts
        )
        found.append(seen)
    whole, parted = found
    np.testing.assert_allclose(parted.features, whole.features, rtol=1e-6)
    np.testing.assert_allclose(parted.logits, whole.logits, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(parted.later_gram, whole.later_gram, rtol=1e-4, atol=1e-5)
    for kind in ("shifts", "shuffled_shifts", "random_head_shifts"):
        for one, other in zip(getattr(parted, kind), getattr(whole, kind), strict=True):
            np.testing.assert_allclose(one.target_weight, other.target_weight, rtol=1e-9)
            np.testing.assert_allclose(one.target_bias, other.target_bias, rtol=1e-9)


def test_batch_statistics_are_those_of_a_part() -> None:
    inputs, labels, half, permutation = sample()
    parts = [torch.arange(start, 24, 3) for start in range(3)]
    seen = take_one_step(
        wrap_in_ac_norm(network())[0],
        inputs,
        labels,
        classes=CLASSES,
        half=half,
        permutation=permutation,
        step_size=0.3,
        parts=parts,
    )
    assert seen.features is not None
    for part in parts:
        alone = take_one_step(
            wrap_in_ac_norm(network())[0],
            inputs[part],
            labels[part],
            classes=CLASSES,
            half=half[part],
            permutation=torch.arange(len(part)),
            step_size=0.3,
        )
        np.testing.assert_allclose(seen.features[part], alone.features, rtol=1e-6)


def test_the_gram_matrix_is_of_the_last_layers_outputs() -> None:
    seen = observed()
    model, inputs = network(), sample()[0]
    model[1], model[5] = (TwoNormalisations(model[i]) for i in (1, 5))  # type: ignore[arg-type]
    model.eval()
    rows = functional.relu(model[:6](inputs)).mean((2, 3)).detach().numpy()
    rows = (rows - rows.mean(0)) / rows.std(0)
    np.testing.assert_allclose(seen.later_gram, rows @ rows.T / rows.shape[1], rtol=1e-4, atol=1e-5)
    assert seen.later_gram_rows is not None
    assert seen.later_gram_rows.tolist() == list(range(len(inputs)))


def test_before_the_step_nothing_has_moved() -> None:
    seen = observed()
    assert affine_drift(seen.initial_shifts) == 0
    assert channel_alignment(seen.initial_shifts) == pytest.approx(1)
    assert gradient_norm(seen.initial_shifts, step_size=0.3) == 0


def test_the_model_is_left_as_it_was() -> None:
    inputs, labels, half, permutation = sample()
    model, _ = wrap_in_ac_norm(network())
    before = copy.deepcopy(model.state_dict())
    first, second = (
        take_one_step(model, inputs, labels, classes=CLASSES, half=half, permutation=permutation, step_size=0.1)
        for _ in range(2)
    )
    for name, value in model.state_dict().items():
        assert torch.equal(value, before[name]) or "running" in name or "num_batches" in name, name
    np.testing.assert_array_equal(first.features, second.features)
    assert first.shifts[0].total == second.shifts[0].total


def test_the_order_of_the_sample_does_not_matter() -> None:
    inputs, labels, half, permutation = sample()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(3))
    # the shuffled labels travel with their images
    partner = torch.argsort(order)[permutation[order]]
    model, _ = wrap_in_ac_norm(network())
    one = take_one_step(model, inputs, labels, classes=CLASSES, half=half, permutation=permutation, step_size=0.1)
    other = take_one_step(
        model, inputs[order], labels[order], classes=CLASSES, half=half[order], permutation=partner, step_size=0.1
    )
    for part in ("shifts", "shuffled_shifts"):
        assert channel_alignment(getattr(one, part)) == pytest.approx(
            channel_alignment(getattr(other, part)), abs=1e-12
        )
    ranks = [
        evaluate_score(SCORES["finetunability"], {**seen.arrays(), "step_size": 0.1}).value for seen in (one, other)
    ]
    assert ranks[0] == pytest.approx(ranks[1], rel=1e-6)
    assert one.features is not None
    np.testing.assert_allclose(one.features[order.numpy()], other.features, rtol=1e-6)


def test_a_layer_that_runs_again_is_one_layer() -> None:
    one, other = nn.BatchNorm2d(2), nn.BatchNorm2d(2)
    model, _ = wrap_in_ac_norm(nn.Sequential(one, other, one))
    with LayerTrace(dict(ac_norm_layers(model))) as trace:
        model(torch.randn(4, 2, 3, 3))
    assert trace.order == ["0", "1"]
    assert trace.areas == {"0": 9, "1": 9}


def test_dropout_is_off_and_only_affines_train() -> None:
    model, _ = wrap_in_ac_norm(network())
    trained = {name for name, part in model.named_parameters() if part.requires_grad}
    assert trained == {"1.weight_target", "1.bias_target", "5.weight_target", "5.bias_target"}
    assert not model[3].training
    assert model[1].training


def test_random_head_gives_another_gradient() -> None:
    ridge, random, again = observed(), observed(head="random", seed=1), observed(head="random", seed=1)
    assert gradient_norm(random.shifts, step_size=0.3) != gradient_norm(ridge.shifts, step_size=0.3)
    assert gradient_norm(random.shifts, step_size=0.3) == gradient_norm(again.shifts, step_size=0.3)


def test_layer_selection() -> None:
    assert [layer.name for layer in observed().shifts] == ["1", "5"]
    assert [layer.name for layer in observed(layers="last").shifts] == ["5"]
    assert [layer.name for layer in observed(layers="[0-4]").shifts] == ["1"]
    with pytest.raises(CandidateError, match="no normalisation layer matches 'head"):
        observed(layers="head*")


def test_last_is_the_deepest_not_the_last_to_run() -> None:
    assert select_layers(["a", "b", "c"], {"a": 16, "b": 4, "c": 16}, "last") == ["b"]


def test_without_affine_normalisation_nothing_moves_and_the_gram_matrix_is_of_the_convolutions() -> None:
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 9, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(9, 4)
    ).double()
    model, notes = wrap_in_ac_norm(plain)
    assert notes == []
    inputs, labels, half, permutation = sample()
    seen = take_one_step(model, inputs, labels, classes=CLASSES, half=half, permutation=permutation, step_size=0.1)
    assert seen.shifts == seen.shuffled_shifts == seen.random_head_shifts == seen.initial_shifts == ()
    rows = functional.relu(plain[:3](inputs)).mean((2, 3)).detach().numpy()  # the later of two convolutions
    rows = (rows - rows.mean(0)) / rows.std(0)
    np.testing.assert_allclose(seen.later_gram, rows @ rows.T / rows.shape[1], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(seen.features, plain[:5](inputs).detach(), rtol=1e-6)


class WithASideBranch(nn.Module):
    """The branch's normalisation runs last, and the features do not depend on it."""

    def __init__(self) -> None:
        super().__init__()
        self.main, self.side = network(), nn.BatchNorm2d(2).double()

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.main(x)
        self.side(x)
        return output


def test_the_layers_of_the_gram_matrix_are_known_before_the_step() -> None:
    inputs, labels, half, permutation = sample()
    model, _ = wrap_in_ac_norm(WithASideBranch())
    layers = part_passes.watched_layers(model)
    with LayerTrace(layers) as trace:
        features, _ = read_features(model, inputs[:2])
    assert trace.order == ["main.1", "main.5", "side"]
    late = part_passes.late_layers(features, trace, layers, wanted="all")
    assert late == ["main.5"]
    options = {"classes": CLASSES, "half": half, "permutation": permutation, "step_size": 0.3}
    known = take_one_step(model, inputs, labels, late=late, **options)  # type: ignore[arg-type]
    found = take_one_step(model, inputs, labels, **options)  # type: ignore[arg-type]
    np.testing.assert_array_equal(known.later_gram, found.later_gram)


def test_the_step_may_be_taken_on_some_inputs_alone() -> None:
    """Then its gradient is the mean over them of the same losses, under the head that knows all."""
    inputs, labels, half, permutation = sample()
    parts = [torch.arange(start, 24, 4) for start in range(4)]
    model, _ = wrap_in_ac_norm(grouped())
    options = {"classes": CLASSES, "half": half, "permutation": permutation, "step_size": 0.3, "parts": parts}
    some = take_one_step(model, inputs, labels, step_inputs=7, **options)
    each = [
        take_one_step(
            model, inputs, labels, step_inputs=6, **{**options, "parts": [*parts[:i], *parts[i + 1 :], parts[i]]}
        )
        for i in range(4)
    ]
    whole = take_one_step(model, inputs, labels, **options)
    for place in range(2):
        moves = [one.shifts[place].target_weight - one.shifts[place].source_weight for one in each]
        found, known = (one.shifts[place].target_weight - one.shifts[place].source_weight for one in (some, whole))
        np.testing.assert_allclose(found, (moves[3] + moves[2]) / 2, rtol=1e-8)
        np.testing.assert_allclose(known, sum(moves) / 4, rtol=1e-8)
    np.testing.assert_array_equal(some.features, whole.features)


def test_features_that_are_not_finite_are_refused() -> None:
    inputs, labels, half, permutation = sample()
    model, _ = wrap_in_ac_norm(network())
    inputs[0] = torch.inf
    with pytest.raises(CandidateError, match="not finite"):
        take_one_step(model, inputs, labels, classes=CLASSES, half=half, permutation=permutation, step_size=0.1)


def test_untouched_layers_are_left_out_of_ac_corr_and_lowest_in_alignment() -> None:
    inputs, labels, half, permutation = sample()
    fresh = network()
    for i in (1, 5):
        fresh[i].reset_parameters()  # type: ignore[operator]
    model, _ = wrap_in_ac_norm(fresh)
    seen = take_one_step(model, inputs, labels, classes=CLASSES, half=half, permutation=permutation, step_size=0.1)
    assert all(layer.untouched for layer in seen.shifts)
    with pytest.raises(UndefinedScoreError, match="untouched"):
        ac_corr(seen.shifts)
    assert channel_alignment(seen.shifts) == pytest.approx((1 / 6 + 1 / 9) / 2)


def test_features_are_the_input_of_the_last_linear_layer() -> None:
    inputs = sample()[0]
    model = network().eval()
    features, logits = read_features(model, inputs)
    assert logits is not None
    torch.testing.assert_close(model[9](features), logits)
    torch.testing.assert_close(logits, model(inputs))


def test_feature_maps_are_averaged_over_positions() -> None:
    inputs = sample()[0]
    body = network()[:7].eval()
    features, logits = read_features(body, inputs)
    assert logits is None
    torch.testing.assert_close(features, body(inputs).mean((2, 3)))


def test_a_network_that_returns_no_row_per_image_is_refused() -> None:
    with pytest.raises(CandidateError, match="the network returned"):
        read_features(nn.Flatten(0), torch.randn(4, 2, 3, 3))
