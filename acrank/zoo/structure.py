"""The parts of a network that loading tells apart: first layer, normalisation layers, backbone, head."""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

#: Ends the names of tensors that change no output of a network in eval mode.
COUNTER = "num_batches_tracked"
CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
_LARGEST_STEM = 0.05  # share of a network that a module around the first layer may have to count as its stem
_NORMS = (nn.modules.batchnorm._NormBase, nn.GroupNorm, nn.LayerNorm, nn.LocalResponseNorm, nn.RMSNorm)


def named_tensors(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers of the state dict, as they are in the network."""
    return {name: value for name, value in model.state_dict(keep_vars=True).items() if isinstance(value, Tensor)}


def backbone_shapes(model: nn.Module, heads: Iterable[str] = ()) -> dict[str, tuple[int, ...]]:
    """Names and shapes of the tensors that decide what the backbone computes, each tensor once."""
    norms, heads = norm_names(model), tuple(heads)
    own = {id(value): name for name, value in reversed(named_tensors(model).items())}
    tensors = named_tensors(model)
    names = [name for name in tensors if own[id(tensors[name])] == name]
    kept = [name for name in names if is_backbone(name, tensors[name], norms=norms, heads=heads)]
    return {name: tuple(tensors[name].shape) for name in kept}


def is_backbone(name: str, value: Tensor, *, norms: set[str], heads: tuple[str, ...]) -> bool:
    """Whether a tensor is a parameter, or belongs to one of the `norms`, outside the `heads`; no counter."""
    decides = isinstance(value, nn.Parameter) or name in norms
    return decides and not name.endswith(COUNTER) and not under(name, heads)


def stem_of(model: nn.Module) -> str | None:
    """Name of the first layer's weight: of the first convolution, else of the first linear layer."""
    for kinds in (CONVOLUTIONS, nn.Linear):
        for name, module in model.named_modules():
            if isinstance(module, kinds):
                return f"{name}.weight" if name else "weight"
    return None


def stem_tensors(model: nn.Module) -> set[str]:
    """Names of the tensors that all others depend on.

    They are those of the first layer, with the small module around it, and those that lie beside all modules, such as
    the position embedding of a transformer.
    """
    first, tensors = (stem_of(model) or "").rpartition(".")[0], named_tensors(model)
    most = _LARGEST_STEM * sum(value.numel() for value in tensors.values())
    parent = first.rpartition(".")[0]
    while parent and sum(value.numel() for name, value in tensors.items() if under(name, (parent,))) <= most:
        first, parent = parent, parent.rpartition(".")[0]
    return {name for name in tensors if "." not in name or (first and under(name, (first,)))}


def norm_names(model: nn.Module) -> set[str]:
    """Names of the tensors of normalisation layers."""
    names = set()
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, _NORMS) or ("norm" in type(module).__name__.lower() and not list(module.children())):
            parts = [*module.named_parameters(recurse=False), *module.named_buffers(recurse=False)]
            names |= {f"{name}.{part}" if name else part for part, _ in parts}
    return names


def last_linear(model: nn.Module) -> tuple[str, ...]:
    """The head of a network that does not name it: its last layer with weights, if that is linear."""
    last = [(name, m) for name, m in model.named_modules() if list(m.parameters(recurse=False))][-1:]
    return tuple(name for name, module in last if isinstance(module, nn.Linear))


def under(name: str, heads: Iterable[str]) -> bool:
    """Whether a tensor's name lies under one of the modules."""
    return any(name == head or name.startswith(f"{head}.") for head in heads)
