"""AC-Norm (Zhang et al., arXiv 2307.15282): target affines recalibrated by their correlation with the source's."""

from __future__ import annotations

import warnings

from torch import nn

from acrank.errors import CandidateError
from acrank.finetuning.methods.method import Method
from acrank.norm import ConversionWarning, ac_norm_layers, convert_ac_norm, revert_ac_norm


class ACNorm(Method):
    """Every affine batch normalisation becomes AC-Norm; its target affines train like everything else."""

    def convert(self, body: nn.Module) -> nn.Module:
        """Swap the layers; what has no affines stays as it is.

        Raises:
            CandidateError: the network has no affine batch normalisation.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConversionWarning)
            body = convert_ac_norm(body, inplace=True)
        if not list(ac_norm_layers(body)):
            raise CandidateError("ac-norm needs an affine batch normalisation, this network has none")
        return body

    def revert(self, body: nn.Module) -> nn.Module:
        """Plain batch normalisation with the recalibrated affines: exact in eval mode."""
        return revert_ac_norm(body)
