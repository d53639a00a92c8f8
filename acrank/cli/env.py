"""`acrank env`: what acrank runs on, for a bug report or before a long run."""

from __future__ import annotations

import importlib.metadata
import os
import re
import stat
import sys
from pathlib import Path
from typing import Any

from acrank.cli.configuration import find_configuration
from acrank.cli.console import check_outputs, show, write
from acrank.cli.options import Format, FormatOption, OutputOption, VerboseOption
from acrank.cli.outputs import OverwriteOption, check_replaceable
from acrank.errors import OutputError
from acrank.system.view import View

#: A requirement of an extra, as the package's metadata has it.
_REQUIREMENT = re.compile(r"^(?P<name>[\w.-]+).*extra == ['\"](?P<extra>[\w-]+)['\"]")
_OF_DEVELOPERS = ("dev",)


def env(
    format: FormatOption = Format.table,
    output: OutputOption = None,
    overwrite: OverwriteOption = False,
    verbose: VerboseOption = 0,
) -> None:
    """Say what acrank runs on: versions, devices, memory, extras, cache, configuration."""
    check_outputs(output or [])
    check_replaceable(output or [], [], kinds=["machine"], overwrite=overwrite)
    found = environment()
    rows = [[place, value] for place, value in _flat(found)]
    view = View(
        columns=["what", "found"],
        rows=rows,
        record={"kind": "acrank-env", "schema_version": 1, **found},
        title="What acrank runs on",
    )
    show(view, format)
    write(view, output or [])


def environment() -> dict[str, Any]:
    """Versions, devices, memory in bytes, extras, cache, configuration and variables, as plain data."""
    from acrank.system.machine import run_environment

    machine = run_environment()
    return {
        **{name: machine[name] for name in ("python", "platform", "cpus")},
        "executable": sys.executable,
        "versions": machine["versions"],
        "extras": _extras(),
        "torchvision": _torchvision(),
        "devices": _devices(),
        "memory": _memory(),
        "cache": _cache(),
        "configuration": _configuration(),
        "variables": {name: value for name, value in sorted(os.environ.items()) if name.startswith("ACRANK_")},
    }


def _extras() -> dict[str, str]:
    """Extra -> "installed", or the packages that it lacks."""
    lacking: dict[str, list[str]] = {}
    for line in importlib.metadata.requires("acrank") or []:
        found = _REQUIREMENT.match(line)
        if found and found["extra"] not in _OF_DEVELOPERS and not found["name"].startswith("acrank"):
            lacking.setdefault(found["extra"], []).extend([] if _is_installed(found["name"]) else [found["name"]])
    return {name: f"lacks {', '.join(names)}" if names else "installed" for name, names in sorted(lacking.items())}


def _is_installed(package: str) -> bool:
    try:
        importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True


def _torchvision() -> str:
    """Whether timm can be imported by everybody, which needs a torchvision that fits torch."""
    from acrank.zoo.architectures.timm_import import import_timm, was_mended

    import_timm()
    if was_mended():
        return "built for another torch: `import timm` fails but through acrank.import_timm()"
    return "fits torch" if _is_installed("torchvision") else "not installed"


def _devices() -> list[dict[str, Any]]:
    import torch

    found: list[dict[str, Any]] = [{"device": "cpu", "name": torch.backends.cpu.get_cpu_capability()}]
    for index in range(torch.cuda.device_count()):
        free, total = torch.cuda.mem_get_info(index)
        name = torch.cuda.get_device_name(index)
        found.append({"device": f"cuda:{index}", "name": name, "memory": total, "free": free})
    if torch.backends.mps.is_available():
        found.append({"device": "mps", "name": "Apple"})
    return found


def _memory() -> dict[str, int]:
    import psutil
    import torch

    from acrank.system.memory import free_memory

    return {"total": psutil.virtual_memory().total, "free": free_memory(torch.device("cpu"))}


def _cache() -> dict[str, Any]:
    """The cache's folder, and what its files take."""
    from acrank.cache import default_folder

    try:
        folder = default_folder()
    except OutputError as error:
        return {"folder": None, "bytes": None, "why": error.message}
    files = (Path(place) / name for place, _, names in os.walk(folder) for name in names)
    sizes = [size for path in files if (size := _size(path)) is not None]
    return {"folder": str(folder), "files": len(sizes), "bytes": sum(sizes)}


def _size(path: Path) -> int | None:
    """Bytes of an ordinary file; None for all else, such as a file that another process has just replaced."""
    try:
        status = path.lstat()
    except OSError:
        return None
    return status.st_size if stat.S_ISREG(status.st_mode) else None


def _configuration() -> dict[str, Any] | None:
    found = find_configuration(Path.cwd())
    return None if found is None else {"path": str(found.path), **found.shared, **found.own}


def _flat(value: Any, place: str = "") -> list[tuple[str, Any]]:
    """Every figure with its place, such as `memory: free`; bytes as GiB or MiB."""
    if isinstance(value, dict) and value:
        return [pair for key, one in value.items() for pair in _flat(one, f"{place}: {key}" if place else str(key))]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [pair for one in value for pair in _flat({k: v for k, v in one.items() if k != "device"}, one["device"])]
    if isinstance(value, int) and value >= 2**20:
        return [(place, f"{value / 2**30:.1f} GiB" if value >= 2**30 else f"{value / 2**20:.1f} MiB")]
    return [(place, str(value) if value not in (None, {}, []) else None)]
