"""GitHub Actions annotations: log lines that the runner shows as errors of the run.

Syntax and escapes: GitHub documentation, "Workflow commands for GitHub Actions".
"""

from __future__ import annotations


def error_annotation(title: str, message: str) -> str:
    r"""The log line that makes the runner show an error; title and message may hold any text.

    >>> error_annotation("gate: top_k", "50% worse\n::set-env::")
    '::error title=gate%3A top_k::50%25 worse%0A::set-env::'
    """
    title = _escape(title).replace(":", "%3A").replace(",", "%2C")
    return f"::error title={title}::{_escape(message)}"


def _escape(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")
