"""Which architecture a file's tensors are of: all tensors of its backbone are there, and none of a backbone is left."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from acrank.zoo.fingerprint_index import Index
from acrank.zoo.fingerprints import Fingerprint, Shape, entry_hash, form_hash
from acrank.zoo.structure import under

_DEPTH = 7  # dots of a prefix, at most
#: Tensors that networks work out themselves, and what profilers and averages leave behind.
_HARMLESS = re.compile(
    r"(^|\.)(num_batches_tracked|total_ops|total_params|n_averaged|relative_position_index|relative_coords_table"
    r"|attn_mask|_extra_state|_metadata)$"
)
#: Parts beside a backbone that change nothing of it: classifiers, projections, losses, queues.
_BESIDE = re.compile(
    r"(^|[._])(fc\d*|heads?|head_dist|classifiers?|aux\w*|AuxLogits|logits|last_linear|linear|project\w*|predict\w*"
    r"|prototypes?|queue\w*|mask_token|logit_scale|\w*loss\w*|criterion\w*|metrics?|\w*accuracy|ema_decay|center)(\.|$)",
    re.IGNORECASE,
)
#: Copies beside the network to take: momentum encoders, students.
_LESSER = re.compile(
    r"(^|[._])(encoder_k|key_encoder|encoder_key|momentum\w*|target_(encoder|network)|student)(\.|$)", re.IGNORECASE
)
#: Averages over training, which are the better of two copies.
_BETTER = re.compile(r"(^|[._])(ema|teacher|averaged?|swa)([._]|$)", re.IGNORECASE)


@dataclass(frozen=True)
class Match:
    """An architecture whose whole backbone a file holds.

    Attributes:
        fingerprint: of the architecture.
        prefix: before its names in the file.
        channels: of its input.
        classes: outputs of its head, None where the file has none that is a single layer.
        same: further architectures with the same names and shapes.
        is_named: whether the file's name decided between them.
        beside: names of tensors in the file that are neither of it nor known to be beside a backbone.
    """

    fingerprint: Fingerprint
    prefix: str
    channels: int
    classes: int | None
    same: tuple[str, ...] = ()
    is_named: bool = False
    beside: tuple[str, ...] = ()


@dataclass(frozen=True)
class Nearest:
    """The architecture that shares most tensors with a file, and how many of how many it needs."""

    name: str
    found: int
    size: int


def identify(shapes: Mapping[str, Shape], index: Index, file_name: str = "") -> list[Match]:
    """The architectures that a file holds, one for each prefix.

    Args:
        shapes: name -> shape of the file's tensors.
        index: of known architectures.
        file_name: decides between architectures with the same names and shapes, where it has one of their names.

    Example:
        >>> from acrank.zoo.architectures.timm_import import import_timm
        >>> from acrank.zoo.fingerprint_index import build_index
    >>> from acrank.zoo.fingerprints import timm_fingerprints
        >>> index = build_index(timm_fingerprints(["resnet10t", "resnet14t"]), total=2)
        >>> tensors = import_timm().create_model("resnet10t", num_classes=7, in_chans=1).state_dict()
        >>> [match] = identify({f"module.{name}": tuple(value.shape) for name, value in tensors.items()}, index)
        >>> match.fingerprint.name, match.prefix, match.channels, match.classes
        ('resnet10t', 'module.', 1, 7)
    """
    shapes = without_harmless(shapes)
    found: dict[str, list[Match]] = {}
    for (prefix, i), count in _votes(shapes, index).items():
        one = index.fingerprints[i]
        if count == len(one.entries) and (match := _match(one, prefix, shapes)):
            found.setdefault(prefix, []).append(match)
    chosen = [_canonical(matches, file_name) for matches in found.values()]
    prefixes = [match.prefix for match in chosen]
    return [_with_beside(match, shapes, prefixes) for match in chosen]


def nearest(shapes: Mapping[str, Shape], index: Index) -> Nearest | None:
    """The architecture that shares most tensors with a file, None where none shares a quarter of its own."""
    votes = _votes(without_harmless(shapes), index)

    def key(vote: tuple[tuple[str, int], int]) -> tuple[float, tuple[bool, int, str]]:
        (_, i), count = vote
        one = index.fingerprints[i]
        return -count / (one.size + len(shapes)), _plainness(one.name)

    for (_, i), count in sorted(votes.items(), key=key)[:1]:
        one = index.fingerprints[i]
        return Nearest(one.name, count, one.size) if 4 * count >= one.size else None
    return None


def of_the_same_form(shapes: Mapping[str, Shape], index: Index) -> list[str]:
    """Architectures whose shapes are those of a file, whatever their names; first layer and head may differ."""
    rest = without_harmless(shapes)
    first = next((name for name, shape in rest.items() if len(shape) > 3), None)
    matrices = [name for name, shape in rest.items() if len(shape) == 2]
    head = matrices[-1].rpartition(".")[0] if matrices else ""
    body = [(name, shape) for name, shape in rest.items() if name != first]
    forms = {
        form_hash(shape for _, shape in body),
        form_hash(shape for name, shape in body if name.rpartition(".")[0] != head),
    }
    names = [one.name for one in index.fingerprints if one.form in forms]
    return sorted(names, key=_plainness)


def without_harmless(shapes: Mapping[str, Shape]) -> dict[str, Shape]:
    """The tensors without counters, indices and what else changes nothing of a network.

    Example:
        >>> without_harmless({"bn.weight": (2,), "bn.num_batches_tracked": ()})
        {'bn.weight': (2,)}
    """
    return {name: shape for name, shape in shapes.items() if not _HARMLESS.search(name)}


def copy_rank(place: str) -> int:
    """Which of several copies of a network to take, by key and prefix: 0 averages, 1 the network, 2 other copies."""
    if _LESSER.search(place):
        return 2
    return 0 if _BETTER.search(place) else 1


def _votes(shapes: Mapping[str, Shape], index: Index) -> Counter[tuple[str, int]]:
    """How many tensors each architecture finds under each prefix."""
    votes: Counter[tuple[str, int]] = Counter()
    for name, shape in shapes.items():
        start = 0
        for _ in range(_DEPTH):
            having = index.having.get(entry_hash(name[start:], shape))
            if having:
                votes.update((name[:start], i) for i in having)
            start = name.find(".", start) + 1
            if not start:
                break
    return votes


def _match(one: Fingerprint, prefix: str, shapes: Mapping[str, Shape]) -> Match | None:
    """The match of an architecture whose entries are all there, None where the first layer or what is left differs."""
    inside = {name[len(prefix) :]: shape for name, shape in shapes.items() if name.startswith(prefix)}
    channels = _channels(one, inside)
    if channels is None:
        return None
    entries, buffers = set(one.entries), set(one.buffers)
    rest = [
        name
        for name, shape in inside.items()
        if name not in one.stems and entry_hash(name, shape) not in entries and entry_hash(name) not in buffers
    ]
    if any(_is_of_body(name, one) for name in rest if not under(name, one.heads)):
        return None
    weights = [(inside.get(f"{head}.weight"), features) for head, features in one.heads.items()]
    classes = next((shape[0] for shape, features in weights if shape and features in (0, *shape[1:2])), None)
    return Match(one, prefix, channels, classes=classes)


def _channels(one: Fingerprint, inside: Mapping[str, Shape]) -> int | None:
    """Channels of the file's first layers, None where they are missing or differ in more than that."""
    found = set()
    for name, wanted in one.stems.items():
        shape = inside.get(name)
        if shape == wanted:
            found.add(one.channels)
        elif shape and len(shape) == len(wanted) > 2 and wanted[1] == one.channels and shape[0] == wanted[0]:
            found.add(shape[1] if shape[2:] == wanted[2:] else 0)
        else:
            return None
    return None if len(found) > 1 or 0 in found else found.pop() if found else one.channels


