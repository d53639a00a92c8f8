"""How other libraries name the tensors of networks that acrank knows: one table, from their names to the network's."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

Shapes = Mapping[str, tuple[int, ...]]


class KeyLayout(NamedTuple):
    """One way to name a network's tensors.

    Attributes:
        title: for the note on the row.
        marker: regular expression that some name of such a file matches.
        rules: regular expression -> replacement, in order, after the blocks have been numbered.
        block: regular expression of the part of a name that numbers a block; blocks in the order of their numbers
            become the network's blocks (`blocks.0.0`, `blocks.1.0`, …) in their order.
    """

    title: str
    marker: str
    rules: tuple[tuple[str, str], ...]
    block: str | None = None


#: Names without a translation; a prefix may still be removed.
PLAIN = KeyLayout("", "", ())

_SEPARABLE = r"^(blocks\.0\.\d+)\."  # timm's first stage: depthwise convolutions without expansion
_INVERTED = r"^(blocks\.\d+\.\d+)\."

_EFFICIENTNET_PYTORCH = KeyLayout(
    "EfficientNet-PyTorch's names",
    r"^_blocks\.0\._depthwise_conv\.",
    (
        (_SEPARABLE + r"_depthwise_conv\.", r"\1.conv_dw."),
        (_SEPARABLE + r"_bn1\.", r"\1.bn1."),
        (_SEPARABLE + r"_project_conv\.", r"\1.conv_pw."),
        (_SEPARABLE + r"_bn2\.", r"\1.bn2."),
        (_INVERTED + r"_expand_conv\.", r"\1.conv_pw."),
        (_INVERTED + r"_bn0\.", r"\1.bn1."),
        (_INVERTED + r"_depthwise_conv\.", r"\1.conv_dw."),
        (_INVERTED + r"_bn1\.", r"\1.bn2."),
        (_INVERTED + r"_project_conv\.", r"\1.conv_pwl."),
        (_INVERTED + r"_bn2\.", r"\1.bn3."),
        (_INVERTED + r"_se_reduce\.", r"\1.se.conv_reduce."),
        (_INVERTED + r"_se_expand\.", r"\1.se.conv_expand."),
        (r"^_conv_stem\.", "conv_stem."),
        (r"^_bn0\.", "bn1."),
        (r"^_conv_head\.", "conv_head."),
        (r"^_bn1\.", "bn2."),
        (r"^_fc\.", "classifier."),
    ),
    block=r"^_blocks\.\d+",
)
_TORCHVISION_MOBILENET_V2 = KeyLayout(
    "torchvision's names of MobileNetV2",
    r"^features\.1\.conv\.0\.0\.",
    (
        (_SEPARABLE + r"conv\.0\.0\.", r"\1.conv_dw."),
        (_SEPARABLE + r"conv\.0\.1\.", r"\1.bn1."),
        (_SEPARABLE + r"conv\.1\.", r"\1.conv_pw."),
        (_SEPARABLE + r"conv\.2\.", r"\1.bn2."),
        (_INVERTED + r"conv\.0\.0\.", r"\1.conv_pw."),
        (_INVERTED + r"conv\.0\.1\.", r"\1.bn1."),
        (_INVERTED + r"conv\.1\.0\.", r"\1.conv_dw."),
        (_INVERTED + r"conv\.1\.1\.", r"\1.bn2."),
        (_INVERTED + r"conv\.2\.", r"\1.conv_pwl."),
        (_INVERTED + r"conv\.3\.", r"\1.bn3."),
        (r"^features\.0\.0\.", "conv_stem."),
        (r"^features\.0\.1\.", "bn1."),
        (r"^features\.\d+\.0\.", "conv_head."),
        (r"^features\.\d+\.1\.", "bn2."),
        (r"^classifier\.1\.", "classifier."),
    ),
    block=r"^features\.\d+(?=\.conv\.)",
)
_TORCHVISION_EFFICIENTNET = KeyLayout(
    "torchvision's names of EfficientNet",
    r"^features\.1\.0\.block\.1\.fc1\.",
    (
        (_SEPARABLE + r"block\.0\.0\.", r"\1.conv_dw."),
        (_SEPARABLE + r"block\.0\.1\.", r"\1.bn1."),
        (_SEPARABLE + r"block\.2\.0\.", r"\1.conv_pw."),
        (_SEPARABLE + r"block\.2\.1\.", r"\1.bn2."),
        (_INVERTED + r"block\.0\.0\.", r"\1.conv_pw."),
        (_INVERTED + r"block\.0\.1\.", r"\1.bn1."),
        (_INVERTED + r"block\.1\.0\.", r"\1.conv_dw."),
        (_INVERTED + r"block\.1\.1\.", r"\1.bn2."),
        (_INVERTED + r"block\.3\.0\.", r"\1.conv_pwl."),
        (_INVERTED + r"block\.3\.1\.", r"\1.bn3."),
        (_INVERTED + r"block\.[12]\.fc1\.", r"\1.se.conv_reduce."),
        (_INVERTED + r"block\.[12]\.fc2\.", r"\1.se.conv_expand."),
        (r"^features\.0\.0\.", "conv_stem."),
        (r"^features\.0\.1\.", "bn1."),
        (r"^features\.\d+\.0\.", "conv_head."),
        (r"^features\.\d+\.1\.", "bn2."),
        (r"^classifier\.1\.", "classifier."),
    ),
    block=r"^features\.\d+\.\d+(?=\.block\.)",
)
_TORCHVISION_DENSENET = KeyLayout(
    "torchvision's old names of DenseNet",
    r"denselayer1\.norm\.1\.",
    ((r"(denselayer\d+\.(?:norm|conv))\.([12])\.", r"\1\2."),),
)
_MMPRETRAIN_VIT = KeyLayout(
    "mmpretrain's names of ViT",
    r"^layers\.0\.ffn\.layers\.0\.0\.",
    (
        (r"^layers\.", "blocks."),
        (r"\.ln([12])\.", r".norm\1."),
        (r"\.ffn\.layers\.0\.0\.", ".mlp.fc1."),
        (r"\.ffn\.layers\.1\.", ".mlp.fc2."),
        (r"^patch_embed\.projection\.", "patch_embed.proj."),
        (r"^(ln1|ln_final)\.", "norm."),
    ),
)
KEY_LAYOUTS = (
    _TORCHVISION_DENSENET,
    _EFFICIENTNET_PYTORCH,
    _TORCHVISION_MOBILENET_V2,
    _TORCHVISION_EFFICIENTNET,
    _MMPRETRAIN_VIT,
)


def children_layout(children: Iterable[str]) -> KeyLayout:
    """The layout of `nn.Sequential(*network.children())`, which numbers the network's children.

    Example:
        >>> layout = children_layout(["conv1", "bn1", "relu", "layer1"])
        >>> new_names(layout, ["0.weight", "3.0.conv.weight"], {})
        {'0.weight': 'conv1.weight', '3.0.conv.weight': 'layer1.0.conv.weight'}
    """
    rules = tuple((rf"^{i}\.", f"{name}.") for i, name in enumerate(children))
    return KeyLayout("the numbers of a Sequential", r"^0\.", rules)


def new_names(layout: KeyLayout, names: Iterable[str], wanted: Shapes) -> dict[str, str] | None:
    """File name -> network name for every name, or None where the layout is not the file's.

    Args:
        layout: tried.
        names: of the file, without a prefix.
        wanted: names and shapes of the network's tensors.
    """
    names = list(names)
    if not any(re.search(layout.marker, name) for name in names):
        return None
    blocks = _blocks(layout.block, names, wanted) if layout.block else {}
    if blocks is None:
        return None
    out = {name: _numbered(name, blocks) for name in names}
    for pattern, replacement in layout.rules:
        known = re.compile(pattern)
        out = {name: known.sub(replacement, new) for name, new in out.items()}
    return out


def _blocks(pattern: str, names: Iterable[str], wanted: Shapes) -> dict[str, str] | None:
    """File's block -> network's block, in the order of their numbers; None where their counts differ."""
    theirs = _in_order(match[0] for name in names if (match := re.search(pattern, name)))
    ours = _in_order(match[0] for name in wanted if (match := re.match(r"blocks\.\d+\.\d+", name)))
    return dict(zip(theirs, ours, strict=True)) if len(theirs) == len(ours) else None


def _in_order(blocks: Iterable[str]) -> list[str]:
    return sorted(set(blocks), key=lambda block: [int(number) for number in re.findall(r"\d+", block)])


def _numbered(name: str, blocks: Mapping[str, str]) -> str:
    for i in range(2, 4):
        head = ".".join(name.split(".")[:i])
        if head in blocks:
            return blocks[head] + name[len(head) :]
    return name
