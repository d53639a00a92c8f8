"""Volumes or images with masks and a dataset.json: Decathlon, MONAI's data lists, nnU-Net v1 and v2 raw."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np

from acrank.errors import TargetError, UsageError
from acrank.targets.data_folder import DataFolder, once
from acrank.targets.layouts.dataset_json import (
    NAME,
    LabelNames,
    channel_names,
    describes_volumes,
    is_nnunet,
    label_names,
    read_description,
    without_value,
)
from acrank.targets.layouts.dicom_masks import refuse_dicom
from acrank.targets.layouts.listing import entries
from acrank.targets.layouts.missing_files import IS_MISSING, refuse_missing
from acrank.targets.layouts.volume_cases import (
    Case,
    Cases,
    as_stored,
    folder_cases,
    folders_beside,
    listed_cases,
    mapped_cases,
)
from acrank.targets.listed_values import ROUNDING, ListedValues
from acrank.targets.mask_palettes import refuse_palettes
from acrank.targets.mask_values import mask_values_of, parse_ignored
from acrank.targets.stores.image_cases import ImageCaseStore
from acrank.targets.stores.images import IMAGE_SUFFIXES, open_images
from acrank.targets.stores.intensity import parse_intensity
from acrank.targets.stores.nifti import open_volume
from acrank.targets.stores.stored_volumes import VOLUME_SUFFIXES, is_volume
from acrank.targets.stores.volumes import MaskedVolumeStore
from acrank.targets.target import Labels, StoreInfo, Target, build_target, first_few
from acrank.targets.target_options import TargetOptions

DECATHLON = "decathlon"
NNUNET = "nnunet"
USES = frozenset({"task", "intensity", "slices", "spacing", "geometry", "ignore_value", "pages", "allow_outside"})
_MOST_CHANNELS = 256

#: So many masks are read when a target is opened, so that values without a class are found before the long work.
_CHECKED_MASKS = 4
_NO_VALUES = ListedValues(())


class CaseStore(Protocol):
    """A store of volumes or images with masks in files."""

    @property
    def root(self) -> Path: ...
    @property
    def masks(self) -> tuple[str, ...]: ...
    @property
    def values(self) -> ListedValues: ...
    def raw_values(self, index: int) -> np.ndarray:
        """The values of one mask as stored."""
        ...


def layout_of(path: Path) -> str | None:
    """The layout that a folder's dataset.json describes; None without such a file, or where it describes none."""
    if not (path / NAME).is_file():
        return None
    about = read_description(path)
    if not describes_volumes(about):
        return None
    return NNUNET if is_nnunet(about) else DECATHLON


def open_decathlon(path: Path, options: TargetOptions) -> Target:
    """Open a folder whose dataset.json lists pairs under `training`; `labels` and `modality` may lack, as MONAI's do.

    Raises:
        TargetError: the description is incomplete, or names files that do not exist.
    """
    about = read_description(path)
    names = channel_names(path / NAME, about)
    cases = listed_cases(path, about, None if names is None else len(names))
    return _open_cases(path, options, layout=DECATHLON, cases=cases, about=about)


def open_nnunet(path: Path, options: TargetOptions) -> Target:
    """Open an nnU-Net raw folder: imagesTr/CASE_0000.nii.gz for each channel, labelsTr/CASE.nii.gz, dataset.json.

    Files may be volumes or, for two-dimensional sets, images, as `file_ending` says.

    Raises:
        TargetError: the description is incomplete, or files are missing.
    """
    about = read_description(path)
    names = channel_names(path / NAME, about)
    if names is None:
        raise TargetError(f"{path / NAME} has no 'channel_names'", hint='write {"0": "CT"}, one number a channel')
    if len(names) > _MOST_CHANNELS:
        raise TargetError(f"{path / NAME} names {len(names)} channels", hint="is it damaged?")
    ending = "." + str(about.get("file_ending", ".nii.gz")).removeprefix(".")
    if ending.lower() not in (*VOLUME_SUFFIXES, *IMAGE_SUFFIXES):
        refuse_dicom(path, (f"imagesTr/{file}" for file in entries(DataFolder(path), "imagesTr")[1]))
        raise TargetError(
            f"{path} holds {ending} files", hint=f"acrank reads {', '.join(VOLUME_SUFFIXES)}, PNG, TIFF and BMP"
        )
    mapped = isinstance(about.get("dataset"), dict)
    cases = mapped_cases(path, about) if mapped else folder_cases(path, about, ending=ending, channels=len(names))
    return _open_cases(path, options, layout=NNUNET, cases=cases, about=about)


def _open_cases(path: Path, options: TargetOptions, *, layout: str, cases: Cases, about: dict[str, Any]) -> Target:
    if options.task not in (None, "segmentation"):
        raise TargetError(f"{path} holds volumes with masks", hint="leave the task out: it is segmentation")
    if not cases.named:
        hint = "; ".join(["dataset.json and the folders beside it must name some", *cases.notes])
        raise TargetError(f"no volumes in {path}", hint=hint)
    labels = label_names(path / NAME, about)
    if labels is not None and (ignored := parse_ignored(options.ignore_value)) is not None:
        labels = without_value(labels, ignored)
    notes: list[str] = []
    data = DataFolder(path, allow_outside=options.allow_outside)
    named = as_stored(path, cases.named)
    ids, left_out = _distinct(data, named, notes, bad_images=options.bad_images)
    ordered = [named[one] for one in ids]
    notes += folders_beside(path, ordered)
    names = channel_names(path / NAME, about)
    opened = _images if all(_is_image(name) for case in ordered for name in case.images) else _volumes
    info = opened(path, ordered, names, options=options, values=labels.values if labels else _NO_VALUES)
    store = cast(MaskedVolumeStore | ImageCaseStore, info.store)
    if labels is None:
        labels = _inferred(store, options.ignore_value)
        store = dataclasses.replace(store, values=labels.values)
        info = dataclasses.replace(info, store=store)
    _check_masks(store)
    read_options = "; ".join(part for part in (info.read_options, str(labels.values)) if part)
    info = dataclasses.replace(info, read_options=read_options)
    encoded = Labels.of_masks(len(ids), labels.classes)
    notes = [*labels.notes, *cases.notes, *notes, *data.notes()]
    target = build_target(path, layout=layout, ids=ids, labels=encoded, info=info, notes=notes)
    return dataclasses.replace(target, left_out=left_out)


