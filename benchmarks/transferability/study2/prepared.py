"""The targets' images as acrank reads them: copied from the shared data, groups in their names."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

from acrank.targets import Target, TargetOptions, open_target

from .protocol import GROUP_PATTERN, MASKS, TARGETS, Target2


def target_of(name: str, shared: Path, work: Path) -> Target:
    """Open a target, which is prepared in the work folder if it is missing; images of a group stay together."""
    folder = work / "targets" / name
    if not folder.exists():
        partial = folder.with_suffix(".partial")
        shutil.rmtree(partial, ignore_errors=True)
        prepare(name, shared / "data" / "targets" / name, partial)
        partial.rename(folder)
    grouped = bool(TARGETS[name].group)
    return open_target(folder, TargetOptions(group_pattern=GROUP_PATTERN if grouped else None))


def prepare(name: str, source: Path, out: Path) -> None:
    """Copy every `every`-th image, with its mask where there is one."""
    target = TARGETS[name]
    if target.volumes:
        volumes(source, out, every=target.every)
        return
    for row, group in grouped_rows(source / "groups.csv", target):
        before = f"g{group:04d}__" if target.group else ""
        if target.stratum == MASKS:
            for folder in ("images", "masks"):
                _copy(source / folder / row["file"], out / folder / f"{before}{row['file']}")
        else:
            folder, _, file = row["file"].rpartition("/")
            _copy(source / row["file"], out / folder / f"{before}{file}")


def grouped_rows(table: Path, target: Target2) -> list[tuple[dict[str, str], int]]:
    """Every `every`-th row of groups.csv, with the number of its group in the order of their names."""
    with table.open(newline="", encoding="utf-8") as file:
        rows = sorted(csv.DictReader(file), key=lambda row: row["file"])[:: target.every]
    names = [row[target.group] if target.group else row["file"] for row in rows]
    numbers = {group: number for number, group in enumerate(sorted(set(names)))}
    return [(row, numbers[group]) for row, group in zip(rows, names, strict=True)]


def volumes(source: Path, out: Path, *, every: int) -> None:
    """The volumes with masks of every `every`-th patient, and dataset.json of these."""
    about = json.loads((source / "dataset.json").read_text(encoding="utf-8"))
    about["training"] = sorted(about["training"], key=lambda one: one["image"])[::every]
    about["numTraining"] = len(about["training"])
    for entry in about["training"]:
        for file in entry.values():
            _copy(source / file, out / file)
    (out / "dataset.json").write_text(json.dumps(about, indent=1), encoding="utf-8")


def _copy(source: Path, out: Path) -> None:
    out.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(source, out)
