"""Device choice and the environment of a run."""

from __future__ import annotations

import json

import pytest
import torch

import acrank
from acrank.errors import CandidateError, UsageError
from acrank.system.machine import pick_device, reason_of, run_environment


def test_description_is_plain_data_with_versions() -> None:
    found = run_environment()
    assert json.loads(json.dumps(found)) == found
    assert found["versions"]["acrank"] == acrank.__version__
    assert found["versions"]["torch"] == torch.__version__
    assert {"monai", "segmentation-models-pytorch"} <= found["versions"].keys()


def test_a_missing_package_has_no_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("acrank.system.machine.PACKAGES", ("no-such-package-here",))
    assert run_environment()["versions"] == {"no-such-package-here": None}


@pytest.mark.parametrize(
    ("cuda", "mps", "device"),
    [(True, True, "cuda"), (True, False, "cuda"), (False, True, "mps"), (False, False, "cpu")],
)
def test_auto_takes_the_first_that_is_there(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, mps: bool, device: str
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
    assert pick_device("auto").type == device
    assert pick_device("cpu").type == "cpu"


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        ("", "is not a device"),
        ("gpu", "is not a device"),
        ("cuda:x", "is not a device"),
        ("cuda:-1", "is not a device"),
        ("meta", "not available"),
        ("cuda", "not available"),
        ("mps", "not available"),
    ],
)
def test_devices_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch, wanted: str, said: str) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    with pytest.raises(UsageError, match=said) as caught:
        pick_device(wanted)
    assert caught.value.hint


def test_a_gpu_beyond_the_last_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert pick_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(UsageError, match=r"'cuda:2' is not available: 2 GPU"):
        pick_device("cuda:2")


def test_a_reason_is_bounded_whatever_the_error_says() -> None:
    class Broken(Exception):  # noqa: N818 - the name is what is shown
        def __str__(self) -> str:
            raise RuntimeError("no text")

    assert reason_of(Broken()) == "Broken"
    assert len(reason_of(ValueError("a b\n" * 10**6))) < 2100
    assert len(reason_of(CandidateError("a" * 10**6, hint="b" * 10**6))) < 2600
    assert len(reason_of(type("N" * 10**6, (Exception,), {})("text"))) < 300
