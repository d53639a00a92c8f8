"""Progress of a call from Python: a bar in a notebook, a line on stderr elsewhere."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from acrank.system.printable import printable

#: (done, total, text beside the bar)
Report = Callable[[int, int, str], None]


@contextmanager
def bar(text: str, *, shown: bool) -> Iterator[Report]:
    """A tqdm bar with what is done and the time left: a widget in a notebook that has ipywidgets, else text on stderr.

    Args:
        text: beside the bar until the first report.
        shown: whether there is one at all.

    Example:
        >>> with bar("scoring", shown=False) as report:
        ...     report(1, 2, "resnet18")
    """
    if not shown:
        yield lambda done, total, text: None
        return
    with notebook_tqdm()(desc=printable(text), total=None) as shown_bar:

        def report(done: int, total: int, text: str) -> None:
            shown_bar.total = total
            shown_bar.set_description_str(printable(text), refresh=False)
            shown_bar.update(done - shown_bar.n)
            shown_bar.refresh()

        yield report


def notebook_tqdm() -> Any:
    """tqdm's bar for where Python runs; a notebook without ipywidgets gets text, and no warning with a path in it.

    Other packages import the same module, timm among them; the warning comes with the first import only.

    Example:
        >>> notebook_tqdm().__name__
        'tqdm_asyncio'
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="IProgress not found")
        return importlib.import_module("tqdm.auto").tqdm
