"""The JavaScript that the page carries, from the packages of the extra `report`."""

from __future__ import annotations

import functools
from importlib import resources
from typing import Any

from acrank.errors import MissingExtraError
from acrank.system.imports import extra

_NEEDS = ("altair", "vl_convert", "itables", "jinja2")


def check_libraries() -> None:
    """Check before the work that the extra is installed.

    Raises:
        MissingExtraError: a package of it is missing.
    """
    for module in _NEEDS:
        library(module)


def library(module: str) -> Any:
    """A module of the extra `report`; raises MissingExtraError where it is not installed."""
    return extra(module, "report", "reports need")


@functools.cache
def vega_bundle() -> str:
    """Vega, Vega-Lite and vega-embed as one script that defines `vegaEmbed`."""
    version = library("altair").SCHEMA_VERSION.rpartition(".")[0]  # v6.4 of v6.4.1
    return str(library("vl_convert").javascript_bundle(vl_version=version))


@functools.cache
def table_bundle() -> tuple[str, str]:
    """DataTables with its extensions: an ES module that exports it as `default`, and its style sheet.

    Raises:
        MissingExtraError: itables is missing, or does not have these files.
    """
    library("itables")
    folder = resources.files("itables") / "html"
    try:
        return (folder / "dt_bundle.js").read_text("utf-8"), (folder / "dt_bundle.css").read_text("utf-8")
    except OSError as error:
        raise MissingExtraError(
            "this itables ships no DataTables for pages without a network", hint="pip install -U 'acrank[report]'"
        ) from error
