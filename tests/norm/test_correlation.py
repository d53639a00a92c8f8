"""The sorted form against a dense oracle written in numpy, the authors' figures, and the invariances of AC-Corr."""

from __future__ import annotations

import subprocess
import sys
import tracemalloc
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st
from torch import Tensor

import acrank.norm.windows as window_search
from acrank.norm import affine_correlation, affine_overlap, layer_ac_corr, normalised_bias
from acrank.norm.correlation import Correlation, correlation_of

DATA = Path(__file__).parent / "data" / "ac_norm_reference.npz"
TOLERANCE = 1e-9
Affines = tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]


@pytest.fixture(scope="module")
def golden() -> Mapping[str, np.ndarray]:
    with np.load(DATA) as file:
        return {name: file[name] for name in file.files}


def dense(ws: np.ndarray, bs: np.ndarray, wt: np.ndarray, bt: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    """C by its definition, row by row, with nothing of acrank."""
    source, target = bs / (np.abs(ws) + 1e-5), bt / (np.abs(wt) + 1e-5)
    out = np.zeros((len(source), len(source)))
    for i, y in enumerate(target):
        distance = np.abs(y - source)
        mass = np.exp((distance.min() - distance) / temperature)
        out[i] = np.where(distance <= distance[i], mass / mass.sum(), 0.0)
    return out


def tensors(*parts: np.ndarray) -> list[Tensor]:
    return [torch.from_numpy(np.array(part, dtype=np.float64)) for part in parts]


def tolerance_of(affines: Affines, temperature: float) -> float:
    """1e-9; more only from |y| = 1e6 on, where the rounding of the distances alone, in either form, comes near it."""
    ws, bs, wt, bt = affines
    largest = max(np.abs(b / (np.abs(w) + 1e-5)).max() for w, b in ((ws, bs), (wt, bt)))
    return max(TOLERANCE, 8 * float(np.spacing(largest)) / temperature)


def assert_equals_dense(affines: Affines, temperature: float = 1.0) -> None:
    expected = dense(*affines, temperature=temperature)
    found = correlation_of(*tensors(*affines), temperature=temperature)
    values = np.random.default_rng(0).normal(size=(2, len(expected)))
    pairs = {
        "row sums": (found.row_sums(), expected.sum(1)),
        "diagonal": (found.diagonal(), expected.diagonal()),
        "apply": (found.apply(values), values @ expected.T),
        "transpose": (found.transpose(values), values @ expected),
        "dense": (affine_correlation(*tensors(*affines), temperature=temperature), expected),
    }
    for name, (ours, oracle) in pairs.items():
        np.testing.assert_allclose(ours, oracle, rtol=0, atol=tolerance_of(affines, temperature), err_msg=name)


# --- inputs -----------------------------------------------------------------------------------------------------------


def random_affines(rng: np.random.Generator, c: int) -> Affines:
    ws, bs = rng.normal(size=c), rng.normal(size=c)
    return ws, bs, ws + 0.1 * rng.normal(size=c), bs + 0.1 * rng.normal(size=c)


def barely_moved(rng: np.random.Generator, c: int) -> Affines:
    ws, bs, wt, bt = random_affines(rng, c)
    return ws, bs, ws + 1e-9 * (wt - ws), bs + 1e-9 * (bt - bs)


def tied(rng: np.random.Generator, c: int) -> Affines:
    parts = (rng.choice([-1.0, 1.0, 2.0], size=c), rng.choice([-1.0, 0.0, 0.5, 3.0], size=c))
    return *parts, rng.choice([1.0, 2.0], size=c), rng.choice([-1.0, 0.0, 0.25, 3.0], size=c)


def wide(rng: np.random.Generator, c: int) -> Affines:
    ones, y = np.ones(c), rng.normal(size=c) * 10.0 ** rng.uniform(-4, 4, size=c)
    return ones, y, ones, y + rng.normal(size=c) * 10.0 ** rng.uniform(-6, 3, size=c)


def near_zero_gammas(rng: np.random.Generator, c: int) -> Affines:
    ws, bs, wt, bt = random_affines(rng, c)
    return ws * rng.choice([0.0, 1e-12, 1.0], size=c), bs, wt * rng.choice([0.0, 1e-12, 1.0], size=c), bt


def denormal(rng: np.random.Generator, c: int) -> Affines:
    ws, bs, wt, bt = random_affines(rng, c)
    return ws * 1e-310, bs * 1e-310, wt * 1e-310, bt * rng.choice([1e-310, 1e-320, 0.0], size=c)


def tied_by_rounding(rng: np.random.Generator, c: int) -> Affines:
    """Sources one ulp apart, targets far away: fl(t - s) is the same for different s."""
    bs = 1.0 + rng.permutation(c) * 2.0**-52
    return np.ones(c), bs, np.ones(c), 1e4 * rng.normal(size=c)


KINDS = [random_affines, barely_moved, tied, wide, near_zero_gammas, denormal, tied_by_rounding]


# --- against the dense oracle -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", KINDS)
def test_sorted_form_equals_dense_over_many_rows(make) -> None:
    rng = np.random.default_rng(7)
    rows = 0
    while rows < 16_000:  # times the kinds above: more than 100,000
        c = int(rng.choice([1, 2, 3, 17, 64, 257]))
        assert_equals_dense(make(rng, c), temperature=float(rng.choice([0.3, 1.0, 5.0])))
        rows += c


def finite(bound: float) -> st.SearchStrategy[float]:
    return st.floats(-bound, bound, allow_subnormal=True) | st.sampled_from([0.0, -0.0, 1.0, -1.0, 5e-324])


@st.composite
def any_affines(draw: st.DrawFn) -> Affines:
    c = draw(st.integers(1, 24))
    bound = draw(st.sampled_from([1e-300, 1.0, 1e4]))
    parts = [draw(st.lists(finite(bound), min_size=c, max_size=c)) for _ in range(4)]
    ws, bs, wt, bt = (np.array(part) for part in parts)
    return ws, bs, wt, bt


FAR = (np.eye(15)[1], np.eye(15)[1], np.zeros(15), 1343 * np.eye(15)[14])  # gamma 0: y = 1.3e8


@given(any_affines())
@example(FAR)
def test_sorted_form_equals_dense_on_any_affines(affines: Affines) -> None:
    assert_equals_dense(affines)


def test_windows_that_rounding_contradicts_are_found_by_bisection(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []
    bisected = window_search.bisected

    def spy(*args: np.ndarray, **more: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        calls.append(1)
        return bisected(*args, **more)

    monkeypatch.setattr(window_search, "bisected", spy)
    for c in (2, 3, 8, 33):
        assert_equals_dense(tied_by_rounding(np.random.default_rng(c), c))
    assert len(calls) == 4


def test_exact_distances_need_no_bisection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(window_search, "bisected")
    rng = np.random.default_rng(4)
    for c in (1, 2, 3, 17, 64):  # multiples of a half: many ties, among the sources and as mirror images
        source, target = rng.integers(-c, c, size=(2, c)) / 2
        ordered, reach = np.sort(source), np.abs(target - source)
        start, split, stop = window_search.windows(ordered, source, target, reach)
        kept = np.abs(target[:, None] - ordered) <= reach[:, None]
        index = np.arange(c)
        np.testing.assert_array_equal((start[:, None] <= index) & (index < stop[:, None]), kept)
        np.testing.assert_array_equal(split, (ordered < target[:, None]).sum(1))


def test_bisection_finds_the_windows_that_the_edges_give() -> None:
    rng = np.random.default_rng(3)
    for c in (1, 2, 5, 64):
        source, target = rng.normal(size=(2, c))
        ordered, reach = np.sort(source), np.abs(target - source)
        start, split, stop = window_search.windows(ordered, source, target, reach)
        found = window_search.bisected(ordered, target, reach, split)
        np.testing.assert_array_equal(found, (start, stop))


def test_transpose_is_the_adjoint_of_apply() -> None:
    matrix = correlation_of(*tensors(*wide(np.random.default_rng(1), 300)))
    v, w = np.random.default_rng(2).normal(size=(2, 300))
    np.testing.assert_allclose(matrix.apply(v) @ w, v @ matrix.transpose(w), rtol=1e-12, atol=1e-12)


def test_products_leave_their_argument_alone() -> None:
    matrix = correlation_of(*tensors(*random_affines(np.random.default_rng(1), 9)))
    values = np.arange(9.0)
    matrix.apply(values), matrix.transpose(values)
    np.testing.assert_array_equal(values, np.arange(9.0))


MEMORY_SCRIPT = """
import resource
import torch
from acrank.norm import layer_ac_corr, affine_correlation
resource.setrlimit(resource.RLIMIT_AS, (16 * 2**30, 16 * 2**30))
torch.manual_seed(0)
affines = [torch.randn(65536, dtype=torch.float64) for _ in range(4)]
print(0 < layer_ac_corr(*affines, per_channel=True) <= 1)
try:
    affine_correlation(*affines)
except RuntimeError:
    print("the dense form does not fit")
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="RLIMIT_AS binds on Linux")
def test_sixty_five_thousand_channels_need_no_matrix() -> None:
    done = subprocess.run([sys.executable, "-c", MEMORY_SCRIPT], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == ["True", "the dense form does not fit"], done.stderr


@pytest.mark.parametrize("make", [random_affines, tied_by_rounding])  # the latter bisects
def test_memory_grows_linearly(make) -> None:
    def peak_per_channel(c: int) -> float:
        affines = tensors(*make(np.random.default_rng(0), c))
        tracemalloc.start()
        matrix = correlation_of(*affines)
        matrix.apply(np.ones((2, c))), matrix.transpose(np.ones((2, c)))
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak / c

    assert peak_per_channel(65_536) < 1.02 * peak_per_channel(4096)


# --- the authors' figures ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [64, 512, 2048])
def test_row_sums_and_ac_corr_are_the_authors(golden: Mapping[str, np.ndarray], channels: int) -> None:
    case = f"corr{channels}__"
    affines = tensors(*(golden[case + name] for name in ("ws", "bs", "wt", "bt")))
    row_sums = correlation_of(*affines).row_sums()
    np.testing.assert_allclose(row_sums, golden[case + "row_sums"], rtol=0, atol=TOLERANCE)
    assert layer_ac_corr(*affines) == pytest.approx(float(golden[case + "ac_corr"]), abs=TOLERANCE)
    assert layer_ac_corr(*affines, per_channel=True) == pytest.approx(
        float(golden[case + "ac_corr"]) / channels, abs=1e-12
    )


def test_untouched_layer_has_the_authors_maximum(golden: Mapping[str, np.ndarray]) -> None:
    g, b = torch.ones(16), torch.zeros(16)
    assert layer_ac_corr(g, b, g, b) == pytest.approx(float(golden["ties__ac_corr"]), abs=1e-12)
    assert layer_ac_corr(g, b, g, b, per_channel=True) == pytest.approx(1.0, abs=1e-12)
    assert affine_overlap(g, b, g, b).own == pytest.approx(1.0, abs=1e-12)


# --- invariances and bounds -------------------------------------------------------------------------------------------


@given(any_affines(), st.randoms(use_true_random=False))
def test_order_of_channels_does_not_matter(affines: Affines, random) -> None:
    order = random.sample(range(len(affines[0])), len(affines[0]))
    moved = [part[order] for part in affines]
    before, after = affine_overlap(*tensors(*affines)), affine_overlap(*tensors(*moved))
    assert after == pytest.approx(before, rel=1e-12, abs=1e-12)


@given(any_affines())
def test_sign_of_gamma_does_not_matter(affines: Affines) -> None:
    ws, bs, wt, bt = tensors(*affines)
    assert affine_overlap(-ws, bs, wt, bt) == affine_overlap(ws, bs, -wt, bt) == affine_overlap(ws, bs, wt, bt)


@given(any_affines())
@example((np.array([0.0, 3.0]), np.array([0.0, -1.0]), np.zeros(2), np.array([0.0, -2.0])))  # |y| = 2e5
def test_overlap_lies_in_its_range(affines: Affines) -> None:
    total, own, channels = affine_overlap(*tensors(*affines))
    assert 0 <= own <= total <= channels == len(affines[0])


def test_no_drift_keeps_every_channel_on_its_own() -> None:
    g, b = torch.ones(50), torch.randperm(50).double()
    total, own, _ = affine_overlap(g, b, g, b)
    assert own / total == pytest.approx(1.0, abs=1e-12)


def test_ac_corr_rises_with_drift() -> None:
    ws, bs, wt, bt = tensors(*random_affines(np.random.default_rng(0), 256))
    values = [layer_ac_corr(ws, bs, ws + s * (wt - ws), bs + s * (bt - bs), per_channel=True) for s in (0.0, 1.0, 10.0)]
    assert values == sorted(values)
    assert values[2] > 5 * values[0]


def test_temperature_spreads_the_correlation() -> None:
    g, b = torch.ones(2), torch.tensor([0.0, 2.0])
    for temperature in (0.5, 1.0, 4.0):
        closed_form = 1 / (1 + np.exp(-2 / temperature))
        found = layer_ac_corr(g, b, g, b, eps=0.0, temperature=temperature)
        assert found == pytest.approx(2 * closed_form, abs=1e-12)


def test_eps_enters_normalised_bias() -> None:
    y = normalised_bias(torch.tensor([-2.0, 0.0]), torch.tensor([1.0, 1.0]), eps=0.5)
    torch.testing.assert_close(y, torch.tensor([0.4, 2.0]))
    np.testing.assert_allclose(normalised_bias(np.array([-2.0, 0.0]), np.ones(2), eps=0.5), [0.4, 2.0])


def test_bfloat16_affines_are_correlated_in_float64() -> None:
    ws, bs, wt, bt = (part.bfloat16() for part in tensors(*random_affines(np.random.default_rng(0), 64)))
    assert layer_ac_corr(ws, bs, wt, bt) == layer_ac_corr(ws.double(), bs.double(), wt.double(), bt.double())


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("function", [layer_ac_corr, affine_correlation, affine_overlap, correlation_of])
@pytest.mark.parametrize(
    ("source", "target", "options", "said"),
    [
        (torch.ones(3), torch.ones(2), {}, "one length"),
        (torch.ones(0), torch.ones(0), {}, "one length"),
        (torch.ones(2, 2), torch.ones(2, 2), {}, "one length"),
        (torch.ones(2), torch.tensor([1.0, torch.nan]), {}, "finite"),
        (torch.ones(2), torch.tensor([1.0, torch.inf]), {}, "finite"),
        (torch.zeros(2), torch.ones(2), {"eps": 0.0}, "finite"),
        (torch.ones(2), torch.ones(2), {"temperature": 0.0}, "temperature"),
        (torch.ones(2), torch.ones(2), {"temperature": torch.nan}, "temperature"),
    ],
)
def test_what_cannot_be_correlated_is_refused(function, source, target, options, said) -> None:
    with pytest.raises(ValueError, match=said):
        function(source, source, target, target, **options)


def test_correlation_takes_y_directly() -> None:
    y = np.array([0.0, 1.0, 3.0])
    expected = dense(np.ones(3), y * (1 + 1e-5), np.ones(3), (y + 0.6) * (1 + 1e-5))
    np.testing.assert_allclose(Correlation(y, y + 0.6).row_sums(), expected.sum(1), rtol=0, atol=1e-9)
