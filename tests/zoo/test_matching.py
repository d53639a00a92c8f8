"""What a file's tensors must hold before a network is filled with them."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from acrank.errors import CandidateError
from acrank.zoo.matching import check_fit, fit
from acrank.zoo.weight_values import check_values


def checked(values: list[float], dtype: torch.dtype) -> None:
    """Whether a layer takes these weights."""
    model, tensors = nn.Linear(len(values), 1, bias=False), {"weight": torch.tensor([values], dtype=dtype)}
    found = fit(model, tensors)
    check_fit(model, tensors, found)
    check_values(model, tensors, found.matched)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_finite_weights_are_taken_though_their_sum_overflows(dtype: torch.dtype) -> None:
    checked([torch.finfo(dtype).max] * 4, dtype)


@pytest.mark.parametrize("values", [[math.inf, -math.inf, 1.0], [math.nan, 0.0, 0.0], [1.0, 2.0, -math.inf]])
def test_weights_that_cancel_in_their_sum_are_refused_where_they_are_not_finite(values: list[float]) -> None:
    with pytest.raises(CandidateError, match="'weight' has values that are not finite"):
        checked(values, torch.float32)
