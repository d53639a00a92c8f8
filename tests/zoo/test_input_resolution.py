"""Input size, mean and standard deviation, and what is said where they are assumed."""

from __future__ import annotations

import pytest

from acrank.errors import CandidateError
from acrank.zoo import ManifestInput
from acrank.zoo.input_resolution import resolve_input

CFG = {"input_size": [3, 160, 192], "mean": (0.1, 0.2, 0.3), "std": (0.4, 0.5, 0.6)}


def test_the_manifest_goes_first() -> None:
    given = ManifestInput(size=(64, 32), mean=(0.5,), std=(0.1, 0.2, 0.3))
    found, notes = resolve_input(given, 3, cfg=CFG)
    assert (found.size, found.mean, found.std, notes) == ((64, 32), (0.5, 0.5, 0.5), (0.1, 0.2, 0.3), [])


def test_a_checkpoints_own_configuration_needs_no_note() -> None:
    found, notes = resolve_input(ManifestInput(), 3, cfg=CFG, own_cfg=True)
    assert (found.size, found.mean, found.std, notes) == ((160, 192), CFG["mean"], CFG["std"], [])


def test_an_architectures_configuration_is_an_assumption() -> None:
    found, notes = resolve_input(ManifestInput(size=(64, 64)), 3, cfg=CFG)
    assert found.size == (64, 64)
    assert notes == ["assumed input: mean 0.1 0.2 0.3, std 0.4 0.5 0.6"]


@pytest.mark.parametrize(("channels", "mean"), [(1, (0.2,)), (4, (0.1, 0.2, 0.3, 0.1)), (2, (0.1, 0.2))])
def test_other_channels_follow_the_first_layer(channels: int, mean: tuple[float, ...]) -> None:
    assert resolve_input(ManifestInput(), channels, cfg=CFG)[0].mean == pytest.approx(mean)


def test_a_network_unknown_to_timm_gets_imagenets_or_a_half() -> None:
    (colour, notes), (grey, _) = resolve_input(ManifestInput(), 3), resolve_input(ManifestInput(), 1)
    assert (colour.size, colour.mean, colour.std) == ((224, 224), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    assert (grey.mean, grey.std) == ((0.5,), (0.5,))
    assert notes[0].startswith("assumed input: size 224, mean 0.485")


def test_as_many_values_as_channels() -> None:
    with pytest.raises(CandidateError, match=r"input\.std has 2 values, the network takes 3"):
        resolve_input(ManifestInput(std=(0.1, 0.2)), 3)


@pytest.mark.parametrize(
    ("mean", "std", "expected"),
    [
        ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375), ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))),
        ((103.939, 116.779, 123.68), (1.0, 1.0, 1.0), ((0.407604, 0.457957, 0.48502), (0.003922,) * 3)),
        ((127.5,), (127.5,), ((0.5,) * 3, (0.5,) * 3)),
        ((0.0,), (255.0,), ((0.0,) * 3, (1.0,) * 3)),
    ],
)
def test_statistics_of_images_from_0_to_255_are_divided(
    mean: tuple[float, ...], std: tuple[float, ...], expected: tuple[tuple[float, ...], tuple[float, ...]]
) -> None:
    found, notes = resolve_input(ManifestInput(size=(64, 64), mean=mean, std=std), 3)
    assert (found.mean, found.std) == expected
    assert notes == ["input.mean and input.std are of images from 0 to 255: divided by 255"]


@pytest.mark.parametrize(
    ("mean", "std"), [((123.0,), (0.2,)), ((0.5,), (58.0,)), ((300.0,), (58.0,)), ((0.0,), (300.0,))]
)
def test_statistics_of_two_ranges_are_refused(mean: tuple[float, ...], std: tuple[float, ...]) -> None:
    with pytest.raises(CandidateError, match="are not of one range"):
        resolve_input(ManifestInput(mean=mean, std=std), 3)


def test_usual_statistics_stay() -> None:
    for mean, std in (((0.0,), (1.0,)), ((0.5,), (2.0,)), ((1.0,), (0.1,)), ((-0.5,), (3.0,))):
        found, notes = resolve_input(ManifestInput(size=(64, 64), mean=mean, std=std), 3)
        assert (found.mean, found.std, notes) == (mean * 3, std * 3, [])


def test_the_order_of_colours() -> None:
    assert resolve_input(ManifestInput(order="bgr"), 3)[0].order == "bgr"
    assert resolve_input(ManifestInput(), 3)[0].order == "rgb"
    with pytest.raises(CandidateError, match="order is bgr, and the network takes 1 channels"):
        resolve_input(ManifestInput(order="bgr"), 1)
