"""The checkpoints of the embedded zoo, one row each."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Spec:
    """How one checkpoint is trained: source, epochs, and label noise.

    `shuffled` is the share of training labels that are permuted at random (1.0: all of them).
    """

    id: str
    architecture: str
    source: str
    tags: tuple[str, ...]
    epochs: int = 12
    shuffled: float = 0.0
    seed: int = 0


SPECS = (
    Spec("resnet-fundus-lesions", "test_resnet", "fundus_lesions", ("fundus",), epochs=16),
    Spec("efficientnet-fundus-lesions", "test_efficientnet", "fundus_lesions", ("fundus",), epochs=16),
    Spec("efficientnet-fundus-noisy", "test_efficientnet", "fundus_lesions", ("fundus", "noisy-labels"), shuffled=0.6),
    Spec("efficientnet-fundus-early", "test_efficientnet", "fundus_lesions", ("fundus", "undertrained"), epochs=1),
    Spec("efficientnet-random", "test_efficientnet", "fundus_lesions", ("random",), epochs=0),
    Spec("efficientnet-fundus-vessels", "test_efficientnet", "fundus_vessels", ("fundus",)),
    Spec("efficientnet-fundus-disc", "test_efficientnet", "fundus_disc", ("fundus",)),
    Spec("byobnet-fundus-rotation", "test_byobnet", "fundus_rotation", ("fundus", "self-supervised")),
    Spec("efficientnet-ultrasound", "test_efficientnet", "ultrasound", ("medical",)),
    Spec("byobnet-cells", "test_byobnet", "cells", ("medical",)),
    Spec("efficientnet-textures", "test_efficientnet", "textures", ("synthetic",)),
    Spec("byobnet-textures-shuffled", "test_byobnet", "textures", ("synthetic", "noisy-labels"), shuffled=1.0),
    Spec("resnet-shapes", "test_resnet", "shapes", ("synthetic",)),
    Spec("efficientnet-digits", "test_efficientnet", "digits", ("digits",)),
)
