"""`import timm` where torchvision was built for another torch than the one installed."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import Any

from acrank.system.bars import notebook_tqdm
from acrank.system.imports import gc_paused

# The operators that torchvision describes on import but that only its missing binary part would declare.
_SCHEMAS = tuple(f"{name}(Tensor dets, Tensor scores, float iou_threshold) -> Tensor" for name in ("nms", "qnms"))
_declared: list[object] = []  # torch forgets the declarations when the library object is freed


@gc_paused()
def import_timm() -> ModuleType:
    """The timm module.

    torchvision from PyPI is linked to CUDA; beside a CPU-only torch its import, and so timm's, fails on a missing
    operator. Only then, the operators are declared (acrank never calls them) and the import is tried again.

    Raises:
        RuntimeError, ImportError: timm cannot be imported for any other reason.

    Example:
        >>> import_timm().__name__
        'timm'
    """
    notebook_tqdm()  # timm imports the same module, which would warn where there is no ipywidgets
    try:
        return importlib.import_module("timm")
    except RuntimeError as error:
        if "operator torchvision::nms does not exist" not in str(error) or _declared:
            raise
    import torch

    make_library: Any = torch.library.Library  # untyped in torch
    library = make_library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    _declared.append(library)
    for name in [name for name in sys.modules if name.partition(".")[0] in ("timm", "torchvision")]:
        del sys.modules[name]  # what the failed import left half-made
    return importlib.import_module("timm")


def was_mended() -> bool:
    """Whether `import_timm` had to declare operators, for torchvision was built for another torch."""
    return bool(_declared)
