"""The JavaScript that the page carries, from the packages of the extra `report`."""

from __future__ import annotations

import functools
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from acrank.errors import MissingExtraError, UsageError
from acrank.system.imports import extra

_NEEDS = ("altair", "vl_convert", "jinja2")
_SECONDS = 120.0
#: vl-convert puts the bundle together with V8, which ends the process where `ulimit -v` refuses it address space.
_BUNDLING = """
import contextlib, sys
with contextlib.suppress(ImportError, OSError, ValueError):
    import resource
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
sys.path[:] = sys.argv[2:]
import vl_convert
sys.stdout.reconfigure(encoding="utf-8")
sys.stdout.write(vl_convert.javascript_bundle(vl_version=sys.argv[1]))
"""


def check_libraries() -> None:
    """Check before the work that the extra is installed.

    Raises:
        MissingExtraError: a package of it is missing.
    """
    for module in _NEEDS:
        library(module)
    _folder_of_itables()


def library(module: str) -> Any:
    """A module of the extra `report`; raises MissingExtraError where it is not installed."""
    return extra(module, "report", "reports need")


@functools.cache
def vega_bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script that defines `vegaEmbed`, put together in a process of its own.

    Raises:
        UsageError: that process ends without it, as under a small `ulimit -v`.
    """
    version = library("altair").SCHEMA_VERSION.rpartition(".")[0]  # v6.4 of v6.4.1
    library("vl_convert")
    command = [sys.executable, "-I", "-c", _BUNDLING, version, *sys.path]
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=_SECONDS, check=True)  # noqa: S603 - this Python, with a fixed program
    except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
        raise UsageError(
            f"the charts of the report cannot be put together: {error}", hint="raise `ulimit -v`, or report elsewhere"
        ) from error
    return done.stdout


@functools.cache
def table_bundle() -> tuple[str, str]:
    """DataTables with its extensions: an ES module that exports it as `default`, and its style sheet.

    Raises:
        MissingExtraError: itables is missing, or does not have these files.
    """
    folder = _folder_of_itables() / "html"
    try:
        return (folder / "dt_bundle.js").read_text("utf-8"), (folder / "dt_bundle.css").read_text("utf-8")
    except OSError as error:
        raise MissingExtraError(
            "this itables ships no DataTables for pages without a network", hint="pip install -U 'acrank[report]'"
        ) from error


def _folder_of_itables() -> Path:
    """Where itables lies: never imported, for it reads the working folder's pyproject.toml, whatever it holds.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        spec = find_spec("itables")
    except ValueError:  # `sys.modules` bars it
        spec = None
    if spec is None or spec.origin is None:
        raise MissingExtraError("reports need itables", hint="pip install 'acrank[report]'")
    return Path(spec.origin).parent
