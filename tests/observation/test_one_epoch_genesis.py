"""Protocol `official` on a Models-Genesis 3D U-Net, against the authors' procedure written out from its formulas.

The procedure here shares nothing with the package but the data: a functional U-Net over the checkpoint's tensors,
AC-Norm as two batch normalisations with a dense correlation, PyTorch's SGD. Its normalisation is held to the authors'
figures.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from helpers.workbench import Outcome, input_of
from torch import Tensor, nn
from torch.nn import functional

from acrank.demo.nodules import make_nodules
from acrank.norm import ac_norm_layers
from acrank.observation.batches import PATCHES_PER_STEP
from acrank.observation.features import DenseReader
from acrank.observation.one_epoch import finetune_one_epoch
from acrank.observation.one_step import wrap_in_ac_norm
from acrank.scores.affine import ac_corr
from acrank.scores.inputs import LayerShift, Observation
from acrank.system.streams import Purpose, seed_of
from acrank.targets import open_target
from acrank.targets.draws import PatchDraw, make_draws
from acrank.zoo.architectures.genesis import UNet3D

GOLDEN = Path(__file__).parents[1] / "norm" / "data" / "ac_norm_reference.npz"
LAYER = "down_tr512.ops.1.bn1"
DOWN, UP = ("down_tr64", "down_tr128", "down_tr256", "down_tr512"), ("up_tr256", "up_tr128", "up_tr64")
SIZE, EPS, MOMENTUM = (16, 16, 16), 1e-5, 0.1
STEP = 10.0  # large enough for channels to meet others in three steps


# --- the procedure, written out ---------------------------------------------------------------------------------------


def dense_correlation(source: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]) -> Tensor:
    """C [C, C] as the script has it: a softmax, and what is below the own channel's probability set to 0."""
    y_s, y_t = (bias / (weight.abs() + EPS) for weight, bias in (source, target))
    probability = torch.softmax(-(y_t[:, None] - y_s[None, :]).abs(), dim=1)
    return torch.where(probability >= probability.diagonal()[:, None], probability, 0.0).detach()


@dataclass
class TwoNorms:
    """AC-Norm: two batch normalisations, each of which moves the running statistics."""

    source: tuple[Tensor, Tensor]
    target: tuple[Tensor, Tensor]
    mean: Tensor
    var: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        matrix = dense_correlation(self.source, self.target)
        weight, bias = self.target
        one = functional.batch_norm(x, self.mean, self.var, weight, bias, True, MOMENTUM, EPS)
        return one + functional.batch_norm(x, self.mean, self.var, matrix @ weight, matrix @ bias, True, MOMENTUM, EPS)

    @classmethod
    def of(cls, tensors: Mapping[str, Tensor], name: str) -> TwoNorms:
        weight, bias, mean, var = (
            tensors[f"{name}.{part}"].detach().clone() for part in ("weight", "bias", "running_mean", "running_var")
        )
        return cls((weight, bias), (weight.clone().requires_grad_(), bias.clone().requires_grad_()), mean, var)


