"""Every row of the table in docs/data.md, tried: the input, what acrank does, and each option that overrules it."""

from __future__ import annotations

import itertools
import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.dicom_files import write_dicom, write_series
from helpers.image_sets import bordered, boxes, grey, masked_set, same, saved, table, tree
from helpers.members import Make, Member, misread
from helpers.volume_sets import AFFINE, save_volume, scan, write_decathlon, write_nnunet
from PIL import Image

import acrank
from acrank.errors import TargetError
from acrank.targets.doubts import deviation_warning, split_leaks
from acrank.targets.examination import Examination
from acrank.targets.opening import open_target
from acrank.targets.understanding import understand

TABLE = Path(acrank.__file__).parents[1] / "docs" / "data.md"
PETS, GROUND, TUMOUR, LETTERS = ("cat", "dog"), ("background", "foreground"), ("background", "tumour"), ("a", "b")
SEG = {"task": "segmentation"}
BLACK, RED, GREEN = (0, 0, 0), (200, 0, 0), (0, 200, 0)
NUMBERED = tuple(map(str, sorted({0, *(number * (2 * place + 1) for place in range(8) for number in (1, 2))})))


def rows() -> dict[str, str]:
    """Input of each row -> what overrules it."""
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines[2:]]
    return {first: last for first, _, last in cells if not first.startswith("**")}


def folders(*names: str, **more: Any) -> Make:
    return lambda at: tree(at, *names, **more)


def splits(*names: str) -> Make:
    return folders(*(f"{one}/{label}" for one in names for label in PETS))


def cells(*labels: str, header: str = "path,label", **more: Any) -> Make:
    return lambda at: table(at, labels, header=header, **more)


def noted(notes: dict[int, str]) -> Make:
    """A table with notes behind the labels, some of them as given."""
    return cells(*(f"{'ab'[place % 2]},{notes.get(place, 'x')}" for place in range(24)), header="path,label,note")


def masks(*values: int) -> Make:
    return lambda at: masked_set(at, boxes(4, *values))


def changed(make: Make, change: Callable[[Path], Any]) -> Make:
    """An input with a change of its folder."""

    def made(at: Path) -> Path:
        path = make(at)
        change(at)
        return path

    return made


def npz(**arrays: Any) -> Make:
    def make(at: Path) -> Path:
        at.mkdir()
        np.savez(at / "t.npz", **arrays)
        return at / "t.npz"

    return make


def stored(values: Callable[[int], np.ndarray], suffix: str = ".png") -> Make:
    """Two class folders of images of given values."""

    def make(at: Path) -> Path:
        for place in range(8):
            path = at / "ab"[place % 2] / f"{place}{suffix}"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(values(place)).save(path)
        return at

    return make


def beside(at: Path) -> Path:
    """Masks beside the images of class folders, two of one image."""
    for label, place in itertools.product(LETTERS, range(3)):
        (at / label).mkdir(parents=True, exist_ok=True)
        for end, mask in zip(("", "_mask", "_mask_1"), (None, *boxes(2, 0, 1)), strict=True):
            if end != "_mask_1" or place == 0:
                values = grey(9)["ab".index(label) * 3 + place] if mask is None else mask
                Image.fromarray(values).save(at / label / f"{label}{place}{end}.png")
    return at


def series(at: Path) -> Path:
    for place in range(4):
        write_series(at / "ab"[place % 2] / f"case{place}", scan(place)[0], patient=f"P{place}", series=str(place))
    return at


def dicom_masks(at: Path) -> Path:
    for part in ("images", "masks"):
        write_dicom(at / part / "a.dcm", grey(1)[0])
    return at


def linked(label: str) -> Make:
    """A table with one image under two names."""

    def make(at: Path) -> Path:
        path = table(at, LETTERS)
        (at / "img" / "again.png").symlink_to(at / "img" / "000.png")
        path.write_text(f"{path.read_text()}\nimg/again.png,{label}")
        return path

    return make


def shifted(by: float, part: str = "labelsTr/case_001.nii.gz") -> Make:
    affine = AFFINE.copy()
    affine[0, 3] += by
    return changed(write_nnunet, lambda at: save_volume(at / part, scan(1)[1], affine))


def values_of_two(at: Path) -> Path:
    return changed(write_nnunet, lambda here: save_volume(here / "labelsTr/case_001.nii.gz", 2 * scan(1)[1]))(at)


def coloured(at: Path) -> Path:
    """Classes a, grey, and b, in colour."""
    for path in tree(at, *LETTERS, each=4).glob("b/*.png"):
        Image.open(path).convert("RGB").save(path)
    return at


def resized(at: Path) -> Path:
    """Classes a, of 20 pixels a side, and b, of 40."""
    for path in tree(at, *LETTERS, each=4).glob("b/*.png"):
        Image.open(path).resize((40, 40)).save(path)
    return at


def one_shape(at: Path) -> Path:
    """Eight images with one mask."""
    return masked_set(at, boxes(1, 0, 1) * 8)


def numbered(at: Path) -> Path:
    """Two objects in each of eight masks, numbered on from mask to mask."""
    found = boxes(8, 0, 1, 2)
    return masked_set(at, [mask * (2 * place + 1) for place, mask in enumerate(found)])


def painted(*pairs: Any) -> Make:
    """Masks of some values with a palette, in turn."""

    def make(at: Path) -> Path:
        kinds = list(zip(pairs[::2], pairs[1::2], strict=True))
        path = masked_set(at, [boxes(4, *kinds[place % 2][0])[place] for place in range(4)])
        for place in range(4):
            name = path / "masks" / f"{place}.png"
            image = Image.fromarray(np.asarray(Image.open(name)))
            image.putpalette([part for colour in kinds[place % 2][1] for part in colour])
            image.save(name)
        return path

    return make


