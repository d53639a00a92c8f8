"""Tables of image paths and labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from acrank.errors import TargetError
from acrank.targets import open_target


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "scans").mkdir()
    for place, name in enumerate("abcd"):
        Image.fromarray(np.full((4, 5), 51 * place, np.uint8)).save(tmp_path / "scans" / f"{name}.png")
    return tmp_path


def table(folder: Path, text: str, name: str = "t.csv") -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


def labelled(folder: Path, *labels: object, header: str = "path,label") -> Path:
    lines = [f"scans/{name}.png,{label}" for name, label in zip("abcd", labels, strict=True)]
    return table(folder, "\n".join([header, *lines]) + "\n")


def test_rows_in_any_order_give_sorted_ids(folder: Path) -> None:
    path = table(folder, "label,path\ndog,scans/c.png\ncat,scans/d.png\ncat,scans/a.png\ndog,./scans/b.png\n")
    target = open_target(path)
    assert (target.name, target.layout, target.task) == ("t", "table", "classification")
    assert target.ids == ("scans/a.png", "scans/b.png", "scans/c.png", "scans/d.png")
    assert [target.classes[label] for label in target.labels] == ["cat", "dog", "dog", "cat"]
    np.testing.assert_allclose([target.read(place).mean() for place in range(4)], [0, 0.2, 0.4, 0.6], rtol=1e-6)


@pytest.mark.parametrize("image", ["path", "Image", "file", "FILENAME"])
@pytest.mark.parametrize("label", ["label", "Class", "target"])
def test_usual_column_names(folder: Path, image: str, label: str) -> None:
    assert open_target(labelled(folder, "x", "y", "x", "y", header=f"{image},{label}")).classes == ("x", "y")


@pytest.mark.parametrize(("image", "label"), [("image_id", "dx"), ("image_name", "Diagnosis"), ("path", "diagnosis")])
def test_column_names_of_public_data_sets(folder: Path, image: str, label: str) -> None:
    """Such as HAM10000's metadata, and only where no more usual name is there."""
    assert open_target(labelled(folder, "x", "y", "x", "y", header=f"{image},{label}")).classes == ("x", "y")
    rows = [f"scans/{name}.png,{kind},{other}" for name, kind, other in zip("abcd", "xyxy", "uvvw", strict=True)]
    both = table(folder, "\n".join([f"{image},label,{label}", *rows]) + "\n")
    assert open_target(both).classes == ("x", "y")


@pytest.mark.parametrize(("name", "mark"), [("t.tsv", "\t"), ("t.csv", ";"), ("t.csv", "\t"), ("t.csv", ",")])
def test_separators(folder: Path, name: str, mark: str) -> None:
    lines = ["path,label", "scans/a.png,x", "scans/b.png,y"]
    assert len(open_target(table(folder, "\r\n".join(lines).replace(",", mark), name))) == 2


def test_a_byte_order_mark_quotes_blank_lines_and_backslashes(folder: Path) -> None:
    path = table(folder, '\ufeff"path","label"\n\n"scans\\a.png"," x, really "\n scans/b.png ,y\n\n')
    target = open_target(path)
    assert target.ids == ("scans/a.png", "scans/b.png")
    assert target.classes == ("x, really", "y")


def test_absolute_paths(folder: Path) -> None:
    rows = "".join(f"{folder}/scans/{name}.png,{name}\n" for name in "ab")
    assert open_target(table(folder, f"path,label\n{rows}")).read(1).shape == (1, 4, 5)


def test_named_columns(folder: Path) -> None:
    path = table(folder, "path,where,label,grade\nx,scans/a.png,1,low\ny,scans/b.png,2,high\n")
    target = open_target(path, image_column="where", label_column="grade")
    assert target.ids == ("scans/a.png", "scans/b.png")
    assert target.classes == ("high", "low")


def test_several_label_columns(folder: Path) -> None:
    path = table(folder, "path,mass,effusion\nscans/a.png,1,1\nscans/b.png,0,0\nscans/c.png,1.0,0\n")
    target = open_target(path, label_column="effusion, mass")
    assert (target.task, target.classes) == ("multilabel", ("effusion", "mass"))
    assert target.labels.tolist() == [[1, 1], [0, 0], [0, 1]]
    assert target.labels.dtype == np.int64
    assert target.notes == []