class Procedure:
    """The U-Net over a checkpoint's tensors, and one epoch of finetuning."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        names = [name.removesuffix(".running_mean") for name in tensors if name.endswith(".running_mean")]
        self.norms = {name: TwoNorms.of(tensors, name) for name in names}
        self.weights = {
            name: value.detach().clone().requires_grad_()
            for name, value in tensors.items()
            if name.rpartition(".")[0] not in names
        }

    def features(self, x: Tensor) -> Tensor:
        """[n, 1, X, Y, Z] -> what the last convolution is fed, [n, width, X, Y, Z]."""
        skips = []
        for name in DOWN:
            x = self._units(name, functional.max_pool3d(x, 2) if skips else x)
            skips.append(x)
        skips.pop()
        for name in UP:
            weight, bias = (self.weights[f"{name}.up_conv.{part}"] for part in ("weight", "bias"))
            x = torch.cat([functional.conv_transpose3d(x, weight, bias, stride=2), skips.pop()], dim=1)
            x = self._units(name, x)
        return x

    def _units(self, name: str, x: Tensor) -> Tensor:
        for unit in (f"{name}.ops.0", f"{name}.ops.1"):
            weight, bias = (self.weights[f"{unit}.conv1.{part}"] for part in ("weight", "bias"))
            x = torch.relu(self.norms[f"{unit}.bn1"](functional.conv3d(x, weight, bias, padding=1)))
        return x

    def finetune(self, images: Tensor, positions: Tensor, labels: Tensor, *, seed: int, lr: float) -> None:
        """One epoch: SGD with momentum 0.9 on every weight, every target affine and a linear head."""
        torch.manual_seed(seed)
        head = nn.Linear(self.weights["out_tr.final_conv.weight"].shape[1], 2)
        affines = [part for norm in self.norms.values() for part in norm.target]
        optimiser = torch.optim.SGD([*self.weights.values(), *affines, *head.parameters()], lr=lr, momentum=0.9)
        for part in torch.randperm(len(images)).split(PATCHES_PER_STEP):
            maps = self.features(images[part])
            rows = [maps[i].flatten(1)[:, positions[j]].T for i, j in enumerate(part.tolist())]
            loss = functional.cross_entropy(head(torch.cat(rows)), torch.cat([labels[j] for j in part.tolist()]))
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()

    def ac_corr(self) -> float:
        """The raw sum at the deepest encoder layer, as the script prints it."""
        norm = self.norms[LAYER]
        return float(dense_correlation(norm.source, norm.target).sum())


def test_the_procedure_normalises_as_the_authors_did() -> None:
    """Three SGD steps at 0.5 in float64; origin of the figures: the authors' module on inputs made for this project."""
    with np.load(GOLDEN) as file:
        known = {name.removeprefix("norm3d__"): torch.from_numpy(file[name]) for name in file if "norm3d__" in name}
    source = known["source_weight"], known["source_bias"]
    weight, bias = (part.clone().requires_grad_() for part in source)
    norm = TwoNorms(source, (weight, bias), known["running_mean_0"].clone(), known["running_var_0"].clone())
    optimiser = torch.optim.SGD([weight, bias], lr=0.5)
    for step in range(3):
        optimiser.zero_grad()
        output = norm(known[f"input_{step}"])
        (output * known[f"upstream_{step}"]).mean().backward()
        optimiser.step()
        matrix = dense_correlation(source, norm.target)
        found = {"running_mean": norm.mean, "running_var": norm.var, "target_weight": weight, "target_bias": bias}
        found |= {"sparse_corr": matrix, "ac_corr": matrix.sum()}
        torch.testing.assert_close(output.detach(), known[f"output_{step}"], rtol=0, atol=1e-9)
        for name, value in found.items():
            torch.testing.assert_close(value.detach(), known[f"{name}_{step + 1}"], rtol=0, atol=1e-9)


# --- the protocol -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def draw(tmp_path_factory: pytest.TempPathFactory) -> PatchDraw:
    """Nine volumes: two steps of four patches, and one of a single patch."""
    folder = tmp_path_factory.mktemp("volumes") / "nodules"
    make_nodules(folder, n=9, size=24)
    (found,) = make_draws(open_target(folder), samples=None, repeats=1, seed=0)
    assert isinstance(found, PatchDraw)
    return found


def network(width: int) -> UNet3D:
    """With affines as after training: drawn, some negative."""
    torch.manual_seed(3)
    model = UNet3D(outputs=2, width=width)
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm3d):
            nn.init.normal_(layer.weight, 1.0, 0.4)
            nn.init.normal_(layer.bias, 0.0, 0.5)
            nn.init.normal_(layer.running_mean, 0.0, 0.2)  # type: ignore[arg-type]
    return model


