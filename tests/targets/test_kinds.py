"""Further members of the kinds of data that were once misread: read rightly, warned of, or refused with a hint."""

from __future__ import annotations

import json
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from helpers.image_sets import bordered, boxes, grey, masked_set, same, saved, table, tree
from helpers.members import Make, Member, misread
from helpers.volume_sets import pairs, save_volume, scan, write_decathlon, write_nnunet
from PIL import Image

from acrank.targets import open_target

NFD = "Mu\u0308ll"
NFC = unicodedata.normalize("NFC", NFD)


def splits(*names: str) -> Make:
    return lambda at: tree(at, *[f"{split}/{label}" for split in names for label in ("cat", "dog")])


PETS = ("cat", "dog")
GROUND = ("background", "foreground")
TREES = [
    Member("Train_Data", splits("Train_Data", "Valid_Data"), classes=PETS, count=6, said=('split "Train_Data"',)),
    Member("tr and ts", splits("tr", "ts"), classes=PETS, count=6, said=('split "tr" of tr, ts',)),
    Member("numbered", splits("1_train", "2_test"), classes=PETS, count=6, said=('split "1_train"',)),
    Member("cv1", splits("cv1", "cv2", "cv3"), classes=PETS, count=18, said=("cv1, cv2, cv3 are read together",)),
    Member("groups", splits("hospital_A", "hospital_B"), classes=PETS, count=12, said=("in 2 groups",)),
    Member("sessions", splits("session1", "session2"), refused=("--class-folders", "point --data at", "session1")),
    Member("wrapped", lambda at: tree(at, "all/cat", "all/dog"), refused=("one class only", "point --data at", "/all")),
    Member(
        "composed and decomposed letters",
        lambda at: tree(at, f"train/{NFC}", "train/b", f"test/{NFD}", "test/b"),
        classes=(NFC, "b")[::-1] if NFC > "b" else (NFC, "b"),
        count=12,
        options={"split": "all"},
    ),
    Member(
        "ages as folders",
        lambda at: tree(at, *map(str, range(20, 32)), each=2),
        classes=tuple(map(str, range(20, 32))),
        said=("12 classes are numbers",),
    ),
]


def unlisted(at: Path, name: str = "") -> Path:
    """Volumes and masks whose description is missing, or has another name."""
    write_nnunet(at)
    described = at / "dataset.json"
    described.rename(at / name) if name else described.unlink()
    return at


def one_image_a_folder(at: Path) -> Path:
    """As the Data Science Bowl of 2018: a folder for each image, with a mask for each nucleus."""
    for place in range(4):
        masked_set(at / f"id{place}", [np.zeros((20, 20), np.uint8)], names=("scan", "first"), first=place)
        for number in range(2):
            mask = np.zeros((20, 20), np.uint8)
            mask[3 + 8 * number : 8 + 8 * number, 4:9] = 255
            Image.fromarray(mask).save(at / f"id{place}" / "masks" / f"nucleus{number}.png")
    return at


def parts(*pairs_of_folders: tuple[str, str]) -> Make:
    def make(at: Path) -> Path:
        for place, (images, masks) in enumerate(pairs_of_folders):
            masked_set(at, boxes(4), folders=(images, masks), first=4 * place)
        return at

    return make


MASKED = [
    Member("x and y", parts(("x", "y")), refused=("'y' holds a mask for the images in 'x'", "--class-folders top")),
    Member("gts", parts(("imgs", "gts")), task="segmentation", classes=GROUND, count=4),
    Member(
        "folders in both",
        parts(("images/benign", "masks/benign"), ("images/malignant", "masks/malignant")),
        task="segmentation",
        classes=GROUND,
        count=8,
    ),
    Member(
        "pairs in folders",
        parts(("benign/images", "benign/masks"), ("malignant/images", "malignant/masks")),
        task="segmentation",
        classes=GROUND,
        count=8,
        said=("lie in 2 folders, read together: benign, malignant",),
    ),
    Member(
        "pairs in folders as classes",
        parts(("benign/images", "benign/masks"), ("malignant/images", "malignant/masks")),
        classes=("benign", "malignant"),
        count=8,
        said=("8 masks are left out, in folders such as benign/masks",),
        options={"class_folders": "top"},
    ),
    Member(
        "a folder an image",
        one_image_a_folder,
        task="segmentation",
        classes=GROUND,
        count=4,
        said=("4 images have several masks, which are united",),
    ),
    Member("folders of masks", parts(("images", "masks/MA"), ("images", "masks/EX")), refused=("EX, MA", "one mask")),
    Member("volumes without description", unlisted, refused=("'labelsTr' holds a mask", "dataset.json")),
    Member("another description", lambda at: unlisted(at, "dataset_0.json"), refused=("is dataset_0.json its",)),
]


