"""Finetuning: the ground truth of a ranking, with and without AC-Norm. Only `finetune` loads torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.methods import METHODS
from acrank.finetuning.outcomes import Outcome, Results

if TYPE_CHECKING:
    from acrank.finetuning.flow import finetune

__all__ = ["METHODS", "FinetuneSettings", "Outcome", "Results", "finetune"]


def __getattr__(name: str) -> Any:
    if name != "finetune":
        raise AttributeError(f"module 'acrank.finetuning' has no attribute {name!r}")
    from acrank.finetuning.flow import finetune

    return finetune
