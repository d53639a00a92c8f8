"""The linear algebra that scores share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import scipy.linalg

from acrank.scores.linear import directions, ridge_fit
from acrank.scores.logme import logme


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
    quick, evidence = directions(features), logme(features, labels)
    monkeypatch.setattr(scipy.linalg, "svd", gives_up(scipy.linalg.svd))
    slow = directions(features)
    np.testing.assert_allclose(slow.power, quick.power, rtol=1e-10)
    np.testing.assert_allclose(slow.left @ slow.left.T, quick.left @ quick.left.T, atol=1e-10)
    assert logme(features, labels) == pytest.approx(evidence, rel=1e-9)


@pytest.mark.parametrize("shape", [(30, 8), (30, 30), (12, 40), (2, 1)])
def test_ridge_on_the_smaller_side_is_that_of_the_whole_hat_matrix(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(1)
    x, targets = rng.normal(size=shape), rng.normal(size=(shape[0], 3))
    hat = x @ np.linalg.inv(x.T @ x + 0.7 * np.eye(shape[1])) @ x.T
    fitted, leverage = ridge_fit(x, targets, 0.7)
    np.testing.assert_allclose(fitted, hat @ targets, atol=1e-12)
    np.testing.assert_allclose(leverage, np.diag(hat), atol=1e-12)
