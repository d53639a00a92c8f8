"""Eight 3D candidates for the procedural nodules, and their manifest: python candidates.py FOLDER.

Four networks, each trained briefly on two sources: finding nodules in scans of another seed, and restoring scans that
were blurred and made noisy. Small and quick (about two minutes on two cores); they only need to differ.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn

from acrank.demo.nodules import nodule_scan
from acrank.zoo.architectures.genesis import UNet3D
from acrank.zoo.architectures.timm_import import import_timm

SIZE, STEPS, SCANS = 32, 40, 6
SOURCE_SEED = 1000  # the targets use small seeds


def networks() -> dict[str, tuple[str, dict[str, Any], Callable[[], nn.Module]]]:
    """Name -> architecture, its arguments, and a function that builds it."""
    import_timm()
    from monai.networks import nets

    unet: dict[str, Any] = {"spatial_dims": 3, "in_channels": 1, "out_channels": 2, "norm": "batch"}
    plain = {**unet, "channels": [8, 16, 32], "strides": [2, 2]}
    residual = {**plain, "num_res_units": 2}
    segresnet = {**unet, "init_filters": 8}
    return {
        "genesis": ("genesis:unet3d", {}, lambda: UNet3D(outputs=2, width=16)),
        "unet": ("monai:UNet", plain, lambda: nets.UNet(**plain)),
        "res-unet": ("monai:UNet", residual, lambda: nets.UNet(**residual)),
        "segresnet": ("monai:SegResNet", segresnet, lambda: nets.SegResNet(**segresnet)),
    }


def scans() -> tuple[Tensor, Tensor]:
    """Source scans in [0, 1], [n, 1, x, y, z], and their masks [n, x, y, z]."""
    found = [nodule_scan(SOURCE_SEED, index, size=SIZE) for index in range(SCANS)]
    values = np.clip((np.stack([scan for scan, _ in found]).astype(np.float32) + 1000) / 2000, 0, 1)
    return torch.from_numpy(values)[:, None], torch.from_numpy(np.stack([mask for _, mask in found])).long()


def train(network: nn.Module, source: str) -> None:
    images, masks = scans()
    optimiser = torch.optim.Adam(network.parameters(), lr=3e-3)
    network.train()
    for step in range(STEPS):
        pick = [2 * step % SCANS, (2 * step + 1) % SCANS]
        if source == "nodules":
            loss = nn.functional.cross_entropy(network(images[pick]), masks[pick], weight=torch.tensor([1.0, 10.0]))
        else:
            blurred = nn.functional.avg_pool3d(images[pick], 3, stride=1, padding=1)
            loss = nn.functional.mse_loss(network(blurred + 0.1 * torch.randn_like(blurred))[:, :1], images[pick])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()


def main(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    models = []
    for name, (architecture, args, build) in networks().items():
        for source in ("nodules", "restoration"):
            torch.manual_seed(0)
            network = build()
            train(network, source)
            tensors = {f"module.{key}": value for key, value in network.state_dict().items()}
            torch.save({"state_dict": tensors}, folder / f"{name}-{source}.pt")
            entry = {"id": f"{name}-{source}", "architecture": architecture, "weights": f"{name}-{source}.pt"}
            models.append(entry | ({"factory_args": args} if args else {}) | {"tags": [source]})
    defaults = {
        "weights_key": "state_dict",
        "strip_prefix": "module.",
        "input": {"size": SIZE, "mean": [0.0], "std": [1.0]},
    }
    text = yaml.safe_dump({"version": 1, "defaults": defaults, "models": models}, sort_keys=False)
    (folder / "model_zoo.yaml").write_text(text)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
