"""Arguments that come with a checkpoint, and libraries that would fetch weights: nothing is opened or asked."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.hub_server import Repositories, hub
from helpers.workbench import Outcome, make_images
from safetensors.torch import save, save_file

from acrank.errors import CandidateError
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.ranking.joining import differences
from acrank.settings import Settings
from acrank.system.offline import DownloadRefusedError, downloads_off
from acrank.zoo import Candidate, load_candidate
from acrank.zoo.architectures.arguments import check_arguments
from acrank.zoo.architectures.timm_import import import_timm

timm = import_timm()


@pytest.mark.parametrize(
    "args",
    [
        {"checkpoint_path": "w.pth"},
        {"pretrained": True},
        {"pretrained_cfg": {"url": "x"}},
        {"pretrained_cfg_overlay": {"file": "w"}},
        {"pretrained_url": "http://127.0.0.1/w"},
        {"encoder_weights": "imagenet"},
        {"encoder_name": "tu-local-dir:/tmp/x"},
        {"encoder_name": "tu-hf-hub:org/name"},
        {"block_cfg": {"inner": ["../w"]}},
        {"ckpt": "w"},
        {"cache_dir": "w"},
        {"cell_path": "w"},
        {"name": "a\nb"},
        {"weights_backbone": "DEFAULT"},
    ],
)
def test_arguments_that_fetch_are_refused(args: dict[str, Any]) -> None:
    with pytest.raises(CandidateError) as caught:
        check_arguments(args, "config.json")
    assert caught.value.message.startswith("config.json ")
    assert caught.value.hint
    assert len(caught.value.message) < 300


@pytest.mark.parametrize(
    "args",
    [
        {"depths": [2, 2], "act_layer": "gelu", "drop_path_rate": 0.1, "use_checkpoint": True, "norm": ["batch", {}]},
        {"encoder_weights": None, "init_weights": False, "pretrained": False, "checkpoint_path": None},
        {"act": ["leakyrelu", {"negative_slope": 0.1}], "global_pool": "avg", "drop_path": 0.1, "init_values": 1e-5},
    ],
)
def test_arguments_of_architectures_pass(args: dict[str, Any]) -> None:
    check_arguments(args, "config.json")


def test_only_weights_of_the_librarys_own_are_opened_by_the_option() -> None:
    check_arguments({"encoder_weights": "imagenet", "pretrained": True}, "x", allow_download=True)
    for args in ({"pretrained_url": "http://x"}, {"encoder_weights": "a/b"}, {"checkpoint_path": "w"}):
        with pytest.raises(CandidateError):
            check_arguments(args, "x", allow_download=True)


class Evil:
    """A pickle of this leaves a mark when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


def folder_with(folder: Path, **config: Any) -> Candidate:
    """A `local-dir:` candidate."""
    folder.mkdir(exist_ok=True)
    whole = {"architecture": "test_resnet", "pretrained_cfg": {"input_size": [3, 64, 64]}, **config}
    (folder / "config.json").write_text(json.dumps(whole))
    save_file(timm.create_model("test_resnet", num_classes=3).state_dict(), folder / "model.safetensors")
    return Candidate(id="m", source=f"local-dir:{folder.name}", folder=folder.parent)


