"""Where tasks run: in this process, in worker processes, on a Ray cluster, or in any `concurrent.futures.Executor`.

Knows nothing of candidates. An executor has `submit(function, *args) -> Future`; `run_tasks` feeds it tasks and yields
their outcomes as they end. Optional attributes of an executor: `in_flight`, how many tasks it takes at a time, and
`about`, a dictionary for the run record.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Protocol, TypeVar

from acrank.executors.prefetching import Prefetcher
from acrank.executors.processes import ProcessExecutor
from acrank.executors.threads import available_cpus, limit_threads

__all__ = [
    "InProcess",
    "Prefetcher",
    "ProcessExecutor",
    "TaskExecutor",
    "available_cpus",
    "describe_executor",
    "limit_threads",
    "run_tasks",
]

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


class TaskExecutor(Protocol):
    """What `run_tasks` asks of an executor; those of `concurrent.futures` have it."""

    def submit(self, fn: Callable[..., _Result], /, *args: Any) -> Future[_Result]:
        """Schedule `fn(*args)`."""
        ...


class InProcess:
    """Runs each task at once in this process; KeyboardInterrupt and SystemExit pass through.

    Args:
        prefetch: whether `acrank.score` may load the next candidate in a second thread meanwhile; both are then held in
            memory.

    >>> InProcess().submit(max, 1, 2).result()
    2
    """

    in_flight = 1
    about = {"kind": "local"}  # noqa: RUF012 - never written

    def __init__(self, *, prefetch: bool = True) -> None:
        self.prefetch = prefetch

    def submit(self, fn: Callable[..., _Result], /, *args: Any) -> Future[_Result]:
        """The future of `fn(*args)`, already done."""
        future: Future[_Result] = Future()
        try:
            future.set_result(fn(*args))
        except Exception as error:
            future.set_exception(error)
        return future


def run_tasks(
    executor: TaskExecutor, fn: Callable[[_Item], _Result], items: Iterable[_Item]
) -> Iterator[tuple[_Item, _Result | Exception]]:
    """Yield each item once, in the order in which the tasks end, with `fn(item)` or the exception of its task.

    `items` is read only as fast as tasks end: at most `executor.in_flight` are submitted at a time (twice the CPUs
    where the executor does not say), so thousands of them need no more memory than a few.

    Example:
        >>> sorted(run_tasks(InProcess(), abs, [-1, 2]))
        [(-1, 1), (2, 2)]
    """
    limit = max(1, getattr(executor, "in_flight", 2 * (os.cpu_count() or 1)))
    pending: dict[Future[_Result], _Item] = {}
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
            yield pending.pop(future), _outcome(future)


def describe_executor(executor: TaskExecutor) -> dict[str, Any]:
    """The executor's entry in the run record, as plain data.

    >>> describe_executor(InProcess())["kind"]
    'local'
    """
    about = dict(getattr(executor, "about", {"kind": type(executor).__name__}))
    torch = sys.modules.get("torch")
    return about | ({"threads": torch.get_num_threads()} if torch and isinstance(executor, InProcess) else {})


def _submitted(executor: TaskExecutor, fn: Callable[[_Item], _Result], item: _Item) -> Future[_Result]:
    """The future of `fn(item)`; a broken executor, which refuses the task, fails this one alone."""
    try:
        return executor.submit(fn, item)
    except Exception as error:
        future: Future[_Result] = Future()
        future.set_exception(error)
        return future


def _outcome(future: Future[Any]) -> Any:
    error = future.exception()
    if error is not None and not isinstance(error, Exception):
        raise error
    return future.result() if error is None else error
