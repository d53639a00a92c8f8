"""DICOM files mean what their headers say: units, windows, polarity, colour, compression."""

from __future__ import annotations

import struct
import sys
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.dicom_files import NAME, write_dicom

from acrank.errors import MissingExtraError, TargetError
from acrank.targets.stores.dicom_file import is_dicom, read_header
from acrank.targets.stores.dicom_pixels import decode_dicom, physical_values
from acrank.targets.stores.intensity import Intensity

pydicom = pytest.importorskip("pydicom")
from pydicom.data import get_testdata_file  # noqa: E402 - needs pydicom

RAMP = np.arange(0, 4096, 64, dtype=np.uint16).reshape(8, 8)


def shown(path: Path, values: np.ndarray = RAMP, rule: Intensity | None = None, **fields: Any) -> np.ndarray:
    return decode_dicom(write_dicom(path / "f.dcm", values, **fields), 0, rule)


def window(values: np.ndarray, centre: float, width: float) -> np.ndarray:
    """The formula of the standard, PS3.3 C.11.2.1.2.1."""
    low, high = centre - 0.5 - (width - 1) / 2, centre - 0.5 + (width - 1) / 2
    inside = (values - (centre - 0.5)) / (width - 1) + 0.5
    return np.where(values <= low, 0, np.where(values > high, 1, inside))


def test_the_first_window_is_applied_in_units_of_the_modality(tmp_path: Path) -> None:
    fields = {"RescaleSlope": "2", "RescaleIntercept": "-1024", "WindowCenter": [40, 600], "WindowWidth": [400, 1500]}
    found = shown(tmp_path, **fields)
    assert found.shape == (1, 8, 8)
    assert np.allclose(found[0], window(RAMP * 2.0 - 1024, 40, 400), atol=1e-5)


def test_without_a_window_percentiles_are_taken(tmp_path: Path) -> None:
    low, high = np.percentile(RAMP.astype(float), [0.5, 99.5])
    assert np.allclose(shown(tmp_path)[0], np.clip((RAMP - low) / (high - low), 0, 1), atol=1e-5)
    assert np.allclose(shown(tmp_path, WindowCenter="0", WindowWidth="0")[0], shown(tmp_path)[0])  # no sense


@pytest.mark.parametrize("function", ["LINEAR_EXACT", "SIGMOID"])
def test_window_functions(tmp_path: Path, function: str) -> None:
    found = shown(tmp_path, WindowCenter="2000", WindowWidth="1000", VOILUTFunction=function)[0]
    exact = np.clip((RAMP - 1500.0) / 1000, 0, 1)
    sigmoid = 1 / (1 + np.exp(-4 * (RAMP - 2000.0) / 1000))
    assert np.allclose(found, exact if function == "LINEAR_EXACT" else sigmoid, atol=1e-5)


def test_the_users_rule_goes_before_the_files_window(tmp_path: Path) -> None:
    fields = {"RescaleSlope": "1", "RescaleIntercept": "-1000", "WindowCenter": "0", "WindowWidth": "2"}
    found = shown(tmp_path, rule=Intensity("window", 0, 1000), **fields)[0]
    assert np.allclose(found, np.clip((RAMP - 1000.0) / 1000, 0, 1), atol=1e-6)


def test_monochrome1_is_inverted(tmp_path: Path) -> None:
    fields = {"WindowCenter": "2048", "WindowWidth": "4096"}
    inverted = shown(tmp_path, PhotometricInterpretation="MONOCHROME1", **fields)
    assert np.allclose(inverted, 1 - shown(tmp_path, **fields), atol=1e-6)
    assert inverted[0, 0, 0] == 1


def test_padding_is_black_and_counts_for_no_percentile(tmp_path: Path) -> None:
    values = RAMP.astype(np.int16) + 100
    values[:2] = -2000
    plain = shown(tmp_path, values[2:])
    for polarity in ("MONOCHROME2", "MONOCHROME1"):
        found = shown(tmp_path, values, PixelPaddingValue=-2000, PhotometricInterpretation=polarity)[0]
        assert (found[:2] == 0).all()
        assert np.allclose(found[2:], plain[0] if polarity == "MONOCHROME2" else 1 - plain[0], atol=1e-6)


