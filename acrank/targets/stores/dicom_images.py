"""DICOM files as images: one per file, or one per frame."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from acrank.targets.stores.dicom_pixels import decode_dicom
from acrank.targets.stores.images import FileStore
from acrank.targets.stores.intensity import Intensity


@dataclass(frozen=True, kw_only=True)
class DicomImageStore:
    """Frames of DICOM files below a folder.

    Attributes:
        root: the folder.
        frames: (path below the folder, number of the frame) of every image.
        rule: the user's, for grey values; None shows them as each file says.
    """

    root: Path
    frames: tuple[tuple[str, int], ...]
    rule: Intensity | None = None

    def read(self, index: int) -> tuple[np.ndarray, str | None]:
        name, frame = self.frames[index]
        return decode_dicom(self.root / name, frame, self.rule), None

    def raw(self, index: int) -> bytes:
        name, frame = self.frames[index]
        return FileStore(self.root, (name,)).raw(0) + frame.to_bytes(4, "little")
