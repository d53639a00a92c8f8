"""Groups of images, such as patients, from a table beside data that is no table."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from acrank.errors import TargetError
from acrank.system.words import closest
from acrank.targets.group_columns import group_columns
from acrank.targets.grouping import check_groups
from acrank.targets.label_spelling import composed
from acrank.targets.layouts.listing import without_suffix
from acrank.targets.layouts.table_file import ListedRow, read_table, refuse_broken, tidy_path
from acrank.targets.target import first_few

#: The column of the images is chosen by about as many rows.
_SAMPLE = 1000
#: Columns that name nearly as many images in these rows are all compared in full.
_NEARLY = 0.9


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
    numbers = _numbers(ids)
    beside = {place: _beside(header, place, given) for place in range(len(header)) if place != given}
    likely = _likely(numbers, rows, beside)
    found = {place: _rows_of(numbers, rows, images=place, groups=beside[place]) for place in likely}
    images = max(found, key=lambda place: len(found[place]), default=None)
    chosen = {} if images is None else found[images]
    lacking = [name for number, name in enumerate(ids) if number not in chosen]
    if images is None or lacking:
        raise TargetError(
            f"{path} names {len(ids) - len(lacking)} of {len(ids)} images, not {first_few(lacking, 3)}",
            hint="give one row an image: its path below the data, or its name",
        )
    place = beside[images]
    if place is None:
        told = group_columns(header, [row.cells for row in rows], besides=[images])
        name = f" {told[0]}" if told else ""
        raise TargetError(
            f"{path} has the columns {first_few(header, 12)}", hint=f"name that of the groups: --group-column{name}"
        )
    refuse_broken(path, header, rows, places=[images, place])
    groups = [chosen[number].cells[place] for number in range(len(ids))]
    empty = sum(not group for group in groups)
    if empty:
        raise TargetError(f"{path}: {empty} images have no group in {header[place]!r}", hint="name the group of each")
    _refuse_two_groups(path, rows, images=images, groups=place)
    return check_groups(groups, f"{path}: the column {header[place]!r}")


def _beside(header: Sequence[str], images: int, given: int | None) -> int | None:
    """The column of the groups, where one of the images is chosen; None where several may be."""
    return 1 - images if given is None and len(header) == 2 else given


def _numbers(ids: Sequence[str]) -> list[dict[str, int]]:
    """The numbers of the images by each form of their names, without forms that several images share."""
    out = []
    for forms in zip(*map(_forms, ids), strict=True):
        once = Counter(forms)
        out.append({form: number for number, form in enumerate(forms) if once[form] == 1})
    return out


def _likely(
    numbers: Sequence[dict[str, int]], rows: Sequence[ListedRow], beside: Mapping[int, int | None]
) -> list[int]:
    """The columns that may be that of the images, by a sample of rows: all, where most of these name no image."""
    sample = rows[:: max(1, len(rows) // _SAMPLE)]
    counts = {place: len(_rows_of(numbers, sample, images=place, groups=groups)) for place, groups in beside.items()}
    most = max(counts.values(), default=0)
    return [place for place, count in counts.items() if 2 * most < len(sample) or count >= _NEARLY * most]


def _rows_of(
    numbers: Sequence[dict[str, int]], rows: Sequence[ListedRow], *, images: int, groups: int | None
) -> dict[int, ListedRow]:
    """The row of images by one column: by its path, else by it without suffix, else by its name alone.

    Rows of different groups whose cells are alike only in such a shorter form name no image by it; those of one path
    in two groups are refused elsewhere.
    """
    forms = {cell: _forms(tidy_path(cell)) for cell in {row.cells[images] for row in rows} if cell}
    out: dict[int, ListedRow] = {}
    for place, known in enumerate(numbers):
        named: dict[int, ListedRow] = {}
        unclear = set()
        for row in rows:
            cell = row.cells[images]
            number = known.get(forms[cell][place]) if cell else None
            if number is None:
                continue
            first = named.setdefault(number, row).cells
            differs = groups is not None and first[groups] != row.cells[groups]
            if differs and forms[first[images]][0] != forms[cell][0]:
                unclear.add(number)
        out = {number: row for number, row in named.items() if number not in unclear} | out
    return out


def _refuse_two_groups(path: Path, rows: Sequence[ListedRow], *, images: int, groups: int) -> None:
    first: dict[str, str] = {}
    for row in rows:
        name, group = composed(tidy_path(row.cells[images])), row.cells[groups]
        if name and first.setdefault(name, group) != group:
            raise TargetError(f"{path}: {name} is in {first[name]} and in {group}", hint="keep the row that is right")


def _forms(name: str) -> tuple[str, str, str]:
    """The whole path; it without suffix, also that of .nii.gz, and without the number of a frame; the name alone."""
    whole = composed(name)
    bare = without_suffix(whole.partition("#")[0]).removesuffix(".nii")
    return whole, bare, bare.rpartition("/")[2]
