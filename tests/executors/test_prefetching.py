"""Loading one ahead: order, errors, never two at once, and an end that does not hang."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from acrank.executors import Prefetcher
from acrank.executors.prefetching import PATIENCE


class Loads:
    """Notes what is loaded, where, and how many loads go on at once."""

    def __init__(self, load: Callable[[int], object] = lambda item: item) -> None:
        self.load, self.seen, self.threads, self.now, self.most = load, [], set(), 0, 0

    def __call__(self, item: int) -> object:
        self.seen.append(item)
        self.threads.add(threading.current_thread().name)
        self.now += 1
        self.most = max(self.most, self.now)
        time.sleep(0.01)
        self.now -= 1
        return self.load(item)


def fail(item: int) -> int:
    if item == 1:
        raise ValueError("one")
    return item


def until(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not ready():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.005)


def test_each_item_is_loaded_once_in_turn_and_one_ahead() -> None:
    loads = Loads()
    with Prefetcher(loads, range(4)) as prefetcher:
        assert prefetcher.next() == 0
        until(lambda: loads.seen == [0, 1])
        time.sleep(0.05)
        assert loads.seen == [0, 1], "two ahead"
        assert [prefetcher.next() for _ in range(3)] == [1, 2, 3]
    assert loads.seen == [0, 1, 2, 3]
    assert loads.most == 1
    assert loads.threads == {"MainThread", "acrank-prefetch"}


def test_an_error_is_raised_when_its_item_is_taken_and_the_next_goes_on() -> None:
    with Prefetcher(Loads(fail), range(3)) as prefetcher:
        assert prefetcher.next() == 0
        with pytest.raises(ValueError, match="one"):
            prefetcher.next()
        assert prefetcher.next() == 2


def test_an_interrupt_in_a_load_passes_through_and_nothing_more_is_begun() -> None:
    def stop(item: int) -> int:
        if item == 1:
            raise KeyboardInterrupt
        return item

    loads = Loads(stop)
    with Prefetcher(loads, range(3)) as prefetcher:
        prefetcher.next()
        with pytest.raises(KeyboardInterrupt):
            prefetcher.next()
    assert loads.seen == [0, 1]


def test_what_ran_out_of_memory_beside_another_is_tried_alone() -> None:
    tries: list[str] = []

    def load(item: int) -> int:
        tries.append(threading.current_thread().name)
        if item == 1 and tries[-1] != "MainThread":
            raise MemoryError
        return item

    with Prefetcher(load, range(3)) as prefetcher:
        assert [prefetcher.next() for _ in range(3)] == [0, 1, 2]
    assert tries == ["MainThread", "acrank-prefetch", "MainThread", "acrank-prefetch"]


def test_what_may_not_be_loaded_ahead_is_loaded_when_it_is_taken() -> None:
    loads = Loads()
    with Prefetcher(loads, range(3), allowed=lambda item: False) as prefetcher:
        for item in range(3):
            time.sleep(0.02)
            assert loads.seen == list(range(item))
            assert prefetcher.next() == item
    assert loads.threads == {"MainThread"}


def test_a_load_that_hangs_does_not_hold_up_the_end() -> None:
    free = threading.Event()
    started = time.monotonic()
    with Prefetcher(lambda item: free.wait(60) if item else item, range(2)) as prefetcher:
        prefetcher.next()
    assert time.monotonic() - started < PATIENCE + 10
    free.set()
