"""Finetuned networks as safetensors files, head included; a timm classifier's loads in plain timm."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError, OutputError
from acrank.finetuning.methods.method import Method
from acrank.finetuning.network import Network
from acrank.finetuning.tasks.task import FinetuningTask
from acrank.system.files import atomic_write, check_writable, is_there, make_folder
from acrank.zoo import Zoo
from acrank.zoo.loading import LoadedModel

_TOLERANCE = 1e-3  # of the logits, relative: reverted layers differ by float32 rounding only


def plain_network(network: Network, methods: Sequence[Method], loaded: LoadedModel) -> nn.Module:
    """The finetuned network with ordinary layers, in eval mode, whose `forward` returns the target's logits.

    AC-Norm and stochastic normalisation become plain batch normalisation again. A classification head replaces the
    network's own classifier; a network without one, and every segmentation network, becomes a `HeadedNetwork`.

    Raises:
        CandidateError: the classifier of a timm network is not a linear layer.
    """
    body = copy.deepcopy(network.body).cpu()
    for method in reversed(methods):
        body = method.revert(body)
    head = copy.deepcopy(network.head).cpu()
    if not isinstance(head, nn.Linear):
        body = HeadedNetwork(body, head, network.task)
    elif callable(getattr(body, "reset_classifier", None)):
        body.reset_classifier(head.out_features)  # type: ignore[operator]
        own = body.get_classifier()  # type: ignore[operator]
        if not isinstance(own, nn.Linear) or own.weight.shape != head.weight.shape:
            raise CandidateError("the classifier of this network is not a linear layer: it cannot be saved for timm")
        own.load_state_dict(head.state_dict())
    elif loaded.head:
        parent, _, name = loaded.head.rpartition(".")
        setattr(body.get_submodule(parent), name, head)
    else:
        body = HeadedNetwork(body, head, network.task)
    return body.eval()


class HeadedNetwork(nn.Module):
    """A body, whose features the task reads, and the head: inputs [n, c, ...] -> the task's outputs.

    Its tensors are named `body.…` and `head.…`.
    """

    def __init__(self, body: nn.Module, head: nn.Module, task: FinetuningTask) -> None:
        super().__init__()
        self.body, self.head, self.task = body, head, task

    def forward(self, inputs: Tensor) -> Tensor:
        return self.task.outputs(self.head, self.task.read(self.body, inputs), inputs)


def save_network(
    path: Path,
    network: Network,
    methods: Sequence[Method],
    *,
    loaded: LoadedModel,
    about: dict[str, Any],
    sample: Tensor,
) -> None:
    """Write the tensors of `plain_network`, with `about` and the preprocessing in the file's metadata.

    Args:
        path: of the safetensors file.
        network, methods, loaded: as in `plain_network`.
        about: plain data.
        sample: inputs [n, c, ...] on which the logits of the plain network must equal those of the finetuned one.

    Raises:
        CandidateError: the logits differ.
        OutputError: the file cannot be written.
    """
    from safetensors.torch import save

    plain = plain_network(network, methods, loaded)
    network.eval()
    with torch.no_grad():
        expected, found = network(sample)[1].float().cpu(), plain(sample.cpu())
    if not torch.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE * float(expected.abs().max())):
        gap = float((found - expected).abs().max())
        raise CandidateError(f"the network with plain layers gives other logits (by {gap:.2g}): it was not saved")
    shown = loaded.input
    inputs = {"size": list(shown.size), "mean": list(shown.mean), "std": list(shown.std), "order": shown.order}
    metadata = {"acrank": json.dumps({**about, "input": inputs}, ensure_ascii=False)}
    tensors = {name: part.contiguous() for name, part in _untied(plain.state_dict()).items()}
    atomic_write(path, save(tensors, metadata))


def check_save_dir(folder: Path, names: Iterable[str], zoo: Zoo, *, replace: bool) -> None:
    """Make the folder of saved networks, and hold what lies there against what will be written.

    Args:
        folder: created if missing.
        names: of the files that will be written.
        zoo: whose weights are never written over.
        replace: whether networks of an earlier run are.

    Raises:
        OutputError: the folder cannot be written, or a network that will be written is there.
    """
    make_folder(folder, "--save-dir")
    check_writable(folder / "network.safetensors")
    weights = [path for one in zoo.candidates if (path := one.weights_path) is not None and path.exists()]
    for path in (folder / name for name in names):
        if not is_there(path):
            continue
        if any(path.samefile(one) for one in weights):
            raise OutputError(f"{path} is the weights file of a candidate", hint="name another --save-dir")
        if not replace:
            hint = "name another --save-dir, or replace it with --overwrite"
            raise OutputError(f"{path} is there: a network of an earlier run", hint=hint)


def _untied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The tensors, of which those that share memory are copied: safetensors refuses them."""
    seen: set[int] = set()
    out = {}
    for name, part in tensors.items():
        out[name] = part.clone() if part.data_ptr() in seen else part
        seen.add(part.data_ptr())
    return out
