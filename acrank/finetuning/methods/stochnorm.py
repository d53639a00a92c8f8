"""Stochastic normalisation (Kou et al., NeurIPS 2020): batch or running statistics, drawn for every channel."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from acrank.errors import CandidateError
from acrank.finetuning.methods.method import Method

PROBABILITY = 0.5  # the paper's


class StochNorm(nn.Module):
    """A batch normalisation, wrapped: in training each channel is normalised, with probability `p`, by the batch's
    statistics, otherwise by the running ones, which the batch then updates as ever. In eval mode it is the wrapped
    layer. timm's BatchNormAct2d keeps its dropout and activation.

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
        if not self.training:
            return self.layer(input)
        layer = self.layer
        assert layer.running_mean is not None
        assert layer.running_var is not None
        # Copies: the batch is about to move these statistics, and the gradient needs what was read.
        still = functional.batch_norm(
            input,
            layer.running_mean.clone(),
            layer.running_var.clone(),
            layer.weight,
            layer.bias,
            False,
            0.0,
            layer.eps,
        )
        moving = _BatchNorm.forward(layer, input)
        shape = (1, -1) + (1,) * (input.dim() - 2)
        by_batch = (torch.rand(layer.num_features) < self.p).view(shape).to(input.device)
        output = torch.where(by_batch, moving, still)
        for name in ("drop", "act"):  # of timm's layer
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
        """The wrapped layers themselves, in place."""
        for module in list(body.modules()):
            for name, child in list(module._modules.items()):
                if isinstance(child, StochNorm):
                    setattr(module, name, child.layer)
        return body
