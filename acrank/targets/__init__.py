"""Targets: labelled images or volumes in folders, arrays or tables. Light; `open_target` loads the layouts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from acrank.targets.target_options import Spacing, TargetOptions, Task

if TYPE_CHECKING:
    from acrank.targets.opening import LAYOUTS, Layout, open_target
    from acrank.targets.target import Target

__all__ = ["LAYOUTS", "Layout", "Spacing", "Target", "TargetOptions", "Task", "open_target"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'acrank.targets' has no attribute {name!r}")
    from acrank.targets import opening

    return getattr(opening, name)