def test_one_hot_columns_are_classes_when_asked(folder: Path) -> None:
    path = table(folder, "path,mel,nv\nscans/a.png,1,0\nscans/b.png,0,1\n")
    (note,) = open_target(path, label_column="mel,nv").notes
    assert note == "every image has exactly one of the 2 labels: the task could be classification"
    target = open_target(path, label_column="mel,nv", task="classification")
    assert (target.task, target.classes, target.labels.tolist()) == ("classification", ("mel", "nv"), [0, 1])


def test_numbers_with_decimals_are_regression(folder: Path) -> None:
    target = open_target(labelled(folder, "0.5", "2", "1e1", "-3"))
    assert target.task == "regression"
    assert target.labels.tolist() == [0.5, 2.0, 10.0, -3.0]


def test_whole_numbers_are_classes_unless_asked_otherwise(folder: Path) -> None:
    path = labelled(folder, 10, 9, 10, "9.0")
    assert open_target(path).classes == ("9", "10")
    assert open_target(path).labels.tolist() == [1, 0, 1, 0]
    assert open_target(path, task="regression").labels.tolist() == [10, 9, 10, 9]


def test_a_split_column(folder: Path) -> None:
    text = "path,label,split\nscans/a.png,x,train\nscans/b.png,y,train\nscans/c.png,x,test\nscans/d.png,y,test\n"
    path = table(folder, text)
    assert open_target(path).ids == ("scans/a.png", "scans/b.png")
    assert open_target(path).notes == ['split "train" of test, train ("all" joins them)']
    assert open_target(path, split="test").ids == ("scans/c.png", "scans/d.png")
    assert len(open_target(path, split="all")) == 4
    with pytest.raises(TargetError, match="no split 'val', only test, train"):
        open_target(path, split="val")


def test_rows_without_a_split_are_left_out_and_counted(folder: Path) -> None:
    text = "path,label,split\nscans/a.png,x,train\nscans/b.png,y,train\nscans/c.png,x,\nscans/d.png,y,test\n"
    path = table(folder, text)
    assert open_target(path).notes == [
        'split "train" of test, train ("all" joins them)',
        "1 rows without a split are left out: row 4 (--split all reads them)",
    ]
    assert len(open_target(path, split="all")) == 4


