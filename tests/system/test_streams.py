"""Random streams: none is shared, and draws know nothing of the splits of finetuning."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from acrank.finetuning.splits import partition_indices
from acrank.system.streams import Purpose, seed_of, stream
from acrank.targets.sampling import draw_sample

#: Purposes, with the number of words that their streams have.
WORDS = {
    **dict.fromkeys(("DRAW", "HALVES", "SHUFFLE", "PATCH_IMAGES", "POSITION_SHUFFLE", "HEAD", "ONE_EPOCH", "SCORE"), 2),
    "RESAMPLE": 2,
    **dict.fromkeys(("FINETUNE_HEAD", "FINETUNE_BATCHES", "SAMPLE_PATCH", "UNTRAINED"), 2),
    **dict.fromkeys(("TEST_SPLIT", "VAL_SPLIT", "FOREGROUND", "FINETUNE_PATCH", "REFINE_SPLIT"), 1),
    **dict.fromkeys(("TRAIN_PART", "SAMPLE", "REFINE_PART"), 2),
    "PATCH": 3,
}


def first_number(purpose: Purpose, words: tuple[int, ...]) -> int:
    return int(np.random.PCG64(stream(purpose, *words)).random_raw())


def test_every_purpose_is_known_here() -> None:
    assert set(WORDS) == {purpose.name for purpose in Purpose}


def test_no_two_purposes_share_a_stream() -> None:
    """All words up to 50; of three words, the last up to 5. By chance two of 50,000 begin alike once in 10^10."""
    seen: dict[int, tuple[str, tuple[int, ...]]] = {}
    for name, count in WORDS.items():
        sizes = (range(50), range(50), range(5))[:count]
        for words in itertools.product(*sizes):
            number = first_number(Purpose[name], words)
            assert number not in seen, (seen.get(number), name, words)
            seen[number] = (name, words)
    assert len(seen) > 40_000


@pytest.mark.parametrize("words", [((1,), (1, 0)), ((0, 1), (1, 0)), ((2**32,), (0, 1)), ((12, 3), (1, 23))])
def test_words_are_never_taken_for_others(words: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    assert first_number(Purpose.DRAW, words[0]) != first_number(Purpose.DRAW, words[1])
    assert seed_of(Purpose.DRAW, *words[0]) != seed_of(Purpose.DRAW, *words[1])


def test_a_seed_has_so_many_bits() -> None:
    found = [seed_of(Purpose.SCORE, number, bits=32) for number in range(500)]
    assert max(found) < 2**32
    assert max(found) > 2**31


def test_draws_and_test_parts_overlap_as_chance_has_it() -> None:
    """Version 0.2.0 shared streams: with seed 2, 19 of 20 drawn images were test images of the first split.

    The overlap of a draw of n and a test part of T from N images is hypergeometric: n T / N on average. Checked for
    every seed and split below 50 on the mean of three repeats, and on the mean of all.
    """
    labels = np.repeat([0, 1], 100)
    tests = [set(partition_indices(labels, split=i, val_share=0.2, test_share=0.3)["test"].tolist()) for i in range(50)]
    overlaps = np.empty((50, 50))
    for seed in range(50):
        draws = [draw_sample(labels, 20, seed=seed, repeat=repeat, task="classification") for repeat in range(3)]
        for split, test in enumerate(tests):
            overlaps[seed, split] = np.mean([len(test.intersection(one.tolist())) for one in draws])
    n, drawn, share = 200, 20, 0.3
    deviation = math.sqrt(drawn * share * (1 - share) * (n - drawn) / (n - 1) / 3)
    assert abs(overlaps.mean() - drawn * share) < 5 * deviation / 50
    # 2,500 pairs: 5 deviations above the mean come once in 3.5 million
    assert np.abs(overlaps - drawn * share).max() < 5.5 * deviation
