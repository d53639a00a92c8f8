"""Which row of a table of groups belongs to an image, and which column names the images."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from acrank.errors import TargetError
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
