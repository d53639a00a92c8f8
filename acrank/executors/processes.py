"""Worker processes that may die or hang without harm to any task but their own.

`concurrent.futures.ProcessPoolExecutor` fails every pending task when one worker dies, and cannot end a task that
hangs. Here each worker is one process behind its own pipe, watched by one thread, and restarted when it dies.
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
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, TypeVar

from acrank.errors import CandidateError, UsageError
from acrank.executors.worker import WorkerSetup, serve

_Result = TypeVar("_Result")
TRIES = 2  # one dead worker may have been killed by mistake; after two, the task is the cause


@dataclass
class _Task:
    future: Future[Any]
    function: bytes  # pickled once for all tasks that share it, and sent to a worker once
    args: bytes


class ProcessExecutor:
    """Runs tasks in worker processes, which are started when they are needed and kept.

    A task whose worker dies is run once more; when that one dies too, its future raises CandidateError, as it does
    after `timeout`. Functions, arguments and results must be picklable.

    Args:
        workers: number of processes.
        threads: of each worker's numeric libraries; None leaves it to the libraries.
        timeout: seconds that one task may take before its worker is killed. A worker's start does not count.
        initializer: called in every new worker, before its first task; what it raises ends every task.
        initargs: arguments of the initializer: one tuple for each worker, or one for all.

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
        self.in_flight = workers + 1  # one waits for the worker that is done first
        self.about: dict[str, Any] = {"kind": "processes", "workers": workers, "threads": threads}
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._function: tuple[Any, bytes] = (None, b"")
        self._closed = False
        self._workers: list[_Worker] = []
        for _, args in zip(range(workers), itertools.cycle(initargs), strict=False):
            worker = _Worker(WorkerSetup(threads, initializer, args))
            self._workers.append(worker)
            threading.Thread(target=self._work, args=(worker,), daemon=True).start()

    def submit(self, fn: Callable[..., _Result], /, *args: Any) -> Future[_Result]:
        """Run `fn(*args)` in a worker; the function of the task before is not sent again."""
        if self._closed:
            raise RuntimeError("the executor is shut down")
        if self._function[0] is not fn:
            self._function = (fn, pickle.dumps(fn))
        future: Future[_Result] = Future()
        self._tasks.put(_Task(future, self._function[1], pickle.dumps(args)))
        return future

    def shutdown(self) -> None:
        """Kill the workers, busy or not."""
        self._closed = True
        for worker in self._workers:
            self._tasks.put(None)
            worker.kill()

    def __enter__(self) -> ProcessExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def _work(self, worker: _Worker) -> None:
        """The thread of one worker: run tasks until there are no more."""
        while (task := self._tasks.get()) is not None and not self._closed:
            if task.future.set_running_or_notify_cancel():
                self._finish(task, worker)
        worker.kill()

    def _finish(self, task: _Task, worker: _Worker) -> None:
        """Give a task's future its result; a task whose worker dies is tried again."""
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
    """The process has ended; the message says how."""


class _Worker:
    """One process at a time, and the pipe to it."""

    def __init__(self, setup: WorkerSetup) -> None:
        self._setup = setup
        self._process: SpawnProcess | None = None
        self._pipe: Connection | None = None
        self._function = b""

    def run(self, task: _Task, timeout: float | None) -> Any:
        """The task's result; raises what the task raised.

        Raises:
            _DeadWorkerError: the process died before the task was done.
            CandidateError: the task took longer than `timeout`.
        """
        pipe = self._live_pipe()
        try:
            pipe.send_bytes(b"" if self._function is task.function else task.function)
            self._function = task.function
            pipe.send_bytes(task.args)
        except OSError as error:
            raise _DeadWorkerError(self._death()) from error
        return self._answer(pipe, timeout)

    def kill(self) -> None:
        """End the process now; a later `run` starts another."""
        process = self._process
        if process is not None:
            process.kill()

    def _live_pipe(self) -> Connection:
        """The pipe to the process, which is started unless it is alive.

        Raises:
            UsageError: it cannot start.
        """
        if self._process is not None and self._pipe is not None:
            if self._process.is_alive():
                return self._pipe
            self._pipe.close()
        context = multiprocessing.get_context("spawn")  # a fork would copy locks that torch's threads hold
        self._pipe, theirs = context.Pipe()
        process = context.Process(target=serve, args=(theirs, self._setup), daemon=True)
        _start_deaf(process)
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
        """The process's next answer, unpacked."""
        assert self._process is not None  # noqa: S101 - for the type checker
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
        """How the process ended, for an error message."""
        assert self._process is not None  # noqa: S101 - for the type checker
        self._process.join(5)
        self._process.kill()  # it closed its pipe and lives on
        self._process.join()
        code = self._process.exitcode or 0
        return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"


def _start_deaf(process: SpawnProcess) -> None:
    """Start a process that Ctrl-C does not reach, not even while it imports: it inherits this thread's mask."""
    resource_tracker.ensure_running()  # a first start would start it, and unblock the signal at that
    before = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGINT])
    try:
        process.start()
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
