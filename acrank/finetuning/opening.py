"""A target opened for finetuning: whole, or as its own parts."""

from __future__ import annotations

from pathlib import Path

from acrank.errors import TargetError, UsageError
from acrank.targets import READERS, Spacing, Target, Task, open_target


def open_parts(
    path: str | Path,
    *,
    split_by: str = "seed",
    images_key: str | None = None,
    labels_key: str | None = None,
    image_column: str | None = None,
    label_column: str | None = None,
    task: Task | None = None,
    intensity: str | None = None,
    slices: int | None = None,
    spacing: Spacing | None = None,
) -> dict[str, Target]:
    """The target under the names that `make_partition` expects.

    Args:
        path: as for `open_target`.
        split_by: "seed" joins whatever splits the target has into "all"; "target" opens its "train" and "test" and,
            where there is one, "val".
        images_key, labels_key, image_column, label_column, task, intensity, slices, spacing: as for `open_target`.

    Raises:
        TargetError, UsageError: as `open_target`; or the target has no splits of its own.
    """

    def opened(split: str | None) -> Target:
        return open_target(
            path,
            images_key=images_key,
            labels_key=labels_key,
            split=split,
            image_column=image_column,
            label_column=label_column,
            task=task,
            intensity=intensity,
            slices=slices,
            spacing=spacing,
        )

    if split_by == "seed":
        whole = opened(None)
        return {"all": opened("all") if "split" in READERS[whole.layout].uses else whole}
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
