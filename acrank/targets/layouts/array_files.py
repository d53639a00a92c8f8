"""Files of arrays by their kind, and targets of one such file, or of one of images and one of labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from acrank.errors import TargetError
from acrank.system.bounds import first_bytes
from acrank.targets.layouts import hdf5, npy, npz
from acrank.targets.layouts.arrays import ArrayFile, labels_beside, open_arrays
from acrank.targets.target import Target
from acrank.targets.target_options import TargetOptions


@dataclass(frozen=True)
class ArrayKind:
    """A kind of file: how it is opened, its first bytes, and its usual suffixes."""

    open: Callable[[Path], ArrayFile]
    magic: bytes
    suffixes: tuple[str, ...]


#: Name of the layout -> kind of file.
KINDS = {
    npz.NAME: ArrayKind(npz.npz_file, b"PK\x03\x04", (".npz",)),
    npy.NAME: ArrayKind(npy.npy_file, b"\x93NUMPY", (".npy",)),
    hdf5.NAME: ArrayKind(hdf5.hdf5_file, b"\x89HDF\r\n\x1a\n", (".h5", ".hdf5", ".hdf")),
}


def open_array_target(path: Path, options: TargetOptions) -> Target:
    """Open a file of arrays: images [N, H, W], [N, H, W, C] or [N, C, H, W], or volumes, with labels or masks.

    Without keys: MedMNIST's `train_images` and `train_labels` (also val and test), or `images` and `labels`. Labels may
    lie in another file (`labels_file`), of any of these kinds.

    Raises:
        TargetError: no file of arrays, keys not found, or arrays that do not fit together.
    """
    images = _opened(path)
    if options.labels_file is not None:
        return open_arrays(images, _opened(Path(options.labels_file)), options)
    if images.layout == npy.NAME:
        beside = labels_beside(path)
        raise TargetError(
            f"{path} holds one array only, and no labels",
            hint=f"say --labels-file: the file that holds the labels{f', such as {beside}' if beside else ''}",
        )
    return open_arrays(images, images, options)


def _opened(path: Path) -> ArrayFile:
    start = first_bytes(path, 8, TargetError)
    kinds = [kind for kind in KINDS.values() if start.startswith(kind.magic)]
    kinds += [kind for kind in KINDS.values() if path.suffix.lower() in kind.suffixes]
    if not kinds:
        raise TargetError(f"{path} is no file of arrays", hint="give an .npy, .npz or HDF5 file")
    return kinds[0].open(path)
