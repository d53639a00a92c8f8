"""Random streams by purpose: all of acrank's random numbers come from here, so that no two purposes share a stream.

The procedural images of `acrank.demo` and the resampling of `acrank.comparison` have streams of their own: those images
are part of what the embedded checkpoints were trained on, and comparisons name their streams by dataset.
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

#: The version of the streams. Results of another version are not joined with those of this one: version 1 (acrank
#: 0.2.0) handed out numbers by hand, and some purposes shared a stream.
STREAMS = 2


class Purpose(StrEnum):
    """What random numbers are for; the comments name the integers that tell the streams of one purpose apart."""

    DRAW = "images of a draw"  # seed, repeat
    HALVES = "halves of a draw"  # seed, repeat
    SHUFFLE = "shuffled labels of a draw"  # seed, repeat
    PATCH_IMAGES = "images that patches are cut from, in turn"  # seed, repeat
    PATCH = "corner and positions of a patch"  # seed, repeat, place
    POSITION_SHUFFLE = "shuffled labels of positions"  # seed, repeat
    HEAD = "random head of one step"  # seed, repeat
    ONE_EPOCH = "head and batches of one epoch"  # seed, repeat
    SCORE = "scores that draw"  # seed, repeat
    TEST_SPLIT = "images that test"  # split
    VAL_SPLIT = "images that validate"  # split
    TRAIN_PART = "images to train on, where not all are"  # split
    SAMPLE = "training images that a network is set up on"  # split
    SAMPLE_PATCH = "training patches that a network is set up on"  # split, place
    FOREGROUND = "places to centre patches on"  # image
    REFINE_SPLIT = "images that validate short trainings"  # seed
    REFINE_PART = "images of short trainings, where not all are"  # seed, 0 to train and 1 to validate
    FINETUNE_HEAD = "new weights of a finetuning run"  # seed, split
    FINETUNE_BATCHES = "batches of a finetuning run"  # seed, split
    UNTRAINED = "weights of an untrained twin"  # seed, number of the twin
    RESAMPLE = "subsets of a draw"  # seed, repeat
    FINETUNE_PATCH = "training patches of a finetuning run"  # a number from the stream of its batches


def stream(purpose: Purpose, *words: int) -> np.random.SeedSequence:
    """The stream of a purpose, for `numpy.random.default_rng` or `numpy.random.PCG64`.

    Purpose and words are hashed: a NumPy seed sequence made from the numbers themselves pads them with zeros, so that
    [1] and [1, 0] would be one stream.

    Args:
        purpose: what the numbers are for.
        words: integers of any size that tell the streams of one purpose apart, such as seed and repeat.

    Example:
        >>> import numpy
        >>> first, other = (numpy.random.PCG64(stream(Purpose.DRAW, *words)) for words in ((0, 1), (1, 0)))
        >>> int(first.random_raw()) == int(other.random_raw())
        False
    """
    import numpy as np

    return np.random.SeedSequence(_digest(purpose, words))


def seed_of(purpose: Purpose, *words: int, bits: int = 63) -> int:
    """A seed of `bits` bits for a purpose, for libraries that take a number (torch: 63, scikit-learn: 32).

    Example:
        >>> 0 <= seed_of(Purpose.SCORE, 0, 0, bits=32) < 2**32
        True
    """
    return _digest(purpose, words) >> (256 - bits)


def _digest(purpose: Purpose, words: tuple[int, ...]) -> int:
    text = "/".join([purpose.name, *(str(int(word)) for word in words)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")
