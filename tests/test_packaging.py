"""The wheel holds all that the demo needs, and works without the checkout."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from pathlib import Path

import pytest
from check_extras import NEEDS

import acrank

ROOT = Path(acrank.__file__).parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


def test_the_wheel_is_whole_and_holds_nothing_else(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "acrank/py.typed" in names
    assert "acrank/demo/model_zoo.yaml" in names
    assert sum(name.endswith(".safetensors") for name in names) >= 10
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert {name.split("/")[0] for name in names} == {"acrank", f"acrank-{acrank.__version__}.dist-info"}


@pytest.mark.slow
def test_the_demo_runs_from_the_wheel(wheel: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    zipfile.ZipFile(wheel).extractall(site)
    environment = {**os.environ, "PYTHONPATH": str(site), "HF_HUB_OFFLINE": "1"}
    code = "import acrank, sys; from acrank.cli import main; print(acrank.__file__, file=sys.stderr); sys.exit(main())"
    words = [sys.executable, "-c", code, "demo", "--dir", "out", "--format", "csv"]
    done = subprocess.run(words, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr.startswith(str(site))
    assert done.stdout.count(",scored,") >= 10
    assert (tmp_path / "out" / "run.json").is_file()


@pytest.mark.slow  # builds the sdist, and a wheel from that
def test_the_distributions_pass_twine_and_install(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(tmp_path / "dist"), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    files = sorted(map(str, (tmp_path / "dist").iterdir()))
    assert [Path(file).suffix for file in files] == [".whl", ".gz"]
    checked = subprocess.run(
        [sys.executable, "-m", "twine", "check", "--strict", *files], capture_output=True, text=True
    )
    assert checked.returncode == 0, checked.stdout
    subprocess.run([sys.executable, "-m", "venv", str(tmp_path / "clean")], check=True)
    clean = tmp_path / "clean" / "bin"
    words = [str(clean / "python"), "-m", "pip", "install", "--quiet", "--no-deps", files[0]]
    subprocess.run(words, check=True, capture_output=True)
    code = [str(clean / "python"), "-c", "import acrank; print(acrank.__version__)"]
    shown = subprocess.run(code, cwd=tmp_path, env={}, capture_output=True, text=True, check=True)
    assert shown.stdout.strip() == acrank.__version__
    with tarfile.open(files[1]) as sdist:
        names = sdist.getnames()
    assert not [name for name in names if "/.git/" in name or "/shared/" in name or name.endswith(".pyc")]


def test_every_extra_has_a_command_that_needs_it() -> None:
    """`make check-extras` runs them; `dev` and `docs` are of those who build the project."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert {*project["optional-dependencies"]} == {*NEEDS, "dev", "docs"}
