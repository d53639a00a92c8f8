"""Zoos for the tests of executors: candidates that crash, hang or take their time, and very many tiny ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from helpers import small_networks
from helpers.workbench import copy_code, entry, network, write_zoo

FAULTY = Path(__file__).with_name("faulty_networks.py")


def faulty(name: str, function: str, **arguments: Any) -> dict[str, Any]:
    """A manifest entry for a function of faulty_networks, over the weights of net0."""
    more = {"architecture": f"factory:faulty_networks:{function}", "weights": "net0.pth", "factory_args": arguments}
    return {**entry(name), **more}


def good(i: int) -> dict[str, Any]:
    """The entry of a network that works, `net0` to `net3`."""
    return entry(f"net{i}", reference={"accuracy": 50.0 + i})


def write_faulty_zoo(folder: Path, *entries: dict[str, Any]) -> Path:
    """`folder/zoo.yaml` over the entries, with the code and the weights of net0 to net3 beside it."""
    path = write_zoo(folder, *entries)
    copy_code(FAULTY, folder)
    for i in range(4):
        torch.save(network(i).state_dict(), folder / f"net{i}.pth")
    return path


def write_many(folder: Path, count: int) -> Path:
    """A zoo of `count` tiny candidates, `c0000` and so on, each with affines of its own."""
    folder.mkdir(parents=True)
    for i in range(count):
        torch.save(small_networks.tiny(i).state_dict(), folder / f"c{i:04d}.pth")
    size = {"size": 8, "mean": [0.5] * 3, "std": [0.5] * 3}
    return write_zoo(folder, *(entry(f"c{i:04d}", "tiny", factory_args={"seed": i}, input=size) for i in range(count)))


def comparable(path: Path) -> dict[str, Any]:
    """A run record without what may differ between equal runs: seconds and environment."""
    record: dict[str, Any] = json.loads(path.read_text())
    del record["environment"]
    for row in record["rows"]:
        del row["seconds"], row["details"]["took"]
    return record
