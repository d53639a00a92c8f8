"""Which row of a table of groups belongs to an image, and which column names the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from acrank.errors import TargetError
from acrank.targets import group_table
from acrank.targets.group_table import groups_of_table


def table(folder: Path, *rows: str, header: str = "image,patient") -> Path:
    (folder / "t.csv").write_text("\n".join([header, *rows]))
    return folder / "t.csv"


@pytest.mark.parametrize(
    ("ids", "rows"),
    [
        (["001", "002"], ["train/001.png,p1", "test/001.png,p2", "train/002.png,p3"]),
        (["a/001", "a/002"], ["a/001.png,p1", "a/001.jpg,p2", "a/002.png,p3"]),
        (["001.png", "002.png"], ["test/001,p1", "train/002,p3", "train/001,p2"]),
    ],
)
@pytest.mark.parametrize("column", [None, "patient"])
def test_rows_of_two_groups_name_no_image_by_a_shorter_name(
    tmp_path: Path, ids: Sequence[str], rows: Sequence[str], column: str | None
) -> None:
    with pytest.raises(TargetError, match=rf"names 1 of 2 images, not {ids[0]}"):
        groups_of_table(ids, table(tmp_path, *rows), column)
    same = [row.replace("p2", "p1") for row in rows]
    assert groups_of_table(ids, table(tmp_path, *same), column) == ("p1", "p3")


def test_a_whole_path_comes_before_a_shorter_name(tmp_path: Path) -> None:
    path = table(tmp_path, "001,p1", "train/001.png,p2", "train/002.png,p3")
    assert groups_of_table(["001", "002"], path, None) == ("p1", "p3")


def wide(folder: Path, count: int) -> Path:
    """A table of ten columns whose eighth names the images."""
    rows = [f"p{place // 2}," + f"{place}v," * 6 + f"scan{place}.png,x,y" for place in range(count)]
    return table(folder, *rows, header="patient,a,b,c,d,e,f,image,g,h")


def test_one_column_only_is_matched_in_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []
    forms = group_table._forms

    def counted(name: str) -> tuple[str, str, str]:
        calls.append(name)
        return forms(name)

    monkeypatch.setattr(group_table, "_forms", counted)
    monkeypatch.setattr(group_table, "_SAMPLE", 10)
    ids = [f"scan{place}" for place in range(400)]
    assert groups_of_table(ids, wide(tmp_path, 400), "patient") == tuple(f"p{place // 2}" for place in range(400))
    assert len(calls) < 1000, "400 names, 400 cells and a sample"


@pytest.mark.parametrize("kept", [[7], [3, 333], range(0, 400, 9)])
def test_few_images_of_a_large_table_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: Sequence[int]
) -> None:
    monkeypatch.setattr(group_table, "_SAMPLE", 10)
    ids = [f"scan{place}" for place in {*kept, 20, 21}]
    path = wide(tmp_path, 400)
    path.write_text(path.read_text() + "\np9,1v,,,,,,scan20x,scan20,")
    assert groups_of_table(ids, path, "patient") == tuple(f"p{int(name[4:]) // 2}" for name in ids)
