"""A process that has imported everything and forks a child for each command: a command then starts in milliseconds.

Reads one request a line from stdin and answers one line to stdout, both JSON. A child is a session of its own with
bounds on address space and file sizes; it is killed with all that it started when its time is over.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import json
import os
import resource
import signal
import sys
import threading
import time
import traceback
from pathlib import Path
from typing import Any

#: Address space beyond the server's own. More than the bound on resident memory: libraries reserve what they never use.
ADDRESS_SPACE = 5 * 2**30
FILE_SIZE = 2**30
#: What a command may do with the rest of the world: nothing. Each such event is refused and told.
WATCHED = ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system", "os.posix_spawn", "os.exec")
_HARMLESS = ("uname", "sysctl")


def main() -> None:
    """Serve until stdin ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the client decides
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints while it is imported is no answer
    warm_up()
    for line in sys.stdin:
        print(json.dumps(perform(json.loads(line))), file=answers, flush=True)


def warm_up() -> None:
    """Import what the commands import, so that a fork has it."""
    from acrank.cli.app import build

    build()
    from acrank.zoo.architectures.timm_import import import_timm

    import_timm()
    for name in (
        "h5py",
        "pandas",
        "sklearn.linear_model",
        "scipy.stats",
        "safetensors.torch",
        "acrank.ranking.scoring",
    ):
        __import__(name)
    for name in ("acrank.finetuning.flow", "acrank.comparison", "acrank.gates"):
        __import__(name)
    for extra in ("nibabel", "monai.networks.nets", "segmentation_models_pytorch"):
        with contextlib.suppress(ImportError):
            __import__(extra)
    import torch

    torch.set_num_threads(1)
    gc.collect()
    gc.freeze()


def perform(request: dict[str, Any]) -> dict[str, Any]:
    """Run one command in a child and tell how it ended.

    Args:
        request: argv, env (added), cwd, out (a folder for stdout, stderr and events), timeout; `plant` (a planted
            fault of `faults` instead of a command); `signal` (see `_Sender`); `bounded` (whether limits hold);
            `grace` (seconds that processes of the session have to end after the command).
    """
    before = _resident()
    started = time.monotonic()
    child = os.fork()
    if child == 0:
        _run(request)
    sender = _Sender(request, child) if "signal" in request else None
    code, usage, timed_out = _wait(child, started + request["timeout"], sender)
    left = _left(child, 0 if timed_out else request.get("grace", 0))
    _kill(left)
    return {
        "code": code,
        "timed_out": timed_out,
        "seconds": time.monotonic() - started,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": max(0, usage.ru_maxrss * 1024 - before),
        "orphans": 0 if timed_out else len(left),
    }


class _Sender:
    """Signals a child once a file of its own holds so many rows, and some time has passed.

    `request["signal"]` has: number; group (whether the whole session gets it, as from a terminal); file, and how often
    `count` must be in it; after (seconds from then on); again (seconds until a second signal, or None). The file as it
    was just before the first signal is kept as `before` in the folder `out`.
    """

    def __init__(self, request: dict[str, Any], child: int) -> None:
        self._plan, self._child = request["signal"], child
        self._file, self._kept = Path(request["cwd"], self._plan["file"]), Path(request["out"], "before")
        self._at: float | None = None
        self._sent = 0

    def poll(self) -> None:
        """Send what is due."""
        now = time.monotonic()
        if self._at is None and self._is_there():
            self._at = now + self._plan["after"]
        if self._at is not None and now >= self._at:
            if not self._sent and self._file.exists():
                self._kept.write_bytes(self._file.read_bytes())
            self._send()
            again = self._plan["again"]
            self._at = now + again if again is not None and self._sent == 1 else float("inf")

    def _is_there(self) -> bool:
        rows, word = self._plan["rows"], self._plan["count"].encode()
        return not rows or (self._file.exists() and self._file.read_bytes().count(word) >= rows)

    def _send(self) -> None:
        self._sent += 1
        with contextlib.suppress(ProcessLookupError, PermissionError):
            (os.killpg if self._plan["group"] else os.kill)(self._child, self._plan["number"])


def _left(child: int, grace: float) -> list[int]:
    """Processes of the child's session that are still there when the grace is over."""
    until = time.monotonic() + grace
    while (found := _session(child)) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def _wait(child: int, until: float, sender: _Sender | None) -> tuple[int, resource.struct_rusage, bool]:
    """The child's exit code (negative: of a signal), what it used, and whether it had to be killed."""
    timed_out = False
    pause = 0.002
    while True:
        found, status, usage = os.wait4(child, os.WNOHANG)
        if found:
            return os.waitstatus_to_exitcode(status), usage, timed_out
        if sender:
            sender.poll()
        if time.monotonic() > until and not timed_out:
            timed_out = True
            _kill([*_session(child), child])
        time.sleep(pause)
        pause = min(0.003 if sender else 0.02, pause * 1.2)


def _kill(processes: list[int]) -> None:
    for process in processes:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process, signal.SIGKILL)


def _session(leader: int) -> list[int]:
    """Processes of a child's session that are alive, without the child."""
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit() and int(folder.name) != leader:
            with contextlib.suppress(OSError):
                state = (folder / "stat").read_text().rpartition(")")[2].split()[0]
                if os.getsid(int(folder.name)) == leader and state != "Z":
                    found.append(int(folder.name))
    return found


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()


def _run(request: dict[str, Any]) -> None:
    """In the child: the command, with the process's end as a real one has it."""
    code = 70
    try:
        os.setsid()
        _redirect(Path(request["out"]))
        os.chdir(request["cwd"])
        _clean_environment(request["env"])
        if request.get("bounded", True):
            _bound()
        signal.signal(signal.SIGINT, signal.default_int_handler)
        gc.enable()
        code = _call(request)
        threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as the interpreter's end does
        atexit._run_exitfuncs()
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
    except BaseException:
        with contextlib.suppress(Exception):
            traceback.print_exc()
            sys.stderr.flush()
        code = code or 120
    os._exit(code & 0xFF)


def _call(request: dict[str, Any]) -> int:
    if "plant" in request:
        from fuzz import faults

        return int(getattr(faults, request["plant"])())
    from acrank.cli import main as acrank

    sys.argv = ["acrank", *request["argv"]]
    return acrank(request["argv"])


def _redirect(folder: Path) -> None:
    """stdin is empty, stdout and stderr are files as a shell would open them; what is forbidden goes to `events`."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        os.dup2(os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    events = os.open(folder / "events", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in WATCHED and not _is_harmless(event, args):
            os.write(events, f"{event} {args!r}"[:500].replace("\n", " ").encode("utf-8", "replace") + b"\n")
            raise PermissionError(f"{event} is forbidden here")

    sys.addaudithook(hook)


def _is_harmless(event: str, args: tuple[Any, ...]) -> bool:
    if event.startswith("socket."):
        return event == "socket.connect" and isinstance(args[1], str | bytes)  # a socket in the file system
    return any(word in str(args[:2]) for word in _HARMLESS)


def _clean_environment(env: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith(("ACRANK_", "GITHUB_"))]:
        del os.environ[name]
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS"):
        os.environ.pop(name, None)
    os.environ.update(env)


def _bound() -> None:
    address_space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


if __name__ == "__main__":
    main()
