"""Each extra of pyproject.toml in a clean environment: `make check-extras`.

Builds the wheel, installs it into a new virtual environment with nothing but its requirements, and ranks with it. Then
for each extra: a command that needs it ends there with a hint that names the extra, and succeeds in a copy of that
environment into which `acrank[EXTRA]` was installed. `dev`, with `docs` in it, is the environment in which this script
itself runs; it makes the files that the commands read.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import yaml
from helpers.dicom_files import write_dicom
from helpers.volume_sets import write_nnunet
from helpers.workbench import make_images, make_masks

import acrank.demo

ROOT = Path(__file__).resolve().parents[1]

SCORE = ("score", "--samples", "12", "--repeats", "1", "--no-cache", "-q")
SMALL_SMP = "smp:Unet/timm-mobilenetv3_small_minimal_100"


def main() -> int:
    """Check every extra, or those that are named; 1 where one fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("extras", nargs="*", choices=[*NEEDS, []], help="[all]")
    parser.add_argument("--constraints", type=Path, default=ROOT / ".ci" / "constraints.txt", help="of pip")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        return check(Path(folder), options.extras or [*NEEDS], options.constraints.resolve())


def check(folder: Path, extras: Sequence[str], constraints: Path) -> int:
    """Install and run each extra in `folder`; the exit code."""
    began = time.monotonic()
    run([sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder / "dist", ROOT], folder)
    (wheel,) = (folder / "dist").iterdir()
    base, files = folder / "base", folder / "files"
    files.mkdir()
    run([sys.executable, "-m", "venv", base], folder)
    run([*pip(base, constraints), "torch", "torchvision"], folder)
    run([*pip(base, constraints), wheel], folder)
    zoo, images = acrank.demo.zoo_path(), make_images(files / "images")
    words = [*SCORE, "--zoo", zoo, "--model", "resnet-*", "--data", images, "-o", files / "run.json"]
    run([base / "bin" / "acrank", *words], files)
    run([base / "bin" / "python", "-m", "pip", "check"], folder)
    print(f"no extra: installed, ranked ({time.monotonic() - began:.0f} s)", flush=True)
    failed = [name for name in extras if not works(name, base, [*pip(folder / name, constraints), f"{wheel}[{name}]"])]
    print(f"{len(extras) - len(failed)} passed, {len(failed)} failed")
    return bool(failed)


def works(extra: str, base: Path, install: Sequence[str | Path]) -> bool:
    """Whether the extra's commands need it, and run with it; says so on stdout."""
    began, copy, files = time.monotonic(), base.with_name(extra), base.with_name("files")
    shutil.copytree(base, copy, symlinks=True, copy_function=os.link)
    run(install, files)
    said = ""
    for words in NEEDS[extra](files):
        without = python(base, words, files)
        if without.returncode == 0 or f"acrank[{extra}]" not in without.stderr:
            said += f"\n  runs or names no extra without it: {words}\n{without.stderr}"
        done = python(copy, words, files)
        if done.returncode != 0:
            said += f"\n  fails with it: {words}\n{done.stderr}"
    done = python(copy, ["-m", "pip", "check"], files)
    said += f"\n{done.stdout}" if done.returncode else ""
    shutil.rmtree(copy)
    print(f"{extra}: {said or 'installed, needed, works'} ({time.monotonic() - began:.0f} s)", flush=True)
    return not said


def python(place: Path, words: Sequence[object], files: Path) -> subprocess.CompletedProcess[str]:
    """What the interpreter of an environment says to some words; a copy's scripts would start the original's."""
    call = [str(place / "bin" / "python"), *map(str, words)]
    return subprocess.run(call, cwd=files, env=clean(), capture_output=True, text=True, check=False)


def clean() -> dict[str, str]:
    """The variables of this process, without those that would lead to this checkout, this environment or options."""
    return {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ACRANK_", "VIRTUAL_"))}


def pip(place: Path, constraints: Path) -> list[str | Path]:
    """The words of `pip install` into an environment."""
    return [place / "bin" / "python", "-m", "pip", "install", "--quiet", "--constraint", constraints]


def run(words: Sequence[str | Path], folder: Path) -> None:
    """Run a command that must succeed."""
    words = list(map(str, words))
    done = subprocess.run(words, cwd=folder, env=clean(), capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(words)}\n{done.stdout}{done.stderr}")


def report(files: Path) -> list[list[object]]:
    """A page of the run."""
    return [["-m", "acrank", "report", files / "run.json", "-o", files / "report.html"]]


def plot(files: Path) -> list[list[object]]:
    """A plot of the run."""
    code = """
import sys
import acrank
try:
    acrank.Ranking.load("run.json").plot().figure.savefig("plot.png")
except acrank.AcrankError as error:
    sys.exit(error.hint)
"""
    return [["-c", code]]


def segmentation(files: Path) -> list[list[object]]:
    """A network of segmentation_models_pytorch, finetuned on masks."""
    acrank.import_timm()
    import segmentation_models_pytorch as smp

    data = make_masks(files / "discs", size=32)
    network = smp.create_model("unet", SMALL_SMP.partition("/")[2], encoder_weights=None)
    torch.save(network.state_dict(), files / "unet.pth")
    inputs = {"size": 32, "mean": [0.5] * 3, "std": [0.5] * 3}
    entry = {"id": "unet", "architecture": SMALL_SMP, "weights": "unet.pth", "input": inputs}
    (files / "zoo.yaml").write_text(yaml.safe_dump({"version": 1, "models": [entry]}))
    given = ["--zoo", files / "zoo.yaml", "--data", data, "-q"]
    finetune = ["finetune", *given, "--epochs", "1", "--splits", "1", "--lr", "0.01", "-o", files / "truth.csv"]
    return [["-m", "acrank", "score", *given, "--no-cache"], ["-m", "acrank", *finetune]]


def volumes(files: Path) -> list[list[object]]:
    """Scans as NIfTI."""
    return [_inspected(files / "nifti", ".nii.gz")]


def itk(files: Path) -> list[list[object]]:
    """Scans as MetaImage and as NRRD."""
    return [_inspected(files / "meta", ".mha"), _inspected(files / "nrrd", ".nrrd")]


def dicom(files: Path) -> list[list[object]]:
    """Plain and JPEG 2000 images by class."""
    import pydicom
    from pydicom.uid import JPEG2000Lossless

    for place in range(12):
        values = np.random.default_rng(place).integers(0, 200, (64, 64), np.uint16)
        path = write_dicom(files / "dicom" / f"class{place % 2}" / f"{place}.dcm", values)
        if place < 6:
            compressed = pydicom.dcmread(path)
            compressed.compress(JPEG2000Lossless)
            compressed.save_as(path)
    return [["-m", "acrank", "inspect", "--data", files / "dicom"]]


def ray(files: Path) -> list[list[object]]:
    """A ranking in a Ray of its own."""
    given = ["--zoo", acrank.demo.zoo_path(), "--model", "resnet-*", "--data", files / "images"]
    return [["-m", "acrank", *SCORE, *given, "--executor", "ray", "--ray-address", "local"]]


def _inspected(folder: Path, suffix: str) -> list[object]:
    folder.mkdir()
    return ["-m", "acrank", "inspect", "--data", write_nnunet(folder, ending=suffix)]


NEEDS: dict[str, Callable[[Path], list[list[object]]]] = {
    one.__name__: one for one in (report, plot, segmentation, volumes, itk, dicom, ray)
}

if __name__ == "__main__":
    sys.exit(main())
