"""dataset.json in its dialects: nnU-Net v1 and v2, Decathlon, MONAI's lists; in two dimensions and three."""

from __future__ import annotations

import copy
import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fuzz.case import Case
from fuzz.generators.nifti import header
from fuzz.odd import HOSTILE, WORDS, changed, damaged, instead_of_file
from fuzz.workspace import Workspace, move

_SIDE = 12


def _values(index: int) -> np.ndarray:
    """A mask of two classes, [12, 12, 12]."""
    return (np.indices((_SIDE,) * 3).sum(0) > 14 + index % 4).astype("<i2")


def _volume(index: int, *, mask: bool, channel: int = 0) -> bytes:
    noise = np.random.default_rng([7, index, channel]).integers(0, 100, (_SIDE,) * 3)
    values = _values(index) if mask else (noise + 80 * _values(index)).astype("<i2")
    return gzip.compress(header() + values.tobytes(order="F"), 1)


def _folder(w: Workspace, *, kind: str = "v2", channels: int = 1, cases: int = 5) -> tuple[Path, dict[str, Any]]:
    """A sound set, and its description, which is not written yet."""
    folder = w.folder / "data"
    images, masks = folder / "imagesTr", folder / "labelsTr"
    for part in (images, masks):
        part.mkdir(parents=True)
    names = {"background": 0, "organ": 1}
    pairs = []
    for index in range(cases):
        if kind == "2d":
            noise = np.random.default_rng([8, index]).integers(0, 100, (24, 24)).astype(np.uint8)
            mask = np.zeros((24, 24), np.uint8)
            mask[4:12, 4 + index : 16] = 1
            Image.fromarray(noise + 100 * mask).save(images / f"case{index}_0000.png")
            Image.fromarray(mask).save(masks / f"case{index}.png")
            continue
        for channel in range(channels):
            name = f"case{index}.nii.gz" if kind in ("v1", "monai") else f"case{index}_{channel:04d}.nii.gz"
            (images / name).write_bytes(_volume(index, mask=False, channel=channel))
        (masks / f"case{index}.nii.gz").write_bytes(_volume(index, mask=True))
        pairs.append({"image": f"./imagesTr/case{index}.nii.gz", "label": f"./labelsTr/case{index}.nii.gz"})
    if kind == "v1":
        modality = {str(channel): "CT" for channel in range(channels)}
        labels = {str(number): name for name, number in names.items()}
        return folder, {"name": "x", "modality": modality, "labels": labels, "training": pairs, "numTraining": cases}
    if kind == "monai":
        return folder, {"training": pairs}
    named = {str(channel): w.random.choice(("CT", "T1")) for channel in range(channels)}
    ending = ".png" if kind == "2d" else ".nii.gz"
    return folder, {"channel_names": named, "labels": names, "numTraining": cases, "file_ending": ending}


def _score(w: Workspace, folder: Path, about: Any, *more: object, **known: Any) -> Case:
    text = about if isinstance(about, str) else json.dumps(about)
    (folder / "dataset.json").write_text(text, errors="surrogatepass")
    slices = () if any(folder.rglob("*_0000.png")) else ("--slices", 3)
    where = ("--zoo", w.materials.zoo, "--data", folder, "--model", "a")
    return w.case("score", *where, *slices, "--samples", 8, "--repeats", 1, "-o", "run.json", *more, **known)


def _kind(w: Workspace) -> str:
    return w.random.choice(("v2", "v1", "monai", "2d"))


@move
def sound(w: Workspace) -> Case:
    """Each dialect as its tools write it."""
    folder, about = _folder(w, kind=_kind(w))
    return _score(w, folder, about, sound=True)


@move
def odd_values(w: Workspace) -> Case:
    """Places of a description hold something else."""
    folder, about = _folder(w, kind=_kind(w))
    return _score(w, folder, changed(about, w.random))


@move
def odd_labels(w: Workspace) -> Case:
    """Labels that are no classes, regions without an order, numbers that are none."""
    folder, about = _folder(w, kind=w.random.choice(("v2", "v1", "2d")))
    nan, inf = float("nan"), float("inf")
    kinds: tuple[Any, ...] = (
        {"background": 0, "x": nan},
        {"background": 0, "x": inf},
        {"background": nan, "x": [1, nan]},
        {"background": 0, "x": 1, "y": 1},
        {"background": 0},
        {"background": 1, "x": 2},
        {"background": 0, "x": "1"},
        {"0": "background", "x": 1},
        {"background": 0, "x": [1, 2], "y": [2], "ignore": 3},
        {"background": 0, "ignore": 1},
        {str(number): f"c{number}" for number in range(70_000)},
        {"background": 0, w.random.choice(HOSTILE): 1},
        {"background": 0, "x": 10**400},
        {"background": 0, "x": True},
        {"background": 0.0, "x": 1.0},
        [],
        "x",
        {},
        None,
        ["background", "x"],
    )
    about["labels"] = w.random.choice(kinds)
    if w.random.random() < 0.5:
        about["regions_class_order"] = w.random.choice(([1], [1, 2], [nan, 1], "x", {}, [[1]], [10**400], [1] * 10**5))
    return _score(w, folder, about, *w.random.choice(((), ("--ignore-value", "1"), ("--ignore-value", "nan"))))


