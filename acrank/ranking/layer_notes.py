"""What a row says of a candidate's normalisation layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from acrank.scores.inputs import LayerShift, Observation


def layers_of(observation: Observation) -> list[LayerShift]:
    """The layers after the step; where none was taken, after that on the first bundled images."""
    first: dict[str, LayerShift] = {}
    for layer in observation.shifts or observation.random_head_shifts:
        first.setdefault(layer.name, layer)
    return list(first.values())


def untouched_note(layers: Sequence[LayerShift]) -> list[str]:
    """How many layers AC-Corr leaves out, where there are any."""
    count = sum(layer.untouched for layer in layers)
    if not count:
        return []
    return [f"{count} of {len(layers)} normalisation layers are untouched (equal affines): AC-Corr leaves them out"]


def layer_records(draws: Sequence[Sequence[LayerShift]]) -> list[dict[str, Any]]:
    """Per layer, the mean over draws of its raw AC-Corr, alignment and median drift."""
    return [
        {
            "name": layers[0].name,
            "channels": layers[0].channels,
            "untouched": layers[0].untouched,
            "as_begun": layers[0].as_begun,
            "ac_corr": float(np.mean([layer.total for layer in layers])),
            "channel_alignment": float(np.mean([layer.own / layer.total for layer in layers])),
            "affine_drift": float(np.mean([np.median(layer.drift) for layer in layers])),
        }
        for layers in zip(*draws, strict=True)
    ]
