"""timm for the tests of this folder, also beside a torchvision that was built for another torch."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import pytest
import torch

OPERATORS = ("nms", "qnms")


@pytest.fixture(scope="session")
def timm() -> ModuleType:
    try:
        return importlib.import_module("timm")
    except RuntimeError as error:  # "operator torchvision::nms does not exist": nothing here calls it
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.split(".")[0] in ("torchvision", "timm")]:
        del sys.modules[name]
    for name in OPERATORS:
        torch.library.define(f"torchvision::{name}", "(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    return importlib.import_module("timm")
