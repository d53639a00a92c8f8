"""Batch spectral shrinkage (Chen et al., NeurIPS 2019): a penalty on the smallest singular values of features."""

from __future__ import annotations

import torch
from torch import Tensor

from acrank.finetuning.methods.method import Method, Step
from acrank.finetuning.network import Network

ETA, SMALLEST = 0.001, 1  # the paper's
ROWS = 4096


class BSS(Method):
    """eta times the sum of squares of the k smallest singular values of a batch's features [n, d].

    For maps [n, d, ...], which the paper does not treat, the rows are evenly spaced positions, at most ROWS.
    """

    def penalty(self, network: Network, step: Step) -> Tensor:
        features = step.features
        if features.dim() > 2:
            rows = features.flatten(2).transpose(1, 2).flatten(0, 1)
            features = rows[:: -(-len(rows) // ROWS)]
        return ETA * smallest_energy(features, SMALLEST)


def smallest_energy(features: Tensor, k: int) -> Tensor:
    """Sum of the squares of the k smallest of the min(n, d) singular values.

    >>> smallest_energy(torch.diag(torch.tensor([3.0, 2.0, 1.0])), 2)
    tensor(5.)
    """
    values: Tensor = torch.linalg.svdvals(features.float())
    return values[-k:].square().sum()