def paged(at: Path, part: str) -> Path:
    masked_set(at, boxes(4, 0, 1))
    for path in list((at / part).iterdir()):
        pages = [Image.open(path), Image.new("L", (20, 20))]
        pages[0].save(path.with_suffix(".tif"), save_all=True, append_images=pages[1:])
        path.unlink()
    return at


GREYS = ("0", "128", "255")
VALUES = [
    Member(
        "254 beside small values", lambda at: masked_set(at, boxes(4, 0, 1, 2, 254)), refused=("--ignore-value 254",)
    ),
    Member(
        "254 ignored",
        lambda at: masked_set(at, boxes(4, 0, 1, 2, 254)),
        task="segmentation",
        classes=("0", "1", "2"),
        said=("254 is ignored",),
        options={"ignore_value": "254"},
    ),
    Member("grey levels", lambda at: masked_set(at, boxes(4, 0, 128, 255)), task="segmentation", classes=GREYS),
    Member("a level at edges", saved(".png", bordered, 0, 255), refused=("128 only at edges", "--ignore-value 128")),
    Member(
        "a level at edges, ignored",
        saved(".png", bordered, 0, 255),
        task="segmentation",
        classes=GROUND,
        options={"ignore_value": "128"},
    ),
    Member(
        "a level at edges, a class",
        saved(".png", bordered, 0, 255),
        task="segmentation",
        classes=GREYS,
        options={"ignore_value": "none"},
    ),
    Member("JPEG", saved(".jpg", same, 0, 255, quality=50), task="segmentation", classes=GROUND, said=("with loss",)),
    Member(
        "JPEG of three levels",
        saved(".jpg", same, 0, 128, 255, quality=85),
        task="segmentation",
        classes=("0", "127", "255"),
        said=("with loss",),
    ),
    Member(
        "JPEG of 0 and 1",
        saved(".jpg", same, 0, 1, quality=90),
        task="segmentation",
        classes=("0", "1", "2"),
        said=("masks are JPEG, which adds values",),
    ),
    Member("1 bit", saved(".png", lambda mask: mask.convert("1"), 0, 255), task="segmentation", classes=GROUND),
    Member("masks of pages", lambda at: paged(at, "masks"), refused=("has 2 pages", "--pages first")),
    Member(
        "first pages of masks",
        lambda at: paged(at, "masks"),
        task="segmentation",
        classes=GROUND,
        options={"pages": "first"},
    ),
    Member("images of pages", lambda at: paged(at, "images"), refused=("has 2 pages", "--pages first")),
    Member(
        "pages with masks",
        lambda at: paged(at, "images"),
        refused=("pages with masks are not read as volumes",),
        options={"pages": "volume"},
    ),
    Member(
        "names in two Unicode forms",
        lambda at: masked_set(at, boxes(4), names=(f"{NFC}{{}}", f"{NFD}{{}}")),
        task="segmentation",
        classes=GROUND,
    ),
]


def labelled(*cells: str, header: str = "path,label", suffix: str = ".csv") -> Make:
    return lambda at: table(at, cells, header=header, suffix=suffix)


