"""Tasks on a Ray cluster. A task of a lost node is run again elsewhere, by Ray itself."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any, TypeVar

from acrank.errors import CandidateError, UsageError
from acrank.executors.processes import ProcessExecutor
from acrank.executors.threads import limit_threads
from acrank.system.imports import extra

_Result = TypeVar("_Result")
RETRIES = 3  # of a task whose node or worker was lost


class RayExecutor:
    """Runs tasks on Ray's workers.

    Functions and arguments must be picklable, acrank must be installed on the nodes, and files must have the same paths
    there; relative paths start from this process's folder.

    Args:
        address: "auto" for the cluster that runs here, "host:port" or "ray://host:port" for another, "local" for one
            of this machine that ends with the executor. A Ray that is connected already is used as it is, and kept.
        cpus, gpus: of a node, for one task; fractions share a CPU or GPU.
        in_flight: tasks submitted to Ray at a time; by default twice what the cluster can run at once.
        threads: of a task's numeric libraries; by default as many as its CPUs.
        timeout: seconds that one task may take; each then runs in a process of its own on the node.
        initializer: called in every worker before its first task.

    Raises:
        MissingExtraError: Ray is not installed.
        UsageError: there is no cluster at the address, or no node of it has `cpus` and `gpus`.
    """

    def __init__(
        self,
        address: str = "auto",
        *,
        cpus: float = 1,
        gpus: float = 0,
        in_flight: int | None = None,
        threads: int | None = None,
        timeout: float | None = None,
        initializer: Callable[[], None] | None = None,
    ) -> None:
        self._ray = _ray()
        self._ours = not self._ray.is_initialized()
        if self._ours:
            _connect(self._ray, address)
        try:
            slots = _slots(self._ray.nodes(), cpus, gpus)
        except UsageError:
            self.shutdown()
            raise
        threads = threads or max(1, int(cpus))
        self.in_flight = in_flight or 2 * slots
        self.about = {"kind": "ray", "cpus": cpus, "gpus": gpus, "threads": threads}
        self._options = {"folder": str(Path.cwd()), "threads": threads, "timeout": timeout, "initializer": initializer}
        self._task = self._ray.remote(num_cpus=cpus, num_gpus=gpus, max_retries=RETRIES)(_run)
        self._function: tuple[Any, Any] = (None, None)
        self._pending: dict[Future[Any], Any] = {}

    def submit(self, fn: Callable[..., _Result], /, *args: Any) -> Future[_Result]:
        """Run `fn(*args)` on the cluster; the function of the task before is not sent again."""
        if self._function[0] is not fn:
            self._function = (fn, self._ray.put(fn))
        # In a list, Ray passes the reference instead of the function: the worker may have the function already.
        reference = self._task.remote([self._function[1]], args, **self._options)
        future: Future[_Result] = Future()
        self._pending[future] = reference
        reference.future().add_done_callback(lambda done: self._finish(future, done))
        return future

    def shutdown(self) -> None:
        """Cancel pending tasks; end or leave the cluster, unless Ray was connected before."""
        for reference in list(getattr(self, "_pending", {}).values()):
            self._ray.cancel(reference, force=True)
        if self._ours:
            self._ray.shutdown()

    def __enter__(self) -> RayExecutor:
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def _finish(self, future: Future[Any], done: Future[tuple[str, Any]]) -> None:
        """Set the future to Ray's answer; a failure of Ray itself becomes one line."""
        self._pending.pop(future, None)
        error = done.exception()
        if error is not None:
            text = " ".join(str(error).split())
            future.set_exception(CandidateError(f"lost by Ray: {type(error).__name__}: {text[:200]}"))
            return
        kind, value = done.result()
        (future.set_exception if kind == "error" else future.set_result)(value)


def _ray() -> Any:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # the user has not agreed to reports
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")  # or Ray warns on every start
    return extra("ray", "ray", "the executor ray needs")


def _connect(ray: Any, address: str) -> None:
    """Connect, or raise UsageError. Ray's own lines, and what tasks print, stay off stdout."""
    try:
        ray.init(address=address, log_to_driver=False, configure_logging=False)
    except (OSError, ValueError, RuntimeError) as error:  # a timeout among them
        text = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise UsageError(
            f"no Ray cluster at {address!r}: {text}", hint="`ray start --head`, or --ray-address local"
        ) from error


def _slots(nodes: list[dict[str, Any]], cpus: float, gpus: float) -> int:
    """Number of tasks that can run at once; UsageError where none can, which would wait for ever."""
    needs = {kind: need for kind, need in (("CPU", cpus), ("GPU", gpus)) if need}
    resources = [node["Resources"] for node in nodes if node["Alive"]]
    found = sum(int(min((has.get(kind, 0) / need for kind, need in needs.items()), default=1)) for has in resources)
    if not found:
        raise UsageError(f"no node has {cpus:g} CPU and {gpus:g} GPU for a task", hint="lower --ray-cpus or --ray-gpus")
    return found


def _run(
    function: list[Any],
    args: tuple[Any, ...],
    *,
    folder: str,
    threads: int,
    timeout: float | None,
    initializer: Callable[[], None] | None,
) -> tuple[str, Any]:
    """On a worker: run a task; returns ("value", result) or ("error", exception)."""
    limit_threads(threads)  # for every task: Ray sets its own number before each
    try:
        _begin(folder, None if timeout else initializer)
        fn = _fetched(function[0])
        if timeout is None:
            return "value", fn(*args)
        return "value", _killable(threads, timeout, initializer).submit(fn, *args).result()
    except Exception as error:
        return "error", error


@functools.lru_cache(maxsize=1)
def _begin(folder: str, initializer: Callable[[], None] | None) -> None:
    """Once per worker: change to the driver's folder where it exists here, and call the initializer."""
    if Path(folder).is_dir():
        os.chdir(folder)
    if initializer is not None:
        initializer()


@functools.lru_cache(maxsize=1)
def _fetched(reference: Any) -> Any:
    """The function, fetched once per worker: what it carries, such as decoded images, serves the next task too."""
    import ray

    return ray.get(reference)


@functools.lru_cache(maxsize=1)
def _killable(threads: int, timeout: float, initializer: Callable[[], None] | None) -> ProcessExecutor:
    """A process that can be killed without Ray taking it for a lost worker."""
    return ProcessExecutor(1, threads=threads, timeout=timeout, initializer=initializer)
