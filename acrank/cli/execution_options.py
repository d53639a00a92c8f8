"""Where a run is computed: the options of `acrank score` for it, and the executor that they ask for."""

from __future__ import annotations

import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from acrank.errors import UsageError

if TYPE_CHECKING:
    from acrank.executors import ProcessExecutor, TaskExecutor
    from acrank.executors.remote import RayExecutor
    from acrank.zoo import Zoo


class Executor(StrEnum):
    """Where candidates are evaluated."""

    local = "local"
    processes = "processes"
    ray = "ray"


ExecutorOption = Annotated[
    Executor | None,
    typer.Option(
        "--executor",
        envvar="ACRANK_EXECUTOR",
        help="local (this process), processes, or ray. [local; processes with --workers, --devices or --timeout]",
    ),
]
WorkersOption = Annotated[
    int | None,
    typer.Option(
        "--workers",
        envvar="ACRANK_WORKERS",
        min=1,
        help="Worker processes; with ray, candidates in flight. [one per device, else per CPU; ray: twice what fits]",
    ),
]
ThreadsOption = Annotated[
    int | None,
    typer.Option(
        "--threads",
        envvar="ACRANK_THREADS",
        min=1,
        help="CPU threads of each worker. [the CPUs shared out; ray: --ray-cpus]",
    ),
]
DevicesOption = Annotated[
    str,
    typer.Option(
        "--devices", envvar="ACRANK_DEVICES", help="One worker process on each, such as cuda:0,cuda:1.", metavar="LIST"
    ),
]
TimeoutOption = Annotated[
    float | None,
    typer.Option(
        "--timeout",
        envvar="ACRANK_TIMEOUT",
        metavar="SECONDS",
        help="Kill and skip a candidate that takes longer. Instead of this process, a single worker computes then.",
    ),
]
RayAddressOption = Annotated[
    str,
    typer.Option(
        "--ray-address",
        envvar="ACRANK_RAY_ADDRESS",
        metavar="ADDRESS",
        help="auto (the cluster this machine is in), host:port, or local (started for this run).",
    ),
]
RayCpusOption = Annotated[
    float, typer.Option("--ray-cpus", envvar="ACRANK_RAY_CPUS", min=0, help="CPUs that Ray sets aside per candidate.")
]
RayGpusOption = Annotated[
    float,
    typer.Option("--ray-gpus", envvar="ACRANK_RAY_GPUS", min=0, help="GPUs per candidate; 0.5 lets two share one."),
]
AmpOption = Annotated[
    bool,
    typer.Option(
        "--amp", envvar="ACRANK_AMP", help="Mixed precision in the forward passes: faster on a GPU, other rounding."
    ),
]
DeterministicOption = Annotated[
    bool,
    typer.Option(
        "--deterministic",
        envvar="ACRANK_DETERMINISTIC",
        help="Deterministic algorithms only, on a GPU too; a candidate that lacks one is skipped.",
    ),
]
ShardOption = Annotated[
    str,
    typer.Option(
        "--shard", envvar="ACRANK_SHARD", metavar="I/N", help="Only part I of N of the candidates; see `acrank merge`."
    ),
]


@dataclass(frozen=True)
class Execution:
    """What those options say, as they were given."""

    executor: Executor | None = None
    workers: int | None = None
    threads: int | None = None
    devices: tuple[str, ...] = ()
    timeout: float | None = None
    ray_address: str = "auto"
    ray_cpus: float = 1
    ray_gpus: float = 0

    @property
    def kind(self) -> Executor:
        """The executor that was asked for, or that the other options need."""
        apart = self.workers is not None or self.timeout is not None or bool(self.devices)
        if self.executor is None:
            return Executor.processes if apart else Executor.local
        if self.executor is Executor.local and self.timeout is not None and not self.devices and not self.workers:
            return Executor.processes  # this process cannot end a task of its own that hangs
        return self.executor

    def check(self, device: str) -> None:
        """Fail before the work.

        Raises:
            UsageError: options that do not go together, or a device that is not there.
        """
        if self.timeout is not None and not 0 < self.timeout < float("inf"):
            raise UsageError(f"--timeout must be positive, not {self.timeout}", hint="try --timeout 600")
        if self.kind is Executor.local and (self.workers is not None or self.devices):
            raise UsageError("--executor local has no workers", hint="use --executor processes")
        if self.devices:
            self._check_devices(device)

    def _check_devices(self, device: str) -> None:
        from acrank.system.machine import pick_device

        if self.kind is Executor.ray:
            raise UsageError("--devices is for processes on this machine", hint="with ray, use --ray-gpus")
        if device != "auto":
            raise UsageError("--device and --devices exclude each other", hint="leave --device out")
        if self.workers not in (None, len(self.devices)):
            text = f"--devices names {len(self.devices)}, --workers says {self.workers}"
            raise UsageError(text, hint="leave --workers out: each device gets one")
        for name in self.devices:
            pick_device(name)


def devices_of(text: str) -> tuple[str, ...]:
    """The names in a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def shard_of(zoo: Zoo, text: str) -> Zoo:
    """The part of the candidates that I/N names; all of them where it is empty.

    Raises:
        UsageError: not of that form, no such part, or an empty one.
    """
    if not text:
        return zoo
    found = re.fullmatch(r"(\d+)/(\d+)", text)
    if not found:
        raise UsageError(f"--shard is I/N, not {text!r}", hint="such as --shard 1/4 for the first of four")
    return zoo.part(int(found[1]), int(found[2]))


@contextmanager
def running(execution: Execution) -> Iterator[TaskExecutor]:
    """The executor, shut down at the end however that comes."""
    from acrank.executors import InProcess, limit_threads

    with _second_interrupt_does_not_wait():
        if execution.kind is Executor.local:
            if execution.threads is not None:
                limit_threads(execution.threads)
            yield InProcess()
        elif execution.kind is Executor.processes:
            with _processes(execution) as executor:
                yield executor
        else:
            with _ray(execution) as executor:
                yield executor


def _processes(execution: Execution) -> ProcessExecutor:
    from acrank.executors import ProcessExecutor, available_cpus
    from acrank.ranking.candidates import begin_worker

    cpus = available_cpus()
    alone = 1 if execution.executor is not Executor.processes and execution.timeout is not None else cpus
    workers = execution.workers or len(execution.devices) or alone
    shared_out = None if "OMP_NUM_THREADS" in os.environ else max(1, cpus // workers)
    return ProcessExecutor(
        workers,
        threads=execution.threads or shared_out,
        timeout=execution.timeout,
        initializer=begin_worker,
        initargs=[(name,) for name in execution.devices] or [()],
    )


def _ray(execution: Execution) -> RayExecutor:
    from acrank.executors.remote import RayExecutor
    from acrank.ranking.candidates import begin_worker

    return RayExecutor(
        execution.ray_address,
        cpus=execution.ray_cpus,
        gpus=execution.ray_gpus,
        in_flight=execution.workers,
        threads=execution.threads,
        timeout=execution.timeout,
        initializer=begin_worker,
    )


@contextmanager
def _second_interrupt_does_not_wait() -> Iterator[None]:
    """The first Ctrl-C ends the run in order; a second one, while that takes its time, ends the process."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, _interrupted)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _interrupted(number: int, frame: FrameType | None) -> None:
    signal.signal(number, lambda *_: os._exit(130))
    raise KeyboardInterrupt
