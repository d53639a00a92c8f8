"""Manifests from folders of checkpoints: right, guessed or unknown, and never wrong."""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.made_checkpoints import EIGHT, THIRTY, Made, make

from acrank.cache import default_folder
from acrank.errors import UsageError
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.fingerprint_index import Index, build_index, load_index
from acrank.zoo.fingerprints import smp_fingerprints, timm_fingerprints, torchvision_fingerprints
from acrank.zoo.manifest import load_zoo
from acrank.zoo.scanning import FolderScan, scan_folder
from acrank.zoo.validation import validate_zoo

TIMM = [
    *("resnet18", "resnet34", "resnetblur18", "resnet10t", "vit_tiny_patch16_224", "deit_tiny_patch16_224"),
    *("convnext_atto", "mobilenetv3_small_050", "tf_efficientnet_lite0", "mobilenetv2_100"),
]


@pytest.fixture(scope="module")
def index() -> Index:
    found = [*timm_fingerprints(TIMM), *torchvision_fingerprints(["resnet18", "mobilenet_v2"])]
    return build_index(found, total=len(found))


@pytest.fixture(scope="module")
def encoders() -> Index:
    return build_index(smp_fingerprints(["resnet18", "resnet34"]), total=2)


def network(name: str, **args: Any) -> dict[str, torch.Tensor]:
    return dict(import_timm().create_model(name, **args).state_dict())


def written(scan: FolderScan, folder: Path) -> Path:
    path = folder / "zoo.yaml"
    path.write_text(scan.manifest(folder))
    return path


def test_eight_files_are_told_and_their_manifest_is_valid(tmp_path: Path, index: Index, encoders: Index) -> None:
    (tmp_path / "in").mkdir()
    paths = [make(one, tmp_path / "in") for one in EIGHT]
    scan = scan_folder(tmp_path, index, encoders=lambda: encoders)
    assert [one.path for one in scan.findings] == paths
    assert [one.entries[0].architecture for one in scan.findings] == [one.architecture for one in EIGHT]
    assert scan.summary == "8 files, 8 sure (1 fits other architectures as well), 0 guessed, 0 unknown"
    zoo, problems = validate_zoo(written(scan, tmp_path))
    assert problems == []
    channels = [candidate.in_chans or 3 for candidate in zoo.candidates]
    assert channels[:-1] == [one.channels for one in EIGHT][:-1]  # MONAI's are in `factory_args`
    assert [candidate.weights for candidate in zoo.candidates] == [f"in/{path.name}" for path in paths]


@pytest.mark.slow
def test_thirty_files_are_told_by_the_whole_index(tmp_path: Path) -> None:
    index = load_index(default_folder(), "timm", "torchvision")
    encoders = load_index(default_folder(), "smp")
    right, wrong = [], []
    for one in THIRTY:
        path = make(one, tmp_path)
        [found] = scan_folder(tmp_path, index, encoders=lambda: encoders).findings
        path.unlink()  # one at a time: the disk may be small
        names = [entry.architecture for entry in found.entries]
        is_right = names == [one.architecture] and found.kind == ("guessed" if one.guess else "sure")
        (right if is_right else wrong if names else []).append(one)
    assert wrong == []
    assert len(right) >= 28


def test_keys_and_prefixes_are_in_the_entry(tmp_path: Path, index: Index) -> None:
    for wrapping in ("moco", "dino", "lightning", "ema", "module._orig_mod.model."):
        make(Made("resnet18", wrapping), tmp_path)
    zoo = load_zoo(written(scan_folder(tmp_path, index), tmp_path))
    found = [(one.weights_key, one.keep_prefix, one.strip_prefix) for one in zoo.candidates]
    assert found == [
        ("state_dict", "module.encoder_q.", "module.encoder_q."),
        ("teacher", "module.backbone.", "module.backbone."),
        ("state_dict", "model.", "model."),
        ("model_ema", None, None),
        (None, None, "module._orig_mod.model."),
    ]


def test_comments_say_what_the_file_does_not(tmp_path: Path, index: Index) -> None:
    torch.save(network("resnet18", num_classes=5), tmp_path / "mine.pth")
    text = scan_folder(tmp_path, index).manifest(tmp_path)
    assert "# all 100 tensors of the backbone, head of 5 classes" in text
    assert "# the same names and shapes: torchvision:resnet18" in text
    assert "# the same names and shapes, but other layers (does the file come from one?): resnetblur18" in text
    assert "# not in the file, assumed as timm's: input: {size: 224, mean: [0.485, 0.456, 0.406]" in text


