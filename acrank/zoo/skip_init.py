"""Building a network without drawing the weights that a file replaces: that takes longer than reading them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import init
from torch.overrides import TorchFunctionMode

# in-place, on their first argument; the last is a step of drawing from a truncated normal distribution
_DRAWS = (init.uniform_, init.normal_, init.kaiming_uniform_, Tensor.uniform_, Tensor.normal_, Tensor.erfinv_)


class Undrawn(TorchFunctionMode):
    """While it lasts, what this thread would fill at random stays as it lies in memory.

    Example:
        >>> import torch
        >>> with Undrawn() as undrawn:
        ...     network, code = nn.Linear(2, 1), init.normal_(torch.empty(3))
        >>> undrawn.is_replaced_in(network)
        False
        >>> del code
        >>> undrawn.is_replaced_in(network)
        True
    """

    def __init__(self) -> None:
        super().__init__()
        self._left: set[StorageWeakRef] = set()

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func not in _DRAWS:
            return func(*args, **(kwargs or {}))
        tensor = args[0] if args else kwargs["tensor"]
        self._left.add(StorageWeakRef(tensor.untyped_storage()))
        return tensor

    def is_replaced_in(self, network: nn.Module) -> bool:
        """Whether nothing is left of what was not drawn once the whole state dict of the network is filled.

        What other buffers hold may have been worked out from what was not drawn: there must be none.
        """
        own = [value for value in network.state_dict(keep_vars=True).values() if isinstance(value, Tensor)]
        known = {id(tensor) for tensor in own}
        if any(buffer.is_floating_point() and id(buffer) not in known for buffer in network.buffers()):
            return False
        stores = [(tensor.untyped_storage(), tensor.nbytes) for tensor in own]
        filled = {StorageWeakRef(storage) for storage, size in stores if storage.nbytes() == size}
        return {one for one in self._left if not one.expired()} <= filled