LABELS = [
    Member("lists of Python", labelled("\"['a', 'b']\"", "['a']", "['b']"), task="multilabel", classes=("a", "b")),
    Member("lists of JSON", labelled('"[""a"", ""b""]"', '"[""b""]"'), task="multilabel", classes=("a", "b")),
    Member("blanks around", labelled("a | b", "b"), task="multilabel", classes=("a", "b")),
    Member("slashes", labelled("a/b", "a", "b"), classes=("a", "a/b", "b"), said=("'a/b' are made of others",)),
    Member("thousands", labelled("1.234,5", "987,25", header="path;label"), task="regression"),
    Member("tabs", labelled("0,5", "1", "0,25", header="path\tlabel", suffix=".tsv"), task="regression"),
    Member("units", labelled("12.5 mm", "7.5 mm"), refused=("'mm' behind them", "--task classification")),
    Member("percent", labelled("12.5%", "7.5%"), refused=("'%' behind them",)),
    Member("magnifications", labelled("40X", "100X"), classes=("100X", "40X")),
    Member("years", labelled(*map(str, range(1950, 1974))), refused=("a measure, or classes?", "--task regression")),
    Member(
        "counts",
        labelled(*map(str, range(12))),
        classes=tuple(map(str, range(12))),
        said=("12 classes are numbers, of 2 images on average",),
    ),
    Member("-1", labelled("0", "1", "-1"), refused=("8 of 24 labels in column 'label' are -1", "--uncertain ignore")),
    Member("-1 a class", labelled("0", "1", "-1"), classes=("-1", "0", "1"), options={"task": "classification"}),
    Member("-1 and 1", labelled("1", "-1"), classes=("-1", "1")),
    Member("999", labelled("0", "1", "2", "999"), refused=("are 999: a class, or no label?",)),
    Member("N.A.", labelled("a", "b", "N.A."), refused=("8 of 24 labels are missing", "--missing-labels skip")),
    Member("not labeled", labelled("a", "b", "not labeled"), refused=("--missing-labels keep",)),
    Member("two Unicode forms", labelled(NFC, NFD, "b"), classes=tuple(sorted(("b", NFC)))),
    Member("other spelling", labelled("stage 1", "stage-1", "b"), classes=("b", "stage 1", "stage-1"), said=("spell",)),
]


def in_folders(*folders: str, header: str = "path,label", **more: Any) -> Make:
    return lambda at: table(at, ("a", "b"), folders=folders, header=header, **more)


TABLES = [
    Member(
        "a column of splits",
        labelled("a,train", "b,train", "a,test", "b,test", header="path,label,set"),
        classes=("a", "b"),
        count=12,
        said=("the column 'set' names the split", 'split "train"'),
    ),
    Member(
        "capitals",
        labelled("a,TRAIN", "b,TRAIN", "a,VAL", "b,VAL", header="path,label,SPLIT"),
        classes=("a", "b"),
        count=12,
        said=('split "TRAIN"',),
    ),
    Member(
        "two such columns",
        labelled("a,train,dev", "b,test,train", header="path,label,one,two"),
        classes=("a", "b"),
        count=24,
    ),
    Member(
        "splits as folders",
        in_folders("Train", "Test"),
        classes=("a", "b"),
        count=24,
        said=("images of Test, Train are read together",),
    ),
    Member("another suffix", in_folders("img", named=".jpg"), classes=("a", "b"), said=("found as .png",)),
    Member(
        "DICOM converted",
        in_folders("img", named=".dcm", folderless=True),
        classes=("a", "b"),
        said=("found as .png",),
    ),
    Member("capital suffix", in_folders("img", named="", stored=".PNG"), classes=("a", "b"), said=("without their",)),
    Member("another case", in_folders("img", rename=str.upper), refused=("there is img/000.png", "--image-root")),
    Member("lost zeros", in_folders("img", rename=lambda name: str(int(name[4:7]))), refused=("there is img/000.png",)),
]
PAIRED = {"labels": {"0": "background", "1": "tumour"}, "modality": {"0": "MRI"}}


def renamed(at: Path) -> Path:
    """A Decathlon set whose dataset.json has letters in another form than the files' names."""
    write_decathlon(at, training=[{key: value.replace("case", NFC) for key, value in one.items()} for one in pairs()])
    for path in [*(at / "imagesTr").iterdir(), *(at / "labelsTr").iterdir()]:
        path.rename(path.with_name(path.name.replace("case", NFD)))
    return at


def with_further(at: Path, name: str, write: Make, mask: str = "") -> Path:
    write(at)
    save_volume(at / name, scan(9)[0])
    if mask:
        save_volume(at / mask, scan(9)[1])
    return at


