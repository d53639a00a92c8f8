"""Where memory is short, fewer inputs go through a network together, and its row says so."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.workbench import Outcome, dense_entry, entry, make_images, make_masks, network, write_zoo

from acrank.cache import ObservationCache
from acrank.observation.observing import load_for_draws, observe_candidate
from acrank.ranking.candidates import score_candidate
from acrank.records import Ranking
from acrank.scores.inputs import LayerShift
from acrank.settings import Settings
from acrank.targets import open_target
from acrank.targets.draws import make_draws
from acrank.zoo import load_zoo

Command = Callable[..., Outcome]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)
    make_images(tmp_path / "target", each=14)
    torch.manual_seed(0)
    write_zoo(tmp_path / "zoo", entry("hungry", "hungry", weights="w.pth"), entry("small", weights="w.pth"))
    torch.save(network(0).state_dict(), tmp_path / "zoo" / "w.pth")
    return tmp_path


def words(*more: object) -> list[object]:
    return ["score", "--zoo", "zoo/zoo.yaml", "--data", "target", "--allow-code", *more]


def rows(folder: Path) -> dict[str, object]:
    return {row.model: row for row in Ranking.load(folder / "run.json").rows}


@pytest.mark.parametrize("statistics", ["target", "source"])
def test_the_values_are_those_of_the_smaller_parts(folder: Path, statistics: str) -> None:
    """Also under the source's statistics, which the step that failed had moved in the network that was given up."""
    settings = Settings(allow_code=True, statistics=statistics, scores=["all"], samples=40, repeats=2, device="cpu")
    settings = settings.for_task("classification")
    draws = make_draws(open_target(folder / "target"), samples=40, repeats=2, seed=0)
    hungry, small = load_zoo(folder / "zoo" / "zoo.yaml").candidates
    lowered = observe_candidate(load_for_draws(hungry, draws, settings), settings)
    loaded = load_for_draws(small, draws, settings)
    loaded.part = 8
    expected = observe_candidate(loaded, settings)
    loaded = load_for_draws(small, draws, settings)
    whole = observe_candidate(loaded, settings)
    assert (lowered.info.details.at_once, whole.info.details.at_once) == (8, 16)
    assert lowered.info.details.lowered == {"from": [16], "to": [8]}
    assert whole.info.details.lowered is None
    assert any("out of memory at 16 images at a time, scored with 8" in note for note in lowered.info.notes)
    for one, other, third in zip(lowered.draws, expected.draws, whole.draws, strict=True):
        np.testing.assert_array_equal(one.labels, third.labels)  # no image is left out
        for name in ("features", "logits", "later_gram"):
            np.testing.assert_array_equal(getattr(one, name), getattr(other, name))
        for name in ("shifts", "initial_shifts"):
            assert totals(getattr(one, name)) == totals(getattr(other, name)) != ()
        # batch statistics are those of a part
        assert np.allclose(one.features, third.features, rtol=1e-4) == (statistics == "source")
        assert not np.allclose(one.later_gram, third.later_gram, rtol=1e-4)
    assert totals(lowered.drift or ()) == totals(expected.drift or ()) != ()


def totals(layers: Sequence[LayerShift]) -> tuple[tuple[float, float], ...]:
    return tuple((str(layer.total), float(layer.target_weight.sum())) for layer in layers)


def test_the_row_says_so_and_nothing_is_cached(acrank: Command, folder: Path) -> None:
    for _ in range(2):
        done = acrank(*words("--samples", 30, "--no-race", "--repeats", 2))
        assert done.code == 0, done.err
        assert "note: hungry: out of memory at 16 images at a time, scored with 8: batch statistics" in done.err
        found = rows(folder)
        assert found["hungry"].details.lowered == {"from": [16], "to": [8]}  # type: ignore[attr-defined]
        assert found["hungry"].details.at_once == 8  # type: ignore[attr-defined]
        assert not found["hungry"].details.cached  # type: ignore[attr-defined]
        assert found["small"].details.lowered is None  # type: ignore[attr-defined]
        assert found["small"].details.at_once == 16  # type: ignore[attr-defined]
    assert found["small"].details.cached  # type: ignore[attr-defined]
    assert len(list(ObservationCache().entries())) == 3  # two draws of the other, and its drift


def test_little_free_memory_makes_parts_smaller_before_any_pass(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(allow_code=True, samples=40, repeats=1, device="cpu").for_task("classification")
    draws = make_draws(open_target(folder / "target"), samples=40, repeats=1, seed=0)
    _, small = load_zoo(folder / "zoo" / "zoo.yaml").candidates
    known = score_candidate(small, draws, settings, None)
    for free, used in ((2**40, 16), (1, None)):
        monkeypatch.setattr("acrank.observation.draw_passes.free_memory", lambda *_, free=free: free)
        row = score_candidate(small, draws, settings, None)
        if used is None:
            assert row.status == "skipped"
            assert "one input of this network needs" in row.reason
        else:
            assert row.details.at_once == used
            assert row.scores == known.scores


def test_under_training_the_steps_are_lowered_instead(acrank: Command, folder: Path) -> None:
    done = acrank(*words("--protocol", "official"))
    assert done.code == 0, done.err
    assert "out of memory at 32 images at a time, trained with 8: batch statistics" in done.err
    assert rows(folder)["hungry"].details.lowered == {"from": [32], "to": [8]}  # type: ignore[attr-defined]


@pytest.mark.parametrize(("bound", "status"), [(1, "scored"), (0, "skipped")])
def test_a_network_that_cannot_even_take_one_input_is_skipped(
    acrank: Command, folder: Path, bound: int, status: str
) -> None:
    greedy = entry("hungry", "hungry", weights="w.pth", factory_args={"bound": bound})
    write_zoo(folder / "zoo", greedy, entry("small", weights="w.pth"))
    assert acrank(*words("--samples", 20, "--repeats", 1)).code == 0
    found = rows(folder)["hungry"]
    assert found.status == status  # type: ignore[attr-defined]
    if status == "skipped":
        assert found.reason.startswith("out of memory (lower the input size")  # type: ignore[attr-defined]
    else:
        assert found.details.at_once == 1  # type: ignore[attr-defined]


def test_patches_of_a_network_that_wants_too_much(acrank: Command, folder: Path) -> None:
    make_masks(folder / "masked")
    write_zoo(folder / "zoo", dense_entry(folder / "zoo", "unet"))
    path = folder / "zoo" / "small_networks.py"
    path.write_text(
        path.read_text().replace(
            "top = self.top(inputs)", "top = self.top(inputs); len(top) > 5 and torch.empty(2**60)"
        )
    )
    done = acrank("score", "--zoo", "zoo/zoo.yaml", "--data", "masked", "--allow-code", "--samples", 14)
    assert done.code == 0, done.err
    assert "out of memory at 16 patches at a time, scored with 4: batch statistics" in done.err
