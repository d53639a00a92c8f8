"""Zoos for the tests of executors: candidates that crash, hang or take their time, and very many tiny ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
import yaml
from helpers.workbench import entry, network, write_zoo

FAULTY = """
import os, sys, time
from pathlib import Path
from small_networks import small

def aborts():
    os.abort()

def hangs():
    time.sleep(600)

def leaves():
    sys.exit(0)

def slow(begun, seconds):
    with Path(begun).open("a") as file:
        file.write(f"{os.getpid()}\\n")
    time.sleep(seconds)
    return small()

def tiny(seed):
    import torch
    from torch import nn
    torch.manual_seed(seed)
    model = nn.Sequential(
        nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(),
        nn.Linear(4, 2))
    nn.init.normal_(model[1].weight, 1.0, 0.3)
    nn.init.normal_(model[1].bias, 0.0, 0.5)
    return model
"""


def faulty(name: str, function: str, **arguments: Any) -> dict[str, Any]:
    """A manifest entry for a network of FAULTY, over the weights of net0."""
    more = {"architecture": f"factory:faulty_networks:{function}", "weights": "net0.pth", "factory_args": arguments}
    return {**entry(name), **more}


def good(i: int) -> dict[str, Any]:
    """The entry of a network that works, `net0` to `net3`."""
    return entry(f"net{i}", reference={"accuracy": 50.0 + i})


def write_faulty_zoo(folder: Path, *entries: dict[str, Any]) -> Path:
    """`folder/zoo.yaml` over the entries, with the code and the weights of net0 to net3 beside it."""
    path = write_zoo(folder, *entries)
    (folder / "faulty_networks.py").write_text(FAULTY)
    for i in range(4):
        torch.save(network(i).state_dict(), folder / f"net{i}.pth")
    return path


def write_many(folder: Path, count: int) -> Path:
    """A zoo of `count` tiny candidates, `c0000` and so on, each with affines of its own."""
    folder.mkdir(parents=True)
    (folder / "small_networks.py").write_text("small = None\n")
    (folder / "faulty_networks.py").write_text(FAULTY)
    scope: dict[str, Any] = {}
    exec(FAULTY.replace("from small_networks import small", ""), scope)
    models = []
    for i in range(count):
        torch.save(scope["tiny"](i).state_dict(), folder / f"c{i:04d}.pth")
        models.append(
            {
                "id": f"c{i:04d}",
                "architecture": "factory:faulty_networks:tiny",
                "factory_args": {"seed": i},
                "weights": f"c{i:04d}.pth",
                "input": {"size": 8, "mean": [0.5] * 3, "std": [0.5] * 3},
            }
        )
    path = folder / "zoo.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "models": models}))
    return path


def comparable(path: Path) -> dict[str, Any]:
    """A run record without what may differ: seconds and environment."""
    record: dict[str, Any] = json.loads(path.read_text())
    del record["environment"]
    for row in record["rows"]:
        del row["seconds"]
    return record
