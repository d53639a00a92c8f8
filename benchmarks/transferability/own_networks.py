"""The architectures of the study's own checkpoints: those of ../real_checkpoints, for `factory:own_networks:NAME`."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "real_checkpoints"))

from networks import conv4, resnet20

__all__ = ["conv4", "resnet20"]
