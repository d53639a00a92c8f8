"""Prefix and suffix sums by substitution against their definition, at ranges where exp(s) itself overflows."""

from __future__ import annotations

import numpy as np
import pytest

import acrank.norm.scan as module
from acrank.norm.scan import Scan


def explicit(positions: np.ndarray, values: np.ndarray, temperature: float) -> tuple[np.ndarray, np.ndarray]:
    """sum_{k<=j} v_k exp((s_k - s_j) / T) and sum_{k>=j} v_k exp((s_j - s_k) / T) of rows [r, n]: O(n^2)."""
    weights = np.exp(-np.abs(positions[:, None] - positions[None, :]) / temperature)
    return values @ np.triu(weights), values @ np.tril(weights)


def positions_of(kind: str, n: int, rng: np.random.Generator) -> np.ndarray:
    return {
        "near": rng.normal(size=n),
        "wide": 1e4 * rng.normal(size=n),
        "many scales": rng.choice([-1, 1], size=n) * 10.0 ** rng.uniform(-8, 4, size=n),
        "ties": rng.choice([-700.0, 0.0, 1e-3, 700.0], size=n),
        "one": np.full(n, -1e4),
    }[kind]


@pytest.mark.parametrize("kind", ["near", "wide", "many scales", "ties", "one"])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
@pytest.mark.parametrize("n", [2, 3, 64, 513])
def test_sums_are_those_of_their_definition(kind: str, temperature: float, n: int) -> None:
    rng = np.random.default_rng(n)
    positions = np.sort(positions_of(kind, n, rng))
    scan = Scan(positions, temperature)
    for values in (np.ones((1, n)), rng.uniform(size=(3, n)), 1e-300 * rng.uniform(size=(2, n))):
        for found, expected in zip(
            (scan.prefix(values), scan.suffix(values)), explicit(positions, values, temperature), strict=True
        ):
            np.testing.assert_allclose(found, expected, rtol=1e-12, atol=0)
    values = rng.normal(size=(2, n))  # of both signs: what cancels is lost in either form
    bounds = explicit(positions, np.abs(values), temperature)
    for found, expected, bound in zip(
        (scan.prefix(values), scan.suffix(values)), explicit(positions, values, temperature), bounds, strict=True
    ):
        assert (np.abs(found - expected) <= 1e-13 * bound).all()


def test_nothing_passes_infinite_ends() -> None:
    positions = np.array([-np.inf, -1.0, 2.0, np.inf])
    values = np.array([[5.0, 1.0, 1.0, 7.0]])
    inner = np.exp(-3.0)
    scan = Scan(positions, 1.0)
    np.testing.assert_allclose(scan.prefix(values), [[5.0, 1.0, 1.0 + inner, 7.0]], rtol=1e-15)
    np.testing.assert_allclose(scan.suffix(values), [[5.0, 1.0 + inner, 1.0, 7.0]], rtol=1e-15)


def test_suffix_is_the_adjoint_of_prefix_on_any_layout() -> None:
    rng = np.random.default_rng(0)
    scan, wide = Scan(np.sort(rng.normal(size=50)), 1.0), rng.normal(size=(2, 100))
    v, w = wide[:, 1::2], wide[:, :50]
    np.testing.assert_allclose((scan.prefix(v) * w).sum(1), (v * scan.suffix(w)).sum(1), rtol=1e-12)
    np.testing.assert_array_equal(scan.prefix(v), scan.prefix(v.copy()))


def test_values_are_left_alone() -> None:
    scan, values = Scan(np.arange(5.0), 1.0), np.ones((2, 5))
    scan.prefix(values), scan.suffix(values)
    assert (values == 1.0).all()


def test_a_failure_of_lapack_is_not_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "dtbtrs", lambda band, values, **_: (values, -3))
    with pytest.raises(np.linalg.LinAlgError, match="info = -3"):
        Scan(np.arange(3.0), 1.0).prefix(np.ones((1, 3)))
