"""Contact sheets: what is read for them, and in which order."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from acrank.targets import open_target
from acrank.targets.contact_sheet import contact_sheet
from acrank.targets.layouts.npz import ZippedArray


def test_images_are_read_in_the_order_of_the_store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    labels = np.arange(40) % 3  # so that the images of a class lie between those of the others
    np.savez_compressed(tmp_path / "x.npz", images=np.random.default_rng(0).random((40, 8, 8)), labels=labels)
    read: list[int] = []
    item = ZippedArray.item
    monkeypatch.setattr(ZippedArray, "item", lambda self, index: (read.append(index), item(self, index))[1])
    target = open_target(tmp_path / "x.npz")
    read.clear()
    contact_sheet(target)
    assert len(read) > 12
    assert read == sorted(read)
