"""What the DICOM files of a data set are: images, frames, or the slices of volumes; and which patient they are of."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import numpy as np

from acrank.errors import MissingExtraError, TargetError, UsageError
from acrank.targets.stores.dicom_file import DicomHeader, read_header
from acrank.targets.stores.dicom_images import DicomImageStore
from acrank.targets.stores.dicom_series import order_slices
from acrank.targets.stores.intensity import parse_intensity
from acrank.targets.stores.volumes import VolumeStore
from acrank.targets.target import StoreInfo, first_few
from acrank.targets.target_options import REPLACE_MANY, REPLACE_ONE, TargetOptions, too_many_bad

_Listed = tuple[str, Hashable]  # path of a file below the folder, its label
#: Images whose directions differ by more are no slices of one volume.
_TURNED = 0.1


@dataclass(frozen=True)
class DicomItems:
    """The images or volumes in DICOM files.

    Attributes:
        labelled: (id, label) of each, sorted by id.
        info: their store, in that order.
    """

    labelled: tuple[_Listed, ...]
    info: StoreInfo


@dataclass(frozen=True, kw_only=True)
class _Item:
    """An image or volume: the files that hold it in order, the frame (None: all of them) and what it is labelled."""

    name: str
    label: Hashable
    files: tuple[str, ...]
    frame: int | None = None


def gather_dicom(
    root: Path, listed: Sequence[_Listed], options: TargetOptions, *, by_folder: bool, grouped: bool = False
) -> DicomItems:
    """Images or volumes of labelled DICOM files.

    Where all folders lie below those of their classes and hold the slices of series, with their positions, each series
    is a volume; other files give an image each. Where every file has several grey frames, each is a volume; else each
    frame is an image. `options.dicom` overrules: "images" or "series". What holds no image (DICOMDIR, reports, plans,
    segmentations) is left out, and counted.

    Groups of the store are patients, numbered in the order of the ids: no name, number or date leaves this function.
    It has none where the user names groups, or the folders do.

    Args:
        root: the folder that the paths are relative to.
        listed: (path, label) of the files, sorted.
        options: `dicom`, `intensity`, `pages` and `spacing`.
        by_folder: whether a folder below that of its class may be a volume without the user's word.
        grouped: whether folders tell the groups.

    Raises:
        TargetError: no images, many files that cannot be read, slices that do not fit together.
        UsageError: an option that is for image files.
        MissingExtraError: pydicom is not installed.
    """
    if options.pages is not None:
        raise UsageError("--pages is for image files", hint="for DICOM say --dicom images or --dicom series")
    notes: list[str] = []
    headers = _read_headers(root, [name for name, _ in listed], notes, rule=options.bad_images or "skip")
    labelled = [(name, label) for name, label in listed if name in headers]
    if not labelled:
        raise TargetError(f"no images in {root}: {'; '.join(notes)}", hint="give DICOM files that hold images")
    kind = options.dicom or _kind(labelled, headers, notes, by_folder=by_folder)
    make = _volumes if kind == "series" else _images
    items = sorted(make(labelled, headers, notes), key=lambda item: item.name)
    if kind == "series":
        info = _volume_info(root, items, headers, options=options)
    else:
        info = _image_info(root, items, headers, options=options)
    grouped = grouped or bool(options.group_pattern or options.group_column or options.group_table)
    groups = None if grouped else _patients([headers[item.files[0]].patient for item in items], notes)
    store_info = StoreInfo(
        store=info.store,
        axes=info.axes,
        read_options=info.read_options,
        notes=(*notes, *info.notes),
        groups=groups,
    )
    return DicomItems(tuple((item.name, item.label) for item in items), store_info)


def _read_headers(root: Path, names: Sequence[str], notes: list[str], *, rule: str) -> dict[str, DicomHeader]:
    """Path -> header of the files that hold images; damaged ones are left out as `rule` has it."""
    found, others, damaged = {}, [], []
    for name in names:
        try:
            header = read_header(root / name)
        except MissingExtraError:
            raise
        except TargetError as error:
            if rule == "fail":
                raise TargetError(error.message, hint=REPLACE_ONE) from error
            damaged.append((name, error))
            continue
        if header is None:
            others.append(name)
        else:
            found[name] = header
    if len(damaged) == len(names):
        raise damaged[0][1]
    if too_many_bad(len(damaged), len(names), rule):
        first = damaged[0][1]
        raise TargetError(
            f"{len(damaged)} of {len(names)} DICOM files cannot be read; the first: {first.message}", hint=REPLACE_MANY
        ) from first
    if others:
        notes.append(
            f"{len(others)} DICOM files that are no image (segmentations, reports, plans, DICOMDIR) are left out"
        )
    if damaged:
        shown = first_few([name for name, _ in damaged], 3)
        notes.append(f"{len(damaged)} DICOM files that cannot be read are left out: {shown}")
    return found


def _kind(labelled: Sequence[_Listed], headers: dict[str, DicomHeader], notes: list[str], *, by_folder: bool) -> str:
    """Images or series, from where the files lie and what they say."""
    kept = [(name, label) for name, label in labelled if not headers[name].is_localizer]
    if all(headers[name].frames > 1 and headers[name].samples == 1 for name, _ in kept):
        return "series" if kept else "images"
    if any(headers[name].frames > 1 for name, _ in kept):
        return "images"
    series = _by_series(kept, headers)
    sliced = sum(len(files) for files in series.values() if len(files) > 1)
    in_cases = by_folder and all(PurePosixPath(name).parent.name != label for name, label in kept)
    in_space = all(headers[name].positions and len(headers[name].directions) == 6 for name, _ in kept) and all(
        _in_one_direction([headers[name] for name, _ in files]) for files in series.values()
    )
    if sliced == len(kept) and in_cases and in_space and kept:
        notes.append(f"DICOM: {sliced} slices are {len(series)} volumes (--dicom images reads them one by one)")
        return "series"
    several = sum(len(files) > 1 and all(headers[name].positions for name, _ in files) for files in series.values())
    if several:
        notes.append(f"DICOM: images one by one, though {several} series have several (--dicom series: volumes)")
    return "images"


def _in_one_direction(headers: Sequence[DicomHeader]) -> bool:
    """Whether images lie in one direction, as slices do; those of a three-plane scout do not."""
    first = headers[0].directions
    return all(
        len(header.directions) == len(first) and np.allclose(header.directions, first, atol=_TURNED)
        for header in headers
    )


def _by_series(labelled: Sequence[_Listed], headers: dict[str, DicomHeader]) -> dict[tuple[str, str], list[_Listed]]:
    """(folder, digest of the series) -> its files."""
    found: dict[tuple[str, str], list[_Listed]] = defaultdict(list)
    for name, label in labelled:
        found[PurePosixPath(name).parent.as_posix(), headers[name].series].append((name, label))
    return found


def _images(labelled: Sequence[_Listed], headers: dict[str, DicomHeader], notes: list[str]) -> list[_Item]:
    items = []
    for name, label in labelled:
        count = headers[name].frames
        width = len(str(count - 1))
        names = [name] if count == 1 else [f"{name}#{frame:0{width}d}" for frame in range(count)]
        items += [_Item(name=one, label=label, files=(name,), frame=frame) for frame, one in enumerate(names)]
    several = sum(headers[name].frames > 1 for name, _ in labelled)
    if several:
        frames = sum(headers[name].frames for name, _ in labelled if headers[name].frames > 1)
        notes.append(f"{several} DICOM files of several frames give {frames} images, one a frame")
    return items


def _volumes(labelled: Sequence[_Listed], headers: dict[str, DicomHeader], notes: list[str]) -> list[_Item]:
    """A volume of every series in every folder, and of every file with several frames."""
    scouts = {name for name, _ in labelled if headers[name].is_localizer}
    if scouts:
        notes.append(f"{len(scouts)} localizer images are left out")
    rest = [(name, label) for name, label in labelled if name not in scouts]
    framed = [(name, label) for name, label in rest if headers[name].frames > 1]
    coloured = [name for name, _ in framed if headers[name].samples > 1]
    if coloured:
        raise TargetError(f"{coloured[0]} has frames in colour, no slices", hint="use --dicom images")
    items = [_Item(name=name, label=label, files=(name,)) for name, label in framed]
    if framed:
        notes.append(f"{len(framed)} DICOM files of several frames are volumes, their frames the slices")
    series = _by_series([(name, label) for name, label in rest if headers[name].frames == 1], headers)
    items += _sliced(series, headers, notes)
    if not items:
        raise TargetError(
            f"no DICOM series of several slices: {'; '.join(notes)}", hint="read images one by one: --dicom images"
        )
    return items


def _sliced(
    series: dict[tuple[str, str], list[_Listed]], headers: dict[str, DicomHeader], notes: list[str]
) -> list[_Item]:
    turned = [key for key, files in series.items() if not _in_one_direction([headers[name] for name, _ in files])]
    if turned:
        shown = first_few(sorted({folder for folder, _ in turned}), 3)
        notes.append(f"{len(turned)} series of images in several directions (scouts) are left out: {shown}")
    series = {key: files for key, files in series.items() if key not in turned}
    single = [files[0][0] for files in series.values() if len(files) == 1]
    if single:
        notes.append(f"{len(single)} series of a single image are left out: {first_few(sorted(single), 3)}")
    folders: dict[str, list[list[_Listed]]] = defaultdict(list)
    for (folder, _), files in series.items():
        if len(files) > 1:
            folders[folder].append(sorted(files))
    split = sorted(folder for folder, parts in folders.items() if len(parts) > 1)
    if split:
        notes.append(f"{len(split)} folders hold several series, each read as its own volume: {first_few(split, 3)}")
    items, uneven = [], []
    for folder, parts in folders.items():
        for number, files in enumerate(sorted(parts), start=1):
            name = folder if len(parts) == 1 else f"{folder}#{number}"
            if len({label for _, label in files}) > 1:
                raise TargetError(f"{name}: slices of one series have several labels", hint="use --dicom images")
            ordered, is_uneven = order_slices(name, {file: headers[file] for file, _ in files})
            uneven += [name] if is_uneven else []
            items.append(_Item(name=name, label=files[0][1], files=tuple(ordered)))
    if uneven:
        notes.append(f"{len(uneven)} series have gaps of unequal width, as if slices lacked: {first_few(uneven, 3)}")
    return items


def _volume_info(
    root: Path, items: Sequence[_Item], headers: dict[str, DicomHeader], *, options: TargetOptions
) -> StoreInfo:
    modalities = {headers[item.files[0]].modality for item in items}
    store = VolumeStore(
        root=root,
        channels=tuple((item.name,) for item in items),
        rules=(parse_intensity(options.intensity, "CT" if modalities == {"CT"} else "unknown"),),
        spacing=options.spacing,
        series={item.name: item.files for item in items},
    )
    return store.info(["volumes"])


def _image_info(
    root: Path, items: Sequence[_Item], headers: dict[str, DicomHeader], *, options: TargetOptions
) -> StoreInfo:
    rule = None if options.intensity is None else parse_intensity(options.intensity, "unknown")
    frames = tuple((item.files[0], item.frame or 0) for item in items)
    store = DicomImageStore(root=root, frames=frames, rule=rule)
    grey = [headers[name] for name in dict.fromkeys(name for name, _ in frames) if headers[name].samples == 1]
    told = sum(header.has_window for header in grey)
    shown = f"the file's window ({told} files), else percentile ({len(grey) - told})"
    notes = [f"intensities of DICOM images: {rule or shown}"] if grey else []
    inverted = sum(header.is_inverted for header in grey)
    notes += [f"{inverted} images of MONOCHROME1 are inverted: low values are white"] if inverted else []
    return StoreInfo(store=store, read_options=f"dicom {rule or 'window'}", notes=tuple(notes))


def _patients(digests: Sequence[str], notes: list[str]) -> tuple[str, ...] | None:
    """A number for every patient; None where there are none to tell apart, or every image has its own."""
    known = dict.fromkeys(digest for digest in digests if digest)
    lacking = sum(not digest for digest in digests)
    if not 1 < len(known) < len(digests):
        if len(known) == 1 and len(digests) > 1:
            notes.append("all DICOM files have one patient id: it tells no groups")
        return None
    if lacking:
        notes.append(f"{lacking} DICOM images without a patient id are groups of their own")
    notes.append(f"{len(known)} patients are the groups of {len(digests)} images or volumes")
    numbers = {digest: f"patient {number}" for number, digest in enumerate(known, start=1)}
    return tuple(numbers.get(digest, f"image {place}") for place, digest in enumerate(digests))
