"""Stratified draws and halves: invariants that hold for every target."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from acrank.errors import TargetError
from acrank.targets import open_target
from acrank.targets.sampling import allocate, draw_sample, halves

class_sizes = st.lists(st.integers(1, 60), min_size=2, max_size=12)
seeds = st.integers(0, 2**40)


def labels_of(sizes: list[int], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).permutation(np.repeat(np.arange(len(sizes)), sizes))


@st.composite
def drawn(pull: st.DrawFn) -> tuple[np.ndarray, int, int]:
    """Labels in some order, a size of at least the number of classes, a seed."""
    sizes = pull(class_sizes.filter(lambda sizes: max(sizes) > 1))  # classes of one image each are refused
    return labels_of(sizes, pull(st.integers(0, 99))), pull(st.integers(len(sizes), sum(sizes) + 5)), pull(seeds)


@given(drawn())
def test_a_draw_has_the_size_and_every_class(case: tuple[np.ndarray, int, int]) -> None:
    labels, size, seed = case
    picks = draw_sample(labels, size, seed=seed, repeat=0, task="classification")
    assert picks.dtype == np.int64
    assert len(picks) == min(size, len(labels))
    assert (np.diff(picks) > 0).all()
    assert set(labels[picks]) == set(labels)
    available = np.minimum(np.bincount(labels), 2)
    if size >= available.sum():
        assert (np.bincount(labels[picks]) >= available).all()


@given(drawn())
def test_a_draw_repeats_itself(case: tuple[np.ndarray, int, int]) -> None:
    labels, size, seed = case
    first = draw_sample(labels, size, seed=seed, repeat=3, task="classification")
    np.testing.assert_array_equal(draw_sample(labels.copy(), size, seed=seed, repeat=3, task="classification"), first)


@given(drawn(), st.permutations(range(12)))
def test_a_draw_does_not_depend_on_which_number_a_class_has(
    case: tuple[np.ndarray, int, int], names: list[int]
) -> None:
    """Where shares are whole there are no ties to break by number, so the same images are drawn."""
    labels, _, seed = case
    doubled = np.tile(labels, 2)
    renamed = np.array(names)[doubled]
    half = len(labels)
    if np.bincount(labels).min() < 2:
        return
    one, other = (draw_sample(these, half, seed=seed, repeat=0, task="classification") for these in (doubled, renamed))
    np.testing.assert_array_equal(one, other)


@given(class_sizes.filter(lambda sizes: min(sizes) > 1), st.integers(1, 4))
def test_whole_shares_are_exact(sizes: list[int], times: int) -> None:
    labels = labels_of([size * 4 for size in sizes], 0)
    picks = draw_sample(labels, sum(sizes) * times, seed=1, repeat=0, task="classification")
    assert np.bincount(labels[picks]).tolist() == [size * times for size in sizes]


@given(class_sizes, st.data())
def test_shares_keep_within_one_of_the_proportion_where_no_floor_binds(sizes: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(len(sizes), sum(sizes)))
    shares = allocate(np.array(sizes), total)
    exact = np.array(sizes) * total / sum(sizes)
    assert shares.sum() == total
    assert (shares <= sizes).all()
    assert (shares >= 1).all()
    if (np.floor(exact) >= np.minimum(sizes, 2)).all():
        assert (np.abs(shares - exact) < 1).all()


def largest_remainder(sizes: list[int], total: int) -> list[int]:
    """Hamilton's method, written out."""
    exact = [size * total / sum(sizes) for size in sizes]
    shares = [int(value) for value in exact]
    by_remainder = sorted(range(len(sizes)), key=lambda place: (round(shares[place] - exact[place], 9), place))
    for place in by_remainder[: total - sum(shares)]:
        shares[place] += 1
    return shares


