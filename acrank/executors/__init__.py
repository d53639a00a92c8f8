"""Where tasks run: in this process, in worker processes, on a Ray cluster, or in any `concurrent.futures.Executor`.

Knows nothing of candidates. An executor has `submit(function, *args) -> Future`; `results` feeds it tasks and yields
them as they end. An executor may say how many tasks it wants at once (`in_flight`) and what it is (`about`).
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Protocol, TypeVar

from acrank.executors.prefetching import Ahead
from acrank.executors.processes import ProcessExecutor
from acrank.executors.threads import available_cpus, limit_threads

__all__ = [
    "Ahead",
    "InProcess",
    "ProcessExecutor",
    "TaskExecutor",
    "available_cpus",
    "describe",
    "limit_threads",
    "results",
]

Item = TypeVar("Item")
Result = TypeVar("Result")


class TaskExecutor(Protocol):
    """What `results` asks of an executor; those of `concurrent.futures` have it."""

    def submit(self, fn: Callable[..., Result], /, *args: Any) -> Future[Result]:
        """Have `fn(*args)` run somewhere."""
        ...


class InProcess:
    """Runs each task at once, here; KeyboardInterrupt and SystemExit pass through.

    Args:
        ahead: whether `acrank.score` may load the next candidate in a second thread meanwhile; it is held in memory
            beside the present one.

    >>> InProcess().submit(max, 1, 2).result()
    2
    """

    in_flight = 1
    about = {"kind": "local"}  # noqa: RUF012 - never written

    def __init__(self, *, ahead: bool = True) -> None:
        self.ahead = ahead

    def submit(self, fn: Callable[..., Result], /, *args: Any) -> Future[Result]:
        """`fn(*args)`, already done when this returns."""
        future: Future[Result] = Future()
        try:
            future.set_result(fn(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def results(
    executor: TaskExecutor, fn: Callable[[Item], Result], items: Iterable[Item]
) -> Iterator[tuple[Item, Result | Exception]]:
    """Every item once, with `fn(item)` or the exception that its task ended with, in the order in which they end.

    `items` is read only as fast as tasks end: at most `executor.in_flight` are handed over at a time (twice the CPUs
    where the executor does not say), so thousands of them need no more memory than a few.

    Example:
        >>> sorted(results(InProcess(), abs, [-1, 2]))
        [(-1, 1), (2, 2)]
    """
    limit = max(1, getattr(executor, "in_flight", 2 * (os.cpu_count() or 1)))
    pending: dict[Future[Result], Item] = {}
    waiting = iter(items)
    while True:
        for item in waiting:
            pending[_submitted(executor, fn, item)] = item
            if len(pending) >= limit:
                break
        if not pending:
            return
        done, _ = wait(pending, return_when=FIRST_COMPLETED)
        for future in [one for one in pending if one in done]:  # ended together: in the order of submission
            item = pending.pop(future)
            yield item, _outcome(future)


def describe(executor: TaskExecutor) -> dict[str, Any]:
    """What a run record says about where the run was made.

    >>> describe(InProcess())["kind"]
    'local'
    """
    about = getattr(executor, "about", {"kind": type(executor).__name__})
    torch = sys.modules.get("torch")
    threads = torch.get_num_threads() if torch and isinstance(executor, InProcess) else None
    return {**about, **({"threads": threads} if threads else {})}


def _submitted(executor: TaskExecutor, fn: Callable[[Item], Result], item: Item) -> Future[Result]:
    """A broken executor refuses: this task fails, and the caller hears of it as of any other."""
    try:
        return executor.submit(fn, item)
    except Exception as error:
        future: Future[Result] = Future()
        future.set_exception(error)
        return future


def _outcome(future: Future[Any]) -> Any:
    error = future.exception()
    if error is None:
        return future.result()
    if not isinstance(error, Exception):
        raise error
    return error
