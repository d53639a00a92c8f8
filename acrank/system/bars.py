"""Progress of a call from Python: a bar in a notebook, a line on stderr elsewhere."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

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
    from tqdm.auto import tqdm

    with tqdm(desc=printable(text), total=None) as shown_bar:

        def report(done: int, total: int, text: str) -> None:
            shown_bar.total = total
            shown_bar.set_description_str(printable(text), refresh=False)
            shown_bar.update(done - shown_bar.n)
            shown_bar.refresh()

        yield report
