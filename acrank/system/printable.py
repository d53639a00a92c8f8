"""Text from files, names and users, made safe for a terminal and a log."""

from __future__ import annotations

import re
import unicodedata

#: What a continuous-integration runner reads as a command: where a line begins with it, the last one anywhere.
_COMMAND = re.compile(r"(?:^(\s*)(?=::|##vso\[)|(?=##\[))(.)", re.MULTILINE)
#: A space without width says nothing but where it breaks up what a runner, or Markdown, would obey.
_NO_WIDTH = re.compile("(?<![:#@])\u200b")


def printable(text: str, *, newlines: bool = False) -> str:
    """The text with every character that could steer a terminal or a log as its escape.

    Control characters (ESC, NUL, C1), direction marks (bidi) and other invisible ones but the joiners that scripts and
    emoji need, line and paragraph separators and lone surrogates become `\\x1b`, `\\u202e`; what a CI runner reads as a
    command (`::error` at the begin of a line, `##[` anywhere) gets a space that makes it none.

    Args:
        text: anything.
        newlines: whether newlines and tabs are kept.

    Example:
        >>> print(printable("a\\x1b[31mb\\u202ec"))
        a\\x1b[31mb\\u202ec
        >>> print(printable("ca\\u200bt"))
        ca\\u200bt
        >>> printable("::error::x")
        ': :error::x'
    """
    is_plain = text.isascii() and text.isprintable()  # most text is
    out = text if is_plain else "".join(one if _is_safe(one, newlines) else _escape(one) for one in text)
    out = _NO_WIDTH.sub("\\\\u200b", out)
    return _COMMAND.sub(lambda found: f"{found[1] or ''}{found[2]} ", out)


def _is_safe(one: str, newlines: bool) -> bool:
    if one in "\n\t":
        return newlines
    return unicodedata.category(one) not in ("Cc", "Cf", "Cs", "Zl", "Zp") or one in "\u200b\u200c\u200d"


def _escape(one: str) -> str:
    code = ord(one)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"
