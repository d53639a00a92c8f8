"""Where a run is computed: its options, and the executor that they choose."""

from __future__ import annotations

import math
import os
import re
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import TYPE_CHECKING, Annotated, ClassVar

from acrank.errors import UsageError
from acrank.system.option_fields import Opt, check_options

if TYPE_CHECKING:
    from acrank.executors import ProcessExecutor, TaskExecutor
    from acrank.executors.remote import RayExecutor
    from acrank.zoo import Zoo


LOCAL, PROCESSES, RAY = "local", "processes", "ray"


@dataclass(frozen=True, kw_only=True)
class Execution:
    """Where and how the candidates of a run are computed."""

    PANEL: ClassVar = "How to run"

    executor: Annotated[
        str | None,
        Opt(
            help="local is this process. [local; processes with --workers, --devices or --timeout]",
            choices=(LOCAL, PROCESSES, RAY),
        ),
    ] = None
    workers: Annotated[
        int | None,
        Opt(
            help="Worker processes; with ray, candidates in flight. "
            "[one per device, else per CPU; ray: twice what fits]",
            least=1,
            most=1024,
        ),
    ] = None
    threads: Annotated[
        int | None,
        Opt(help="CPU threads of each worker. [the CPUs shared out; ray: --ray-cpus]", least=1, most=1024),
    ] = None
    devices: Annotated[
        tuple[str, ...],
        Opt(help="One worker process on each, such as cuda:0,cuda:1.", metavar="DEVICE,…"),
    ] = ()
    timeout: Annotated[
        float | None,
        Opt(
            help="Kill and skip a candidate that takes longer; a worker process computes then.",
            most=10**7,
            metavar="SECONDS",
        ),
    ] = None
    ray_address: Annotated[
        str,
        Opt(
            help="auto (the cluster this machine is in), host:port, or local (started for this run).", metavar="ADDRESS"
        ),
    ] = "auto"
    ray_cpus: Annotated[float, Opt(help="CPUs that Ray reserves per candidate.", least=0, most=1024)] = 1
    ray_gpus: Annotated[float, Opt(help="GPUs per candidate; 0.5 lets two share one.", least=0, most=1024)] = 0
    shard: Annotated[
        str,
        Opt(help="Only part I of N of the candidates; see `acrank merge`.", metavar="I/N"),
    ] = ""

    def __post_init__(self) -> None:
        check_options(self)
        if self.timeout is not None and not 0 < self.timeout < math.inf:
            raise UsageError(f"--timeout must be positive, got {self.timeout}", hint="try --timeout 600")
        if self.kind == LOCAL and (self.workers is not None or self.devices):
            raise UsageError("--executor local has no workers", hint="use --executor processes")
        if self.devices and self.kind == RAY:
            raise UsageError("--devices is for processes on this machine", hint="with ray, use --ray-gpus")
        if self.devices and self.workers not in (None, len(self.devices)):
            text = f"--devices names {len(self.devices)}, --workers says {self.workers}"
            raise UsageError(text, hint="leave --workers out: each device gets one")
        if self.shard and not re.fullmatch(r"[0-9]{1,9}/[0-9]{1,9}", self.shard):
            raise UsageError(f"--shard is I/N, got {self.shard!r}", hint="such as --shard 1/4 for the first of four")

    @property
    def kind(self) -> str:
        """The executor that was chosen, or that the other options need."""
        apart = self.workers is not None or self.timeout is not None or bool(self.devices)
        if self.executor is None:
            return PROCESSES if apart else LOCAL
        if self.executor == LOCAL and self.timeout is not None and not self.devices and not self.workers:
            return PROCESSES  # this process cannot end a task of its own that hangs
        return self.executor

    def check_devices(self, device: str) -> None:
        """Fail before the work where --devices cannot be used.

        Args:
            device: what --device says.

        Raises:
            UsageError: both options are given, or a device is not there.
        """
        from acrank.system.machine import pick_device

        if self.devices and device != "auto":
            raise UsageError("--device and --devices exclude each other", hint="leave --device out")
        for name in self.devices:
            pick_device(name)

    def part_of(self, zoo: Zoo) -> Zoo:
        """The candidates of the shard; all of them without one.

        Raises:
            UsageError: there is no such part, or it is empty.
        """
        if not self.shard:
            return zoo
        part, _, parts = self.shard.partition("/")
        return zoo.part(int(part), int(parts))


@contextmanager
def running(execution: Execution) -> Iterator[TaskExecutor]:
    """The executor, shut down at the end however that comes."""
    from acrank.executors import InProcess, limit_threads

    with _second_interrupt_does_not_wait():
        if execution.kind == LOCAL:
            if execution.threads is not None:
                limit_threads(execution.threads)
            yield InProcess()
        elif execution.kind == PROCESSES:
            with _processes(execution) as executor:
                yield executor
        else:
            with _ray(execution) as executor:
                yield executor


def _processes(execution: Execution) -> ProcessExecutor:
    from acrank.executors import ProcessExecutor, available_cpus
    from acrank.ranking.candidates import begin_worker

    cpus = available_cpus()
    alone = 1 if execution.executor != PROCESSES and execution.timeout is not None else cpus
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
