"""Bundled images, drawn by procedures: what a checkpoint is shown where the target does not matter."""

from __future__ import annotations

import functools

import numpy as np
import numpy.typing as npt
import torch

from acrank.demo.nodules import nodule_scan
from acrank.demo.sources import SOURCES
from acrank.observation.batches import Batch
from acrank.system.network_input import NetworkInput
from acrank.targets.preparation import prepare_images

#: Kinds of images, far from each other; each gives one batch.
KINDS = ("fundus_lesions", "ultrasound", "textures", "shapes")
EACH = 4
SIDE = 96
VOLUMES, VOLUME_SIDE = 4, 48
#: Labelled positions along each axis of an image, where features are dense.
GRID = 8
_STREAM = 17
Picture = npt.NDArray[np.float32]


def bundled_batches(network_input: NetworkInput, *, dense: bool) -> list[Batch]:
    """The bundled images as batches for a network: one of four images of each kind; for volumes one of four scans.

    Args:
        network_input: what the network takes.
        dense: whether labels are of positions, as for segmentation; each has its image's class.
    """
    axes = len(network_input.size)
    return [_batch(number, network_input, dense=dense) for number in range(len(KINDS) if axes == 2 else 1)]


def _batch(number: int, network_input: NetworkInput, *, dense: bool) -> Batch:
    size = network_input.size
    pictures, labels, classes = _pictures(number) if len(size) == 2 else _scans()
    inputs = prepare_images([_channels(one, network_input.channels) for one in pictures], network_input)
    count, positions = len(labels), None
    if dense:
        positions = _grid(size).expand(count, -1)
    each = 1 if positions is None else positions.shape[1]
    whole = torch.from_numpy(labels)
    return Batch(
        inputs=inputs,
        labels=whole if positions is None else whole[:, None].expand(-1, each).contiguous(),
        half=(torch.arange(count) % 2 == 0).repeat_interleave(each),
        permutation=torch.arange(count * each),
        classes=classes,
        repeat=number,
        positions=positions,
    )


@functools.cache
def _pictures(number: int) -> tuple[list[Picture], npt.NDArray[np.int64], int]:
    """Images float32 [3, side, side] in [0, 1] of one kind, their classes, and how many classes there are."""
    source = SOURCES[KINDS[number]]
    classes = min(source.classes, EACH)
    labels: npt.NDArray[np.int64] = np.arange(EACH, dtype=np.int64) % classes
    images = [
        source.draw(np.random.default_rng([_STREAM, number, place]), int(label), SIDE)
        for place, label in enumerate(labels)
    ]
    scaled = [np.float32(1 / 255) * image.transpose(2, 0, 1).astype(np.float32) for image in images]
    return scaled, labels, classes


@functools.cache
def _scans() -> tuple[list[Picture], npt.NDArray[np.int64], int]:
    """Volumes float32 [1, side, side, side] in [0, 1] of lungs, in two arbitrary classes."""
    scans = [nodule_scan(_STREAM, place, size=VOLUME_SIDE)[0] for place in range(VOLUMES)]
    volumes = [np.clip((scan[None] + 1000.0) / 1400.0, 0, 1).astype(np.float32) for scan in scans]
    return volumes, np.arange(VOLUMES, dtype=np.int64) % 2, 2


def _channels(picture: Picture, count: int) -> Picture:
    """The picture for a network of so many channels: grey for all but three."""
    if count == 3 and len(picture) == 3:
        return picture
    grey: Picture = picture.mean(0, keepdims=True).repeat(count, axis=0)
    return grey


def _grid(size: tuple[int, ...]) -> torch.Tensor:
    """Flat places of a regular grid within an image, int64 [1, GRID ** axes]."""
    along = [torch.arange(GRID) * side // GRID + side // (2 * GRID) for side in size]
    places = torch.zeros((), dtype=torch.int64)
    for axis, side in zip(along, size, strict=True):
        places = places[..., None] * side + axis.clamp(max=side - 1)
    return places.reshape(1, -1)
