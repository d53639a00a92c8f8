"""Gram matrices of what normalisation layers put out, against plain NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from acrank.observation.layer_hooks import ROWS, LayerOutputs, last_third, rows_of_images, rows_of_positions


def gram_of(layer: nn.Module, inputs: torch.Tensor, rows_of) -> np.ndarray | None:
    with LayerOutputs({"one": layer}, rows_of) as outputs:
        layer(inputs)
    return outputs.gram(["one"])


def by_hand(rows: np.ndarray) -> np.ndarray:
    x = (rows - rows.mean(0)) / rows.std(0)
    return x @ x.T / x.shape[1]


def test_images_are_rectified_and_averaged_over_positions() -> None:
    inputs = torch.randn(7, 3, 4, 5, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows_of, chosen = rows_of_images(7)
    assert chosen.tolist() == list(range(7))
    expected = by_hand(np.maximum(inputs.numpy(), 0).mean((2, 3)))
    np.testing.assert_allclose(gram_of(nn.Identity(), inputs, rows_of), expected, rtol=1e-4, atol=1e-6)


def test_a_layer_of_vectors_is_read_as_it_is() -> None:
    inputs = torch.randn(7, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    expected = by_hand(np.maximum(inputs.numpy(), 0))
    np.testing.assert_allclose(gram_of(nn.Identity(), inputs, rows_of_images(7)[0]), expected, rtol=1e-4, atol=1e-6)


def test_tokens_folded_into_the_batch_are_given_back_to_their_image() -> None:
    tokens = torch.randn(6, 10, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    rows_of, _ = rows_of_images(6)
    expected = by_hand(np.maximum(tokens.numpy(), 0).mean(1))
    np.testing.assert_allclose(gram_of(nn.Identity(), tokens.flatten(0, 1), rows_of), expected, rtol=1e-4, atol=1e-6)


def test_outputs_without_the_images_are_left_out() -> None:
    assert gram_of(nn.Identity(), torch.randn(5, 3, 4, 4), rows_of_images(4)[0]) is None
    rows_of, _ = rows_of_positions(torch.arange(8).view(2, 4), (4, 4))
    assert gram_of(nn.Identity(), torch.randn(4, 3, 4, 4), rows_of) is None
    assert gram_of(nn.Identity(), torch.randn(2, 3), rows_of) is None


def test_positions_are_read_where_the_labels_are() -> None:
    maps = torch.randn(2, 3, 2, 2, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    positions = torch.tensor([[0, 3, 15], [5, 10, 12]])  # of patches of 4 x 4: a cell of the map is 2 x 2 of them
    rows_of, chosen = rows_of_positions(positions, (4, 4))
    assert chosen.tolist() == list(range(6))
    cells = [[0, 1, 3], [0, 3, 2]]
    rows = np.concatenate([maps[i].flatten(1)[:, cells[i]].T.numpy() for i in range(2)])
    np.testing.assert_allclose(
        gram_of(nn.Identity(), maps, rows_of), by_hand(np.maximum(rows, 0)), rtol=1e-4, atol=1e-6
    )


@pytest.mark.parametrize("count", [1, ROWS, ROWS + 1, 5 * ROWS + 3])
def test_no_more_rows_than_the_limit(count: int) -> None:
    rows_of, chosen = rows_of_images(count)
    found = rows_of(torch.arange(float(count))[:, None])
    assert found is not None
    assert len(found) == len(chosen) <= ROWS
    assert found[:, 0].tolist() == chosen.tolist()


@pytest.mark.parametrize("shape", [(9, 100), (48, 256), (400, 20), (ROWS, 3), (ROWS + 1, 7), (3 * ROWS, 1)])
def test_no_more_positions_than_the_limit(shape: tuple[int, int]) -> None:
    positions = torch.randint(0, 64, shape, generator=torch.Generator().manual_seed(0))
    rows_of, chosen = rows_of_positions(positions, (8, 8))
    cells = torch.arange(64.0).view(1, 1, 8, 8) + 100 * torch.arange(float(shape[0])).view(-1, 1, 1, 1)
    found = rows_of(cells)
    assert found is not None
    expected = positions + 100 * torch.arange(shape[0])[:, None]
    assert found[:, 0].tolist() == expected.flatten()[chosen].tolist()
    assert ROWS / 4 < len(chosen) <= ROWS


def test_an_output_that_tells_nothing_does_not_replace_one_that_does() -> None:
    layer, images = nn.Identity(), torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    with LayerOutputs({"one": layer}, rows_of_images(4)[0]) as outputs:
        layer(images), layer(images[:3])
    np.testing.assert_allclose(outputs.gram(["one"]), by_hand(images.relu().double().numpy()), rtol=1e-4, atol=1e-6)


def test_a_constant_channel_says_nothing() -> None:
    inputs = torch.randn(6, 2, generator=torch.Generator().manual_seed(0)).abs()
    with_constant = torch.cat([inputs, torch.full((6, 1), 3.0)], 1)
    rows_of, _ = rows_of_images(6)
    one, other = gram_of(nn.Identity(), inputs, rows_of), gram_of(nn.Identity(), with_constant, rows_of)
    assert one is not None
    assert other is not None
    np.testing.assert_allclose(one * 2 / 3, other, rtol=1e-4, atol=1e-6)


def test_a_mean_over_layers_and_hooks_that_go() -> None:
    one, other = nn.Identity(), nn.ReLU()
    rows_of, _ = rows_of_images(5)
    a, b = (torch.randn(5, 4, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    with LayerOutputs({"a": one, "b": other}, rows_of) as outputs:
        one(a), other(b)
    both, first, second = outputs.gram(["a", "b"]), outputs.gram(["a"]), outputs.gram(["b"])
    assert both is not None
    np.testing.assert_allclose(both, (np.asarray(first) + np.asarray(second)) / 2, rtol=1e-4, atol=1e-6)
    one(b)
    np.testing.assert_array_equal(outputs.gram(["a"]), first)


@pytest.mark.parametrize(("count", "kept"), [(1, 1), (2, 1), (3, 1), (6, 2), (20, 6)])
def test_the_later_layers(count: int, kept: int) -> None:
    names = [str(i) for i in range(count)]
    assert last_third(names) == names[-kept:]
