"""Loading the next item while the present one is worked on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from acrank.executors.threads import compute_alone

_Item = TypeVar("_Item")
_Loaded = TypeVar("_Loaded")
_Answer = tuple[Any, BaseException | None]  # what was loaded, and what was raised instead
PATIENCE = 2.0  # seconds that `close` waits for a load whose result is no longer needed


class Prefetcher(Generic[_Item, _Loaded]):
    """Loads items in order; while one is worked on, a second thread loads the next.

    Each item is loaded once and at most one ahead. What the load of an item raises is raised by its `next`. An item
    that ran out of memory beside the one before it is loaded once more, alone.

    Args:
        load: called with an item, in one thread at a time.
        items: in the order of `next`.
        allowed: whether the second thread may load an item; the others are loaded in `next`.
        is_out_of_memory: whether an error is a lack of memory.

    Example:
        >>> with Prefetcher(str.upper, ["a", "b"]) as prefetcher:
        ...     [prefetcher.next(), prefetcher.next()]
        ['A', 'B']
    """

    def __init__(
        self,
        load: Callable[[_Item], _Loaded],
        items: Sequence[_Item],
        *,
        allowed: Callable[[_Item], bool] = lambda _: True,
        is_out_of_memory: Callable[[BaseException], bool] = lambda error: isinstance(error, MemoryError),
    ) -> None:
        self._load, self._items, self._allowed, self._is_out_of_memory = load, items, allowed, is_out_of_memory
        self._place = 0
        self._waiting = False  # whether the next item was handed to the thread
        self._asked: SimpleQueue[_Item | None] = SimpleQueue()
        self._answers: SimpleQueue[_Answer] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def next(self) -> _Loaded:
        """The next item, loaded; the thread then begins to load the one after it.

        Raises:
            IndexError: there are no more items; besides what `load` raises.
        """
        item = self._items[self._place]
        value, error = self._answers.get() if self._waiting else self._attempt(item)
        if self._waiting and error is not None and self._is_out_of_memory(error):
            value, error = self._attempt(item)
        if error is not None and not isinstance(error, Exception):
            raise error  # an interrupt: nothing more is begun
        self._place += 1
        self._begin()
        if error is not None:
            raise error
        loaded: _Loaded = value
        return loaded

    def close(self) -> None:
        """End the thread; one that does not end soon is left behind and dies with the process."""
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join(PATIENCE)

    def __enter__(self) -> Prefetcher[_Item, _Loaded]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        self._waiting = self._place < len(self._items) and self._allowed(self._items[self._place])
        if not self._waiting:
            return
        if self._thread is None:
            # a daemon: a download that hangs must not keep the process from ending
            self._thread = threading.Thread(target=self._work, name="acrank-prefetch", daemon=True)
            self._thread.start()
        self._asked.put(self._items[self._place])

    def _work(self) -> None:
        is_alone = False
        while (item := self._asked.get()) is not None:
            is_alone = is_alone or compute_alone()
            self._answers.put(self._attempt(item))

    def _attempt(self, item: _Item) -> _Answer:
        try:
            return self._load(item), None
        except BaseException as error:  # raised again in `next`
            return None, error
