"""A finetuned network as a safetensors file, its new head included; a timm classifier's loads in plain timm."""

from __future__ import annotations

import copy
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from acrank.errors import CandidateError
from acrank.finetuning.methods.method import Method
from acrank.finetuning.network import Network
from acrank.finetuning.tasks.task import FinetuningTask
from acrank.system.files import atomic_write
from acrank.zoo.loading import LoadedModel

_TOLERANCE = 1e-3  # of the logits, relative: reverting is exact but for float32 rounding


def plain_network(network: Network, methods: Sequence[Method], loaded: LoadedModel) -> nn.Module:
    """The finetuned network as an ordinary one whose `forward` gives the target's logits, in eval mode.

    AC-Norm and stochastic normalisation become plain batch normalisation again. The head of a classification takes the
    place of the network's own classifier; where there is none, and for segmentation, the parts are saved side by side
    under `body.` and `head.`.

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
    """A body that is read as the task says, and the head behind: inputs [n, c, ...] -> the task's outputs."""

    def __init__(self, body: nn.Module, head: nn.Module, task: FinetuningTask) -> None:
        super().__init__()
        self.body, self.head, self.task = body, head, task

    def forward(self, inputs: Tensor) -> Tensor:
        return self.task.outputs(self.head, self.task.read(self.body, inputs), inputs)


def save_network(
    path: Path,
    network: Network,
    methods: Sequence[Method],
    loaded: LoadedModel,
    *,
    about: dict[str, Any],
    sample: Tensor,
) -> None:
    """Write the plain network's tensors, with `about` and the preprocessing in the file's metadata.

    Args:
        path: of the safetensors file.
        about: plain data.
        sample: inputs [n, c, ...]; on them the plain network must give what the finetuned one gives.

    Raises:
        CandidateError: the plain network gives other logits.
        OutputError: the file cannot be written.
    """
    from safetensors.torch import save

    plain = plain_network(network, methods, loaded)
    network.eval()
    with torch.no_grad():
        expected, found = network(sample)[1].float().cpu(), plain(sample.cpu())
    if not torch.allclose(found, expected, rtol=_TOLERANCE, atol=_TOLERANCE * float(expected.abs().max())):
        gap = float((found - expected).abs().max())
        raise CandidateError(f"the network as plain layers gives other logits (by {gap:.2g}): it was not saved")
    inputs = {name: list(getattr(loaded.input, name)) for name in ("size", "mean", "std")}
    metadata = {"acrank": json.dumps({**about, "input": inputs}, ensure_ascii=False)}
    tensors = {name: part.contiguous() for name, part in _untied(plain.state_dict()).items()}
    atomic_write(path, save(tensors, metadata))


def _untied(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """Copies of tensors that share memory, which safetensors refuses."""
    seen: set[int] = set()
    out = {}
    for name, part in tensors.items():
        out[name] = part.clone() if part.data_ptr() in seen else part
        seen.add(part.data_ptr())
    return out