def test_only_sampled_images_are_decoded(folder: Path) -> None:
    (folder / "scans" / "a.png").write_bytes(b"garbage")
    target = open_target(labelled(folder, "x", "y", "x", "y"))
    assert target.read(1).shape == (1, 4, 5)
    with pytest.raises(TargetError, match=r"a\.png"):
        target.read(0)


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ("", {}, "is empty"),
        ("path,label\n", {}, "the table has no rows"),
        ("picture,label\nscans/a.png,x\n", {}, "no column that may hold the image; columns: picture, label"),
        ("path,grade\nscans/a.png,x\n", {}, "no column that may hold the label"),
        ("path,file,label\nscans/a.png,b,x\n", {}, r"several columns \(path, file\) that may hold the image"),
        ("path,label,label\nscans/a.png,b,x\n", {}, "two columns called 'label'"),
        ("path,label\nscans/a.png,x\n", {"label_column": "grade"}, "no column 'grade'; columns: path, label"),
        ("path,label\nscans/a.png,x\n", {"label_column": "label,grade"}, "no column 'grade'"),
        ("path,label\nscans/a.png,x\n", {"image_column": "scan"}, "no column 'scan'"),
        ("path,label\nscans/a.png,x,y\n", {}, "row 2 has 3 cells, the header has 2"),
        ("path,label\nscans/a.png,x\nscans/e.png,y\n./f.png,y\n", {}, r"2 of 3 images are missing: f.png, scans/e.png"),
        ("path,label\nscans/a.png,x\n,y\n", {}, r"1 of 2 images are missing: \(an empty path\)"),
        ("path,label\nscans/a.png,x\nscans,y\n", {}, "1 of 2 images are missing: scans"),
        ("path,label\nscans/a.png,x\n./scans/a.png,y\n", {}, "row 3 scans/a.png .y. are one image"),
        ("path,label\nscans/a.png,x\nscans/b.png,\n", {}, "1 of 2 labels are missing: row 3"),
        ("path,label\nscans/a.png,1.5\nscans/b.png,NaN\n", {}, "1 of 2 labels are missing"),
        ("path,label\nscans/a.png,x\nscans/b.png,x\n", {}, "one class only: x"),
        ("path,label\nscans/a.png,1\nscans/b.png,x\n", {"task": "regression"}, "row 3 .* is not"),
        ("path,label\nscans/a.png,2\nscans/b.png,2\n", {"task": "regression"}, "all labels equal 2"),
        ("path,label\nscans/a.png,1\nscans/b.png,0\n", {"task": "multilabel"}, "has one label per image"),
        ("path,a,b\nscans/a.png,1,2\nscans/b.png,0,1\n", {"label_column": "a,b"}, "0 and 1 only, row 2 .*2"),
        ("path,a,b\nscans/a.png,1,1\nscans/b.png,1,1\n", {"label_column": "a,b"}, "all images have the same labels"),
        ("path,a,b\nscans/a.png,1,1\nscans/b.png,0,1\n", {"label_column": "a,b", "task": "regression"}, "several"),
        ("path,a,b\nscans/a.png,1,1\nscans/b.png,0,1\n", {"label_column": "a,b", "task": "classification"}, "none or"),
        ("path,a,b\nscans/a.png,0,1\nscans/b.png,0,1\n", {"label_column": "a,b", "task": "classification"}, "only: b"),
    ],
)  # fmt: skip
def test_unusable_tables(folder: Path, text: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        open_target(table(folder, text), **options)  # type: ignore[arg-type]
    assert caught.value.hint


def test_a_quote_that_never_ends(folder: Path) -> None:
    with pytest.raises(TargetError, match=r"cannot read .*field"):
        open_target(table(folder, 'path,label\n"scans/a.png,x\n' + "scans/b.png,y\n" * 20000))


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        ('path,label\nscans/a.png,"x\nscans/b.png,y\n', {}, "a quote in line 2 is never closed"),
        ('path,label\nscans/a.png,"x\nscans/b.png,y"\n', {}, "line 2 runs on to line 3, which looks like a row"),
        ('path,label\r\nscans/a.png,"x\r\nscans/b.png,y"\r\n', {}, "line 2 runs on to line 3, which looks"),
        ('path,"label\nscans/a.png,x"\nscans/b.png,y\n', {}, "line 1 runs on to line 2, which looks like a row"),
        ('path,label,n\nscans/a.png,"x, z",1\nscans/b.png,"y, z","1\nscans/c.png,x,2"\n', {}, "looks like a row"),
        ('id,n,label\n"scans/a\nb",1,x\nscans/b,2,y\n', {"image_column": "id"}, "row 2 in column 'id' holds a line"),
        ('path,label\nscans/a.png,"x\nz"\nscans/b.png,y\n', {}, "row 2 in column 'label' holds a line break"),
        ('path,label,who\nscans/a.png,x,"p\n1"\nscans/b.png,y,2\n', {"group_column": "who"}, "'who' holds a line"),
        ('path,n,label\nscans/a,"1,x\nscans/b,2",y\nscans/c,3,x\n', {}, "line 3, which looks like a row"),
        ('path,label\nscans/a.png,"x\nscans/b.png,y" z\n', {}, "a quote in line 2 runs on to line 3: "),
    ],
)
def test_quotes_that_join_rows(folder: Path, text: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(TargetError, match=message) as caught:
        open_target(table(folder, text), **options)  # type: ignore[arg-type]
    assert "double a quote" in str(caught.value.hint)


def test_notes_of_several_lines_and_quotes_within_cells(folder: Path) -> None:
    path = table(folder, 'path,label,note\nscans/a.png,x,"5"" wide\n\nround, soft"\nscans/b.png,y,"an" odd one\n')
    assert open_target(path).notes == []
    assert len(open_target(path)) == 2
    path = table(folder, 'note,path,label\n"soft\nround",scans/a.png,x\n"soft, red\nround",scans/b.png,y\n')
    assert open_target(path).notes == []


def test_a_table_in_another_encoding(folder: Path) -> None:
    (folder / "t.csv").write_bytes("path,label\nscans/a.png,Blödsinn\n".encode("latin-1"))
    with pytest.raises(TargetError, match="is not UTF-8"):
        open_target(folder / "t.csv")


def test_the_name_of_a_label_column_may_hold_a_comma(folder: Path) -> None:
    path = table(folder, 'path,"grade, final"\nscans/a.png,low\nscans/b.png,high\n')
    assert open_target(path, label_column="grade, final").classes == ("high", "low")
    assert open_target(path, label_column=("grade, final",)).classes == ("high", "low")
