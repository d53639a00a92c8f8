"""What AC-Norm layers cost beside batch normalisation, and the sorted correlation beside the dense one.

    python benchmarks/performance/layers.py [--rounds 7] [--out layers.json]

Networks run forward and backward in training mode, variants in turn within every round; a ratio is the median over
rounds of the ratio within a round, so that a busy machine disturbs both sides alike. Peak memory is the process's,
each variant in a process of its own.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from acrank.norm import affine_correlation, affine_overlap, convert_ac_norm
from acrank.zoo.timm_import import import_timm

NETWORKS = {"resnet18": 16, "resnet50": 16, "resnet50 (batch 8)": 8}
SIDE = 128


class TwoNormalisations(nn.Module):
    """AC-Norm straight from its formulas: two normalisations and a C×C matrix."""

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
    """`model` with every BatchNorm2d written out, in place."""
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


def build(network: str, variant: str) -> Callable[[], float]:
    """One forward and backward pass, timed in seconds."""
    torch.manual_seed(0)
    model = import_timm().create_model(network.split()[0])
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            nn.init.normal_(layer.weight, 1.0, 0.3)
            nn.init.normal_(layer.bias, 0.0, 0.5)
    model = VARIANTS[variant](model).train()
    images = torch.rand(NETWORKS[network], 3, SIDE, SIDE)

    def step() -> float:
        started = time.perf_counter()
        model(images).sum().backward()
        return time.perf_counter() - started

    return step


def peak_of(network: str, variant: str) -> float:
    """Peak memory in MiB of three passes in a process of its own."""
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
        sorted_form = [_timed(lambda parts=affines: affine_overlap(*parts)) for _ in range(rounds + 1)][1:]
        row: dict[str, object] = {"channels": channels, "sorted, ms": 1e3 * statistics.median(sorted_form)}
        if channels <= 8192:
            dense = [_timed(lambda parts=affines: affine_correlation(*parts).sum()) for _ in range(rounds + 1)][1:]
            row["dense, ms"] = 1e3 * statistics.median(dense)
            row["speed-up"] = statistics.median(a / b for a, b in zip(dense, sorted_form, strict=True))
        rows.append(row)
    return rows


def _timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


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
    }
    print(json.dumps(record, indent=1, ensure_ascii=False))
    if arguments.out:
        arguments.out.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
