"""The main flow of refining: the first candidates of a ranking are trained, and what that gives joins the ranking."""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import shutil
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from acrank.cache import ObservationCache
from acrank.errors import TargetError, UsageError
from acrank.executors import InProcess, TaskExecutor, run_tasks
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.outcomes import COLUMNS, Outcome
from acrank.finetuning.work_folder import WorkFolder
from acrank.ranking.examined_target import examine_target
from acrank.records import Ranking, Refined
from acrank.records.joint import expectations, joined, shares_of
from acrank.refining.halving import Stop, successive_halving
from acrank.refining.refine_settings import LEAST_EPOCHS, LEAST_STEPS, RATES, RefineSettings, check_task
from acrank.refining.sides import Sides, choose_sides
from acrank.refining.training import BudgetSpentError, Contestant, Round, failed, refined_of, train_candidate
from acrank.settings import Settings
from acrank.system.files import atomic_write
from acrank.targets import Target
from acrank.zoo import Zoo

TRUTH = "truth.csv"


@dataclasses.dataclass(frozen=True, kw_only=True)
class RefineProgress:
    """The last finished epoch of a candidate, or with `epoch` 0 its outcome; `done` of `total` epochs of the round."""

    round: int
    model: str
    epoch: int
    done: int
    total: int
    outcome: Refined | None = None


def refine(
    ranking: Ranking,
    zoo: Zoo,
    target: Target,
    *,
    settings: Settings,
    how: RefineSettings,
    work_dir: Path,
    cache: ObservationCache | None = None,
    resume: bool = False,
    executor: TaskExecutor | None = None,
    on_round: Callable[[Ranking], None] | None = None,
    on_progress: Callable[[RefineProgress], None] | None = None,
) -> Ranking:
    """Train the first candidates of a ranking for a few epochs, in rounds of successive halving, and rank them anew.

    The first round trains each with three learning rates and keeps the best; every later one trains the better half
    from the checkpoint again, for twice the epochs. They are validated on images that no draw of the ranking used,
    where enough are left. See `joined` for how the result joins the ranking.

    Args:
        ranking: of a finished run.
        zoo, target, settings: of that run.
        how: how many candidates, and the budget.
        work_dir: holds what is finished and the states of what is not; `truth.csv` there is a table of ground truth.
        cache: that of the run.
        resume: whether what `work_dir` holds is kept; else earlier rounds there are deleted.
        executor: where candidates are trained; None is this process.
        on_round: called after every round but the last with the ranking so far.
        on_progress: called after every epoch in this process, and after every candidate.

    Returns:
        The ranking by JOINT: its rows have `refined`, its notes say what was done.

    Raises:
        UsageError: nothing is ranked, or the ranking is of another target.
        TargetError, OutputError, TableError: see their messages.

    Example:
        >>> import tempfile, acrank.demo
        >>> from acrank.ranking.scoring import score
        >>> from acrank.targets import open_target
        >>> from acrank.zoo import load_zoo
        >>> folder = Path(tempfile.mkdtemp())
        >>> acrank.demo.make_target(folder / "target", n=60)
        >>> zoo = load_zoo(acrank.demo.zoo_path()).select(["resnet-shapes"])
        >>> target, settings = open_target(folder / "target"), Settings(samples=16, repeats=1)
        >>> how = RefineSettings(refine=1)
        >>> ranking = score(zoo, target, settings)
        >>> found = refine(ranking, zoo, target, settings=settings, how=how, work_dir=folder / "work")
        >>> found.rank_by, found.rows[0].refined.rounds
        ('joint', 1)
    """
    check_task(target.task)
    flow = _Flow(ranking, zoo, how, executor=executor or InProcess(), on_progress=on_progress)
    settings = settings.for_task(target.task)
    sound, draws, _ = examine_target(target, settings, cache)
    if ranking.target.get("fingerprint", sound.fingerprint) != sound.fingerprint:
        raise UsageError("the ranking is of another target", hint="give the data that it was made with")
    sides = choose_sides(sound, draws, seed=settings.seed)
    flow.prepare(sides, settings, work_dir=work_dir, resume=resume)
    flow.on_round = on_round
    return flow.run()