def test_a_twin_of_other_layers_is_warned_of_unless_the_name_decides(tmp_path: Path) -> None:
    known = ["efficientnet_lite0", "tf_efficientnet_lite0", "vit_tiny_patch16_224", "deit_tiny_patch16_224"]
    index = build_index(timm_fingerprints(known), total=len(known))
    torch.save(network("tf_efficientnet_lite0", num_classes=5), tmp_path / "mine.pth")
    torch.save(network("deit_tiny_patch16_224", num_classes=5), tmp_path / "same.pth")  # a ViT by another name
    found = scan_folder(tmp_path, index)
    doubt = found.doubt
    assert doubt is not None
    assert "(mine.pth: efficientnet_lite0 or tf_efficientnet_lite0)" in doubt
    assert found.summary == "2 files, 2 sure (1 fits other architectures as well), 0 guessed, 0 unknown"
    assert "the file's name" not in found.manifest(tmp_path)
    (tmp_path / "mine.pth").rename(tmp_path / "tf_efficientnet_lite0.pth")
    found = scan_folder(tmp_path, index)
    assert found.doubt is None
    assert found.summary == "2 files, 2 sure, 0 guessed, 0 unknown"
    text = found.manifest(tmp_path)
    assert "architecture: tf_efficientnet_lite0" in text
    assert "same names and shapes: efficientnet_lite0; the file's name says tf_efficientnet_lite0" in text


def test_names_of_another_layout_are_found_by_shapes(tmp_path: Path, index: Index) -> None:
    known = Index([one for one in index.fingerprints if not one.name.startswith("torchvision:")])
    make(Made("torchvision:mobilenet_v2", "state_dict"), tmp_path)
    [found] = scan_folder(tmp_path, known).findings
    assert (found.kind, found.entries[0].architecture) == ("sure", "mobilenetv2_100")
    assert found.why[0] == "names of another layout, which acrank translates"
    assert validate_zoo(written(scan_folder(tmp_path, known), tmp_path))[1] == []


def test_several_architectures_of_the_same_form_are_guesses(tmp_path: Path, index: Index) -> None:
    more = build_index(timm_fingerprints(["efficientnet_lite0"]), total=1)
    torch.save({_of_lukemelas(name): value for name, value in network("efficientnet_lite0").items()}, tmp_path / "w")
    [found] = scan_folder(tmp_path, index + more).findings
    assert found.kind == "guessed"
    assert [one.architecture for one in found.entries] == ["efficientnet_lite0", "tf_efficientnet_lite0"]


def _of_lukemelas(name: str) -> str:
    """A tensor's name in EfficientNet-PyTorch, of one of timm's EfficientNet-Lite0."""
    stages = (1, 2, 2, 3, 3, 4, 1)
    outer = {"conv_stem": "_conv_stem", "bn1": "_bn0", "conv_head": "_conv_head", "bn2": "_bn1", "classifier": "_fc"}
    first = {"conv_dw": "_depthwise_conv", "bn1": "_bn1", "conv_pw": "_project_conv", "bn2": "_bn2"}
    later = {"conv_pw": "_expand_conv", "bn1": "_bn0", "conv_dw": "_depthwise_conv", "bn2": "_bn1"}
    later |= {"conv_pwl": "_project_conv", "bn3": "_bn2"}
    top, *rest = name.split(".")
    if top != "blocks":
        return ".".join([outer[top], *rest])
    block = sum(stages[: int(rest[0])]) + int(rest[1])
    return ".".join([f"_blocks.{block}", (later if block else first)[rest[2]], *rest[3:]])


def test_a_decoder_that_nobody_knows_makes_a_guess(tmp_path: Path, index: Index) -> None:
    tensors = {f"backbone.{name}": value for name, value in network("resnet10t").items()}
    torch.save({**tensors, "neck.0.weight": torch.zeros(3, 3)}, tmp_path / "w.pth")
    scan = scan_folder(tmp_path, index)
    assert scan.summary == "1 file, 0 sure, 1 guessed, 0 unknown"
    assert scan.findings[0].why[0] == "tensors beside this network that would not be used: 1, under neck"
    text = scan.manifest(tmp_path)
    assert "models: []\n" in text
    lines = [line.replace("  # ", "", 1) for line in text.splitlines()]
    start = lines.index("- id: w")
    (tmp_path / "zoo.yaml").write_text("\n".join(["version: 1", "models:", *lines[start:]]))
    assert validate_zoo(tmp_path / "zoo.yaml")[1] == []  # the guess holds once its marks are gone


def test_two_networks_in_a_file_are_guesses(tmp_path: Path, index: Index) -> None:
    torch.save({name: network("resnet10t") for name in ("left", "right")}, tmp_path / "w.pth")
    [found] = scan_folder(tmp_path, index).findings
    assert (found.kind, len(found.entries)) == ("guessed", 2)
    assert found.why == ("it holds several networks: `left`, `right`; keep one",)


def test_a_network_with_another_first_layer_is_unknown(tmp_path: Path, index: Index) -> None:
    torch.save(network("resnet18") | {"conv1.weight": torch.zeros(64, 3, 3, 3)}, tmp_path / "cifar.pth")
    [found] = scan_folder(tmp_path, index).findings
    assert found.kind == "unknown"
    assert found.why[0].startswith("nearest is resnet18 (99 of 100 tensors); named like conv1.weight")


