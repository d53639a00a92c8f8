"""Networks without affine normalisation: nothing moves, and the Gram matrix is of convolutions and linear layers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.small_networks import without_norm
from helpers.workbench import entry, make_images, write_zoo
from torch import Tensor, nn
from torch.nn import functional

from acrank.observation.one_step import take_one_step, wrap_in_ac_norm
from acrank.observation.part_passes import watched_layers
from acrank.ranking.candidates import score_candidate
from acrank.scores import SCORES
from acrank.scores.evaluate import evaluate_score
from acrank.scores.inputs import Observation
from acrank.settings import Settings
from acrank.targets import open_target
from acrank.targets.draws import make_draws
from acrank.zoo import load_zoo

N, CLASSES = 24, 3


def bare() -> nn.Sequential:
    """As networks without normalisation are built: convolutions, rectifiers and one linear head."""
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 9, 3), nn.ReLU()),
        *(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(9, 4)),
    ).double()


def sample() -> tuple[Tensor, Tensor]:
    labels = torch.arange(N) % CLASSES
    noise = torch.randn(N, 2, 13, 13, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    return noise + labels[:, None, None, None] / 2, labels


def observed(model: nn.Module, parts: list[Tensor] | None = None, **options: object) -> Observation:
    inputs, labels = sample()
    half, permutation = torch.arange(N) // CLASSES % 2 == 0, torch.arange(N).flip(0)
    return take_one_step(
        wrap_in_ac_norm(model)[0],
        inputs,
        labels,
        classes=CLASSES,
        half=half,
        permutation=permutation,
        step_size=0.3,
        parts=parts,
        **options,  # type: ignore[arg-type]
    )


def gram_by_hand(maps: list[Tensor]) -> np.ndarray:
    grams = []
    for one in maps:
        rows = functional.relu(one).flatten(2).mean(2).detach().numpy()
        spread = rows.std(0)
        rows = (rows - rows.mean(0)) / np.where(spread > 0, spread, 1)  # some channels are off everywhere
        grams.append(rows @ rows.T / rows.shape[1])
    return np.mean(grams, axis=0)


@pytest.mark.parametrize("parts", [None, [torch.arange(start, N, 4) for start in range(4)]])
@pytest.mark.parametrize("head", ["ridge", "random", None])
def test_the_gram_matrix_is_of_the_last_convolution(parts: list[Tensor] | None, head: str | None) -> None:
    """Of three convolutions the last third is one; the head is none of them."""
    seen, model, (inputs, _) = observed(bare(), parts, head=head), bare(), sample()
    np.testing.assert_allclose(seen.later_gram, gram_by_hand([model[:5](inputs)]), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(seen.features, model[:8](inputs).detach().numpy(), rtol=1e-6)
    assert seen.shifts == seen.initial_shifts == seen.shuffled_shifts == seen.random_head_shifts == ()
    assert seen.later_gram_rows is not None
    assert seen.later_gram_rows.tolist() == list(range(N))
    value = evaluate_score(SCORES["finetunability"], {**seen.arrays(), "step_size": 0.3}).value
    assert value is not None
    assert 0 < value < np.inf


def test_layers_can_be_chosen_among_them() -> None:
    maps = bare()[:1](sample()[0])
    np.testing.assert_allclose(observed(bare(), layers="0").later_gram, gram_by_hand([maps]), rtol=1e-4, atol=1e-5)
    deepest = bare()[:5](sample()[0])
    np.testing.assert_allclose(
        observed(bare(), layers="last").later_gram, gram_by_hand([deepest]), rtol=1e-4, atol=1e-5
    )


def test_normalisations_without_affines_keep_their_batch_statistics() -> None:
    model = bare()
    model[1] = nn.Sequential(nn.BatchNorm2d(6, affine=False), nn.ReLU()).double()
    seen = observed(model)
    fresh = bare()
    hidden = functional.relu(functional.batch_norm(fresh[0](sample()[0]), None, None, training=True))
    np.testing.assert_allclose(seen.later_gram, gram_by_hand([fresh[2:5](hidden)]), rtol=1e-4, atol=1e-5)


def testwatched_layers_leave_the_classifier_out() -> None:
    mlp = nn.Sequential(nn.Linear(4, 4), nn.ReLU(), nn.Linear(4, 4), nn.Linear(4, 2))
    assert list(watched_layers(mlp)) == ["0", "2"]
    assert list(watched_layers(nn.Sequential(nn.Linear(4, 2)))) == ["0"]
    assert list(watched_layers(nn.Sequential(nn.Conv3d(1, 2, 1), nn.Conv1d(1, 2, 1)))) == ["0", "1"]
    assert list(watched_layers(nn.Sequential(nn.Linear(4, 3), nn.Conv2d(1, 2, 1)))) == ["1"]


def test_tokens_of_linear_layers_have_their_channels_last() -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(2), nn.Linear(169, 5), nn.ReLU(), nn.Flatten(), nn.Linear(10, 4)).double()
    tokens = model[1](model[0](sample()[0])).movedim(-1, 1)  # [n, 5, 2]
    np.testing.assert_allclose(observed(model).later_gram, gram_by_hand([tokens]), rtol=1e-4, atol=1e-5)


def test_such_a_candidate_has_a_row(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranked by finetunability; scores of the affines say why they have no value."""
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    (tmp_path / "zoo").mkdir()
    torch.manual_seed(0)
    torch.save(without_norm().state_dict(), tmp_path / "zoo" / "bare.pth")
    (candidate,) = load_zoo(write_zoo(tmp_path / "zoo", entry("bare", "without_norm"))).candidates
    target = open_target(make_images(tmp_path / "target"))
    settings = Settings(samples=18, repeats=2, allow_code=True, device="cpu").for_task("classification")
    row = score_candidate(candidate, make_draws(target, samples=18, repeats=2, seed=0), settings, None)
    assert row.status == "scored", row.reason
    assert (row.value("finetunability") or 0) > 0
    assert row.value("probe_accuracy") is not None
    for name in ("ac_corr", "channel_alignment", "affine_drift", "gradient_norm"):
        assert row.value(name) is None
        assert "normalisation layer" in (row.scores[name].note or "")
    assert "no affine normalisation: scores of the affines have no value" in row.notes
    assert row.layers == []
