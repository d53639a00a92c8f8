"""The second study: its protocol is the committed one, and its strategies are replayed as they are described."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acrank.finetuning.splits import make_partition
from acrank.targets import TargetOptions, open_target
from benchmarks.transferability.study2 import HERE, prepared
from benchmarks.transferability.study2.courses import (
    Bench,
    Course,
    full_at_random,
    full_in_order,
    halving_alone,
    halving_of_half,
    refine,
    score_alone,
)
from benchmarks.transferability.study2.protocol import (
    GROUP_PATTERN,
    MASKS,
    POOL_TARGETS,
    REPORTED,
    TARGETS,
    UNITS,
    Target2,
    half,
    record,
    reporting,
)


def test_the_protocol_is_the_committed_one() -> None:
    assert json.loads((HERE / "protocol.json").read_text()) == json.loads(json.dumps(record()))


def test_four_targets_report_and_what_shares_images_is_in_one_half() -> None:
    assert sorted(REPORTED) == ["acdc2d_seg", "acdc3d", "ham10000", "magnetic_tile"]
    assert {len({half(name) for name in unit}) for unit in UNITS} == {1}
    renamed = {f"x{name}" if "_" not in name else name: target.stratum for name, target in TARGETS.items()}
    assert reporting(renamed) != REPORTED  # the rule knows names
    assert len({target.stratum for name, target in TARGETS.items() if name in REPORTED}) == 3
    assert all(len(names) >= 5 for pool, names in POOL_TARGETS.items() if pool != "c3d")


def bench() -> Bench:
    """Four candidates, two rates; the validation quality tells the truth."""
    ends = [0.5, 0.9, 0.7, 0.6]
    curves = [[np.linspace(end - 0.2, end, 4), np.linspace(end - 0.3, end - 0.1, 4)] for end in ends]
    ranks = {"good": np.array([4, 1, 2, 3.0]), "bad": np.array([1, 4, 2, 3.0])}
    return Bench(
        quality=np.array(ends),
        curves=curves,
        seconds=np.array([1, 2, 1, 1.0]),
        ranks=ranks,
        costs={"good": 3, "bad": 3},
    )


def course() -> Course:
    return Course(bench(), np.random.default_rng(0))


def test_a_good_score_is_right_as_soon_as_it_is_paid_for() -> None:
    found = course()
    score_alone(found, "good")
    np.testing.assert_allclose(found.regrets(np.array([0, 2.9, 3.0, 100])), [0.225, 0.225, 0, 0])  # at first anyone
    found = course()
    score_alone(found, "bad")
    np.testing.assert_allclose(found.regrets(np.array([3.0, 100])), 0.4)


def test_halving_spends_what_it_says_and_keeps_the_better_half() -> None:
    found = course()
    found.halving([0, 1, 2, 3], rates=(0, 1))
    # one epoch at each rate: 2 + 4 + 2 + 2; then 1 and 2 to epoch 2: 2 + 1; then 1 to epoch 4: 2 epochs of 2 seconds
    assert found.spent == 10 + 3 + 4
    assert set(found.best) == {0, 1, 2, 3}
    assert found.epochs[1, 0] == 4
    assert found.epochs[2, 0] == 2
    assert found.epochs[0, 0] == 1
    assert found.moments[-1] == (6.0, 1)  # known since both rates of candidate 1 had an epoch


def test_halving_trains_the_last_one_to_its_end_and_stops_at_early_ends() -> None:
    one = bench()
    short = Bench(quality=one.quality, curves=[[curve[:1] for curve in own] for own in one.curves], seconds=one.seconds)
    found = Course(short, np.random.default_rng(0))
    found.halving([2, 3], rates=(0,))
    assert found.spent == 2  # all ended after an epoch
    assert found.moments[-1][1] == 2


@pytest.mark.parametrize("seed", range(3))
def test_whoever_trains_all_in_full_ends_at_the_best_and_never_worse_than_before_it_was_seen(seed: int) -> None:
    for strategy, words in (
        (full_at_random, {}),
        (full_in_order, {"ranking": "bad"}),
        (halving_alone, {"rates": (0, 1)}),
        (halving_of_half, {"ranking": "bad", "rates": (0, 1)}),
        (refine, {"ranking": "bad", "rates": (0,)}),
    ):
        found = Course(bench(), np.random.default_rng(seed))
        strategy(found, **words)  # type: ignore[operator]
        assert found.regrets(np.array([found.spent])) == 0
        paid = found.bench.costs.get(words.get("ranking", ""), 0)
        assert found.spent == found.bench.whole + paid
        times = [time for time, _ in found.moments]
        assert times == sorted(times)


def test_what_a_group_holds_is_named_so_that_splits_keep_it_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Target2("other classes", 48, "group", "", (0.2, 0.3))
    monkeypatch.setattr(prepared, "TARGETS", {"made": made})
    source = tmp_path / "source"
    rows = [{"file": f"{label}/{i:02d}.png", "group": f"patient {i // 3}"} for label in "ab" for i in range(24)]
    for number, row in enumerate(rows):
        (source / row["file"]).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (8, 8), (number, 0, 0)).save(source / row["file"])
    with (source / "groups.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, ["file", "group"])
        writer.writeheader()
        writer.writerows(rows)
    prepared.prepare("made", source, tmp_path / "out")
    target = open_target(tmp_path / "out", TargetOptions(group_pattern=GROUP_PATTERN))
    assert (len(target), target.classes, len(set(target.groups or ()))) == (48, ("a", "b"), 8)
    parts = make_partition({"all": target}, split=0, val_share=0.2, test_share=0.3, train_size=None)
    sides = [{(target.groups or ())[i] for i in part.indices} for part in (parts.train, parts.val, parts.test)]
    assert sum(map(len, sides)) == len(set.union(*sides))
    assert all(len(part) for part in (parts.train, parts.val, parts.test))


def test_settings_leave_enough_to_train_on() -> None:
    for target in TARGETS.values():
        taken = -(-target.images // target.every)
        assert taken * (1 - sum(target.shares)) >= (10 if target.stratum == MASKS else 120)


def test_of_eight_four_two_and_one_go_on_for_twice_as_long() -> None:
    ends = np.arange(8) / 10
    eight = Bench(quality=ends, curves=[[np.full(8, end)] for end in ends], seconds=np.ones(8))
    found = Course(eight, np.random.default_rng(0))
    found.halving(list(range(8)), rates=(0,))
    assert [found.epochs[one, 0] for one in range(8)] == [1, 1, 1, 1, 2, 2, 4, 8]
    assert found.spent == 8 + 4 + 2 * 2 + 4


def test_joined_by_ranks_the_better_half_of_the_score_speaks_too() -> None:
    found = course()
    found.best = {0: 0.4, 1: 0.5, 2: 0.6}
    assert found.leader([0, 1, 2]) == 2
    found.prior = [1, 0, 2, 3]
    assert found.leader([0, 1, 2]) == 1  # second by validation, first by the score
    found.prior = [0, 3, 2, 1]
    assert found.leader([0, 1, 2]) == 2  # places 0 + 1 against 2 + 0 and 1 + 2


def test_a_history_decides_until_the_score_that_it_joins_is_paid_for() -> None:
    one = bench()
    one.ranks.update({"history": np.array([2, 3, 1, 4.0]), "good + history": np.array([6, 4, 3.5, 7])})
    one.costs.update({"history": 0, "good + history": 3})
    found = Course(one, np.random.default_rng(0))
    score_alone(found, "good + history")
    np.testing.assert_allclose(found.regrets(np.array([0.0, 2.9, 3.0])), [0.2, 0.2, 0.2])
    one.ranks["good + history"] = one.ranks["good"]
    found = Course(one, np.random.default_rng(0))
    score_alone(found, "good + history")
    np.testing.assert_allclose(found.regrets(np.array([0.0, 2.9, 3.0])), [0.2, 0.2, 0])
