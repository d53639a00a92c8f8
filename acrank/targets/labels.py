"""Labels as users write them, encoded as the arrays that scores take."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np

from acrank.errors import TargetError
from acrank.targets.label_spelling import composed, spelling_notes, without_label
from acrank.targets.target import Labels, first_few
from acrank.targets.target_options import Task

#: Labels of a regression are not larger, so that their squares stay finite.
_LARGEST = 1e100
#: Whole numbers of more than so many values, or of some values that hardly repeat, may be a measure.
_MANY_NUMBERS, _SOME_NUMBERS = 20, 8
#: Images of one number: of classes that are numbered without gaps at least the first, of others the second.
_FEW_REPEATS = (2, 3)
#: Numbers that often mark a missing label, beside classes that are numbered without gaps.
_CODES = (-1.0, -9.0, -99.0, -999.0, 99.0, 255.0, 999.0, 9999.0)
_WITH_UNIT = re.compile(r"([+-]?\d+(?:[.,]\d+)?)\s*(\D+)")
#: One class with so many times the images of another is no numbering of many classes.
_UNEVEN = 10


def encode_labels(
    values: np.ndarray, *, ids: Sequence[str], task: Task | None, where: str, names: Sequence[str] = ()
) -> Labels:
    """Encode labels [n], [n, 1] (one value each) or [n, k] (k columns of 0 and 1).

    Without a task, several columns mean multilabel, numbers with decimals mean regression and everything else
    classification, but for whole numbers that may be a measure: they are refused. Where at least half of the labels are
    numbers, all must be: a word among them is refused, for it would make a class of every number. Classes that are
    numbers are ordered by value, others by name.

    Args:
        values: labels as strings, booleans or numbers.
        ids: names of the samples, for messages; of a table with their rows.
        task: the task, or None to infer it from the values.
        where: the target, for messages.
        names: names of the columns.

    Raises:
        TargetError: labels are missing, do not fit the task, or are all equal.

    Example:
        >>> found = encode_labels(np.array(["cat", "ant", "cat"]), ids="abc", task=None, where="t")
        >>> found.task, found.values.tolist(), found.classes
        ('classification', [1, 0, 1], ('ant', 'cat'))
    """
    if task == "segmentation":
        raise TargetError(
            f"{where} has one label per image, not masks", hint="give a folder with images/ and masks/, or volumes"
        )
    values = _stripped(values, where)
    if values.ndim > 1:  # axes of one position say nothing
        values = values.reshape(len(values), *(size for size in values.shape[1:] if size != 1))
    if values.ndim not in (1, 2):
        raise TargetError(f"{where} has labels of shape {list(values.shape)}", hint="labels must be [n] or [n, k]")
    _refuse_missing(values, ids, where)
    if values.ndim == 2:
        return _encode_columns(values, ids=ids, task=task, where=where, names=names)
    if task == "multilabel":
        raise TargetError(f"{where} has one label per image", hint="multilabel needs several columns of 0 and 1")
    column = f" in column {names[0]!r}" if names else ""
    numbers = _numbers(values)
    if task is None and numbers is None:
        _refuse_odd_among_numbers(values, ids, where, column=column)
        _refuse_units(values, where, column=column)
    if task == "regression" or (task is None and numbers is not None and not _are_whole(numbers)):
        return _encode_quantities(values, ids, where, column=column)
    if task is None and numbers is not None and _may_be_measure(numbers):
        raise TargetError(
            f"{where}: {len(np.unique(numbers))} different whole numbers label {len(numbers)} images{column}: "
            "a measure, or classes?",
            hint="say --task regression, or --task classification",
        )
    if task is None and numbers is not None:
        _refuse_codes(numbers, where, column=column)
    return _encode_classes(values, where)


def _refuse_codes(numbers: np.ndarray, where: str, *, column: str) -> None:
    """Refuse a number that may mark missing labels, such as -1 or 999 beside 0, 1 and 2."""
    distinct = np.unique(numbers)
    codes = [code for code in _CODES if code in distinct]
    others = distinct[~np.isin(distinct, codes)]
    if len(codes) == 1 and len(others) >= 2 and others[0] in (0, 1) and (np.diff(others) == 1).all():
        if abs(codes[0] - others[-1]) == 1 or (codes[0] == -1 and others[0] == 1):
            return  # it goes on with the numbering
        raise TargetError(
            f"{where}: {int((numbers == codes[0]).sum())} of {len(numbers)} labels{column} are {codes[0]:g}: a class, "
            "or no label?",
            hint="say --task classification where it is a class; else leave these images out (-1 in a table: "
            "--uncertain ignore)",
        )


def _refuse_units(values: np.ndarray, where: str, *, column: str) -> None:
    """Refuse numbers with a unit behind them, such as 12.5 mm, which are a measure where there are many."""
    found = [_WITH_UNIT.fullmatch(cell) for cell in values.tolist()] if values.dtype.kind == "U" else [None]
    units = {one and one[2] for one in found}
    if None in units or len(units) > 1:
        return
    numbers = np.array([float(one[1].replace(",", ".")) for one in found if one])
    if not _are_whole(numbers) or _may_be_measure(numbers):
        unit = units.pop()
        raise TargetError(
            f"{where}: the labels{column} are numbers with {unit!r} behind them, such as {str(values[0])!r}",
            hint="write numbers alone for a measure; say --task classification where each is a class",
        )


def _refuse_odd_among_numbers(values: np.ndarray, ids: Sequence[str], where: str, *, column: str) -> None:
    """Refuse words where at least half of the labels are written as numbers; `inf` and `1e400` are no labels, too."""
    read = [_float(cell) for cell in values.tolist()]
    if 2 * sum(number is not None for number in read) < len(read):
        return
    odd = next(place for place, number in enumerate(read) if number is None or not math.isfinite(number))
    raise TargetError(
        f"{where}: the label {str(values[odd])!r} of {ids[odd]}{column} is not a number, unlike the others",
        hint="correct it, or give the task classification, where every text is a class",
    )


def _encode_quantities(values: np.ndarray, ids: Sequence[str], where: str, *, column: str) -> Labels:
    numbers = _numbers(values)
    if numbers is None or np.abs(numbers).max() > _LARGEST:
        read = [_float(cell) for cell in values.tolist()]
        bad = next(place for place, number in enumerate(read) if number is None or not abs(number) <= _LARGEST)
        problem = "is not a number" if read[bad] is None else f"is beyond ±{_LARGEST:g}"
        raise TargetError(
            f"{where}: the label {str(values[bad])!r} of {ids[bad]}{column} {problem}",
            hint="regression needs numbers; leave the task out for classes",
        )
    if numbers.min() == numbers.max():
        raise TargetError(f"{where}: all labels equal {numbers[0]:g}", hint="regression needs labels that differ")
    return Labels("regression", numbers, ())


def _encode_classes(values: np.ndarray, where: str) -> Labels:
    numbers = _numbers(values)
    distinct, inverse = np.unique(values, return_inverse=True)
    are_whole = numbers is not None and _are_whole(numbers)
    names = [_class_name(value, are_whole) for value in distinct.tolist()]
    _refuse_one_class(names, where)
    classes = sorted(set(names), key=lambda name: (0.0 if numbers is None else float(name), name))
    places = {name: place for place, name in enumerate(classes)}
    table = np.array([places[name] for name in names], dtype=np.int64)
    rare = () if numbers is None else rare_numbers_notes(classes, len(values))
    notes = (*spelling_notes(classes), *rare)
    return Labels("classification", table[inverse.reshape(-1)], tuple(classes), notes=notes)


def rare_numbers_notes(classes: Sequence[str], count: int) -> tuple[str, ...]:
    """A warning where several classes are numbers and each has few images: they may be a measure.

    >>> rare_numbers_notes([str(age) for age in range(20, 32)], count=24)[0]
    'warning: 12 classes are numbers, of 2 images on average: say --task regression, in a table, where they measure'
    """
    numbers = [_float(name) for name in classes]
    if None in numbers or len(classes) < _SOME_NUMBERS or count >= _FEW_REPEATS[1] * len(classes):
        return ()
    return (
        f"warning: {len(classes)} classes are numbers, of {count / len(classes):.2g} images on average: "
        "say --task regression, in a table, where they measure",
    )


def _encode_columns(
    values: np.ndarray, *, ids: Sequence[str], task: Task | None, where: str, names: Sequence[str]
) -> Labels:
    if task == "regression":
        raise TargetError(f"{where} has several label columns", hint="regression takes one column of numbers")
    numbers = _numbers(values)
    if numbers is None or not np.isin(numbers, (0, 1)).all():
        raise TargetError(
            f"{where}: label columns must hold 0 and 1 only{_first_odd(values, ids, names)}",
            hint="give one column per label, 1 where the image has it",
        )
    flags = numbers.astype(np.int64)
    classes = tuple(names) or tuple(map(str, range(flags.shape[1])))
    one_hot = bool((flags.sum(axis=1) == 1).all())
    if task == "classification":
        if not one_hot:
            raise TargetError(
                f"{where}: some images have none or several of the {len(classes)} labels", hint="the task is multilabel"
            )
        present, values = np.unique(flags.argmax(axis=1), return_inverse=True)
        _refuse_one_class([classes[place] for place in present], where)
        return Labels("classification", values.reshape(-1), tuple(classes[place] for place in present))
    if (flags == flags[0]).all():
        raise TargetError(f"{where}: all images have the same labels", hint="ranking needs labels that differ")
    note = f"every image has exactly one of the {len(classes)} labels: the task could be classification"
    return Labels("multilabel", flags, classes, notes=(note,) if one_hot else ())


def _refuse_one_class(names: Sequence[str], where: str) -> None:
    if len(set(names)) < 2:
        raise TargetError(f"{where} has one class only: {names[0]}", hint="ranking needs at least two classes")


def _stripped(values: np.ndarray, where: str) -> np.ndarray:
    """Strings stripped and of one dtype, numbers unchanged."""
    if values.dtype.kind in "biuf":
        return values
    if values.dtype.kind not in "SUO":
        raise TargetError(f"{where}: labels of {values.dtype}", hint="store labels as numbers or strings")
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "O":
        flat = [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in values.flat]
        values = np.array(flat).reshape(values.shape)
    return np.char.strip(np.vectorize(composed, otypes=[str])(values) if values.size else values)


def _refuse_missing(values: np.ndarray, ids: Sequence[str], where: str) -> None:
    if values.dtype.kind in "biu":
        return
    lacking = ~np.isfinite(values) if values.dtype.kind == "f" else without_label(values)
    rows = np.flatnonzero(lacking.reshape(len(values), -1).any(axis=1))
    if len(rows):
        named = first_few([ids[row] for row in rows.tolist()], 3)
        raise TargetError(
            f"{where}: {len(rows)} of {len(values)} labels are missing: {named}",
            hint="label these images or leave them out",
        )


def _numbers(values: np.ndarray) -> np.ndarray | None:
    """The values as float64, None if any of them is not a finite number."""
    try:
        numbers = values.astype(np.float64)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _are_whole(numbers: np.ndarray) -> bool:
    return bool((numbers == np.floor(numbers)).all())


def _may_be_measure(numbers: np.ndarray) -> bool:
    """Whether whole numbers may measure something, such as an age, rather than number classes.

    Classes are numbered from 0 or 1 without gaps, and none has far more images than another; so few numbers as grades
    have are classes in any case.
    """
    distinct, counts = np.unique(numbers, return_counts=True)
    is_numbering = distinct[0] in (0, 1) and bool((np.diff(distinct) == 1).all())
    is_even = counts.max() < _UNEVEN * counts.min()
    repeats = len(numbers) / len(distinct)
    if is_numbering and is_even and repeats >= _FEW_REPEATS[0]:
        return False
    return len(distinct) > _MANY_NUMBERS or (len(distinct) >= _SOME_NUMBERS and repeats < _FEW_REPEATS[1])


def _class_name(value: object, are_whole: bool) -> str:
    """The name of a class: 1, 1.0, True and "1.0" are all "1" if every label is a whole number."""
    if isinstance(value, str):
        return re.sub(r"\.0*$", "", value) if are_whole else value
    return str(int(value)) if are_whole else str(value)  # type: ignore[call-overload]


def _first_odd(values: np.ndarray, ids: Sequence[str], names: Sequence[str]) -> str:
    for row, name in zip(values.tolist(), ids, strict=True):
        for place, cell in enumerate(row):
            if _float(cell) not in (0, 1):
                return f", {name} has {cell!r}" + (f" in column {names[place]!r}" if names else "")
    return ""


def _float(cell: object) -> float | None:
    try:
        return float(cell)  # type: ignore[arg-type]
    except ValueError:
        return None
