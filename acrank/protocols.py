"""Named protocols: what exactly AC-Corr and its relatives are computed from. A result records the one it used."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from acrank.errors import UsageError

HEADS = ("ridge", "random")


@dataclass(frozen=True)
class Protocol:
    """How the affines are moved and read.

    Attributes:
        name: as given by --protocol.
        epochs: 0 for a single SGD step on the affines, else epochs of AC-Norm finetuning of the whole network.
        head: "ridge" (closed form, cross-fitted) or "random" (seeded linear layer).
        step_size: learning rate of the step, or of the finetuning.
        per_channel: divide a layer's AC-Corr by its width.
        layers: "all", "last" (the deepest: the last to run at the smallest resolution), "encoder" (those that run up
            to it) or a pattern on module names.
        samples: images per draw, patches for segmentation; None for the whole target.
        repeats: independent draws.
        rank_by: the score that orders the table unless --rank-by says otherwise.
    """

    name: str
    epochs: int
    head: str
    step_size: float
    per_channel: bool
    layers: str
    samples: int | None
    repeats: int
    rank_by: str


PROTOCOLS = {
    "one-step": Protocol(
        name="one-step",
        epochs=0,
        head="ridge",
        step_size=0.1,
        per_channel=True,
        layers="all",
        samples=128,
        repeats=3,
        rank_by="finetunability",
    ),
    "official": Protocol(
        name="official",
        epochs=1,
        head="random",
        step_size=0.01,
        per_channel=False,
        layers="last",
        samples=None,
        repeats=1,
        rank_by="ac_corr",
    ),
}


#: What one step takes instead on a segmentation target, where the user does not say: 16 patches, encoder layers.
SEGMENTATION: Mapping[str, Mapping[str, Any]] = {"one-step": {"samples": 16, "layers": "encoder"}, "official": {}}


def protocol_named(name: str) -> Protocol:
    """The protocol of that name.

    Raises:
        UsageError: there is none.

    Example:
        >>> protocol_named("one-step").head
        'ridge'
    """
    if name not in PROTOCOLS:
        raise UsageError(f"no protocol {name!r}", hint=f"choose one of {', '.join(PROTOCOLS)}")
    return PROTOCOLS[name]