def _volumes(
    path: Path, cases: list[Case], names: tuple[str, ...] | None, *, options: TargetOptions, values: ListedValues
) -> StoreInfo:
    if options.pages is not None:
        raise UsageError(f"--pages is for images, and {path} holds volumes", hint="leave it out")
    files = cases[0].images
    if names is None:  # MONAI's lists name none
        count = sum(open_volume(path / name).channels for name in files)
        names = tuple(f"channel {place}" for place in range(count)) if count > 1 else ("volumes",)
    store = MaskedVolumeStore(
        root=path,
        channels=tuple(case.images for case in cases),
        rules=tuple(parse_intensity(options.intensity, name) for name in names),
        spacing=options.spacing,
        geometry=options.geometry,
        masks=tuple(case.mask for case in cases),
        values=values,
    )
    return store.info(names)


def _images(
    path: Path, cases: list[Case], names: tuple[str, ...] | None, *, options: TargetOptions, values: ListedValues
) -> StoreInfo:
    if options.geometry is not None:
        raise UsageError(f"--geometry is for volumes, and {path} holds images", hint="leave it out")
    if options.pages == "volume":
        raise UsageError(f"{path}: pages with masks are not read as volumes", hint="store NIfTI, NRRD or MetaImage")
    flat, notes = open_images(path, tuple(name for case in cases for name in case.images), options)
    store = ImageCaseStore(
        root=path,
        images=tuple(case.images for case in cases),
        masks=tuple(case.mask for case in cases),
        values=values,
        value_range=flat.values,
        first_page=flat.first_page,
        channels=None if names is None else len(names),
    )
    return StoreInfo(store=store, read_options=flat.read_options, notes=tuple(notes))


def _inferred(store: CaseStore, ignore_value: str | None) -> LabelNames:
    """The classes that the masks hold, for a description without labels."""
    found = mask_values_of(_whole_values(store), len(store.masks), str(store.root), ignore_value=ignore_value)
    if isinstance(store, ImageCaseStore):
        refuse_palettes(store.root, store.masks)
    if found.is_lossy:
        raise TargetError(f"{store.root}: {found.note}", hint="resample masks by the nearest value")
    values = ListedValues(tuple((value,) for value in found.values), () if found.ignored is None else (found.ignored,))
    return LabelNames(found.classes, values, (f"dataset.json has no labels; {found.note}",))


def _whole_values(store: CaseStore) -> Callable[[int], np.ndarray]:
    def read(place: int) -> np.ndarray:
        raw = store.raw_values(place)
        whole: np.ndarray = np.rint(raw)
        if np.abs(raw - whole).max(initial=0) > ROUNDING:
            where = store.root / store.masks[place]
            raise TargetError(f"{where} holds fractions", hint="masks are class values: resample by the nearest")
        return whole.astype(np.int64)

    return read


def _check_masks(store: CaseStore) -> None:
    """Hold the values of some masks, spread over the target, against the classes; the others are when they are read.

    Raises:
        TargetError: a mask holds values that dataset.json does not list.
    """
    count = len(store.masks)
    for place in np.unique(np.linspace(0, count - 1, min(_CHECKED_MASKS, count)).round().astype(int)).tolist():
        try:
            raw = store.raw_values(place)
        except TargetError:
            continue  # damaged: said when it is read
        store.values.to_classes(raw, str(store.root / store.masks[place]))


def _distinct(
    data: DataFolder, cases: dict[str, Case], notes: list[str], *, bad_images: str | None
) -> tuple[tuple[str, ...], tuple[tuple[str, str], ...]]:
    """The names of the cases, sorted, each image once; and those left out, for files of theirs are missing.

    Raises:
        TargetError: files are not there and may not be left out, or lead outside.
    """
    found = {name: data.find(name) for case in cases.values() for name in (*case.images, case.mask)}
    refuse_dicom(data.root, (name for name in found if not is_volume(name) and not _is_image(name)))
    lacking = sorted(name for name, identity in found.items() if identity is None)
    absent = [one for one in sorted(cases) if not {*cases[one].images, cases[one].mask}.isdisjoint(lacking)]
    refuse_missing(
        absent,
        len(cases),
        rule=bad_images,
        message=f"{data.root} lacks {len(lacking)} files: {first_few(lacking, 3)}",
        hint="check dataset.json",
    )
    pairs = [(one, cases[one].mask, found[cases[one].images[0]]) for one in sorted({*cases} - {*absent})]
    ids = tuple(name for name, _ in once([(name, mask, same) for name, mask, same in pairs if same], notes))
    return ids, tuple((name, IS_MISSING) for name in absent)


def _is_image(name: str) -> bool:
    return not is_volume(name) and Path(name).suffix.lower() in IMAGE_SUFFIXES
