"""A target opened for finetuning: whole, or as its own parts."""

from __future__ import annotations

from pathlib import Path

from acrank.errors import TargetError, UsageError
from acrank.targets import LAYOUTS, Target, TargetOptions, open_target


def open_parts(path: str | Path, options: TargetOptions | None = None, *, split_by: str = "seed") -> dict[str, Target]:
    """The target under the names that `make_partition` expects.

    Args:
        path: as for `open_target`.
        options: what the user says about the target; its split is not looked at.
        split_by: "seed" joins whatever splits the target has into "all"; "target" opens its "train" and "test" and,
            where there is one, "val".

    Raises:
        TargetError, UsageError: as `open_target`; or the target has no splits of its own.
    """

    def opened(split: str | None) -> Target:
        return open_target(path, options, split=split)

    if split_by == "seed":
        whole = opened(None)
        return {"all": opened("all") if "split" in LAYOUTS[whole.layout].uses else whole}
    try:
        parts = {"train": opened("train"), "test": opened("test")}
    except (TargetError, UsageError) as error:
        raise type(error)(f"no splits to take from the target: {error.message}", hint="use --split-by seed") from error
    for name in ("val", "valid", "validation"):
        try:
            return {**parts, "val": opened(name)}
        except TargetError:
            continue  # said below, once no name fits
    parts["train"].notes.append("the target has no validation split: a share of its training images serves")
    return parts
