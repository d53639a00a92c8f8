"""Stochastic normalisation (Kou et al., NeurIPS 2020): batch or running statistics, at random per channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from acrank.errors import CandidateError
from acrank.finetuning.methods.method import Method

PROBABILITY = 0.5  # the paper's


class StochNorm(nn.Module):
    """A wrapped batch normalisation that normalises each channel by the batch's or the running statistics, at random.

    In training the batch's statistics are chosen with probability `p`; the running ones are updated as usual. In eval
    mode it is the wrapped layer. timm's BatchNormAct2d keeps its dropout and activation.

    Args:
        layer: with running statistics.
        p: probability of the batch's statistics, in [0, 1].

    Shape:
        As the wrapped layer: [n, C, ...].

    Example:
        >>> layer = StochNorm(nn.BatchNorm1d(3), p=1.0)
        >>> layer(torch.randn(8, 3)).mean(0).abs().max() < 1e-6
        tensor(True)
    """

    def __init__(self, layer: _BatchNorm, p: float = PROBABILITY) -> None:
        super().__init__()
        self.layer = layer
        self.p = p

    def forward(self, input: Tensor) -> Tensor:
        layer = self.layer
        if not self.training:
            output: Tensor = layer(input)
            return output
        mean, variance = layer.running_mean, layer.running_var
        assert mean is not None  # noqa: S101 - for the type checker
        assert variance is not None  # noqa: S101 - for the type checker
        # Cloned: the second call updates the statistics in place, and the backward pass needs the old ones.
        by_running = functional.batch_norm(
            input, mean.clone(), variance.clone(), layer.weight, layer.bias, eps=layer.eps
        )
        by_batch = _BatchNorm.forward(layer, input)
        shape = (1, -1) + (1,) * (input.dim() - 2)
        use_batch = (torch.rand(layer.num_features) < self.p).view(shape).to(input.device)
        output = torch.where(use_batch, by_batch, by_running)
        for name in ("drop", "act"):  # of timm's BatchNormAct2d
            after = getattr(layer, name, None)
            output = output if after is None else after(output)
        return output


class StochNormMethod(Method):
    """Every batch normalisation with running statistics is wrapped."""

    def convert(self, body: nn.Module) -> nn.Module:
        """Wrap the layers in place.

        Raises:
            CandidateError: no batch normalisation keeps running statistics.
        """
        wrapped: dict[int, StochNorm] = {}
        for module in list(body.modules()):
            for name, child in list(module._modules.items()):
                if isinstance(child, _BatchNorm) and child.running_mean is not None:
                    setattr(module, name, wrapped.setdefault(id(child), StochNorm(child)))
        if not wrapped:
            raise CandidateError("stochnorm needs a batch normalisation with running statistics, this network has none")
        return body

    def revert(self, body: nn.Module) -> nn.Module:
        """Unwrap the layers in place."""
        for module in list(body.modules()):
            for name, child in list(module._modules.items()):
                if isinstance(child, StochNorm):
                    setattr(module, name, child.layer)
        return body
