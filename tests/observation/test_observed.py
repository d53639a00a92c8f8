"""What observing a candidate gives: a small vision transformer by hand, and a drift of the checkpoint alone."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.workbench import dense_entry, make_images, make_masks, make_zoo, write_zoo
from torch import nn

from acrank.norm import affine_correlation
from acrank.observation import draw_passes
from acrank.observation.bundled import KINDS
from acrank.observation.observing import LoadedCandidate, Observed, load_for_draws, observe_candidate
from acrank.observation.part_size import PartSize
from acrank.scores import SCORES
from acrank.scores.evaluate import evaluate_score
from acrank.scores.inputs import LayerShift
from acrank.settings import Settings
from acrank.targets import Target, open_target
from acrank.targets.draws import make_draws
from acrank.zoo import load_zoo
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.schema import Candidate


def run(candidate: Candidate, target: Target, *scores: str, samples: int = 12, **more: object) -> Observed:
    settings = Settings(scores=scores, samples=samples, allow_code=True, device="cpu", **{"repeats": 1, **more})  # type: ignore[arg-type]
    settings = settings.for_task(target.task)
    draws = make_draws(target, samples=samples, repeats=settings.repeats or 1, seed=settings.seed)
    return observe_candidate(load_for_draws(candidate, draws, settings), settings)


# --- a transformer ----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def transformer(tmp_path_factory: pytest.TempPathFactory) -> tuple[Candidate, Target]:
    """timm's smallest ViT, with affines as after training."""
    folder = tmp_path_factory.mktemp("vit")
    torch.manual_seed(0)
    model = import_timm().create_model("test_vit", num_classes=5)
    for layer in model.modules():
        if isinstance(layer, nn.LayerNorm):
            nn.init.normal_(layer.weight, 1.0, 0.3)
            nn.init.normal_(layer.bias, 0.0, 0.5)
    torch.save(model.state_dict(), folder / "vit.pth")
    candidate = Candidate(id="vit", architecture="test_vit", weights="vit.pth", folder=folder)
    return candidate, open_target(make_images(folder / "target"))


def recalibrated(model: nn.Module) -> nn.Module:
    """The network with g + C g and b + C b in the place of each LayerNorm's affines, C dense, of the source's own."""
    for layer in model.modules():
        if isinstance(layer, nn.LayerNorm):
            weight, bias = layer.weight.detach().double(), layer.bias.detach().double()
            matrix = affine_correlation(weight, bias, weight, bias, eps=layer.eps)
            layer.weight.data, layer.bias.data = ((part + matrix @ part).float() for part in (weight, bias))
    return model.eval()


