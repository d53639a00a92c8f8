"""Sources: a hub over real HTTP, timm's local folders, and what goes wrong with them."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from helpers.hub_server import Repositories, hub
from safetensors.torch import save, save_file

from acrank.errors import CandidateError
from acrank.system.activity import listening
from acrank.system.offline import why_unreachable
from acrank.zoo import Candidate, load_candidate
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.hub import _announced

timm = import_timm()

LOAD = """
import json, sys
from acrank.errors import CandidateError
from acrank.zoo import Candidate, load_candidate
for fields in json.loads(sys.argv[1]):
    try:
        loaded = load_candidate(Candidate(id="it", **fields))
        print(json.dumps([loaded.source_classes, loaded.weights, loaded.input.size, loaded.input.mean, loaded.notes]))
    except CandidateError as error:
        print(json.dumps([error.message, error.hint]))
"""


def load_elsewhere(
    home: Path, endpoint: str, *candidates: dict[str, Any], offline: bool = False, silent: bool = False
) -> list[Any]:
    """Load in another process, where huggingface_hub sees another hub and another cache."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    environment |= {"HF_ENDPOINT": endpoint, "HF_HOME": str(home), "HF_HUB_OFFLINE": str(int(offline))}
    command = [sys.executable, "-c", LOAD, json.dumps(candidates)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr
    assert not (silent and done.stderr)
    return [json.loads(line) for line in done.stdout.splitlines()]


def config(classes: int, **cfg: Any) -> bytes:
    """A config.json as `timm.models.save_for_hf` lays it out."""
    cfg = {"input_size": [3, 96, 80], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6], "classifier": "fc"} | cfg
    return json.dumps({"architecture": "test_resnet", "num_classes": classes, "pretrained_cfg": cfg}).encode()


def weights(classes: int) -> bytes:
    return save(timm.create_model("test_resnet", num_classes=classes).state_dict())


@pytest.fixture(scope="module")
def repositories(tmp_path_factory: pytest.TempPathFactory) -> Repositories:
    pickled = tmp_path_factory.mktemp("bin") / "w"
    torch.save(timm.create_model("test_resnet", num_classes=4).state_dict(), pickled)
    return {
        "org/net": {
            "main": {"config.json": config(6), "model.safetensors": weights(6)},
            "v1": {"config.json": config(5), "model.safetensors": weights(5)},
        },
        "org/old": {"main": {"config.json": config(4, future_key=1), "pytorch_model.bin": pickled.read_bytes()}},
        "org/empty": {"main": {"config.json": config(4)}},
        "org/text": {"main": {"config.json": b'{"model_type": "bert"}', "model.safetensors": weights(2)}},
        "org/cut": {"main": {"config.json": config(4), "model.safetensors": weights(4)[:-5]}},
        "timm/test_resnet.r160_in1k": {"main": {"config.json": config(1000), "model.safetensors": weights(1000)}},
    }


def test_a_hub_over_http_then_its_cache(tmp_path: Path, repositories: Repositories) -> None:
    names = ["org/net", "org/net@v1", "org/old", "org/net@v9", "org/nowhere", "org/empty", "org/text", "org/cut"]
    candidates = [{"source": f"hf-hub:{name}"} for name in names]
    with hub(repositories) as address:
        main, v1, old, *bad, named = load_elsewhere(tmp_path, address, *candidates, {"source": "test_resnet.r160_in1k"})
    classes, found, size, mean, notes = main
    assert (classes, size, mean, notes[1:]) == (6, [96, 80], [0.1, 0.2, 0.3], [])
    content = repositories["org/net"]["main"]["model.safetensors"]
    assert (found["file"], found["sha256"]) == ("model.safetensors", hashlib.sha256(content).hexdigest())
    assert (found["missing"], found["left_over"], found["share"]) == (0, 0, 1.0)
    assert v1[0] == 5
    assert v1[1]["sha256"] == hashlib.sha256(repositories["org/net"]["v1"]["model.safetensors"]).hexdigest()
    assert (old[0], old[1]["file"]) == (4, "pytorch_model.bin")
    assert (named[0], named[2], named[4][1:]) == (1000, [160, 160], [])
    said = ["cannot get config.json of org/net@v9", "cannot get config.json of org/nowhere"]
    said += ["org/empty has no model.safetensors or pytorch_model.bin", "names no timm architecture", "truncated"]
    for (message, hint), expected in zip(bad, said, strict=True):
        assert expected in message
        assert hint
    fetched, other = {"source": "hf-hub:org/net@v1"}, {"source": "hf-hub:org/other"}
    cached, (message, hint) = load_elsewhere(tmp_path, address, fetched, other, offline=True)
    assert cached[0] == 5
    assert message.startswith("cannot get config.json of org/other: ")
    assert "HF_HUB_OFFLINE" in hint


