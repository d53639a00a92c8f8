"""Where memory is short, a candidate is scored on every second image of each class and half, and its row says so."""

from __future__ import annotations

import dataclasses
import itertools
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.workbench import Outcome, dense_entry, entry, input_of, make_images, make_masks, network, write_zoo

from acrank.observation.batches import Batch, batch_of
from acrank.ranking.candidates import score_candidate
from acrank.records import Ranking
from acrank.settings import Settings
from acrank.targets import open_target
from acrank.targets.draws import make_draws
from acrank.zoo import load_zoo

Command = Callable[..., Outcome]
INPUT = input_of((16, 16), 3, mean=0.5, std=0.5)


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


def kept_by_hand(labels: np.ndarray, half: np.ndarray) -> list[int]:
    """The first, third, … image of each class and half."""
    kept = []
    for label in np.unique(labels):
        for side in (True, False):
            kept += [place for place in range(len(labels)) if labels[place] == label and half[place] == side][::2]
    return sorted(kept)


@pytest.mark.parametrize("statistics", ["target", "source"])
def test_the_values_are_those_of_the_fewer_images(folder: Path, statistics: str) -> None:
    """Also under the source's statistics, which the step that failed had moved in the network that was given up."""
    settings = Settings(allow_code=True, statistics=statistics, scores=["all"], samples=40, repeats=2)
    settings = settings.for_task("classification")
    draws = make_draws(open_target(folder / "target"), samples=40, repeats=2, seed=0)
    hungry, small = load_zoo(folder / "zoo" / "zoo.yaml").candidates
    found = score_candidate(hungry, draws, settings, None)
    assert found.status == "scored", found.reason
    fewer = []
    for one in draws:
        labels, half, images, shuffled = one.labels, one.half, np.arange(40), one.labels[one.permutation]
        while len(images) > 12:
            keep = kept_by_hand(labels, half)
            labels, half, images, shuffled = (part[keep] for part in (labels, half, images, shuffled))
        rank = {place: i for i, place in enumerate(sorted(one.permutation[images]))}
        permutation = np.array([rank[place] for place in one.permutation[images]])
        batch = one.batch(INPUT)[images]
        other = dataclasses.replace(one, indices=one.indices[images], labels=labels, half=half, permutation=permutation)
        other._batch = (INPUT, batch)
        fewer.append(other)
    expected = score_candidate(small, fewer, settings, None)
    assert {name: value.value for name, value in found.scores.items()} == {
        name: value.value for name, value in expected.scores.items()
    }
    assert found.layers == expected.layers
    assert found.details.lowered == {"from": [40, 40], "to": [len(one.labels) for one in fewer]}
    assert any("out of memory at 40 images, scored on" in note for note in found.notes)


def test_the_row_says_so_and_nothing_is_cached(acrank: Command, folder: Path) -> None:
    for _ in range(2):
        done = acrank(*words("--samples", 20))
        assert done.code == 0, done.err
        assert "note: hungry: out of memory at 20 images, scored on 12: batch statistics depend on the" in done.err
        found = rows(folder)
        assert found["hungry"].details.lowered["to"] == [12, 12, 12]  # type: ignore[attr-defined]
        assert not found["hungry"].details.cached  # type: ignore[attr-defined]
        assert found["small"].details.lowered is None  # type: ignore[attr-defined]
    assert found["small"].details.cached  # type: ignore[attr-defined]


def test_under_training_the_steps_are_lowered_instead(acrank: Command, folder: Path) -> None:
    done = acrank(*words("--protocol", "official"))
    assert done.code == 0, done.err
    assert "out of memory at 32 images per step, trained with 8: batch statistics" in done.err
    assert rows(folder)["hungry"].details.lowered == {"from": [32], "to": [8]}  # type: ignore[attr-defined]


def test_a_network_that_cannot_even_take_the_least_is_skipped(acrank: Command, folder: Path) -> None:
    greedy = entry("hungry", "hungry", weights="w.pth", factory_args={"bound": 7})
    write_zoo(folder / "zoo", greedy, entry("small", weights="w.pth"))
    assert acrank(*words("--samples", 20)).code == 0
    assert rows(folder)["hungry"].reason.startswith("out of memory (lower --samples")  # type: ignore[attr-defined]


def halves_of(batch: Batch) -> list[Batch]:
    out = [batch]
    while (fewer := out[-1].halved()) is not None:
        out.append(fewer)
    return out


@pytest.mark.parametrize("samples", [11, 24, 42])
def test_halves_stay_stratified(folder: Path, samples: int) -> None:
    (draw,) = make_draws(open_target(folder / "target"), samples=samples, repeats=1, seed=3)
    found = halves_of(batch_of(draw, INPUT))
    assert len(found[-1].inputs) >= 8
    for before, after in itertools.pairwise(found):
        assert len(after.inputs) < len(before.inputs)
        assert sorted(after.permutation.tolist()) == list(range(len(after.inputs)))
        for label in range(3):
            for side in (True, False):
                counts = [int(((one.labels == label) & (one.half == side)).sum()) for one in (before, after)]
                assert counts[1] == (counts[0] + 1) // 2


def test_quantities_keep_their_range_and_flags_their_halves() -> None:
    half = torch.arange(32) % 2 == 0
    inputs, shuffle = torch.arange(32.0)[:, None], torch.randperm(32)
    numbers = torch.from_numpy(np.random.default_rng(0).permutation(32) / 7)
    fewer = Batch(inputs, numbers, half, shuffle, 0, 0).halved()
    assert fewer is not None
    for side in (True, False):
        mine = numbers[half == side].sort().values
        assert fewer.labels[fewer.half == side].sort().values.tolist() == mine[::2].tolist()
    flags = torch.stack([torch.arange(32) % 4 < 2, torch.arange(32) < 4], dim=1).long()
    fewer = Batch(inputs, flags, half, shuffle, 2, 0).halved()
    assert fewer is not None
    assert fewer.labels.shape == (16, 2)
    assert fewer.half.sum() == 8
    for which in flags.unique(dim=0):
        for side in (True, False):
            before, after = (
                int(((labels == which).all(1) & (where == side)).sum())
                for labels, where in ((flags, half), (fewer.labels, fewer.half))
            )
            assert abs(2 * after - before) <= 1


def test_patches_travel_with_their_positions_and_masks(tmp_path: Path) -> None:
    (draw,) = make_draws(open_target(make_masks(tmp_path / "target")), samples=9, repeats=1, seed=0)
    batch = batch_of(draw, INPUT)
    fewer = batch.halved()
    assert fewer is not None
    assert 4 <= len(fewer.inputs) <= 5
    assert fewer.halved() is None
    places = [next(i for i, one in enumerate(batch.inputs) if torch.equal(one, each)) for each in fewer.inputs]
    each = batch.labels.shape[1]
    rows = np.concatenate([np.arange(place * each, (place + 1) * each) for place in places])
    assert batch.positions is not None
    assert fewer.positions is not None
    assert torch.equal(fewer.positions, batch.positions[places])
    assert torch.equal(fewer.labels, batch.labels[places])
    assert torch.equal(fewer.half, batch.half[rows])
    assert batch.groups is not None
    np.testing.assert_array_equal(fewer.groups, batch.groups[rows])
    assert fewer.corners == tuple(batch.corners[place] for place in places)
    assert sorted(fewer.permutation.tolist()) == list(range(len(rows)))


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
    assert "out of memory at 14 patches, scored on" in done.err
