"""How much memory there is: sizes in words, limits of the process and of its cgroups, and the user's cap."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import psutil
import pytest
import torch

from acrank.errors import UsageError
from acrank.system import memory
from acrank.system.memory import bytes_of, free_memory, return_pages, return_pages_above, reuse_pages

CPU = torch.device("cpu")
GIB = 2**30


@pytest.mark.parametrize(
    ("text", "count"),
    [
        *(("4GB", 4 * 10**9), ("500M", 5 * 10**8), ("3GiB", 3 * GIB), ("1.5 kb", 1500), (" 2 Ti ", 2 * 2**40)),
        *(("7", 7), ("12b", 12), ("1KiB", 1024), ("0.25gb", 250_000_000), ("8MIB", 8 * 2**20)),
    ],
)
def test_sizes_in_words(text: str, count: int) -> None:
    assert bytes_of(text) == count


@pytest.mark.parametrize("text", ["", "GB", "much", "-1GB", "4 G B", "4XB", "0", "0GB", "1e9", "4,5GB", "4GB2", "nan"])
def test_what_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="is not a size") as caught:
        bytes_of(text)
    assert "4GB" in str(caught.value.hint)


@pytest.fixture
def cgroups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty tree in the place of the machine's cgroups, and a process that says nothing of its own."""
    monkeypatch.setattr(memory, "_CGROUP", tmp_path / "cgroup")
    monkeypatch.setattr(memory, "_CGROUP_OF_PROCESS", tmp_path / "own")
    return tmp_path / "cgroup"


def limit(folder: Path, top: object, used: int, *, files: int | None = None, version: int = 2) -> None:
    """A cgroup with a limit, a usage, and bytes of file pages among it."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {2: ("memory.max", "memory.current"), 1: ("memory.limit_in_bytes", "memory.usage_in_bytes")}[version]
    for name, value in zip(names, (top, used), strict=True):
        (folder / name).write_text(f"{value}\n")
    if files is not None:
        (folder / "memory.stat").write_text(f"anon 5\ninactive_file {files}\nactive_file 9\n")


def of_process(cgroups: Path, text: str) -> None:
    (cgroups.parent / "own").write_text(text)


def test_without_a_limit_it_is_what_the_machine_has(cgroups: Path) -> None:
    machine = psutil.virtual_memory()
    assert abs(free_memory(CPU) - machine.available) < machine.total / 10
    limit(cgroups, "max", 10)
    assert abs(free_memory(CPU) - machine.available) < machine.total / 10


def test_a_container_limits_it(cgroups: Path) -> None:
    limit(cgroups, 5_000_000, 2_000_000)
    assert free_memory(CPU) == 3_000_000
    limit(cgroups, 5_000_000, 2_000_000, files=700_000)  # the kernel drops what it has of files
    assert free_memory(CPU) == 3_700_000
    limit(cgroups, 5_000_000, 9_000_000, files=0)
    assert free_memory(CPU) == 0


@pytest.mark.parametrize(
    ("version", "own", "root"),
    [(2, "0::/user/job\n", ""), (1, "7:cpu:/other\n4:memory:/user/job\n0::/\n", "memory"), (1, "", "memory")],
)
def test_the_least_of_a_cgroup_and_those_above_it(cgroups: Path, version: int, own: str, root: str) -> None:
    top = cgroups / root
    limit(top, 90_000_000, 30_000_000, version=version)
    if not own:  # it cannot be told which: that of the mount counts
        assert free_memory(CPU) == 60_000_000
        return
    of_process(cgroups, own)
    limit(top / "user", 50_000_000, 20_000_000, version=version)
    limit(top / "user/job", 45_000_000, 1_000_000, version=version)
    limit(top / "other", 10, 9, version=version)  # not the process's own
    assert free_memory(CPU) == 30_000_000
    limit(top / "user/job", 8_000_000, 1_000_000, version=version)
    assert free_memory(CPU) == 7_000_000


def test_a_cap_counts_what_the_process_has_already(cgroups: Path) -> None:
    own = psutil.Process().memory_info().rss
    cap = own + 64 * 2**20
    assert 0 < free_memory(CPU, str(cap)) <= 80 * 2**20
    assert free_memory(CPU, "1MB") == 0
    limit(cgroups, 5_000_000, 2_000_000)
    assert free_memory(CPU, str(cap)) == 3_000_000


LIMITED = """
import resource, psutil, torch
from acrank.system.memory import free_memory, return_pages
device = torch.device("cpu")
before = free_memory(device)
return_pages()  # as free_memory does where there is little
own = psutil.Process().memory_info().vms
resource.setrlimit(resource.RLIMIT_AS, (own + 2**28, own + 2**28))
print(before, free_memory(device))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="address space is limited as Linux does it")
def test_a_limit_on_the_address_space_counts() -> None:
    done = subprocess.run([sys.executable, "-c", LIMITED], capture_output=True, text=True, check=True)
    before, after = map(int, done.stdout.split())
    assert 2**28 - 2**25 < after <= 2**28
    assert after < before or before < 2**28


@pytest.mark.parametrize(("cap", "left"), [(None, 700), ("900", 500), ("9kB", 700)])
def test_a_gpu_has_what_torch_holds_in_reserve_too(monkeypatch: pytest.MonkeyPatch, cap: str | None, left: int) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (600, 1000))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _: 500)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda _: 400)
    assert free_memory(torch.device("cuda"), cap) == left


def test_pages_may_be_kept_and_given_back() -> None:
    """In a process of its own, for the C library's settings stay."""
    code = "from acrank.system.memory import reuse_pages, return_pages; reuse_pages(); return_pages(); print('done')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "done\n"


@pytest.mark.parametrize("change", [reuse_pages, return_pages])
def test_other_systems_are_left_alone(monkeypatch: pytest.MonkeyPatch, change: object) -> None:
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    asked: list[object] = []
    monkeypatch.setattr(memory.ctypes, "CDLL", lambda _: asked.append(change) or memory)
    change()  # type: ignore[operator]
    assert asked == []


@pytest.mark.skipif(sys.platform != "linux", reason="malloc_trim is glibc's")
def test_pages_are_given_back_above_a_size_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr("acrank.system.memory.return_pages", lambda: asked.append(1))
    own = psutil.Process().memory_info().rss
    return_pages_above(2 * own)
    assert asked == []
    return_pages_above(own // 2)
    assert asked == [1]