def test_a_hub_that_nobody_runs_fails_at_once_with_one_line(tmp_path: Path, repositories: Repositories) -> None:
    """huggingface_hub tries for 23 seconds a file, with eleven lines on stderr; what was downloaded is still used."""
    net = {"source": "hf-hub:org/old"}
    with hub(repositories) as address:
        (loaded,) = load_elsewhere(tmp_path, address, net)
    started = time.monotonic()
    cached, *failed = load_elsewhere(
        tmp_path, address, net, {"source": "hf-hub:org/net"}, {"source": "hf-hub:org/net@v1"}, silent=True
    )
    assert time.monotonic() - started < 20  # most of it is loading timm
    assert cached == loaded
    for (message, hint), name in zip(failed, ("org/net", "org/net@v1"), strict=True):
        assert message == f"cannot get config.json of {name}: {address} cannot be reached: Connection refused"
        assert "HF_ENDPOINT" in hint


def test_a_server_behind_a_proxy_is_as_reachable_as_the_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    with hub({}) as address:
        monkeypatch.setenv("http_proxy", address)
        monkeypatch.setenv("no_proxy", "")
        assert why_unreachable("http://hub.invalid:1") == ""
    monkeypatch.setenv("no_proxy", "hub.invalid")
    assert why_unreachable("http://hub.invalid:2").startswith("http://hub.invalid:2 cannot be reached: ")


def test_downloads_are_announced(tmp_path: Path, repositories: Repositories) -> None:
    """In this process, whose huggingface_hub knows its endpoint already: the address goes to the download itself."""
    import huggingface_hub

    if not _announced("org/net"):
        pytest.skip("this huggingface_hub cannot announce")
    heard: list[Any] = []
    with hub(repositories) as address, listening(heard.append):
        path = huggingface_hub.hf_hub_download(
            "org/net", "model.safetensors", endpoint=address, cache_dir=tmp_path, **_announced("org/net")
        )
    assert Path(path).read_bytes() == repositories["org/net"]["main"]["model.safetensors"]
    last = heard[-1]
    assert (last.name, last.what, last.unit) == ("downloading", "org/net", "B")
    assert last.done == last.total == Path(path).stat().st_size


@pytest.fixture
def local(tmp_path: Path) -> Path:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "config.json").write_bytes(config(3))
    save_file(timm.create_model("test_resnet", num_classes=3).state_dict(), folder / "model.safetensors")
    return folder


def test_a_local_folder(local: Path) -> None:
    loaded = load_candidate(Candidate(id="it", source="local-dir:net", folder=local.parent))
    assert (loaded.source_classes, loaded.input.size, loaded.input.mean) == (3, (96, 80), (0.1, 0.2, 0.3))
    assert loaded.weights["file"] == "model.safetensors"


def test_what_timm_saves_is_read(tmp_path: Path) -> None:
    """timm's own writer as the oracle of the layout."""
    model = timm.create_model("test_resnet", num_classes=3, in_chans=1).eval()
    timm.models.save_for_hf(model, tmp_path / "saved", safe_serialization=True)
    loaded = load_candidate(Candidate(id="it", source="local-dir:saved", folder=tmp_path))
    image = torch.rand(1, 1, 64, 64)
    with torch.no_grad():
        assert torch.allclose(loaded.model(image), model(image), atol=1e-5)


def test_a_flat_config_and_a_single_file_of_any_name(local: Path) -> None:
    flat = {"architecture": "test_resnet", "input_size": [3, 48, 48], "classifier": "fc", "num_classes": 3}
    (local / "config.json").write_text(json.dumps(flat))
    (local / "model.safetensors").rename(local / "best.safetensors")
    loaded = load_candidate(Candidate(id="it", source=f"local-dir:{local}"))
    assert (loaded.source_classes, loaded.input.size) == (3, (48, 48))
    (local / "last.safetensors").write_bytes((local / "best.safetensors").read_bytes())
    with pytest.raises(CandidateError, match=r"several weights files: best\.safetensors, last\.safetensors"):
        load_candidate(Candidate(id="it", source=f"local-dir:{local}"))


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("config.json", None, r"has no config\.json"),
        ("config.json", b"{", "names no timm architecture"),
        ("config.json", b"[]", "names no timm architecture"),
        ("config.json", b'{"architecture": "nonet"}', "timm has no architecture 'nonet'"),
        ("config.json", b'{"architecture": "test_resnet", "model_args": {"nope": 1}}', "timm cannot build"),
        ("model.safetensors", None, "has no weights file"),
        ("model.safetensors", b"", "is empty"),
    ],
)
def test_a_broken_local_folder(local: Path, file: str, content: bytes | None, said: str) -> None:
    (local / file).unlink()
    if content is not None:
        (local / file).write_bytes(content)
    with pytest.raises(CandidateError, match=said):
        load_candidate(Candidate(id="it", source=f"local-dir:{local}"))


def test_an_architecture_without_weights_of_its_own() -> None:
    with pytest.raises(CandidateError, match="timm has no pretrained weights for 'resnet"):
        load_candidate(Candidate(id="it", source=_without_weights()))


def _without_weights() -> str:
    pretrained = {name.partition(".")[0] for name in timm.list_models(pretrained=True)}
    return next(name for name in timm.list_models("resnet*") if name not in pretrained)
