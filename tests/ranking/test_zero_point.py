"""Untrained twins: drawn as the architecture begins, scored by the same pass, shared within an architecture."""

from __future__ import annotations

import dataclasses
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers import small_networks
from helpers.workbench import entry, make_images, network, write_zoo

from acrank.cache import ObservationCache, identity_of
from acrank.errors import TableError, UsageError
from acrank.ranking.joining import merge
from acrank.ranking.scoring import score
from acrank.records import Ranking, Row
from acrank.settings import Settings
from acrank.targets import open_target
from acrank.zoo import load_zoo
from acrank.zoo.loading import load_candidate
from acrank.zoo.schema import Candidate
from acrank.zoo.untrained import UntrainedTwin

SHOWN = {"size": (16, 16), "in_chans": 3, "mean": (0.5,) * 3, "std": (0.5,) * 3}
SETTINGS = Settings(samples=12, repeats=2, scores=("gradient_norm", "knn"), device="cpu", allow_code=True, untrained=2)


@pytest.fixture(autouse=True)
def own_networks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each test has its own module of networks."""
    monkeypatch.delitem(sys.modules, "small_networks", raising=False)


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """Two networks of one architecture, and one that is wider."""
    folder = tmp_path / "zoo"
    folder.mkdir()
    for seed, (name, width) in enumerate({"net0": 8, "net1": 8, "wide": 12}.items()):
        torch.save(network(seed, width).state_dict(), folder / f"{name}.pth")
    wide = entry("wide", factory_args={"width": 12})
    return write_zoo(folder, entry("net0"), entry("net1"), wide)


def twin_of(candidate: Candidate, *, seed: int = 1, params: int = 0) -> UntrainedTwin:
    return UntrainedTwin.of(candidate, SHOWN, params=params, seed=seed)


def test_weights_are_drawn_as_the_architecture_begins(zoo: Path) -> None:
    candidate = load_zoo(zoo).candidates[0]
    drawn = load_candidate(twin_of(candidate), allow_code=True).model
    torch.manual_seed(1)
    oracle = small_networks.small()
    for (name, ours), theirs in zip(drawn.state_dict().items(), oracle.state_dict().values(), strict=True):
        assert torch.equal(ours, theirs), name
    other = load_candidate(twin_of(candidate, seed=2), allow_code=True).model
    assert not torch.equal(drawn[0].weight, other[0].weight)


@pytest.mark.parametrize("architecture", ["test_resnet", "torchvision:mobilenet_v3_small"])
def test_libraries_draw_them_too_though_a_file_would_replace_them(tmp_path: Path, architecture: str) -> None:
    if architecture.startswith("torchvision"):
        from torchvision.models import mobilenet_v3_small as make
    else:
        from timm.models import test_resnet as make
    model = make()
    for part in model.parameters():
        torch.nn.init.constant_(part, 7.0)
    torch.save(model.state_dict(), tmp_path / "w.pth")
    candidate = Candidate(id="it", architecture=architecture, weights="w.pth", folder=tmp_path)
    filled, one, same, other = (
        load_candidate(each) for each in (candidate, *(twin_of(candidate, seed=seed) for seed in (1, 1, 2)))
    )
    weights = [
        next(m for m in each.model.modules() if isinstance(m, torch.nn.Conv2d)).weight
        for each in (filled, one, same, other)
    ]
    assert bool((weights[0] == 7).all())
    assert torch.equal(weights[1], weights[2])
    assert not torch.equal(weights[1], weights[3])
    assert 0 < float(weights[1].detach().std()) < 7
    assert not bool((weights[1] == 7).any())


def rows_of(ranking: Ranking) -> dict[str, Row]:
    return {row.model: row for row in ranking.rows}


@pytest.fixture
def loads(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of the twins whose networks are built."""
    from acrank.observation import observing

    made: list[str] = []
    load = observing.load_candidate

    def counted(candidate: Any, **more: Any) -> Any:
        if isinstance(candidate, UntrainedTwin):
            made.append(candidate.id)
        return load(candidate, **more)

    monkeypatch.setattr(observing, "load_candidate", counted)
    return made


def test_candidates_of_an_architecture_share_their_twins(zoo: Path, tmp_path: Path, loads: list[str]) -> None:
    target = open_target(make_images(tmp_path / "target"))
    cache = ObservationCache(tmp_path / "cache")
    ranking = score(load_zoo(zoo), target, SETTINGS, cache=cache)
    rows = rows_of(ranking)
    assert rows["net0"].untrained == rows["net1"].untrained
    assert rows["net0"].untrained != rows["wide"].untrained
    assert len(loads) == 4  # two of each architecture, for three candidates
    zero = rows["net0"].untrained
    assert zero is not None
    assert (zero.score, len(zero.values), len(set(zero.values))) == ("gradient_norm", 2, 2)
    loads.clear()
    score(load_zoo(zoo), target, dataclasses.replace(SETTINGS, race=False))
    assert len(loads) == 4  # without a cache, too
    loads.clear()
    again = score(load_zoo(zoo), target, SETTINGS, cache=cache)
    assert not loads
    alone = score(load_zoo(zoo).select(["net1"]), target, SETTINGS)
    assert rows_of(again)["net1"].untrained == rows_of(alone)["net1"].untrained == zero
    plain = score(load_zoo(zoo), target, dataclasses.replace(SETTINGS, untrained=None), cache=cache)
    assert [(row.model, row.scores, row.untrained) for row in plain.rows] == [
        (row.model, row.scores, None) for row in ranking.rows
    ]
    cells = dict(zip(ranking.columns(), ranking.cells()[0], strict=True))
    first = ranking.rows[0].untrained
    assert first is not None
    assert (cells["untrained"], cells["untrained_sd"]) == (first.mean, first.sd)
    assert "untrained" not in plain.columns()
    assert Ranking.from_record(ranking.to_record()).to_record() == ranking.to_record()