@given(st.lists(st.integers(20, 60), min_size=2, max_size=6), st.data())
def test_shares_are_those_of_hamiltons_method(sizes: list[int], data: st.DataObject) -> None:
    total = data.draw(st.integers(sum(sizes) // 5, sum(sizes)))
    assert allocate(np.array(sizes), total).tolist() == largest_remainder(sizes, total)


def test_a_rare_class_is_taken_at_the_expense_of_the_large_ones() -> None:
    assert allocate(np.array([980, 10, 6, 3, 1]), 12).tolist() == [5, 2, 2, 2, 1]
    assert allocate(np.array([980, 10, 6, 3, 1]), 6).tolist() == [2, 1, 1, 1, 1]


@given(drawn())
def test_repeats_and_seeds_draw_other_images(case: tuple[np.ndarray, int, int]) -> None:
    labels = np.tile(case[0], 20)
    picks = {
        tuple(draw_sample(labels, len(labels) // 2, seed=case[2] + more, repeat=repeat, task="classification").tolist())
        for more in range(2)
        for repeat in range(3)
    }
    assert len(picks) == 6


def test_every_image_is_drawn_about_equally_often() -> None:
    labels = np.repeat([0, 1], [30, 10])
    counts = np.zeros(40)
    for repeat in range(800):
        counts[draw_sample(labels, 8, seed=5, repeat=repeat, task="classification")] += 1
    # each image has probability 0.2: binomial, sd 11.3; five of them
    assert np.abs(counts - 160).max() < 57


def test_the_stream_is_the_same_everywhere() -> None:
    """Recorded from this implementation with NumPy 2.4; NumPy promises the stream of PCG64 for every version."""
    labels = np.arange(1000) % 7
    assert draw_sample(labels, 7, seed=3, repeat=1, task="classification").tolist() == [
        16,
        171,
        245,
        606,
        741,
        775,
        918,
    ]


def test_all_are_taken_where_there_are_no_more() -> None:
    labels = np.array([0, 1, 1])
    for size in (None, 3, 99):
        assert draw_sample(labels, size, seed=0, repeat=0, task="classification").tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("labels", "size", "message"),
    [
        (np.array([0, 1, 2, 2]), 2, "a sample of 2 images is too small for 3 classes"),
        (np.array([1, 1, 1]), 2, "one class only"),
        (np.array([2, 0, 1]), None, "each of the 3 classes has one image only"),
        (np.array([], dtype=np.int64), None, "no images"),
    ],
)
def test_what_cannot_be_drawn(labels: np.ndarray, size: int | None, message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        draw_sample(labels, size, seed=0, repeat=0, task="classification")
    assert caught.value.hint


def test_a_regression_sample_covers_the_range() -> None:
    labels = np.random.default_rng(0).permutation(np.linspace(0, 1, 500) ** 3)
    picks = draw_sample(labels, 20, seed=0, repeat=0, task="regression")
    tenths = np.quantile(labels, np.linspace(0, 1, 11))
    assert np.histogram(labels[picks], tenths)[0].tolist() == [2] * 10
    with pytest.raises(TargetError, match="a sample of 1 images is too small for 2 parts of the range"):
        draw_sample(labels, 1, seed=0, repeat=0, task="regression")


def test_a_multilabel_sample_holds_rare_labels() -> None:
    flags = np.zeros((500, 3), np.int64)
    flags[::2, 0] = 1
    flags[::50, 1] = 1
    flags[[100, 301], 2] = 1  # 100 has all three
    for repeat in range(20):
        picks = draw_sample(flags, 30, seed=0, repeat=repeat, task="multilabel")
        assert len(picks) == 30
        assert flags[picks, 2].sum() == 2
        assert flags[picks, 1].sum() >= 2
    with pytest.raises(TargetError, match="a sample of 3 images is too small for 4 groups of labels"):
        draw_sample(flags, 3, seed=0, repeat=0, task="multilabel")


@given(drawn())
def test_halves_are_equal_within_one_and_so_is_every_class(case: tuple[np.ndarray, int, int]) -> None:
    labels, _, seed = case
    first = halves(labels, seed=seed, repeat=0, task="classification")
    assert first.dtype == np.bool_
    assert first.shape == labels.shape
    assert abs(int(first.sum()) - int((~first).sum())) <= 1
    in_first, in_second = (np.bincount(labels[half], minlength=labels.max() + 1) for half in (first, ~first))
    assert np.abs(in_first - in_second).max() <= 1


def test_halves_differ_by_seed_and_repeat_and_return() -> None:
    labels = np.arange(64) % 4
    made = [halves(labels, seed=seed, repeat=repeat, task="classification") for seed in (0, 1) for repeat in (0, 1)]
    assert len({half.tobytes() for half in made}) == 4
    np.testing.assert_array_equal(halves(labels, seed=1, repeat=1, task="classification"), made[-1])


def test_halves_do_not_follow_the_draw() -> None:
    """The draw took the smallest keys of a stream: halves from the same stream would sort by them again."""
    labels = np.zeros(400, dtype=np.int64)
    labels[0] = 1
    first = halves(labels, seed=0, repeat=0, task="classification")
    other = np.zeros(400, dtype=bool)
    other[draw_sample(labels, 200, seed=0, repeat=0, task="classification")] = True
    assert 0.35 < (first == other).mean() < 0.65


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_halves_of_other_tasks(task: str) -> None:
    rng = np.random.default_rng(2)
    labels = rng.normal(size=51) if task == "regression" else (rng.random((51, 4)) < 0.2).astype(np.int64)
    first = halves(labels, seed=0, repeat=0, task=task)  # type: ignore[arg-type]
    assert abs(2 * int(first.sum()) - 51) == 1


def test_the_order_in_which_files_were_made_does_not_matter(tmp_path: Path) -> None:
    names = [f"{'ab'[place % 2]}/{place}.png" for place in range(30)]
    found = []
    for name, order in (("one", names), ("two", names[::-1])):
        for file in order:
            (tmp_path / name / file).parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (2, 2)).save(tmp_path / name / file)
        target = open_target(tmp_path / name)
        picks = draw_sample(target.labels, 8, seed=0, repeat=0, task=target.task)
        found.append([target.ids[pick] for pick in picks])
    assert found[0] == found[1]
