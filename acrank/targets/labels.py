"""Labels as users write them, turned into the arrays that scores take."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from acrank.errors import TargetError
from acrank.targets.target import Task, listing

_MISSING = ("", "nan", "na", "n/a")


@dataclass(frozen=True)
class Labels:
    """Encoded labels: see `Target` for the shapes and dtypes of `values`."""

    task: Task
    values: np.ndarray
    classes: tuple[str, ...]
    notes: tuple[str, ...] = ()


def encode(
    values: np.ndarray, *, ids: Sequence[str], task: Task | None, where: str, names: Sequence[str] = ()
) -> Labels:
    """Encode labels [n], [n, 1] (one value each) or [n, k] (k columns of 0 and 1).

    Without a task, several columns mean multilabel, numbers with decimals mean regression and everything else
    classification. Classes that are numbers are ordered by value, others by name.

    Args:
        values: labels as strings, booleans or numbers.
        ids: names of the samples, for messages.
        task: what to take the labels for, or None to tell from the values.
        where: the target, for messages.
        names: names of the k columns.

    Raises:
        TargetError: labels are missing, do not fit the task, or are all equal.

    Example:
        >>> found = encode(np.array(["cat", "ant", "cat"]), ids="abc", task=None, where="t")
        >>> found.task, found.values.tolist(), found.classes
        ('classification', [1, 0, 1], ('ant', 'cat'))
    """
    if task == "segmentation":
        raise TargetError(
            f"{where} has one label per image, not masks", hint="give a folder with images/ and masks/, or volumes"
        )
    values = _text(values)
    if values.ndim == 2 and values.shape[1] == 1:
        values = values[:, 0]
    if values.ndim not in (1, 2):
        raise TargetError(f"{where} has labels of shape {list(values.shape)}", hint="labels must be [n] or [n, k]")
    _refuse_missing(values, ids, where)
    return _columns(values, ids, task, where, names) if values.ndim == 2 else _single(values, ids, task, where)


def _single(values: np.ndarray, ids: Sequence[str], task: Task | None, where: str) -> Labels:
    if task == "multilabel":
        raise TargetError(f"{where} has one label per image", hint="multilabel needs several columns of 0 and 1")
    numbers = _numbers(values)
    if task == "regression" or (task is None and numbers is not None and not _whole(numbers)):
        return _quantities(values, numbers, ids, where)
    return _classes(values, numbers, where)


def _quantities(values: np.ndarray, numbers: np.ndarray | None, ids: Sequence[str], where: str) -> Labels:
    if numbers is None:
        bad = next(place for place, value in enumerate(values) if _numbers(np.array([value])) is None)
        raise TargetError(
            f"{where}: the label {str(values[bad])!r} of {ids[bad]} is not a number",
            hint="regression needs numbers; leave the task out for classes",
        )
    if numbers.min() == numbers.max():
        raise TargetError(f"{where}: all labels equal {numbers[0]:g}", hint="regression needs labels that differ")
    return Labels("regression", numbers, ())


def _classes(values: np.ndarray, numbers: np.ndarray | None, where: str) -> Labels:
    distinct, inverse = np.unique(values, return_inverse=True)
    whole = numbers is not None and _whole(numbers)
    names = [_class_name(value, whole) for value in distinct.tolist()]
    if len(set(names)) < 2:
        raise TargetError(f"{where} has one class only: {names[0]}", hint="ranking needs at least two classes")
    by_value = numbers is not None
    classes = sorted(set(names), key=lambda name: (float(name) if by_value else 0.0, name))
    places = {name: place for place, name in enumerate(classes)}
    table = np.array([places[name] for name in names], dtype=np.int64)
    return Labels("classification", table[inverse.reshape(-1)], tuple(classes))


def _columns(values: np.ndarray, ids: Sequence[str], task: Task | None, where: str, names: Sequence[str]) -> Labels:
    if task == "regression":
        raise TargetError(f"{where} has several label columns", hint="regression takes one column of numbers")
    numbers = _numbers(values)
    if numbers is None or not np.isin(numbers, (0, 1)).all():
        raise TargetError(
            f"{where}: label columns must hold 0 and 1 only{_first_odd(values, ids)}",
            hint="give one column per label, 1 where the image has it",
        )
    flags = numbers.astype(np.int64)
    classes = tuple(names) or tuple(str(place) for place in range(flags.shape[1]))
    one_hot = bool((flags.sum(axis=1) == 1).all())
    if task == "classification":
        return _from_one_hot(flags, classes, one_hot, where)
    if (flags == flags[0]).all():
        raise TargetError(f"{where}: all images have the same labels", hint="ranking needs labels that differ")
    note = f"every image has exactly one of the {len(classes)} labels: the task could be classification"
    return Labels("multilabel", flags, classes, (note,) if one_hot else ())


def _from_one_hot(flags: np.ndarray, classes: tuple[str, ...], one_hot: bool, where: str) -> Labels:
    if not one_hot:
        raise TargetError(
            f"{where}: some images have none or several of the {len(classes)} labels", hint="the task is multilabel"
        )
    present = np.flatnonzero(flags.any(axis=0))
    if len(present) < 2:
        raise TargetError(
            f"{where} has one class only: {classes[present[0]]}", hint="ranking needs at least two classes"
        )
    return Labels("classification", flags[:, present].argmax(axis=1), tuple(classes[place] for place in present))


def _text(values: np.ndarray) -> np.ndarray:
    """Strings stripped and of one dtype, numbers as they are."""
    if values.dtype.kind in "biuf":
        return values
    if values.dtype.kind == "S":
        values = np.char.decode(values, "utf-8", "replace")
    if values.dtype.kind == "O":
        flat = [item.decode("utf-8", "replace") if isinstance(item, bytes) else str(item) for item in values.flat]
        values = np.array(flat).reshape(values.shape)
    return np.char.strip(values)


def _refuse_missing(values: np.ndarray, ids: Sequence[str], where: str) -> None:
    if values.dtype.kind in "biu":
        return
    lacking = ~np.isfinite(values) if values.dtype.kind == "f" else np.isin(np.char.lower(values), _MISSING)
    rows = np.flatnonzero(lacking.reshape(len(values), -1).any(axis=1))
    if len(rows):
        named = listing([ids[row] for row in rows.tolist()], 3)
        raise TargetError(
            f"{where}: {len(rows)} of {len(values)} labels are missing: {named}",
            hint="label these images or leave them out",
        )


def _numbers(values: np.ndarray) -> np.ndarray | None:
    """The values as float64, None where any of them is not a finite number."""
    try:
        numbers = values.astype(np.float64)
    except ValueError:
        return None
    return numbers if np.isfinite(numbers).all() else None


def _whole(numbers: np.ndarray) -> bool:
    return bool((numbers == np.floor(numbers)).all())


def _class_name(value: object, whole: bool) -> str:
    """How a class is called: 1, 1.0, True and "1.0" are all "1" where every label is a whole number."""
    if isinstance(value, str):
        return re.sub(r"\.0*$", "", value) if whole else value
    return str(int(value)) if whole else str(value)  # type: ignore[call-overload]


def _first_odd(values: np.ndarray, ids: Sequence[str]) -> str:
    for row, name in zip(values.tolist(), ids, strict=True):
        for cell in row:
            number = _numbers(np.array([cell]))
            if number is None or number[0] not in (0, 1):
                return f", {name} has {cell}"
    return ""
