"""Bare passes and finetuning steps of one network, as a script written for nothing else would run them.

    python benchmarks/real_size/passes.py MANIFEST ID --images 128 [--batch 32] [--steps 3] [--allow-code]

Loads the candidate as acrank does, with convolutions in the memory layout that acrank uses, and times on random images
of its input size, after a warm-up that does not count:

- a forward and backward pass over so many images, to the affine parameters of the normalisation layers alone (to all
  parameters where it has none) and to all parameters, in training mode and in parts of at most --batch images;
- so many steps of SGD with momentum on the whole network with batches of --batch images.

The loss is the mean square of the output. Nothing is decoded, scored or written; prints seconds as JSON.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from acrank.system.machine import channels_last
from acrank.zoo import LoadedModel, load_candidate, load_zoo

WARM_UP = 2  # images


def main() -> None:
    """Time one network and print the seconds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("id")
    parser.add_argument("--images", type=int, required=True, help="of a draw")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--allow-code", action="store_true")
    given = parser.parse_args()
    (candidate,) = load_zoo(given.manifest).select([given.id]).candidates
    loaded = load_candidate(candidate, allow_code=given.allow_code)
    model = loaded.model.train().requires_grad_(True)
    model = channels_last(model) if len(loaded.input.size) == 2 else model
    one_pass(model, list(model.parameters()), [images(loaded, WARM_UP)])
    parts = [images(loaded, size) for size in sizes(given.images, given.batch)]
    seconds = {
        "bare_affine": timed(lambda: one_pass(model, affine_parameters(model), parts)),
        "bare_full": timed(lambda: one_pass(model, list(model.parameters()), parts)),
    }
    batch = images(loaded, given.batch)
    optimiser = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    finetune(model, optimiser, batch[:WARM_UP], steps=1)  # makes the buffers of the momentum
    seconds["steps"] = timed(lambda: finetune(model, optimiser, batch, steps=given.steps))
    print(json.dumps({**seconds, "step_images": given.steps * given.batch, "threads": torch.get_num_threads()}))


def images(loaded: LoadedModel, n: int) -> Tensor:
    """Random images [n, c, h, w], or volumes."""
    made = torch.rand(n, loaded.input.channels, *loaded.input.size, generator=torch.Generator().manual_seed(0))
    return made.contiguous(memory_format=torch.channels_last) if made.ndim == 4 else made


def sizes(n: int, most: int) -> list[int]:
    """`n` in as few parts of at most `most` as possible, all of about the same size."""
    parts = math.ceil(n / most)
    return [n // parts + (i < n % parts) for i in range(parts)]


def affine_parameters(model: nn.Module) -> list[nn.Parameter]:
    """Weights and biases of normalisation layers, which alone have a weight of one dimension; else all parameters."""
    found = [
        parameter
        for layer in model.modules()
        if isinstance(weight := getattr(layer, "weight", None), nn.Parameter) and weight.ndim == 1
        for parameter in layer.parameters(recurse=False)
    ]
    return found or list(model.parameters())


def loss_of(output: Tensor) -> Tensor:
    return output.float().square().mean()


def one_pass(model: nn.Module, parameters: Sequence[nn.Parameter], parts: Sequence[Tensor]) -> None:
    """Forward and backward to these parameters, part by part."""
    model.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)
    for part in parts:
        torch.autograd.grad(loss_of(model(part)), list(parameters), allow_unused=True)
    model.requires_grad_(True)


def finetune(model: nn.Module, optimiser: torch.optim.Optimizer, batch: Tensor, *, steps: int) -> None:
    """Steps of finetuning on one batch."""
    for _ in range(steps):
        optimiser.zero_grad()
        loss_of(model(batch)).backward()
        optimiser.step()


def timed(work: Callable[[], None]) -> float:
    """Wall seconds."""
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