TUMOUR = {"task": "segmentation", "classes": ("background", "tumour"), "count": 4}
DESCRIBED: list[Member] = [
    Member("two Unicode forms", renamed, **TUMOUR),
    Member("ending without dot", lambda at: write_nnunet(at, file_ending="nii.gz"), **TUMOUR),
    Member("numbers in quotes", lambda at: write_nnunet(at, labels={"background": "0", "tumour": "1"}), **TUMOUR),
    Member(
        "a list of labels",
        lambda at: write_nnunet(at, labels=["background", "tumour"]),
        refused=("names and numbers", "nnU-Net v2"),
    ),
    Member(
        "an image that is not listed",
        lambda at: with_further(at, "imagesTr/case_099.nii.gz", write_decathlon),
        said=("1 files beside those listed are left out: imagesTr/case_099.nii.gz",),
        **TUMOUR,
    ),
    Member(
        "a set for validation",
        lambda at: with_further(at, "imagesVal/a_0000.nii.gz", write_nnunet, "labelsVal/a.nii.gz"),
        said=("folders beside are left out: imagesVal, labelsVal",),
        **TUMOUR,
    ),
    Member(
        "another kind of file",
        lambda at: with_further(at, "imagesTr/case_077_0000.nii", write_nnunet),
        said=("1 files in imagesTr that are not .nii.gz are left out",),
        **TUMOUR,
    ),
    Member(
        "masks under another key",
        lambda at: write_decathlon(at, training=[{"image": one["image"], "mask": one["label"]} for one in pairs()]),
        refused=("4 cases without a label are left out (they have mask)",),
    ),
]


def arrays(**more: Any) -> Make:
    def make(at: Path) -> Path:
        at.mkdir()
        labels = np.arange(24) % 2
        named = {"images": grey(24), "labels": labels}
        np.savez(at / "t.npz", **{**named, **{key: change(labels) for key, change in more.items()}})
        return at / "t.npz"

    return make


def pcam(given: str, *left: str) -> Make:
    """Images in x.h5 and labels [N, 1, 1, 1] in y.h5, as PatchCamelyon has them; `given` is the target."""

    def make(at: Path) -> Path:
        import h5py

        at.mkdir()
        contents = {"x": np.stack([grey(24)] * 3, -1), "y": (np.arange(24) % 2)[:, None, None, None]}
        for name in left or ("x", "y"):
            with h5py.File(at / f"{name}.h5", "w") as file:
                file[name] = contents[name]
        return at / given

    return make


ARRAYS = [
    Member("[N, 1, 1]", arrays(labels=lambda one: one[:, None, None]), classes=("0", "1")),
    Member("[1, N]", arrays(labels=lambda one: one[None]), refused=("1 labels in 'labels'",)),
    Member("[N, 1, 1, 2]", arrays(labels=lambda one: np.eye(2, dtype=int)[one][:, None, None]), task="multilabel",
           classes=("0", "1"), said=("exactly one of the 2 labels",)),
    Member("-1 in arrays", arrays(labels=lambda one: one - (np.arange(24) < 3)), refused=("are -1",)),
    Member("words", arrays(labels=lambda one: np.array(["a", "unknown"])[one]), classes=("a", "unknown"),
           said=("named 'unknown'",)),
    Member("x.h5 beside y.h5", pcam("x.h5"), refused=("no array 'labels'", "such as", "y.h5 beside it")),
    Member("x.h5 alone", pcam("x.h5", "x"), refused=("no array 'labels'; it has: x", "--labels-file names another")),
    Member("y.h5 as the data", pcam("y.h5"), refused=("this file holds labels", "--labels-file")),
    Member("the folder of both", pcam(""), refused=("of files of arrays name one, such as --data", "x.h5")),
]  # fmt: skip

ALL = [*TREES, *MASKED, *VALUES, *LABELS, *TABLES, *DESCRIBED, *ARRAYS]


@pytest.mark.parametrize("member", ALL, ids=lambda member: member.name)
def test_members(member: Member, tmp_path: Path) -> None:
    assert misread(member, tmp_path) == []


def test_both_files_of_a_pair_are_read(tmp_path: Path) -> None:
    path = pcam("x.h5")(tmp_path / "data")
    target = open_target(path, labels_file=str(path.with_name("y.h5")))
    assert (target.task, len(target), target.labels.tolist()) == ("classification", 24, [0, 1] * 12)


def test_a_group_in_two_unicode_forms_is_one(tmp_path: Path) -> None:
    cells = [f"{'ab'[place % 2]},{(NFC, NFD)[place % 2]}{place // 4}" for place in range(24)]
    target = open_target(table(tmp_path / "data", cells, header="path,label,patient"), group_column="patient")
    assert len(set(target.groups or ())) == 6


def test_names_in_json_may_be_anything(tmp_path: Path) -> None:
    path = write_nnunet(tmp_path / "data", channel_names=["MRI"])
    assert json.loads((path / "dataset.json").read_text())["channel_names"] == ["MRI"]
    assert "intensities: MRI: percentile" in open_target(path).notes
