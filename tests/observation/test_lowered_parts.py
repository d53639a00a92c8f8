"""Where memory is short a candidate is scored in smaller parts, and its row says so."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.workbench import Outcome, dense_entry, entry, make_images, make_masks, network, write_zoo

from acrank.observation.observing import load_for_draws, observe_candidate
from acrank.observation.part_size import MOST
from acrank.ranking.candidates import score_candidate
from acrank.records import Ranking, Row
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


def rows(folder: Path) -> dict[str, Row]:
    return {row.model: row for row in Ranking.load(folder / "run.json").rows}


@pytest.mark.parametrize("statistics", ["target", "source"])
def test_the_values_are_those_of_smaller_parts(folder: Path, statistics: str) -> None:
    """Also under the source's statistics, which the step that failed had moved in the network that was given up."""
    chosen = Settings(allow_code=True, statistics=statistics, scores=("all",), samples=40, repeats=2)
    chosen = chosen.for_task("classification")
    draws = make_draws(open_target(folder / "target"), samples=40, repeats=2, seed=0)
    hungry, small = load_zoo(folder / "zoo" / "zoo.yaml").candidates
    found = score_candidate(hungry, draws, chosen, None)
    assert found.status == "scored", found.reason
    assert found.details.at_once == 8
    assert found.details.lowered == {"from": [MOST], "to": [8]}
    assert any("out of memory at 16 images at a time, scored with 8" in note for note in found.notes)
    loaded = load_for_draws(small, draws, chosen)
    loaded.part = 8
    expected = observe_candidate(loaded, chosen)
    whole = observe_candidate(load_for_draws(small, draws, chosen), chosen)
    loaded = load_for_draws(hungry, draws, chosen)
    seen = observe_candidate(loaded, chosen)
    for one, other in zip(seen.draws, expected.draws, strict=True):
        np.testing.assert_array_equal(one.features, other.features)
        np.testing.assert_array_equal(one.later_gram, other.later_gram)
        np.testing.assert_array_equal(one.shifts[0].target_weight, other.shifts[0].target_weight)
    assert not np.array_equal(seen.draws[0].later_gram, whole.draws[0].later_gram)


def test_the_row_says_so_and_nothing_is_cached(acrank: Command, folder: Path) -> None:
    for _ in range(2):
        done = acrank(*words("--samples", 30))
        assert done.code == 0, done.err
        assert "note: hungry: out of memory at 16 images at a time, scored with 8: batch statistics depend" in done.err
        found = rows(folder)
        assert found["hungry"].details.lowered == {"from": [16], "to": [8]}
        assert not found["hungry"].details.cached
        assert found["small"].details.lowered is None
    assert found["small"].details.cached


def test_under_training_the_steps_are_lowered_instead(acrank: Command, folder: Path) -> None:
    done = acrank(*words("--protocol", "official"))
    assert done.code == 0, done.err
    assert "out of memory at 32 images at a time, trained with 8: batch statistics" in done.err
    assert rows(folder)["hungry"].details.lowered == {"from": [32], "to": [8]}


def test_a_network_that_cannot_even_take_one_image_is_skipped(acrank: Command, folder: Path) -> None:
    greedy = entry("hungry", "hungry", weights="w.pth", factory_args={"bound": 0})
    write_zoo(folder / "zoo", greedy, entry("small", weights="w.pth"))
    assert acrank(*words("--samples", 20)).code == 0
    assert rows(folder)["hungry"].reason.startswith("out of memory (lower --samples")


def test_patches_of_a_network_that_wants_too_much(acrank: Command, folder: Path) -> None:
    make_masks(folder / "masked")
    write_zoo(folder / "zoo", dense_entry(folder / "zoo", "unet"))
    path = folder / "zoo" / "small_networks.py"
    path.write_text(
        path.read_text().replace(
            "top = self.top(inputs)", "top = self.top(inputs); len(top) > 7 and torch.empty(2**60)"
        )
    )
    done = acrank("score", "--zoo", "zoo/zoo.yaml", "--data", "masked", "--allow-code", "--samples", 14)
    assert done.code == 0, done.err
    assert "out of memory at 16 patches at a time, scored with 8" in done.err