class _Flow:
    """The trainings of a ranking."""

    def __init__(
        self,
        ranking: Ranking,
        zoo: Zoo,
        how: RefineSettings,
        *,
        executor: TaskExecutor,
        on_progress: Callable[[RefineProgress], None] | None,
    ) -> None:
        plain = [dataclasses.replace(row, refined=None) for row in ranking.rows]
        self.before = joined(dataclasses.replace(ranking, rows=plain))
        self.chosen, self.notes = first_candidates(self.before, how.refine or 1)
        self.candidates = {one.id: one for one in zoo.candidates}
        self.how, self.executor, self.on_progress = how, executor, on_progress
        self.on_round: Callable[[Ranking], None] | None = None
        self.known: dict[str, Refined] = {}
        self.outcomes: dict[str, tuple[int, Outcome]] = {}
        if missing := [model for model in self.chosen if model not in self.candidates]:
            raise UsageError(f"the manifest has no {missing[0]}", hint="give the zoo that the ranking was made with")

    def prepare(self, sides: Sides, settings: Settings, work_dir: Path, *, resume: bool) -> None:
        """Open the work folder, and fix what all rounds share."""
        self.sides, self.work_dir, self.seed = sides, work_dir, settings.seed
        base = FinetuneSettings(
            lrs=RATES,
            patience=0,
            device=settings.device,
            memory=settings.memory,
            allow_code=settings.allow_code,
            allow_download=settings.allow_download,
        ).for_task(sides.train.target.task)
        self.base = dataclasses.replace(base, epochs=first_epochs(sides, base))
        self.images = sides.digest
        if not resume:
            delete_rounds(work_dir)
        seconds = self.how.seconds
        self.deadline = None if seconds is None else time.monotonic() + seconds

    def run(self) -> Ranking:
        """All rounds; the ranking with what they gave."""
        score, rows = self.before.scored_by, self.before.rows
        shares = shares_of(rows, score, higher_is_better=self.before.higher_is_better[score])
        expected = expectations(shares, {row.model: row.prior for row in rows})
        self.known, why = successive_halving(self.chosen, expected, self._round)
        if self.outcomes:
            self._write_truth()
        return self._ranking(why)

    def _round(self, number: int, models: Sequence[str], rates: Mapping[str, float]) -> dict[str, Refined] | None:
        if number > 1 and self.on_round is not None:
            self.on_round(self._ranking())
        entries = [
            Contestant(candidate=self.candidates[model], rates=(rates[model],) if model in rates else RATES)
            for model in models
        ]
        this = self._this_round(number, entries)
        found: dict[str, Outcome] = {}
        for entry, outcome in run_tasks(self.executor, partial(train_candidate, this), entries):
            if isinstance(outcome, BudgetSpentError):
                continue
            if isinstance(outcome, TargetError | UsageError):  # no other candidate could do better
                raise outcome
            model = entry.candidate.id
            found[model] = failed(this, entry, outcome) if isinstance(outcome, Exception) else outcome
            self._tell(refined_of(found[model], number), model, done=len(found), total=len(entries))
        if len(found) < len(entries):
            self.notes.append(
                f"--refine-budget was spent in round {number} after {len(found)} of {len(entries)} candidates: "
                "that round does not count (--resume goes on with it)"
            )
            return None
        self.outcomes.update({model: (number, outcome) for model, outcome in found.items()})
        results = {model: refined_of(found[model], number) for model in models}
        self.known.update(results)
        return results

    def _this_round(self, number: int, entries: Sequence[Contestant]) -> Round:
        settings = dataclasses.replace(self.base, epochs=self.base.epochs * 2 ** (number - 1))
        depends_on = {"settings": settings.record(), "images": self.images}
        folder = WorkFolder(self.work_dir / f"round-{number}", depends_on, resume=True)
        this = Round(
            number=number,
            sides=self.sides,
            settings=settings,
            folder=folder,
            seed=self.seed,
            deadline=self.deadline,
        )
        if self.on_progress is None or not isinstance(self.executor, InProcess):
            return this
        return dataclasses.replace(this, on_epoch=self._epochs_of(number, entries, settings.epochs))

    def _epochs_of(self, number: int, entries: Sequence[Contestant], epochs: int) -> Callable[[str, float, int], None]:
        """Counts the epochs of a round, and tells them."""
        places = {entry.candidate.id: place for place, entry in enumerate(entries)}
        rates = entries[0].rates
        each = epochs * len(rates)

        def on_epoch(model: str, rate: float, epoch: int) -> None:
            trial = rates.index(rate) if rate in rates else 0
            done = places[model] * each + trial * epochs + epoch
            total = each * len(entries)
            if self.on_progress is not None:
                self.on_progress(RefineProgress(round=number, model=model, epoch=epoch, done=done, total=total))

        return on_epoch

    def _tell(self, found: Refined, model: str, done: int, total: int) -> None:
        if self.on_progress is not None:
            place = {"round": found.rounds, "done": done, "total": total}
            self.on_progress(RefineProgress(model=model, epoch=0, outcome=found, **place))

    def _ranking(self, why: Stop | None = None) -> Ranking:
        rows = [dataclasses.replace(row, refined=self.known.get(row.model)) for row in self.before.rows]
        notes = [*self.before.notes, *self.notes]
        if self.known:
            notes.append(self._summary(why))
        record = {**self.how.record(), **self._about(), "stopped": why and why.value}
        settings = {**self.before.settings, "refine": record}
        return joined(dataclasses.replace(self.before, rows=rows, notes=notes, settings=settings))

    def _about(self) -> dict[str, Any]:
        return {
            "trained": list(self.chosen),
            "epochs": self.base.epochs,
            "train": len(self.sides.train),
            "val": len(self.sides.val),
            "images": self.sides.note,
        }

    def _summary(self, why: Stop | None) -> str:
        rounds = max(found.rounds for found in self.known.values())
        text = (
            f"refined: {len(self.known)} candidates trained on {len(self.sides.train)} images in {rounds} "
            f"round{'s' if rounds > 1 else ''}, {self.sides.note} ({len(self.sides.val)})"
        )
        return f"{text}; {why.value}" if why else text

    def _write_truth(self) -> None:
        """The table of ground truth: of each candidate its last round."""
        buffer = io.StringIO(newline="")
        writer = csv.writer(buffer, lineterminator="\n")
        writer.writerow([*COLUMNS, "epochs"])
        for number, outcome in self.outcomes.values():
            writer.writerow([*outcome.cells(), self.base.epochs * 2 ** (number - 1)])
        atomic_write(self.work_dir / TRUTH, buffer.getvalue())