@pytest.fixture
def in_float64() -> Iterator[None]:
    """New layers in float64, so that what differs is not rounding."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def inputs_of(draw: PatchDraw) -> tuple[Tensor, Tensor, Tensor]:
    patches = draw.patches(SIZE)
    images = draw.batch(input_of(SIZE, 1))
    return images, torch.from_numpy(patches.positions), torch.from_numpy(patches.labels)


def by_protocol(model: nn.Module, draw: PatchDraw, dtype: torch.dtype) -> tuple[Observation, list[nn.Module]]:
    """The observation, and the networks that were trained: on the labels, and on shuffled ones."""
    images, positions, labels = inputs_of(draw)
    reader, seen = DenseReader(positions, SIZE), []

    def read(model: nn.Module, inputs: Tensor, which: Tensor | None) -> tuple[Tensor, Tensor | None]:
        if model not in seen:
            seen.append(model)
        return reader(model, inputs, which)

    found = finetune_one_epoch(
        wrap_in_ac_norm(model)[0],
        images.to(dtype),
        labels,
        half=torch.zeros(labels.numel(), dtype=torch.bool),
        permutation=torch.randperm(labels.numel(), generator=torch.Generator().manual_seed(5)),
        classes=2,
        step_size=STEP,
        layers="last",
        seed=11,
        device=torch.device("cpu"),
        read=read,
        batch_size=PATCHES_PER_STEP,
    )
    return found, seen[-2:]


def assert_layer(found: LayerShift, norm: TwoNorms, tolerance: float) -> None:
    assert found.name == LAYER
    pairs = {"source_weight": norm.source[0], "source_bias": norm.source[1]}
    pairs |= {"target_weight": norm.target[0], "target_bias": norm.target[1]}
    for name, value in pairs.items():
        np.testing.assert_allclose(getattr(found, name), value.detach().numpy(), rtol=0, atol=tolerance, err_msg=name)


@pytest.mark.usefixtures("in_float64")
def test_one_epoch_is_the_authors_one_epoch(draw: PatchDraw) -> None:
    model = network(width=8)
    procedure = Procedure(model.state_dict())
    images, positions, labels = inputs_of(draw)
    procedure.finetune(images.double(), positions, labels, seed=11, lr=STEP)
    seen, (trained, _) = by_protocol(model, draw, torch.float64)
    assert_layer(seen.shifts[0], procedure.norms[LAYER], 1e-10)
    assert len(seen.shifts) == 1
    assert ac_corr(seen.shifts, per_channel=False) == pytest.approx(procedure.ac_corr(), abs=1e-9)
    assert seen.shifts[0].total > 1.1 * seen.shifts[0].own  # channels met others, or there would be nothing to compare
    layers = dict(ac_norm_layers(trained))
    assert set(layers) == set(procedure.norms)
    for name, norm in procedure.norms.items():
        layer = layers[name]
        found = (layer.weight_target, layer.bias_target, layer.running_mean, layer.running_var)
        for ours, other in zip(found, (*norm.target, norm.mean, norm.var), strict=True):
            # variances reach 4e5, where 1e-9 is finer than float64's rounding over an epoch
            torch.testing.assert_close(
                ours, other, rtol=1e-13, atol=1e-9, msg=lambda text, name=name: f"{name}: {text}"
            )


@pytest.mark.usefixtures("in_float64")
def test_the_control_is_the_same_epoch_on_shuffled_labels(draw: PatchDraw) -> None:
    model = network(width=4)
    procedure = Procedure(model.state_dict())
    images, positions, labels = inputs_of(draw)
    seen, _ = by_protocol(model, draw, torch.float64)
    shuffled = labels.flatten()[torch.from_numpy(seen.permutation)].view_as(labels)
    procedure.finetune(images.double(), positions, shuffled, seed=11, lr=STEP)
    assert_layer(seen.shuffled_shifts[0], procedure.norms[LAYER], 1e-10)


@pytest.mark.parametrize("step", [None, 1.0])
def test_the_command_prints_the_authors_sum(
    acrank: Callable[..., Outcome], draw: PatchDraw, tmp_path: Path, step: float | None
) -> None:
    """From a file in Models Genesis' style to the number in the record; float32, whose rounding an epoch carries on."""
    saved = {f"module.{name}": value for name, value in network(width=8).state_dict().items()}
    torch.save({"epoch": 7, "state_dict": saved}, tmp_path / "genesis.pt")
    entry = {
        "id": "genesis",
        "architecture": "genesis:unet3d",
        "weights": "genesis.pt",
        "weights_key": "state_dict",
        "strip_prefix": "module.",
        "input": {"size": 16, "mean": [0.0], "std": [1.0]},
    }
    (tmp_path / "zoo.yaml").write_text(yaml.safe_dump({"version": 1, "models": [entry]}))
    data, record = tmp_path / "nodules", tmp_path / "run.json"
    make_nodules(data, n=9, size=24)
    args = ("--data", data, "--protocol", "official", *(("--step-size", step) if step else ()))
    run = acrank("score", "--zoo", tmp_path / "zoo.yaml", *args, "-o", record)
    assert run.code == 0, run.err
    (row,) = json.loads(record.read_text())["rows"]

    procedure = Procedure({name.removeprefix("module."): value for name, value in saved.items()})
    images, positions, labels = inputs_of(draw)
    procedure.finetune(images, positions, labels, seed=seed_of(Purpose.ONE_EPOCH, 0, 0), lr=step or 0.01)
    assert [layer["name"] for layer in row["layers"]] == [LAYER]
    assert row["scores"]["ac_corr"]["value"] == pytest.approx(procedure.ac_corr(), rel=1e-4)
    assert row["scores"]["ac_corr"]["value"] == pytest.approx(row["layers"][0]["ac_corr"])