def test_lookup_tables(tmp_path: Path) -> None:
    table = pydicom.Dataset()
    table.LUTDescriptor, table.LUTData = [4096, 0, 16], (np.arange(4096) ** 2 // 256).astype(np.uint16).tobytes()
    found = shown(tmp_path, VOILUTSequence=[table])[0]
    assert np.allclose(found, (RAMP.astype(int) ** 2 // 256) / 65535, atol=1e-5)
    units = pydicom.Dataset()
    units.LUTDescriptor, units.LUTData, units.ModalityLUTType = (
        [4096, 0, 16],
        np.arange(4095, -1, -1, dtype=np.uint16).tobytes(),
        "US",
    )
    path = write_dicom(tmp_path / "m.dcm", RAMP, ModalityLUTSequence=[units])
    assert np.array_equal(physical_values(path, (0,))[0], 4095 - RAMP)


def test_bits_above_those_stored_are_no_grey(tmp_path: Path) -> None:
    fields = {"BitsStored": 12, "HighBit": 11}
    assert np.array_equal(shown(tmp_path, RAMP | 0x8000, **fields), shown(tmp_path, RAMP, **fields))
    signed = np.array([[0x0FFF, 0x07FF]], np.uint16)  # -1 and 2047 in twelve bits
    path = write_dicom(tmp_path / "s.dcm", signed, PixelRepresentation=1, **fields)
    assert physical_values(path, (0,))[0].tolist() == [[-1, 2047]]


def test_colour(tmp_path: Path) -> None:
    values = np.random.default_rng(0).integers(0, 256, (6, 4, 3), dtype=np.uint8)
    assert np.array_equal(shown(tmp_path, values), values.transpose(2, 0, 1).astype(np.float32) / 255)


def test_shipped_files_of_every_photometric_interpretation() -> None:
    """The same picture in RGB, in YBR with and without subsampling, run-length encoded, JPEG, and big-endian."""
    names = ["SC_rgb_dcmtk_+eb+cr.dcm", "SC_ybr_full_422_uncompressed.dcm", "SC_rgb_rle.dcm", "SC_rgb_rle_16bit.dcm"]
    names += ["SC_rgb_dcmtk_+eb+cy+np.dcm", "SC_rgb_jpeg_dcmtk.dcm", "SC_rgb_gdcm_KY.dcm", "SC_rgb_rle_32bit.dcm"]
    found = [decode_dicom(Path(get_testdata_file(name)), 0, None) for name in names]
    for one in found:
        assert one.shape == (3, 100, 100)
        assert np.abs(one - found[0]).mean() < 0.02
    palette = decode_dicom(Path(get_testdata_file("examples_palette.dcm")), 0, None)
    assert palette.shape == (3, 350, 800)
    assert 0 < palette.mean() < palette.max() <= 1


def test_shipped_files_of_every_encoding() -> None:
    plain = decode_dicom(Path(get_testdata_file("MR_small.dcm")), 0, None)
    for suffix in ("_RLE", "_bigendian", "_expb", "_implicit", "_padded", "_jp2klossless", "_jpeg_ls_lossless"):
        if suffix.startswith("_j"):
            pytest.importorskip("openjpeg" if suffix == "_jp2klossless" else "libjpeg")
        assert np.array_equal(decode_dicom(Path(get_testdata_file(f"MR_small{suffix}.dcm")), 0, None), plain), suffix


def test_values_of_ct_are_hounsfield_units() -> None:
    path = Path(get_testdata_file("CT_small.dcm"))
    values = physical_values(path, (0,))[0]
    assert np.array_equal(values, pydicom.dcmread(path).pixel_array.astype(float) - 1024)


@pytest.mark.parametrize(
    "name",
    ["rtplan.dcm", "rtstruct.dcm", "rtdose.dcm", "test-SR.dcm", "waveform_ecg.dcm", "reportsi.dcm", "DICOMDIR"],
)
def test_objects_without_an_image(name: str) -> None:
    path = Path(get_testdata_file(name))
    assert is_dicom(path, path.suffix)
    assert read_header(path) is None


def test_files_without_a_suffix_are_known_by_their_first_bytes(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "IM0001", RAMP)
    (tmp_path / "notes").write_bytes(b"DICM, but not where it counts" * 9)
    assert is_dicom(path, "")
    assert not is_dicom(tmp_path / "notes", "")
    assert not is_dicom(tmp_path, "")


def test_a_compression_without_its_plugin_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels import get_decoder
    from pydicom.uid import JPEG2000Lossless

    monkeypatch.setattr(get_decoder(JPEG2000Lossless), "_available", {})
    path = Path(get_testdata_file("MR_small_jp2klossless.dcm"))
    with pytest.raises(MissingExtraError, match="compressed as JPEG 2000"):
        decode_dicom(path, 0, None)
    with pytest.raises(MissingExtraError, match="compressed as JPEG 2000") as caught:
        read_header(path)  # when the data set is opened, before the long work
    assert "pip install 'acrank[dicom]'" in caught.value.hint
    assert "pylibjpeg" in caught.value.hint


def test_a_compression_that_is_no_image_is_refused_by_name(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "f.dcm", RAMP)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.4.102"
    dataset.PixelData = pydicom.encaps.encapsulate([b"\0" * 64])
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    with pytest.raises(TargetError, match="compressed as MPEG-4"):
        decode_dicom(path, 0, None)


def test_without_pydicom_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from acrank.targets.stores import dicom_reading

    path = write_dicom(tmp_path / "f.dcm", RAMP)
    dicom_reading._pydicom.cache_clear()
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MissingExtraError) as caught:
        read_header(path)
    assert caught.value.hint == "pip install 'acrank[dicom]'"


@pytest.mark.parametrize("damage", ["cut", "pixels", "field", "noise"])
def test_damaged_files_are_named_without_a_word_of_what_they_hold(tmp_path: Path, damage: str) -> None:
    path = write_dicom(tmp_path / "f.dcm", RAMP, PatientName=NAME, WindowCenter="1", WindowWidth="2")
    raw = path.read_bytes()
    if damage == "cut":
        path.write_bytes(raw[:-40])
    elif damage == "pixels":
        dataset = pydicom.dcmread(path)
        dataset.Rows = 9000
        dataset.save_as(path)
    elif damage == "field":
        path.write_bytes(raw.replace(b"IS\x00\x00", b"IS\x08\x00").replace(b"DS\x02\x001 ", b"DS\x02\x00Zw"))
    else:
        path.write_bytes(raw[:132] + bytes(range(256)) * 4)
    with pytest.raises(TargetError) as caught:
        decode_dicom(path, 0, None)
    text = f"{caught.value} {caught.value.hint} {caught.value.__cause__}"
    assert "f.dcm" in text
    assert "Zw" not in text


def test_a_header_of_a_huge_image_is_refused_before_it_is_decoded(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "f.dcm", RAMP, Rows=65535, Columns=65535)
    with pytest.raises(TargetError, match="would take"):
        decode_dicom(path, 0, None)


def test_bytes_behind_the_last_frame_are_no_frames(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "f.dcm", RAMP, PixelData=RAMP.tobytes() * 50)
    assert np.array_equal(decode_dicom(path, 0, None), shown(tmp_path))


def test_a_deflated_file_that_unfolds_to_gibibytes_is_refused_before(tmp_path: Path) -> None:
    path = tmp_path / "f.dcm"
    dataset = pydicom.dcmread(write_dicom(path, RAMP))
    dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
    dataset.save_as(path)
    assert decode_dicom(path, 0, None).shape == (1, 8, 8)
    raw = path.read_bytes()
    start = 144 + pydicom.filereader.read_file_meta_info(path).FileMetaInformationGroupLength
    head = zlib.decompress(raw[start:], -zlib.MAX_WBITS)
    packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
    packed = [packer.compress(head), *(packer.compress(bytes(2**24)) for _ in range(41)), packer.flush()]
    path.write_bytes(raw[:start] + b"".join(packed))
    with pytest.raises(TargetError, match=r"more than 640\.0 MiB once inflated"):
        read_header(path)


@pytest.mark.parametrize("kind", ["zeros", "meta", "fields", "deflated"])
def test_fields_without_end_are_not_read_to_their_end(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Parsing a gigabyte of them takes minutes: pydicom reads some 400,000 pieces a second."""
    monkeypatch.setattr("acrank.targets.stores.dicom_bounds._MOST_READS", 20_000)
    path = write_dicom(tmp_path / "f.dcm", RAMP)
    assert read_header(path) is not None
    raw, count = path.read_bytes(), 21_000
    start = 144 + pydicom.filereader.read_file_meta_info(path).FileMetaInformationGroupLength
    if kind == "zeros":
        path.write_bytes(bytes(8 * count))
    elif kind == "meta":
        path.write_bytes(raw[:144] + b"\x02\x00\x02\x01SH\x00\x00" * count)
    elif kind == "fields":
        path.write_bytes(raw[:start] + b"\x08\x00\x08\x00CS\x00\x00" * count)
    else:
        dataset = pydicom.dcmread(path)
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.DeflatedExplicitVRLittleEndian
        dataset.save_as(path)
        start = 144 + pydicom.filereader.read_file_meta_info(path).FileMetaInformationGroupLength
        packer = zlib.compressobj(1, zlib.DEFLATED, -zlib.MAX_WBITS)
        packed = packer.compress(b"\x08\x00\x08\x00CS\x00\x00" * count) + packer.flush()
        path.write_bytes(path.read_bytes()[:start] + packed)
    with pytest.raises(TargetError, match=r"f\.dcm has too many fields for a DICOM image"):
        read_header(path)


J2K = b"\xff\x4f\xff\x51\x00\x29\x00\x00" + struct.pack(">8L", 65535, 65535, 0, 0, 65535, 65535, 0, 0) + bytes(9)
JPEG = b"\xff\xd8\xff\xe0\x00\x04ab\xff%s\x00\x0b\x08\xff\xff\xff\xff\x01\x01\x11\x00\xff\xd9"


@pytest.mark.parametrize(
    ("syntax", "frame"),
    [
        (pydicom.uid.JPEGBaseline8Bit, JPEG % b"\xc0"),
        (pydicom.uid.JPEGLSLossless, JPEG % b"\xf7"),
        (pydicom.uid.JPEG2000Lossless, J2K),
    ],
)
def test_compressed_pixels_of_another_size_are_refused_before(tmp_path: Path, syntax: str, frame: bytes) -> None:
    path = write_dicom(tmp_path / "f.dcm", RAMP)
    dataset = pydicom.dcmread(path)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = pydicom.encaps.encapsulate([frame])
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    with pytest.raises(TargetError, match=r"f\.dcm is 8 x 8, its compressed pixels are 65535 x 65535"):
        decode_dicom(path, 0, None)


def test_compressed_frames_with_extended_offsets_are_read(tmp_path: Path) -> None:
    path = write_dicom(tmp_path / "f.dcm", np.stack([RAMP, RAMP[::-1]]), NumberOfFrames=2)
    plain = [decode_dicom(path, frame, None) for frame in range(2)]
    dataset = pydicom.dcmread(path)
    dataset.compress(pydicom.uid.RLELossless)
    frames = list(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=2))
    found = pydicom.encaps.encapsulate_extended(frames)
    dataset.PixelData, dataset.ExtendedOffsetTable, dataset.ExtendedOffsetTableLengths = found
    dataset["PixelData"].is_undefined_length = True
    dataset.save_as(path)
    for frame in range(2):
        np.testing.assert_array_equal(decode_dicom(path, frame, None), plain[frame])


@pytest.mark.parametrize("frames", ["2000000000", "-7"])
def test_more_frames_than_a_file_can_hold_are_refused(tmp_path: Path, frames: str) -> None:
    with pytest.raises(TargetError, match=r"cannot read .*f\.dcm as DICOM"):
        read_header(write_dicom(tmp_path / "f.dcm", RAMP, NumberOfFrames=frames))


def test_a_header_holds_digests_and_no_names(tmp_path: Path) -> None:
    header = read_header(write_dicom(tmp_path / "f.dcm", RAMP))
    other = read_header(write_dicom(tmp_path / "g.dcm", RAMP, patient="another"))
    assert header is not None
    assert other is not None
    assert header.patient != other.patient
    assert header.series == other.series
    assert "PAT" not in str(header)
