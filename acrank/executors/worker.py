"""The main loop of a worker process. Imports no torch: the number of threads must be set before it is loaded."""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import sys
import threading
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from typing import Any

from acrank.errors import CandidateError
from acrank.executors.threads import limit_threads
from acrank.system.text_streams import EscapingStream


@dataclass(frozen=True)
class WorkerSetup:
    """Threads of a worker, and the function that it calls before its first task."""

    threads: int | None
    initializer: Callable[..., None] | None
    initargs: tuple[Any, ...]


def serve(pipe: Connection, setup: WorkerSetup) -> None:
    """Send a first answer when the worker is ready, then answer tasks until the parent closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides
    threading.Thread(target=_end_with_parent, daemon=True).start()
    os.dup2(2, 1)  # stdout is for the parent's data, whatever a candidate's code prints
    sys.stdout = sys.stderr = EscapingStream(sys.stderr)
    if setup.threads is not None:
        limit_threads(setup.threads)
    tasks = _Tasks()
    try:
        pipe.send_bytes(_answer(setup.initializer or (lambda: None), *setup.initargs))
        while True:
            pipe.send_bytes(_answer(tasks.run, pipe.recv_bytes(), pipe.recv_bytes()))
    except (EOFError, OSError):  # the parent is gone
        return


class _Tasks:
    """Keeps the last function: what it carries, such as decoded images, serves the next task too."""

    def __init__(self) -> None:
        self._function: Callable[..., Any] | None = None

    def run(self, function: bytes, args: bytes) -> Any:
        """The result of a pickled function, empty where it is that of the last task, and its pickled arguments."""
        if function:
            self._function = pickle.loads(function)  # noqa: S301 - from the parent, by its pipe
        assert self._function is not None  # noqa: S101 - for the type checker
        return self._function(*pickle.loads(args))  # noqa: S301 - likewise


def _answer(function: Callable[..., Any], *args: Any) -> bytes:
    """The message to the parent, pickled: ("value", result) or ("error", exception)."""
    try:
        return pickle.dumps(("value", function(*args)))
    except Exception as error:
        return _error(error)


def _error(error: Exception) -> bytes:
    """The exception, or its text where it cannot be pickled and read again."""
    try:
        raw = pickle.dumps(("error", error))
        pickle.loads(raw)  # noqa: S301 - pickled above
    except Exception:  # whatever an exception's own pickling raises
        return pickle.dumps(("error", CandidateError(f"{type(error).__name__}: {error}")))
    return raw


def _end_with_parent() -> None:
    """End this process when the parent is gone: a parent that was killed cannot end a worker that hangs."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
