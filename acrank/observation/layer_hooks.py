"""Seeing what layers put out during forward passes."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, Self

from torch import Tensor, nn


class Watch:
    """Calls `saw` with each output of some layers, from its making until it is closed; use it in a `with`.

    Args:
        layers: by name.
    """

    def __init__(self, layers: Mapping[str, nn.Module]) -> None:
        self._hooks = [
            layer.register_forward_hook(functools.partial(self._hook, name), prepend=True)
            for name, layer in layers.items()
        ]

    def saw(self, name: str, output: Tensor) -> None:
        """What a subclass does with an output."""
        raise NotImplementedError

    def close(self) -> None:
        """See no more; what was seen is kept."""
        for hook in self._hooks:
            hook.remove()

    def _hook(self, name: str, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> None:
        self.saw(name, output)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