def test_a_resumed_run_has_the_zero_points_that_it_asks_for(zoo: Path, tmp_path: Path, loads: list[str]) -> None:
    target = open_target(make_images(tmp_path / "target"))
    cache = ObservationCache(tmp_path / "cache")
    plain = dataclasses.replace(SETTINGS, untrained=None)
    without = score(load_zoo(zoo), target, plain, cache=cache)
    whole = score(load_zoo(zoo), target, SETTINGS, cache=cache)
    added = score(load_zoo(zoo), target, SETTINGS, cache=cache, resume=without)
    assert rows_of(added)["net0"].untrained == rows_of(whole)["net0"].untrained
    assert "recomputed: net0 (its zero point changed)" in added.notes
    loads.clear()
    kept = score(load_zoo(zoo), target, SETTINGS, cache=cache, resume=whole)
    assert not loads
    assert [row.untrained for row in kept.rows] == [row.untrained for row in whole.rows]
    dropped = score(load_zoo(zoo), target, plain, cache=cache, resume=whole)
    assert [row.untrained for row in dropped.rows] == [None] * 3
    fewer = score(load_zoo(zoo), target, dataclasses.replace(SETTINGS, untrained=1), cache=cache, resume=whole)
    assert [len(row.untrained.values) for row in fewer.rows if row.untrained] == [1] * 3
    other = score(load_zoo(zoo), target, dataclasses.replace(SETTINGS, rank_by="knn"), cache=cache, resume=whole)
    assert {row.untrained.score for row in other.rows if row.untrained} == {"knn"}
    with pytest.raises(TableError, match="their settings differ in untrained"):
        merge({"a": without, "b": whole})


def test_the_value_is_that_of_a_candidate_with_these_weights(zoo: Path, tmp_path: Path) -> None:
    """The oracle: the drawn weights are written to a file, which is scored as any other."""
    target = open_target(make_images(tmp_path / "target"))
    settings = dataclasses.replace(SETTINGS, repeats=1, untrained=1)
    row = rows_of(score(load_zoo(zoo).select(["net0"]), target, settings))["net0"]
    assert row.untrained is not None
    from acrank.system.streams import Purpose, seed_of

    twin = twin_of(load_zoo(zoo).candidates[0], seed=seed_of(Purpose.UNTRAINED, 0, 0))
    torch.save(load_candidate(twin, allow_code=True).model.state_dict(), zoo.parent / "net1.pth")
    plain = score(load_zoo(zoo).select(["net1"]), target, dataclasses.replace(settings, untrained=None))
    assert row.untrained.values == [plain.rows[0].value("gradient_norm")]


def test_a_network_that_was_never_trained_is_marked(zoo: Path, tmp_path: Path) -> None:
    torch.manual_seed(9)
    torch.save(small_networks.small().state_dict(), zoo.parent / "net0.pth")
    target = open_target(make_images(tmp_path / "target"))
    settings = dataclasses.replace(SETTINGS, repeats=1, scores=("kernel_target_alignment",), untrained=5)
    ranking = score(load_zoo(zoo).select(["net0"]), target, settings)
    said = "no better by kernel_target_alignment than their architecture with drawn weights: net0"
    assert ranking.warnings[0] == said
    (untrained,) = [column for column in ranking.view().layout if column.name == "untrained"]
    assert untrained.cells[0].startswith("= ")


def test_what_fails_is_the_reason_and_the_candidate_keeps_its_row(zoo: Path, tmp_path: Path) -> None:
    from acrank.observation import observing

    def failing(candidate: Any, **more: Any) -> Any:
        if isinstance(candidate, UntrainedTwin):
            raise ValueError("no such luck")
        return load(candidate, **more)

    load, target = observing.load_candidate, open_target(make_images(tmp_path / "target"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(observing, "load_candidate", failing)
        ranking = score(load_zoo(zoo).select(["net0"]), target, SETTINGS)
    row = ranking.rows[0]
    assert (row.status, row.rank) == ("scored", 1)
    assert row.untrained is not None
    assert (row.untrained.mean, "no such luck" in row.untrained.reason) == (None, True)
    assert any("no untrained twin of net0 has a value" in text for text in ranking.warnings)


def test_a_score_of_the_pool_has_no_zero_point() -> None:
    for rank_by in ("consensus", "ncti"):
        with pytest.raises(UsageError, match=f"--untrained does not support {rank_by}"):
            Settings(untrained=2, rank_by=rank_by, scores=("ncti", "knn")).for_task("classification")


def test_what_a_name_stands_for_elsewhere_is_not_shared(tmp_path: Path) -> None:
    cache, settings = ObservationCache(tmp_path), Settings()
    named, other = (Candidate(id="a", source=name) for name in ("resnet18.a1_in1k", "resnet18.tv_in1k"))
    hub = Candidate(id="a", source="hf-hub:org/name")
    keys = [identity_of(twin_of(one, params=9), settings, cache) for one in (named, other, hub)]
    assert keys[0] == keys[1]
    assert keys[2] is None
    assert identity_of(twin_of(named, params=8), settings, cache) != keys[0]
    assert identity_of(twin_of(named, params=9, seed=2), settings, cache) != keys[0]
