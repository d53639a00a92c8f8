"""Text that fits into a number of terminal cells: shortened in its middle, or wrapped at its spaces."""

from __future__ import annotations

import re

ELLIPSIS = "…"
_PIECES = re.compile(r"[^_\s]+_*|_+")


def shortened_to(text: str, width: int) -> str:
    """The text without its middle where it takes more than `width` terminal cells.

    Example:
        >>> shortened_to("mobilenetv3_large_100.miil_in1k", 15)
        'mobilen…il_in1k'
        >>> shortened_to("日本語モデル", 7)
        '日本…ル'
    """
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    if width < 2:
        return ELLIPSIS[:width]
    tail = _beginning(text[::-1], width // 2)[::-1]
    head = _beginning(text, width - 1 - cell_len(tail))
    while head and cell_len(head + ELLIPSIS + tail) > width:  # characters that join are not as wide as their sum
        head = head[:-1]
    return head + ELLIPSIS + tail


def wrapped(text: str, width: int | None) -> str:
    """The text in lines of at most `width` terminal cells, broken at its spaces; wider words lose their middle.

    Example:
        >>> print(wrapped("no file weights/of/a/network.pth here", 16))
        no file
        weights…work.pth
        here
    """
    if width is None:
        return text
    from rich.cells import cell_len

    lines, line = [], ""
    for word in text.split(" "):
        piece = shortened_to(word, width)
        longer = f"{line} {piece}" if line else piece
        if line and cell_len(longer) > width:
            lines.append(line)
            longer = piece
        line = longer
    return "\n".join([*lines, line])


def pieces_of(heading: str) -> list[str]:
    """What a heading may be broken into: at its spaces, and behind its underscores.

    >>> pieces_of("kernel_ridge_accuracy"), pieces_of("% of best")
    (['kernel_', 'ridge_', 'accuracy'], ['%', 'of', 'best'])
    """
    return _PIECES.findall(heading) or [heading]


def heading_in(heading: str, width: int) -> str:
    """A heading in lines of at most `width` terminal cells.

    >>> print(heading_in("kernel_ridge_accuracy", 13))
    kernel_ridge_
    accuracy
    """
    from rich.cells import cell_len

    if cell_len(heading) <= width:
        return heading
    lines: list[str] = []
    for piece in pieces_of(heading):
        piece = shortened_to(piece, width)
        joint = "" if lines and lines[-1].endswith("_") else " "
        if lines and cell_len(longer := lines[-1] + joint + piece) <= width:
            lines[-1] = longer
        else:
            lines.append(piece)
    return "\n".join(lines)


def _beginning(text: str, room: int) -> str:
    """The longest beginning that takes at most `room` cells, of few enough characters."""
    from rich.cells import cell_len

    end = 0
    while end < min(len(text), 4 * room) and cell_len(text[: end + 1]) <= room:
        end += 1
    return text[:end]