@move
def odd_channels(w: Workspace) -> Case:
    """Channels that are no numbers, too many, or not in the folder."""
    folder, about = _folder(w, channels=w.random.choice((1, 2)))
    kinds: tuple[Any, ...] = (
        {"0": "CT", "2": "T1"},
        {"0": float("nan")},
        {"CT": float("nan")},
        {"x": "CT"},
        {str(channel): "T1" for channel in range(5000)},
        {"0": w.random.choice(HOSTILE)},
        {"0": ["CT"]},
        {"-1": "CT"},
        "CT",
        ["CT"],
        [],
        {},
        None,
        3,
        {"CT": 0, "T1": 1},
        {"0": "noNorm", "1": "rescale_to_0_1"},
    )
    about["channel_names"] = w.random.choice(kinds)
    return _score(w, folder, about)


@move
def odd_endings(w: Workspace) -> Case:
    """Endings that acrank does not read, or that are none."""
    folder, about = _folder(w)
    about["file_ending"] = w.random.choice((".dcm", ".mha", "", ".", "nii.gz", ".npz", 3, None, [], *WORDS))
    return _score(w, folder, about)


@move
def odd_lists(w: Workspace) -> Case:
    """Training lists that are no lists, name a file twice, or lead outside."""
    folder, about = _folder(w, kind=w.random.choice(("v1", "monai")))
    (w.folder / "outside.nii.gz").write_bytes(_volume(0, mask=True))
    first, rest = about["training"][0], about["training"][1:]
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: [{**first, "label": "../outside.nii.gz"}, *rest],
        lambda: [{**first, "label": "../../../../etc/passwd"}, *rest],
        lambda: [{**first, "image": str(w.folder / "outside.nii.gz")}, *rest],
        lambda: [{**first, "image": "/dev/zero"}, *rest],
        lambda: [{**first, "image": first["label"]}, *rest],
        lambda: [{**one, "label": first["label"]} for one in about["training"]],
        lambda: [first, first, *rest],
        lambda: [{**first, "image": [first["image"], 3]}, *rest],
        lambda: [{**first, "image": w.random.choice(WORDS)}, *rest],
        lambda: [{"image": first["image"]}, *rest],
        lambda: [[], 3, None, "x", *rest],
        lambda: {"x": about["training"]},
        lambda: about["training"] * 20_000,
        lambda: [first["image"], *rest],
        lambda: [],
    )
    about["training"] = w.random.choice(kinds)()
    return _score(w, folder, about, *w.random.choice(((), ("--allow-outside",))))


@move
def mapped(w: Workspace) -> Case:
    """nnU-Net's `dataset`, which names the files of each case wherever they lie."""
    folder, about = _folder(w)
    held = {
        f"case{i}": {"images": [f"imagesTr/case{i}_0000.nii.gz"], "label": f"labelsTr/case{i}.nii.gz"} for i in range(5)
    }
    about["dataset"] = held
    if w.random.random() < 0.2:
        return _score(w, folder, about, sound=True)
    kinds: tuple[Callable[[], object], ...] = (
        lambda: held["case0"].update(images=[]),
        lambda: held["case0"].update(images="x"),
        lambda: held["case0"].update(images=["../../../../etc/passwd"]),
        lambda: held["case0"].update(label=3),
        lambda: held["case0"].update(label=["labelsTr/case0.nii.gz"]),
        lambda: held["case0"].pop("label"),
        lambda: held.update({w.random.choice(HOSTILE): held["case0"]}),
        lambda: held.update(x=[]),
        lambda: about.update(dataset={}),
        lambda: about.update(dataset=changed(copy.deepcopy(held), w.random)),
    )
    w.random.choice(kinds)()
    return _score(w, folder, about)


@move
def odd_files(w: Workspace) -> Case:
    """Volumes and masks that are missing, damaged, of other values or sizes, or no files."""
    folder, about = _folder(w, kind=_kind(w))
    part = w.random.choice(("imagesTr", "labelsTr"))
    paths = sorted((folder / part).iterdir())
    other = gzip.compress(header(dim=(3, 6, 6, 6, 1, 1, 1, 1)) + bytes(2 * 6**3), 1)
    odd_mask = gzip.compress(header() + np.full((_SIDE,) * 3, w.random.choice((7, -1, 32_767)), "<i2").tobytes(), 1)
    kinds: tuple[Callable[[Path], object], ...] = (
        lambda path: path.unlink(),
        lambda path: path.write_bytes(damaged(path.read_bytes(), w.random)),
        lambda path: path.write_bytes(other),
        lambda path: path.write_bytes(odd_mask),
        lambda path: instead_of_file(path, w.random),
        lambda path: path.rename(path.with_name(f"x{path.name}")),
        lambda path: (path.unlink(), path.symlink_to("/etc/passwd")),
    )
    change = w.random.choice(kinds)
    for path in paths[: w.random.choice((1, 1, 9))]:
        change(path)
    return _score(w, folder, about)


@move
def no_description(w: Workspace) -> Case:
    """A dataset.json that is damaged, enormous, deep, or of something else."""
    folder, about = _folder(w, kind=_kind(w))
    raw = json.dumps(about)
    texts = ("", "[]", "null", "[" * 10**5, '{"a":' * 10**5, '{"training": 1e999}', '{"labels": NaN}', raw[:-5], "\0")
    case = _score(w, folder, w.random.choice(texts))
    if w.random.random() < 0.3:
        instead_of_file(folder / "dataset.json", w.random)
    return case
