"""Short trainings of the first candidates of a ranking, in rounds of successive halving. Only `refine` loads torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acrank.refining.refine_settings import RefineSettings

if TYPE_CHECKING:
    from acrank.refining.refinement import refine

__all__ = ["RefineSettings", "refine"]


def __getattr__(name: str) -> Any:
    if name != "refine":
        raise AttributeError(f"module 'acrank.refining' has no attribute {name!r}")
    from acrank.refining.refinement import refine

    return refine
