"""Feeding an executor: every item once, no more in flight than it wants, whatever breaks."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from acrank.executors import InProcess, available_cpus, describe_executor, run_tasks


def invert(x: int) -> float:
    return 1 / x


def test_in_this_process_items_come_in_order_with_value_or_exception() -> None:
    found = list(run_tasks(InProcess(), invert, [2, 0, 4]))
    assert [item for item, _ in found] == [2, 0, 4]
    assert [found[0][1], found[2][1]] == [0.5, 0.25]
    assert isinstance(found[1][1], ZeroDivisionError)


def test_in_this_process_nothing_is_begun_before_it_is_asked_for() -> None:
    begun: list[int] = []
    stream = run_tasks(InProcess(), begun.append, iter(range(5)))
    next(stream)
    assert begun == [0]


def test_an_interrupt_passes_through() -> None:
    def interrupted(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(run_tasks(InProcess(), interrupted, [1]))


@given(st.lists(st.integers(), max_size=30), st.integers(1, 5))
def test_any_executor_of_the_standard_library_gives_every_item_once(items: list[int], workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        found = list(run_tasks(pool, lambda x: x + 1, enumerate_once(items)))  # type: ignore[arg-type, operator]
    assert sorted(found) == sorted((x, x + 1) for x in items)


def enumerate_once(items: list[int]) -> Iterator[int]:
    yield from items


class Narrow(ThreadPoolExecutor):
    """Says how much it wants, and notes the most that it was given at once."""

    in_flight = 3

    def __init__(self) -> None:
        super().__init__(2)
        self.now = self.most = 0
        self.lock = threading.Lock()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        future = super().submit(fn, *args, **kwargs)
        future.add_done_callback(lambda _: self.less())
        return future

    def less(self) -> None:
        with self.lock:
            self.now -= 1


def test_no_more_in_flight_than_the_executor_wants() -> None:
    taken = 0

    def endless() -> Iterator[int]:
        nonlocal taken
        while True:
            taken += 1
            yield taken

    with Narrow() as pool:
        stream = run_tasks(pool, abs, endless())
        for done in range(1, 101):
            next(stream)
            assert taken <= done + 3
        assert pool.most <= 3


def test_an_executor_that_refuses_fails_its_tasks_one_by_one() -> None:
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    found = list(run_tasks(pool, abs, [1, 2]))
    assert [item for item, _ in found] == [1, 2]
    assert all(isinstance(outcome, RuntimeError) for _, outcome in found)


def test_what_a_record_says_of_an_executor() -> None:
    with ThreadPoolExecutor(1) as pool:
        assert describe_executor(pool) == {"kind": "ThreadPoolExecutor"}
    assert describe_executor(InProcess())["kind"] == "local"
    assert available_cpus() >= 1
