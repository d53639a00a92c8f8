"""The files of the work folder beside those of its rounds."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Iterable
from pathlib import Path

from acrank.finetuning.outcomes import COLUMNS, Outcome
from acrank.system.files import atomic_write, reached

TRUTH, PLAN, EARLIER_PLANS, _SETTINGS = "truth.csv", "plan.json", "earlier_plans.json", "settings.json"


def write_truth(work_dir: Path, outcomes: Iterable[tuple[Outcome, int]]) -> None:
    """The table of ground truth: of each candidate its last round, with its epochs."""
    buffer = io.StringIO(newline="")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow([*COLUMNS, "epochs"])
    for outcome, epochs in outcomes:
        writer.writerow([*outcome.cells(), epochs])
    atomic_write(work_dir / TRUTH, buffer.getvalue())


def finished_trainings(work_dir: Path) -> int:
    """How many trainings earlier runs finished here, whatever their treatment.

    Raises:
        OutputError: the folder cannot be read.
    """
    with reached(work_dir):
        return sum(path.name != _SETTINGS for folder in _rounds(work_dir) for path in folder.glob("*.json"))


def delete_rounds(work_dir: Path) -> None:
    """Delete the plans and the rounds of earlier runs, and nothing else.

    Raises:
        OutputError: the folder cannot be written.
    """
    with reached(work_dir):
        for name in (PLAN, EARLIER_PLANS):
            (work_dir / name).unlink(missing_ok=True)
        for folder in _rounds(work_dir):
            shutil.rmtree(folder)


def _rounds(work_dir: Path) -> list[Path]:
    """The folders of rounds that acrank wrote; a link is none."""
    folders = work_dir.glob("round-[0-9]*") if work_dir.is_dir() else ()
    return [one for one in folders if (one / _SETTINGS).is_file() and not one.is_symlink()]