def first_candidates(ranking: Ranking, count: int) -> tuple[list[str], list[str]]:
    """The first `count` candidates and what else is in the leading band, up to twice as many; notes on those left out.

    Raises:
        UsageError: nothing is ranked.
    """
    ranked = [row for row in ranking.rows if row.rank is not None]
    if not ranked:
        raise UsageError("no candidate is ranked, so none can be refined", hint="see the reasons in the table")
    leading = [row for row in ranked if row.band is not None and row.band == ranked[0].band]
    wanted = min(max(count, len(leading)), 2 * count, len(ranked))
    notes = []
    if len(leading) > wanted:
        notes.append(f"{len(leading)} candidates are in the leading band: --refine trains the first {wanted}")
    return [row.model for row in ranked[:wanted]], notes


def first_epochs(sides: Sides, settings: FinetuneSettings) -> int:
    """Epochs of a training of the first round: enough of them for LEAST_STEPS steps."""
    is_masks = sides.train.target.task == "segmentation"
    inputs = len(sides.train) * (settings.patches if is_masks else 1)
    steps = max(1, math.ceil(inputs / (settings.batch_size or 1)))
    return max(LEAST_EPOCHS, math.ceil(LEAST_STEPS / steps))


def delete_rounds(work_dir: Path) -> None:
    """Delete the rounds of an earlier run, and nothing else."""
    for folder in work_dir.glob("round-[0-9]*"):
        if (folder / "settings.json").is_file() and not folder.is_symlink():
            shutil.rmtree(folder)
