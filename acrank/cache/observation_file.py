"""One observation as an HDF5 file: arrays, layers concatenated, and a digest of everything."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import numpy as np

from acrank.records import CandidateInfo, Details
from acrank.scores.inputs import LayerShift, MapRows, Observation

if TYPE_CHECKING:
    import h5py

FORMAT = 4
MAGIC = "acrank-observation"
_GROUPS = ("shifts", "initial_shifts", "shuffled_shifts", "random_head_shifts")
_ARRAYS = ("labels", "half", "permutation", "features", "logits", "groups", "later_gram", "later_gram_rows")
_AFFINES = ("source_weight", "source_bias", "target_weight", "target_bias")


def write_observation(
    file: h5py.File, key: str, observation: Observation, *, info: CandidateInfo, ids: list[str]
) -> None:
    """Write an observation to an empty file, with its key, its candidate's `info` and the ids of its images."""
    for name in _ARRAYS:
        if (array := getattr(observation, name)) is not None:
            file[name] = array
    file["sample_ids"] = np.array([one.encode("utf-8", "surrogateescape") for one in ids])
    for group in _GROUPS:
        _write_layers(file.create_group(group), getattr(observation, group))
    if observation.maps is not None:
        for place, one in enumerate(observation.maps):
            for name, array in one._asdict().items():
                file[f"maps/{place}/{name}"] = array
    file.attrs.update({"kind": MAGIC, "format": FORMAT, "key": key, "about": json.dumps(asdict(info))})
    file.attrs["digest"] = _digest(file)


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
        ValueError: the file is of another key or format, or has changed since it was written.
    """
    attrs = file.attrs
    if (attrs.get("kind"), attrs.get("format"), attrs.get("key")) != (MAGIC, FORMAT, key):
        raise ValueError("not an observation under this key")
    if attrs.get("digest") != _digest(file):
        raise ValueError("the content has changed since it was written")
    parts: dict[str, Any] = {name: file[name][()] if name in file else None for name in _ARRAYS}
    parts |= {name: _read_layers(file[name]) for name in _GROUPS}
    if "maps" in file:
        groups = (file["maps"][str(place)] for place in range(len(file["maps"])))
        parts["maps"] = tuple(MapRows(*(group[name][()] for name in MapRows._fields)) for group in groups)
    about = json.loads(attrs["about"])
    return Observation(**parts), CandidateInfo(**{**about, "details": Details(**about["details"])})


def _read_layers(group: h5py.Group) -> tuple[LayerShift, ...]:
    names, channels, sums = (group[name][()] for name in ("names", "channels", "sums"))
    parts = np.split(group["affines"][()], np.cumsum(channels)[:-1], axis=1)
    return tuple(
        LayerShift(
            name=name.decode(),
            eps=float(eps),
            **dict(zip(_AFFINES, part, strict=True)),
            total=float(total),
            own=float(own),
        )
        for name, (eps, total, own), part in zip(names, sums, parts, strict=False)  # no layers leave one empty part
    )


def _digest(file: h5py.File) -> str:
    """SHA-256 of every array and attribute but the digest itself."""
    import h5py

    digest = hashlib.sha256()

    def add(name: str, item: Any) -> None:
        digest.update(name.encode())
        for label, value in sorted(item.attrs.items()):
            if label != "digest":
                digest.update(f"{label}={value!r}".encode())
        if isinstance(item, h5py.Dataset):
            digest.update(f"{item.dtype}{item.shape}".encode())
            digest.update(item[()].tobytes())

    add("/", file)
    file.visititems(add)
    return digest.hexdigest()
