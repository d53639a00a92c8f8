"""The embedded zoo: tiny checkpoints, and a procedural target to rank them on, without any download.

Images are drawn by `fundus` and `sources`; the checkpoints were trained on such images (and on scikit-learn's digits)
by benchmarks/demo_zoo/pretrain.py.
"""

from __future__ import annotations

import itertools
import os
from pathlib import Path

from acrank.errors import OutputError, UsageError

__all__ = ["GRADES", "TARGET_SIZE", "grade_counts", "make_target", "truth_path", "zoo_path"]

GRADES = ("0_none", "1_mild", "2_moderate", "3_severe", "4_proliferative")
TARGET_SIZE = 96
SHARES = (0.42, 0.14, 0.22, 0.10, 0.12)  # most retinas of a screening programme are healthy
FEWEST = 20
TARGET_STREAM, SOURCE_STREAM = 1, 2  # first word of every seed: target and sources never share an image


def zoo_path() -> Path:
    """The manifest of the embedded zoo; the weights are in `weights/` beside it.

    >>> zoo_path().name
    'model_zoo.yaml'
    """
    return Path(__file__).with_name("model_zoo.yaml")


def truth_path() -> Path:
    """Quality of the embedded zoo after finetuning on the default target: a table for `acrank compare`.

    Its settings are in `truth_settings.json` beside it.

    >>> truth_path().name
    'truth.csv'
    """
    return Path(__file__).with_name("truth.csv")


def grade_counts(n: int) -> tuple[int, ...]:
    """The number of images of each grade among `n`, the same for every seed.

    Raises:
        UsageError: fewer than 20 images.

    >>> grade_counts(240)
    (101, 33, 53, 24, 29)
    """
    if n < FEWEST:
        raise UsageError(f"{n} images are too few for five grades of unequal size", hint=f"give {FEWEST} or more")
    edges = [round(n * sum(SHARES[:grade])) for grade in range(len(SHARES))] + [n]
    return tuple(end - start for start, end in itertools.pairwise(edges))


def make_target(folder: str | os.PathLike[str], *, seed: int = 0, n: int = 240) -> None:
    """Write `n` graded retinas as PNG files of 96 × 96 pixels, one folder per grade, as `folder/2_moderate/017.png`.

    An image depends only on `seed`, its grade and its number within the grade; under no seed is one of them in the
    training data of the embedded checkpoints. Writing 240 takes about two seconds.

    Raises:
        UsageError: `n` is below 20.
        OutputError: `folder` is not empty, or cannot be written.
    """
    counts = grade_counts(n)
    folder = claim(folder)
    for grade, (name, count) in enumerate(zip(GRADES, counts, strict=True)):
        (folder / name).mkdir()
        for index in range(count):
            _draw(folder / name / f"{index:03d}.png", (TARGET_STREAM, seed, grade, index))


def _draw(path: Path, words: tuple[int, int, int, int]) -> None:
    import numpy as np
    from PIL import Image

    from acrank.demo.fundus import fundus

    Image.fromarray(fundus(np.random.default_rng(words), words[2], TARGET_SIZE)).save(path)


def claim(folder: str | os.PathLike[str]) -> Path:
    """Create a folder, or accept an empty one; its path.

    Raises:
        OutputError: it is not empty, or cannot be written.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        occupied = any(folder.iterdir())
    except OSError as error:
        raise OutputError(
            f"cannot write the target to {folder}: {error.strerror or error}", hint="choose a folder that is yours"
        ) from error
    if occupied:
        raise OutputError(f"{folder} is not empty", hint="choose a new folder, or delete this one first")
    return folder
