"""Finetuning of normalisation alone: affines and the head train; running statistics follow the target."""

from __future__ import annotations

from typing import TYPE_CHECKING

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from acrank.errors import CandidateError
from acrank.finetuning.methods.method import Method, Start
from acrank.norm import AffineCoNorm

if TYPE_CHECKING:
    from acrank.finetuning.network import Network

NORMALISATIONS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm, AffineCoNorm)


class BNOnly(Method):
    """Batch, group, instance and layer normalisations train; with AC-Norm its target affines."""

    def begin(self, network: Network, start: Start) -> None:
        """Freeze the rest of the body.

        Raises:
            CandidateError: the network has no normalisation with affines.
        """
        layers = [module for module in network.body.modules() if isinstance(module, NORMALISATIONS)]
        affines = [part for layer in layers for part in layer.parameters(recurse=False) if part.requires_grad]
        if not affines:
            raise CandidateError("bn-only needs a normalisation with affines, this network has none")
        network.body.requires_grad_(False)
        for part in affines:
            part.requires_grad_(True)