def _is_of_body(name: str, one: Fingerprint) -> bool:
    """Whether a tensor that is left over would belong to a larger network of the same kind."""
    top, _, rest = name.partition(".")
    if top in one.tops:
        return True
    if not rest:
        return not _BESIDE.search(name)
    numbered = {re.sub(r"\d+", "#", known) for known in one.tops if re.search(r"\d", known)}
    return re.sub(r"\d+", "#", top) in numbered and not _BESIDE.search(top)


def _canonical(matches: list[Match], file_name: str) -> Match:
    """The match that explains most; of equal ones that which the file's name has, else the plainest name of timm."""
    most = max(match.fingerprint.size for match in matches)
    equal = [match for match in matches if match.fingerprint.size == most]
    given = re.sub(r"[^a-z0-9]+", "_", file_name.lower())

    def named(match: Match) -> int:
        name = match.fingerprint.name
        return len(name) if re.search(rf"(^|_){re.escape(name)}(_|$)", given) else 0

    def key(match: Match) -> tuple[bool, int, tuple[bool, int, str]]:
        return match.classes is None, -named(match), _plainness(match.fingerprint.name)

    first, *others = sorted(equal, key=key)
    same = tuple(sorted((match.fingerprint.name for match in others), key=_plainness))
    return replace(first, same=same, is_named=named(first) > 0)


def _plainness(name: str) -> tuple[bool, int, str]:
    return name.startswith("torchvision:"), len(name), name


def _with_beside(match: Match, shapes: Mapping[str, Shape], prefixes: Iterable[str]) -> Match:
    """The match with what the file holds beside it and beside the other matches."""
    one, known = match.fingerprint, [prefix for prefix in prefixes if prefix]
    if match.prefix:
        outside = [name for name in shapes if not name.startswith(tuple(known))]
    else:
        outside = [name for name in shapes if name.partition(".")[0] not in one.tops and not under(name, one.heads)]
    buffers = set(one.buffers)
    beside = tuple(
        name
        for name in outside
        if not _BESIDE.search(name) and not _LESSER.search(name) and entry_hash(name) not in buffers
    )
    return replace(match, beside=beside)
