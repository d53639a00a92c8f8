"""Volumes with a dataset.json: Medical Segmentation Decathlon (also MONAI's data lists) and nnU-Net v2 raw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from acrank.errors import TargetError
from acrank.system.bounds import read_bounded
from acrank.targets.data_folder import DataFolder, once
from acrank.targets.stores.intensity import parse_intensity
from acrank.targets.stores.nifti import NIFTI_SUFFIXES
from acrank.targets.stores.volumes import MaskedVolumeStore
from acrank.targets.target import Labels, Target, build_target, first_few
from acrank.targets.target_options import TargetOptions

DECATHLON = "decathlon"
NNUNET = "nnunet"
USES = frozenset({"task", "intensity", "slices", "spacing", "allow_outside"})
_MOST_CHANNELS = 256

_Case = tuple[tuple[str, ...], str]  # files of the channels, file of the mask


def layout_of(path: Path) -> str | None:
    """The layout that a folder's dataset.json describes; None without such a file."""
    if not (path / "dataset.json").is_file():
        return None
    return DECATHLON if isinstance(_description(path).get("training"), list) else NNUNET


def open_decathlon(path: Path, options: TargetOptions) -> Target:
    """Open a Decathlon folder: dataset.json has pairs under `training`, the values in `labels`, channels in `modality`.

    Raises:
        TargetError: the description is incomplete, or names files that do not exist.
    """
    about = _description(path)
    pairs = [_pair(path, entry) for entry in about["training"]]
    cases: dict[str, _Case] = {_stem(image): ((image,), mask) for image, mask in pairs}
    if len(cases) < len(pairs):
        raise TargetError(f"{path / 'dataset.json'} lists two images of one name", hint="name each case differently")
    labels = {str(name): value for value, name in _mapping(path, about, "labels").items()}
    channels = _mapping(path, about, "modality") if "modality" in about else {"0": "unknown"}
    return _open_cases(path, options, layout=DECATHLON, cases=cases, labels=labels, channels=channels)


def open_nnunet(path: Path, options: TargetOptions) -> Target:
    """Open an nnU-Net v2 raw folder: imagesTr/CASE_0000.nii.gz for each channel, labelsTr/CASE.nii.gz, dataset.json.

    Raises:
        TargetError: the description is incomplete, or files are missing.
    """
    about = _description(path)
    channels = _mapping(path, about, "channel_names" if "channel_names" in about else "modality")
    ending = str(about.get("file_ending", ".nii.gz"))
    if ending not in NIFTI_SUFFIXES:
        raise TargetError(f"{path} holds {ending} files", hint="volumes must be NIfTI: .nii or .nii.gz")
    if len(channels) > _MOST_CHANNELS:
        raise TargetError(f"{path / 'dataset.json'} names {len(channels)} channels", hint="is it damaged?")
    stems = [name.removesuffix(ending) for name in _names_in(path / "labelsTr") if name.endswith(ending)]
    cases = {
        stem: (
            tuple(f"imagesTr/{stem}_{channel:04d}{ending}" for channel in range(len(channels))),
            f"labelsTr/{stem}{ending}",
        )
        for stem in stems
    }
    labels = _mapping(path, about, "labels")
    return _open_cases(path, options, layout=NNUNET, cases=cases, labels=labels, channels=channels)


