"""The bar of a call from Python says what is done; silence is the default."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
from helpers import workbench

import acrank
from acrank.settings import Settings


def test_a_bar_counts_every_candidate(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    zoo = workbench.make_zoo(tmp_path / "zoo", count=3)
    images = workbench.make_images(tmp_path / "set")
    settings = Settings(samples=12, repeats=1, allow_code=True)
    acrank.score(zoo, images, settings)
    assert "it/s" not in capsys.readouterr().err
    acrank.score(zoo, images, settings, progress=True)
    said = capsys.readouterr().err
    assert re.search(r"3/3 \[", said)
    assert re.search(r"1/3 \[", said)


def test_a_notebook_without_widgets_is_told_nothing() -> None:
    """In one of its own, for tqdm looks where it runs when it is first imported."""
    code = """
import sys, types
kernel = types.ModuleType("IPython")
kernel.get_ipython = lambda: types.SimpleNamespace(config={"IPKernelApp": {}})
sys.modules |= {"IPython": kernel, "ipywidgets": None}
from acrank.system.bars import notebook_tqdm
notebook_tqdm()
import tqdm.auto
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
