"""Factories of the study's own checkpoints, `factory:own_networks:NAME`: the networks of ../real_checkpoints."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "real_checkpoints"))

from networks import conv4, resnet20

__all__ = ["conv4", "resnet20"]
