"""Batches in parts: every input once, nearly equal parts, each a small stratified sample."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from helpers.workbench import input_of, make_images, make_masks
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from acrank.observation.batches import Batch, batch_of
from acrank.targets import open_target
from acrank.targets.draws import make_draws

INPUT = input_of((16, 16), 3, mean=0.5, std=0.5)
counts = st.integers(1, 70)
sizes = st.integers(1, 80)


def batch(labels: Tensor, half: Tensor, positions: Tensor | None = None) -> Batch:
    inputs = torch.zeros(len(labels), 1, 4, 4)
    return Batch(inputs, labels, half, torch.arange(labels.numel()), classes=3, repeat=0, positions=positions)


def drawn(n: int, seed: int, high: int = 3) -> tuple[Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    return torch.from_numpy(rng.integers(0, high, n)), torch.from_numpy(rng.random(n) < 0.5)


def is_even(members: Tensor, parts: list[Tensor]) -> bool:
    """Whether each part has the same number of these inputs, or one more."""
    found = [int(members[part].sum()) for part in parts]
    return max(found) - min(found) <= 1


@given(counts, sizes, st.integers(0, 99))
def test_parts_are_stratified_samples_that_make_the_whole(n: int, size: int, seed: int) -> None:
    labels, half = drawn(n, seed)
    parts = batch(labels, half).parts(size)
    assert sorted(torch.cat(parts).tolist()) == list(range(n))
    assert all(part.tolist() == sorted(part.tolist()) for part in parts)
    lengths = [len(part) for part in parts]
    assert max(lengths) <= size
    assert max(lengths) - min(lengths) <= 1
    assert len(parts) == -(-n // size)  # as few as there can be
    for side in (half, ~half):
        assert is_even(side, parts)
        assert all(is_even(side & (labels == label), parts) for label in range(3))


@given(counts, sizes, st.integers(0, 99))
def test_flags_are_stratified_by_their_combination(n: int, size: int, seed: int) -> None:
    which, half = drawn(n, seed, high=4)
    flags = torch.stack([which // 2, which % 2], dim=1)
    parts = batch(flags, half).parts(size)
    assert sorted(torch.cat(parts).tolist()) == list(range(n))
    for side in (half, ~half):
        assert all(is_even(side & (which == one), parts) for one in range(4))


@given(counts, sizes, st.integers(0, 99))
def test_quantities_are_dealt_out_in_their_order(n: int, size: int, seed: int) -> None:
    """In each half the smallest so many are in different parts, the next, and so on."""
    numbers = torch.from_numpy(np.random.default_rng(seed).permutation(n) / 7)
    half = drawn(n, seed)[1]
    parts = batch(numbers, half).parts(size)
    part_of = {place: which for which, part in enumerate(parts) for place in part.tolist()}
    for side in (half, ~half):
        order = [part_of[place] for place in numbers.argsort().tolist() if side[place]]
        assert all(two == (one + 1) % len(parts) for one, two in pairwise(order))


@given(st.integers(1, 20), st.integers(1, 20), st.integers(0, 99))
def test_patches_are_stratified_by_half(n: int, size: int, seed: int) -> None:
    """A patch has labels of several classes, all in one half."""
    rng = np.random.default_rng(seed)
    half = torch.from_numpy(rng.random(n) < 0.5)
    labels, positions = (torch.from_numpy(rng.integers(0, high, (n, 5))) for high in (3, 16))
    parts = batch(labels, half.repeat_interleave(5), positions).parts(size)
    assert sorted(torch.cat(parts).tolist()) == list(range(n))
    assert is_even(half, parts)


@given(counts, sizes, st.integers(0, 99))
def test_parts_do_not_depend_on_chance(n: int, size: int, seed: int) -> None:
    one, other = (batch(*drawn(n, seed)).parts(size) for _ in range(2))
    assert all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("samples", [11, 24, 42])
def test_a_step_of_training_has_32_images_at_most(tmp_path: Path, samples: int) -> None:
    (draw,) = make_draws(open_target(make_images(tmp_path, each=14)), samples=samples, repeats=1, seed=3)
    assert batch_of(draw, INPUT).step == min(samples, 32)


def test_steps_of_patches_are_smaller(tmp_path: Path) -> None:
    (draw,) = make_draws(open_target(make_masks(tmp_path / "target")), samples=9, repeats=1, seed=0)
    assert batch_of(draw, INPUT).step == 4
