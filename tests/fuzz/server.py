"""A process that has imported everything and forks a child for each command: a command then starts in milliseconds.

Reads one request a line from stdin and answers one line to stdout, both JSON. A child is a session of its own with
bounds on address space and file sizes; it is killed with all that it started when its time is over.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import gc
import json
import os
import resource
import shutil
import signal
import struct
import sys
import termios
import threading
import time
import traceback
from collections.abc import Callable
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
            fault of `faults` instead of a command); `signal` (see `_Sender`); `meanwhile` (see `_Saboteur`);
            `terminal` (whether it speaks to one); `bounded` (whether limits hold);
            `grace` (seconds that processes of the session have to end after the command).
    """
    before = _resident()
    started = time.monotonic()
    if request.get("terminal"):
        request["master"], request["slave"] = os.openpty()
        termios.tcsetwinsize(request["slave"], (24, 100))
    child = os.fork()
    if child == 0:
        _run(request)
    watchers = [kind(request, child) for name, kind in _WATCHERS.items() if request.get(name)]
    code, usage, timed_out = _wait(child, request["timeout"], watchers)
    left = _left(child, 0 if timed_out else request.get("grace", 0))
    _kill(left)
    if request.get("terminal"):
        os.close(request["master"])
    return {
        "code": code,
        "timed_out": timed_out,
        "seconds": time.monotonic() - started,
        "cpu": usage.ru_utime + usage.ru_stime,
        "memory": max(0, usage.ru_maxrss * 1024 - before),
        "orphans": 0 if timed_out else len(left),
    }


class _Watcher:
    """Does something once a file of the child holds so many rows, and some time has passed.

    The plan has: file; rows, and what to `count` for them; after (seconds from then on).
    """

    def __init__(self, request: dict[str, Any], plan: dict[str, Any]) -> None:
        self._plan, self._file = plan, Path(request["cwd"], plan["file"])
        self._at: float | None = None

    def poll(self) -> None:
        """Do what is due."""
        now = time.monotonic()
        if self._at is None and self._is_there():
            self._at = now + self._plan["after"]
        if self._at is not None and now >= self._at:
            again = self._act()
            self._at = float("inf") if again is None else now + again

    def _act(self) -> float | None:
        """Do it; returns after how many seconds again."""
        raise NotImplementedError

    def _is_there(self) -> bool:
        rows, word = self._plan["rows"], self._plan["count"].encode()
        return not rows or (self._file.exists() and self._file.read_bytes().count(word) >= rows)


class _Sender(_Watcher):
    """Signals a child.

    `request["signal"]` also has: number; group (whether the whole session gets it, as from a terminal); again (seconds
    until a second signal, or None). The file as it was just before the first is kept as `before` in the folder `out`.
    """

    def __init__(self, request: dict[str, Any], child: int) -> None:
        super().__init__(request, request["signal"])
        self._child, self._kept = child, Path(request["out"], "before")
        self._sent = 0

    def _act(self) -> float | None:
        if not self._sent and self._file.exists():
            self._kept.write_bytes(self._file.read_bytes())
        self._sent += 1
        with contextlib.suppress(ProcessLookupError, PermissionError):
            (os.killpg if self._plan["group"] else os.kill)(self._child, self._plan["number"])
        again: float | None = self._plan["again"]
        return again if self._sent == 1 else None


def _removed(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)


def _fifo(path: Path) -> None:
    _removed(path)
    os.mkfifo(path)


def _garbled(path: Path) -> None:
    for one in path.rglob("*") if path.is_dir() else [path]:
        if one.is_file():
            one.write_bytes(b"garbled" + one.read_bytes()[7:])


#: What may happen to a file or folder while a command runs.
CHANGES: dict[str, Callable[[Path], object]] = {
    "removed": _removed,
    "a FIFO": _fifo,
    "garbled": _garbled,
    "empty": lambda path: path.write_bytes(b"") if path.is_file() else None,
    "forbidden": lambda path: path.chmod(0o000),
    "read-only": lambda path: path.chmod(0o500 if path.is_dir() else 0o400),
}


class _Saboteur(_Watcher):
    """Changes a file under a child; `request["meanwhile"]` also has `change` and `path`."""

    def __init__(self, request: dict[str, Any], child: int) -> None:
        super().__init__(request, request["meanwhile"])
        self._path = Path(request["cwd"], self._plan["path"])

    def _act(self) -> float | None:
        with contextlib.suppress(FileNotFoundError):
            CHANGES[self._plan["change"]](self._path)
        return None


