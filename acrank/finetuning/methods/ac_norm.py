"""AC-Norm (Zhang et al., arXiv 2307.15282): affine parameters recalibrated by their correlation with the source's."""

from __future__ import annotations

import warnings

from torch import nn

from acrank.errors import CandidateError
from acrank.finetuning.methods.method import Method
from acrank.norm import ConversionWarning, ac_norm_layers, convert_ac_norm, revert_ac_norm


class ACNorm(Method):
    """Every affine batch normalisation becomes AC-Norm, whose target affine parameters train like all others."""

    def convert(self, body: nn.Module) -> nn.Module:
        """Convert the layers in place; those without affine parameters are left alone.

        Raises:
            CandidateError: the network has no affine batch normalisation.
        """
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConversionWarning)
            body = convert_ac_norm(body, inplace=True)
        if not list(ac_norm_layers(body)):
            raise CandidateError("ac-norm needs batch normalisation with affine parameters, this network has none")
        return body

    def revert(self, body: nn.Module) -> nn.Module:
        """Plain batch normalisation with the recalibrated affine parameters: exact in eval mode."""
        return revert_ac_norm(body)
