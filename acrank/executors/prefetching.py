"""Loading the next item while the present one is worked on."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

Item = TypeVar("Item")
Loaded = TypeVar("Loaded")
_Answer = tuple[Any, BaseException | None]  # what was loaded, and what was raised instead
PATIENCE = 2.0  # seconds that the end of a run waits for a load that nobody wants any more


class Ahead(Generic[Item, Loaded]):
    """Gives what `load` makes of each item, in turn; while one is worked on, a second thread loads the next.

    Each item is loaded once, and never more than one ahead. What an item's load raises is raised when it is taken. An
    item that ran out of memory beside the one before it is loaded once more, by itself.

    Args:
        load: called with an item, in one thread at a time.
        items: in the order in which they are taken.
        may: which items a second thread may load; the others are loaded when they are taken.
        short: whether an error is a lack of memory.

    Example:
        >>> with Ahead(str.upper, ["a", "b"]) as ahead:
        ...     [ahead.take(), ahead.take()]
        ['A', 'B']
    """

    def __init__(
        self,
        load: Callable[[Item], Loaded],
        items: Sequence[Item],
        *,
        may: Callable[[Item], bool] = lambda _: True,
        short: Callable[[BaseException], bool] = lambda error: isinstance(error, MemoryError),
    ) -> None:
        self._load, self._items, self._may, self._short = load, items, may, short
        self._place = 0
        self._waiting = False  # whether the next item was handed to the thread
        self._asked: SimpleQueue[Item | None] = SimpleQueue()
        self._answers: SimpleQueue[_Answer] = SimpleQueue()
        self._thread: threading.Thread | None = None

    def take(self) -> Loaded:
        """The next item, loaded; the one after it begins to load.

        Raises:
            IndexError: there are no more; besides what `load` raises.
        """
        item = self._items[self._place]
        answer: _Answer = self._answers.get() if self._waiting else _attempt(self._load, item)
        value, error = answer
        if self._waiting and error is not None and self._short(error):
            value, error = _attempt(self._load, item)
        if error is not None and not isinstance(error, Exception):
            raise error  # an interrupt: nothing more is begun
        self._place += 1
        self._begin()
        if error is not None:
            raise error
        found: Loaded = value
        return found

    def close(self) -> None:
        """End the thread; one that does not end soon is left behind and dies with the process."""
        if self._thread is not None:
            self._asked.put(None)
            self._thread.join(PATIENCE)

    def __enter__(self) -> Ahead[Item, Loaded]:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _begin(self) -> None:
        self._waiting = self._place < len(self._items) and self._may(self._items[self._place])
        if not self._waiting:
            return
        if self._thread is None:
            # a daemon: a download that hangs must not keep the process from ending
            self._thread = threading.Thread(target=self._work, name="acrank-ahead", daemon=True)
            self._thread.start()
        self._asked.put(self._items[self._place])

    def _work(self) -> None:
        while (item := self._asked.get()) is not None:
            self._answers.put(_attempt(self._load, item))


def _attempt(load: Callable[[Item], Any], item: Item) -> _Answer:
    try:
        return load(item), None
    except BaseException as error:  # it is raised again where the item is taken
        return None, error
