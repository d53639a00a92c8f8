"""Groups of images, such as patients, from a table beside data that is no table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from acrank.errors import TargetError
from acrank.system.words import closest
from acrank.targets.grouping import check_groups
from acrank.targets.label_spelling import composed
from acrank.targets.layouts.listing import without_suffix
from acrank.targets.layouts.table_file import ListedRow, read_table, tidy_path
from acrank.targets.target import first_few


def groups_of_table(ids: Sequence[str], path: Path, column: str | None) -> tuple[str, ...]:
    """The group of every image, by a table that names images in one of its columns: by path, without suffix or folder.

    Args:
        ids: names of the images.
        path: a CSV or TSV file; rows of further images are passed over.
        column: that of the groups; None where the table has one beside that of the images.

    Raises:
        TargetError: no such column, images that no row names, or that have two groups, or a single group.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     table = Path(folder) / "patients.csv"
        ...     _ = table.write_text("image,patient\\na.png,p1\\nb.png,p1\\nc.png,p2")
        ...     groups_of_table(["a", "b", "c"], table, "patient")
        ('p1', 'p1', 'p2')
    """
    header, rows, _ = read_table(path)
    if column is not None and column not in header:
        known = f"columns: {first_few(header, 12)}"
        raise TargetError(f"{path} has no column {column!r}; {known}", hint=closest(column, header, "name one of them"))
    given = None if column is None else header.index(column)
    found = {place: _rows_of(ids, rows, place) for place in range(len(header)) if place != given}
    images = max(found, key=lambda place: sum(row is not None for row in found[place]), default=None)
    chosen = [] if images is None else found[images]
    lacking = [name for name, row in zip(ids, chosen, strict=False) if row is None]
    if images is None or lacking:
        raise TargetError(
            f"{path} names {len(ids) - len(lacking)} of {len(ids)} images, not {first_few(lacking, 3)}",
            hint="give one row an image: its path below the data, or its name",
        )
    if given is None and len(header) != 2:
        raise TargetError(
            f"{path} has the columns {first_few(header, 12)}", hint="name that of the groups: --group-column"
        )
    place = (1 - images) if given is None else given
    groups = [row.cells[place] for row in chosen if row is not None]
    empty = sum(not group for group in groups)
    if empty:
        raise TargetError(f"{path}: {empty} images have no group in {header[place]!r}", hint="name the group of each")
    _refuse_two_groups(path, rows, images=images, groups=place)
    return check_groups(groups, f"{path}: the column {header[place]!r}")


def _rows_of(ids: Sequence[str], rows: Sequence[ListedRow], place: int) -> list[ListedRow | None]:
    """The row of every image by one column: by its path, else by it without suffix, else by its name alone."""
    out: list[ListedRow | None] = [None] * len(ids)
    for form in (composed, _bare, _name):
        named = {form(tidy_path(row.cells[place])): row for row in rows if row.cells[place]}
        forms = [form(name) for name in ids]
        once = Counter(forms)
        for number, name in enumerate(forms):
            if out[number] is None and once[name] == 1:
                out[number] = named.get(name)
    return out


def _refuse_two_groups(path: Path, rows: Sequence[ListedRow], *, images: int, groups: int) -> None:
    first: dict[str, str] = {}
    for row in rows:
        name, group = composed(tidy_path(row.cells[images])), row.cells[groups]
        if name and first.setdefault(name, group) != group:
            raise TargetError(f"{path}: {name} is in {first[name]} and in {group}", hint="keep the row that is right")


def _bare(name: str) -> str:
    """Without the suffix, also that of .nii.gz, and without the number of a frame."""
    bare = without_suffix(composed(name).partition("#")[0])
    return bare.removesuffix(".nii")


def _name(name: str) -> str:
    return _bare(name).rpartition("/")[2]
