"""`acrank zoo scan`: a manifest to stdout or a file, one line on stderr."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from helpers.made_checkpoints import Made, make

from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.fingerprint_index import build_index, write_index
from acrank.zoo.fingerprints import Fingerprint, timm_fingerprints, torchvision_fingerprints


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder `in` with one checkpoint, and a cache whose index has two architectures."""
    monkeypatch.setenv("ACRANK_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    for name, found in (
        ("timm", timm_fingerprints(["resnet10t"])),
        ("torchvision", torchvision_fingerprints(["mobilenet_v2"])),
    ):
        write_index(tmp_path / "cache", name, build_index(found, total=1))
    (tmp_path / "in").mkdir()
    make(Made("resnet10t", "module.", channels=1), tmp_path / "in")
    return tmp_path


def test_the_manifest_goes_to_stdout_and_one_line_to_stderr(acrank: Callable, folder: Path) -> None:
    done = acrank("zoo", "scan", "in")
    assert (done.code, done.err) == (0, "1 file, 1 sure, 0 guessed, 0 unknown\n")
    assert "architecture: resnet10t\n    weights: in/checkpoint00.pt\n    weights_key: state_dict\n" in done.out
    (folder / "zoo.yaml").write_text(done.out)
    assert acrank("zoo", "validate", "--zoo", "zoo.yaml").err == "1 ok\n"


def test_paths_are_relative_to_the_output(acrank: Callable, folder: Path) -> None:
    (folder / "other").mkdir()
    done = acrank("zoo", "scan", "in", "-o", "other/zoo.yaml")
    assert (done.code, done.out) == (0, "")
    assert done.err.splitlines()[0] == "checkpoint00.pt: resnet10t"
    assert "written: other/zoo.yaml" in done.err
    assert "weights: ../in/checkpoint00.pt" in (folder / "other/zoo.yaml").read_text()
    assert acrank("zoo", "validate", "--zoo", "other/zoo.yaml").err == "1 ok\n"


def test_a_file_that_is_there_is_kept(acrank: Callable, folder: Path) -> None:
    (folder / "zoo.yaml").write_text("mine")
    done = acrank("zoo", "scan", "in", "-o", "zoo.yaml")
    assert (done.code, done.out, done.err) == (
        2,
        "",
        "error: zoo.yaml exists\nhint: choose another file, or give --overwrite\n",
    )
    assert (folder / "zoo.yaml").read_text() == "mine"
    assert acrank("zoo", "scan", "in", "-o", "zoo.yaml", "--overwrite").code == 0
    assert (folder / "zoo.yaml").read_text().startswith("version: 1\n")


def test_what_cannot_be_done_is_said_before_the_work(acrank: Callable, folder: Path) -> None:
    assert acrank("zoo", "scan", "nowhere").err.startswith("error: nowhere does not exist\n")
    assert acrank("zoo", "scan", "in", "-o", "nowhere/zoo.yaml").code == 2
    assert acrank("zoo", "scan", "in", "-o", "in").code == 2


def test_nothing_sure_is_exit_3_with_the_comments_kept(acrank: Callable, folder: Path) -> None:
    (folder / "empty").mkdir()
    (folder / "empty" / "x.pth").write_text("no weights")
    done = acrank("zoo", "scan", "empty", "-o", "zoo.yaml")
    assert done.code == 3
    assert done.err.startswith("x.pth: unknown: is neither safetensors nor a torch file; save its tensors with ")
    assert "\nwritten: zoo.yaml\n1 file, 0 sure, 0 guessed, 1 unknown\nerror: no checkpoint" in done.err
    assert "# unknown: x.pth" in (folder / "zoo.yaml").read_text()


@pytest.mark.parametrize("output", [(), ("-o", "zoo.yaml")])
def test_each_file_that_is_not_sure_has_its_reason_on_stderr(acrank: Callable, folder: Path, output: tuple) -> None:
    (folder / "in" / "more").mkdir()
    own = {f"stage{i}.{part}": torch.ones(3, 2) for i in range(5) for part in ("weight", "bias")}
    for i in range(24):
        torch.save(own, folder / "in" / "more" / f"own{i:02d}.pth")
    tensors = import_timm().create_model("resnet10t").state_dict()
    torch.save({"a": tensors, "b": {f"x.{name}": value for name, value in tensors.items()}}, folder / "in" / "two.pth")
    done = acrank("zoo", "scan", "in", *output)
    lines = [line for line in done.err.splitlines() if not line.startswith(("written", "checkpoint00"))]
    assert lines[0].startswith("two.pth: a guess, resnet10t: it holds several networks: ")
    assert lines[1].startswith("more/own00.pth: unknown: no known network is like it; tensors: 10, named like stage0")
    assert lines[19].startswith("more/own18.pth: unknown: ")
    assert lines[20] == "and 5 more that are not sure: the comments in the manifest say why"
    assert lines[21] == "26 files, 1 sure, 1 guessed, 24 unknown"
    assert "`architecture: factory:FILE:FUNCTION` with code of yours and --allow-code (docs/own-zoo.md)" in lines[22]
    assert ("more/own00.pth" in done.out) == (not output)


def test_advice_on_own_networks_is_for_files_with_tensors(acrank: Callable, folder: Path) -> None:
    (folder / "in" / "x.onnx").write_bytes(b"no weights")
    assert "factory:" not in acrank("zoo", "scan", "in").err


def test_an_interrupted_scan_says_what_is_kept_and_the_line_that_goes_on(
    acrank: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stopped(names: list[str]) -> Iterator[tuple[str, Fingerprint | None]]:
        yield from timm_fingerprints(names[:1])
        raise KeyboardInterrupt

    for path in (folder / "cache" / "architectures").iterdir():
        path.unlink()
    names = ["resnet10t", "resnet14t"]
    other = (list, torchvision_fingerprints)
    for given, code in ((stopped, 130), (timm_fingerprints, 0)):
        made = {"timm": (lambda: names, given), "torchvision": other}
        monkeypatch.setattr("acrank.zoo.fingerprint_index._LIBRARIES", made)
        done = acrank("zoo", "scan", "in", "-o", "zoo.yaml")
        assert done.code == code, done.err
        if code:
            assert "interrupted: 1 of 2 architectures are in the index, kept in " in done.err
            assert done.err.endswith("to go on: acrank zoo scan in -o zoo.yaml\n")
    assert "minutes, 1 of 2 are done" in done.err


@pytest.mark.parametrize("how", ["a damaged index", "a cache that cannot be used"])
def test_an_index_that_cannot_be_read_is_built_again(
    acrank: Callable, folder: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    expected = acrank("zoo", "scan", "in").out
    made = {
        "timm": (lambda: ["resnet10t"], timm_fingerprints),
        "torchvision": (lambda: ["mobilenet_v2"], torchvision_fingerprints),
    }
    monkeypatch.setattr("acrank.zoo.fingerprint_index._LIBRARIES", made)
    if how == "a damaged index":
        for path in (folder / "cache" / "architectures").iterdir():
            path.write_bytes(path.read_bytes()[:-1])
    else:
        (folder / "cache").chmod(0o777)
    for again in range(2):
        done = acrank("zoo", "scan", "in")
        assert (done.code, done.out) == (0, expected)
        usable = how == "a damaged index"
        assert ("building the index" in done.err) == (not usable or not again)
        assert done.err.count("warning: the index cannot be kept") == (not usable)
