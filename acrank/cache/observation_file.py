"""One observation as an HDF5 file: arrays, shifts and maps."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import numpy as np

from acrank.records import Details
from acrank.scores.inputs import CandidateInfo, LayerShift, MapRows, Observation

if TYPE_CHECKING:
    import h5py

FORMAT = 5
MAGIC = "acrank-observation"
# The fields of an observation by what they hold, so that a new one is stored without a change here.
_KINDS = {field.name: str(field.type) for field in fields(Observation)}
_SHIFTS = [name for name, kind in _KINDS.items() if "LayerShift" in kind]
_MAPS = [name for name, kind in _KINDS.items() if "MapRows" in kind]
_ARRAYS = [name for name in _KINDS if name not in (*_SHIFTS, *_MAPS)]
_AFFINES = ("source_weight", "source_bias", "target_weight", "target_bias")


def write_observation(
    file: h5py.File, key: str, observation: Observation, *, info: CandidateInfo, ids: list[str]
) -> None:
    """Fill an empty file with an observation, its key, the facts about the candidate, and the ids of the images."""
    for name in _ARRAYS:
        if (array := getattr(observation, name)) is not None:
            file[name] = array
    file["sample_ids"] = np.array([one.encode("utf-8", "surrogateescape") for one in ids])
    for name in _SHIFTS:
        _write_layers(file.create_group(name), getattr(observation, name))
    for name in _MAPS:
        for place, rows in enumerate(getattr(observation, name) or ()):
            for part, array in rows._asdict().items():
                file[f"{name}/{place}/{part}"] = array
    file.attrs.update({"kind": MAGIC, "format": FORMAT, "key": key, "about": json.dumps(asdict(info))})


def _write_layers(group: h5py.Group, layers: Sequence[LayerShift]) -> None:
    """Write layers, concatenated: names, channels, (eps, total, own) per layer, and four affines per channel."""
    group["names"] = np.array([layer.name.encode() for layer in layers], dtype="S")
    group["channels"] = np.array([layer.channels for layer in layers], dtype=np.int64)
    group["sums"] = np.array([(layer.eps, layer.total, layer.own) for layer in layers]).reshape(-1, 3)
    parts = [np.stack([getattr(layer, name) for name in _AFFINES]) for layer in layers]
    group["affines"] = np.concatenate(parts or [np.empty((4, 0))], axis=1)


def read_observation(file: h5py.File, key: str) -> tuple[Observation, CandidateInfo]:
    """The observation of a file, and its candidate's info.

    Raises:
        ValueError: the file is of another key or format, or its seconds are none.
    """
    attrs = file.attrs
    if (attrs.get("kind"), attrs.get("format"), attrs.get("key")) != (MAGIC, FORMAT, key):
        raise ValueError("not an observation under this key")
    parts: dict[str, Any] = {name: file[name][()] if name in file else None for name in _ARRAYS}
    parts |= {name: _read_layers(file[name]) for name in _SHIFTS}
    parts |= {name: _read_maps(file[name]) if name in file else None for name in _MAPS}
    about = json.loads(attrs["about"])
    if not all(isinstance(one, float) and 0 <= one < math.inf for one in about["seconds"].values()):
        raise ValueError("seconds that cannot be")
    return Observation(**parts), CandidateInfo(**{**about, "details": Details(**about["details"])})


def _read_layers(group: h5py.Group) -> tuple[LayerShift, ...]:
    names, channels, sums = (group[name][()] for name in ("names", "channels", "sums"))
    parts = np.split(group["affines"][()], np.cumsum(channels)[:-1], axis=1)
    return tuple(
        LayerShift(
            name=name.decode(),
            eps=float(eps),
            total=float(total),
            own=float(own),
            **dict(zip(_AFFINES, part, strict=True)),
        )
        for name, (eps, total, own), part in zip(names, sums, parts, strict=False)  # no layers leave one empty part
    )


def _read_maps(group: h5py.Group) -> tuple[MapRows, ...]:
    maps = (group[str(place)] for place in range(len(group)))
    return tuple(MapRows(**{name: one[name][()] for name in MapRows._fields}) for one in maps)
