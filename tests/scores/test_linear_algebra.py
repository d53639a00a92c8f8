"""The linear algebra that scores share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg

from acrank.scores.linear import directions
from acrank.scores.linear_probe import linear_probe


def gives_up(svd: Callable[..., Any]) -> Callable[..., Any]:
    """An SVD whose quick driver gives up, as LAPACK's does on some finite matrices."""

    def limited(rows: Any, *, lapack_driver: str = "gesdd", **options: Any) -> Any:
        if lapack_driver == "gesdd":
            raise scipy.linalg.LinAlgError("SVD did not converge")
        return svd(rows, lapack_driver=lapack_driver, **options)

    return limited


def test_where_the_quick_driver_gives_up_the_slower_one_gives_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(0)
    features, labels = rng.normal(size=(60, 8)), np.arange(60) % 3
    quick, probe = directions(features), linear_probe(features, labels)
    monkeypatch.setattr(scipy.linalg, "svd", gives_up(scipy.linalg.svd))
    slow = directions(features)
    np.testing.assert_allclose(slow.power, quick.power, rtol=1e-10)
    np.testing.assert_allclose(slow.left @ slow.left.T, quick.left @ quick.left.T, atol=1e-10)
    assert linear_probe(features, labels) == probe