class Evil:
    """A pickle of this leaves a mark when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def test_hostile_damaged_and_foreign_files_are_named_or_counted(tmp_path: Path, index: Index) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    torch.save({"w": torch.zeros(2), "x": Evil(tmp_path / "mark")}, folder / "evil.pth")
    (folder / "plain.pkl").write_bytes(pickle.dumps(Evil(tmp_path / "mark")))
    good = make(Made("resnet10t", "plain"), folder)
    (folder / "cut.pth").write_bytes(good.read_bytes()[:5000])
    (folder / "empty.ckpt").write_bytes(b"")
    (folder / "notes.txt").write_text("hello")
    (folder / "image.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "new\nline # x.pth").write_bytes(good.read_bytes())
    (folder / "café ☕: 'x'.pth").write_bytes(good.read_bytes())
    make(Made("resnet18", "plain"), tmp_path).rename(tmp_path / "outside.pth")
    (folder / "link.pth").symlink_to(tmp_path / "outside.pth")
    (folder / "twice.pth").symlink_to(good)
    (folder / "round").symlink_to(folder)
    (folder / "nowhere.pth").symlink_to(folder / "nothing")
    os.mkfifo(folder / "pipe.pth")
    scan = scan_folder(folder, index)
    kinds = {one.path.name: one.kind for one in scan.findings}
    assert {name for name, kind in kinds.items() if kind == "sure"} == {good.name, "café ☕: 'x'.pth"}
    assert {name for name, kind in kinds.items() if kind == "unknown"} == {
        *("evil.pth", "plain.pkl", "cut.pth", "empty.ckpt", "new\nline # x.pth")
    }
    assert scan.left_out == {
        "other files": 2,
        "links that leave the folder or are broken": 2,
        "links to files in the folder": 1,
        "links to folders": 1,
        "devices and pipes": 1,
    }
    assert not (tmp_path / "mark").exists()
    zoo, problems = validate_zoo(written(scan, folder))
    assert problems == []
    assert {one.weights for one in zoo.candidates} == {good.name, "café ☕: 'x'.pth"}
    text = (folder / "zoo.yaml").read_text()
    assert "would run code when read" in text
    assert "unknown: new\\nline # x.pth" in text


def test_files_that_cannot_be_read(tmp_path: Path, index: Index) -> None:
    path = make(Made("resnet10t", "plain"), tmp_path)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    [found] = scan_folder(tmp_path, index).findings
    assert found.why[0].startswith("cannot read")


def test_no_bytes_raise_anything(tmp_path: Path, index: Index) -> None:
    good = make(Made("resnet10t", "legacy"), tmp_path).read_bytes()
    for i, raw in enumerate(
        (good[:100], good[:3000], good[:200] + bytes(500), b"PK\x03\x04" + good[:90], b"\x80\x02.")
    ):
        (tmp_path / f"{i}.pth").write_bytes(raw)
    assert scan_folder(tmp_path, index).counts == {"sure": 1, "guessed": 0, "unknown": 5}


def test_values_that_loading_refuses_do_not_stop_a_scan(tmp_path: Path, index: Index) -> None:
    torch.save({"state_dict": network("resnet10t"), "x": {1: torch.zeros(1)}}, tmp_path / "w.pth")
    assert scan_folder(tmp_path, index).counts["sure"] == 1


def test_an_empty_folder_and_none(tmp_path: Path, index: Index) -> None:
    (tmp_path / "a file").touch()
    (tmp_path / "empty").mkdir()
    for name, said in (("empty", "holds no file"), ("nowhere", "does not exist"), ("a file", "is not a folder")):
        with pytest.raises(UsageError, match=said):
            scan_folder(tmp_path / name, index)


def test_files_that_vanish_under_the_scan_are_counted(
    tmp_path: Path, index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As temporary files do, and what lies in /proc: listed, and gone when it is looked at."""
    make(Made("resnet10t", "plain"), tmp_path)
    walk = os.walk

    def listed(folder: Path, **more: Any) -> Any:
        return ((place, folders, [*names, "gone.pth"]) for place, folders, names in walk(folder, **more))

    monkeypatch.setattr(os, "walk", listed)
    scan = scan_folder(tmp_path, index)
    assert scan.counts["sure"] == 1
    assert scan.left_out == {"files that are gone": 1}


@pytest.mark.parametrize("root", ["/", "/tmp/.."])
def test_the_root_of_the_system_is_not_scanned(root: str, index: Index) -> None:
    with pytest.raises(UsageError, match="is the root of the system"):
        scan_folder(Path(root), index)


@pytest.mark.skipif(not Path("/sys/kernel").is_dir(), reason="no such file system here")
def test_what_the_kernel_shows_as_files_is_not_scanned(index: Index) -> None:
    with pytest.raises(UsageError, match="holds no file"):
        scan_folder(Path("/sys/kernel"), index)