def test_a_configuration_cannot_name_a_file(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    torch.save({"state_dict": Evil(mark)}, tmp_path / "evil.pth")
    for args in ({"checkpoint_path": str(tmp_path / "evil.pth")}, {"pretrained_cfg": {"file": str(tmp_path / "evil")}}):
        with pytest.raises(CandidateError, match=r"config\.json of net .*(names a file|weights of the library's own)"):
            load_candidate(folder_with(tmp_path / "net", model_args=args))
    assert not mark.exists()


def test_what_a_configuration_says_of_its_weights_is_dropped(tmp_path: Path) -> None:
    cfg = {
        "input_size": [3, 64, 64],
        "file": "/etc/passwd",
        "url": "http://x/y",
        "hf_hub_id": "a/b",
        "custom_load": True,
    }
    assert load_candidate(folder_with(tmp_path / "net", pretrained_cfg=cfg)).input.size == (64, 64)


@pytest.mark.parametrize(
    "config",
    [
        {"pretrained_cfg": {"input_size": [3, 10**9, 10**9]}},
        {"pretrained_cfg": {"input_size": "abc"}},
        {"pretrained_cfg": {"input_size": [3, 64]}},
        {"pretrained_cfg": {"mean": ["a"]}},
        {"pretrained_cfg": {"std": [0]}},
        {"pretrained_cfg": [1]},
        {"model_args": [1]},
        {"architecture": "hf-hub:a/b"},
        {"architecture": ["x"]},
    ],
)
def test_impossible_configurations_are_refused(tmp_path: Path, config: dict[str, Any]) -> None:
    with pytest.raises(CandidateError):
        load_candidate(folder_with(tmp_path / "net", **config))


def test_a_configuration_has_bounds(tmp_path: Path) -> None:
    candidate = folder_with(tmp_path / "net")
    config = tmp_path / "net" / "config.json"
    config.write_text("[" * 100_000)
    with pytest.raises(CandidateError, match="names no timm architecture"):
        load_candidate(candidate)
    config.write_bytes(b" " * (2**20 + 1))
    with pytest.raises(CandidateError, match=r"larger than 1\.0 MiB"):
        load_candidate(candidate)
    config.unlink()
    os.mkfifo(config)
    with pytest.raises(CandidateError, match=r"has no config\.json"):
        load_candidate(candidate)


LIBRARIES = [
    ("smp:Unet/resnet18", {"encoder_weights": "imagenet"}),
    ("smp:Unet/resnet18", {"encoder_name": "tu-local-dir:/tmp/x"}),
    ("smp:Unet/resnet18", {"encoder_name": "tu-hf-hub:org/name"}),
    ("monai:HoVerNet", {"pretrained_url": "http://127.0.0.1:9/w"}),
    ("monai:HoVerNet", {"pretrained_url": "file:///etc/passwd"}),
    ("torchvision:resnet18", {"weights": "DEFAULT"}),
]


@pytest.mark.parametrize(("architecture", "args"), LIBRARIES)
def test_libraries_fetch_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, architecture: str, args: dict[str, Any]
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda *given: asked.append(given))
    monkeypatch.setattr(urllib.request, "urlopen", lambda *given, **_: asked.append(given))
    torch.save({"a": torch.ones(1)}, tmp_path / "w")
    candidate = Candidate(id="m", architecture=architecture, factory_args=args, weights="w", folder=tmp_path)
    with pytest.raises(CandidateError, match=r"`factory_args` (has an argument|asks for weights)"):
        load_candidate(candidate)
    assert asked == []


def test_networks_of_monai_do_not_download_by_default(tmp_path: Path) -> None:
    """EfficientNetBN has `pretrained=True` unless it is told otherwise."""
    nets = pytest.importorskip("monai.networks.nets")
    args = {"model_name": "efficientnet-b0", "spatial_dims": 2, "in_channels": 3}
    model = nets.EfficientNetBN(pretrained=False, num_classes=2, **args)
    torch.save(model.state_dict(), tmp_path / "w")
    candidate = Candidate(id="m", architecture="monai:EfficientNetBN", factory_args=args, weights="w", folder=tmp_path)
    assert load_candidate(candidate).weights["share"] == 1


def test_inside_the_context_nothing_is_reached_and_other_threads_go_on() -> None:
    server = socket.create_server(("127.0.0.1", 0))
    reached: list[bool] = []

    def reach() -> None:
        socket.create_connection(server.getsockname(), timeout=5).close()
        reached.append(True)

    with downloads_off():
        for fetch in (reach, lambda: urllib.request.urlopen("file:///etc/hostname")):
            with pytest.raises(DownloadRefusedError):
                fetch()
        other = threading.Thread(target=reach)
        other.start()
        other.join()
    assert reached == [True]
    reach()
    server.close()