def test_a_transformer_is_observed_as_by_hand(transformer: tuple[Candidate, Target]) -> None:
    """Features, logits, and Gram rows of images: tokens rectified and averaged, of the last third of the LayerNorms."""
    candidate, target = transformer
    settings = Settings(samples=12, repeats=1, device="cpu").for_task("classification")
    draws = make_draws(target, samples=12, repeats=1, seed=0)
    loaded = load_for_draws(candidate, draws, settings)
    inputs = loaded.batches[0].inputs
    seen = observe_candidate(loaded, settings)
    (one,) = seen.draws

    path = str(candidate.weights_path)
    model = recalibrated(import_timm().create_model("test_vit", num_classes=5, checkpoint_path=path))
    outputs: list[torch.Tensor] = []
    norms = [layer for layer in model.modules() if isinstance(layer, nn.LayerNorm)]
    for layer in norms:
        layer.register_forward_hook(lambda *call: outputs.append(call[2]))
    with torch.no_grad():
        features = model.forward_head(model.forward_features(inputs), pre_logits=True)
        logits = model.get_classifier()(features)
    np.testing.assert_allclose(one.features, features.numpy(), rtol=1e-3, atol=1e-4)
    np.testing.assert_allclose(one.logits, logits.numpy(), rtol=1e-3, atol=1e-4)

    grams = []
    for tokens in outputs[-(len(outputs) // 3) :]:
        assert tokens.ndim == 3 or len(tokens) == 12
        rows = tokens.relu().double().flatten(1, -2).mean(1).numpy()
        rows = (rows - rows.mean(0)) / np.where(rows.std(0) > 1e-6, rows.std(0), 1)  # some channels are off
        grams.append(rows @ rows.T / rows.shape[1])
    np.testing.assert_allclose(one.later_gram, np.mean(grams, axis=0), rtol=1e-2, atol=2e-3)
    assert one.later_gram_rows is not None
    assert one.later_gram_rows.tolist() == list(range(12))
    assert len(one.shifts) == len(norms)
    assert all(shift.channels == 64 for shift in one.shifts)
    assert one.shuffled_shifts == ()
    assert seen.drift is not None
    assert len(seen.drift) == len(norms) * len(KINDS)
    arrays = {**one.arrays(), "random_head_shifts": seen.drift, "step_size": 0.1}
    assert (evaluate_score(SCORES["finetunability"], arrays).value or 0) > 0


def test_a_transformers_row_says_that_it_is_an_extension(transformer: tuple[Candidate, Target]) -> None:
    info = run(*transformer, "finetunability").info
    (note,) = [note for note in info.notes if note.startswith("extension")]
    assert "LayerNorm (the paper has BatchNorm)" in note
    assert info.details.at_once == 16


# --- the drift --------------------------------------------------------------------------------------------------------


@pytest.fixture
def images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Candidate:
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    (candidate,) = load_zoo(make_zoo(tmp_path / "zoo", count=1)).candidates
    return candidate


def affines(layers: Sequence[LayerShift] | None) -> list[tuple[str, list[float], list[float]]]:
    assert layers
    return [(layer.name, layer.target_weight.tolist(), layer.target_bias.tolist()) for layer in layers]


def test_drift_depends_on_the_checkpoint_alone(images: Candidate, tmp_path: Path) -> None:
    """Not on target, classes, seed, number of images and draws, head, statistics, controls or other scores."""
    one = open_target(make_images(tmp_path / "one"))
    other = open_target(make_images(tmp_path / "other", classes=5, each=8, size=33))
    known = affines(run(images, one, "finetunability").drift)
    assert len(known) == 2 * len(KINDS)
    assert len({str(weights) for _, weights, _ in known}) == len(known)  # each kind moves them otherwise
    for target, scores, more in (
        (other, ["finetunability"], {"seed": 9}),
        (one, ["finetunability", "knn"], {"statistics": "source"}),
        (one, ["finetunability", "ac_corr"], {"controls": True, "repeats": 2, "samples": 24}),
        (other, ["finetunability", "gradient_norm"], {"head": "random"}),
    ):
        assert affines(run(images, target, *scores, **more).drift) == known, more  # type: ignore[arg-type]


def test_drift_is_that_of_the_source_affines(images: Candidate, tmp_path: Path) -> None:
    """Every batch starts from the checkpoint: nothing of the step before it is left."""
    seen = run(images, open_target(make_images(tmp_path / "one")), "finetunability")
    assert seen.drift is not None
    by_name: dict[str, list[LayerShift]] = {}
    for layer in seen.drift:
        by_name.setdefault(layer.name, []).append(layer)
    for layers in by_name.values():
        assert all(np.array_equal(layer.source_weight, layers[0].source_weight) for layer in layers)
        assert all(not np.array_equal(layer.source_bias, layer.target_bias) for layer in layers)


def test_another_checkpoint_has_another_drift(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    target = open_target(make_images(tmp_path / "one"))
    one, other = load_zoo(make_zoo(tmp_path / "zoo", count=2)).candidates
    found = [affines(run(candidate, target, "finetunability").drift) for candidate in (one, other)]
    assert found[0] != found[1]


def test_no_score_of_the_drift_no_drift(images: Candidate, tmp_path: Path) -> None:
    assert run(images, open_target(make_images(tmp_path / "one")), "ac_corr", "knn").drift is None


def test_drift_without_a_draw_is_read_at_positions_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    (candidate,) = load_zoo(write_zoo(tmp_path / "zoo", dense_entry(tmp_path / "zoo", "unet"))).candidates
    target = open_target(make_masks(tmp_path / "masked"))
    known = affines(run(candidate, target, "finetunability", samples=6).drift)
    settings = Settings(scores=("finetunability",), allow_code=True, device="cpu").for_task("segmentation")
    for dense in (True, False):
        alone = observe_candidate(load_for_draws(candidate, [], settings, dense=dense), settings)
        assert alone.draws == []
        assert (affines(alone.drift) == known) == dense


# --- a pattern of layers beside passes without AC-Norm ----------------------------------------------------------------


def test_a_layer_pattern_beside_features_under_the_sources_statistics(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)  # another test's folder
    zoo, target = make_zoo(tmp_path / "zoo", 1), open_target(make_images(tmp_path / "target"))
    (candidate,) = load_zoo(zoo).candidates
    (draw,) = run(candidate, target, "ac_corr", "logme", statistics="source", layers="4").draws
    assert [layer.name for layer in draw.shifts] == ["4"], "module 4 is a BatchNorm, no convolution"


def test_a_layer_pattern_beside_the_decoders_maps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    (candidate,) = load_zoo(write_zoo(tmp_path / "zoo", dense_entry(tmp_path / "zoo", "unet"))).candidates
    target = open_target(make_masks(tmp_path / "masked"))
    (draw,) = run(candidate, target, "ac_corr", "cc_fv", samples=6, layers="deep.1").draws
    assert draw.maps
    assert [layer.name for layer in draw.shifts] == ["deep.1"]


# --- parts ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[bool]:
    """Of each measuring of a network, whether all of its parameters train; such a network gets smaller parts."""
    seen: list[bool] = []

    def size(model: nn.Module, _: torch.Tensor, run: Callable[..., object], *, free: int) -> PartSize:
        assert free > 0
        assert run is not None
        seen.append(all(part.requires_grad for part in model.parameters()))
        return PartSize(2, 2) if seen[-1] else PartSize(8, 8)

    monkeypatch.setattr(draw_passes, "part_size", size)
    return seen


def test_what_moves_does_not_depend_on_the_passes_before(
    images: Candidate, tmp_path: Path, measured: list[bool]
) -> None:
    """The source's features are read in smaller parts here; the step and the drift keep to theirs."""
    target = open_target(make_images(tmp_path / "one"))
    plain = run(images, target, "finetunability", "ac_corr")
    assert measured == [False]
    beside = run(images, target, "finetunability", "ac_corr", "knn", statistics="source")
    assert measured == [False, True, False]
    assert affines(beside.draws[0].shifts) == affines(plain.draws[0].shifts)
    assert affines(beside.drift) == affines(plain.drift)
    assert plain.info.details.at_once == beside.info.details.at_once == 8
    assert plain.info.details.lowered is None


def test_a_lack_of_memory_in_any_pass_is_told(
    images: Candidate, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([PartSize(8, 2), PartSize(16, 16)])
    monkeypatch.setattr(draw_passes, "part_size", lambda *_, free: next(found))
    target = open_target(make_images(tmp_path / "one"))
    info = run(images, target, "ac_corr", "knn", statistics="source").info
    assert info.details.at_once == 16
    assert info.details.lowered == {"from": [8], "to": [2]}
    assert any("out of memory at 8 images at a time, scored with 2" in note for note in info.notes)


def test_a_candidate_that_was_lowered_before_is_told_so(images: Candidate, tmp_path: Path) -> None:
    target = open_target(make_images(tmp_path / "one"))
    settings = Settings(samples=12, repeats=1, allow_code=True, device="cpu").for_task("classification")
    loaded: LoadedCandidate = load_for_draws(images, make_draws(target, samples=12, repeats=1, seed=0), settings)
    loaded.part = 4
    info = observe_candidate(loaded, settings).info
    assert info.details.lowered == {"from": [16], "to": [4]}
    assert info.details.at_once == 4
