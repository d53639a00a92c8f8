"""timm for the tests of this folder, also beside a torchvision that was built for another torch."""

from __future__ import annotations

from types import ModuleType

import pytest

from acrank.zoo.architectures.timm_import import import_timm


@pytest.fixture(scope="session")
def timm() -> ModuleType:
    return import_timm()
