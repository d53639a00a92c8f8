"""The bundled images as one network takes them: the same for every target, on every call."""

from __future__ import annotations

import pytest
import torch
from helpers.workbench import input_of

from acrank.observation.bundled import EACH, GRID, KINDS, VOLUMES, bundled_batches


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("size", [(32, 32), (24, 40)])
@pytest.mark.parametrize("dense", [False, True])
def test_images_as_a_network_takes_them(channels: int, size: tuple[int, ...], dense: bool) -> None:
    found = bundled_batches(input_of(size, channels, mean=0.5, std=0.5), dense=dense)
    assert len(found) == len(KINDS)
    assert [batch.repeat for batch in found] == list(range(len(KINDS)))
    for batch in found:
        assert batch.inputs.shape == (EACH, channels, *size)
        assert batch.inputs.dtype == torch.float32
        assert -1 - 1e-5 <= float(batch.inputs.min()) < float(batch.inputs.max()) <= 1 + 1e-5
        assert all(not torch.equal(one, other) for one, other in zip(batch.inputs, batch.inputs[1:], strict=False))
        rows = EACH * (GRID**2 if dense else 1)
        assert batch.labels.shape == ((EACH, GRID**2) if dense else (EACH,))
        assert set(batch.labels.flatten().tolist()) == set(range(batch.classes))
        assert batch.half.view(EACH, -1).all(1).tolist() == [True, False] * (EACH // 2)
        assert sorted(batch.permutation.tolist()) == list(range(rows))
        assert (batch.positions is not None) == dense
    grey = [bool((batch.inputs == batch.inputs[:, :1]).all()) for batch in found]
    assert all(grey) == (channels != 3)


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("dense", [False, True])
def test_volumes_as_a_network_takes_them(channels: int, dense: bool) -> None:
    size = (16, 24, 20)
    (batch,) = bundled_batches(input_of(size, channels), dense=dense)
    assert batch.inputs.shape == (VOLUMES, channels, *size)
    assert 0 <= float(batch.inputs.min()) < float(batch.inputs.max()) <= 1 + 1e-5
    assert (batch.inputs == batch.inputs[:, :1]).all()
    assert batch.classes == 2
    assert batch.labels.shape == ((VOLUMES, GRID**3) if dense else (VOLUMES,))
    assert len(batch.half) == len(batch.permutation) == batch.labels.numel()


@pytest.mark.parametrize("size", [(32, 32), (9, 40), (5, 3), (1, 8), (16, 24, 20), (8, 4, 2)])
def test_positions_are_a_regular_grid_within_the_image(size: tuple[int, ...]) -> None:
    channels = 3 if len(size) == 2 else 1
    for batch in bundled_batches(input_of(size, channels), dense=True):
        assert batch.positions is not None
        assert batch.positions.shape == (len(batch.inputs), GRID ** len(size))
        assert (batch.positions == batch.positions[0]).all()
        places = torch.unravel_index(batch.positions[0], size)
        for along, side in zip(places, size, strict=True):
            found = along.unique()
            assert len(found) == min(GRID, side)
            assert 0 <= int(found[0]) <= int(found[-1]) < side
            middles = [(step + 0.5) * side / GRID - 0.5 for step in range(GRID)]
            assert max(min(abs(middle - one) for one in found.tolist()) for middle in middles) < 1
        assert (batch.labels == batch.labels[:, :1]).all()  # each has its image's class
        rows, labels = batch.rows()  # and can be read
        assert rows(torch.zeros(len(batch.inputs), 2, *size), None).shape == (len(labels), 2)  # type: ignore[union-attr]


@pytest.mark.parametrize("size", [(24, 24), (16, 16, 16)])
def test_every_call_gives_the_same(size: tuple[int, ...]) -> None:
    """Whatever the state of any random generator, and whoever changed what an earlier call gave."""
    wanted = input_of(size, 1)
    first = bundled_batches(wanted, dense=True)
    known = [batch.inputs.clone() for batch in first]
    for batch in first:
        batch.inputs.zero_(), batch.labels.zero_()
    torch.manual_seed(7)
    for batch, inputs in zip(bundled_batches(wanted, dense=True), known, strict=True):
        assert torch.equal(batch.inputs, inputs)
        assert len(batch.labels.unique()) == batch.classes


def test_the_kinds_are_far_from_each_other() -> None:
    """As a histogram of grey tells: no two kinds are drawn alike."""
    found = bundled_batches(input_of((32, 32), 1), dense=False)
    shares = [torch.histc(batch.inputs, bins=8, min=0, max=1) / batch.inputs.numel() for batch in found]
    gaps = [float((one - other).abs().sum()) for i, one in enumerate(shares) for other in shares[:i]]
    assert min(gaps) > 0.2
