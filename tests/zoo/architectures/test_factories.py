"""Networks from code beside the manifest: only when allowed, and every failure said."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from acrank.errors import CandidateError
from acrank.zoo import Candidate, load_candidate

CODE = """\
import torch
from torch import nn

def net(width=4, channels=3, classes=2, dim=2):
    conv = {2: nn.Conv2d, 3: nn.Conv3d}[dim]
    norm = {2: nn.BatchNorm2d, 3: nn.BatchNorm3d}[dim]
    body = nn.Sequential(conv(channels, width, 3), norm(width))
    return nn.Sequential(body, nn.Flatten(), nn.Linear(width, classes)) if classes else body

def no_network():
    return 3

def broken():
    raise KeyError("depth")
"""


@pytest.fixture
def make(tmp_path: Path, request: pytest.FixtureRequest) -> Callable[..., Candidate]:
    """A candidate whose factory lies in a module of its own, so that tests do not share it."""
    module = f"nets_{abs(hash(request.node.nodeid))}"
    (tmp_path / f"{module}.py").write_text(CODE)

    def candidate(function: str = "net", saved: nn.Module | None = None, **fields: Any) -> Candidate:
        if saved is not None:
            torch.save(saved.state_dict(), tmp_path / "w")
        settings = {"architecture": f"factory:{module}:{function}", "weights": "w", "folder": tmp_path} | fields
        return Candidate(id="it", **settings)

    return candidate


def network(width: int = 4, channels: int = 3, classes: int = 2) -> nn.Module:
    body = nn.Sequential(nn.Conv2d(channels, width, 3), nn.BatchNorm2d(width))
    return nn.Sequential(body, nn.Flatten(), nn.Linear(width, classes))


def test_a_factory_is_called_and_filled(make: Callable[..., Candidate]) -> None:
    saved = network(width=6, classes=5)
    before = list(sys.path)
    loaded = load_candidate(make(saved=saved, factory_args={"width": 6, "classes": 5}), allow_code=True)
    state = loaded.model.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in saved.state_dict().items())
    assert (loaded.source_classes, loaded.head, loaded.input.channels) == (5, "2", 3)
    assert loaded.notes[0] == "assumed input: size 224, mean 0.485 0.456 0.406, std 0.229 0.224 0.225"
    assert sys.path == before


def test_code_is_refused_unless_allowed(make: Callable[..., Candidate]) -> None:
    candidate = make(saved=network())
    with pytest.raises(CandidateError, match="runs code") as caught:
        load_candidate(candidate)
    assert "--allow-code" in (caught.value.hint or "")
    assert (candidate.factory or ("",))[0] not in sys.modules


@pytest.mark.parametrize(
    ("function", "args", "said"),
    [
        ("nett", {}, "has no function 'nett'"),
        ("no_network", {}, r"returned a int, not a torch\.nn\.Module"),
        ("broken", {}, "KeyError: 'depth'"),
        ("net", {"height": 3}, "TypeError: .*height"),
    ],
)
def test_a_failing_factory(make: Callable[..., Candidate], function: str, args: dict[str, Any], said: str) -> None:
    with pytest.raises(CandidateError, match=said) as caught:
        load_candidate(make(function, network(), factory_args=args), allow_code=True)
    if function == "nett":
        assert caught.value.hint == "did you mean 'net'?"


def test_modules_that_cannot_be_imported(tmp_path: Path, make: Callable[..., Candidate]) -> None:
    missing = make(saved=network(), architecture="factory:surely_not_there:net")
    with pytest.raises(CandidateError, match="cannot import 'surely_not_there'"):
        load_candidate(missing, allow_code=True)
    (tmp_path / "broken_module.py").write_text("1 / 0")
    broken = make(architecture="factory:broken_module:net")
    with pytest.raises(CandidateError, match="ZeroDivisionError"):
        load_candidate(broken, allow_code=True)
    (tmp_path / "json.py").write_text(CODE)
    with pytest.raises(CandidateError, match="name of the manifest's module 'json' is taken"):
        load_candidate(make(architecture="factory:json:net"), allow_code=True)


def test_a_package_beside_the_manifest_and_installed_code(tmp_path: Path, make: Callable[..., Candidate]) -> None:
    (tmp_path / "nets_in_a_package").mkdir()
    (tmp_path / "nets_in_a_package" / "small.py").write_text(CODE)
    candidate = make(saved=network(), architecture="factory:nets_in_a_package.small:net")
    assert load_candidate(candidate, allow_code=True).source_classes == 2
    layer = make(saved=nn.BatchNorm2d(3), architecture="factory:torch.nn:BatchNorm2d", factory_args={"num_features": 3})
    loaded = load_candidate(layer, allow_code=True)
    assert (loaded.input.channels, loaded.source_classes) == (3, None)
    assert "assumed 3 input channels" in loaded.notes


@pytest.mark.parametrize(("dim", "saved_channels"), [(2, 3), (2, 2), (3, 3)])
def test_the_first_convolution_is_adapted(make: Callable[..., Candidate], dim: int, saved_channels: int) -> None:
    conv, norm = {2: (nn.Conv2d, nn.BatchNorm2d), 3: (nn.Conv3d, nn.BatchNorm3d)}[dim]
    saved = nn.Sequential(conv(saved_channels, 4, 3), norm(4))
    candidate = make(saved=saved, factory_args={"channels": 1, "classes": 0, "dim": dim})
    loaded = load_candidate(candidate, allow_code=True)
    assert torch.allclose(loaded.model.state_dict()["0.weight"], saved[0].weight.sum(1, keepdim=True))
    assert (loaded.input.channels, loaded.weights["adapted"], loaded.input.mean) == (1, ["0.weight"], (0.5,))


def test_the_manifests_channels_must_be_the_factorys(make: Callable[..., Candidate]) -> None:
    with pytest.raises(CandidateError, match="takes 3 channels, the manifest says 1") as caught:
        load_candidate(make(saved=network(), in_chans=1), allow_code=True)
    assert "factory_args" in (caught.value.hint or "")


def test_a_head_that_the_file_lacks_is_no_head(make: Callable[..., Candidate]) -> None:
    loaded = load_candidate(make(saved=network()[:1], factory_args={"classes": 9}), allow_code=True)
    assert (loaded.source_classes, loaded.head, loaded.weights["missing"]) == (None, None, 2)


def test_a_head_of_other_size_is_left_out_and_noted(make: Callable[..., Candidate]) -> None:
    loaded = load_candidate(make(saved=network(classes=7), factory_args={"classes": 9}), allow_code=True)
    assert loaded.source_classes is None
    assert "2.weight left out: file (7, 4), network (9, 4)" in loaded.notes


LAZY = """\
import sys
from pathlib import Path
from torch import nn
sys.path.insert(0, str(Path(__file__).parent / "library"))

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        import beside_{name}  # of the manifest's folder
        self.conv = nn.Conv2d(3, 4, 3)

    def forward(self, x):
        import inside_{name}  # of the folder that this module put on the path
        return inside_{name}.double(self.conv(x))
"""


def test_a_module_keeps_what_it_put_on_the_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name = tmp_path.name.replace("-", "_")
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "library").mkdir()
    (tmp_path / "library" / f"inside_{name}.py").write_text("def double(x):\n    return 2 * x\n")
    (tmp_path / f"beside_{name}.py").write_text("")
    (tmp_path / f"lazy_{name}.py").write_text(LAZY.format(name=name))
    conv = nn.Conv2d(3, 4, 3)
    torch.save({f"conv.{key}": value for key, value in conv.state_dict().items()}, tmp_path / "w")
    candidate = Candidate(id="it", architecture=f"factory:lazy_{name}:Net", weights="w", folder=tmp_path)
    loaded = load_candidate(candidate, allow_code=True)
    image = torch.rand(1, 3, 8, 8)
    assert torch.allclose(loaded.model(image), 2 * conv(image))
    assert str(tmp_path / "library") in sys.path
    assert str(tmp_path) not in sys.path
