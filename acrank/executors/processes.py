"""Worker processes that may die or hang: what one of them costs is the task that it held, never another.

`concurrent.futures.ProcessPoolExecutor` fails every pending task when one worker dies, and cannot end a task that
hangs. Here each worker is one process behind its own pipe, watched by one thread, and started anew when it is gone.
"""

from __future__ import annotations

import itertools
import multiprocessing
import pickle
import queue
import signal
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from acrank.errors import CandidateError, UsageError
from acrank.executors.worker import Start, serve

Result = TypeVar("Result")
TRIES = 2  # a worker that dies may have been killed by mistake; one that dies twice on a task dies of it


@dataclass
class _Task:
    future: Future[Any]
    function: bytes  # pickled once for all tasks that share it, and sent to a worker once
    args: bytes


class ProcessExecutor:
    """Tasks in processes of their own, which are started as they are needed and kept.

    Args:
        workers: how many processes.
        threads: that each computes with; None leaves it to the libraries.
        timeout: seconds that one task may take; its worker is killed then. A worker's start does not count.
        initializer: called in every new worker, before its first task; what it raises ends every task.
        initargs: arguments of the initializer: one tuple for each worker, or one for all.

    A task whose worker dies is run once more; when that one dies too, its future raises CandidateError, as it does
    after `timeout`. Functions, arguments and results must be picklable.

    Example:
        >>> with ProcessExecutor(1) as executor:
        ...     executor.submit(max, 1, 2).result()
        2
    """

    def __init__(
        self,
        workers: int,
        *,
        threads: int | None = None,
        timeout: float | None = None,
        initializer: Callable[..., None] | None = None,
        initargs: Sequence[tuple[Any, ...]] = ((),),
    ) -> None:
        self.timeout = timeout
        self.in_flight = workers + 1  # one in hand for the worker that is done first
        self.about: dict[str, Any] = {"kind": "processes", "workers": workers, "threads": threads}
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._function: tuple[Any, bytes] = (None, b"")
        self._closed = False
        self._workers: list[_Worker] = []
        for _, args in zip(range(workers), itertools.cycle(initargs), strict=False):
            worker = _Worker(Start(threads, initializer, args))
            self._workers.append(worker)
            threading.Thread(target=self._work, args=(worker,), daemon=True).start()

    def submit(self, fn: Callable[..., Result], /, *args: Any) -> Future[Result]:
        """Have `fn(*args)` run in a worker; a function that is given again is not sent again."""
        if self._closed:
            raise RuntimeError("the executor is shut down")
        if self._function[0] is not fn:
            self._function = (fn, pickle.dumps(fn))
        future: Future[Result] = Future()
        self._tasks.put(_Task(future, self._function[1], pickle.dumps(args)))
        return future

    def shutdown(self) -> None:
        """Kill the workers, whatever they are at."""
        self._closed = True
        for worker in self._workers:
            self._tasks.put(None)
            worker.kill()

    def __enter__(self) -> ProcessExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def _work(self, worker: _Worker) -> None:
        """The thread of one worker: take a task, see it through, take the next."""
        while (task := self._tasks.get()) is not None and not self._closed:
            if task.future.set_running_or_notify_cancel():
                self._see_through(task, worker)
        worker.kill()

    def _see_through(self, task: _Task, worker: _Worker) -> None:
        for left in reversed(range(TRIES)):
            try:
                task.future.set_result(worker.run(task, self.timeout))
            except _DeadWorkerError as error:
                if left and not self._closed:
                    continue
                task.future.set_exception(CandidateError(f"its worker process died {TRIES} times: {error}"))
            except Exception as error:
                task.future.set_exception(error)
            return


class _DeadWorkerError(Exception):
    """The process is gone; says how."""


class _Worker:
    """One process at a time, and the pipe to it."""

    def __init__(self, start: Start) -> None:
        self._start = start
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._function = b""

    def run(self, task: _Task, timeout: float | None) -> Any:
        """The task's result, or what it raised.

        Raises:
            _DeadWorkerError: before the task was done.
            CandidateError: it took too long.
        """
        pipe = self._ready()
        try:
            if self._function is not task.function:
                pipe.send_bytes(task.function)
                self._function = task.function
            else:
                pipe.send_bytes(b"")
            pipe.send_bytes(task.args)
        except OSError as error:
            raise _DeadWorkerError(self._death()) from error
        return self._answer(pipe, timeout)

    def kill(self) -> None:
        """End the process now; a later `run` starts another."""
        process = self._process
        if process is not None:
            process.kill()

    def _ready(self) -> Connection:
        """The pipe to a live process, started now if need be.

        Raises:
            UsageError: it cannot start at all.
        """
        if self._process is not None and self._pipe is not None:
            if self._process.is_alive():
                return self._pipe
            self._pipe.close()
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that torch's threads hold
        self._pipe, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self._start), daemon=True)
        process.start()
        theirs.close()
        self._process, self._function = process, b""
        try:
            self._answer(self._pipe, None)
        except _DeadWorkerError as error:
            raise UsageError(
                f"a worker process could not start: {error}",
                hint='a script needs `if __name__ == "__main__":` around what it runs',
            ) from error
        return self._pipe

    def _answer(self, pipe: Connection, timeout: float | None) -> Any:
        assert self._process is not None
        started = time.monotonic()
        if not wait([pipe, self._process.sentinel], timeout):
            self._process.kill()
            self._process.join()
            raise CandidateError(f"timed out after {timeout:g} s")
        try:
            if not pipe.poll():  # dead, though what it started may hold its end of the pipe open
                raise EOFError
            kind, value = pipe.recv()
        except (EOFError, OSError) as error:
            spent = time.monotonic() - started
            raise _DeadWorkerError(f"{self._death()} after {spent:.1f} s") from error
        if kind == "error":
            raise value
        return value

    def _death(self) -> str:
        assert self._process is not None
        self._process.join(5)
        self._process.kill()  # it closed its pipe and lives on
        self._process.join()
        code = self._process.exitcode or 0
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
