"""The named ways to move affine parameters and to read them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """How the affine parameters are moved and read, where the user does not say.

    Attributes:
        epochs: of AC-Norm finetuning of the whole network; 0 for a single SGD step on the affine parameters.
        head, step_size, step_samples, per_channel, layers, samples, repeats, rank_by: as in `Settings`; `samples` None
            is the whole target.
        segmentation: what differs there.
    """

    epochs: int
    head: str
    step_size: float
    step_samples: int | None
    per_channel: bool
    layers: str
    samples: int | None
    repeats: int
    rank_by: str
    segmentation: Mapping[str, Any] = dataclasses.field(default_factory=dict)


#: What AC-Corr and its relatives are computed from, by name.
PROTOCOLS: Mapping[str, Protocol] = {
    "one-step": Protocol(
        epochs=0,
        head="ridge",
        step_size=0.1,
        step_samples=32,
        per_channel=True,
        layers="all",
        samples=128,
        repeats=3,
        rank_by="finetunability",
        segmentation={"samples": 16, "layers": "encoder"},
    ),
    "official": Protocol(
        epochs=1,
        head="random",
        step_size=0.01,
        step_samples=None,
        per_channel=False,
        layers="last",
        samples=None,
        repeats=1,
        rank_by="ac_corr",
    ),
}