def _open_cases(
    path: Path,
    options: TargetOptions,
    *,
    layout: str,
    cases: dict[str, _Case],
    labels: dict[str, Any],
    channels: dict[str, Any],
) -> Target:
    """The target of named cases; `labels` maps names to values, `channels` numbers to names."""
    if options.task not in (None, "segmentation"):
        raise TargetError(f"{path} holds volumes with masks", hint="leave the task out: it is segmentation")
    if not cases:
        raise TargetError(f"no volumes in {path}", hint="dataset.json and the folders beside it must name some")
    classes, values, notes = _classes(path, labels)
    files = [name for images, mask in cases.values() for name in (*images, mask)]
    data = DataFolder(path, allow_outside=options.allow_outside)
    found = {name: data.find(name) for name in files}
    lacking = sorted(name for name in files if found[name] is None)
    if lacking:
        raise TargetError(f"{path} lacks {len(lacking)} files: {first_few(lacking, 3)}", hint="check dataset.json")
    pairs = [(one, cases[one][1], found[cases[one][0][0]]) for one in sorted(cases)]
    ids = tuple(name for name, _ in once([(name, mask, same) for name, mask, same in pairs if same], notes))
    names = [str(channels[key]) for key in sorted(channels, key=_number)]
    store = MaskedVolumeStore(
        root=path,
        channels=tuple(cases[one][0] for one in ids),
        rules=tuple(parse_intensity(options.intensity, name) for name in names),
        spacing=options.spacing,
        masks=tuple(cases[one][1] for one in ids),
        values=values,
    )
    encoded = Labels.of_masks(len(ids), classes)
    notes += data.notes()
    return build_target(path, layout=layout, ids=ids, labels=encoded, info=store.info(names), notes=notes)


def _classes(path: Path, labels: dict[str, Any]) -> tuple[tuple[str, ...], tuple[int, ...], list[str]]:
    """Names and values of the classes, by value, and notes; positions of the label `ignore` are ignored."""
    try:
        pairs = sorted((int(value), str(name)) for name, value in labels.items() if str(name).lower() != "ignore")
    except (TypeError, ValueError, OverflowError) as error:
        raise TargetError(
            f"{path / 'dataset.json'}: labels are not one number each", hint="region-based labels are not supported"
        ) from error
    if len(pairs) < 2 or pairs[0][0] != 0 or pairs[-1][0] > np.iinfo(np.int32).max:
        raise TargetError(
            f"{path / 'dataset.json'}: labels {labels}", hint="there must be a background, 0, and a class"
        )
    notes = ["positions labelled `ignore` are left out"] if len(pairs) < len(labels) else []
    return tuple(name for _, name in pairs), tuple(value for value, _ in pairs), notes


def _description(path: Path) -> dict[str, Any]:
    where = path / "dataset.json"
    try:
        about = json.loads(read_bounded(where, TargetError))
    except (ValueError, RecursionError) as error:
        raise TargetError(f"cannot read {where}: {error}", hint="it must be JSON") from error
    if not isinstance(about, dict):
        raise TargetError(f"{where} is not a mapping", hint="see Decathlon's or nnU-Net's description of it")
    return about


def _mapping(path: Path, about: dict[str, Any], key: str) -> dict[str, Any]:
    found = about.get(key)
    if not isinstance(found, dict) or not found:
        raise TargetError(f"{path / 'dataset.json'} has no {key!r}", hint="it must map names and numbers")
    return found


def _pair(path: Path, entry: Any) -> tuple[str, str]:
    """Paths of an image and its mask below the folder."""
    if not isinstance(entry, dict) or not all(isinstance(entry.get(key), str) for key in ("image", "label")):
        raise TargetError(
            f"{path / 'dataset.json'}: {entry!r} is not a pair", hint="give `image` and `label`, one path each"
        )
    image, label = (Path(entry[key]).as_posix().removeprefix("./") for key in ("image", "label"))
    for name in (image, label):
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise TargetError(f"{path / 'dataset.json'} points outside its folder: {name}", hint="use paths below it")
    return image, label


def _stem(name: str) -> str:
    last = name[name.rfind("/") + 1 :]
    return next((last.removesuffix(suffix) for suffix in NIFTI_SUFFIXES if last.endswith(suffix)), last)


def _names_in(folder: Path) -> list[str]:
    try:
        return sorted(entry.name for entry in folder.iterdir() if entry.name[0] != ".")
    except OSError as error:
        raise TargetError(f"cannot read {folder}: {error.strerror}", hint="nnU-Net's masks lie in labelsTr") from error


def _number(key: str) -> tuple[int, str]:
    """Sorts keys by number, others behind."""
    return (int(key), key) if key.isdecimal() and len(key) < 10 else (10**9, key)
