"""A network's input is checked where it is made."""

from __future__ import annotations

import pytest

from acrank.errors import CandidateError
from acrank.system.network_input import NetworkInput


@pytest.mark.parametrize(
    ("mean", "std", "message"),
    [
        ((0.5,), (0.5,) * 3, "takes 3 channels but has 1 means"),
        ((0.5,) * 3, (0.5,), "and 1 standard"),
        ((0.0,) * 3, (1.0, 0.0, 1.0), "std is"),
    ],
)
def test_normalisation_that_does_not_fit(mean: tuple[float, ...], std: tuple[float, ...], message: str) -> None:
    with pytest.raises(CandidateError, match=message):
        NetworkInput(size=(4, 4), channels=3, mean=mean, std=std)
