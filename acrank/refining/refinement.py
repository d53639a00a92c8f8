"""The main flow of refining: the first candidates of a ranking are trained, and what that gives joins the ranking."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from acrank.cache import ObservationCache
from acrank.errors import UsageError
from acrank.executors import InProcess, TaskExecutor
from acrank.finetuning.finetune_settings import FinetuneSettings
from acrank.finetuning.outcomes import Outcome
from acrank.ranking.examined_target import examine_target
from acrank.records import Ranking, Refined
from acrank.records.joint import expectations, joined, shares_of
from acrank.refining.budgeting import Budget, full_treatment, workers_of
from acrank.refining.halving import Stop, successive_halving
from acrank.refining.kept_files import delete_rounds, write_truth
from acrank.refining.plan_files import load_plans, save_plan
from acrank.refining.plans import Cost, TrainingPlan, Treatment, wall_seconds
from acrank.refining.refine_notes import counted, not_begun, settings_of, summary_of
from acrank.refining.refine_progress import RefineProgress, epoch_counter
from acrank.refining.refine_settings import LEAST_STEPS, RATES, RefineSettings, check_task
from acrank.refining.replanning import PlanInputs, next_plan, plan_to_resume, with_others
from acrank.refining.rounds import Rounds
from acrank.refining.shortlist import first_candidates
from acrank.refining.sides import Sides, choose_sides
from acrank.refining.step_costs import expected_seconds, measured_costs
from acrank.refining.training import Contestant, Round, finished_outcomes, refined_of, train_all
from acrank.settings import Settings
from acrank.targets import Target
from acrank.zoo import Zoo


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
    on_note: Callable[[str], None] | None = None,
    on_round: Callable[[Ranking], None] | None = None,
    on_progress: Callable[[RefineProgress], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> Ranking:
    """Train the first candidates of a ranking for a few epochs, in rounds of successive halving, and rank them anew.

    The first round trains each with three learning rates and keeps the best; every later one trains the better half
    from the checkpoint again, for twice the epochs. They are validated on images that no draw of the ranking used,
    where enough are left. See `joined` for how the result joins the ranking.

    With a budget, a few steps of each are measured first, and all of them get as much as fits, see `plan_for`; where
    nothing fits, a note says how much time would do. See `next_plan` for resumed runs.

    Args:
        ranking: of a finished run.
        zoo, target, settings: of that run.
        how: how many candidates, and the budget.
        work_dir: holds what is finished and the states of what is not; `truth.csv` there is a table of ground truth.
        cache: that of the run.
        resume: whether what `work_dir` holds is kept; else earlier rounds there are deleted.
        executor: where candidates are trained; None is this process.
        on_note: called with what the plan leaves out, before anything is trained.
        on_round: called after every round but the last with the ranking so far.
        on_progress: called after every epoch in this process, and after every candidate.
        clock: gives seconds from any moment on; picklable where the executor has workers.

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
    flow = _Flow(ranking, zoo, how, executor=executor or InProcess(), clock=clock)
    flow.on_note, flow.on_round, flow.on_progress = on_note, on_round, on_progress
    settings = settings.for_task(target.task)
    sound, draws, _ = examine_target(target, settings, cache)
    if ranking.target.get("fingerprint", sound.fingerprint) != sound.fingerprint:
        raise UsageError("the ranking is of another target", hint="give the data that it was made with")
    sides = choose_sides(sound, draws, seed=settings.seed)
    flow.prepare(sides, settings, work_dir=work_dir, resume=resume)
    return flow.run()


