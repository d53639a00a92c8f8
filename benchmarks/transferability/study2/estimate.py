"""How many hours of one core the ground truth of a pool takes, from one step of each of its candidates.

    python -m benchmarks.transferability.study2.estimate --shared FOLDER [--pool b] [--work FOLDER]

Prints seconds of a run by candidate and hours by target, for SPLITS splits. Processor seconds of a step and of a
forward pass on random images are counted up to all epochs, so early stopping makes it less and decoding more.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from acrank.zoo import Candidate
from acrank.zoo.loading import load_candidate

from . import WORK
from .pools import POOLS, zoo
from .protocol import CASES, MASKS, POOL_TARGETS, SPLITS, TARGETS, TRAIN, VAL, Target2

BATCH = 8
#: Pixels of a side of the images with masks, and voxels of the volumes, which windows of a network's size cover.
SIDES = {"acdc2d_seg": (160, 160), "wbc_seg": (120, 120), "acdc3d": (128, 128, 10)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, required=True)
    parser.add_argument("--work", type=Path, default=WORK)
    parser.add_argument("--pool", choices=tuple(POOLS), default="b")
    parser.add_argument("--kind", action="append", help="of the pool's candidates; all without")
    options = parser.parse_args()
    torch.set_num_threads(1)
    hours = dict.fromkeys(POOL_TARGETS[options.pool], 0.0)
    for kind in options.kind or POOLS[options.pool]:
        for candidate in zoo(kind, options.shared, options.work).candidates:
            step, forward, size = costs(candidate)
            runs = {name: seconds(name, step, forward, size) for name in hours}
            print(f"{candidate.id:40s} {sum(runs.values()) / len(runs):7.0f} s a run", flush=True)
            hours = {name: hours[name] + SPLITS * runs[name] / 3600 for name in hours}
    for name, value in hours.items():
        print(f"{name:16s} {value:6.1f} h")
    print(f"{'all':16s} {sum(hours.values()):6.1f} h of one core for {SPLITS} splits")


def costs(candidate: Candidate) -> tuple[float, float, tuple[int, ...]]:
    """Processor seconds of an image in a step and in a forward pass, and the input's size."""
    loaded = load_candidate(candidate, allow_code=True)
    given = loaded.input
    images = torch.randn(BATCH, given.channels, *given.size)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        step = _quickest(lambda: _stepped(loaded.model.train(), images)) / BATCH
        with torch.no_grad():
            forward = _quickest(lambda: loaded.model.eval()(images)) / BATCH
    return step, forward, tuple(given.size)


def _stepped(network: nn.Module, images: Tensor) -> None:
    found = network(images)
    torch.autograd.backward((found if isinstance(found, Tensor) else found[0]).float().square().mean())


def _quickest(run: Callable[[], object]) -> float:
    times = []
    for _ in range(3):
        began = time.process_time()
        run()
        times.append(time.process_time() - began)
    return min(times)


def seconds(name: str, step: float, forward: float, size: tuple[int, ...]) -> float:
    """Seconds of a run that never stops early."""
    target = TARGETS[name]
    settings = target.settings
    train, val, test = counts(target, name, size)
    return len(settings.lrs) * (settings.epochs * (train * step + val * forward) + test * forward)


def counts(target: Target2, name: str, size: tuple[int, ...]) -> tuple[float, float, float]:
    """Images, or patches and windows, that train, validate and test in an epoch."""
    if target.stratum != MASKS:
        return TRAIN, VAL, target.images * target.shares[1]
    windows = 1.0
    for side, own in zip(SIDES[name], size, strict=True):
        windows *= max(1, -(-side // own))
    images = target.images / target.every
    return CASES * target.settings.patches, images * target.shares[0] * windows, images * target.shares[1] * windows


if __name__ == "__main__":
    main()
