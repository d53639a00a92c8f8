"""Pickles that are data, and pickles that are not: told without reading them, refused with the line that converts."""

from __future__ import annotations

import argparse
import collections
import datetime
import os
import pathlib
import subprocess
import sys
import types
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from acrank.errors import CandidateError
from acrank.zoo.pickles import refused_globals
from acrank.zoo.weights import check_globals, read_state_dict

TENSORS = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.bias": torch.tensor([1.0, 2.0])}

DATA: dict[str, Any] = {
    "array": np.arange(5.0),
    "integers": np.arange(6, dtype=np.int16).reshape(2, 3),
    "flags": np.array([True, False]),
    "names": np.array(["cat", "dog"]),
    "empty array": np.zeros((0, 3), np.float32),
    "random state": np.random.RandomState(0).get_state(),
    "scalar": np.float32(0.5),
    "defaultdict": collections.defaultdict(list, loss=[1.0, 2.0]),
    "numbers by default": collections.defaultdict(float, {"a": 1.0}),
    "ordered": collections.OrderedDict(a=1),
    "counter": collections.Counter("aab"),
    "deque": collections.deque([1.0, 2.0], maxlen=20),
    "datetime": datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC),
    "date": datetime.date(2024, 1, 1),
    "duration": datetime.timedelta(seconds=3),
    "namespace": argparse.Namespace(lr=0.1, data=pathlib.Path("/data"), inner=argparse.Namespace(a=np.ones(2))),
    "simple namespace": types.SimpleNamespace(lr=0.1),
    "path": pathlib.Path("a/b"),
    "windows path": pathlib.PureWindowsPath("C:/a"),
    "range": range(3),
    "frozenset": frozenset({1, 2}),
}


def save(payload: Any, path: Path, *, legacy: bool = False) -> Path:
    torch.save(payload, path, _use_new_zipfile_serialization=not legacy)
    return path


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("name", DATA)
def test_data_beside_the_weights_is_read(tmp_path: Path, name: str, legacy: bool) -> None:
    path = save({"state_dict": TENSORS, "extra": DATA[name]}, tmp_path / "w.pth", legacy=legacy)
    found = read_state_dict(path)
    assert set(found) == set(TENSORS)
    assert all(torch.equal(found[key], value) for key, value in TENSORS.items())
    assert refused_globals(path) == []
    check_globals(path)


class Evil:
    """A pickle of this leaves a mark when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


@pytest.mark.parametrize("legacy", [False, True])
def test_other_classes_are_refused_with_the_line_that_converts(tmp_path: Path, legacy: bool) -> None:
    path = save(
        {"model_state_dict": TENSORS, "one": Fraction(1, 2), "two": Fraction}, tmp_path / "w.pth", legacy=legacy
    )
    name = "fractions.Fraction"
    assert refused_globals(path) == [name]
    for refuse in (read_state_dict, check_globals):
        with pytest.raises(CandidateError, match=f"would run code when read: it asks for {name}$") as caught:
            refuse(path)
        assert "runs its code" in (caught.value.hint or "")
    line = (caught.value.hint or "").partition(": ")[2]
    assert line.startswith('python -c "import torch; p = torch.load(')
    subprocess.run(line.replace("python", sys.executable, 1), shell=True, check=True)
    assert set(read_state_dict(tmp_path / "w-tensors.pth")) == set(TENSORS)


def test_hidden_code_is_refused_and_does_not_run(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    inner = argparse.Namespace(a=collections.defaultdict(list, b=[Evil(mark)]))
    path = save({"state_dict": TENSORS, "extra": inner}, tmp_path / "w.pth")
    assert refused_globals(path) == ["posix.mkdir"]
    with pytest.raises(CandidateError, match=r"asks for posix\.mkdir"):
        read_state_dict(path)
    assert not mark.exists()


def test_arrays_of_objects_are_refused(tmp_path: Path) -> None:
    path = save({"state_dict": TENSORS, "extra": np.array([{}, None], dtype=object)}, tmp_path / "w.pth")
    with pytest.raises(CandidateError, match="a NumPy array of Python objects"):
        read_state_dict(path)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_a_whole_network_is_named_for_what_it_is(tmp_path: Path, legacy: bool) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4))
    path = save(model, tmp_path / "w.pth", legacy=legacy)
    for refuse in (read_state_dict, check_globals):
        with pytest.raises(CandidateError, match=r"whole pickled network.*torch\.nn\.modules") as caught:
            refuse(path)
    line = (caught.value.hint or "").partition(": ")[2]
    subprocess.run(line.replace("python", sys.executable, 1), shell=True, check=True)
    assert set(read_state_dict(tmp_path / "w-tensors.pth")) == set(model.state_dict())


def test_a_newer_pickle_protocol_hides_nothing(tmp_path: Path) -> None:
    torch.save({"state_dict": TENSORS, "one": Fraction(1, 2)}, tmp_path / "w.pth", pickle_protocol=4)
    assert "fractions.Fraction" in refused_globals(tmp_path / "w.pth")


def test_files_that_are_no_pickles_ask_for_nothing(tmp_path: Path) -> None:
    for raw in (b"", b"PK\x03\x04" + bytes(30), b"hello", b"\x80\x02c"):
        (tmp_path / "w").write_bytes(raw)
        assert refused_globals(tmp_path / "w") == []
