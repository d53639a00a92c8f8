"""JSON: the record itself, of which every other format is a view."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acrank.formats import View


def to_json(view: View) -> str:
    """The view's record; NaN and infinities are null."""
    from acrank.records import dumps  # every command loads this module, not every one writes a record

    return dumps(view.record)
