"""Annotations of GitHub Actions: lines in a log that its runner turns into marks on the run.

Form and escapes: GitHub documentation, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations


def error_annotation(title: str, message: str) -> str:
    r"""The line that makes the runner show an error, whatever the texts hold.

    >>> error_annotation("gate: top_k", "50% worse\n::set-env::")
    '::error title=gate%3A top_k::50%25 worse%0A::set-env::'
    """
    title = _data(title).replace(":", "%3A").replace(",", "%2C")
    return f"::error title={title}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
