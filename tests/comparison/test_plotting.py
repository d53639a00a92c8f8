"""The scatter plots: the same bytes twice, safe names, and errors before the work."""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest

from acrank.comparison import Comparison, Measurement, Scores, Truth, compare
from acrank.errors import MissingExtraError, UsageError

pytest.importorskip("matplotlib")

from acrank.comparison.plotting import check_plot_path, plot_comparison

NAMES = ["plain", "ckpt[final].pth", "$\\frac{$", "<b>&\x1b\x00", "ü"]


def comparison() -> Comparison:
    rng = np.random.default_rng(0)
    scores, truth = rng.normal(size=(2, 5))
    columns = {"logme": dict(zip(NAMES, scores, strict=True)), "flat": dict.fromkeys(NAMES, 1.0)}
    known = {name: Measurement(float(value), 0.1) for name, value in zip(NAMES, truth, strict=True)}
    table = Scores("s", {"": columns}, {"": NAMES}, sd={"": {"logme": dict.fromkeys(NAMES, 0.2)}})
    return compare(table, Truth("t", {"": known}), resamples=100)


@pytest.mark.parametrize("suffix", ["png", "svg"])
def test_the_same_comparison_gives_the_same_bytes_in_another_process(tmp_path: Path, suffix: str) -> None:
    here = tmp_path / f"here.{suffix}"
    plot_comparison(comparison(), here)
    (tmp_path / "matplotlibrc").write_text("lines.markersize: 40\ntext.usetex: True\n")  # somebody else's style
    there = plotted_in_another_process(tmp_path, f"there.{suffix}")
    assert there.returncode == 0, there.stderr
    assert here.read_bytes() == (tmp_path / f"there.{suffix}").read_bytes()


def plotted_in_another_process(folder: Path, name: str) -> subprocess.CompletedProcess[str]:
    code = "import sys; sys.path.insert(0, sys.argv[1]); import test_plotting as t; from pathlib import Path;"
    code += "t.plot_comparison(t.comparison(), Path(sys.argv[2]))"
    command = [sys.executable, "-c", code, str(Path(__file__).parent), str(folder / name)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=120)


def test_a_style_that_is_no_ordinary_file_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "matplotlibrc").symlink_to("/dev/zero")
    code = "from pathlib import Path; from acrank.comparison.plotting import check_plot_path as f; f(Path('plot.png'))"
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "UsageError: matplotlib would read ./matplotlibrc, which is no ordinary file" in done.stderr


def test_an_svg_is_well_formed_and_a_png_has_a_panel_per_score(tmp_path: Path) -> None:
    from matplotlib.image import imread

    plot_comparison(comparison(), tmp_path / "plot.svg")
    assert ElementTree.parse(tmp_path / "plot.svg").getroot().tag.endswith("svg")
    plot_comparison(comparison(), tmp_path / "plot.png")
    height, width, _ = imread(tmp_path / "plot.png").shape
    assert (height, width) == (320, 720)


def test_another_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no plot format for 'plot\.pdf'"):
        check_plot_path(tmp_path / "plot.pdf")


def test_without_matplotlib_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError) as caught:
        check_plot_path(tmp_path / "plot.png")
    assert "acrank[report]" in str(caught.value.hint)
