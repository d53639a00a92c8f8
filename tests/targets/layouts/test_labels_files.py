"""Arrays whose labels lie in another file, and labels with axes of one."""

from __future__ import annotations

import pickle
from pathlib import Path

import h5py
import numpy as np
import pytest

from acrank.errors import TargetError
from acrank.targets import open_target

IMAGES = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 3)).astype(np.uint8)
LABELS = np.array([0, 1, 0, 1, 1, 0])


def stored(path: Path, key: str, values: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, values)
    elif path.suffix == ".npz":
        np.savez(path, **{key: values})
    else:
        with h5py.File(path, "w") as file:
            file[key] = values
    return path


@pytest.mark.parametrize("images", ["x.npy", "x.h5", "x.npz"])
@pytest.mark.parametrize("labels", ["y.npy", "y.h5", "y.npz"])
def test_two_files(tmp_path: Path, images: str, labels: str) -> None:
    path = stored(tmp_path / images, "x", IMAGES)
    other = stored(tmp_path / labels, "y", LABELS.reshape(6, 1, 1, 1))
    target = open_target(path, labels_file=str(other))
    assert (target.task, target.labels.tolist(), target.classes) == ("classification", LABELS.tolist(), ("0", "1"))
    np.testing.assert_allclose(
        pickle.loads(pickle.dumps(target)).read(2), IMAGES[2].transpose(2, 0, 1) / 255, rtol=1e-6
    )


@pytest.mark.parametrize("shape", [(6, 1), (6, 1, 1), (6, 1, 1, 1)])
@pytest.mark.parametrize("name", ["t.h5", "t.npz"])
def test_axes_of_one_are_no_masks(tmp_path: Path, shape: tuple[int, ...], name: str) -> None:
    path = tmp_path / name
    if name == "t.npz":
        np.savez(path, images=IMAGES, labels=LABELS.reshape(shape))
    else:
        with h5py.File(path, "w") as file:
            file["images"], file["labels"] = IMAGES, LABELS.reshape(shape)
    assert open_target(path).labels.tolist() == LABELS.tolist()


def test_masks_in_another_file(tmp_path: Path) -> None:
    masks = (IMAGES[..., 0] > 100).astype(np.uint8)
    target = open_target(
        stored(tmp_path / "x.npy", "x", IMAGES), labels_file=str(stored(tmp_path / "y.npy", "y", masks))
    )
    assert target.task == "segmentation"
    assert np.array_equal(target.mask_store.mask(3), masks[3])


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    path = stored(tmp_path / "x.npy", "x", IMAGES)
    with pytest.raises(TargetError, match="holds one array only") as caught:
        open_target(path)
    assert "--labels-file" in str(caught.value.hint)
    with pytest.raises(TargetError, match=r"6 images in .*, 5 labels"):
        open_target(path, labels_file=str(stored(tmp_path / "y.npy", "y", LABELS[:5])))
    (tmp_path / "z.npy").write_bytes(b"\x93NUMPYgarbage")
    with pytest.raises(TargetError, match=r"cannot read .*z\.npy as \.npy"):
        open_target(path, labels_file=str(tmp_path / "z.npy"))
    with pytest.raises(TargetError, match=r"cannot read .*nowhere"):
        open_target(path, labels_file=str(tmp_path / "nowhere.npy"))
    with pytest.raises(TargetError, match="is a device, not a file"):
        open_target(path, labels_file="/dev/zero")
    np.save(tmp_path / "c.npy", np.zeros(6, complex))
    with pytest.raises(TargetError, match="holds values of complex128"):
        open_target(path, labels_file=str(tmp_path / "c.npy"))
    (tmp_path / "y.txt").write_text("0 1")
    with pytest.raises(TargetError, match="is no file of arrays"):
        open_target(path, labels_file=str(tmp_path / "y.txt"))
    np.save(tmp_path / "o.npy", np.array([{}, {}]), allow_pickle=True)
    with pytest.raises(TargetError, match=r"cannot read .*o\.npy"):
        open_target(tmp_path / "o.npy", labels_file=str(path))
