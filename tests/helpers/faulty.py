"""Tasks that go wrong, in a module that a worker process can import."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path


class Counting:
    """A function that counts its unpicklings in a file, and its calls within one process."""

    def __init__(self, log: Path) -> None:
        self.log, self.calls = log, 0

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        with self.log.open("a") as file:
            file.write("arrived\n")

    def __call__(self, item: int) -> int:
        self.calls += 1
        return self.calls


class UnpicklableError(Exception):
    """Cannot be made again from its arguments."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


def behave(word: str) -> str:
    """Do as the word says, once or always."""
    if word == "abort":
        os.abort()
    if word == "exit":
        sys.exit(7)
    if word == "hang":
        time.sleep(600)
    if word == "raise":
        raise ValueError("on purpose")
    if word == "unpicklable":
        raise UnpicklableError(1, 2)
    if word == "lambda":
        return lambda: None  # type: ignore[return-value]
    if word.startswith("once:"):
        marker = Path(word.removeprefix("once:"))
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
    return f"{word} done"


def pid_of(_: int) -> int:
    """Which process this is."""
    return os.getpid()


def threads_and_device(_: int) -> tuple[str | None, str | None]:
    """What the worker was told."""
    return os.environ.get("OMP_NUM_THREADS"), os.environ.get("TEST_DEVICE")


def tell_device(name: str) -> None:
    """An initializer."""
    os.environ["TEST_DEVICE"] = name


def fail_to_begin() -> None:
    """An initializer that fails."""
    raise ValueError("no such library")


def die_at_once() -> None:
    """An initializer that ends its process."""
    os._exit(3)


def say_and_sleep(seconds: float) -> int:
    """Print, which must not reach the parent's stdout, and take some time."""
    print("a candidate's own words", flush=True)
    time.sleep(seconds)
    return threading.active_count()


def node_after(seconds: float) -> str:
    """On which Ray node this is, after some time."""
    import ray

    time.sleep(seconds)
    return str(ray.get_runtime_context().get_node_id())


def note_and_hang(path: str) -> None:
    """Tell the process's number, then take for ever."""
    Path(path).write_text(str(os.getpid()))
    time.sleep(600)