class _Reader:
    """Reads what a child says to its terminal, into `stdout` of the folder `out`."""

    def __init__(self, request: dict[str, Any], child: int) -> None:
        os.close(request["slave"])
        os.set_blocking(request["master"], False)
        self._master, self._path = request["master"], Path(request["out"], "stdout")

    def poll(self) -> None:
        """Take what there is."""
        with contextlib.suppress(OSError), self._path.open("ab") as file:  # nothing more, or the other end is closed
            while found := os.read(self._master, 2**16):
                file.write(found)


_WATCHERS = {"signal": _Sender, "meanwhile": _Saboteur, "terminal": _Reader}


def _left(child: int, grace: float) -> list[int]:
    """Processes of the child's session that are still there when the grace is over."""
    until = time.monotonic() + grace
    while (found := _session(child)) and time.monotonic() < until:
        time.sleep(0.02)
    return found


def _wait(child: int, limit: float, watchers: list[Any]) -> tuple[int, resource.struct_rusage, bool]:
    """The child's exit code (negative: of a signal), what it used, and whether it had to be killed."""
    timed_out = False
    until, pause = time.monotonic() + limit, 0.002
    while True:
        found, status, usage = os.wait4(child, os.WNOHANG)
        for watcher in watchers:
            watcher.poll()
        if found:
            return os.waitstatus_to_exitcode(status), usage, timed_out
        if not timed_out and time.monotonic() > until and _is_over(child, until, limit):
            timed_out = True
            _kill([*_session(child), child])
        time.sleep(pause)
        pause = min(0.003 if watchers else 0.02, pause * 1.2)


def _is_over(child: int, until: float, limit: float) -> bool:
    """Whether a command whose time has passed has really had it, or was kept waiting by a busy machine.

    It has had it where it worked for so long, or hardly worked at all, or thrice the time has passed.
    """
    used = sum(_seconds_used(one) for one in [*_session(child), child])
    return used > limit or used < limit / 4 or time.monotonic() > until + 2 * limit


def _seconds_used(process: int) -> float:
    with contextlib.suppress(OSError):
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    return 0.0


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
        _redirect(Path(request["out"]), request.get("slave"))
        _drop_capabilities()
        try:
            os.chdir(request["cwd"])
        except OSError:  # what changes meanwhile was faster: there is no command to judge
            os.write(2, b"error: the folder is gone\n")
            os._exit(2)
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
    from acrank.cli import run

    sys.argv = ["acrank", *request["argv"]]
    try:
        run()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _redirect(folder: Path, terminal: int | None) -> None:
    """stdin is empty, stdout and stderr are files or a terminal; what is forbidden goes to the file `events`."""
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    for number, name in ((1, "stdout"), (2, "stderr")):
        opened = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if terminal is None else terminal
        os.dup2(opened, number)
    sys.stdin = os.fdopen(0, closefd=False)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(2, "w", encoding="utf-8", errors="backslashreplace", closefd=False)
    events = os.open(folder / "events", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def hook(event: str, args: tuple[Any, ...]) -> None:
        if event in WATCHED and not _is_harmless(event, args):
            os.write(events, f"{event} {args!r}"[:500].replace("\n", " ").encode("utf-8", "replace") + b"\n")
            raise PermissionError(f"{event} is forbidden here")

    sys.addaudithook(hook)


def _drop_capabilities() -> None:
    """Let the permissions of files count for root, too: without CAP_DAC_OVERRIDE and CAP_DAC_READ_SEARCH."""
    if os.geteuid():
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = struct.pack("=LL", 0x20080522, 0)
    data = ctypes.create_string_buffer(24)
    libc.capget(header, data)
    effective, permitted, inherited, *more = struct.unpack("=6L", data.raw)
    keep = ~0b110 & 0xFFFFFFFF
    libc.capset(header, struct.pack("=6L", effective & keep, permitted & keep, inherited & keep, *more))


def _is_harmless(event: str, args: tuple[Any, ...]) -> bool:
    if event.startswith("socket."):
        return event == "socket.connect" and isinstance(args[1], str | bytes)  # a socket in the file system
    own = event == "subprocess.Popen" and "'-I', " in str(args[1])  # this Python alone, for expressions of users
    return own or any(word in str(args[:2]) for word in _HARMLESS)


def _clean_environment(env: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith(("ACRANK_", "GITHUB_"))]:
        del os.environ[name]
    for name in ("FORCE_COLOR", "NO_COLOR", "COLUMNS"):
        os.environ.pop(name, None)
    os.environ.update(env)


def _bound() -> None:
    address_space = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + ADDRESS_SPACE
    resource.setrlimit(resource.RLIMIT_AS, (address_space, resource.getrlimit(resource.RLIMIT_AS)[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_SIZE, FILE_SIZE))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


if __name__ == "__main__":
    main()
