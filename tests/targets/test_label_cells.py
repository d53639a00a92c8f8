"""Cells of labels: several in one, measures, missing and uncertain ones, decimal commas, spelling."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from acrank.errors import TargetError
from acrank.targets import Target, open_target


def table(folder: Path, labels: Sequence[object], *, mark: str = ",", columns: str = "label") -> Path:
    """A table of as many images as there are labels; a label of several columns holds the mark."""
    (folder / "img").mkdir(exist_ok=True)
    for place in range(len(labels)):
        Image.new("L", (2, 2), place).save(folder / "img" / f"{chr(97 + place // 26)}{chr(97 + place % 26)}.png")
    names = [f"img/{chr(97 + place // 26)}{chr(97 + place % 26)}.png" for place in range(len(labels))]
    rows = [f"{name}{mark}{label}" for name, label in zip(names, labels, strict=True)]
    (folder / "t.csv").write_text("\n".join([f"path{mark}{columns}", *rows]), encoding="utf-8")
    return folder / "t.csv"


def opened(folder: Path, labels: Sequence[object], **options: Any) -> Target:
    return open_target(table(folder, labels), **options)


@pytest.mark.parametrize(
    "labels",
    [
        ["a|b", "b", "a", "none at all|b"],
        ["a;b", "b", "a", "none at all; b"],
        ['"a,b"', "b", "a", '"b, none at all"'],
        ["|a|b|", "b|", "a", "b|none at all"],
    ],
)
def test_several_labels_in_a_cell_are_a_multilabel_task(tmp_path: Path, labels: list[str]) -> None:
    target = opened(tmp_path, labels)
    assert (target.task, target.classes) == ("multilabel", ("a", "b", "none at all"))
    assert target.labels.tolist() == [[1, 1, 0], [0, 1, 0], [1, 0, 0], [0, 1, 1]]
    assert "cells hold several labels" in " ".join(target.notes)
    assert opened(tmp_path, labels, task="classification").task == "classification"


@pytest.mark.parametrize("labels", [["(benign)", "(malignant)"], ["[0]", "[1]"], ["{a}", "{b}"], ["(a b)", "[c]"]])
def test_classes_in_brackets_are_classes(tmp_path: Path, labels: list[str]) -> None:
    target = opened(tmp_path, labels * 3)
    assert (target.task, target.classes) == ("classification", tuple(sorted(labels)))


@pytest.mark.parametrize(
    "labels", [['"[0, 10]"', '"[10, 20]"'], ["[a|b]", "[b|c]"], ["\"('a', 'x')\"", "\"('b', 'x')\""]]
)
def test_several_words_in_the_brackets_of_every_cell_are_asked_about(tmp_path: Path, labels: list[str]) -> None:
    with pytest.raises(TargetError, match="may be one class or several labels each") as caught:
        opened(tmp_path, labels * 3)
    assert "--task classification" in str(caught.value.hint)
    assert len(opened(tmp_path, labels * 3, task="classification").classes) == 2
    assert len(opened(tmp_path, labels * 3, task="multilabel").classes) == 3


@pytest.mark.parametrize(
    "labels",
    [
        ["\"['a', 'b']\"", "['b']", "['a']", "[]"],
        ["(a)|(b)", "(b)", "(a)", "(a)"],
        ["[a;b]", "[b]", "[a]", "[a]"],
        ["\"('a (x)', 'b')\"", "('b')", "('a (x)')", "('b')"],
    ],
)
def test_lists_of_several_and_of_single_labels_are_a_multilabel_task(tmp_path: Path, labels: list[str]) -> None:
    target = opened(tmp_path, labels)
    assert target.task == "multilabel"
    assert target.labels[:3].tolist() == [[1, 1], [0, 1], [1, 0]]


def test_numbered_labels_in_a_cell(tmp_path: Path) -> None:
    target = opened(tmp_path, ["0|2", "2", "0", "1"])
    assert (target.task, target.classes) == ("multilabel", ("0", "1", "2"))


def test_a_comma_in_the_name_of_a_class_is_no_separator(tmp_path: Path) -> None:
    assert opened(tmp_path, ['"nevus, atypical"', "melanoma"] * 2).classes == ("melanoma", "nevus, atypical")


@pytest.mark.parametrize(
    "values",
    [
        [17 * place % 229 for place in range(24)],  # an age in months
        [30, 42, 60, 61, 75, 80, 81, 90] * 2,  # few, and hardly repeated
        [place % 90 + 5 for place in range(180)],  # of 90 values
        list(range(24)),  # one image each
    ],
)
def test_whole_numbers_that_may_measure_are_asked_about(tmp_path: Path, values: list[int]) -> None:
    with pytest.raises(TargetError, match="a measure, or classes") as caught:
        opened(tmp_path, values)
    assert caught.value.hint == "say --task regression, or --task classification"
    assert opened(tmp_path, values, task="regression").labels.tolist() == values
    assert len(opened(tmp_path, values, task="classification").classes) == len(set(values))


@pytest.mark.parametrize(
    "values",
    [
        [0, 1, 2, 3, 4] * 3,  # grades
        [1, 2, 5] * 2,
        [place % 60 for place in range(180)],  # many classes, numbered without gaps
        [place % 10 for place in range(20)],
        [2, 4] * 4,
    ],
)
def test_whole_numbers_that_number_classes_are_taken_as_classes(tmp_path: Path, values: list[int]) -> None:
    assert opened(tmp_path, values).task == "classification"


def test_measures_in_arrays_are_asked_about(tmp_path: Path) -> None:
    values = np.arange(40) * 3 % 97
    np.savez(tmp_path / "t.npz", images=np.zeros((40, 4, 4), np.uint8), labels=values)
    with pytest.raises(TargetError, match="a measure, or classes"):
        open_target(tmp_path / "t.npz")
    assert open_target(tmp_path / "t.npz", task="regression").task == "regression"


@pytest.mark.parametrize("word", ["None", "unknown", "?", "n/a", "", "-", "NULL", "Unk", "missing"])
def test_cells_without_a_label_are_named_and_left_out_by_option(tmp_path: Path, word: str) -> None:
    labels = ["x", "y", word, "x", "y"]
    with pytest.raises(TargetError, match=r"1 of 5 labels are missing: row 4 \(img/ac\.png\) \(cells: ") as caught:
        opened(tmp_path, labels)
    assert "--missing-labels skip" in str(caught.value.hint)
    target = opened(tmp_path, labels, missing_labels="skip")
    assert (len(target), target.classes) == (4, ("x", "y"))
    assert "1 of 5 images without a label are left out" in target.notes[0]


FAILED = [
    "#NAME?",
    "#REF!",
    "#DIV/0!",
    "#VALUE!",
    "#NUM!",
    "#NULL!",
    "#N/A",
    "#BEZUG!",
    "#¿NOMBRE?",
    "########",
    "Err:502",
]


@pytest.mark.parametrize("word", FAILED)
def test_cells_of_failed_formulas_have_no_label(tmp_path: Path, word: str) -> None:
    with pytest.raises(TargetError, match=r"1 of 5 labels are missing: row 6 .* \(cells: ") as caught:
        opened(tmp_path, ["a", "b", "a", "b", word])
    assert word in str(caught.value)
    assert len(opened(tmp_path, ["a", "b", "a", "b", word], missing_labels="skip")) == 4
    with pytest.raises(TargetError, match="1 of 5 labels are missing"):
        opened(tmp_path, ["a", "b", "a", "b", word], missing_labels="keep")
    if word != "#N/A":
        with pytest.raises(TargetError, match="1 of 3 labels are missing"):  # no blank: it is not read as 0
            open_target(
                table(tmp_path, ["0,1", "1,0", f"{word},1"], columns="x,y"), label_column="x,y", uncertain="zeros"
            )


@pytest.mark.parametrize("name", ["#1", "#a", "a!", "# 2!", "#tag?", "#"])
def test_names_like_those_of_failed_formulas_are_classes(tmp_path: Path, name: str) -> None:
    assert name in opened(tmp_path, ["b", name, "b", name]).classes


def test_words_may_be_kept_as_classes_but_not_empty_cells(tmp_path: Path) -> None:
    target = opened(tmp_path, ["None", "mild", "None", "mild"], missing_labels="keep")
    assert target.classes == ("None", "mild")
    assert target.notes[0].startswith("warning: classes named 'None'")
    with pytest.raises(TargetError, match="labels are missing"):
        opened(tmp_path, ["None", "", "x"], missing_labels="keep")
    with pytest.raises(TargetError, match="no image has a label"):
        opened(tmp_path, ["?", "?"], missing_labels="skip")


INVISIBLE = [("cat", f"c{one}at") for one in "\u200b\u200c\u200e\u00ad\u2060\ufeff"]


@pytest.mark.parametrize(
    "pair",
    [
        *[("Benign", "benign"), ("tumor a", "tumor_a"), ("nevus", "nevus."), ("MEL", "mel"), ("a  b", "a b")],
        *INVISIBLE,
    ],
)
def test_spelling_variants_are_warned_of(tmp_path: Path, pair: tuple[str, str]) -> None:
    note = opened(tmp_path, [*pair, "other", "other"]).notes[0]
    assert note.startswith("warning: classes differ in spelling only")
    assert all(repr(name) in note for name in pair)


CHEXPERT = ["1.0,,0.0", "-1.0,1.0,", ",,1.0", "0.0,-1.0,1.0", "1.0,1.0,1.0"]


def test_blank_and_uncertain_labels_as_chexpert_has_them(tmp_path: Path) -> None:
    path = table(tmp_path, CHEXPERT, columns="Edema,Mass,Effusion")
    names = "Edema,Mass,Effusion"
    with pytest.raises(TargetError, match="3 of 5 labels are missing") as caught:
        open_target(path, label_column=names)
    assert str(caught.value.hint).startswith("say --uncertain zeros, ones or ignore")
    zeros = open_target(path, label_column=names, uncertain="zeros")
    assert zeros.labels.tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 1], [1, 1, 1]]
    assert zeros.notes[:2] == ["4 blank labels are read as 0", "2 uncertain labels (-1) are read as 0"]
    ones = open_target(path, label_column=names, uncertain="ones")
    assert ones.labels.tolist() == [[1, 0, 0], [1, 1, 0], [0, 0, 1], [0, 1, 1], [1, 1, 1]]
    ignored = open_target(path, label_column=names, uncertain="ignore")
    assert ignored.labels.tolist() == [[1, 0, 0], [0, 0, 1], [1, 1, 1]]
    assert "2 of 5 images with uncertain labels (-1) are left out" in ignored.notes


def test_one_uncertain_column_and_uncertain_without_blanks(tmp_path: Path) -> None:
    labels = ["1.0", "0.0", "", "-1.0", "1.0"]
    with pytest.raises(TargetError, match="labels are missing") as caught:
        opened(tmp_path, labels)
    assert "--uncertain" in str(caught.value.hint)
    assert opened(tmp_path, labels, uncertain="ones").labels.tolist() == [1, 0, 0, 1, 1]
    path = table(tmp_path, ["1,0", "-1,1", "0,1"], columns="a,b")
    with pytest.raises(TargetError, match="1 labels are -1") as caught:
        open_target(path, label_column="a,b")
    assert "--uncertain" in str(caught.value.hint)


@pytest.mark.parametrize("mark", [";", "\t"])
def test_decimal_commas_are_numbers(tmp_path: Path, mark: str) -> None:
    target = open_target(table(tmp_path, ["0,3", "1,25", "-2", "0,0"], mark=mark))
    assert (target.task, target.labels.tolist()) == ("regression", [0.3, 1.25, -2.0, 0.0])
    assert target.notes[0] == "3 labels with a decimal comma, such as 0,3, are read as numbers"
    assert open_target(table(tmp_path, ["0.3", "1.25"], mark=mark)).labels.tolist() == [0.3, 1.25]


@pytest.mark.parametrize(
    ("labels", "values"),
    [
        (["1,037.37", "950.2", "-12,000.5"], [1037.37, 950.2, -12000.5]),
        (["1,037", "950.25"], [1037, 950.25]),
        (["1,234,567.5", "3"], [1234567.5, 3]),
        (["1'037.37", "950"], [1037.37, 950]),
        (["1\u202f037,37", "950,5"], [1037.37, 950.5]),
        (["1 037.5", "12 950 000"], [1037.5, 12950000]),
    ],
)
@pytest.mark.parametrize("mark", [",", ";"])
def test_marks_between_thousands_are_read_as_numbers(
    tmp_path: Path, labels: list[str], values: list[float], mark: str
) -> None:
    target = open_target(table(tmp_path, [f'"{label}"' for label in labels], mark=mark))
    assert (target.task, target.labels.tolist()) == ("regression", values)
    assert "marks between thousands" in target.notes[0]
    classes = open_target(table(tmp_path, [f'"{label}"' for label in labels], mark=mark), task="classification")
    assert set(classes.classes) == set(labels)


def test_codes_of_three_digits_in_a_cell_are_labels(tmp_path: Path) -> None:
    target = opened(tmp_path, ['"101,102,103"', "101", "102", "103", '"101,103"'])
    assert (target.task, target.classes) == ("multilabel", ("101", "102", "103"))


def test_a_comma_before_three_digits_is_asked_about_beside_whole_numbers(tmp_path: Path) -> None:
    for mark in (",", ";"):
        with pytest.raises(TargetError, match=r"1 labels such as '1,037' may be 1037 or 1\.037"):
            open_target(table(tmp_path, ['"1,037"', "950", "12"], mark=mark))
    target = open_target(table(tmp_path, ['"0,125"', "950", "12"], mark=";"))
    assert target.labels.tolist() == [0.125, 950, 12]


def test_numbers_with_a_comma_in_a_table_of_commas_are_asked_about(tmp_path: Path) -> None:
    with pytest.raises(TargetError, match="may be a number or two labels"):
        opened(tmp_path, ['"0,3"', '"1,2"'])
