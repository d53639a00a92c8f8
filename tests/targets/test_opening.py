"""open_target itself: layouts, refused options, fingerprints, and what it imports."""

from __future__ import annotations

import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from helpers.workbench import make_images
from PIL import Image

from acrank.errors import TargetError, UsageError
from acrank.targets import TargetOptions, open_target

IMAGES = np.zeros((4, 5, 5), np.uint8)


def folder_of(path: Path, *names: str) -> Path:
    for name in names:
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(IMAGES[0]).save(path / name)
    return path


def arrays(path: Path, labels: object = (0, 1, 0, 1)) -> Path:
    with path.open("wb") as file:
        np.savez(file, images=IMAGES, labels=np.array(labels))
    return path


def test_content_beats_the_suffix(tmp_path: Path) -> None:
    assert open_target(arrays(tmp_path / "data.bin")).layout == "npz"


@pytest.mark.parametrize("name", ["missing", "missing.npz", "missing.csv"])
def test_a_missing_path(tmp_path: Path, name: str) -> None:
    with pytest.raises(TargetError, match="No such file") as caught:
        open_target(tmp_path / name)
    assert caught.value.hint == "check the path"


def test_an_unknown_file(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(b"\x00\x01")
    with pytest.raises(TargetError, match="unsupported target"):
        open_target(tmp_path / "x.bin")


def test_options_of_other_layouts_are_refused(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "f", "a/1.png", "b/1.png")
    with pytest.raises(UsageError, match=r"--images-key does not apply to .* folders") as caught:
        open_target(folder, images_key="x")
    assert caught.value.hint == "it is for npz and npy and hdf5; leave it out"
    with pytest.raises(UsageError, match="--label-column"):
        open_target(arrays(tmp_path / "a.npz"), label_column="x")
    with pytest.raises(UsageError, match="unknown --task 'ranking'"):
        open_target(folder, task="ranking")


def test_options_as_keywords_and_as_one_value_are_the_same(tmp_path: Path) -> None:
    file = arrays(tmp_path / "a.npz")
    options = TargetOptions(task="regression", split="val")
    assert open_target(file, options, split="all").task == open_target(file, task="regression").task == "regression"
    with pytest.raises(TargetError, match="no split 'val'"):
        open_target(file, options)
    with pytest.raises(TypeError, match="image_key"):
        open_target(file, image_key="x")


def test_different_targets_have_different_fingerprints(tmp_path: Path) -> None:
    names = ("a/1.png", "a/2.png", "b/1.png")
    first = open_target(folder_of(tmp_path / "one", *names)).fingerprint
    assert len(first) == 64
    assert open_target(folder_of(tmp_path / "two", *reversed(names))).fingerprint == first  # wherever it lies
    assert open_target(folder_of(tmp_path / "three", *names, "b/2.png")).fingerprint != first
    assert open_target(folder_of(tmp_path / "four", "a/1.png", "a/3.png", "b/1.png")).fingerprint != first
    labels = [open_target(arrays(tmp_path / "x.npz", values)).fingerprint for values in ([0, 1, 0, 1], [0, 1, 1, 1])]
    classes = open_target(arrays(tmp_path / "x.npz", ["p", "q", "p", "q"])).fingerprint
    quantities = open_target(arrays(tmp_path / "x.npz"), task="regression").fingerprint
    assert len({*labels, classes, quantities}) == 4


def test_the_fingerprint_is_stable(tmp_path: Path) -> None:
    """Recorded from this implementation: runs of earlier versions must stay comparable."""
    found = open_target(arrays(tmp_path / "x.npz")).fingerprint
    assert found == "cc7ed0b90ff060b2724070fdc1c690adf44cbe706680d651e25fb1f78e0c44e4"


def test_a_name_that_is_no_utf8_can_be_fingerprinted(tmp_path: Path) -> None:
    folder = folder_of(tmp_path / "f", "a/1.png", "b/1.png")
    odd = bytes(folder / "a") + b"/\xff.png"
    try:
        Path(odd.decode("utf-8", "surrogateescape")).write_bytes((folder / "a" / "1.png").read_bytes())
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    target = open_target(folder)
    assert len(target) == 3
    assert len(target.fingerprint) == 64


def test_indices_beyond_the_target(tmp_path: Path) -> None:
    target = open_target(arrays(tmp_path / "x.npz"))
    for index in (4, -5):
        with pytest.raises(IndexError):
            target.read(index)
        with pytest.raises(IndexError):
            target.raw_digest([index])


def test_folder_targets_can_be_pickled_and_digested(tmp_path: Path) -> None:
    target = open_target(folder_of(tmp_path / "f", "a/1.png", "b/1.png"))
    copy = pickle.loads(pickle.dumps(target))
    assert copy.ids == target.ids
    before = target.raw_digest([0, 1])
    assert copy.raw_digest([0, 1]) == before
    (tmp_path / "f" / "a" / "1.png").write_bytes(b"other")
    assert copy.raw_digest([0, 1]) != before
    (tmp_path / "f" / "a" / "1.png").unlink()
    with pytest.raises(TargetError, match=r"cannot read .*1\.png"):
        copy.raw_digest([0])


def test_opening_a_folder_imports_nothing_heavy(tmp_path: Path) -> None:
    folder_of(tmp_path / "f", "a/1.png", "b/1.png")
    code = (
        "import sys, acrank.targets.sampling, acrank.targets.preparation; from acrank.targets import open_target;"
        "open_target(sys.argv[1]); print({'torch', 'timm', 'pandas', 'h5py', 'scipy', 'PIL'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "f")], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def test_tables_in_a_folder_are_named_and_read_where_the_user_says_so(tmp_path: Path) -> None:
    folder = make_images(tmp_path / "t", classes=2, each=4)
    rows = [f"class{c}/{i:03d}.png,class{c},p{i // 2}" for c in range(2) for i in range(4)]
    (folder / "groups.csv").write_text("\n".join(["file,class,group", *rows]))
    (note,) = open_target(folder).notes
    assert note == "tables in the folder are not read: groups.csv (--data takes a table, --group-table one of groups)"
    table = open_target(folder / "groups.csv", group_column="group")
    assert table.ids == open_target(folder).ids
    assert len(set(table.groups or ())) == 2
