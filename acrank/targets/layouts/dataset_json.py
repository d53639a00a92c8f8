"""dataset.json in its dialects: Decathlon, MONAI's data lists, nnU-Net v1 and v2."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from acrank.errors import TargetError
from acrank.system.bounds import read_bounded
from acrank.targets.listed_values import ListedValues

NAME = "dataset.json"
_BACKGROUND = "background"
#: One of these keys makes a folder's dataset.json a description of volumes with masks.
_KEYS = ("training", "channel_names", "modality", "labels", "dataset", "file_ending")


@dataclass(frozen=True)
class LabelNames:
    """What the masks hold.

    Attributes:
        classes: names, background first.
        values: the class of each value.
        notes: remarks for the user.
    """

    classes: tuple[str, ...]
    values: ListedValues
    notes: tuple[str, ...] = ()


def read_description(path: Path) -> dict[str, Any]:
    """The dataset.json of a folder.

    Raises:
        TargetError: it cannot be read, or is not a mapping.
    """
    where = path / NAME
    try:
        about = json.loads(read_bounded(where, TargetError))
    except (ValueError, RecursionError) as error:
        raise TargetError(f"cannot read {where}: {error}", hint="it must be JSON") from error
    if not isinstance(about, dict):
        raise TargetError(f"{where} is not a mapping", hint="see Decathlon's or nnU-Net's description of it")
    return about


def describes_volumes(about: dict[str, Any]) -> bool:
    """Whether a dataset.json is of volumes or images with masks, rather than of something else.

    >>> describes_volumes({"training": []}), describes_volumes({"homepage": "x"})
    (True, False)
    """
    return any(key in about for key in _KEYS)


def is_nnunet(about: dict[str, Any]) -> bool:
    """Whether a description is nnU-Net v2's, with or without a training list.

    >>> is_nnunet({"channel_names": {}, "file_ending": ".nii.gz", "training": []}), is_nnunet({"training": []})
    (True, False)
    """
    return ("channel_names" in about and "file_ending" in about) or not isinstance(about.get("training"), list)


def channel_names(where: Path, about: dict[str, Any]) -> tuple[str, ...] | None:
    """Names of the channels in order; None if the description has none.

    They are a mapping of numbers to names or of names to numbers, a list, or a single name.

    Raises:
        TargetError: they are anything else, or the numbers are not 0, 1, 2, …

    Example:
        >>> channel_names(Path("x"), {"channel_names": {"CT": 0}}), channel_names(Path("x"), {"modality": {"0": "T1"}})
        (('CT',), ('T1',))
    """
    key = "channel_names" if "channel_names" in about else "modality"
    found = about.get(key)
    if found is None:
        return None
    if isinstance(found, str):
        return (found,)
    if isinstance(found, list) and found:
        return tuple(map(str, found))
    pairs = _numbered(found)
    if pairs is None or sorted(number for number, _ in pairs) != list(range(len(pairs))):
        raise TargetError(
            f"{where}: {key} are not numbers and names: {_short(found)}", hint='write {"0": "CT"}, one number a channel'
        )
    return tuple(name for _, name in sorted(pairs))


def label_names(where: Path, about: dict[str, Any]) -> LabelNames | None:
    """The classes of the masks; None if the description has no labels.

    Labels map names to numbers (nnU-Net v2) or numbers to names (Decathlon, nnU-Net v1). A name with several numbers is
    a region: regions overlap, and become classes without overlap as `regions_class_order` says.

    Raises:
        TargetError: labels of another form, without a background of 0, or regions without their order.

    Example:
        >>> for labels in ({"background": 0, "tumour": 1}, {"0": "background", "1": "tumour"}):
        ...     print(label_names(Path("x"), {"labels": labels}).classes)
        ('background', 'tumour')
        ('background', 'tumour')
    """
    found = about.get("labels")
    if found is None:
        return None
    if isinstance(found, dict) and any(isinstance(value, list) for value in found.values()):
        return _regions(where, found, about.get("regions_class_order"))
    pairs = _numbered(found)
    if pairs is None:
        raise TargetError(
            f"{where}: labels are not names and numbers: {_short(found)}",
            hint='names to numbers as in nnU-Net v2, {"background": 0}, or numbers to names, {"0": "background"}',
        )
    ignored = tuple(value for value, name in pairs if name.lower() == "ignore")
    kept = sorted(pair for pair in pairs if pair[0] not in ignored)
    values = [value for value, _ in kept]
    if len(set(values)) < len(values):
        raise TargetError(f"{where}: two labels have one number: {_short(found)}", hint="give each class its own")
    if len(kept) < 2 or values[0] != 0:
        raise TargetError(f"{where}: labels {_short(found)}", hint="there must be a background, 0, and a class")
    elsewhere = [value for value, name in kept if name.strip().lower() == _BACKGROUND and value != 0]
    if elsewhere:
        raise TargetError(
            f"{where}: the background is {elsewhere[0]}, and 0 is {kept[0][1]!r}: labels {_short(found)}",
            hint="the background must be 0: are the numbers the other way round? else renumber the masks",
        )
    notes = ("positions labelled `ignore` are left out",) if ignored else ()
    return LabelNames(
        tuple(name for _, name in kept), ListedValues(tuple((value,) for value in values), ignored), notes
    )


def without_value(labels: LabelNames, ignored: int) -> LabelNames:
    """The labels with one value that counts for nothing; a class that has no other is left out.

    Raises:
        TargetError: fewer than two classes are left.

    >>> labels = LabelNames(("background", "a", "void"), ListedValues(((0,), (1,), (255,))))
    >>> without_value(labels, 255).classes
    ('background', 'a')
    """
    left = [tuple(value for value in values if value != ignored) for values in labels.values.values]
    kept = [place for place, values in enumerate(left) if values]
    if len(kept) < 2:
        raise TargetError(f"without the value {ignored} there is one class", hint="segmentation needs two classes")
    values = ListedValues(tuple(left[place] for place in kept), (*labels.values.ignored, ignored))
    note = f"masks: {ignored} is ignored"
    return LabelNames(tuple(labels.classes[place] for place in kept), values, (*labels.notes, note))


def _regions(where: Path, labels: dict[str, Any], order: Any) -> LabelNames:
    """Each value belongs to the last of the regions that hold it, in the order in which nnU-Net writes them."""
    members = {str(name): _whole_numbers(value) for name, value in labels.items()}
    ignored = next((numbers for name, numbers in members.items() if name.lower() == "ignore"), None) or ()
    regions = {
        name: numbers
        for name, numbers in members.items()
        if name.lower() != "ignore" and numbers and set(numbers) != {0}
    }
    if None in members.values():
        raise TargetError(f"{where}: regions are not lists of numbers: {_short(labels)}", hint="write [1, 2, 3]")
    ranks = _whole_numbers(order)
    if ranks is None or len(ranks) != len(regions):
        raise TargetError(
            f"{where}: {len(regions)} regions need as many numbers in regions_class_order, found {_short(order)}",
            hint="list the label that each region is written as, as nnU-Net does",
        )
    owner = {value: name for name, numbers in regions.items() for value in numbers or ()}
    names = [name for name in regions if name in owner.values()]
    values = tuple(tuple(sorted(value for value, of in owner.items() if of == name)) for name in names)
    words = ", ".join(f"{name} {'/'.join(map(str, own))}" for name, own in zip(names, values, strict=True))
    notes = [f"regions that overlap are read as classes that do not, as regions_class_order says: {words}"]
    notes += ["positions labelled `ignore` are left out"] if ignored else []
    return LabelNames(("background", *names), ListedValues(((0,), *values), tuple(ignored)), tuple(notes))


def _numbered(mapping: Any) -> list[tuple[int, str]] | None:
    """(number, name) of a mapping either way round; None if it is none."""
    if not isinstance(mapping, dict) or not mapping:
        return None
    by_name = [(_number(value), str(name)) for name, value in mapping.items()]
    by_number = [(_number(key), str(value)) for key, value in mapping.items()]
    has_texts = all(isinstance(value, str) for value in mapping.values())
    for pairs in (by_number, by_name) if has_texts else (by_name,):
        whole = [(number, name) for number, name in pairs if number is not None]
        if len(whole) == len(mapping):
            return whole
    return None


def _number(value: Any) -> int | None:
    """A whole number of at most nine digits, also in quotes or as 1.0."""
    if isinstance(value, str):
        value = value.strip()
        return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return int(value) if is_number and abs(value) < 1e9 and value == int(value) else None  # NaN is not below


def _whole_numbers(value: Any) -> tuple[int, ...] | None:
    """The numbers of a list, or a single one."""
    found = [_number(one) for one in (value if isinstance(value, list) else [value])]
    whole = tuple(one for one in found if one is not None)
    return whole if len(whole) == len(found) else None


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 120 else f"{text[:117]}…"
