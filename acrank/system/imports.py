"""Imports of optional packages, and imports without garbage collection."""

from __future__ import annotations

import gc
import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from acrank.errors import MissingExtraError


def extra(module: str, name: str, what: str) -> Any:
    """An optional module.

    Args:
        module: its dotted name, such as "monai.networks.nets".
        name: of the extra of acrank that installs it.
        what: needs it, as the subject of a sentence ("NIfTI volumes need").

    Raises:
        MissingExtraError: it is not installed.

    Example:
        >>> extra("nothing.here", "volumes", "NIfTI volumes need")
        Traceback (most recent call last):
        ...
        acrank.errors.MissingExtraError: NIfTI volumes need nothing
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        package = module.partition(".")[0]
        raise MissingExtraError(f"{what} {package}", hint=f"pip install 'acrank[{name}]'") from error


@contextmanager
def gc_paused() -> Iterator[None]:
    """Inside this context no garbage is collected: imports leave none, and the search takes a sixth of their time.

    Example:
        >>> with gc_paused():
        ...     gc.isenabled()
        False
    """
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
