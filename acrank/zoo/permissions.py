"""Which candidates `score` and `finetune` skip unless an option permits what they need."""

from __future__ import annotations

from collections.abc import Sequence

from acrank.errors import CandidateError
from acrank.zoo.architectures.arguments import check_arguments
from acrank.zoo.schema import Candidate


def option_needed(candidate: Candidate) -> str | None:
    """The option without which a candidate is skipped; None where it needs none.

    Example:
        >>> option_needed(Candidate(id="ours", architecture="factory:networks:build", weights="w.pth"))
        '--allow-code'
        >>> option_needed(Candidate(id="plain", architecture="resnet18", weights="w.pth")) is None
        True
    """
    if candidate.factory:
        return "--allow-code"
    if not candidate.library:
        return None
    try:
        check_arguments(candidate.factory_args, "`factory_args`")
    except CandidateError:
        try:
            check_arguments(candidate.factory_args, "`factory_args`", allow_download=True)
        except CandidateError:
            return None  # no option permits these arguments
        return "--allow-download"
    return None


def options_needed(candidates: Sequence[Candidate]) -> dict[str, list[str]]:
    """Option -> ids of the candidates that are skipped without it."""
    found: dict[str, list[str]] = {}
    for candidate in candidates:
        if option := option_needed(candidate):
            found.setdefault(option, []).append(candidate.id)
    return found
