"""JSON: the full record; every other format is a view of it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from acrank.records import View


def to_json(view: View) -> str:
    """The view's record; NaN and infinities are null."""
    from acrank.records import dumps  # every command loads this module, few write a record

    return dumps(view.record)
