"""Files that a table or dataset.json names and that are not there: refused, unless `--bad-images` leaves them out."""

from __future__ import annotations

from collections.abc import Collection

from acrank.errors import TargetError
from acrank.targets.target_options import REPLACE_MANY, too_many_bad

#: Why such an image is left out.
IS_MISSING = "the file is missing"
_LEAVE_OUT = "or leave such images out: --bad-images skip"


def refuse_missing(absent: Collection[str], count: int, *, rule: str | None, message: str, hint: str) -> None:
    """Raise unless the user lets a target do without so many of its images.

    Without the user's word none may be missing: a wrong folder is likelier than a lost file.

    Args:
        absent: names of the images that are missing.
        count: of all images.
        rule: what the user says is done about bad images, one of `BAD_IMAGES`; None where nothing is said.
        message, hint: of the error.

    Raises:
        TargetError: images are missing, and none, or not so many, may be, or no other is there.
    """
    if not absent:
        return
    if rule in (None, "fail") or len(absent) == count:
        raise TargetError(message, hint=hint if len(absent) == count else f"{hint}; {_LEAVE_OUT}")
    if too_many_bad(len(absent), count, rule or ""):
        raise TargetError(message, hint=f"{hint}; {REPLACE_MANY}")
