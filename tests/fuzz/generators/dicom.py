"""DICOM: files that are cut, lie or are compressed otherwise than they say, series that do not fit, and SEG objects."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from helpers.dicom_files import SECRETS, write_dicom, write_series

from fuzz import bombs
from fuzz.case import Case
from fuzz.odd import HOSTILE, damaged, instead_of_file
from fuzz.workspace import Workspace, move

#: UIDs of transfer syntaxes: raw, deflated, big endian, JPEG, JPEG-LS, JPEG 2000, RLE, MPEG, none, and no UIDs at all.
SYNTAXES = (
    *("1.2.840.10008.1.2", "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.2", "1.2.840.10008.1.2.4.50"),
    *("1.2.840.10008.1.2.4.57", "1.2.840.10008.1.2.4.80", "1.2.840.10008.1.2.4.90", "1.2.840.10008.1.2.5"),
    *("1.2.840.10008.1.2.4.100", "1.2.840.10008.1.2.4.203", "1.2.3", "", "x\x1b[31m", "9" * 64),
)
_DEFLATED, _RLE = "1.2.840.10008.1.2.1.99", "1.2.840.10008.1.2.5"
_SEQUENCE = b"\x40\x00\x30\xa7SQ\0\0\xff\xff\xff\xff"  # (0040,A730) of undefined length
_ITEM, _ITEM_END = b"\xfe\xff\x00\xe0\xff\xff\xff\xff", b"\xfe\xff\x0d\xe0\0\0\0\0"
_SEQUENCE_END = b"\xfe\xff\xdd\xe0\0\0\0\0"
_PIXELS = b"\xe0\x7f\x10\x00"


def grey(label: int, index: int, dtype: str = "uint16", size: int = 24) -> np.ndarray:
    """One image, [size, size]; its mean tells the class."""
    noise = np.random.default_rng([5, label, index]).integers(0, 60, (size, size)) + 60 * label
    return noise.astype(dtype)


def write_classes(w: Workspace, *, each: int = 6, suffix: str = ".dcm", **fields: Any) -> list[Path]:
    """Class folders of sound files, each of its own patient."""
    found = []
    for label in range(2):
        for index in range(each):
            path = w.folder / "data" / f"c{label}" / f"{index}{suffix}"
            found.append(write_dicom(path, grey(label, index), patient=f"{SECRETS[2]}-{label}-{index}", **fields))
    return found


def write_volumes(w: Workspace, *, each: int = 4, slices: int = 6) -> list[Path]:
    """Folders of series below those of their classes."""
    found = []
    for label in range(2):
        for case in range(each):
            volume = np.stack([grey(label, 10 * case + z, "int16", 16) for z in range(slices)], axis=-1)
            folder = w.folder / "data" / f"c{label}" / f"case{label}{case}"
            found.append(write_series(folder, volume, series=f"{label}{case}", patient=f"P{label}{case}"))
    return found


def _score(w: Workspace, *more: object, **known: Any) -> Case:
    return w.score_one(w.folder / "data", *more, secret=w.random.choice(SECRETS[:2]), **known)


def _some(w: Workspace, paths: list[Path]) -> list[Path]:
    return paths if w.random.random() < 0.4 else [w.random.choice(paths)]


def _written(path: Path, **fields: Any) -> None:
    """Write fields into a file whatever they hold: text for a number is written as text."""
    import pydicom

    dataset = pydicom.dcmread(path)
    dataset.SpecificCharacterSet = "ISO_IR 192"
    with pydicom.config.disable_value_validation():
        for name, value in fields.items():
            tag = pydicom.datadict.tag_for_keyword(name)
            kind = pydicom.datadict.dictionary_VR(tag).split(" or ")[0]
            is_text = isinstance(value, str) and kind in ("US", "IS", "DS", "OB", "OW", "SQ", "UI")
            is_latin = kind == "CS" or "SpecificCharacterSet" in fields  # pydicom writes no other characters there
            raw = value.encode().decode("latin-1") if isinstance(value, str) and is_latin else value
            dataset[name] = pydicom.DataElement(tag, "LT" if is_text else kind, raw)
        dataset.save_as(path)


@move
def sound(w: Workspace) -> Case:
    """Grey images of every depth, colour, frames, or series."""
    kind = w.random.choice(("grey", "colour", "no suffix", "signed", "series", "inverted"))
    if kind == "series":
        write_volumes(w)
        return _score(w, "--slices", 3, sound=True)
    paths = write_classes(w, suffix="" if kind == "no suffix" else ".dcm")
    for number, path in enumerate(paths):
        label, index = divmod(number, 6)
        if kind == "colour":
            write_dicom(path, np.stack([grey(label, index, "uint8")] * 3, axis=-1))
        elif kind == "signed":
            write_dicom(path, grey(label, index, "int16") - 100, RescaleSlope=2, RescaleIntercept=-5)
        elif kind == "inverted":
            write_dicom(path, grey(label, index), PhotometricInterpretation="MONOCHROME1", WindowCenter=60)
    return _score(w, sound=True)


@move
def cut_off(w: Workspace) -> Case:
    """The end of a file is missing, from its preamble on."""
    for path in _some(w, write_classes(w)):
        raw = path.read_bytes()
        path.write_bytes(raw[: w.random.choice((0, 100, 131, 132, 140, w.random.randrange(len(raw)), len(raw) - 1))])
    return _score(w)


@move
def damaged_files(w: Workspace) -> Case:
    """Bytes of the header, of the pixels, or of the whole file are otherwise."""
    paths = write_classes(w) if w.random.random() < 0.6 else _in(write_volumes(w))
    for path in _some(w, paths):
        raw = path.read_bytes()
        at = w.random.choice((132, 400, len(raw)))
        path.write_bytes(damaged(raw[:at], w.random) + raw[at:])
    return _score(w, *w.random.choice(((), ("--slices", 3))))


@move
def other_syntax(w: Workspace) -> Case:
    """Raw pixels under the name of another transfer syntax."""
    import pydicom

    syntax = w.random.choice(SYNTAXES)
    for path in _some(w, write_classes(w)):
        dataset = pydicom.dcmread(path)
        raw = path.read_bytes()
        own = dataset.file_meta.TransferSyntaxUID.encode()
        other = syntax.encode()[: len(own) + 1].ljust(len(own) + len(own) % 2, b"\0")
        path.write_bytes(raw.replace(own.ljust(len(other), b"\0"), other, 1))
    return _score(w)


@move
def compressed(w: Workspace) -> Case:
    """Fragments that are no such compression, or that declare enormous images."""
    from pydicom.encaps import encapsulate

    jpeg = b"\xff\xd8\xff\xc0\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00\xff\xd9"
    j2k = b"\xff\x4f\xff\x51\x00\x29\x00\x00" + struct.pack(">LLLLLLLL", *[2**31 - 1] * 2, 0, 0, *[2**31 - 1] * 2, 0, 0)
    rle = struct.pack("<16L", 3, 64, 2**31, 2**32 - 1, *[0] * 12) + b"\x81\0" * 40
    bodies = (jpeg, j2k + struct.pack(">HBBB", 1, 7, 1, 1), rle, w.random.randbytes(999), b"\0\0", b"\xff\xd8\xff\xd9")
    uids = [uid for uid in SYNTAXES if ".4." in uid] + [_RLE]
    for path in _some(w, write_classes(w)):
        import pydicom

        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = w.random.choice(uids)
        dataset.PixelData = encapsulate([w.random.choice(bodies)] * w.random.choice((1, 3)))
        dataset["PixelData"].VR = "OB"
        dataset["PixelData"].is_undefined_length = True
        dataset.save_as(path)
    return _score(w)


#: Fields, and what they can hold that no image has.
_ODD_FIELDS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("Rows", "Columns"), (0, 1, 23, 25, 65_535, "x")),
    "SamplesPerPixel": (0, 2, 3, 4, 65_535, "x"),
    "BitsAllocated": (0, 1, 7, 12, 24, 32, 64, 65_535, "x"),
    **dict.fromkeys(("BitsStored", "HighBit"), (0, 1, 15, 31, 65_535)),
    **dict.fromkeys(("PixelRepresentation", "PlanarConfiguration"), (1, 2, 65_535)),
    "PhotometricInterpretation": ("", "RGB", "PALETTE COLOR", "YBR_FULL_422", "YBR_RCT", "CMYK", *HOSTILE[:3]),
    "NumberOfFrames": ("0", "-1", "2", "99999999999", "1e9", "nan", "x", ""),
    **dict.fromkeys(("RescaleSlope", "RescaleIntercept"), ("0", "nan", "inf", "-1e308", "1e400", "x", "")),
    **dict.fromkeys(("WindowCenter", "WindowWidth"), ("0", "nan", "-1", "1e308", "x", "1\\2\\3", "")),
    "VOILUTFunction": ("SIGMOID", "LINEAR_EXACT", "x"),
    "PixelPaddingValue": (0, 65_535),
    "PixelSpacing": ("0\\0", "nan\\1", "1", "-1\\-1", "1e308\\1e308", "x\\y"),
    **dict.fromkeys(("ImagePositionPatient", "ImageOrientationPatient"), ("nan\\nan\\nan", "1\\2", "0\\0\\0\\0\\0\\0")),
    **dict.fromkeys(("Modality", "SpecificCharacterSet", "ImageType", "PatientID", "SeriesInstanceUID"), HOSTILE[:6]),
    "PatientName": (*HOSTILE[:6], "a" * 70_000),
    "InstanceNumber": ("x", "-1", "99999999999999999999", ""),
}


@move
def odd_fields(w: Workspace) -> Case:
    """One to three fields of files hold what no image has."""
    is_series = w.random.random() < 0.3
    paths = _in(write_volumes(w)) if is_series else write_classes(w)
    names = w.random.sample(sorted(_ODD_FIELDS), w.random.choice((1, 1, 2, 3)))
    chosen = {name: w.random.choice(_ODD_FIELDS[name]) for name in names}
    for path in _some(w, paths):
        _written(path, **chosen)
    return _score(w, *(("--slices", 3) if is_series else ()))


@move
def lookup_tables(w: Workspace) -> Case:
    """Tables of colours or greys that are missing, short, or of lengths that they do not have."""
    from pydicom.dataset import Dataset

    item = Dataset()
    descriptor = w.random.choice(([256, 0, 8], [0, 0, 16], [65_535, 0, 0], [256], [2, 60_000, 64]))
    item.add_new("LUTDescriptor", "US", descriptor)
    item.add_new("LUTData", "US", w.random.choice(([1, 2], [0] * 256, [])))
    tables = {f"{name}PaletteColorLookupTableDescriptor": [256, 0, 16] for name in ("Red", "Green", "Blue")}
    kinds: tuple[dict[str, Any], ...] = (
        {"VOILUTSequence": [item]},
        {"ModalityLUTSequence": [item]},
        {"VOILUTSequence": []},
        {"PhotometricInterpretation": "PALETTE COLOR"},
        {"PhotometricInterpretation": "PALETTE COLOR", **tables},
        {"PhotometricInterpretation": "PALETTE COLOR", **tables, "RedPaletteColorLookupTableData": b"\0" * 4},
    )
    for path in _some(w, write_classes(w)):
        _written(path, **w.random.choice(kinds))
    return _score(w)


@move
def huge_declarations(w: Workspace) -> Case:
    """Rows, frames and lengths that are not there."""
    kinds: tuple[dict[str, Any], ...] = (
        {"Rows": 65_535, "Columns": 65_535},
        {"NumberOfFrames": "2147483647"},
        {"Rows": 65_535, "Columns": 65_535, "NumberOfFrames": "100000", "BitsAllocated": 32},
    )
    for path in _some(w, write_classes(w)):
        if w.random.random() < 0.7:
            _written(path, **w.random.choice(kinds))
        else:
            raw = path.read_bytes()
            at = raw.rindex(_PIXELS) + 8
            path.write_bytes(raw[:at] + struct.pack("<L", w.random.choice((2**32 - 1, 2**32 - 2, 0))) + raw[at + 4 :])
    return _score(w)


@move
def deep_sequences(w: Workspace) -> Case:
    """Sequences in sequences, a hundred thousand fields, or items that never end."""
    depth = w.random.choice((50, 900, 5000, 50_000))
    nested = (_SEQUENCE + _ITEM) * depth
    wide = b"".join(struct.pack("<HH2sHL", 0x0041, 0x1001 + i % 60_000, b"UN", 0, 0) for i in range(60_000))
    bodies = (nested + (_ITEM_END + _SEQUENCE_END) * depth, nested, _SEQUENCE + (_ITEM + _ITEM_END) * depth, wide)
    body = w.random.choice(bodies)
    for path in _some(w, write_classes(w)):
        raw = path.read_bytes()
        at = raw.rindex(_PIXELS)
        path.write_bytes(raw[:at] + body + raw[at:])
    return _score(w)


@move
def deflated_bomb(w: Workspace) -> Case:
    """A deflated file of a few MB that unfolds to GiB."""
    path = w.random.choice(write_classes(w))
    raw = path.read_bytes()
    uid = _DEFLATED.encode()
    own = b"1.2.840.10008.1.2.1\0"
    start = 132 + 12 + struct.unpack_from("<L", raw, 132 + 8)[0]
    meta = raw[:start].replace(own, uid)
    at = 132 + 8
    meta = meta[:at] + struct.pack("<L", len(meta) - at - 4) + meta[at + 4 :]
    meta = meta.replace(b"UI\x14\0" + uid, b"UI\x16\0" + uid)
    body = raw[start : raw.rindex(_PIXELS)] + _PIXELS + b"OW\0\0" + struct.pack("<L", 3 * 2**30)
    path.write_bytes(meta + bombs.deflated(body, w.random.choice((1, 3)) * 2**30))
    return _score(w)


@move
def mixed_series(w: Workspace) -> Case:
    """Slices of other sizes, directions, places or labels, or of several series at once."""
    folders = write_volumes(w)
    kinds: tuple[Callable[[Path], object], ...] = (
        lambda path: _written(path, ImagePositionPatient=[0, 0, 3]),
        lambda path: _written(path, ImagePositionPatient=[0, 0, w.random.choice((1e30, float("nan"), -1e-9))]),
        lambda path: _written(path, ImageOrientationPatient=w.random.choice(([0, 1, 0, 1, 0, 0], [0] * 6, [1] * 6))),
        lambda path: _written(path, PixelSpacing=w.random.choice(([0, 0], [9, 9], [1e-30, 1e30]))),
        lambda path: write_dicom(path, grey(0, 0, "int16", 9), series="00"),
        lambda path: write_dicom(path, np.zeros((4, 16, 16), np.int16), series="00"),
        lambda path: write_dicom(path, np.zeros((16, 16, 3), np.uint8), series="00"),
        lambda path: path.rename(folders[-1] / "moved"),
        lambda path: path.unlink(),
        lambda path: path.write_bytes(b"x"),
    )
    change = w.random.choice(kinds)
    for folder in folders[: w.random.choice((1, 8))]:
        for path in sorted(folder.iterdir())[: w.random.choice((1, 5))]:
            change(path)
    return _score(w, *w.random.choice((("--slices", 3), ("--dicom", "series", "--slices", 1), ("--dicom", "images"))))


@move
def frames(w: Workspace) -> Case:
    """Files of several frames whose groups of fields are missing, too few, or odd."""
    from pydicom.dataset import Dataset

    def group(position: list[float]) -> Dataset:
        place, held = Dataset(), Dataset()
        place.ImagePositionPatient = position
        held.PlanePositionSequence = w.random.choice(([place], [], [place] * 3))
        return held

    count = w.random.choice((0, 1, 3, 400))
    for number, path in enumerate(write_classes(w)):
        values = np.stack([grey(number // 6, 20 * number + z, "int16", 16) for z in range(4)])
        position = w.random.choice(([0.0, 0.0, 3.0], [float("nan")] * 3, [1e30] * 3))
        write_dicom(path, values, PerFrameFunctionalGroupsSequence=[group(position)] * count)
    return _score(w, *w.random.choice(((), ("--slices", 3), ("--dicom", "images"), ("--dicom", "series"))))


@move
def segmentations(w: Workspace) -> Case:
    """SEG objects, reports and plans: alone they are no data set, among images they are left out."""
    alone = w.random.random() < 0.5
    paths = write_classes(w)
    for path in paths if alone else paths[:2]:
        _written(path, Modality=w.random.choice(("SEG", "SR", "RTPLAN", "KO")), SegmentationType="BINARY")
    return _score(w, nonsense=alone)


@move
def masks(w: Workspace) -> Case:
    """SEG objects where masks are: they are refused by name."""
    for part in ("images", "masks"):
        for index in range(6):
            write_dicom(w.folder / "data" / part / f"{index}.dcm", grey(0, index), Modality="SEG")
    return w.score_any(w.folder / "data", nonsense=True)


@move
def no_files(w: Workspace) -> Case:
    """FIFOs, devices and links in the place of files."""
    paths = write_classes(w) if w.random.random() < 0.6 else _in(write_volumes(w))
    for path in _some(w, paths):
        instead_of_file(path, w.random)
    return _score(w)


@move
def odd_options(w: Workspace) -> Case:
    """Options that are not for these files."""
    pairs = (("--dicom", "series"), ("--dicom", "x"), ("--pages", "first"), ("--intensity", "window:9,1"))
    more = (("--slices", "2"), ("--spacing", "1e-9,1,1"), ("--geometry", "header"), ("--intensity", "zscore"))
    if w.random.random() < 0.5:
        write_volumes(w)
    else:
        write_classes(w)
    return _score(w, *w.random.choice((*pairs, *more)))


@move
def beside_others(w: Workspace) -> Case:
    """DICOM beside PNG, text under a DICOM suffix, and a DICOMDIR."""
    paths = write_classes(w)
    body = w.random.choice((b"\x89PNG\r\n\x1a\n", b"x", b"\0" * 128 + b"DICM", b"\0" * 128 + b"DICM" + b"\xff" * 99))
    for name in ("DICOMDIR", "c0/x.png", "c0/x.dcm", "c1/README"):
        if w.random.random() < 0.5:
            (w.folder / "data" / name).write_bytes(body)
    if w.random.random() < 0.3:
        paths[0].rename(paths[0].with_suffix(".png"))
    return _score(w)


def _in(folders: list[Path]) -> list[Path]:
    return sorted(path for folder in folders for path in folder.iterdir())