def test_the_option_lets_smp_download_and_nothing_else_does(tmp_path: Path) -> None:
    """segmentation-models-pytorch asks a hub, here one on this machine, for an encoder that the file lacks."""
    smp = pytest.importorskip("segmentation_models_pytorch")
    from segmentation_models_pytorch.encoders import encoders

    settings = encoders["resnet18"]["pretrained_settings"]["imagenet"]
    model = smp.Unet("resnet18", encoder_weights=None)
    torch.save(model.state_dict(), tmp_path / "w")
    files = {"config.json": b"{}", "model.safetensors": save(model.encoder.state_dict())}
    repositories: Repositories = {settings["repo_id"]: {settings["revision"]: files}}
    args = {"architecture": "smp:Unet/resnet18", "factory_args": {"encoder_weights": "imagenet"}, "weights": "w"}
    code = (
        "import json, sys\nfrom pathlib import Path\nfrom acrank.zoo import Candidate, load_candidate\n"
        "candidate = Candidate(id='m', folder=Path(sys.argv[1]), **json.loads(sys.argv[2]))\n"
        "print(load_candidate(candidate, allow_download=sys.argv[3] == 'yes').weights['share'])\n"
    )
    with hub(repositories) as address:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
        environment = {**clean, "HF_ENDPOINT": address, "HF_HOME": str(tmp_path / "home"), "HF_HUB_OFFLINE": "0"}
        found = {}
        for allowed in ("no", "yes"):
            command = [sys.executable, "-c", code, str(tmp_path), json.dumps(args), allowed]
            found[allowed] = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            assert any((tmp_path / "home").rglob("model.safetensors")) == (allowed == "yes"), found[allowed].stderr
    assert "CandidateError: `factory_args` asks for weights of the library's own" in found["no"].stderr
    assert found["yes"].stdout == "1.0\n"


def test_the_log_of_monai_does_not_reach_stdout(tmp_path: Path, acrank: Callable[..., Outcome]) -> None:
    import logging

    from monai.networks.nets import UNet  # its logger writes to stdout

    torch.save(UNet(2, 1, 2, (4, 8), (2,), norm="batch").state_dict(), tmp_path / "w")
    args = {"spatial_dims": 2, "channels": [4, 8], "strides": [2]}
    load_candidate(Candidate(id="m", architecture="monai:UNet", factory_args=args, weights="w", folder=tmp_path))
    loggers = [logging.getLogger(name) for name in logging.root.manager.loggerDict if name.startswith("monai")]
    handlers = [one for logger in loggers for one in logger.handlers if isinstance(one, logging.StreamHandler)]
    assert handlers
    assert all(one.stream not in (sys.stdout, sys.__stdout__) for one in handlers)


def test_the_option_is_in_score_and_finetune_and_changes_no_value(
    tmp_path: Path, acrank: Callable[..., Outcome]
) -> None:
    for command in ("score", "finetune"):
        assert "--allow-download" in acrank(command, "--help").out
    assert differences(Settings(allow_download=True).record(), Settings().record()) == []
    assert FinetuneSettings(allow_download=True).record() == FinetuneSettings().record()
    old = {key: value for key, value in Settings().record().items() if key != "allow_download"}
    assert Settings.from_record(old) == Settings()
    torch.save({"a": torch.ones(1)}, tmp_path / "w")
    entry = "{id: m, architecture: 'smp:Unet/resnet18', weights: w, factory_args: {encoder_weights: imagenet}}"
    (tmp_path / "zoo.yaml").write_text(f"version: 1\nmodels:\n  - {entry}\n")
    make_images(tmp_path / "data")
    done = acrank("score", "--zoo", tmp_path / "zoo.yaml", "--data", tmp_path / "data", "--no-cache")
    assert done.code == 3
    assert "--allow-download" in done.err
