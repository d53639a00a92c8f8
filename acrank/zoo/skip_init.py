"""Building a network without drawing the weights that a file replaces: the draw takes longer than reading them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import init
from torch.overrides import TorchFunctionMode

# in place, on their first argument; the last is a step of drawing from a truncated normal distribution
_DRAWS = (init.uniform_, init.normal_, init.kaiming_uniform_, Tensor.uniform_, Tensor.normal_, Tensor.erfinv_)

# in place, on tensors without data: nothing to do, though torch takes its time for it
_IN_PLACE = (*_DRAWS, Tensor.clamp_, Tensor.mul_, Tensor.add_, Tensor.fill_, Tensor.zero_, Tensor.copy_)

_draws_all: ContextVar[bool] = ContextVar("_draws_all", default=False)
_Reference: Any = StorageWeakRef  # untyped in torch


class skip_init(TorchFunctionMode):  # noqa: N801 - a context manager
    """Inside this context random initialisation is skipped, in this thread; tensors are 0 or what lies in memory.

    Example:
        >>> import torch
        >>> with skip_init() as skipped:
        ...     network, code = nn.Linear(2, 1), init.normal_(torch.empty(3))
        >>> skipped.is_replaced_in(network)
        False
        >>> del code
        >>> skipped.is_replaced_in(network)
        True
    """

    def __init__(self) -> None:
        super().__init__()
        self._skipped: set[Any] = set()

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        if func not in _DRAWS or _draws_all.get():
            return func(*args, **(kwargs or {}))
        tensor = args[0] if args else kwargs["tensor"]
        self._skipped.add(_Reference(tensor.untyped_storage()))
        # torch draws from a truncated normal distribution until all values lie in its bounds: 0 does, at once
        return tensor.zero_() if func in (Tensor.uniform_, Tensor.normal_) else tensor

    def is_replaced_in(self, network: nn.Module) -> bool:
        """Whether loading a whole state dict into the network replaces every tensor whose draw was skipped.

        A floating-point buffer outside the state dict may have been computed from such a tensor: then False.
        """
        own = [value for value in network.state_dict(keep_vars=True).values() if isinstance(value, Tensor)]
        known = {id(tensor) for tensor in own}
        if any(buffer.is_floating_point() and id(buffer) not in known for buffer in network.buffers()):
            return False
        stores = [(tensor.untyped_storage(), tensor.nbytes) for tensor in own]
        filled = {_Reference(storage) for storage, size in stores if storage.nbytes() == size}
        return {one for one in self._skipped if not one.expired()} <= filled


@contextmanager
def with_init() -> Iterator[None]:
    """Inside this context `skip_init` skips nothing: networks get their random initialisation.

    >>> with with_init(), skip_init():
    ...     bool(nn.Linear(2, 1).weight.any())
    True
    """
    token = _draws_all.set(True)
    try:
        yield
    finally:
        _draws_all.reset(token)


class without_data(TorchFunctionMode):  # noqa: N801 - a context manager
    """Inside this context networks are built on the meta device, with names and shapes but without memory.

    Example:
        >>> with without_data():
        ...     network = nn.Linear(1_000_000, 1_000_000)
        >>> network.weight.shape, network.weight.is_meta
        (torch.Size([1000000, 1000000]), True)
    """

    def __enter__(self) -> Self:
        self._device = torch.device("meta")
        self._device.__enter__()
        super().__enter__()  # type: ignore[no-untyped-call]
        return self

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)  # type: ignore[no-untyped-call]
        self._device.__exit__(*error)

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        first = args[0] if args else (kwargs or {}).get("tensor")
        if func in _IN_PLACE and isinstance(first, Tensor) and first.is_meta:
            return first
        return func(*args, **(kwargs or {}))