def no_tumour(at: Path, write: Make = write_nnunet) -> Path:
    path = write(at)
    for mask in (at / "labelsTr").iterdir():
        save_volume(mask, 0 * scan(1)[1])
    return path


def no_tumour_in_a_list(at: Path) -> Path:
    return no_tumour(at, write_decathlon)


def cut(*names: str) -> Callable[[Path], None]:
    def change(at: Path) -> None:
        for name in names:
            (at / name).write_bytes((at / name).read_bytes()[:60])

    return change


def without_file(count: int) -> Make:
    """A table of two classes that names so many files, from the fifth on, that are not there."""
    return changed(
        cells(*LETTERS), lambda at: [(at / "img" / f"{(4 + i) % 24:03d}.png").unlink() for i in range(count)]
    )


def without_volume(at: Path) -> Path:
    return changed(write_decathlon, lambda here: next((here / "imagesTr").iterdir()).unlink())(at)


def patients(at: Path) -> Path:
    """Images whose names suggest patients, a table of them, and images with masks of the same names."""
    for place, image in enumerate(grey(12)):
        (at / "ab"[place % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(image).save(at / "ab"[place % 2] / f"p{place // 4}_{place}.png")
    lines = [f"{'ab'[place % 2]}/p{place // 4}_{place}.png,{'ab'[place % 2]},p{place // 4}" for place in range(12)]
    (at.parent / "t.csv").write_text("\n".join(["path,label,patient", *lines]))
    return at


def patients_in_a_table(at: Path) -> Path:
    patients(at)
    return shutil.copy(at.parent / "t.csv", at / "t.csv") and at / "t.csv"


def pages(at: Path) -> Path:
    for place, image in enumerate(grey(8)):
        (at / "ab"[place % 2]).mkdir(parents=True, exist_ok=True)
        more = [Image.fromarray(np.roll(image, shift)) for shift in range(1, 8)]
        Image.fromarray(image).save(at / "ab"[place % 2] / f"{place}.tif", save_all=True, append_images=more)
    return at


def copies(count: int) -> Callable[[Path], None]:
    """Some images of class a are in class b, too, stored anew in another size."""

    def change(at: Path) -> None:
        for place in range(count):
            Image.open(at / "a" / f"{place}.png").resize((40, 40)).save(at / "b" / f"copy{place}.png")

    return change


def smooth(*names: str) -> Make:
    """Pictures that vary slowly, so that another size shows the same."""

    def make(at: Path) -> Path:
        tree(at, *names)
        for path in at.rglob("*.png"):
            Image.open(path).crop((0, 0, 5, 5)).resize((80, 80), Image.Resampling.BICUBIC).save(path)
        return at

    return make


def same_pictures(count: int) -> Callable[[Path], None]:
    return lambda at: [shutil.copy(at / "a" / f"{place}.png", at / "b" / f"{place}.png") for place in range(count)]


def transparent(at: Path) -> Path:
    tree(at, *LETTERS)
    for path in at.rglob("*.png"):
        image = Image.open(path).convert("RGBA")
        image.putalpha(Image.fromarray(np.eye(20, dtype=np.uint8) * 255))
        image.save(path)
    return at


def flat(at: Path) -> Path:
    return stored(lambda place: np.full((20, 20), 20 * place, np.uint8))(at)


def deep(place: int) -> np.ndarray:
    return grey(8)[place].astype(np.uint16) * 16 + 15


def signed(place: int) -> np.ndarray:
    return grey(8)[place].astype(np.int32) * 8 - 1000


def float_image(place: int) -> np.ndarray:
    return (grey(8)[place] / 300).astype(np.float32)


def m(make: Make, *said: str, refused: str = "", **more: Any) -> Member:
    """A member; what is not a field of it is an option."""
    fields = {key: more.pop(key) for key in ("task", "classes", "count", "quiet") if key in more and key != "task"}
    task = more.pop("reads", "classification")
    return Member("", make, task=task, said=said, refused=(refused,) if refused else (), options=more, **fields)


DECIMALS = ["0.02", "0.35", "0.61", "0.88", "1.02", "1.25", "1.47"]
QUIET = ("far from",)
TWO = {"train_images": grey(8), "train_labels": np.arange(8) % 2}
BOTH = {"images": grey(8), "labels": np.arange(8) % 2, "masks": np.stack(boxes(8, 0, 1))}
CODED = "path,Edema,Effusion"
CHEX = cells("1,0", ",1", "-1,", "0,1", header=CODED)
ASKED = cells("a,True", "b,True", "a,False", "b,False", header="path,label,is_valid")
FOLDS = cells("a,0", "b,0", "a,1", "b,1", header="path,label,fold")
SPLIT = ("a,train", "b,train", "a,test", "b,test")
NOTE_OF_PAIRS = "lie in 2 folders, read together"
PAIRED_FOLDERS = changed(
    lambda at: masked_set(at, boxes(4), folders=("one/images", "one/masks")),
    lambda at: masked_set(at, boxes(4), folders=("two/images", "two/masks"), first=4),
)
XY = lambda at: masked_set(at, boxes(4), folders=("x", "y"))  # noqa: E731 - one of many makers

#: Input of a row, as it begins -> members; the first ones as acrank reads them, then each option that overrules it.
TRIALS: dict[str, list[Member]] = {
    "folders `train`": [
        m(splits("2_Testing", "training_set"), 'split "training_set"', classes=PETS, count=6),
        m(folders("cat/tr", "dog/tr", "cat/ts", "dog/ts"), 'split "tr"', classes=PETS, count=6),
        m(splits("fold_0", "fold_1"), "are read together", classes=PETS, count=12),
        m(splits("train", "dev"), classes=PETS, count=6, split="dev"),
        m(splits("train", "dev"), classes=PETS, count=12, split="all"),
    ],
    "folders of groups": [
        m(splits("site1", "site2"), "in 2 groups: site1, site2", classes=PETS),
        m(splits("site1", "site2"), classes=("site1", "site2"), class_folders="top"),
        m(splits("site1", "site2"), classes=PETS, class_folders="bottom"),
    ],
    "folders whose upper": [
        m(splits("red", "blue"), refused="the classes may be blue, red, or cat, dog"),
        m(splits("red", "blue"), classes=("blue", "red"), class_folders="top"),
        m(splits("red", "blue"), classes=PETS, class_folders="bottom"),
    ],
    "DICOM images or DICOM SEG": [m(dicom_masks, refused="is DICOM"), m(dicom_masks, refused="convert images and")],
    "masks beside images": [
        m(beside, "8 masks beside their images are left out", classes=LETTERS, count=6),
        m(beside, reads="segmentation", classes=GROUND, count=6, task="segmentation"),
    ],
    "several masks": [m(beside, "2 images have several masks, which are united", reads="segmentation", classes=GROUND,
                        task="segmentation")],
    "pairs of `images`": [
        m(PAIRED_FOLDERS, NOTE_OF_PAIRS, reads="segmentation", classes=GROUND, count=8),
        m(PAIRED_FOLDERS, "masks are left out", classes=("one", "two"), count=8, class_folders="top"),
    ],
    "images and masks, or": [
        m(XY, refused="'y' holds a mask for the images in 'x'"),
        m(changed(write_nnunet, lambda at: (at / "dataset.json").unlink()), refused="'labelsTr' holds a mask"),
        m(XY, classes=("x", "y"), class_folders="top"),
    ],
    "files and folders of images beside": [
        m(changed(write_decathlon, lambda at: save_volume(at / "imagesTr/b.nii.gz", scan(9)[0])),
          "1 files beside those listed are left out: imagesTr/b.nii.gz", reads="segmentation", classes=TUMOUR),
        m(changed(write_nnunet, lambda at: save_volume(at / "imagesTs/b_0000.nii.gz", scan(9)[0])),
          "folders beside are left out: imagesTs", reads="segmentation", classes=TUMOUR),
    ],
    "DICOM files": [
        m(series, "32 slices are 4 volumes", classes=LETTERS, count=4),
        m(series, classes=LETTERS, count=4, dicom="series"),
        m(series, classes=LETTERS, count=32, dicom="images"),
    ],
    "one folder called": [m(folders("test", "cat"), "a class is named like a split: test", classes=("cat", "test"))],
    "all classes called": [
        m(npz(images=grey(8), labels=np.array(["train", "test"] * 4)), refused="are names of splits"),
        m(npz(images=grey(8), labels=np.array(["train", "test"] * 4)), "are names of splits",
          classes=("test", "train"), doubts="warn"),
    ],
    "a class called like a folder": [
        m(folders("masks", "cat", each=2), "named like masks: masks", classes=("cat", "masks")),
        m(folders("overlays", "images"), "named like masks: overlays", classes=("images", "overlays")),
        m(folders("images", "cat"), "named like a folder of images: images", classes=("cat", "images")),
    ],
    "classes whose images all have one mode": [
        m(coloured, "the mode of an image tells its class (grey: a; colour: b)", classes=LETTERS),
        m(resized, "the size (height x width) of an image tells its class (20 x 20: a; 40 x 40: b)", classes=LETTERS),
    ],
    "tables (CSV, TSV)": [
        m(changed(folders(*LETTERS), lambda at: (at / "t.csv").write_text("x")), "are not read: t.csv",
          classes=LETTERS),
        m(cells(*LETTERS), classes=LETTERS, count=24),
        m(patients, "3 groups", classes=LETTERS, group_table="../t.csv", group_column="patient"),
    ],
    "a column of a table": [
        m(cells(*SPLIT, header="path,label,part"), "the column 'part' names the split", classes=LETTERS, count=12),
        m(cells(*SPLIT, header="path,label,part"), classes=LETTERS, count=24, split="all"),
    ],
    "columns of truth values": [
        *(m(cells(f"a,{yes}", f"b,{yes}", f"a,{no}", f"b,{no}", f"a,{no}", f"b,{no}", header=f"path,label,{name}"),
            f"the column '{name}' tells the split", f'split "train" of {others}', classes=LETTERS, count=count)
          for name, yes, no, others, count in (
              ("is_valid", "True", "False", "train, valid", 16), ("isVal", "yes", "no", "train, valid", 16),
              ("validation", "1.0", "0.0", "train, valid", 16), ("is_test", "TRUE", "FALSE", "test, train", 16),
              ("test", "1", "0", "test, train", 16), ("is_train", "1", "0", "test, train", 8),
              ("train", "t", "f", "test, train", 8), ("Is Training", "Y", "N", "test, train", 8))),
        m(ASKED, classes=LETTERS, count=12, split="val"),
        m(ASKED, classes=LETTERS, count=24, split="all"),
        m(cells("a,1,0", "b,1,0", "a,0,1", "b,0,1", "a,0,0", "b,0,0", header="path,label,is_valid,is_test"),
          "the columns 'is_valid', 'is_test' tell", classes=LETTERS, count=8),
        m(cells("a,1,0", "b,1,0", "a,0,1", "b,0,1", "a,0,0", "b,0,0", header="path,label,train,test"),
          "8 rows without a split are left out", classes=LETTERS, count=8),
        m(cells("a,1", "b,0", header="path,label,positive"), classes=LETTERS, count=24, quiet=("split",)),
        m(cells("a,1", "b,2", "a,0", header="path,label,test"), classes=LETTERS, count=24, quiet=("split",)),
        m(cells("1,0", "0,1", header="path,test,train"), reads="multilabel", classes=("test", "train"), count=24,
          label_column="test,train", quiet=("split",)),
    ],
    "a column `fold`": [
        m(cells("a,fold0", "b,fold0", "a,fold1", "b,fold1", header="path,label,fold"), "fold0, fold1 are read together",
          classes=LETTERS, count=24),
        m(FOLDS, "the column 'fold' names", "fold_0, fold_1 are read together", classes=LETTERS, count=24),
        m(FOLDS, classes=LETTERS, count=12, split="fold_0"),
    ],
    "several columns that may": [
        m(cells("a,1,0", "b,1,1", "a,0,0", header="path,label,is_valid,is_test"), "contradict each other",
          classes=LETTERS, count=24),
        m(cells("a,train,test", "b,test,train", header="path,label,one,two"), "'one', 'two' are not taken as splits",
          classes=LETTERS, count=24),
        m(cells("a,1,0", "b,0,1", header="path,label,val,is_valid"), "several ask for one", classes=LETTERS, count=24),
    ],
    "paths of a table": [m(cells(*LETTERS, folders=("train", "test")), "test, train are read together",
                           classes=LETTERS)],
    "a quote in a table": [
        m(noted({5: '"5 in', 15: '7" or so'}), refused="a quote in line 7 runs on to line 17"),
        m(noted({5: '"5 in', 6: '7"'}), refused="a quote in line 7 runs on to line 8, which looks like a row"),
        m(noted({5: '"5 in'}), refused="a quote in line 7 is never closed"),
        m(noted({5: '"5"" in"', 15: '7" or so'}), classes=LETTERS, count=24),
    ],
    "further lines of a quoted note": [
        m(noted({5: '"soft\nround, firm, red"'}), "row 7 hold lines with as many", classes=LETTERS, count=24),
        m(noted({5: '"soft\nround, red"'}), classes=LETTERS, count=24),
    ],
    "files beside class folders": [
        m(changed(folders(*LETTERS), lambda at: (at / "a" / "x.abc").write_text("x")), ".abc (1)", classes=LETTERS),
    ],
    "arrays called": [
        m(npz(x_train=grey(8), y_train=np.arange(8) % 2), "those of 'x_train', labels those of 'y_train'",
          classes=("0", "1")),
        m(npz(data=grey(8), target=np.arange(8) % 2), "those of 'data', labels those of 'target'", classes=("0", "1")),
        m(npz(x=grey(8), data=grey(8), y=np.arange(8) % 2), refused="no array 'images'"),
        m(npz(x=grey(8), data=grey(8), y=np.arange(8) % 2), classes=("0", "1"), images_key="x", labels_key="y"),
    ],
    "labels and masks": [
        m(npz(**BOTH), "masks are left out in favour of labels", classes=("0", "1")),
        m(npz(**BOTH), reads="segmentation", classes=GROUND, task="segmentation"),
        m(npz(**BOTH), reads="segmentation", classes=GROUND, labels_key="masks", images_key="images"),
    ],
    "numbers with decimals": [
        m(cells("0.5", "1.25"), reads="regression"),
        m(cells("0.5", "1.25"), classes=("0.5", "1.25"), task="classification"),
    ],
    "whole numbers, few": [
        m(cells(*map(str, range(30, 54))), refused="a measure, or classes?"),
        m(cells(*map(str, range(30, 54))), reads="regression", task="regression"),
        m(cells(*map(str, range(30, 54))), classes=tuple(map(str, range(30, 54))), task="classification"),
    ],
    "whole numbers from 0": [
        m(cells(*map(str, range(12))), "12 classes are numbers", classes=tuple(map(str, range(12)))),
        m(folders(*map(str, range(20, 28)), each=2), "8 classes are numbers", classes=tuple(map(str, range(20, 28)))),
        m(cells(*map(str, range(12))), reads="regression", task="regression"),
    ],
    "-1, 99": [
        m(cells("0", "1", "2", "99"), refused="are 99: a class, or no label?"),
        m(cells("0", "1", "-1"), refused="are -1: a class, or no label?"),
        m(cells("0", "1", "-1"), classes=("-1", "0", "1"), task="classification"),
        m(cells("0", "1", "-1"), "8 of 24 images with uncertain", classes=("0", "1"), count=16, uncertain="ignore"),
    ],
    "numbers with marks between": [
        m(cells('"1,037.37"', "950.2"), "marks between thousands, such as 1,037.37", reads="regression"),
        m(cells("1 037", "950.5"), "marks between thousands, such as 1 037", reads="regression"),
        m(cells("1 037", "950.5"), classes=("1 037", "950.5"), task="classification"),
    ],
    "`1,037` beside": [
        m(cells('"1,037"', "950"), refused="may be 1037 or 1.037"),
        m(cells('"1,037"', "950"), classes=("1,037", "950"), task="classification"),
    ],
    "-1, -999": [
        *(m(cells(*DECIMALS, code), refused=f"3 of 24 labels are {code}, far from the others: no labels?")
          for code in ("-999", "-9999", "9999", "999999", "1e+09", "-1", "99", "-9", "-77", "-999.9", "32767")),
        m(cells(*(str(age) for age in range(30, 52)), "999", "999"), refused="2 of 24 labels are 999",
          task="regression"),
        m(npz(images=grey(8), labels=np.array([0.5, 0.7, 0.2, 0.9, 0.4, -999, -999, 1.2])), refused="2 of 8 labels"),
        m(cells(*DECIMALS, "-999"), "3 of 24 labels are -999", reads="regression", doubts="warn", count=24),
        m(cells(*DECIMALS, ""), "3 of 24 images without", reads="regression", missing_labels="skip", count=21),
        m(cells(*DECIMALS, "-1"), "3 of 24 images with", reads="regression", uncertain="ignore", count=21),
        *(m(cells(*usual, *more), reads="regression", task="regression", quiet=QUIET)
          for usual, more in ((map(str, range(40, 98)), ()), (["21", "88", "45", "99"], ()), (DECIMALS, ["-0.5", "-1"]),
                              (["-20.5", "-9", "-1", "12.5", "3.5", "-15"], ()), (DECIMALS, ["1.5"]))),
    ],
    "a label of a regression": [
        m(cells(*DECIMALS * 3, *DECIMALS[:2], "250"), "the label 250 of img/023.png is far", reads="regression"),
        m(cells(*DECIMALS * 3, *DECIMALS[:2], "-999"), "the label -999 of img/023.png", reads="regression"),
        m(cells(*(f"{1.5 ** place:.3f}" for place in range(24))), reads="regression", quiet=QUIET),
    ],
    "nine in ten classes": [
        m(cells(*(f"x{number}" for number in range(24))), "24 of 24 classes have one image each",
          classes=tuple(sorted(f"x{number}" for number in range(24)))),
        m(cells(*(f"{number + 30}" for number in range(24))), reads="regression", task="regression"),
    ],
    "numbers with a unit": [
        m(cells("12.5 mm", "3.5 mm"), refused="'mm' behind them"),
        m(cells("12.5 mm", "3.5 mm"), classes=("12.5 mm", "3.5 mm"), task="classification"),
    ],
    r"`a\|b`, `a;b`": [
        *(m(cells(cell, "a", "b") if "[" not in cell else cells(cell, "['a']"), "several labels", reads="multilabel",
            classes=LETTERS) for cell in ("a|b", "a;b", "\"['a', 'b']\"")),
        m(cells("a|b", "a", "b"), classes=("a", "a|b", "b"), task="classification"),
    ],
    "brackets around all cells, several": [
        m(cells('"[0, 10]"', '"[10, 20]"'), refused="may be one class or several labels"),
        m(cells('"[0, 10]"', '"[10, 20]"'), classes=("[0, 10]", "[10, 20]"), task="classification"),
        m(cells('"[0, 10]"', '"[10, 20]"'), "several labels", reads="multilabel", classes=("0", "10", "20"),
          task="multilabel"),
    ],
    "brackets around all cells, one": [
        m(cells("(benign)", "(malignant)"), classes=("(benign)", "(malignant)")),
        m(cells("[a]", "[b]"), reads="multilabel", classes=LETTERS, task="multilabel"),
    ],
    "`a/b`, `a+b`": [
        m(cells(cell, "a", "b"), "are made of others", classes=tuple(sorted((cell, "a", "b"))))
        for cell in ("a/b", "a+b", "a b")
    ],
    "one word among": [m(cells("0", "1", "x"), refused="the label 'x' of row 4 (img/002.png) in column 'label'")],
    "blank and -1": [
        m(CHEX, refused="--uncertain zeros, ones or ignore", label_column="Edema,Effusion"),
        *(m(CHEX, said, reads="multilabel", classes=("Edema", "Effusion"), count=count, uncertain=rule,
            label_column="Edema,Effusion")
          for rule, said, count in (("zeros", "read as 0", 24), ("ones", "read as 1", 24), ("ignore", "6 of 24", 18))),
    ],
    "classes that differ": [
        m(cells("Ant", "ant", "bee"), "differ in spelling only: 'Ant', 'ant'", classes=("Ant", "ant", "bee")),
        *(m(cells(one, "1", "2"), f"differ in spelling only: {', '.join(map(repr, sorted([one, '1'])))}",
            classes=(*sorted([one, "1"]), "2")) for one in ("01", "+1", "1e0", "\uff11", "001")),
        m(cells("01", "1", "x", "y", "z"), "differ in spelling only: '01', '1'", classes=("01", "1", "x", "y", "z")),
        m(cells("1E+05", "100000", "5"), "spelling only: '100000', '1E+05'", classes=("5", "100000", "1E+05")),
        m(cells("1.10", "1.1", "2.5"), "spelling only: '1.1', '1.10'", classes=("1.1", "1.10", "2.5"),
          task="classification"),
        m(folders("01", "1", "x"), "spelling only: '01', '1'", classes=("01", "1", "x")),
        m(npz(images=grey(8), labels=np.array(["01", "1", "2", "3"] * 2)), "spelling only: '01', '1'",
          classes=("01", "1", "2", "3")),
        m(cells("1", "1.0", "2"), classes=("1", "2")),
    ],
    "names without suffix": [
        m(cells(*LETTERS, named=""), "named without their suffix", classes=LETTERS),
        m(cells(*LETTERS, named=".jpg"), "named with .jpg and found as .png", classes=LETTERS),
        m(cells(*LETTERS, folderless=True), "found by their name in the folders below", classes=LETTERS),
        m(changed(cells(*LETTERS, folderless=True), lambda at: (at / "img").rename(at.parent / "img")), classes=LETTERS,
          image_root="../img"),
    ],
    "one image under two": [
        m(linked("a"), "1 further names of the same images", classes=LETTERS, count=24),
        m(linked("b"), refused="are one image with two labels"),
    ],
    "file names that suggest": [
        m(patients, "--group-pattern", classes=LETTERS),
        m(patients, "3 groups", classes=LETTERS, group_pattern="(p[0-9]+)_"),
        m(patients, "3 groups", classes=LETTERS, group_table="../t.csv", group_column="patient"),
        m(patients_in_a_table, "3 groups", classes=LETTERS, group_column="patient"),
    ],
    "columns of a table called": [
        *(m(cells("a,1", "b,1", "a,2", "b,2", "a,3", "b,3", header=f"path,label,{name}"),
            "on both sides of a split", f"--group-column {said or name}", classes=LETTERS, quiet=("file names",))
          for name, said in (
              *((name, "") for name in (
                  "patient", "patient_id", "Patient-ID", "PatientID", "patientId", "subject", "SubjectID", "subjects",
                  "participant", "participant_id", "person", "case", "case_id", "study", "StudyInstanceUID", "study_id",
                  "lesion_id", "lesionID", "slide", "slide_name", "anon_patient_id", "MRN", "donor", "specimen_id",
                  "exam_id", "SeriesInstanceUID", "scan_no")),
              ("Patient ID", "'Patient ID'"))),
        m(patients_in_a_table, "by the column 'patient'", "up to 4 of one", classes=LETTERS, quiet=("file names",)),
        m(patients_in_a_table, classes=LETTERS, group_pattern="(p[0-9]+)_", quiet=("by the column",)),
        m(patients_in_a_table, "3 groups", classes=LETTERS, group_column="patient", quiet=("by the column",)),
        m(patients_in_a_table, "3 groups", classes=LETTERS, group_table="../data/t.csv", group_column="patient",
          quiet=("by the column",)),
        m(cells("a,1,9", "b,1,9", "a,2,8", "b,2,8", "a,3,7", "b,4,7", header="path,label,lesion_id,patient"),
          "one of the columns 'patient', 'lesion_id'", "--group-column patient", classes=LETTERS),
        m(cells("a,1", "b,1", "a,2", "b,2", "a,3", "b,", header="path,label,patient"), "4 rows name none",
          classes=LETTERS),
        m(cells(*(f"{'ab'[place % 2]},{place}" for place in range(24)), header="path,label,patient"), classes=LETTERS,
          quiet=("group",)),
        *(m(cells("a,1", "b,1", "a,2", "b,2", header=f"path,label,{name}"), classes=LETTERS, quiet=("group",))
          for name in ("patient_age", "Patient Gender", "lesion", "lesion_type", "image_id", "id", "site", "sample",
                       "follow_up", "Finding Labels", "number of patients")),
        m(cells("a,1", "b,1", "a,0", "b,0", header="path,label,case"), classes=LETTERS, quiet=("group",)),
        m(cells("a,1", "b,1", "a,1", "b,1", header="path,label,study"), classes=LETTERS, quiet=("group",)),
    ],
    "several columns of 0": [
        m(cells("1,0", "0,1", header=CODED), "exactly one of the 2 labels", reads="multilabel",
          classes=("Edema", "Effusion"), label_column="Edema,Effusion"),
        m(cells("1,0", "0,1", header=CODED), classes=("Edema", "Effusion"), label_column="Edema,Effusion",
          task="classification"),
    ],
    "missing labels": [
        *(m(cells("a", "b", word), refused="8 of 24 labels are missing")
          for word in ("", "None", "unknown", "?", "#REF!", "####")),
        m(cells("a", "b", "#REF!"), "8 of 24 images without a label", classes=LETTERS, missing_labels="skip"),
        m(cells("a", "b", "#REF!"), refused="8 of 24 labels are missing", missing_labels="keep"),
        m(cells("a", "b", "?"), "8 of 24 images without a label", classes=LETTERS, missing_labels="skip"),
        m(cells("a", "b", "?"), "classes named '?'", classes=("?", "a", "b"), missing_labels="keep"),
    ],
    "one class with 95%": [m(cells(*["a"] * 23, "b"), "a has 95.8% of the images", classes=LETTERS)],
    "a class with one image": [
        m(cells(*["a", "b"] * 11, "a", "c"), "classes with one image only: c (", classes=("a", "b", "c")),
        m(changed(folders(*LETTERS, "c", "d", each=6), lambda at: [one.unlink() for one in at.glob("[cd]/[1-5].png")]),
          "classes with one image only: c, d (", classes=("a", "b", "c", "d")),
        m(cells(*["a", "b"] * 11, "c", "c"), classes=("a", "b", "c"), quiet=("one image",)),
        m(cells(*["1,0,0,1", "0,1,0,1"] * 11, "1,1,1,1", "0,1,0,1", header="path,A,B,C,D"),
          "labels that one image or none has, or lacks: C, D (", reads="multilabel", classes=("A", "B", "C", "D"),
          label_column="A,B,C,D"),
        m(lambda at: masked_set(at, [*boxes(4, 0, 1), *boxes(1, 0, 1, 2)]),
          "classes in one mask only, of the 5 images examined: 2 (", reads="segmentation", classes=("0", "1", "2")),
    ],
    "grey images of 10": [
        m(stored(deep), "read as 12 bits, 4095 is white", classes=LETTERS),
        m(stored(deep), "images: window 0 to 1000", classes=LETTERS, intensity="window:0,1000"),
    ],
    "negative or signed": [
        m(stored(signed, ".tif"), refused="holds values from -"),
        m(stored(signed, ".tif"), "images: window -1000 to 800", classes=LETTERS, intensity="window:-1000,800"),
    ],
    "float images": [
        m(stored(float_image, ".tif"), "assumed range [0, 1]", classes=LETTERS),
        m(stored(lambda place: float_image(place) * 255, ".tif"), "assumed range [0, 255]", classes=LETTERS),
        m(stored(float_image, ".tif"), "images: percentile", classes=LETTERS, intensity="percentile"),
    ],
    "items of arrays": [
        m(npz(images=np.stack([np.stack([one] * 13, -1) for one in grey(8)]), labels=np.arange(8) % 2),
          "is a volume of 20 slices of 20 x 13", classes=("0", "1")),
    ],
    "volumes": [
        m(lambda at: write_nnunet(at, channel_names={"0": "CT"}), "window -1000 to 1000", reads="segmentation",
          classes=TUMOUR),
        m(write_nnunet, "MRI: percentile", reads="segmentation", classes=TUMOUR),
        m(write_nnunet, "MRI: zscore", reads="segmentation", classes=TUMOUR, intensity="zscore"),
    ],
    "transparent parts": [m(transparent, "alpha is dropped, though parts are transparent (6 of 6 images)",
                            classes=LETTERS)],
    "images or masks of several pages": [
        m(pages, refused="has 8 pages"),
        m(pages, "the first is read", classes=LETTERS, count=8, pages="first"),
        m(pages, "are the slices of a volume", classes=LETTERS, count=8, pages="volume"),
    ],
    "250 to 255": [
        m(masks(0, 1, 2, 255), refused="which may be a class or mark ignored"),
        m(masks(0, 1, 254, 255), refused="hold 0, 1, 254 and 255, which may be a class or mark ignored"),
        m(masks(0, 1, 254, 255), reads="segmentation", classes=("0", "1", "254", "255"), ignore_value="none"),
        m(masks(0, 1, 2, 250), refused="--ignore-value 250"),
        m(masks(0, 1, 2, 255), "255 is ignored", reads="segmentation", classes=("0", "1", "2"), ignore_value="255"),
        m(masks(0, 1, 2, 255), reads="segmentation", classes=("0", "1", "2", "255"), ignore_value="none"),
    ],
    "128, or the like": [
        m(saved(".png", bordered, 0, 255), refused="128 only at edges"),
        m(saved(".png", bordered, 0, 255), "128 is ignored", reads="segmentation", classes=GROUND, ignore_value="128"),
        m(saved(".png", bordered, 0, 255), reads="segmentation", classes=("0", "128", "255"), ignore_value="none"),
    ],
    "masks in JPEG": [
        m(saved(".jpg", same, 0, 1, quality=90), "masks are JPEG", reads="segmentation", classes=("0", "1", "2")),
        m(saved(".jpg", same, 0, 1, quality=90), reads="segmentation", classes=GROUND, ignore_value="2"),
    ],
    "negative values in masks": [
        m(npz(images=grey(8), masks=np.stack([box.astype(np.int16) - 2 * np.eye(20, dtype=np.int16)
                                              for box in boxes(8, 0, 1)])),
          "negative values are ignored", reads="segmentation", classes=GROUND),
    ],
    "8 values or more": [
        m(numbered, refused="may number objects (instances)"),
        m(numbered, reads="segmentation", classes=NUMBERED, ignore_value="none"),
    ],
    "palettes that give": [
        m(painted((0, 1), (BLACK, RED), (0, 2), (BLACK, GREEN, RED)),
          refused="the colour (200, 0, 0) is 1 in one and 2 in the other"),
        m(painted((0, 1), (BLACK, RED), (0, 1), (BLACK, GREEN)), refused="1 is (200, 0, 0) in one and (0, 200, 0)"),
        m(painted((0, 1), (BLACK, RED), (0, 1), (BLACK, RED, GREEN)), reads="segmentation", classes=GROUND),
        m(painted((0, 1), (BLACK, RED), (0, 1, 2), (BLACK, RED, GREEN)), reads="segmentation",
          classes=("0", "1", "2")),
    ],
    "values between two": [m(saved(".jpg", same, 0, 255, quality=75), "are taken as the nearest",
                             reads="segmentation", classes=GROUND)],
    "values that `dataset.json`": [
        m(values_of_two, refused="does not list: 2 ("),
        m(values_of_two, "2 is ignored", reads="segmentation", classes=TUMOUR, ignore_value="2"),
    ],
    "eight masks or more that are all equal": [
        m(one_shape, refused="the masks of the 8 images examined are equal"),
        m(one_shape, "the masks of the 8 images examined are equal", reads="segmentation", classes=GROUND,
          doubts="warn"),
    ],
    "all masks examined": [
        m(no_tumour, refused="examined hold one class only, background"),
        m(no_tumour_in_a_list, refused="examined hold one class only, background"),
        m(no_tumour, "examined hold one class only, background", reads="segmentation", classes=TUMOUR, doubts="warn"),
        m(masks(0), refused="the masks hold one value only"),
    ],
    "a mask or channel": [
        m(shifted(0.3), "1 volumes lie slightly beside", reads="segmentation", classes=TUMOUR),
        m(shifted(5), refused="lies elsewhere than"),
        m(shifted(5), "geometry: by array", reads="segmentation", classes=TUMOUR, geometry="array"),
        m(shifted(5), "geometry: by header", reads="segmentation", classes=TUMOUR, geometry="header"),
    ],
    "a file that cannot": [
        m(changed(folders(*LETTERS, each=12), cut("a/1.png")), classes=LETTERS, count=23),
        m(changed(folders(*LETTERS, each=12), cut("a/1.png", "a/2.png")), refused="2 of 24 images"),
        m(changed(folders(*LETTERS, each=12), cut("a/1.png")), refused="cannot read the image", bad_images="fail"),
        m(changed(folders(*LETTERS, each=12), cut("a/1.png", "a/2.png")), classes=LETTERS, count=22,
          bad_images="skip-all"),
    ],
    "files that a table or": [
        m(without_file(2), refused="2 of 24 images are missing: img/004.png, img/005.png"),
        m(without_file(1), refused="--bad-images skip", bad_images="fail"),
        m(without_file(2), refused="--bad-images skip-all", bad_images="skip"),
        m(without_file(1), classes=LETTERS, count=23, bad_images="skip"),
        m(without_file(2), classes=LETTERS, count=22, bad_images="skip-all"),
        m(without_file(20), classes=LETTERS, count=4, bad_images="skip-all"),
        m(without_file(24), refused="24 of 24 images are missing", bad_images="skip-all"),
        m(without_volume, refused="lacks 1 files: "),
        m(without_volume, reads="segmentation", classes=TUMOUR, bad_images="skip"),
    ],
    "the only image": [
        m(changed(cells(*["a", "b"] * 11, "a", "c"), lambda at: (at / "img" / "023.png").unlink()),
          refused="no image of c is there: img/023.png", bad_images="skip"),
        m(changed(folders(*LETTERS, "c", each=9), lambda at: [path.unlink() for path in (at / "c").glob("[1-8].png")]
                  + [cut("c/0.png")(at)]), refused="c"),
    ],
    "every image holds": [
        m(flat, refused="holds one value only"),
        m(stored(lambda _: grey(1)[0]), refused="8 images are equal"),
        m(flat, "holds one value only", classes=LETTERS, doubts="warn"),
    ],
    "equal images under": [
        m(changed(folders(*LETTERS), same_pictures(1)), "of different labels show the same", classes=LETTERS),
        m(changed(folders(*LETTERS), same_pictures(2)), refused="4 of 6 images are there under several labels"),
        m(changed(folders(*LETTERS), same_pictures(2)), "4 of 6 images", classes=LETTERS, doubts="warn"),
    ],
    "nearly equal images": [
        m(changed(smooth(*LETTERS), copies(1)), "different labels show the same: a/0.png and b/copy0.png",
          classes=LETTERS),
    ],
}  # fmt: skip
#: Rows that no single reading of a target shows, tried below.
BELOW = ["values that reach a network", "any other value"]
NAMES = list(rows())


def row_of(start: str) -> str:
    (found,) = [row for row in NAMES if row.startswith(start) and not (start == "volumes" and row != "volumes")]
    return found


@pytest.mark.parametrize("start", TRIALS)
def test_a_row_is_as_it_says(start: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for number, member in enumerate(TRIALS[start]):
        folder = tmp_path / f"{number}"
        (folder / "here").mkdir(parents=True)
        monkeypatch.chdir(folder / "here")  # options may name ../t.csv
        assert misread(member, folder) == [], member.name


def test_every_row_has_its_trial() -> None:
    assert sorted(map(row_of, [*TRIALS, *BELOW])) == sorted(NAMES)


@pytest.mark.parametrize("start", TRIALS)
def test_every_option_of_a_row_is_tried(start: str) -> None:
    tried = [member.options for member in TRIALS[start]]
    for code in re.findall(r"`--([^`]+)`", rows()[row_of(start)]):
        name, _, value = code.replace("--", "", 1).partition(" ")
        key = name.replace("-", "_")
        if key == "data":
            continue
        found = [options[key] for options in tried if key in options]
        is_free = not value or value.isupper() or "." in value or "," in value
        assert found if is_free else value in found, code


def test_values_that_hardly_vary_at_a_network(tmp_path: Path) -> None:
    target = open_target(stored(lambda place: grey(8)[place] // 16)(tmp_path / "t"))
    examination = Examination()
    values = understand(examination.look(target, range(8)), examination).values
    assert values is not None
    reached = values.normalised([0.5], [0.5])
    assert reached.deviation < 0.1
    assert "with a standard deviation of 0.0" in deviation_warning(reached.deviation, ["net"])
    stretched = open_target(tmp_path / "t", intensity="percentile")
    examination = Examination()
    wide = understand(examination.look(stretched, range(8)), examination).values
    assert wide is not None
    assert wide.normalised([0.5], [0.5]).deviation > 0.1


def test_a_mask_with_a_value_of_its_own(tmp_path: Path) -> None:
    """The values of 66 masks are told from 64 of them; the one beside is refused when it is read."""
    path = masked_set(tmp_path / "t", boxes(66, 0, 1), names=("{:03d}", "{:03d}"))
    sampled = np.linspace(0, 65, 64).round().astype(int).tolist()
    odd = next(place for place in range(66) if place not in sampled)
    Image.fromarray(np.full((20, 20), 7, np.uint8)).save(path / "masks" / f"{odd:03d}.png")
    target = open_target(path)
    with pytest.raises(TargetError, match=rf"{odd:03d}\.png holds the value 7; the classes are 0, 1"):
        target.mask_store.mask(odd)


def test_copies_in_several_splits(tmp_path: Path) -> None:
    path = smooth("train/cat", "train/dog", "test/cat", "test/dog")(tmp_path / "t")
    Image.open(path / "train/cat/0.png").resize((40, 40)).save(path / "test/cat/0.png")
    target, examination = open_target(path, split="all"), Examination()
    examination.look(target, range(len(target)))
    (said,) = split_leaks(examination.facts, {name: name.split("/")[0] for name in target.ids})
    assert "of different splits show the same" in said
    assert json.dumps(said).count("cat/0.png") == 2
