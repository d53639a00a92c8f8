"""From scratch: the architecture without what it has learnt, the floor that pretraining must beat."""

from __future__ import annotations

from torch import nn

from acrank.errors import CandidateError
from acrank.finetuning.methods.method import Method


class FromScratch(Method):
    """Every layer is drawn anew as PyTorch draws it, from torch's generator; running statistics begin anew."""

    def convert(self, body: nn.Module) -> nn.Module:
        """Reset all layers in place.

        Raises:
            CandidateError: a parameter belongs to a layer that cannot be reset, so that some of the source would stay.
        """
        kept = []
        for name, module in body.named_modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
            else:
                kept += [f"{name}.{own}" for own, _ in module.named_parameters(recurse=False)]
        if kept:
            raise CandidateError(f"from-scratch cannot draw anew: {', '.join(kept[:3])}")
        return body
