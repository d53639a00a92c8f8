"""Finetuning: the ground truth of a ranking, with and without AC-Norm. Light to import; `finetune` loads torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acrank.finetuning.methods import METHODS
from acrank.finetuning.results import Outcome, Results
from acrank.finetuning.settings import FinetuneSettings

if TYPE_CHECKING:
    from acrank.finetuning.flow import finetune

__all__ = ["METHODS", "FinetuneSettings", "Outcome", "Results", "finetune"]


def __getattr__(name: str) -> Any:
    if name != "finetune":
        raise AttributeError(f"module 'acrank.finetuning' has no attribute {name!r}")
    from acrank.finetuning.flow import finetune

    return finetune
