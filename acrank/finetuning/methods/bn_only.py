"""Finetuning of normalisation layers only: their affine parameters and the head train."""

from __future__ import annotations

from torch import nn
from torch.nn.modules.batchnorm import _NormBase

from acrank.errors import CandidateError
from acrank.finetuning.methods.method import Method, SourceContext
from acrank.finetuning.network import Network
from acrank.norm import RecalibratedAffines

NORMALISATIONS = (_NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm, RecalibratedAffines)


class BNOnly(Method):
    """Batch, group, instance and layer normalisations train, AC-Norm's target affine parameters included.

    Running statistics are updated as usual.
    """

    def begin(self, network: Network, context: SourceContext) -> None:
        """Freeze the rest of the body.

        Raises:
            CandidateError: no normalisation layer has affine parameters.
        """
        layers = [module for module in network.body.modules() if isinstance(module, NORMALISATIONS)]
        affines = [part for layer in layers for part in layer.parameters(recurse=False) if part.requires_grad]
        if not affines:
            raise CandidateError("bn-only needs normalisation layers with affine parameters, this network has none")
        network.body.requires_grad_(False)
        for part in affines:
            part.requires_grad_(True)
