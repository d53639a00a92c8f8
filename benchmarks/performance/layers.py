"""Cost of AC-Norm relative to batch normalisation, of the sorted correlation to the dense one, and AC-Corr's share.

    python benchmarks/performance/layers.py [--rounds 7] [--out layers.json]

Networks run forward and backward in training mode, variants in turn within every round; a ratio is the median over
rounds of the ratio within a round, so that a busy machine disturbs both sides alike. Peak memory is the process's,
each variant in a separate process; that of the sorted correlation is what numpy allocates (tracemalloc).

The share is the time of `affine_overlap` over all layers of a network, relative to one evaluation of that candidate:
one forward and backward pass of 128 images at 64 px under AC-Norm.
"""

from __future__ import annotations

import argparse
import functools
import json
import resource
import statistics
import subprocess
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from acrank.norm import ac_norm_layers, affine_correlation, affine_overlap, convert_ac_norm
from acrank.zoo.architectures.timm_import import import_timm

NETWORKS = {"resnet18": 16, "resnet50": 16, "resnet50 (batch 8)": 8}
SIDE = 128


class TwoNormalisations(nn.Module):
    """AC-Norm as the paper writes it: two normalisations and a C×C matrix."""

    def __init__(self, layer: nn.BatchNorm2d) -> None:
        super().__init__()
        self.eps, self.momentum = layer.eps, layer.momentum or 0.1
        for name in ("running_mean", "running_var"):
            self.register_buffer(name, getattr(layer, name).clone())
        self.source = (layer.weight.detach().clone(), layer.bias.detach().clone())
        self.weight, self.bias = (nn.Parameter(part.clone()) for part in self.source)

    def forward(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            source = self.source[1] / (self.source[0].abs() + self.eps)
            target = self.bias / (self.weight.abs() + self.eps)
            matrix = torch.softmax(-(target[:, None] - source[None, :]).abs(), dim=1)
            matrix = torch.where(matrix >= matrix.diagonal()[:, None], matrix, 0.0)
        stats = (self.running_mean, self.running_var)
        one = functional.batch_norm(x, *stats, self.weight, self.bias, True, self.momentum, self.eps)
        weight, bias = matrix @ self.weight, matrix @ self.bias
        return one + functional.batch_norm(x, *stats, weight, bias, True, self.momentum, self.eps)


def naive(model: nn.Module) -> nn.Module:
    """`model` with every BatchNorm2d replaced by TwoNormalisations, in place."""
    for module in list(model.modules()):
        for name, child in module.named_children():
            if type(child) is nn.BatchNorm2d:
                setattr(module, name, TwoNormalisations(child))
    return model


VARIANTS: dict[str, Callable[[nn.Module], nn.Module]] = {
    "batch norm": lambda model: model,
    "AC-Norm": convert_ac_norm,
    "two normalisations, C×C": naive,
}


def made(network: str, variant: str) -> nn.Module:
    """The network in training mode, with affine parameters as after training."""
    torch.manual_seed(0)
    model = import_timm().create_model(network)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.3)
            nn.init.normal_(layer.bias, 0.0, 0.5)
    return VARIANTS[variant](model).train()


def build(network: str, variant: str) -> Callable[[], float]:
    """One forward and backward pass, timed in seconds."""
    model = made(network.split()[0], variant)
    images = torch.rand(NETWORKS[network], 3, SIDE, SIDE)
    return lambda: _timed(lambda: model(images).sum().backward())


def peak_of(network: str, variant: str) -> float:
    """Peak memory in MiB of three passes in a separate process."""
    words = [sys.executable, __file__, "--peak", network, variant]
    return float(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def networks(rounds: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for network in NETWORKS:
        steps = {variant: build(network, variant) for variant in VARIANTS}
        times = {variant: [0.0] * rounds for variant in VARIANTS}
        for i in range(-1, rounds):  # round -1 warms up
            for variant, step in steps.items():
                seconds = step()
                if i >= 0:
                    times[variant][i] = seconds
        del steps
        ratio = {
            variant: statistics.median(a / b for a, b in zip(times["AC-Norm"], values, strict=True))
            for variant, values in times.items()
        }
        peaks = {variant: peak_of(network, variant) for variant in ("batch norm", "AC-Norm")}
        rows.append(
            {
                "network": network,
                "seconds": {variant: statistics.median(values) for variant, values in times.items()},
                "time, AC-Norm / batch norm": ratio["batch norm"],
                "speed-up over two normalisations": 1 / ratio["two normalisations, C×C"],
                "memory, AC-Norm / batch norm": peaks["AC-Norm"] / peaks["batch norm"],
            }
        )
    return rows


def correlations(rounds: int) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for channels in (64, 512, 2048, 8192, 65536):
        torch.manual_seed(channels)
        affines = [torch.randn(channels, dtype=torch.float64) for _ in range(4)]
        overlap = functools.partial(affine_overlap, *affines)
        sorted_form = [_timed(overlap) for _ in range(rounds + 1)][1:]
        row: dict[str, object] = {"channels": channels, "sorted, ms": 1e3 * statistics.median(sorted_form)}
        row["sorted, peak bytes per channel"] = round(_allocated(overlap) / channels)
        if channels <= 8192:
            dense = [_timed(lambda parts=affines: affine_correlation(*parts).sum()) for _ in range(rounds + 1)][1:]
            row["dense, ms"] = 1e3 * statistics.median(dense)
            row["speed-up"] = statistics.median(a / b for a, b in zip(dense, sorted_form, strict=True))
        rows.append(row)
    return rows


def share(network: str, rounds: int) -> dict[str, object]:
    """AC-Corr's share of the time of one evaluation; target parameters lie near the source's, as after one step."""
    model, images = made(network, "AC-Norm"), torch.rand(128, 3, 64, 64)
    layers = [layer for _, layer in ac_norm_layers(model)]
    with torch.no_grad():
        for layer in layers:
            layer.bias_target.add_(0.01 * torch.randn(layer.num_features))

    def evaluate() -> None:
        model(images).sum().backward()

    def correlate() -> None:
        for one in layers:
            affine_overlap(one.weight, one.bias, one.weight_target, one.bias_target, eps=one.eps)

    times = [(_timed(evaluate), _timed(correlate)) for _ in range(rounds + 1)][1:]
    whole, part = (statistics.median(values) for values in zip(*times, strict=True))
    ratio = statistics.median(b / a for a, b in times)
    return {"network": network, "evaluation, s": whole, "AC-Corr of all layers, s": part, "share": ratio}


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def _allocated(work: Callable[[], object]) -> int:
    """Peak bytes that numpy allocates during a call."""
    tracemalloc.start()
    work()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--peak", nargs=2, metavar=("NETWORK", "VARIANT"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak:
        step = build(*arguments.peak)
        for _ in range(3):
            step()
        print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
        return
    record = {
        "rounds": arguments.rounds,
        "threads": torch.get_num_threads(),
        "networks": networks(arguments.rounds),
        "correlation": correlations(arguments.rounds),
        "share of AC-Corr": [share(network, arguments.rounds) for network in ("resnet18", "resnet50")],
    }
    print(json.dumps(record, indent=1, ensure_ascii=False))
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
