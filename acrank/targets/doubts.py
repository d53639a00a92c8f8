"""What is unlikely about a target is a warning; what cannot be right is refused, unless the user overrules it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from acrank.errors import TargetError
from acrank.targets.examination import ImageFacts, same_images, size_axes
from acrank.targets.quantity_codes import far_outlier, missing_codes
from acrank.targets.stores.size_words import size_text
from acrank.targets.target import Target, first_few

#: One class with at least this share of the images is a warning.
ONE_CLASS = 0.95
#: Standard deviations of the values that reach a network; others are a warning.
USUAL_DEVIATION = (0.1, 10.0)
#: Thumbnails of 32 x 32 that correlate at least that much show the same picture: a copy, resized or stored anew.
LIKENESS = 0.998
#: Thumbnails are held against each other in a sample of up to that many images.
MOST_COMPARED = 2000
#: At least that share of the classes with one image each is a warning.
_MOST_SINGLE = 0.9
_MODES = {1: "grey", 3: "colour"}
#: Fewer images say nothing about all of them.
_FEWEST = 4
#: So many equal masks are one shape that says nothing of the images.
_MANY_MASKS = 8
_SPLIT_WORDS = frozenset(
    {"train", "training", "val", "valid", "validation", "test", "testing", "dev", "eval", "holdout"}
)
_MASK_WORDS = frozenset(
    {"mask", "masks", "gt", "groundtruth", "truth", "annotation", "annotations", "segmentation", "segmentations"}
    | {"contours", "manual", "overlay", "overlays", "depth"}
)
_IMAGE_WORDS = frozenset({"image", "images", "img", "imgs", "rgb"})
_FILLERS = frozenset(
    {"set", "data", "dataset", "images", "image", "imgs", "folder", "ground", "split", "fold", "part", ""}
)


def doubts_of(target: Target, facts: Mapping[str, ImageFacts]) -> list[str]:
    """Warnings about a target of which some images were decoded.

    Raises:
        TargetError: the target cannot be right, and `target.doubts` is "refuse".
    """
    impossible = [
        *_impossible_names(target),
        *_impossible_labels(target),
        *_impossible_masks(target, facts),
        *_impossible_images(target, facts),
    ]
    if impossible and target.doubts == "refuse":
        raise TargetError(
            f"{target.name} cannot be right: {impossible[0]}",
            hint="correct the data or the options that read it, or overrule this: --doubts warn",
        )
    return [
        *impossible,
        *_unlikely_names(target),
        *_unlikely_sizes(target),
        *_single_images(target, facts),
        *_storage(target, facts),
        *_unlikely_labels(target),
        *_copies(target, facts),
    ]


def deviation_warning(deviation: float, models: Sequence[str]) -> str:
    """The warning on values that reach networks with an unusual standard deviation."""
    low, high = USUAL_DEVIATION
    return (
        f"values reach {first_few(models)} with a standard deviation of {deviation:.3g}, "
        f"usual are {low:g} to {high:g}: are the images' range and the candidate's `input` right?"
    )


def split_leaks(facts: Mapping[str, ImageFacts], parts: Mapping[str, str]) -> list[str]:
    """The warning on images that are in several splits.

    Args:
        facts: id -> facts.
        parts: id -> name of its split.
    """
    pairs = [(one, other) for one, other in _alike(facts) if parts[one] != parts[other]]
    return [f"{_counted(pairs)} of different splits show the same: {_named(pairs)}"] if pairs else []


def is_split_name(name: str) -> bool:
    """Whether a class is named like a split.

    >>> is_split_name("Testing"), is_split_name("train_set"), is_split_name("fold_0"), is_split_name("test positive")
    (True, True, True, False)
    """
    return _says_only(name, _SPLIT_WORDS) or re.fullmatch(r"(?i)(fold|split)[ _-]?\d+", name) is not None


def is_mask_name(name: str) -> bool:
    """Whether a class is named like a folder of masks.

    >>> is_mask_name("Ground Truth"), is_mask_name("masks"), is_mask_name("masked bandit")
    (True, True, False)
    """
    return _says_only(name, _MASK_WORDS)


def _says_only(name: str, words: frozenset[str]) -> bool:
    said = set(re.split(r"[^a-z]+", name.lower()))
    return bool(said & words) and said <= words | _FILLERS


def _impossible_names(target: Target) -> list[str]:
    names = target.classes if target.task == "classification" else ()
    if names and all(map(is_split_name, names)):
        return [f"its classes are {first_few(names)}, which are names of splits"]
    return []


def _impossible_labels(target: Target) -> list[str]:
    """Numbers of a regression that may mark missing labels."""
    found = missing_codes(target.labels) if target.task == "regression" else {}
    if not found:
        return []
    values = [f"{value:g}" for value in found]
    told = f"{sum(found.values())} of {len(target)} labels are {first_few(values)}, far from the others: no labels?"
    ways = "in a table, empty their cells and say --missing-labels skip"
    also = "; --uncertain ignore leaves out -1" if "-1" in values else ""
    return [f"{told} ({ways}{also})"]


def _unlikely_labels(target: Target) -> list[str]:
    """The warning on a number of a regression that is far from all others."""
    if target.task != "regression":
        return []
    known = missing_codes(target.labels)
    value = far_outlier(target.labels[~np.isin(target.labels, list(known))])
    if value is None:
        return []
    names = [name for name, label in zip(target.ids, target.labels.tolist(), strict=True) if label == value]
    return [f"the label {value:g} of {first_few(names, 3)} is far from all others: is it right?"]


def _impossible_masks(target: Target, facts: Mapping[str, ImageFacts]) -> list[str]:
    if target.task != "segmentation" or len(facts) < min(_FEWEST, len(target)):
        return []
    present = np.flatnonzero(np.sum([one.positions for one in facts.values()], axis=0)).tolist()
    if len(present) > 1:
        is_one = len({one.mask_digest for one in facts.values()}) == 1 and len(facts) >= _MANY_MASKS
        return [f"the masks of the {len(facts)} images examined are equal: a field of view?"] if is_one else []
    held = f"one class only, {target.classes[present[0]]}" if present else "no class"
    return [f"the masks of the {len(facts)} images examined hold {held}"]


def _impossible_images(target: Target, facts: Mapping[str, ImageFacts]) -> list[str]:
    if len(facts) < _FEWEST:
        return []
    if all(one.is_flat for one in facts.values()):
        causes = sorted({one.note for one in facts.values() if one.note})
        return ["; ".join([f"each of {len(facts)} images holds one value only", *causes])]
    if len({one.digest for one in facts.values()}) == 1:
        return [f"{len(facts)} images are equal"]
    labels = _labels_of(target, facts)
    if labels:
        several = _under_several_labels(facts, labels)
        if len(several) > len(facts) / 2:
            return [f"{len(several)} of {len(facts)} images are there under several labels: {first_few(several, 3)}"]
    return []


def _unlikely_names(target: Target) -> list[str]:
    if target.task != "classification":
        return []
    found = {
        "a split": list(filter(is_split_name, target.classes)),
        "masks": list(filter(is_mask_name, target.classes)),
        "a folder of images": [name for name in target.classes if _says_only(name, _IMAGE_WORDS)],
    }
    return [
        f"{'classes are' if len(names) > 1 else 'a class is'} named like {what}: {first_few(names)}"
        for what, names in found.items()
        if names and len(names) < len(target.classes)
    ]


def _unlikely_sizes(target: Target) -> list[str]:
    if target.task != "classification":
        return []
    counts = np.bincount(target.labels, minlength=len(target.classes))
    singles = int((counts == 1).sum())
    if _are_mostly_single(counts):
        return [
            f"{singles} of {len(counts)} classes have one image each: do the labels measure something "
            "(--task regression), or name the images?"
        ]
    share = counts.max() / counts.sum()
    if share < ONE_CLASS:
        return []
    return [f"{target.classes[int(counts.argmax())]} has {share:.1%} of the images"]


def _are_mostly_single(counts: np.ndarray) -> bool:
    return int((counts == 1).sum()) >= _MOST_SINGLE * len(counts)


def _single_images(target: Target, facts: Mapping[str, ImageFacts]) -> list[str]:
    """The warning on classes of one image, on labels that one image or none has or lacks, and on masks of one image."""
    if target.task == "segmentation":
        counts = np.sum([np.asarray(one.positions) > 0 for one in facts.values()], axis=0) if len(facts) > 1 else []
        what, of = "classes in one mask only", f", of the {len(facts)} images examined"
        alone = [target.classes[place] for place, count in enumerate(counts) if count == 1]
    elif target.task == "multilabel":
        counts = target.labels.sum(axis=0)
        what, of = "labels that one image or none has, or lacks", ""
        alone = [target.classes[place] for place in np.flatnonzero(np.minimum(counts, len(target) - counts) < 2)]
    elif target.task == "classification":
        counts = np.bincount(target.labels, minlength=len(target.classes))
        what, of = "classes with one image only", ""
        alone = [] if _are_mostly_single(counts) else [target.classes[place] for place in np.flatnonzero(counts == 1)]
    else:
        return []
    why = "they cannot be in both halves of a sample, so what is learned of them is never tested"
    return [f"{what}{of}: {first_few(alone)} ({why}: add images, or leave them out)"] if alone else []


def _storage(target: Target, facts: Mapping[str, ImageFacts]) -> list[str]:
    """The warning on classes whose images are each stored in one way, and not in the same."""
    labels = _labels_of(target, facts) if target.task == "classification" else {}
    ways: dict[str, Callable[[ImageFacts], str]] = {
        "mode": lambda one: _MODES.get(one.channels, f"{one.channels} channels"),
        f"size ({size_axes(target, facts)})": lambda one: size_text(one.shape),
    }
    found = []
    for what, way in ways.items():
        stored: dict[int, Counter[str]] = {}
        for name, label in labels.items():
            stored.setdefault(int(label), Counter())[way(facts[name])] += 1
        classes: dict[str, list[str]] = {}
        for place, values in sorted(stored.items()):
            classes.setdefault(min(values), []).append(target.classes[place])
        is_plain = all(len(values) == 1 and values.total() >= _FEWEST for values in stored.values())
        if is_plain and len(classes) > 1:
            shown = "; ".join(f"{value}: {first_few(names, 3)}" for value, names in classes.items())
            found.append(f"the {what} of an image tells its class ({shown}): a network may learn that alone")
    return found


def _copies(target: Target, facts: Mapping[str, ImageFacts]) -> list[str]:
    """The warning on images that are there under several labels."""
    labels = _labels_of(target, facts)
    pairs = [(one, other) for one, other in _alike(facts) if labels[one] != labels[other]] if labels else []
    return [f"{_counted(pairs)} of different labels show the same: {_named(pairs)}"] if pairs else []


def _alike(facts: Mapping[str, ImageFacts]) -> list[tuple[str, str]]:
    return same_images(dict(list(facts.items())[:MOST_COMPARED]), likeness=LIKENESS)


def _labels_of(target: Target, facts: Mapping[str, ImageFacts]) -> dict[str, str]:
    """Id -> label, of the images with facts; empty where the labels are masks."""
    if target.task == "segmentation":
        return {}
    return {name: str(label) for name, label in zip(target.ids, target.labels.tolist(), strict=True) if name in facts}


def _under_several_labels(facts: Mapping[str, ImageFacts], labels: Mapping[str, str]) -> list[str]:
    """Images that have an equal one of another label."""
    pairs = Counter((facts[name].digest, label) for name, label in labels.items())
    per_image = Counter(digest for digest, _ in pairs)
    return [name for name in labels if per_image[facts[name].digest] > 1]


def _counted(pairs: Sequence[tuple[str, str]]) -> str:
    return f"{len(pairs)} pairs of images" if len(pairs) > 1 else "two images"


def _named(pairs: Iterable[tuple[str, str]]) -> str:
    return first_few([f"{one} and {other}" for one, other in pairs], 3)