class _Flow:
    """The trainings of a ranking."""

    on_note: Callable[[str], None] | None
    on_round: Callable[[Ranking], None] | None
    on_progress: Callable[[RefineProgress], None] | None

    def __init__(
        self, ranking: Ranking, zoo: Zoo, how: RefineSettings, *, executor: TaskExecutor, clock: Callable[[], float]
    ) -> None:
        plain = [dataclasses.replace(row, refined=None) for row in ranking.rows]
        self.before = joined(dataclasses.replace(ranking, rows=plain))
        self.chosen, self.notes = first_candidates(self.before, how.refine or 1)
        self.candidates = {one.id: one for one in zoo.candidates}
        self.how, self.executor, self.clock = how, executor, clock
        self.budget: Budget | None = None
        self.warnings: list[str] = []
        self.plan: TrainingPlan | None = None
        self.made: dict[Treatment, Rounds] = {}
        self.known: dict[str, Refined] = {}
        self.outcomes: dict[str, tuple[int, Outcome]] = {}
        if missing := [model for model in self.chosen if model not in self.candidates]:
            raise UsageError(f"the manifest has no {missing[0]}", hint="give the zoo that the ranking was made with")

    def prepare(self, sides: Sides, settings: Settings, work_dir: Path, *, resume: bool) -> None:
        """Fix what all rounds share, by the plan of an earlier run here, or by a new one."""
        self.sides, self.work_dir, self.seed = sides, work_dir, settings.seed
        self.base = FinetuneSettings(
            lrs=RATES,
            patience=0,
            device=settings.device,
            memory=settings.memory,
            allow_code=settings.allow_code,
            allow_download=settings.allow_download,
        ).for_task(sides.train.target.task)
        if not resume:
            delete_rounds(work_dir)
        self.full = full_treatment(self.sides, self.base, least_steps=LEAST_STEPS)
        self.budget = Budget.of(self.how, self.clock)
        given = self._plan_inputs()
        self.plan, said = next_plan(plan_to_resume(load_plans(work_dir), given), given)
        self.rounds = self._rounds_of(self.plan.treatment if self.plan else self.full)
        if self.plan is None:
            self.warnings.append(said)
            return
        self._note("; ".join(filter(None, [said, self.plan.note])))
        save_plan(work_dir, self.plan)

    def _plan_inputs(self) -> PlanInputs:
        return PlanInputs(
            chosen=self.chosen,
            sides=self.sides,
            settings=self.base,
            full=self.full,
            budget=self.budget,
            measure=self._costs,
            finished=self._finished,
            ended=self._ended,
            workers=workers_of(self.executor),
        )

    def _rounds_of(self, how: Treatment) -> Rounds:
        if how not in self.made:
            about: dict[str, Any] = {"work_dir": self.work_dir, "seed": self.seed, "candidates": self.candidates}
            self.made[how] = Rounds.of(how, self.sides, self.base, **about)
        return self.made[how]

    def _finished(self, how: Treatment) -> dict[str, Outcome]:
        """The outcomes of those whose first round is done under a treatment."""
        rounds = self._rounds_of(how)
        return rounds.finished(1, rounds.entries(self.chosen, {}))

    def _ended(self, plan: TrainingPlan) -> Stop:
        """Why the trainings of a plan ended, by what is finished; Stop.BUDGET where some are missing."""
        rounds = self._rounds_of(plan.treatment)

        def finished(number: int, models: Sequence[str], rates: Mapping[str, float]) -> dict[str, Refined] | None:
            models = plan.models if number == 1 else models
            found = rounds.finished(number, rounds.entries(models, rates))
            return {model: refined_of(found[model], number) for model in models} if len(found) == len(models) else None

        return successive_halving(plan.chosen, self._expected(), finished)[1]

    def _expected(self) -> dict[str, float]:
        """The share of others that each candidate is expected to beat."""
        score, rows = self.before.scored_by, self.before.rows
        shares = shares_of(rows, score, higher_is_better=self.before.higher_is_better[score])
        return dict(expectations(shares, {row.model: row.prior for row in rows}))

    def _costs(self) -> dict[str, Cost]:
        entries = [Contestant(candidate=self.candidates[model], rates=RATES) for model in self.chosen]
        about: dict[str, Any] = {"seed": self.seed, "clock": self.clock, "executor": self.executor}
        costs, failed = measured_costs(entries, self.sides, self.base, **about)
        for model, reason in failed.items():
            self._note(f"{model} could not be timed: {reason}")
        return costs

    def _note(self, text: str) -> None:
        self.notes += [text] if text else []
        if text and self.on_note is not None:
            self.on_note(text)

    def run(self) -> Ranking:
        """All rounds; the ranking with what they gave."""
        if self.plan is None:
            return self._ranking(Stop.BUDGET)
        self.known, why = successive_halving(self.plan.chosen, self._expected(), self._round)
        if self.outcomes:
            write_truth(self.work_dir, [(one, self.rounds.epochs(number)) for number, one in self.outcomes.values()])
        return self._ranking(why)

    def _round(self, number: int, models: Sequence[str], rates: Mapping[str, float]) -> dict[str, Refined] | None:
        if number == 1:
            models = self.planned
        elif self.on_round is not None:
            self.on_round(self._ranking())
        entries = self.rounds.entries(models, rates)
        this = self._this_round(number, entries)
        if not self._has_time_for(this, entries):
            return None
        found = train_all(this, entries, executor=self.executor, on_outcome=self.on_progress)
        if number == 1 and len(found) == len(models) and (more := self._others(found)):
            models = self.planned
            found |= train_all(self._this_round(1, more), more, executor=self.executor, on_outcome=self.on_progress)
        ours, note = counted(number, models, found)
        self.notes += [note] if note else []
        self.outcomes.update({model: (number, found[model]) for model in ours})
        results = {model: refined_of(found[model], number) for model in ours}
        self.known.update(results)
        return results or None

    @property
    def planned(self) -> list[str]:
        """The candidates of the first round."""
        return self.plan.models if self.plan else []

    def _others(self, found: Mapping[str, Outcome]) -> list[Contestant]:
        """Those that the plan left out, and for which the first round, sooner done than foreseen, left time."""
        if self.plan is None or self.budget is None:
            return []
        planned = len(self.plan.models)
        about: dict[str, Any] = {"full": self.full, "left": self.budget.left, "workers": workers_of(self.executor)}
        self.plan = with_others(self.plan, found, **about)
        more = self.plan.models[planned:]
        if more:
            save_plan(self.work_dir, self.plan)
            self._note(f"time is left: {len(more)} more than planned {'is' if len(more) == 1 else 'are'} trained")
        return self.rounds.entries(more, {})

    def _has_time_for(self, this: Round, entries: Sequence[Contestant]) -> bool:
        """Whether a later round, as long as it will take by the round before, fits into what is left."""
        if self.budget is None or this.number == 1:
            return True
        before = {model: outcome for model, (_, outcome) in self.outcomes.items()}
        wanted = wall_seconds(expected_seconds(this, entries, before), workers_of(self.executor))
        left = max(0.0, self.budget.left)
        if wanted > left:
            self.notes.append(not_begun(this.number, wanted, left=left, budget=self.budget))
        return wanted <= left

    def _this_round(self, number: int, entries: Sequence[Contestant]) -> Round:
        deadline = self.budget.deadline if self.budget else None
        this = dataclasses.replace(self.rounds.opened(number), deadline=deadline, clock=self.clock)
        if self.on_progress is None or not isinstance(self.executor, InProcess):
            return this
        about: dict[str, Any] = {"epochs": this.settings.epochs, "finished": finished_outcomes(this, entries)}
        return dataclasses.replace(this, on_epoch=epoch_counter(self.on_progress, number, entries, **about))

    def _ranking(self, why: Stop | None = None) -> Ranking:
        rows = [dataclasses.replace(row, refined=self.known.get(row.model)) for row in self.before.rows]
        notes = [*self.before.notes, *self.notes]
        if self.known:
            notes.append(summary_of(self.known, self.rounds.sides, why))
        record = {**self.how.record(), **settings_of(self.plan, self.rounds), "stopped": why and why.value}
        settings = {**self.before.settings, "refine": record}
        warnings = [*self.before.warnings, *self.warnings]
        about: dict[str, Any] = {"rows": rows, "notes": notes, "warnings": warnings, "settings": settings}
        whole = self.before.complete if why else False  # another round goes on
        return joined(dataclasses.replace(self.before, complete=whole, **about))
