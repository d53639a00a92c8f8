"""Sound inputs that cases start from: two tiny candidates, images, a run with its cache, a finetuning."""

from __future__ import annotations

import json
import shutil
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from PIL import Image

import acrank
from fuzz.client import Server

_WEIGHTS = Path(acrank.__file__).parent / "demo" / "weights"
_SOURCES = {"a": ("test_efficientnet", "efficientnet-digits"), "b": ("test_efficientnet", "efficientnet-textures")}
INPUT = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
#: Quick settings of `acrank score`; the cache of the materials is of these.
QUICK = ("--samples", "8", "--repeats", "1", "--scores", "probe_accuracy,channel_alignment")
#: Architectures that `acrank zoo scan` knows.
INDEXED = ["test_efficientnet", "test_resnet", "resnet10t"]
QUICK_FINETUNING = ("--epochs", "1", "--splits", "1", "--lr", "0.01")


class Materials:
    """A folder of sound inputs, made once.

    Attributes:
        data: class folders of images.
        zoo: the manifest.
        run: record of a sound run.
        truth: CSV of a sound finetuning; its work folder lies beside it.
        cache: of the run.

    What few cases need is made when the first of them asks for it: the server must still be there.
    """

    def __init__(self, folder: Path, server: Server) -> None:
        folder.mkdir(parents=True)
        self.folder = folder
        self.data, self.zoo = folder / "data", folder / "zoo.yaml"
        self.run, self.truth, self.cache = folder / "run.json", folder / "truth.csv", folder / "cache"
        for name, (_, file) in _SOURCES.items():
            shutil.copy(_WEIGHTS / f"{file}.safetensors", folder / f"{name}.safetensors")
        write_images(self.data)
        self.zoo.write_text(yaml.safe_dump({"version": 1, "models": [self.entry("a"), self.entry("b")]}))
        self._server, self._where = server, ("--zoo", str(self.zoo), "--data", str(self.data))
        self._make("score", *self._where, *QUICK, "-o", "run.json")
        self._make("finetune", *self._where, *QUICK_FINETUNING, "-o", "truth.csv")

    def entry(self, name: str, **more: Any) -> dict[str, Any]:
        """A sound manifest entry; its weights are given by their whole path."""
        weights = str(self.folder / f"{name}.safetensors")
        return {"id": name, "architecture": _SOURCES[name][0], "weights": weights, "input": INPUT, **more}

    @cached_property
    def record(self) -> dict[str, Any]:
        """The run record."""
        found: dict[str, Any] = json.loads(self.run.read_text())
        return found

    @cached_property
    def values(self) -> dict[str, float]:
        """The ranking score by model."""
        rank_by = self.record["settings"]["rank_by"]
        return {row["model"]: row["scores"][rank_by]["value"] for row in self.record["rows"]}

    @cached_property
    def worst(self) -> str:
        """The model with the last rank."""
        return str(max(self.record["rows"], key=lambda row: row["rank"])["model"])

    @cached_property
    def comparison(self) -> dict[str, Any]:
        """The record of a comparison of the run with the truth."""
        self._make("compare", str(self.run), "--truth", str(self.truth), "--resamples", "100", "-o", "comparison.json")
        found: dict[str, Any] = json.loads((self.folder / "comparison.json").read_text())
        return found

    @cached_property
    def refined(self) -> Path:
        """The record of a run with short trainings; their work folder lies beside it."""
        self._make("score", *self._where, *QUICK, "--refine", "2", "-o", "refined.json")
        return self.folder / "refined.json"

    @cached_property
    def index(self) -> Path:
        """A cache with the index that `acrank zoo scan` reads, of a few architectures."""
        from acrank.zoo.fingerprint_index import Index, build_index, write_index
        from acrank.zoo.fingerprints import timm_fingerprints, torchvision_fingerprints

        folder = self.folder / "index"
        write_index(folder, "timm", build_index(timm_fingerprints(INDEXED), total=len(INDEXED)))
        write_index(folder, "torchvision", build_index(torchvision_fingerprints(["resnet18"]), total=1))
        write_index(folder, "smp", Index([]))
        return folder

    def _make(self, *argv: str) -> None:
        ended = self._server.run(self.folder, 120, argv=list(argv), env={"ACRANK_CACHE": str(self.cache)})
        if ended.code:
            raise RuntimeError(f"{argv[0]}: {ended.err.decode()}")


def write_images(folder: Path, *, classes: int = 2, each: int = 8, size: int = 24) -> None:
    """Class folders of RGB noise whose mean tells the class."""
    for label in range(classes):
        (folder / f"c{label}").mkdir(parents=True)
        for index in range(each):
            Image.fromarray(pixels(label, index, size)).save(folder / f"c{label}" / f"{index}.png")


def pixels(label: int, index: int, size: int = 24) -> np.ndarray:
    """One image, uint8."""
    noise = np.random.default_rng([label, index]).integers(0, 120, (size, size, 3)) + 60 * label
    return noise.astype(np.uint8)
