"""Number formats that torch holds and lacks operations for: read as float32, or refused, one file never for others."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from acrank.errors import CandidateError
from acrank.zoo import Candidate, load_candidate, loading
from acrank.zoo.architectures.timm_import import import_timm
from acrank.zoo.findings import finding_of
from acrank.zoo.fingerprint_index import Index, build_index
from acrank.zoo.fingerprints import timm_fingerprints
from acrank.zoo.scanning import scan_folder
from acrank.zoo.validation import validate_zoo

CONVOLUTION = "layer2.0.conv1.weight"
FURTHER = "layer2.1.conv1.weight"


@pytest.fixture(scope="module")
def tensors() -> dict[str, Tensor]:
    torch.manual_seed(0)
    return dict(import_timm().create_model("test_resnet", num_classes=3).state_dict())


@pytest.fixture(scope="module")
def index() -> Index:
    return build_index(timm_fingerprints(["test_resnet"]), total=1)


def saved(folder: Path, tensors: dict[str, Tensor], name: str) -> Candidate:
    torch.save(tensors, folder / f"{name}.pth")
    return Candidate(id=name, architecture="test_resnet", weights=f"{name}.pth", folder=folder)


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2, torch.bfloat16, torch.float16])
def test_weights_of_few_bits_are_the_float32_that_they_stand_for(
    tmp_path: Path, tensors: dict[str, Tensor], dtype: torch.dtype
) -> None:
    few = {name: value.to(dtype) if value.is_floating_point() else value for name, value in tensors.items()}
    loaded = load_candidate(saved(tmp_path, few, "few")).model.state_dict()
    assert all(torch.equal(loaded[name], value.to(tensors[name].dtype)) for name, value in few.items())


def test_a_negative_variance_of_8_bits_is_refused(tmp_path: Path, tensors: dict[str, Tensor]) -> None:
    variances = (-tensors["bn1.running_var"]).to(torch.float8_e4m3fn)
    with pytest.raises(CandidateError, match="negative variances"):
        load_candidate(saved(tmp_path, tensors | {"bn1.running_var": variances}, "it"))


def odd(value: Tensor) -> dict[str, tuple[Tensor, str]]:
    """A tensor in forms that no layer takes, and what is said of each."""
    return {
        "sparse": (value.to_sparse(), "file sparse torch.float32, network torch.float32"),
        "quantised": (torch.quantize_per_tensor(value, 0.1, 0, torch.qint8), "file quantised torch.qint8"),
        "packed": (torch.empty(value.shape, dtype=torch.float4_e2m1fn_x2), "float4_e2m1fn_x2, which torch cannot"),
        "bits": (torch.empty(value.shape, dtype=torch.bits8), "file torch.bits8"),
        "nested": (torch.nested.nested_tensor([torch.ones(2), torch.ones(3)]), "it.pth cannot be used|tensors"),
    }


@pytest.mark.filterwarnings("ignore")  # torch calls some of these forms prototypes
@pytest.mark.parametrize("kind", ["sparse", "quantised", "packed", "bits", "nested"])
@pytest.mark.parametrize("name", [CONVOLUTION, FURTHER])
def test_forms_without_numbers_to_copy_are_named(
    tmp_path: Path, tensors: dict[str, Tensor], kind: str, name: str
) -> None:
    value, said = odd(tensors[CONVOLUTION])[kind]
    candidate = saved(tmp_path, tensors | {name: value}, "it")
    if name == FURTHER and (kind == "nested" or not value.is_floating_point()):  # no layer's weight: left over
        loading.check_candidate(candidate)
        return
    with pytest.raises(CandidateError, match=said if name == CONVOLUTION else FURTHER):
        loading.check_candidate(candidate)


@pytest.mark.filterwarnings("ignore")
def test_one_file_of_an_odd_form_ends_neither_validate_nor_scan(
    tmp_path: Path, tensors: dict[str, Tensor], index: Index
) -> None:
    for kind, (value, _) in odd(tensors[CONVOLUTION]).items():
        saved(tmp_path, tensors | {CONVOLUTION: value}, kind)
    eight = {name: value.to(torch.float8_e4m3fn) for name, value in tensors.items() if value.is_floating_point()}
    for name, held in {"eight": eight, "sound": tensors}.items():
        saved(tmp_path, held, name)
    names = sorted(path.stem for path in tmp_path.glob("*.pth"))
    lines = "".join(f"  - {{id: {n}, architecture: test_resnet, weights: {n}.pth}}\n" for n in names)
    (tmp_path / "zoo.yaml").write_text(f"version: 1\nmodels:\n{lines}")
    zoo, problems = validate_zoo(tmp_path / "zoo.yaml")
    assert [one.id for one in zoo.candidates] == ["eight", "sound"]
    assert len(problems) == len(names) - 2
    found = {one.path.stem: one.kind for one in scan_folder(tmp_path, index).findings}
    assert sorted(found) == names
    assert {name for name, kind in found.items() if kind == "sure"} == {"eight", "sound"}


def test_only_what_a_file_can_cause_is_blamed_on_it(
    tmp_path: Path, tensors: dict[str, Tensor], index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    candidate = saved(tmp_path, tensors, "it")
    for kind, becomes in {NotImplementedError: CandidateError, AssertionError: AssertionError}.items():

        def fails(*_: object, kind: type[Exception] = kind, **__: object) -> None:
            raise kind("no such operation")

        monkeypatch.setattr(loading, "check_fit", fails)
        with pytest.raises(becomes, match="no such operation"):
            loading.check_candidate(candidate)
    monkeypatch.undo()

    def cannot(*_: object) -> None:
        raise NotImplementedError("no such operation")

    monkeypatch.setattr("acrank.zoo.findings.shapes_by_key", cannot)
    found = finding_of(tmp_path / "it.pth", index, lambda: index)
    assert found is not None
    assert (found.kind, found.why[0]) == ("unknown", "cannot be used: NotImplementedError: no such operation")
    assert "safetensors" in found.why[1]
