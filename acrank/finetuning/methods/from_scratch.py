"""From scratch: the architecture with random weights, the baseline for pretraining."""

from __future__ import annotations

from torch import nn

from acrank.errors import CandidateError
from acrank.finetuning.methods.method import Method


class FromScratch(Method):
    """Every layer gets PyTorch's initialisation, from torch's generator; running statistics are reset."""

    def convert(self, body: nn.Module) -> nn.Module:
        """Reset all layers in place.

        Raises:
            CandidateError: a layer with parameters has no `reset_parameters`, and would keep its source weights.
        """
        kept = []
        for name, module in body.named_modules():
            reset = getattr(module, "reset_parameters", None)
            if callable(reset):
                reset()
            else:
                kept += [f"{name}.{own}" for own, _ in module.named_parameters(recurse=False)]
        if kept:
            raise CandidateError(f"from-scratch cannot reinitialise {', '.join(kept[:3])}")
        return body
